"""Deletes that a comparison found of keys that the source still has: spelled otherwise (silver's keys have no blanks around them), or in another table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.overlap import newest_per_key
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.matching import given_key
from rcm_lakehouse.lake.memory import COMPARED, recall
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.jdbc_stage import mapped_key, spelled
from rcm_lakehouse.pipeline.siblings import Siblings
from rcm_lakehouse.pipeline.silver_sources import Pending

# Flags of such a delete on its way to silver, and what is told of it; bronze does not have them.
_OUTLIVED, _ELSEWHERE = "outlived", "elsewhere"
_TOLD = {
    _OUTLIVED: "keys were found deleted that the source still has, spelled with other blanks: they stay as they are",
    _ELSEWHERE: "keys were found deleted that another table of the same hospital has: they stay as they are",
}


@dataclass
class Outlived:
    """Judges deletes by the key that silver uses. `canonical` maps bronze rows of a part to canonical rows."""

    ctx: RunContext
    lake: Lake
    contract: Contract
    canonical: Callable[[Pending, DataFrame], DataFrame]
    siblings: Siblings
    _labels: set[str] = field(default_factory=set, init=False)

    def marked(self, part: Pending, rows: DataFrame) -> DataFrame:
        """Canonical rows in which a delete is outside the mapping when bronze, as of the delete's batch, has another row of that key that lives.

        'K1' was rewritten as 'K1 ', or was there beside it, or went to another table of the hospital: the row of the source that is gone is none of
        silver's. No Spark job for a table that never took a delete.
        """
        batches = self._batches(part)
        if not batches:
            return rows
        self._labels.add(part.table.label)
        living = reduce(DataFrame.unionByName, [found for batch, at in batches.items() for found in self._alive(part, batch, at)])
        # A key that is here is not told as being elsewhere.
        first = living.groupBy(self.contract.key_column, "_batch_seq").agg(F.max("_where").alias("_where"))
        met = rows.join(first, [self.contract.key_column, "_batch_seq"], how="left")
        is_outlived = (F.col("_change_type") == "delete") & ~F.col("is_outside") & F.col("_where").isNotNull()
        flags = F.when(is_outlived, F.array_append("_flags", F.col("_where"))).otherwise(F.col("_flags"))
        return met.withColumns({"is_outside": F.col("is_outside") | is_outlived, "_flags": flags}).select(*rows.columns)

    def told(self, staged: DataFrame) -> list[tuple[str, str]]:
        """(bronze table, words) where judged rows have deletes that closed nothing; a query only where deletes were met at all."""
        if not self._labels:
            return []
        flags = F.explode(F.array_intersect("_flags", F.array(*map(F.lit, _TOLD))))
        found = staged.where("_flags IS NOT NULL").select("_source_table", flags.alias("flag")).groupBy("_source_table", "flag").count()
        return [(row["_source_table"], f"{row['count']} {_TOLD[row['flag']]}") for row in found.orderBy("_source_table", "flag").collect()]

    def _batches(self, part: Pending) -> dict[int, datetime]:
        """Batches of the part that a comparison's deletes are in, with the time of each."""
        if part.mapping.deletes == "ignore" or COMPARED not in recall(self.lake, part.table):
            return {}
        seq = F.col("_batch_seq")
        deletes = self.lake.read(part.table).where((seq > part.low) & (seq <= part.high) & (F.col("_change_type") == "delete"))
        return {int(row["_batch_seq"]): row["at"] for row in deletes.groupBy(seq).agg(F.max("_window_high").alias("at")).orderBy(seq).collect()}

    def _alive(self, part: Pending, batch: int, at: datetime) -> list[DataFrame]:
        """Keys of rows that live, in the part's own table and in others, with the batch and where."""
        key, seq = self.contract.key_column, F.lit(batch).cast("bigint").alias("_batch_seq")
        found = [self._living(part, batch).select(key, seq, F.lit(_OUTLIVED).alias("_where"))]
        if self.siblings.of(part):
            gone = self.lake.read(part.table).where((F.col("_batch_seq") == batch) & (F.col("_change_type") == "delete"))
            elsewhere = self.siblings.alive(part, self.canonical(part, gone), at)
            found += [] if elsewhere is None else [elsewhere.select(key, seq, F.lit(_ELSEWHERE).alias("_where"))]
        return found

    def _living(self, part: Pending, batch: int) -> DataFrame:
        rows = self.lake.read(part.table).where((F.col("_batch_seq") <= batch) & (F.col("_change_type") != "watermark"))
        newest = newest_per_key(rows, self._key(part, rows)).where("_change_type = 'upsert'")
        return self.canonical(part, newest).where("NOT is_outside AND NOT is_delete").select(self.contract.key_column).distinct()

    def _key(self, part: Pending, rows: DataFrame) -> list[str]:
        given = given_key(self.ctx.project.connections[part.row.database], part.row)
        return [spelled(rows.schema, name) for name in mapped_key(self.ctx, part.row, given)]
