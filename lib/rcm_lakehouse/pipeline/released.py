"""Rows that wait in quarantine for what they refer to alone: the run after it has come takes them, so that their delivery may come before it."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity, entity_of
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.quarantine import open_rows
from rcm_lakehouse.pipeline.replay import ReplayBatch, replayed_parts
from rcm_lakehouse.pipeline.silver_outcomes import as_json
from rcm_lakehouse.pipeline.silver_sources import consumed_batches
from rcm_lakehouse.pipeline.silver_step import merge_entity
from rcm_lakehouse.pipeline.unfinished import take_back

# Names under which progress keeps what tells the contract, and, behind that of a bronze table, the newest batch that came under another.
_CONTRACT, _BEFORE = "contract of the waiting", ", under another contract"


def merge_and_release(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """`merge_entity`, and then the rows that waited for a key that silver has meanwhile: merged as a replay merges them, in their place in time.

    Progress says by which version of each table referred to the open rows were judged last: while these stand no row is looked at again. Rows that
    came under other columns or mappings of the contract are left to a replay: by those of today they may be others.
    Raises what `merge_entity` raises.
    """
    entity = entity_of(ctx.project.contracts[step.label])
    had_none = not (lake.exists(entity.quarantine) and lake.moved_past(entity.quarantine, 0))
    merged = merge_entity(ctx, lake, step, done, frozen)
    if merged.failed or not _references(entity.contract) or not lake.moved_past(entity.quarantine, 0):
        return merged
    taken = consumed_batches(ctx, lake, entity.contract, entity.silver)
    last = ctx.state.last_done.get(entity.silver.label)
    marks = {**_limits(entity.contract, last.consumed if last else {}), **_versions(ctx, lake, entity.contract)}
    # The first rows of a quarantine were judged by what is there now.
    is_known = had_none or all(taken.get(name) == version for name, version in marks.items())
    found = None if is_known else _released(ctx, lake, entity, taken, marks, frozen)
    outcome = merged if found is None else _with(merged, *found)
    for log in outcome.logs:
        if log.consumed is not None:
            log.consumed = as_json({**json.loads(log.consumed), **marks})
    return outcome


def _limits(contract: Contract, before: Mapping[str, int]) -> dict[str, int]:
    """By name of progress: what tells the contract's columns and mappings, and up to which batch of each bronze table rows came under others.

    `before` is the progress of the run before: what this run took came under those of today.
    """
    said = contract.model_dump_json(include={"key", "key_is_personal", "sequence_by", "columns", "sources"})
    own = {_CONTRACT: zlib.crc32(said.encode())}
    if before.get(_CONTRACT, own[_CONTRACT]) == own[_CONTRACT]:
        return {**own, **{name: batch for name, batch in before.items() if name.endswith(_BEFORE)}}
    return {**own, **{f"{name}{_BEFORE}": batch for name, batch in before.items() if name.startswith("bronze.") and "," not in name}}


def _with(merged: Outcome, logs: list[LoadLog], version: int) -> Outcome:
    """The outcome of the MERGE with that of what was released behind it; a row that says there was nothing new would be wrong."""
    status = "SUCCESS" if merged.status == "NOOP" else merged.status
    facts = {**merged.facts, **({"version": version} if version >= 0 else {})}
    return replace(merged, status=status, logs=(*(log for log in merged.logs if log.status != "NOOP"), *logs), facts=facts)


def _references(contract: Contract) -> tuple[str, ...]:
    """The rules that put a row into quarantine because what it refers to is not known."""
    return tuple(rule.name for rule in contract.rules if rule.references and rule.severity == "error")


def _versions(ctx: RunContext, lake: Lake, contract: Contract) -> dict[str, int]:
    """The versions of the tables that such rules look into, by the name under which progress keeps them; no Spark job."""
    named = sorted({str(rule.references) for rule in contract.rules if rule.references and rule.severity == "error"})
    tables = [entity_of(ctx.project.contracts[name]).silver for name in named]
    return {f"{table.label}, referred to": lake.head_version(table) for table in tables if lake.exists(table)}


def _released(
    ctx: RunContext, lake: Lake, entity: Entity, taken: dict[str, int], marks: Mapping[str, int], frozen: Frozen
) -> tuple[list[LoadLog], int] | None:
    """The audit rows and the version (-1: no commit) of what was taken; None when nothing was."""
    is_reference = F.forall(
        F.filter("reasons", lambda reason: reason["severity"] != "warn"), lambda reason: reason["rule"].isin(*_references(entity.contract))
    )
    path = f"{lake.scratch(ctx.run_id)}/silver/{entity.contract.entity}/referring"
    waiting = lake.staged(path, open_rows(lake, entity.quarantine))
    before = [(name.removesuffix(_BEFORE), batch) for name, batch in marks.items() if name.endswith(_BEFORE)]
    is_older = reduce(or_, [(F.col("source_table") == name) & (F.col("last_batch_seq") <= batch) for name, batch in before], F.lit(False))
    own = waiting.where(is_reference & ~is_older)
    parts = replayed_parts(ctx, lake, entity, own, taken, frozen, with_former=False)
    if not parts:
        return None
    take_back(lake, entity, taken)
    batch = ReleaseBatch(ctx, lake, entity, parts, taken, waiting=own, open=waiting)
    logs = batch.run()
    for log in logs:
        log.table_version = batch.version if batch.version >= 0 else lake.head_version(entity.silver)
    return (logs, batch.version) if logs else None


@dataclass
class ReleaseBatch(ReplayBatch):
    """One MERGE of the rows whose reference is known now; of those that go on waiting nothing is told."""

    tells_always = False

    def _open_ones(self, staged: DataFrame) -> DataFrame:
        return super()._open_ones(staged).where("outcome = 'good'")

    def _words(self, passed: int, bad: int) -> str:
        return f"{passed + bad} rows that waited in quarantine for what they refer to are taken"
