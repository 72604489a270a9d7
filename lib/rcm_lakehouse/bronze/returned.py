"""Rows whose key was deleted before: what the source shows after a delete happened after it, whatever the row's own time says (pure)."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# A flag of a row, followed by a UTC time: the first moment after the deletes of its key, before which the row does not count.
RETURNED = "returned:"
MICROSECOND = "INTERVAL 0.000001 SECOND"
_AFTER = "_after_delete"


def with_returned(rows: DataFrame, bronze: DataFrame, key: Sequence[str], deleted_at: Column) -> DataFrame:
    """Add `returned:<time>` to `_flags` of rows whose key has a delete in bronze; all other rows are as they were.

    A row restored with its old stamp, or entered again on the day of its delete, would else lose to that delete for ever. The flag lies in
    the row, so that a batch judged twice is judged alike; a further delete of the key carries it too. `deleted_at` is the UTC time of a
    delete row, no earlier than silver takes it to be. A NULL in the key is equal to nothing.
    """
    parts = [F.col(f"`{name}`").alias(f"_deleted_{i}") for i, name in enumerate(key)]
    deletes = bronze.where(F.col("_change_type") == "delete").select(*parts, (deleted_at + F.expr(MICROSECOND)).alias(_AFTER))
    last = deletes.groupBy(*[f"_deleted_{i}" for i in range(len(key))]).agg(F.max(_AFTER).alias(_AFTER))
    same = reduce(lambda one, other: one & other, [F.col(f"`{name}`") == F.col(f"_deleted_{i}") for i, name in enumerate(key)])
    flag = F.concat(F.lit(RETURNED), F.col(_AFTER).cast("string"))
    flagged = F.array_append(F.coalesce("_flags", F.array().cast("array<string>")), flag)
    met = rows.join(last, same, how="left").withColumn("_flags", F.when(F.col(_AFTER).isNotNull(), flagged).otherwise(F.col("_flags")))
    return met.select(*[F.col(f"`{name}`") for name in rows.columns])


def after_deletes() -> Column:
    """The time in the flag `returned:<time>` of a row; NULL for rows without it."""
    told = F.get(F.filter("_flags", lambda flag: flag.startswith(RETURNED)), F.lit(0))
    return F.substring(told, len(RETURNED) + 1, len("2026-01-31 08:30:00.000000")).cast("timestamp")
