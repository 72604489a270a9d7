"""A file that is delivered again under its name: its rows stand where the rows stood that they correct, whatever their own stamps say."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import has_flag
from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.silver.mapping import MICROSECOND

CORRECTION = "correction"
_PLACE = ("_source_file", "_batch_seq")
_STOOD = "stood_at:timestamp,stood_seq:bigint"
_LINE = f"struct<{_STOOD},is_gone:boolean,line:array<struct<_batch_seq:bigint,_last:struct<event_at:timestamp,is_delete:boolean>,{_STOOD}>>>"


def corrected(
    ctx: RunContext, lake: Lake, contract: Contract, part: Pending, rows: DataFrame, canonical: Callable[[DataFrame], DataFrame], path: str
) -> DataFrame:
    """The part's canonical rows, those of a correction no earlier than where the deliveries before it under that name had their key.

    At one time the later delivery wins: so a wrong stamp that is put right takes its row with it. Where another file had the key at that very time since,
    the wrong row is covered already and the correction has its own time; what another file says later stays later. One that brings back what its file
    told as deleted comes just after that delete. Of several rows of a key in one file the newest alone is moved. Snapshots have their own order, and of
    a thing that many rows name (`deletes: ignore`) one row says nothing. `canonical` maps bronze rows of the part; what is found is staged at `path`. One
    query a part of files, which finds whether there are corrections, and one where there are, whether any is to be moved.
    """
    is_file = isinstance(ctx.project.connections.get(part.row.database), FilesConnection)
    if not is_file or part.row.loadtype == "Full" or part.mapping.deletes == "ignore" or not contract.sequence_by:
        return rows
    bronze, seq, key = lake.read(part.table), F.col("_batch_seq"), contract.key_column
    known = bronze.where(seq <= part.high)
    names = [row["_source_file"] for row in known.where((seq > part.low) & has_flag(CORRECTION)).select("_source_file").distinct().collect()]
    if not names:
        return rows
    of_files = canonical(known.where(F.col("_source_file").isin(names))).where(~F.col("is_outside") & F.col("event_at").isNotNull())
    moved = lake.staged(path, _moved(of_files, key).where(seq > part.low))
    if not moved.limit(1).collect():
        return rows
    others = canonical(known).where(~F.col("is_outside")).join(F.broadcast(moved.select(key).distinct()), key, how="left_semi")
    since = others.select(key, F.col("_source_file").alias("_other"), F.col("_batch_seq").alias("_other_seq"), F.col("event_at").alias("stood_at"))
    is_covered = (F.col("_other") != F.col("_source_file")) & (F.col("_other_seq") > F.col("stood_seq")) & (F.col("_other_seq") < seq)
    covered = moved.join(since, [key, "stood_at"]).where(is_covered).select(key, *_PLACE).distinct()
    left = moved.join(covered, [key, *_PLACE], how="left_anti").drop("stood_seq")
    met = rows.join(left, [key, *_PLACE], how="left")
    is_moved = F.col("stood_at").isNotNull() & (F.struct("event_at", "is_delete") == F.col("_last"))
    return met.withColumn("event_at", F.when(is_moved, F.col("stood_at")).otherwise(F.col("event_at"))).select(*rows.columns)


def _moved(of_files: DataFrame, key: str) -> DataFrame:
    """By key, file and batch where its newest row (`_last`) is to stand (`stood_at`), where that is later than its own time, and since which batch."""
    newest = of_files.groupBy(key, *_PLACE).agg(F.max(F.struct("event_at", "is_delete")).alias("_last"))
    lines = newest.groupBy(key, "_source_file").agg(F.array_sort(F.collect_list(F.struct("_batch_seq", "_last"))).alias("line"))
    begin = F.struct(F.lit(None).alias("stood_at"), F.lit(None).alias("stood_seq"), F.lit(False).alias("is_gone"), F.array().alias("line")).cast(_LINE)
    placed = lines.withColumn("line", F.explode(F.aggregate("line", begin, _next, lambda done: done["line"])))
    told = placed.select(key, "_source_file", "line._batch_seq", "line._last", "line.stood_at", "line.stood_seq")
    return told.where(F.col("stood_at") > F.col("_last.event_at"))


def _next(before: Column, delivery: Column) -> Column:
    """The fold over the deliveries of a file: each stands at its own time or where the one before stood; what comes back after a delete, just after it."""
    own, is_delete = delivery["_last"]["event_at"], delivery["_last"]["is_delete"]
    base = F.when(before["is_gone"] & ~is_delete, before["stood_at"] + F.expr(MICROSECOND)).otherwise(before["stood_at"])
    is_own = base.isNull() | (own >= base)
    told = F.struct(delivery["_batch_seq"], delivery["_last"], base.alias("stood_at"), before["stood_seq"].alias("stood_seq"))
    place = F.when(is_own, own).otherwise(base).alias("stood_at")
    since = F.when(is_own, delivery["_batch_seq"]).otherwise(before["stood_seq"]).alias("stood_seq")
    return F.struct(place, since, is_delete.alias("is_gone"), F.concat(before["line"], F.array(told)).alias("line")).cast(_LINE)
