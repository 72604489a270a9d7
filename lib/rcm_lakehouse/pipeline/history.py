"""From judged rows to one MERGE: snapshots' deletes, the timeline, tombstones and counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.merge import merge_versions
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.absent import Absences, with_implied_deletes
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.siblings import Siblings
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.quality.judge import FUTURE
from rcm_lakehouse.silver.scd2 import ACTION, SAID, SAID_TYPE, History, changes, timeline

_FATES = ("written", "unchanged", "duplicate")
_ACTIONS = ("insert", "update", "delete", "tombstone")
_EVENT_LINEAGE = ("_source_table", "_load_id", "_batch_seq", "_source_row", "_row_hash", "_ingested_at")


@dataclass
class Merged(Absences):
    """What a MERGE did: fates of source rows by load, new tombstones, whether versions change, the version it made (-1: no commit), and absent keys."""

    fates: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    tombstones: int = 0
    is_change: bool = False
    version: int = -1


def merge_history(
    ctx: RunContext,
    lake: Lake,
    entity: Entity,
    parts: Sequence[Pending],
    staged: DataFrame,
    loads: Sequence[tuple[str, str]],
    path: str,
    told: Callable[[Merged], Sequence[LoadLog]],
    siblings: Siblings,
) -> Merged:
    """Apply good rows (and the deletes that snapshots imply) to the entity's history in one MERGE.

    The difference is staged first: its counts say whether there is anything to commit at all. `told` turns them into the audit rows,
    which ride in the commit; it may refuse by raising, and nothing is committed then.

    Raises CommitConflictError when the table was written to after the difference was computed; the load is then computed again.
    """
    contract = entity.contract
    merged = Merged()
    head = lake.head_version(entity.silver)
    is_empty = head == 0
    events = event_rows(staged.where("outcome = 'good'"), contract)
    if is_empty:
        # Nothing can be gone yet.
        merged.whole |= {part.table.label for part in parts if part.is_snapshot}
    else:
        events = with_implied_deletes(ctx, lake, entity, parts, staged, events, merged, siblings)
    history = known_history(lake, entity, events, is_empty=is_empty)
    line = Counted(timeline(events, history, contract), *_fate_counts(loads))
    changed = Counted(changes(line.rows, contract), *[F.count_if(F.col(ACTION) == name).alias(name) for name in _ACTIONS])
    difference = lake.staged(path, changed.rows)
    counts, acts = line.counts(), changed.counts(difference)
    merged.fates = {load: {name: int(counts[f"{name}_{i}"] or 0) for name in _FATES} for i, load in enumerate(loads)}
    merged.warnings += _warned(counts, loads)
    merged.tombstones, merged.is_change = acts["tombstone"], acts["insert"] + acts["update"] + acts["delete"] > 0
    metadata = {"run_id": ctx.run_id, "loads": _taken(merged, parts), **riding(told(merged))}
    _commit(lake, entity, difference, acts, merged, metadata, head)
    return merged


def _taken(merged: Merged, parts: Sequence[Pending]) -> list[str]:
    """The loads that a MERGE takes; one may be taken in several, and its batches tell them apart."""
    return [*sorted({load for _, load in merged.fates}), *(f"{part.table.label} to {part.high}" for part in parts)]


def _warned(counts: Mapping[str, int], loads: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(bronze table, words) of what the counts of a timeline say about the rows of a load."""
    told = list[tuple[str, str]]()
    for i, (table, _) in enumerate(loads):
        conflicts, buried, ahead = counts[f"conflicts_{i}"], counts[f"buried_{i}"], counts[f"ahead_{i}"]
        if conflicts:
            told.append((table, f"{conflicts} rows share key and time with another row of their delivery but differ; the last in order won"))
        if buried:
            told.append((table, f"{buried} rows have the time of a delete that came before them and stay deleted; stamped later they would be current"))
        if ahead:
            words = f"{ahead} rows are stamped more than a day ahead of their reading; they count from the reading on ({FUTURE} in dq_flags)"
            told.append((table, words))
    return told


def event_rows(rows: DataFrame, contract: Contract) -> DataFrame:
    """Canonical rows with the columns that a timeline needs."""
    columns = [column.name for column in contract.columns]
    said = F.col(SAID) if SAID in rows.columns else F.lit(None).cast(SAID_TYPE).alias(SAID)
    return rows.select(contract.key_column, "data_source", *columns, "event_at", "is_delete", "dq_flags", *_EVENT_LINEAGE, said)


def known_history(lake: Lake, entity: Entity, events: DataFrame, *, is_empty: bool) -> History:
    """Versions and tombstones of the keys that the events touch.

    A first run killed after it wrote tombstones leaves them without versions: they count all the same.
    """
    key = entity.contract.key_column
    keys = events.select(key).distinct()
    versions = None if is_empty else lake.read(entity.silver).join(keys, key, how="left_semi")
    tombstones = lake.read(entity.tombstones).join(keys, key, how="left_semi") if lake.moved_past(entity.tombstones, 0) else None
    return History(versions, tombstones)


def _fate_counts(loads: Sequence[tuple[str, str]]) -> list[Column]:
    columns = list[Column]()
    for number, (table, load) in enumerate(loads):
        # Deletes that a snapshot implies are no source rows: they carry no row hash.
        is_own = (F.col("_source_table") == table) & (F.col("_load_id") == load) & F.col("_row_hash").isNotNull()
        columns.append(F.count_if(F.coalesce(is_own & F.col("_is_conflict"), F.lit(False))).alias(f"conflicts_{number}"))
        columns.append(F.count_if(F.coalesce(is_own & F.col("_is_buried"), F.lit(False))).alias(f"buried_{number}"))
        columns.append(F.count_if(F.coalesce(is_own & F.array_contains("dq_flags", FUTURE), F.lit(False))).alias(f"ahead_{number}"))
        columns += [F.count_if(F.coalesce(is_own & (F.col("_fate") == name), F.lit(False))).alias(f"{name}_{number}") for name in _FATES]
    return columns


def _commit(
    lake: Lake, entity: Entity, changed: DataFrame, acts: Mapping[str, int], merged: Merged, metadata: Mapping[str, object], head: int
) -> None:
    key = entity.contract.key_column
    if acts["tombstone"]:
        rows = changed.where(F.col(ACTION) == "tombstone").withColumn("deleted_at", F.col("effective_from"))
        noted = rows.select(key, "deleted_at", "_source_table", "_load_id", "_batch_seq")
        lake.append(entity.tombstones, noted, metadata={"run_id": metadata["run_id"], "loads": metadata["loads"]})
    versions = changed.where(F.col(ACTION) != "tombstone")
    if not merged.is_change:
        return
    crash_point("P9", entity.contract.entity)
    if head == 0:
        # Its `txn` makes the first append conflict with another first append.
        merged.version = lake.append(entity.silver, versions.drop(ACTION), metadata=metadata, txn=("first", 1)).version
    else:
        on = (key, "effective_from")
        merged.version = merge_versions(lake, entity.silver, versions, on=on, action=ACTION, metadata=metadata, head=head).version
    crash_point("P10", entity.contract.entity)
