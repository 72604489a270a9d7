"""SCD type 2: events to versions, and the difference to what the table has, for one MERGE (pure).

A version is `[effective_from, effective_to)`. Events of a key in the order of their time make versions: an event equal in all
tracked columns to the one before only leaves its time in `_repeated_at`; a delete ends the version. A table row with its
repeats and the tombstones of its key holds every event's time and tracked content, so a late event rebuilds the key's versions
exactly. Untracked columns, flags and lineage are kept once a version, as its newest event had them. The
semantics are those of Spark's AUTO CDC (SCD type 2), with one tightening: at equal time a delete beats an upsert in any
batching, and of two upserts the later delivery replaces the content in place.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.silver.schema import silver_schema
from rcm_lakehouse.silver.surrogate import content_hash, version_sk

ACTION = "_merge_action"
_LINEAGE = ("_source_table", "_load_id", "_batch_seq", "_ingested_at")
_ORDER = ("_source_row", "_row_hash")
# Load and batch of a row's delivery, where it only repeats what was said then: it has the turn of that delivery among the rows of one time.
SAID, SAID_TYPE = "_said", "struct<load:string,seq:bigint>"
# Characters of a load's id, and of its run's, that tell when the run began: 20261123T205236Z.
RUN_TIME = 16


@dataclass(frozen=True)
class History:
    """What the table knows of the touched keys: their versions and tombstones; None when the table is empty."""

    versions: DataFrame | None
    tombstones: DataFrame | None


def timeline(events: DataFrame, history: History, contract: Contract) -> DataFrame:
    """Every event of the touched keys, old and new, each with its fate; one row an event.

    `events` are good canonical rows of one batch. Added: `_is_new`, `_fate` (NULL for old events), `_is_conflict` (two contents at
    one time in one delivery), `_is_buried` (it loses its time to a delete that an earlier delivery of its table told of), `_wins` (decides
    its time), `_starts` (begins a version).

    Fates: `written` begins or ends a version, or says something else at the time of an old one, whose content it replaces or which
    it takes away; `unchanged` says what was known or loses its time to an old event; `duplicate` loses it to another of its batch.
    """
    rows = _new_events(events, contract)
    if history.versions is not None:
        rows = rows.unionByName(_starts(history.versions, contract)).unionByName(_repeats(history.versions, contract))
    if history.tombstones is not None:
        rows = rows.unionByName(_tombstones(history.tombstones, contract, rows))
    return _with_fate(_with_runs(_with_winner(rows.repartition(F.col(contract.key_column)), contract), contract), contract)


def _content(contract: Contract) -> list[str]:
    return ["data_source", *(column.name for column in contract.columns), "dq_flags", "record_hash", "_loose_hash"]


def _loose(contract: Contract) -> list[str]:
    return [*(column.name for column in contract.columns if not column.tracked), "dq_flags"]


def _new_events(events: DataFrame, contract: Contract) -> DataFrame:
    hashed = events.withColumns({"record_hash": content_hash(contract.tracked_columns), "_loose_hash": content_hash(_loose(contract))})
    return hashed.select(
        contract.key_column,
        F.col("event_at").alias("_at"),
        F.col("is_delete").alias("_is_delete"),
        F.lit(True).alias("_is_new"),
        *_content(contract),
        *_LINEAGE,
        F.struct(F.lit("").alias("_"), *contract.sequence_by[1:]).alias("_further"),
        *_ORDER,
        SAID,
        F.lit(None).cast(_old_type()).alias("_old"),
        F.lit(False).alias("_had_tombstone"),
    )


def _old_type() -> str:
    return "struct<effective_to:timestamp,version:int,record_hash:string,loose_hash:string,repeated_at:array<timestamp>>"


def _further_type(contract: Contract) -> str:
    """What breaks ties of the time, in its own types: 9 comes before 10."""
    types = {column.name: column.type for column in contract.columns}
    return f"struct<{', '.join(['_:string', *(f'{name}:{types[name]}' for name in contract.sequence_by[1:])])}>"


def _known(frame: DataFrame, contract: Contract, at: Column, old: Column) -> DataFrame:
    return frame.select(
        contract.key_column,
        at.alias("_at"),
        F.lit(False).alias("_is_delete"),
        F.lit(False).alias("_is_new"),
        *_content(contract),
        *_LINEAGE,
        F.lit(None).cast(_further_type(contract)).alias("_further"),
        F.lit(None).cast("bigint").alias("_source_row"),
        F.lit(None).cast("string").alias("_row_hash"),
        F.lit(None).cast(SAID_TYPE).alias(SAID),
        old.cast(_old_type()).alias("_old"),
        F.lit(False).alias("_had_tombstone"),
    )


def _starts(versions: DataFrame, contract: Contract) -> DataFrame:
    hashed = versions.withColumn("_loose_hash", content_hash(_loose(contract)))
    old = F.struct("effective_to", "version", "record_hash", "_loose_hash", "_repeated_at")
    return _known(hashed, contract, F.col("effective_from"), old)


def _repeats(versions: DataFrame, contract: Contract) -> DataFrame:
    hashed = versions.withColumn("_loose_hash", content_hash(_loose(contract))).withColumn("_repeat", F.explode("_repeated_at"))
    return _known(hashed, contract, F.col("_repeat"), F.lit(None))


def _tombstones(tombstones: DataFrame, contract: Contract, like: DataFrame) -> DataFrame:
    named = tombstones.withColumnsRenamed({"deleted_at": "_at"}).withColumns(
        {"_is_delete": F.lit(True), "_is_new": F.lit(False), "_had_tombstone": F.lit(True)}
    )
    absent = [field for field in like.schema if field.name not in named.columns]
    return named.select("*", *[F.lit(None).cast(field.dataType).alias(field.name) for field in absent])


def _with_winner(rows: DataFrame, contract: Contract) -> DataFrame:
    same_time = Window.partitionBy(contract.key_column, "_at")
    # Each bronze table counts its own batches: of rows of several tables, or of a load that wrote elsewhere before, that of the later run is the later.
    is_of_one = F.min("_source_table").over(same_time).eqNullSafe(F.max("_source_table").over(same_time))
    rows = rows.withColumn("_turn", F.coalesce(SAID, F.struct(F.col("_load_id").alias("load"), F.col("_batch_seq").alias("seq"))))
    rows = rows.withColumn("_of_run", F.when(~is_of_one, F.substring("_turn.load", 1, RUN_TIME)))
    # An old event goes before a new one of the same delivery: a batch judged twice then changes nothing.
    order = same_time.orderBy(
        F.desc("_is_delete"),
        F.desc_nulls_last("_of_run"),
        F.desc_nulls_last("_turn.seq"),
        F.asc("_is_new"),
        F.desc("_further"),
        F.desc_nulls_last("_source_row"),
        F.desc_nulls_last("_row_hash"),
        F.desc_nulls_last("record_hash"),
    )
    whole = order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    ranked = rows.withColumns(
        {
            "_rank": F.row_number().over(order),
            "_first": F.first(F.struct("_is_new", "_is_delete", "_source_table", "_batch_seq", "record_hash")).over(whole),
            "_old": F.first("_old", ignorenulls=True).over(whole),
            "_had_tombstone": F.max("_had_tombstone").over(whole),
        }
    )
    is_conflict = (F.col("_rank") > 1) & F.col("_is_new") & ~F.col("_is_delete") & ~F.col("_first._is_delete")
    is_same_batch = (F.col("_batch_seq") == F.col("_first._batch_seq")) & (F.col("_source_table") == F.col("_first._source_table"))
    differs = ~F.col("record_hash").eqNullSafe(F.col("_first.record_hash")) & is_same_batch
    is_older = (F.col("_first._batch_seq") < F.col("_batch_seq")) & (F.col("_first._source_table") == F.col("_source_table"))
    is_buried = F.col("_is_new") & ~F.col("_is_delete") & F.col("_first._is_delete") & is_older
    found = {"_is_conflict": is_conflict & differs, "_is_buried": is_buried}
    return ranked.withColumns({"_wins": F.col("_rank") == 1, **{name: F.coalesce(told, F.lit(False)) for name, told in found.items()}})


def _with_runs(rows: DataFrame, contract: Contract) -> DataFrame:
    # Losers sort with their winner and are stepped over: only winners make runs.
    by_time = Window.partitionBy(contract.key_column).orderBy("_at", F.desc("_wins"), "_rank")
    before = by_time.rowsBetween(Window.unboundedPreceding, -1)
    past = F.last(F.when(F.col("_wins"), F.struct("_is_delete", "record_hash")), ignorenulls=True).over(before)
    marked = rows.withColumn("_past", past)
    is_same = F.coalesce(~F.col("_past._is_delete") & F.col("_past.record_hash").eqNullSafe(F.col("record_hash")), F.lit(False))
    started = marked.withColumn("_starts", F.col("_wins") & ~F.col("_is_delete") & ~is_same)
    borders = F.col("_starts") | (F.col("_wins") & F.col("_is_delete"))
    so_far = by_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    later = by_time.rowsBetween(1, Window.unboundedFollowing)
    return started.withColumns(
        {
            "_run": F.sum(borders.cast("int")).over(so_far),
            "_version": F.sum(F.col("_starts").cast("int")).over(so_far),
            "_to": F.min(F.when(borders, F.col("_at"))).over(later),
        }
    )


def _with_fate(rows: DataFrame, contract: Contract) -> DataFrame:
    is_known = F.col("_old").isNotNull() & (F.col("_old.record_hash") == F.col("record_hash")) & (F.col("_old.loose_hash") == F.col("_loose_hash"))
    winner = (
        F.when(F.col("_is_delete"), F.when(F.col("_had_tombstone"), "unchanged").otherwise("written"))
        .when(F.coalesce(is_known, F.lit(False)), "unchanged")
        # One that begins no version may still take one away: at the time of a version, what stood before it is said again.
        .when(F.col("_starts") | F.col("_old").isNotNull(), "written")
        .otherwise("unchanged")
    )
    loser = F.when(F.col("_first._is_new"), "duplicate").otherwise("unchanged")
    return rows.withColumn("_fate", F.when(F.col("_is_new"), F.when(F.col("_wins"), winner).otherwise(loser)))


def changes(rows: DataFrame, contract: Contract) -> DataFrame:
    """The rows of one MERGE from a timeline: silver's columns and `_merge_action` (insert, update, delete, tombstone).

    Versions that are as they were are not among them. A tombstone row has only key, `effective_from` (the time of the delete)
    and lineage; it belongs into the tombstone table.
    """
    runs = rows.where("_wins").groupBy(contract.key_column, "_run").agg(*_run_columns(contract))
    is_version = F.col("_start._at").isNotNull()
    # Without a sequence events come in the order of their loads, and a snapshot would touch every row for its time alone. A replay alone
    # brings late ones, and with them what was taken since.
    later = F.array_sort(F.filter("_times", lambda at: at > F.col("_start._at")))
    repeats = later if contract.sequence_by else F.array().cast("array<timestamp>")
    shaped = runs.withColumns({"_repeats": repeats, "_is_version": is_version})
    old = F.col("_start._old")
    is_same = (
        old["effective_to"].eqNullSafe(F.col("_start._to"))
        & (old["version"] == F.col("_start._version"))
        & (old["record_hash"] == F.col("_start.record_hash"))
        & (old["loose_hash"] == F.col("_newest._loose_hash"))
        & (F.coalesce(old["repeated_at"], F.array().cast("array<timestamp>")) == F.col("_repeats"))
    )
    own = F.when(~F.col("_is_version"), None).when(old.isNull(), "insert").when(~F.coalesce(is_same, F.lit(False)), "update")
    listed = F.array_compact(
        F.array(
            F.when(own.isNotNull(), F.struct(own.alias("action"), F.col("_start._at").alias("at"))),
            F.when(F.col("_new_tombstone").isNotNull(), F.struct(F.lit("tombstone").alias("action"), F.col("_new_tombstone").alias("at"))),
        )
    )
    gone = F.transform("_vanished", lambda at: F.struct(F.lit("delete").alias("action"), at.alias("at")))
    return _as_silver(shaped.withColumn("_do", F.explode(F.concat(listed, gone))), contract)


def _run_columns(contract: Contract) -> list[Column]:
    carried = ["_at", "_to", "_version", "_old", *_content(contract), *_LINEAGE]
    starts, times = F.col("_starts"), F.col("_at")
    return [
        F.first(F.when(starts, F.struct(*carried)), ignorenulls=True).alias("_start"),
        F.max_by(F.struct(*_loose(contract), "_loose_hash", *_LINEAGE), "_at").alias("_newest"),
        F.collect_list(times).alias("_times"),
        F.collect_list(F.when(~starts & F.col("_old").isNotNull(), times)).alias("_vanished"),
        F.first(F.when(F.col("_is_delete") & ~F.col("_had_tombstone"), times), ignorenulls=True).alias("_new_tombstone"),
    ]


def _as_silver(rows: DataFrame, contract: Contract) -> DataFrame:
    key, at = F.col(contract.key_column), F.col("_do.at")
    loose = set(_loose(contract))
    lineage = {name: F.coalesce(F.col(f"_start.{name}"), F.col(f"_newest.{name}")) for name in _LINEAGE}
    values = {
        contract.key_column: key,
        contract.sk_column: version_sk(key, at),
        "data_source": F.col("_start.data_source"),
        **{column.name: F.col(f"{'_newest' if column.name in loose else '_start'}.{column.name}") for column in contract.columns},
        "effective_from": at,
        "effective_to": F.col("_start._to"),
        "is_current": F.col("_start._to").isNull(),
        "version": F.col("_start._version").cast("int"),
        "dq_flags": F.col("_newest.dq_flags"),
        "record_hash": F.col("_start.record_hash"),
        "_repeated_at": F.col("_repeats"),
        **lineage,
    }
    return rows.select(*[values[name].alias(name) for name in silver_schema(contract).names], F.col("_do.action").alias(ACTION))
