"""A file that is delivered again under its name: its rows stand where the rows stand that they correct, whatever their own stamps say."""

from collections.abc import Callable, Collection, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import CORRECTION, has_flag
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.quarantine import never_merged
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.silver.mapping import MICROSECOND
from rcm_lakehouse.silver.scd2 import RUN_TIME, SAID

Canonical = Callable[[Pending, DataFrame], DataFrame]
_SAID = ("_source_table", "_load_id", "_batch_seq")


def corrected(
    lake: Lake, entity: Entity, part: Pending, others: Sequence[Pending], rows: DataFrame, canonical: Canonical, scratch: str
) -> DataFrame:
    """The part's canonical rows, those of a correction no earlier than where silver has their key from the deliveries before it under that name.

    At one time the later delivery wins: so a wrong stamp that is put right takes its row with it. What another file or table said for that time since, what
    silver does not have, moves nothing. A row that brings back what its file told as deleted comes just after that delete. Of several rows of a key the
    newest alone is moved. One that says what its file said last of that key has the turn of that delivery (`_said`): it takes no time from what came between.
    A correction is a MERGE of its own (`next_round`), so that silver has what came before it; of other batches no question is asked. `others` are the other
    tables of the hospital that feed the entity, `canonical` maps bronze rows of a part, without those that a rule drops.
    """
    if not part.is_correction:
        return rows
    before = sorted(int(row["_batch_seq"]) for row in deliveries_before(lake, part).collect())
    if not before:
        return rows
    key = entity.contract.key_column
    # Asked three times below: mapped once.
    told = lake.staged(f"{scratch}/told/{part.table.name}", _told(lake, entity, part, others, canonical))
    # The part's own batch is in silver where an audit was put back that did not know that it was taken.
    is_own = (F.col("_source_table") == part.table.label) & F.col("_batch_seq").isin([*before, part.high])
    rows = _with_said(rows, told.where(is_own), key)
    stood = _stood(lake, entity, told, is_own, is_of_one=not others)
    if stood is None:
        return rows
    own = F.struct("event_at", "is_delete")
    newest = F.max(F.when(~F.col("is_outside"), own)).over(Window.partitionBy(key))
    met = rows.join(stood, key, how="left").withColumn("_newest", newest)
    back = F.when(F.col("is_delete"), F.col("_gone_at")).otherwise(F.col("_gone_at") + F.expr(MICROSECOND))
    is_moved = F.col("event_at").isNotNull() & ~F.col("is_outside") & (own == F.col("_newest"))
    at = F.when(is_moved, F.greatest("event_at", "_stood_at", back)).otherwise(F.col("event_at"))
    return met.withColumn("event_at", at).select(*rows.columns)


def deliveries_before(lake: Lake, part: Pending) -> DataFrame:
    """Of the part's batches those that are another delivery of a file (`_again`), each with every batch that brought it before (`_batch_seq`).

    A batch is one file. `_source_table` is the part's own.
    """
    bronze, seq = lake.read(part.table).where(F.col("_batch_seq") <= part.high), F.col("_batch_seq")
    again = bronze.where((seq > part.low) & has_flag(CORRECTION)).select(F.col("_source_file").alias("_file"), seq.alias("_again")).distinct()
    met = bronze.join(F.broadcast(again), (F.col("_source_file") == F.col("_file")) & (seq < F.col("_again")))
    return met.select(F.lit(part.table.label).alias("_source_table"), seq, "_again").distinct()


def _told(lake: Lake, entity: Entity, part: Pending, others: Sequence[Pending], canonical: Canonical) -> DataFrame:
    """What bronze has of the correction's keys from before it and silver took: key, row hash, `event_at`, `is_delete`, delivery, and its `_turn`.

    Of other tables what was loaded up to the run of the correction, so that a table built anew is told the same.
    """
    key, seq, is_row = entity.contract.key_column, F.col("_batch_seq"), F.col("_change_type").isin("upsert", "delete")
    own = lake.read(part.table).where((seq == part.high) & is_row)
    keys = canonical(part, own).select(key).distinct()
    run = own.agg(F.max(_run("_load_id")).alias("_until"))
    found = [canonical(part, lake.read(part.table).where((seq < part.high) & is_row))]
    for other in others:
        found.append(canonical(other, lake.read(other.table).where(is_row)).crossJoin(F.broadcast(run)).where(_run("_load_id") <= F.col("_until")))
    columns = (key, "_row_hash", "event_at", "is_delete", *_SAID)
    told = reduce(DataFrame.unionByName, (rows.where(~F.col("is_outside") & F.col("event_at").isNotNull()).select(*columns) for rows in found))
    told = told.join(keys, key, how="left_semi")
    if lake.moved_past(entity.quarantine, 0):
        # What waits in quarantine was not merged; what does not was, when it came or by a replay.
        told = told.join(never_merged(lake.read(entity.quarantine)), ["_source_table", "_load_id", "_row_hash"], how="left_anti")
    tables = [part.table, *(other.table for other in others)]
    files = (lake.read(table).select(F.lit(table.label).alias("_source_table"), "_batch_seq", "_source_file").distinct() for table in tables)
    return _with_turn(told.join(reduce(DataFrame.unionByName, files), ["_source_table", "_batch_seq"], how="left"), key).drop("_source_file")


