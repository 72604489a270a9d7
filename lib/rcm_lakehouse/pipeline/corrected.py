"""A file that is delivered again under its name: its rows stand where the rows stood that they correct, whatever their own stamps say."""

from collections.abc import Callable

from pyspark.sql import DataFrame, Window
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


def corrected(
    ctx: RunContext, lake: Lake, contract: Contract, part: Pending, rows: DataFrame, canonical: Callable[[DataFrame], DataFrame]
) -> DataFrame:
    """The part's canonical rows, those of a correction no earlier than what the deliveries before it under that name said of their key.

    At one time the later delivery wins: so a wrong stamp that is put right takes its row with it, and what another file says later stays later. One that
    brings back what its file told as deleted comes just after that delete. Of several rows of a key in one file the newest alone is moved. Snapshots
    have their own order, and of a thing that many rows name (`deletes: ignore`) one row says nothing. `canonical` maps bronze rows of the part. One
    query a part of files, which finds whether there are any.
    """
    is_file = isinstance(ctx.project.connections.get(part.row.database), FilesConnection)
    if not is_file or part.row.loadtype == "Full" or part.mapping.deletes == "ignore" or not contract.sequence_by:
        return rows
    bronze, seq = lake.read(part.table), F.col("_batch_seq")
    again = bronze.where((seq > part.low) & (seq <= part.high) & has_flag(CORRECTION)).select("_source_file").distinct().collect()
    if not again:
        return rows
    of_files = bronze.where((seq <= part.high) & F.col("_source_file").isin([row["_source_file"] for row in again]))
    key = contract.key_column
    at = F.when(F.col("is_delete"), F.col("event_at") + F.expr(MICROSECOND)).otherwise(F.col("event_at"))
    before = Window.partitionBy(key, "_source_file").orderBy("_batch_seq").rangeBetween(Window.unboundedPreceding, -1)
    own = F.struct("event_at", "is_delete")
    told = canonical(of_files).where(~F.col("is_outside")).select(key, *_PLACE, own.alias("_last"), F.max(at).over(before).alias("_stood_at"))
    stood = told.groupBy(key, *_PLACE).agg(F.max("_last").alias("_last"), F.max("_stood_at").alias("_stood_at"))
    met = rows.join(stood, [key, *_PLACE], how="left")
    is_moved = F.col("event_at").isNotNull() & has_flag(CORRECTION) & (own == F.col("_last"))
    return met.withColumn("event_at", F.when(is_moved, F.greatest("event_at", "_stood_at")).otherwise(F.col("event_at"))).select(*rows.columns)
