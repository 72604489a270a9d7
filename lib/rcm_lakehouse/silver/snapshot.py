"""What a full snapshot implies: deletes of the current keys it lacks (pure)."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract


def absent_keys(present: DataFrame, current: DataFrame, contract: Contract) -> DataFrame:
    """Current versions whose key the snapshot of their table lacks.

    `present` are all judged rows of the snapshots, quarantined ones too (a bad row is no absence); `current` are the current versions that came
    from the same bronze tables. Keys of other hospitals are never among them.
    """
    place = [contract.key_column, "_source_table"]
    return current.join(present.select(*place).distinct(), place, how="left_anti")


def is_unreadable(contract: Contract) -> Column:
    """True for a judged row whose key cannot be told: a malformed line, or a NULL key. Any current key may be its own.

    A row without a key that a mapping or a rule leaves out on purpose is none, nor is a row of a database whose key is whole while
    another column's value does not fit its type.
    """
    has_no_key = F.col(contract.key_column).isNull() & (F.col("outcome") != "drop")
    # A malformed line has no values at all, but a key made of constants would look whole.
    is_malformed_line = F.col("_corrupt_record").isNotNull() & F.col("_source_row").isNotNull()
    return is_malformed_line | has_no_key


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
