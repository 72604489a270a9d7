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
    """Rows that say something new: the rows of a key are left out when each of them is in the newest bronze batch of that key.

    So a value that went a, b, a inside the overlap reaches bronze three times. A key that the source has in several rows is delivered
    whole when one of them is news, so that such a table too comes to rest. Without a key a row is left out when the overlap holds an
    equal one, and so is a row with a NULL in its key. `rows` and `bronze` carry `_row_hash`. A key whose newest row is a delete is not
    known: what comes back is news.
    """
    names = {name.lower(): name for name in bronze.columns}
    if not key or any(name.lower() not in names for name in key):
        known = bronze.where("_change_type <> 'delete'").select(_hash()).distinct()
        return rows.join(known, F.col("_row_hash") == F.col("_known_hash"), how="left_anti")
    parts = [F.col(f"`{names[name.lower()]}`").alias(f"_known_{i}") for i, name in enumerate(key)]
    listed = [f"_known_{i}" for i in range(len(key))]
    newest = Window.partitionBy(*listed, _own_hash(listed, "_known_hash")).orderBy(F.desc("_batch_seq"))
    ranked = bronze.select(*parts, _hash(), "_batch_seq", "_change_type").withColumn("_rank", F.dense_rank().over(newest))
    known = ranked.where("_rank = 1 AND _change_type <> 'delete'").drop("_rank", "_batch_seq", "_change_type").distinct()
    same = [F.col(f"`{name}`").eqNullSafe(F.col(f"_known_{i}")) for i, name in enumerate(key)]
    condition = reduce(lambda one, other: one & other, same) & (F.col("_row_hash") == F.col("_known_hash"))
    met = rows.join(known, condition, how="left")
    of_key = Window.partitionBy(*[F.col(f"`{name}`") for name in key], _own_hash(key, "_row_hash"))
    told = met.withColumn("_is_news", F.max(F.col("_known_hash").isNull()).over(of_key))
    return told.where("_is_news").select(*[F.col(f"`{name}`") for name in rows.columns])


def _hash() -> Column:
    return F.col("_row_hash").alias("_known_hash")


def _own_hash(key: Sequence[str], content: str) -> Column:
    """The content of a row without a whole key, which tells it from other such rows; NULL for all others."""
    is_partial = reduce(lambda one, other: one | other, [F.col(f"`{name}`").isNull() for name in key])
    return F.when(is_partial, F.col(content))
