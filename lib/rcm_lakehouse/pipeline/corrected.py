"""A file that is delivered again under its name: its rows stand where the rows stand that they correct, whatever their own stamps say."""

from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import CORRECTION, has_flag
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.silver.mapping import MICROSECOND


def corrected(lake: Lake, entity: Entity, part: Pending, rows: DataFrame, canonical: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """The part's canonical rows, those of a correction no earlier than where silver has their key from the deliveries before it under that name.

    At one time the later delivery wins: so a wrong stamp that is put right takes its row with it. What silver has from another file, or not at all, moves
    nothing. A row that brings back what its file told as deleted comes just after that delete. Of several rows of a key the newest alone is moved.
    A correction is a MERGE of its own (`next_round`), so that silver has what came before it; of other batches no question is asked. `canonical` maps
    bronze rows of the part.
    """
    if not part.is_correction:
        return rows
    before = sorted(int(row["last_batch_seq"]) for row in deliveries_before(lake, part).collect())
    stood = _stood(lake, entity, part, before, canonical) if before else None
    if stood is None:
        return rows
    key, own = entity.contract.key_column, F.struct("event_at", "is_delete")
    newest = F.max(F.when(~F.col("is_outside"), own)).over(Window.partitionBy(key))
    met = rows.join(stood, key, how="left").withColumn("_newest", newest)
    back = F.when(F.col("is_delete"), F.col("_gone_at")).otherwise(F.col("_gone_at") + F.expr(MICROSECOND))
    is_moved = F.col("event_at").isNotNull() & ~F.col("is_outside") & (own == F.col("_newest"))
    at = F.when(is_moved, F.greatest("event_at", "_stood_at", back)).otherwise(F.col("event_at"))
    return met.withColumn("event_at", at).select(*rows.columns)


def deliveries_before(lake: Lake, part: Pending) -> DataFrame:
    """Of the part's batches those that are another delivery of a file (`_again`), each with every batch that brought it before (`last_batch_seq`).

    A batch is one file. `source_table` is the part's own.
    """
    bronze, seq = lake.read(part.table).where(F.col("_batch_seq") <= part.high), F.col("_batch_seq")
    again = bronze.where((seq > part.low) & has_flag(CORRECTION)).select(F.col("_source_file").alias("_file"), seq.alias("_again")).distinct()
    met = bronze.join(F.broadcast(again), (F.col("_source_file") == F.col("_file")) & (seq < F.col("_again")))
    return met.select(F.lit(part.table.label).alias("source_table"), seq.alias("last_batch_seq"), "_again").distinct()


def _stood(
    lake: Lake, entity: Entity, part: Pending, batches: Sequence[int], canonical: Callable[[DataFrame], DataFrame]
) -> DataFrame | None:
    """By key where these batches have it in silver: the newest version that they began or time at which they said it again, and delete; None without any."""
    key, nothing = entity.contract.key_column, F.lit(None).cast("timestamp")
    is_theirs = (F.col("_source_table") == part.table.label) & F.col("_batch_seq").isin(list(batches))
    told = list[DataFrame]()
    if lake.moved_past(entity.silver, 0):
        versions = lake.read(entity.silver)
        told.append(versions.where(is_theirs).select(key, F.col("effective_from").alias("_stood_at"), nothing.alias("_gone_at")))
        # A version does not keep who said the same again.
        own = canonical(lake.read(part.table).where(F.col("_batch_seq").isin(list(batches)))).where(~F.col("is_outside") & ~F.col("is_delete"))
        said = _merged(lake, entity, own).select(key, F.col("event_at").alias("_stood_at")).distinct()
        repeats = versions.select(key, F.explode("_repeated_at").alias("_stood_at"))
        told.append(repeats.join(said, [key, "_stood_at"], how="left_semi").select(key, "_stood_at", nothing.alias("_gone_at")))
    if lake.moved_past(entity.tombstones, 0):
        told.append(lake.read(entity.tombstones).where(is_theirs).select(key, nothing.alias("_stood_at"), F.col("deleted_at").alias("_gone_at")))
    both = reduce(DataFrame.unionByName, told) if told else None
    return None if both is None else both.groupBy(key).agg(F.max("_stood_at").alias("_stood_at"), F.max("_gone_at").alias("_gone_at"))


def _merged(lake: Lake, entity: Entity, rows: DataFrame) -> DataFrame:
    """Those of the canonical rows that do not wait in quarantine: they were merged, when they came or by a replay."""
    if not lake.moved_past(entity.quarantine, 0):
        return rows
    told = lake.read(entity.quarantine).groupBy("_load_id", "_row_hash").agg(F.max(F.col("event") == "replayed").alias("_is_merged"))
    return rows.join(told.where(~F.col("_is_merged")), ["_load_id", "_row_hash"], how="left_anti")
