"""Open rows of a quarantine in which there is nothing left to mend: what a delivery that silver took has put in their place."""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.corrected import answered, deliveries_before
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.quarantine import open_rows, replaced, with_quarantine_id
from rcm_lakehouse.pipeline.siblings import Siblings
from rcm_lakehouse.pipeline.silver_sources import Pending

# What ends a sighting of a row.
_SETTLED = ("replayed", "superseded", "rejected")


def close_gone(
    ctx: RunContext, lake: Lake, entity: Entity, parts: Sequence[Pending], staged: DataFrame, whole: Collection[str], siblings: Siblings
) -> None:
    """Tell the quarantine of open rows that are no more, in one commit; none when there are none.

    Those that the snapshot now taken no longer has; of snapshots only of the tables in `whole`, whose snapshot says what is absent. And those that a
    load brought under another targetpath, once it begins a table of its own, into which it reads all again. After a kill before this the next delivery
    says it.
    """
    older = [_of_snapshot(part) for part in parts if part.is_snapshot and part.low and part.table.label in whole]
    former = [label for part in parts for label in siblings.former(part.row)]
    older += [F.col("source_table").isin(*former)] if former else []
    if not older or not lake.moved_past(entity.quarantine, 0):
        return
    again = with_quarantine_id(staged.where("outcome = 'quarantine'")).select("quarantine_id")
    gone = open_rows(lake, entity.quarantine).where(reduce(or_, older)).join(again, "quarantine_id", how="left_anti")
    _tell(ctx, lake, entity, gone, f"{siblings.scratch}/gone")


def close_corrected(ctx: RunContext, lake: Lake, entity: Entity, parts: Sequence[Pending], staged: DataFrame, scratch: str) -> None:
    """Tell the quarantine of open rows that a file said before it was delivered again: those whose key it brings now, and those without; in one commit.

    To be called before the MERGE: what comes between must not take the old row in the place of the new one. A row that a correction leaves out stays as
    it is, as it would in silver; so does one that another file has too, which was not delivered again.
    """
    files = [part for part in parts if not part.is_snapshot and isinstance(ctx.project.connections.get(part.row.database), FilesConnection)]
    if not files or not lake.moved_past(entity.quarantine, 0):
        return
    # One frame whatever the number of files: a table built anew may take hundreds of corrections at once.
    pairs = reduce(DataFrame.unionByName, (deliveries_before(lake, part) for part in files))
    place = ["quarantine_id", "_source_table", "_batch_seq"]
    told = lake.read(entity.quarantine).groupBy(*place).agg(F.collect_set("event").alias("_told"))
    seen = told.where(~F.arrays_overlap("_told", F.array(*map(F.lit, _SETTLED)))).select(*place)
    again = F.col("_batch_seq").alias("_again")
    brought = staged.select("_source_table", again, F.col(entity.contract.key_column).alias("entity_key"), F.lit(True).alias("_is_brought")).distinct()
    older = open_rows(lake, entity.quarantine).join(seen.join(F.broadcast(pairs), ["_source_table", "_batch_seq"]).drop("_batch_seq"), "quarantine_id")
    met = older.join(brought, ["_source_table", "_again", "entity_key"], how="left").where(F.col("entity_key").isNull() | F.col("_is_brought"))
    elsewhere = seen.join(answered(lake, files), ["_source_table", "_batch_seq"], how="left_anti").select("quarantine_id").distinct()
    gone = met.dropDuplicates(["quarantine_id"]).join(elsewhere, "quarantine_id", how="left_anti")
    _tell(ctx, lake, entity, gone, f"{scratch}/corrected")


def _tell(ctx: RunContext, lake: Lake, entity: Entity, gone: DataFrame, path: str) -> None:
    events = lake.staged(path, replaced(gone))
    if events.limit(1).collect():
        lake.append(entity.quarantine, events, metadata={"run_id": ctx.run_id, "kind": "seen"})


def _of_snapshot(part: Pending) -> Column:
    return (F.col("source_table") == part.table.label) & (F.col("last_batch_seq") < part.high)
