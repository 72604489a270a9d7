"""Columns of `audit.load_logs` (terminal rows only) and `audit.runs` (start marks)."""

from dataclasses import asdict, dataclass, field
from datetime import datetime

from pyspark.sql.types import ArrayType, BooleanType, DoubleType, LongType, StringType, StructField, StructType, TimestampType

STATUSES = (
    "SUCCESS",
    "NOOP",
    "HELD",
    "FAILED",
    "SKIPPED",
    "SKIPPED_UPSTREAM",
    "SKIPPED_DUPLICATE",
    "WAITING",
    "OUTSIDE_HOURS",
    "CANCELLED",
    "ABANDONED",
    "RESET",
)


@dataclass
class LoadLog:
    """One attempt of one step. Counts are source rows; NULL where a step has no such count.

    Bronze: rows_read = rows_written + rows_duplicate + rows_dropped; rows_late of the written ones lie below the watermark. Silver,
    counted per bronze load: rows_read = rows_written + rows_unchanged + rows_duplicate + rows_quarantined + rows_dropped; written
    ones begin, end, replace or take away a version, and `numberofrowscopied` is their number. `consumed` maps a bronze table to the newest
    `_batch_seq` that silver has taken (with `, deletes` behind its name the newest snapshot whose deletes were settled, where tables share an entity), and
    the tombstones to their version then; `fingerprint` names the inputs a gold table was built from, `parameters` (JSON) the values of the
    parameters it was built for. `is_backfill` is true for a load of a range that a person named, which is no delivery of its feed, else NULL.
    Times are UTC.
    """

    id: str
    data_source: str | None = None
    tablename: str | None = None
    numberofrowscopied: int | None = None
    watermarkcolumnname: str | None = None
    loaddate: datetime | None = None
    run_id: str = ""
    layer: str = ""
    target: str | None = None
    status: str = "SUCCESS"
    attempt: int = 1
    load_id: str | None = None
    batch_seq: int | None = None
    window_low: str | None = None
    window_high: str | None = None
    watermark_before: str | None = None
    watermark_after: str | None = None
    rows_read: int | None = None
    rows_written: int | None = None
    rows_unchanged: int | None = None
    rows_duplicate: int | None = None
    rows_quarantined: int | None = None
    rows_dropped: int | None = None
    rows_late: int | None = None
    table_id: str | None = None
    table_version: int | None = None
    consumed: str | None = None
    fingerprint: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    error_class: str | None = None
    message: str | None = None
    is_retryable: bool | None = None
    warnings: list[str] = field(default_factory=list)
    config_hash: str | None = None
    code_version: str | None = None
    is_backfill: bool | None = None
    parameters: str | None = None

    def as_row(self) -> dict[str, object]:
        """The row as a mapping in column order."""
        return asdict(self)


_TYPES = {
    "numberofrowscopied": LongType(),
    "loaddate": TimestampType(),
    "attempt": LongType(),
    "batch_seq": LongType(),
    "table_version": LongType(),
    "started_at": TimestampType(),
    "finished_at": TimestampType(),
    "seconds": DoubleType(),
    "is_retryable": BooleanType(),
    "is_backfill": BooleanType(),
    "warnings": ArrayType(StringType()),
}

LOAD_LOGS = StructType(
    [
        StructField(name, _TYPES.get(name, LongType() if name.startswith("rows_") else StringType()))
        for name in LoadLog.__dataclass_fields__
    ]
)

PLANNED = StructType(
    [
        StructField("load", StringType()),
        StructField("target", StringType()),
        StructField("load_id", StringType()),
        StructField("batch_seq", LongType()),
        StructField("window_low", StringType()),
        StructField("window_high", StringType()),
    ]
)

RUNS = StructType(
    [
        StructField("run_id", StringType()),
        StructField("started_at", TimestampType()),
        StructField("host", StringType()),
        StructField("process", LongType()),
        StructField("actor", StringType()),
        StructField("environment", StringType()),
        StructField("as_of_date", StringType()),
        StructField("arguments", StringType()),
        StructField("config_hash", StringType()),
        StructField("code_version", StringType()),
        StructField("windows", ArrayType(PLANNED)),
    ]
)
