"""Rows that wait in quarantine for what they refer to alone: the run after it has come takes them, so that their delivery may come before it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity, entity_of
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.quarantine import open_rows
from rcm_lakehouse.pipeline.replay import ReplayBatch, replayed_parts
from rcm_lakehouse.pipeline.silver_outcomes import as_json
from rcm_lakehouse.pipeline.silver_step import merge_entity
from rcm_lakehouse.pipeline.unfinished import take_back
from rcm_lakehouse.pipeline.waiting_marks import older_batches, references, versions_referred_to


@dataclass(frozen=True)
class Released:
    """What was taken: audit rows, the version (-1: no commit), and how many rows of each hospital came under another contract and are left to a replay."""

    logs: tuple[LoadLog, ...] = ()
    version: int = -1
    left: Mapping[str, int] = field(default_factory=dict)


def merge_and_release(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """`merge_entity`, and then the rows that waited for a key that silver has meanwhile: merged as a replay merges them, in their place in time.

    Progress says by which version of each table referred to the open rows were judged last: while these stand no row is looked at again. Rows that
    came under other columns or mappings of the contract are left to a replay, with a warning: by those of today they may be others.
    Raises what `merge_entity` raises.
    """
    entity = entity_of(ctx.project.contracts[step.label])
    had_none = not (lake.exists(entity.quarantine) and lake.moved_past(entity.quarantine, 0))
    merged = merge_entity(ctx, lake, step, done, frozen)
    told = [log for log in merged.logs if log.consumed is not None]
    if merged.failed or not told or not references(entity.contract) or not lake.moved_past(entity.quarantine, 0):
        return merged
    taken = {str(name): int(value) for name, value in json.loads(str(told[-1].consumed)).items()}
    now = versions_referred_to(ctx, lake, entity.contract)
    # The first rows of a quarantine were judged by what is there now.
    is_known = had_none or all(taken.get(name) == version for name, version in now.items())
    outcome = merged if is_known else _with(merged, _released(ctx, lake, entity, taken, frozen))
    for log in outcome.logs:
        if log.consumed is not None:
            log.consumed = as_json({**json.loads(log.consumed), **now})
    return outcome


def _with(merged: Outcome, found: Released) -> Outcome:
    """The outcome of the MERGE with that of what was released behind it; a row that says there was nothing new would be wrong."""
    kept = tuple(log for log in merged.logs if log.status != "NOOP") if found.logs else merged.logs
    logs = (*kept, *found.logs)
    if found.left:
        whose = ", ".join(f"{source} {count}" for source, count in sorted(found.left.items()))
        waits = f"{sum(found.left.values())} rows wait for what they refer to and came under another contract ({whose})"
        words = f"{waits}: jobs/replay_quarantine.py judges them by today's"
        logs[-1].warnings = [*logs[-1].warnings, words]
    status = "SUCCESS" if merged.status == "NOOP" and found.logs else merged.status
    return replace(merged, status=status, logs=logs, facts={**merged.facts, **({"version": found.version} if found.version >= 0 else {})})


def _released(ctx: RunContext, lake: Lake, entity: Entity, taken: dict[str, int], frozen: Frozen) -> Released:
    """Of rows whose only reasons are references those that pass now."""
    is_reference = F.forall(
        F.filter("reasons", lambda reason: reason["severity"] != "warn"), lambda reason: reason["rule"].isin(*references(entity.contract))
    )
    path = f"{lake.scratch(ctx.run_id)}/silver/{entity.contract.entity}/referring"
    waiting = lake.staged(path, open_rows(lake, entity.quarantine))
    older = older_batches(taken)
    is_older = reduce(or_, [(F.col("source_table") == name) & (F.col("last_batch_seq") <= batch) for name, batch in older.items()], F.lit(False))
    theirs = waiting.where(is_reference & is_older).groupBy("data_source").count().collect() if older else []
    left = {row["data_source"]: int(row["count"]) for row in theirs}
    own = waiting.where(is_reference & ~is_older)
    parts = replayed_parts(ctx, lake, entity, own, taken, frozen, with_former=False)
    if not parts:
        return Released(left=left)
    take_back(lake, entity, taken, ctx.run_id)
    batch = ReleaseBatch(ctx, lake, entity, parts, taken, waiting=own)
    logs = batch.run()
    for log in logs:
        log.table_version = batch.version if batch.version >= 0 else lake.head_version(entity.silver)
    return Released(tuple(logs), batch.version, left)


@dataclass
class ReleaseBatch(ReplayBatch):
    """One MERGE of the rows whose reference is known now; of those that go on waiting nothing is told."""

    tells_always = False

    def _open_ones(self, staged: DataFrame) -> DataFrame:
        return super()._open_ones(staged).where("outcome = 'good'")

    def _words(self, passed: int, bad: int) -> str:
        return f"{passed + bad} rows that waited in quarantine for what they refer to are taken"
