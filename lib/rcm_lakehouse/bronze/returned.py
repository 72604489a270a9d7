"""Rows that come after what bronze knows of their key, whatever their own time says: its deletes, and a row stamped later that is no more (pure)."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# A flag of a row, followed by a UTC time, before which the row does not count: the first moment after the deletes of its key, or after the row in
# whose place a comparison found it.
RETURNED = "returned:"
MICROSECOND = "INTERVAL 0.000001 SECOND"
_AFTER = "_after_delete"


def with_returned(rows: DataFrame, bronze: DataFrame, key: Sequence[str], deleted_at: Column) -> DataFrame:
    """Add `returned:<time>` to `_flags` of rows whose key has a delete in bronze; all other rows are as they were.

    A row restored with its old stamp, or entered again on the day of its delete, would else lose to that delete for ever. The flag lies in
    the row, so that a batch judged twice is judged alike; a further delete of the key carries it too. `deleted_at` is the UTC time of a
    delete row, no earlier than silver takes it to be. A NULL in the key is equal to nothing; blanks around it are not told apart, for silver's
    keys have none.
    """
    parts = [_key_part(bronze, name).alias(f"_deleted_{i}") for i, name in enumerate(key)]
    deletes = bronze.where(F.col("_change_type") == "delete").select(*parts, (deleted_at + F.expr(MICROSECOND)).alias(_AFTER))
    last = deletes.groupBy(*[f"_deleted_{i}" for i in range(len(key))]).agg(F.max(_AFTER).alias(_AFTER))
    same = reduce(lambda one, other: one & other, [_key_part(rows, name) == F.col(f"_deleted_{i}") for i, name in enumerate(key)])
    met = rows.join(last, same, how="left").withColumn("_flags", flagged_from(F.col("_flags"), F.col(_AFTER)))
    return met.select(*[F.col(f"`{name}`") for name in rows.columns])


def _key_part(rows: DataFrame, name: str) -> Column:
    column = F.col(f"`{name}`")
    is_text = next(field for field in rows.schema if field.name == name).dataType.typeName() == "string"
    return F.trim(column) if is_text else column


def flagged_from(flags: Column, moment: Column) -> Column:
    """The flags of a row with `returned:<moment>` added; as they are where the moment is NULL."""
    flag = F.concat(F.lit(RETURNED), moment.cast("string"))
    return F.when(moment.isNotNull(), F.array_append(F.coalesce(flags, F.array().cast("array<string>")), flag)).otherwise(flags)


def after_deletes() -> Column:
    """The latest time in the flags `returned:<time>` of a row; NULL for rows without one."""
    told = F.array_max(F.filter("_flags", lambda flag: flag.startswith(RETURNED)))
    return F.substring(told, len(RETURNED) + 1, len("2026-01-31 08:30:00.000000")).cast("timestamp")
