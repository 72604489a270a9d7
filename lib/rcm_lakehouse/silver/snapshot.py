"""Deletes that a full snapshot implies: current keys it no longer has (pure)."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract


def absent_keys(present: DataFrame, current: DataFrame, contract: Contract) -> DataFrame:
    """Current versions whose key the snapshot lacks.

    `present` are all judged rows of the snapshot, quarantined ones too (a bad row is no absence); `current` are the current
    versions that came from the same bronze table. Keys of other hospitals are never among them.
    """
    keys = present.select(contract.key_column).distinct()
    return current.join(keys, contract.key_column, how="left_anti")


def is_unreadable(contract: Contract) -> Column:
    """True for a judged row whose key cannot be told: a malformed line, or a NULL key. Any current key may be its own.

    A row without a key that a mapping or a rule leaves out on purpose is none.
    """
    has_no_key = F.col(contract.key_column).isNull() & (F.col("outcome") != "drop")
    return F.col("_corrupt_record").isNotNull() | has_no_key


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
