"""Where each bronze table stands, read back from its rows: two queries for all tables together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.windows import DIGITS, Kind
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

# Rows that are no proof of how far the live watermark came.
UNCOUNTED_FLAGS = ("future_watermark", "backfill", "reconciled")


@dataclass(frozen=True)
class BronzeState:
    """What the rows of one bronze table say.

    `batch_seq` 0 means no row yet. `watermark_before` and `highest` are typed text: the state carried by the newest batch and
    the highest value in it; a reset row carries the new state in `watermark_before` and makes `is_reset` true. The snapshot
    pair (rows, sum of row hashes) describes the newest batch of a full load; `window_high` is the end that the newest batch carries,
    `source_hash` the hash of its file.
    Where the table was put back `batch_seq` is what it had come to, and `lacks` how many of these batches it does not have.
    """

    batch_seq: int = 0
    watermark_before: str | None = None
    highest: object = None
    is_reset: bool = False
    snapshot_rows: int = 0
    snapshot_sum: int = 0
    window_high: str | None = None
    lacks: int = 0
    source_hash: str | None = None


@dataclass(frozen=True)
class Reset:
    """A watermark before and after a named reset, as canonical text; None is the beginning."""

    before: str | None
    after: str | None


def hash_sum() -> Column:
    """Order-free sum of the row hashes, exact: two frames with equal rows have equal sums."""
    return F.coalesce(F.sum(F.conv(F.substring("_row_hash", 1, 15), 16, 10).cast("decimal(38,0)")), F.lit(0).cast("decimal(38,0)"))


def read_states(lake: Lake, tables: Mapping[Table, str | None]) -> dict[Table, BronzeState]:
    """The state of existing bronze tables; the mapping's value is the watermark column, None for full loads and files."""
    by_label = {table.label: table for table in tables}
    # Both queries ask the same version of a table, which is looked up once.
    frames = {table: lake.read(table) for table in tables}
    heads = newest_batches(frames)
    parts = [_newest_batch(table.label, frames[table], heads[table.label], column) for table, column in tables.items() if heads[table.label] > 0]
    states = {table: BronzeState() for table in tables}
    if not parts:
        return states
    for row in reduce(DataFrame.unionByName, parts).collect():
        states[by_label[row["label"]]] = BronzeState(
            heads[row["label"]],
            row["watermark_before"],
            row["highest"],
            bool(row["is_reset"]),
            int(row["snapshot_rows"]),
            int(row["snapshot_sum"]),
            row["window_high"],
            source_hash=row["source_hash"],
        )
    return states


def newest_batches(frames: Mapping[Table, DataFrame]) -> dict[str, int]:
    """By label the newest batch of bronze tables, 0 for one without a row: one query for all."""
    if not frames:
        return {}
    parts = [
        rows.agg(F.coalesce(F.max("_batch_seq"), F.lit(0)).alias("head")).select(F.lit(table.label).alias("label"), "head") for table, rows in frames.items()
    ]
    return {row["label"]: int(row["head"]) for row in reduce(DataFrame.unionByName, parts).collect()}


def _newest_batch(label: str, of_table: DataFrame, head: int, column: str | None) -> DataFrame:
    rows = of_table.where(F.col("_batch_seq") == head)
    snapshot = [F.count(F.lit(1)), hash_sum()] if column is None else [F.lit(0).cast("bigint"), F.lit(0).cast("decimal(38,0)")]
    return rows.agg(
        F.max("_watermark_before").alias("watermark_before"),
        _highest(rows, column).alias("highest"),
        F.max(F.col("_change_type") == "watermark").alias("is_reset"),
        snapshot[0].alias("snapshot_rows"),
        snapshot[1].alias("snapshot_sum"),
        F.max("_window_high").cast("string").alias("window_high"),
        F.max("_source_file_hash").alias("source_hash"),
    ).select(F.lit(label).alias("label"), "*")


def comparable(value: Column, kind: Kind) -> Column:
    """A watermark as values that compare by size; text that holds no digits is NULL, as it is to the source."""
    if kind == "digits":
        return F.when(value.cast("string").rlike(DIGITS), value.try_cast("decimal(38,0)"))
    return value.try_cast("decimal(38,0)") if kind == "int" else value


def highest_read(lake: Lake, table: Table, column: str) -> str | None:
    """The highest value of a column in the whole of a bronze table, as far as it proves how far loads came; None when there is none. One query."""
    rows = lake.read(table)
    found = rows.agg(_highest(rows, column).alias("highest")).first()
    return None if found is None else found["highest"]


def _highest(rows: DataFrame, column: str | None) -> Column:
    is_data = F.col("_change_type") == "upsert"
    uncounted = F.coalesce(F.arrays_overlap("_flags", F.array(*map(F.lit, UNCOUNTED_FLAGS))), F.lit(False))
    value = _comparable(rows, column)
    return F.lit(None).cast("string") if value is None else F.max(F.when(is_data & ~uncounted, value)).cast("string")


def _comparable(rows: DataFrame, column: str | None) -> Column | None:
    """A watermark column as values that compare by size; None where there is no such column (yet)."""
    field = next((field for field in rows.schema if column is not None and field.name.lower() == column.lower()), None)
    if field is None:
        return None
    value = F.col(f"`{field.name}`")
    return comparable(value, "digits") if field.dataType.simpleString() == "string" else value
