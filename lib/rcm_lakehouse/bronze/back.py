"""Rows that a load took as late ones of the past, though they are what the source has now (pure)."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import PRESENT, has_flag


def with_is_back(rows: DataFrame, stamps: Sequence[Column], key: Sequence[str], name: str) -> DataFrame:
    """Bronze rows with the boolean `name`: another row of the key is stamped later, and no comparison has found this one.

    `stamps` are what rows are ordered by: the watermark, the columns that order changes in contracts; a NULL says nothing. Where a comparison found
    a row of the key, another that is stamped as late is enough: silver placed that one behind its stamp.
    """
    of_key = Window.partitionBy(*[F.col(f"`{column}`") for column in key])
    is_present = has_flag(PRESENT)
    values = {f"_stamp_{i}": stamp for i, stamp in enumerate(stamps)}
    marked = rows.withColumns({**values, "_is_met": F.max(is_present).over(of_key)})
    marked = marked.withColumns({f"{value}_most": F.max(value).over(of_key) for value in values})
    # A second look at the same order: how many rows bear the latest stamp.
    marked = marked.withColumns({f"{value}_last": F.count_if(F.col(value) == F.col(f"{value}_most")).over(of_key) for value in values})
    is_back = F.lit(False)
    for value in values:
        most = F.col(f"{value}_most")
        is_back |= F.coalesce((F.col(value) < most) | (F.col("_is_met") & (F.col(value) == most) & (F.col(f"{value}_last") > 1)), F.lit(False))
    return marked.withColumn(name, is_back & ~is_present).select(*[F.col(f"`{column}`") for column in rows.columns], name)
