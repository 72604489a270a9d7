"""Rows that wait in quarantine for what they refer to alone: the run after it has come takes them, so that their delivery may come before it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

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


def merge_and_release(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """`merge_entity`, and then the rows that waited for a key that silver has meanwhile: merged as a replay merges them, in their place in time.

    Progress says by which version of each table referred to the open rows were judged last: while these stand no row is looked at again.
    Raises what `merge_entity` raises.
    """
    entity = entity_of(ctx.project.contracts[step.label])
    had_none = not (lake.exists(entity.quarantine) and lake.moved_past(entity.quarantine, 0))
    merged = merge_entity(ctx, lake, step, done, frozen)
    if merged.failed or not _references(entity.contract) or not lake.moved_past(entity.quarantine, 0):
        return merged
    now = _versions(ctx, lake, entity.contract)
    taken = consumed_batches(ctx, lake, entity.contract, entity.silver)
    # The first rows of a quarantine were judged by what is there now.
    is_known = had_none or all(taken.get(name) == version for name, version in now.items())
    found = None if is_known else _released(ctx, lake, entity, taken, frozen)
    outcome = merged if found is None else _with(merged, *found)
    for log in outcome.logs:
        if log.consumed is not None:
            log.consumed = as_json({**json.loads(log.consumed), **now})
    return outcome


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


def _released(ctx: RunContext, lake: Lake, entity: Entity, taken: dict[str, int], frozen: Frozen) -> tuple[list[LoadLog], int] | None:
    """The audit rows and the version (-1: no commit) of what was taken; None when nothing was."""
    is_reference = F.forall(
        F.filter("reasons", lambda reason: reason["severity"] != "warn"), lambda reason: reason["rule"].isin(*_references(entity.contract))
    )
    path = f"{lake.scratch(ctx.run_id)}/silver/{entity.contract.entity}/referring"
    waiting = lake.staged(path, open_rows(lake, entity.quarantine))
    own = waiting.where(is_reference)
    parts = replayed_parts(ctx, lake, entity, own, taken, frozen)
    if not parts:
        return None
    batch = ReleaseBatch(ctx, lake, entity, parts, taken, waiting=own, open=waiting)
    logs = batch.run()
    return (logs, batch.version) if logs else None


@dataclass
class ReleaseBatch(ReplayBatch):
    """One MERGE of the rows whose reference is known now; of those that go on waiting nothing is told."""

    tells_always = False

    def _open_ones(self, staged: DataFrame) -> DataFrame:
        return super()._open_ones(staged).where("outcome = 'good'")

    def _words(self, passed: int, bad: int) -> str:
        return f"{passed + bad} rows that waited in quarantine for what they refer to are taken"
