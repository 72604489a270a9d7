"""What silver has not taken yet: the bronze batches of each load that feeds an entity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import functions as F

from rcm_lakehouse.audit.approvable import awaits_approval, is_held
from rcm_lakehouse.bronze.lineage import CORRECTION, RECONCILED_FLAG, has_flag
from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.memory import COMPARED, recall
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.plan import feeding, upstream_loads


def bronze_table(row: LoadRow) -> Table:
    """The bronze table of a row of the work list."""
    return Table("bronze", row.bronze_table, row.bronze_path)


def settled(label: str) -> str:
    """Under which name progress says up to which snapshot of a bronze table the deletes were taken too, where its rows may move to other tables."""
    return f"{label}, deletes"


@dataclass(frozen=True)
class Pending:
    """Batches (low, high] of one bronze table that silver has not taken; a snapshot is taken one batch at a time, and so is a comparison.

    `compared` are the batches among them that a comparison with the source brought, or a file that is delivered again: they are placed by what silver
    has of those before. `is_correction`: what one MERGE takes is such a file alone.
    """

    row: LoadRow
    mapping: SourceMapping
    low: int
    high: int
    compared: tuple[int, ...] = ()
    is_correction: bool = False

    @property
    def table(self) -> Table:
        """The bronze table."""
        return bronze_table(self.row)

    @property
    def is_snapshot(self) -> bool:
        """True when each batch is the whole table, so that absent keys mean deletes; they mean none where the mapping ignores deletes."""
        return self.row.loadtype == "Full" and self.mapping.deletes == "take"


@dataclass(frozen=True)
class Backlog:
    """What there is to do for one entity: pending batches, progress so far, and loads that are held back, with why."""

    pending: tuple[Pending, ...]
    consumed: dict[str, int]
    held: dict[str, str]


def backlog(ctx: RunContext, lake: Lake, contract: Contract, silver: Table, done: Mapping[str, Outcome], frozen: Frozen) -> Backlog:
    """Compare what bronze has with what silver took.

    A hospital one of whose upstream loads failed in this run is held back: its facts would miss dimension rows and be
    quarantined for no fault of theirs. The newest snapshot of a load whose deletes are approved is among the pending ones when it was
    taken without them. Of a load that is switched off what bronze has is taken, and nothing more is asked.
    """
    consumed = consumed_batches(ctx, lake, contract, silver)
    pending: list[Pending] = []
    held: dict[str, str] = {}
    for row in feeding(ctx.project, contract.entity):
        upstream = upstream_loads(ctx.project, contract.entity, row)
        failed = {name for name in upstream if name in done and done[name].failed and not _is_whole(name, row, done)}
        # Its own load first: whoever reads why it waits mends that.
        broken = sorted(failed, key=lambda name: (name != f"bronze:{row.label}", name))
        if broken:
            held[row.label] = f"held back because {broken[0]} did not end well; its rows are taken by the next run"
            continue
        head = _head(row, done, frozen)
        low = consumed.get(bronze_table(row).label, 0)
        if not row.is_active and _is_left(ctx, lake, row, frozen, silver, low):
            continue
        if is_foreign(row, frozen):
            held[row.label] = f"held back: {frozen.refused[row.label]}"
            continue
        if head < low and row.label not in frozen.refused:
            raise TableStateError(
                f"{silver.label} has taken batch {low} of {bronze_table(row).label}, which has only {head}. Nothing was merged. Put that bronze table "
                f"back from a backup, or move the folders of {silver.label}, its tombstones and its quarantine away: it is then built anew from bronze."
            )
        mapping = ctx.project.mapping_of(contract, row)
        if mapping is None:
            continue
        part = Pending(row, mapping, low, head)
        if head > low:
            is_file = isinstance(ctx.project.connections[row.database], FilesConnection)
            pending.append(replace(part, compared=_corrections(lake, contract, part) if is_file else _compared(lake, part), is_correction=is_file))
        elif _is_approved_since(ctx, lake, silver, part):
            pending.append(Pending(row, mapping, head - 1, head))
    return Backlog(tuple(pending), consumed, held)


def _is_left(ctx: RunContext, lake: Lake, row: LoadRow, frozen: Frozen, silver: Table, low: int) -> bool:
    """True of a load that is switched off of which there is nothing to take: all was taken, its table is gone, or a snapshot was held and is not approved."""
    table = bronze_table(row)
    known, head = ctx.state.tables.get(table.label), frozen.state_of(row).batch_seq
    if is_foreign(row, frozen):
        return known is None or known.batch_seq <= low
    if not lake.exists(table) or (known is not None and lake.table_id(table) != known.table_id) or head < low:
        return True
    return row.loadtype == "Full" and head > low and row.label not in ctx.options.approve_deletes and is_held(lake, silver.label, row.label)


def is_foreign(row: LoadRow, frozen: Frozen) -> bool:
    """True when the bronze table of a load is refused: gone, another one, or filled by another load. None of its rows are the load's."""
    return isinstance(frozen.refused.get(row.label), TableStateError)


