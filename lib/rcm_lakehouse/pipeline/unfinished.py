"""Tombstones of a try that died before its MERGE: the deletes may not be the same when the batch is judged again, so they are taken back."""

from collections.abc import Mapping
from itertools import dropwhile

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rcm_lakehouse.lake.commits import HARMLESS, restore, written_at
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.history import Merged


def take_back(lake: Lake, entity: Entity, consumed: Mapping[str, int], run_id: str) -> None:
    """Put the tombstones back to what they were before a try that added some and whose MERGE did not come; in one commit.

    `consumed` is silver's progress, which has the version of the tombstones that went with it (`with_own_versions`); nothing is done where it has none. A
    MERGE whose progress was lost stands in silver's own log: its tombstones stay. So does all where rows were changed since.
    No Spark job while nothing was written there since.
    """
    table = entity.tombstones
    since = consumed.get(table.label)
    if since is None or not lake.moved_past(table, since):
        return
    merged = {(row["run"], row["loads"]) for row in _commits(lake, entity.silver).select("run", "loads").distinct().collect()}
    later = _commits(lake, table).where(F.col("version") > F.lit(since)).orderBy("version").collect()
    restored = max((row["version"] for row in later if row["operation"] == "RESTORE"), default=since)

    def is_lost(row: Row) -> bool:
        return row["operation"] == "WRITE" and (row["run"], row["loads"]) not in merged

    behind = list(dropwhile(lambda row: not is_lost(row), [row for row in later if row["version"] > restored]))
    if behind and all(is_lost(row) or row["operation"] in HARMLESS for row in behind):
        restore(lake, table, behind[0]["version"] - 1, run_id)


def _commits(lake: Lake, table: Table) -> DataFrame:
    """Commits of a table with the run and the loads that they tell of."""
    history = DeltaTable.forName(lake.spark, lake.sql_name(table)).history()
    told = {name: F.get_json_object("userMetadata", path) for name, path in (("run", "$.run_id"), ("loads", "$.loads"))}
    return history.select("version", "operation", *[F.coalesce(value, F.lit("")).alias(name) for name, value in told.items()])


def with_own_versions(lake: Lake, entity: Entity, consumed: dict[str, int], merged: Merged) -> None:
    """Note in silver's progress the versions of its quarantine, and those that its tombstones and itself have after this MERGE.

    With the time of a version that is there already: of one that comes it is known that a run makes it.
    """
    consumed[entity.tombstones.label] = lake.head_version(entity.tombstones) + (1 if merged.tombstones else 0)
    consumed[written(entity.tombstones)] = 0 if merged.tombstones else written_at(lake, entity.tombstones)
    consumed[entity.quarantine.label] = lake.head_version(entity.quarantine)
    consumed[written(entity.quarantine)] = written_at(lake, entity.quarantine)
    if merged.is_change:
        consumed |= {merged_as(entity.silver): lake.head_version(entity.silver) + 1, written(entity.silver): 0}


def written(table: Table) -> str:
    """Under which name progress keeps the time of a table's version."""
    return f"{table.label}, written"


def merged_as(table: Table) -> str:
    """Under which name progress keeps the version of silver's newest MERGE, or of where it was put back since."""
    return f"{table.label}, merged"
