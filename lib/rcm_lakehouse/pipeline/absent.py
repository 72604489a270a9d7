"""What snapshots say of keys that they lack: deletes, behind a guard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.approvable import is_held, way_out
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.matching import comparison_period
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.siblings import Siblings
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.silver.snapshot import absent_keys, as_delete_events, is_unreadable

_UNREAD = (
    "{} has another targetpath and has loaded nothing into it yet, so it is not known what it has: keys that are absent from this snapshot stay as they "
    "are until the next snapshot"
)


@dataclass
class Absences:
    """Loads whose deletes are held, warnings by bronze table, and what was closed.

    `closed` says by load in words how many keys a snapshot closes; `whole` are the bronze tables whose snapshot says what is absent.
    """

    held: set[tuple[str, str]] = field(default_factory=set)
    closed: dict[tuple[str, str], str] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def with_implied_deletes(
    ctx: RunContext, lake: Lake, entity: Entity, parts: Sequence[Pending], staged: DataFrame, events: DataFrame, told: Absences, siblings: Siblings
) -> DataFrame:
    """The events and the deletes that the snapshots among the parts imply, those that the guard holds left out; `told` says what became of them."""
    told.warnings += _filled_anew(ctx, parts, siblings)
    judged = _judged([part for part in parts if part.is_snapshot], told, siblings)
    if not judged:
        return events
    current, absent = _absent(lake, entity, judged, staged, siblings)
    facts = _snapshot_facts(staged, current, absent, entity.contract)
    for part in judged:
        found = facts.get(part.table.label)
        if found is None or found.missing == 0:
            told.whole |= {part.table.label} if found is not None and found.unreadable == 0 else set()
            continue
        is_approved = part.row.label in ctx.options.approve_deletes
        limit = ctx.project.settings.quality.max_delete_share
        is_over = found.missing / found.known > limit
        if not is_approved and (is_over or _was_held(ctx, lake, entity, part)):
            told.held.add((part.table.label, found.load))
            why = f"more than max_delete_share {limit:.0%}" if is_over else "and deletes of an earlier judgement still wait"
            words = (
                f"{found.missing} of {found.known} current keys of {part.row.label} are absent from the snapshot, {why}{found.unreadable_text}: "
                f"their deletes are held. If it is right, {way_out(part.row.label)}"
            )
            told.warnings.append((part.table.label, words))
        elif found.unreadable and not is_approved:
            # A bad row is no absence: any of the absent keys may be its own.
            words = (
                f"{found.missing} current keys of {part.row.label} are absent from the snapshot{found.unreadable_text}: they stay as they are "
                f"until a snapshot says so whose keys can all be read. If they are gone, {way_out(part.row.label)}"
            )
            told.warnings.append((part.table.label, words))
        else:
            told.whole.add(part.table.label)
            by_word = ", by --approve-deletes" if is_over or found.unreadable else ""
            told.closed[part.table.label, found.load] = f"{found.missing} of {found.known} current keys are absent from the snapshot and closed{by_word}"
            own = absent.where(F.col("_source_table") == part.table.label)
            events = events.unionByName(as_delete_events(own, entity.contract, at=found.at, load_id=found.load, batch_seq=part.high), allowMissingColumns=True)
    return events


def _judged(snapshots: Sequence[Pending], told: Absences, siblings: Siblings) -> list[Pending]:
    """The snapshots whose absent keys can be judged; of the others a warning says for whom they wait."""
    unread = {part.table.label: label for part in snapshots if (label := siblings.unread(part)) is not None}
    told.warnings += [(label, _UNREAD.format(other)) for label, other in unread.items()]
    return [part for part in snapshots if part.table.label not in unread]


def _was_held(ctx: RunContext, lake: Lake, entity: Entity, part: Pending) -> bool:
    """True when the deletes of the part's load wait since an earlier judgement: no new keys make their share smaller. A query where batches wait."""
    label, target = part.table.label, entity.silver.label
    own = (part.row.datasource, part.row.source_table)
    judged = [log for log in ctx.committed.get(f"silver:{entity.contract.entity}", []) if (log.data_source, log.tablename) == own]
    if judged:
        return judged[-1].status == "HELD"
    known, done = ctx.state.tables.get(label), ctx.state.last_done.get(target)
    waits = known is not None and known.batch_seq > (done.consumed.get(label, 0) if done is not None else 0)
    return waits and is_held(lake, target, part.row.label)