def _compared(lake: Lake, part: Pending) -> tuple[int, ...]:
    if part.row.loadtype == "Full" or COMPARED not in recall(lake, part.table):
        return ()
    seq = F.col("_batch_seq")
    found = lake.read(part.table).where((seq > part.low) & (seq <= part.high) & F.array_contains("_flags", RECONCILED_FLAG))
    return tuple(sorted(int(row["_batch_seq"]) for row in found.select("_batch_seq").distinct().collect()))


def _corrections(lake: Lake, contract: Contract, part: Pending) -> tuple[int, ...]:
    """Batches that are another delivery of a file: one query. Snapshots have their own order, and of a thing that many rows name one row says nothing."""
    if part.row.loadtype == "Full" or part.mapping.deletes == "ignore" or not contract.sequence_by:
        return ()
    seq = F.col("_batch_seq")
    found = lake.read(part.table).where((seq > part.low) & (seq <= part.high) & has_flag(CORRECTION)).select("_batch_seq").distinct()
    return tuple(sorted(int(row["_batch_seq"]) for row in found.collect()))


def _is_approved_since(ctx: RunContext, lake: Lake, silver: Table, part: Pending) -> bool:
    """True for a snapshot that was taken without its deletes, which this run is told to apply: it is taken again."""
    label = part.row.label
    if label not in ctx.options.approve_deletes or not part.is_snapshot or ctx.committed.get(f"silver:{silver.name}"):
        return False
    return part.high == part.low and awaits_approval(lake, silver.label, label, part.high)


def _is_whole(name: str, row: LoadRow, done: Mapping[str, Outcome]) -> bool:
    """True for the row's own load when it failed for some files alone: what it committed is whole, only the refused files are missing."""
    return name == f"bronze:{row.label}" and "batch_seq" in done[name].facts


def _head(row: LoadRow, done: Mapping[str, Outcome], frozen: Frozen) -> int:
    for layer in ("reconcile", "bronze"):
        outcome = done.get(f"{layer}:{row.label}")
        if outcome is not None and "batch_seq" in outcome.facts:
            return int(str(outcome.facts["batch_seq"]))
    return frozen.state_of(row).batch_seq


def consumed_batches(ctx: RunContext, lake: Lake, contract: Contract, silver: Table) -> dict[str, int]:
    """The newest batch of each bronze table that silver took.

    From what an earlier try of this run took, from the audit when it speaks of this very table, else from the rows of silver themselves.

    Rows of silver prove a batch taken, because one MERGE takes all of it; rows of quarantine alone prove nothing.
    """
    taken = ctx.committed.get(f"silver:{contract.entity}")
    if taken and taken[-1].consumed:
        return {str(name): int(seq) for name, seq in json.loads(taken[-1].consumed).items()}
    last = ctx.state.last_done.get(silver.label)
    if last is not None and last.table_id == lake.table_id(silver):
        return dict(last.consumed)
    newest = lake.read(silver).groupBy("_source_table").agg(F.max("_batch_seq").alias("seq"))
    return {row["_source_table"]: int(row["seq"]) for row in newest.collect()}


def next_round(pending: tuple[Pending, ...]) -> tuple[list[Pending], tuple[Pending, ...]]:
    """(what one MERGE takes, what stays): of each snapshot source the oldest snapshot, of others the batches up to a comparison, or that one alone."""
    now: list[Pending] = []
    later: list[Pending] = []
    for part in pending:
        end = part.high
        is_alone = False
        if part.is_snapshot:
            end = part.low + 1
        elif part.compared:
            first = part.compared[0]
            is_alone = first == part.low + 1
            end = first if is_alone else first - 1
        now.append(replace(part, high=end, compared=(), is_correction=part.is_correction and is_alone))
        if end < part.high:
            later.append(replace(part, low=end, compared=tuple(seq for seq in part.compared if seq > end)))
    return now, tuple(later)
