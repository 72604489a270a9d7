"""Lineage columns and the row hash that every bronze row carries (pure)."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType, TimestampType

LINEAGE = StructType(
    [
        StructField("_load_id", StringType()),
        StructField("_batch_seq", LongType()),
        StructField("_window_high", TimestampType()),
        StructField("_watermark_before", StringType()),
        StructField("_source_file", StringType()),
        StructField("_source_file_hash", StringType()),
        StructField("_source_row", LongType()),
        StructField("_row_hash", StringType()),
        StructField("_change_type", StringType()),
        StructField("_flags", ArrayType(StringType())),
        StructField("_corrupt_record", StringType()),
        StructField("_ingested_at", TimestampType()),
    ]
)
LINEAGE_NAMES = tuple(LINEAGE.names)
# Names that the way to silver adds: a source column called so would be overwritten in silence.
RESERVED = frozenset([*LINEAGE_NAMES, "data_source", "_source_table", "_salt", "_counts", "_rank", "_known_hash", "_empties"])
# A field's metadata: true for times that are instants (stored in UTC), absent for the wall clock of the source.
IS_INSTANT = "rcm.isInstant"
# A flag of a row, followed by a column: the source held a day that is none (0000-00-00), and bronze holds NULL.
ZERO_DATE = "zero_date:"
# The same of a number that is none (NaN in a decimal, which Spark's decimals cannot hold).
NOT_A_NUMBER = "not_a_number:"
# The same of a day or time that is infinite; bronze holds the last day there is, 9999-12-31, or the first, in January of the year 1.
INFINITE = "infinite:"
# All flags of values that are none, by their beginning: bronze holds NULL or a twin for them, so the flag alone tells them from such a value.
_OF_VALUES = (ZERO_DATE, NOT_A_NUMBER, INFINITE)
# A flag of rows that a comparison with the source brought, deletes among them; and of those that are the only row of their key there: what the source
# has now, whatever their own time says.
RECONCILED_FLAG = "reconciled"
PRESENT = "present"
# A flag of rows of a file that was delivered before under its name, with other content.
CORRECTION = "correction"
# The end of a comparison's load id.
COMPARISON = "-r"
# Differ between two runs over the same input; everything else must be equal.
VOLATILE = ("_load_id", "load_id", "_ingested_at", "_window_high", "_salt", "seen_at")

# Times as JSON to the microsecond: by default it keeps milliseconds, and two values within one would look alike.
JSON_TIMES = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"}


def has_flag(name: str, flags: str = "_flags") -> Column:
    """True for a row that bears this flag; false, never NULL, for one without any."""
    return F.coalesce(F.array_contains(flags, name), F.lit(False))


def is_of_comparison() -> Column:
    """True for a row, version or tombstone that a comparison with the source brought, told by its load."""
    return F.col("_load_id").endswith(COMPARISON)


def source_columns(rows: DataFrame) -> list[str]:
    """Columns that came from the source, in their order."""
    return [name for name in rows.columns if name not in LINEAGE_NAMES]


def row_hash(columns: Sequence[str]) -> Column:
    """SHA-256 over the source columns by name; NULL, empty text and neighbouring values never look alike.

    JSON leaves a NULL column out, so a column added later, all NULL, changes no hash. The text of a malformed line counts, and so does
    what a flag says of a value: a day that is none is another than a missing one.
    """
    ordered = sorted(columns, key=str.lower)
    parts = [F.col(f"`{name}`").alias(name.lower()) for name in ordered]
    of_values = F.array_sort(F.filter("_flags", lambda flag: reduce(or_, [flag.startswith(kind) for kind in _OF_VALUES])))
    told = F.when(F.size(of_values) > 0, of_values).alias("_flags")
    return F.sha2(F.to_json(F.struct(*parts, F.col("_corrupt_record").alias("_corrupt_record"), told), JSON_TIMES), 256)


def with_lineage(
    rows: DataFrame, *, load_id: str, batch_seq: int | Column, window_high: str, watermark_before: str | None, change_type: str = "upsert"
) -> DataFrame:
    """Add the lineage columns; those that a file reader or a window has set already are kept.

    `batch_seq` is a number, or a column of `rows`. `window_high` is UTC text; the time of ingestion is the session's clock.
    """
    names = source_columns(rows)
    own: dict[str, Column] = {
        "_load_id": F.lit(load_id),
        "_batch_seq": F.lit(batch_seq).cast("bigint"),
        "_window_high": F.lit(window_high).cast("timestamp"),
        "_watermark_before": F.lit(watermark_before).cast("string"),
        "_change_type": F.col("_change_type") if "_change_type" in rows.columns else F.lit(change_type),
        "_ingested_at": F.current_timestamp(),
    }
    absent = {field.name: F.lit(None).cast(field.dataType) for field in LINEAGE if field.name not in rows.columns and field.name not in own}
    based = rows.withColumns({name: column for name, column in absent.items() if name != "_row_hash"})
    hashed = based.withColumn("_row_hash", row_hash(names))
    return hashed.withColumns(own).select(*[F.col(f"`{name}`") for name in names], *LINEAGE_NAMES)
