"""Rows that are what the source has now, whatever their own time says: what a comparison with it found, and what is back after a delete (pure)."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import COMPARISON, PRESENT
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.silver.mapping import MICROSECOND
from rcm_lakehouse.silver.scd2 import History

IS_FOUND = "_is_found"


def is_found() -> Column:
    """True for a canonical row that a comparison found: deleted, or there as the only row of its key."""
    return (F.col("_change_type") == "delete") | F.coalesce(F.array_contains("_flags", PRESENT), F.lit(False))


def placed(events: DataFrame, history: History, contract: Contract) -> DataFrame:
    """Events in the order of what their source had, where their own times would say otherwise; `event_at` alone is changed.

    A row whose key a comparison found deleted in an earlier batch counts from just after that delete: it was restored with its old stamp, or
    entered again on that day. A row that a comparison found (`_is_found`) counts from just after what silver knows of its key from earlier batches of
    its table; where times are days (`is_day`) at that very day, for there the later delivery wins, and later ones of that day are to win over
    it. A delete that was found is no earlier than what silver knows. Of several rows of a key in one batch the newest alone is moved: the others are its
    past. A batch that is taken twice before its MERGE gives the same times: what bears its own number or a later one says nothing.
    """
    batch = [contract.key_column, "_source_table", "_batch_seq"]
    known = _known(events.select(*batch).distinct(), history, contract)
    if known is None:
        return events
    place = F.struct("event_at", "is_delete")
    marked = events.withColumn("_newest", F.max(place).over(Window.partitionBy(*batch))).join(known, batch, how="left")
    after_delete = F.col("_deleted_at") + F.expr(MICROSECOND)
    is_found = F.coalesce(F.col(IS_FOUND), F.lit(False))
    in_place = F.when(F.coalesce("is_day", F.lit(False)), F.col("_known_at")).otherwise(F.col("_known_at") + F.expr(MICROSECOND))
    of_row = F.greatest("event_at", after_delete, F.when(is_found & (F.col("_known_at") > F.col("event_at")), in_place))
    of_delete = F.when(is_found, F.greatest("event_at", "_known_at")).otherwise(F.col("event_at"))
    moved = F.when(F.col("is_delete"), of_delete).when(place == F.col("_newest"), of_row).otherwise(F.col("event_at"))
    return marked.withColumn("event_at", moved).select(*events.columns)


def _known(batches: DataFrame, history: History, contract: Contract) -> DataFrame | None:
    """By key, table and batch: the newest delete that an earlier comparison found, and the newest time of any version of an earlier batch."""
    batch: list[str | Column] = [contract.key_column, "_source_table", F.col("_batch_seq").alias("_seq")]
    nothing, times = F.lit(None).cast("timestamp"), list[DataFrame]()
    if history.tombstones is not None:
        deletes = history.tombstones.where(F.col("_load_id").endswith(COMPARISON))
        times.append(deletes.select(*batch, F.col("deleted_at").alias("_deleted_at"), nothing.alias("_known_at")))
    if history.versions is not None:
        newest = F.greatest("effective_from", F.array_max("_repeated_at"))
        times.append(history.versions.select(*batch, nothing.alias("_deleted_at"), newest.alias("_known_at")))
    if not times:
        return None
    told = times[0] if len(times) == 1 else times[0].unionByName(times[1])
    met = batches.join(told, [contract.key_column, "_source_table"], how="inner").where(F.col("_seq") < F.col("_batch_seq"))
    return met.groupBy(*batches.columns).agg(F.max("_deleted_at").alias("_deleted_at"), F.max("_known_at").alias("_known_at"))