def _filled_anew(ctx: RunContext, parts: Sequence[Pending], siblings: Siblings) -> list[tuple[str, str]]:
    """What is said once of compared tables that a load fills under another targetpath than before; a snapshot there tells all by itself."""
    found = list[tuple[str, str]]()
    for part in parts:
        former, is_compared = siblings.labels(part.row)[1:], comparison_period(ctx.project.connections[part.row.database], part.row) != "never"
        if part.low == 0 and former and is_compared and not part.is_snapshot and part.mapping.deletes == "take":
            words = (
                f"{part.row.label} wrote to {', '.join(former)} before: what the source deleted since it was last compared there stays as it is, for no "
                f"comparison of this table finds it. Before a load gets another targetpath, run it with --reconcile {part.row.label}"
            )
            found.append((part.table.label, words))
    return found


def _absent(lake: Lake, entity: Entity, snapshots: Sequence[Pending], staged: DataFrame, siblings: Siblings) -> tuple[DataFrame, DataFrame]:
    """(current versions of the snapshots' tables, those of them whose key neither the snapshot nor another table of the hospital has).

    A version that a load brought into another bronze table before is its own. Both are under the name of the snapshot's table.
    """
    versions = lake.read(entity.silver).where("is_current")
    own = {label: part.table.label for part in snapshots if not siblings.of(part) for label in siblings.labels(part.row)}
    current = _renamed(versions, own)
    absent = absent_keys(staged, current, entity.contract)
    for part in snapshots:
        if siblings.of(part):
            here, gone = _beside_others(lake, part, staged, versions, entity.contract, siblings)
            current, absent = current.unionByName(here), absent.unionByName(gone)
    return current, absent


def _renamed(versions: DataFrame, names: Mapping[str, str]) -> DataFrame:
    """Those of the versions whose bronze table is named, under its new name."""
    own = versions.where(F.col("_source_table").isin(*names))
    for label, name in names.items():
        own = own if label == name else own.withColumn("_source_table", F.when(F.col("_source_table") == label, name).otherwise(F.col("_source_table")))
    return own


def _beside_others(
    lake: Lake, part: Pending, staged: DataFrame, versions: DataFrame, contract: Contract, siblings: Siblings
) -> tuple[DataFrame, DataFrame]:
    """(current versions of the keys that the part's table had, those of them whose key neither its snapshot nor another table has).

    A row that moved with the content it had goes on in the version that it began in, under another table's name: what a table had is told by its
    snapshots, and by names alone where none was taken before.
    """
    key, label = contract.key_column, part.table.label
    here = staged.where(F.col("_source_table") == label)
    own = _renamed(versions, dict.fromkeys(siblings.labels(part.row), label))
    (read,) = here.agg(F.max("_window_high").alias("at")).collect()
    if read["at"] is None:
        return own.limit(0), own.limit(0)
    had, is_all = siblings.keys_since(part)
    if had is not None:
        elsewhere = dict.fromkeys((name for other in siblings.of(part) for name in siblings.labels(other.row)), label)
        # A version that began behind this reading is news of another table.
        others = _renamed(versions.where(F.col("effective_from") <= F.lit(read["at"])), elsewhere).join(had.where("is_in"), key, how="left_semi")
        own = (own.join(had, key, how="left_semi") if is_all else own).unionByName(others)
    # Staged, for each question about other tables holds it several times.
    absent = lake.staged(f"{siblings.scratch}/absent/{part.table.name}", absent_keys(here, own, contract))
    alive = siblings.alive(part, absent, read["at"])
    gone = absent if alive is None else absent.join(alive, key, how="left_anti")
    # Keys that moved on are no longer among those that the guard compares with.
    return own.join(here.select(key).distinct(), key, how="left_semi").unionByName(gone), gone


@dataclass(frozen=True)
class _Snapshot:
    """What a snapshot says: current keys of its table, absent ones, its rows whose key cannot be told, its load id and time (UTC text)."""

    known: int
    missing: int
    unreadable: int
    load: str
    at: str

    @property
    def unreadable_text(self) -> str:
        return f", and the keys of {self.unreadable} rows of it cannot be read" if self.unreadable else ""


def _snapshot_facts(staged: DataFrame, current: DataFrame, absent: DataFrame, contract: Contract) -> dict[str, _Snapshot]:
    """Each snapshot by its bronze table; one query."""
    known = current.groupBy("_source_table").agg(F.count(F.lit(1)).alias("known"))
    missing = absent.groupBy("_source_table").agg(F.count(F.lit(1)).alias("missing"))
    taken = staged.groupBy("_source_table").agg(
        F.count_if(is_unreadable(contract)).alias("unreadable"), F.max("_load_id").alias("load"), F.max("_window_high").cast("string").alias("at")
    )
    rows = taken.join(known, "_source_table", how="left").join(missing, "_source_table", how="left").collect()
    return {
        row["_source_table"]: _Snapshot(int(row["known"] or 0), int(row["missing"] or 0), int(row["unreadable"]), row["load"], row["at"]) for row in rows
    }
