"""What a full snapshot implies: deletes of the current keys it lacks, and the return of keys that an earlier one lacked (pure)."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.silver.mapping import MICROSECOND


def absent_keys(present: DataFrame, current: DataFrame, contract: Contract) -> DataFrame:
    """Current versions whose key the snapshot lacks.

    `present` are all judged rows of the snapshot, quarantined ones too (a bad row is no absence); `current` are the current
    versions that came from the same bronze table. Keys of other hospitals are never among them.
    """
    keys = present.select(contract.key_column).distinct()
    return current.join(keys, contract.key_column, how="left_anti")


def is_unreadable(contract: Contract) -> Column:
    """True for a judged row whose key cannot be told: a malformed line, or a NULL key. Any current key may be its own.

    A row without a key that a mapping or a rule leaves out on purpose is none, nor is a row of a database whose key is whole while
    another column's value does not fit its type.
    """
    has_no_key = F.col(contract.key_column).isNull() & (F.col("outcome") != "drop")
    # A malformed line has no values at all, but a key made of constants would look whole.
    is_malformed_line = F.col("_corrupt_record").isNotNull() & F.col("_source_row").isNotNull()
    return is_malformed_line | has_no_key


def after_earlier_deletes(rows: DataFrame, tombstones: DataFrame, contract: Contract) -> DataFrame:
    """Canonical rows of one snapshot, in which a key that has an earlier delete is back: its row counts from just after that delete at the earliest.

    A row restored with its old stamp would else lose to the delete for ever. `tombstones` are the deletes that earlier deliveries of the
    same bronze table brought; with the same ones a later snapshot with the same row gives the same time, and so no new version. Of several
    rows of a key the newest alone is moved, and none when that one is a delete: the older ones are its past. NULL times and keys stay NULL.
    """
    key = contract.key_column
    deleted = tombstones.groupBy(key).agg((F.max("deleted_at") + F.expr(MICROSECOND)).alias("_after_delete"))
    place = F.struct("event_at", "is_delete")
    newest = F.max(F.when(~F.col("is_outside"), place)).over(Window.partitionBy(key))
    met = rows.join(deleted, key, how="left").withColumn("_newest", newest)
    is_back = ~F.col("is_outside") & ~F.col("is_delete") & F.col("event_at").isNotNull() & (place == F.col("_newest"))
    moved = F.when(is_back, F.greatest("event_at", "_after_delete")).otherwise(F.col("event_at"))
    return met.withColumn("event_at", moved).select(*rows.columns)


def as_delete_events(absent: DataFrame, contract: Contract, *, at: str, load_id: str, batch_seq: int) -> DataFrame:
    """Delete events at the snapshot's time (UTC text) for the absent keys, shaped like canonical rows."""
    columns = [column.name for column in contract.columns]
    # A clock that stepped back must not end a version before it began.
    time = F.greatest(F.lit(at).cast("timestamp"), F.col("effective_from"))
    return absent.select(
        contract.key_column,
        "data_source",
        *columns,
        time.alias("event_at"),
        F.lit(True).alias("is_delete"),
        "dq_flags",
        "_source_table",
        F.lit(load_id).alias("_load_id"),
        F.lit(batch_seq).cast("bigint").alias("_batch_seq"),
        F.lit(None).cast("bigint").alias("_source_row"),
        F.lit(None).cast("string").alias("_row_hash"),
        F.current_timestamp().alias("_ingested_at"),
    )
