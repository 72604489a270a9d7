"""Tombstones of a try that died before its MERGE: the deletes may not be the same when the batch is judged again, so they are taken back."""

from collections.abc import Mapping

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.entities import Entity


def take_back(lake: Lake, entity: Entity, consumed: Mapping[str, int]) -> None:
    """Put the tombstones back to what they were when silver last took something, where a try added some since; in one commit.

    `consumed` is silver's progress, which has the version of the tombstones that went with it (`with_tombstones`); nothing is done where it has none.
    No Spark job while nothing was written there since.
    """
    table = entity.tombstones
    since = consumed.get(table.label)
    if since is None or not lake.moved_past(table, since):
        return
    history = DeltaTable.forName(lake.spark, lake.sql_name(table)).history().where(F.col("version") > F.lit(since))
    if any(row["operation"] == "WRITE" for row in history.select("operation").collect()):
        DeltaTable.forName(lake.spark, lake.sql_name(table)).restoreToVersion(since)


def with_tombstones(lake: Lake, entity: Entity, consumed: dict[str, int], added: int) -> None:
    """Note in silver's progress the version that the tombstones have after a MERGE that adds `added` of them."""
    consumed[entity.tombstones.label] = lake.head_version(entity.tombstones) + (1 if added else 0)
