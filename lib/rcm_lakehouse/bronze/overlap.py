"""Rows that a window reads again: dropped only when they equal the newest bronze row of their key (pure)."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


def newest_per_key(bronze: DataFrame, key: Sequence[str]) -> DataFrame:
    """The newest row of each key by `_batch_seq`; of one batch the last by time of its rows' hash (a stable choice)."""
    newest = Window.partitionBy(*[F.col(f"`{name}`") for name in key]).orderBy(F.desc("_batch_seq"), F.desc("_row_hash"))
    return bronze.withColumn("_rank", F.row_number().over(newest)).where("_rank = 1").drop("_rank")


def without_known(rows: DataFrame, bronze: DataFrame, key: Sequence[str]) -> DataFrame:
    """Rows that say something new: a row equal to the newest bronze row of its key is left out.

    So a value that went a, b, a inside the overlap reaches bronze three times. Without a key a row is left out when the
    overlap holds an equal one. NULL key parts are equal to each other. `rows` and `bronze` carry `_row_hash`. A key whose newest
    row is a delete is not known: what comes back is news.
    """
    if key:
        parts = [F.col(f"`{name}`").alias(f"_known_{i}") for i, name in enumerate(key)]
        known = newest_per_key(bronze, key).where("_change_type <> 'delete'").select(*parts, _hash())
        same = [F.col(f"`{name}`").eqNullSafe(F.col(f"_known_{i}")) for i, name in enumerate(key)]
        condition = reduce(lambda one, other: one & other, same) & (F.col("_row_hash") == F.col("_known_hash"))
    else:
        known = bronze.where("_change_type <> 'delete'").select(_hash()).distinct()
        condition = F.col("_row_hash") == F.col("_known_hash")
    return rows.join(known, condition, how="left_anti")


def _hash() -> Column:
    return F.col("_row_hash").alias("_known_hash")