def _with_turn(told: DataFrame, key: str) -> DataFrame:
    """With the delivery (`_turn`: load, seq) since which a file says this of the key without a break: to repeat it is no news."""
    own: list[Column | str] = ["_source_table", F.coalesce("_source_file", F.concat_ws("/", F.lit("batch"), "_batch_seq")), key]
    of_key, of_row = Window.partitionBy(*own).orderBy("_batch_seq"), Window.partitionBy(*own, "_row_hash").orderBy("_batch_seq")
    # Deliveries that have the key and those that say this of it count alike while there is no break.
    marked = told.withColumn("_break", F.dense_rank().over(of_key) - F.dense_rank().over(of_row))
    since = F.min(F.struct(F.col("_batch_seq").alias("seq"), F.col("_load_id").alias("load"))).over(Window.partitionBy(*own, "_row_hash", "_break"))
    return marked.withColumn("_since", since).withColumn("_turn", F.struct("_since.load", "_since.seq")).drop("_break", "_since")


def _run(load: str) -> Column:
    return F.substring(load, 1, RUN_TIME)


def _with_said(rows: DataFrame, own: DataFrame, key: str) -> DataFrame:
    """The rows with the turn in which their file began to say this of their key; NULL where it said something else last, or nothing."""
    last = own.groupBy(key).agg(F.max("_batch_seq").alias("_batch_seq"))
    said = own.join(last, [key, "_batch_seq"], how="left_semi").select(key, "_row_hash", F.col("_turn").alias(SAID)).distinct()
    return rows.join(said, [key, "_row_hash"], how="left").select(*rows.columns, SAID)


def _stood(lake: Lake, entity: Entity, told: DataFrame, is_own: Column, *, is_of_one: bool) -> DataFrame | None:
    """By key the newest time of a version or of its repetition (`_stood_at`), and of a delete (`_gone_at`), of which the file was the last to tell news.

    A version and a tombstone name the delivery that told of them first; who said the same again stands in bronze. None while silver has nothing.
    """
    key, place = entity.contract.key_column, (entity.contract.key_column, "event_at", "is_delete")
    times, silver = list[DataFrame](), list[DataFrame]()
    if lake.moved_past(entity.silver, 0):
        versions = lake.read(entity.silver).withColumn("is_delete", F.lit(False))
        begun = versions.select(key, F.col("effective_from").alias("event_at"), "is_delete", *_SAID)
        silver.append(begun)
        times += [begun.select(*place), versions.select(key, F.explode("_repeated_at").alias("event_at"), "is_delete")]
    if lake.moved_past(entity.tombstones, 0):
        gone = lake.read(entity.tombstones).select(key, F.col("deleted_at").alias("event_at"), F.lit(True).alias("is_delete"), *_SAID)
        silver.append(gone)
        times.append(gone.select(*place))
    if not silver:
        return None
    turn = F.struct(F.lit("").alias("run") if is_of_one else _run("_turn.load").alias("run"), F.col("_turn.seq").alias("seq"))
    own_turn = F.struct(F.col("_load_id").alias("load"), F.col("_batch_seq").alias("seq")).alias("_turn")
    every = reduce(DataFrame.unionByName, [told.select(*place, *_SAID, "_turn"), *(rows.select(*place, *_SAID, own_turn) for rows in silver)])
    last = every.groupBy(*place).agg(F.max_by(F.struct(*_SAID), turn).alias("_last")).select(*place, "_last.*").where(is_own)
    stands = last.join(reduce(DataFrame.unionByName, times).distinct(), list(place), how="left_semi")
    at = [F.max(F.when(F.col("is_delete") == is_gone, F.col("event_at"))).alias(name) for name, is_gone in (("_stood_at", False), ("_gone_at", True))]
    return stands.groupBy(key).agg(*at)


def answered(lake: Lake, tables: Collection[Pending]) -> DataFrame:
    """(`_source_table`, `_batch_seq`) of the batches whose file was delivered again under its name since, up to the part's last batch."""
    every = (Pending(part.row, part.mapping, 0, part.high) for part in tables)
    return reduce(DataFrame.unionByName, (deliveries_before(lake, part) for part in every)).select("_source_table", "_batch_seq").distinct()
