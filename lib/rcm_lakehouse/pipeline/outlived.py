"""Deletes that a comparison found of keys that the source still has: silver's keys have no blanks around them, and the source may spell one in two ways."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.overlap import newest_per_key
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.lake.memory import COMPARED, recall
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.jdbc_stage import mapped_key, spelled
from rcm_lakehouse.pipeline.silver_sources import Pending

# A flag of such a delete on its way to silver; bronze does not have it.
_OUTLIVED = "outlived"


@dataclass
class Outlived:
    """Judges deletes by the key that silver uses. `canonical` maps bronze rows of a part to canonical rows."""

    ctx: RunContext
    lake: Lake
    contract: Contract
    canonical: Callable[[Pending, DataFrame], DataFrame]
    _labels: set[str] = field(default_factory=set, init=False)

    def marked(self, part: Pending, rows: DataFrame) -> DataFrame:
        """Canonical rows in which a delete is outside the mapping when bronze, as of the delete's batch, has another row of that key that lives.

        'K1' was rewritten as 'K1 ', or was there beside it: the row of the source that is gone is none of silver's. No Spark job for a table that
        never took a delete.
        """
        batches = self._batches(part)
        if not batches:
            return rows
        self._labels.add(part.table.label)
        living = reduce(DataFrame.unionByName, [self._living(part, batch) for batch in batches])
        met = rows.join(living, [self.contract.key_column, "_batch_seq"], how="left")
        is_outlived = (F.col("_change_type") == "delete") & ~F.col("is_outside") & F.coalesce(F.col("_is_living"), F.lit(False))
        flags = F.when(is_outlived, F.array_append("_flags", F.lit(_OUTLIVED))).otherwise(F.col("_flags"))
        return met.withColumns({"is_outside": F.col("is_outside") | is_outlived, "_flags": flags}).select(*rows.columns)

    def told(self, staged: DataFrame) -> list[tuple[str, str]]:
        """(bronze table, words) where judged rows have deletes that closed nothing; a query only where deletes were met at all."""
        if not self._labels:
            return []
        found = staged.where(F.coalesce(F.array_contains("_flags", _OUTLIVED), F.lit(False)))
        words = "keys were found deleted that the source still has, spelled with other blanks: they stay as they are"
        return [(row["_source_table"], f"{row['count']} {words}") for row in found.groupBy("_source_table").count().collect()]

    def _batches(self, part: Pending) -> list[int]:
        if part.mapping.deletes == "ignore" or COMPARED not in recall(self.lake, part.table):
            return []
        seq = F.col("_batch_seq")
        deletes = self.lake.read(part.table).where((seq > part.low) & (seq <= part.high) & (F.col("_change_type") == "delete"))
        return sorted(int(row["_batch_seq"]) for row in deletes.select(seq).distinct().collect())

    def _living(self, part: Pending, batch: int) -> DataFrame:
        rows = self.lake.read(part.table).where((F.col("_batch_seq") <= batch) & (F.col("_change_type") != "watermark"))
        newest = newest_per_key(rows, self._key(part, rows)).where("_change_type = 'upsert'")
        kept = self.canonical(part, newest).where("NOT is_outside AND NOT is_delete")
        return kept.select(self.contract.key_column).distinct().withColumns({"_batch_seq": F.lit(batch).cast("bigint"), "_is_living": F.lit(True)})

    def _key(self, part: Pending, rows: DataFrame) -> list[str]:
        connection = self.ctx.project.connections[part.row.database]
        given = jdbc_options(connection, part.row).key if isinstance(connection, JdbcConnection) else []
        return [spelled(rows.schema, name) for name in mapped_key(self.ctx, part.row, given)]
