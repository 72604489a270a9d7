"""Open rows of a quarantine in which there is nothing left to mend: what a delivery that silver took has put in their place."""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.quarantine import open_rows, replaced, with_quarantine_id
from rcm_lakehouse.pipeline.siblings import Siblings
from rcm_lakehouse.pipeline.silver_sources import Pending


def close_gone(
    ctx: RunContext, lake: Lake, entity: Entity, parts: Sequence[Pending], staged: DataFrame, whole: Collection[str], siblings: Siblings
) -> None:
    """Tell the quarantine of open rows that are no more, in one commit; none when there are none.

    Those that the snapshot now taken no longer has; of snapshots only of the tables in `whole`, whose snapshot says what is absent. And those that a
    load brought under another targetpath, once it begins a table of its own, into which it reads all again. After a kill before this the next delivery
    says it.
    """
    older = [_of_snapshot(part) for part in parts if part.is_snapshot and part.low and part.table.label in whole]
    former = [label for part in parts if part.low == 0 for label in siblings.former(part.row)]
    older += [F.col("source_table").isin(*former)] if former else []
    if not older or not lake.moved_past(entity.quarantine, 0):
        return
    again = with_quarantine_id(staged.where("outcome = 'quarantine'")).select("quarantine_id")
    gone = open_rows(lake, entity.quarantine).where(reduce(or_, older)).join(again, "quarantine_id", how="left_anti")
    _tell(ctx, lake, entity, gone, f"{siblings.scratch}/gone")


def close_corrected(ctx: RunContext, lake: Lake, entity: Entity, parts: Sequence[Pending], staged: DataFrame, scratch: str) -> None:
    """Tell the quarantine of open rows that a file said before it was delivered again: those whose key it brings now, and those without; in one commit.

    To be called before the MERGE: what comes between must not take the old row in the place of the new one. A row that a correction leaves out stays as
    it is, as it would in silver.
    """
    files = [part for part in parts if not part.is_snapshot and isinstance(ctx.project.connections.get(part.row.database), FilesConnection)]
    if not files or not lake.moved_past(entity.quarantine, 0):
        return
    corrected = [found for found in (_of_corrected(lake, entity, part) for part in files) if found is not None]
    if not corrected:
        return
    older, key = open_rows(lake, entity.quarantine).where(reduce(or_, corrected)), F.col("entity_key")
    # Of a file's deliveries one MERGE may take several: the last that has a row is what its batch says.
    brought = staged.select(F.col(entity.contract.key_column).alias("entity_key")).distinct()
    gone = older.where(key.isNull()).unionByName(older.join(brought, "entity_key", how="left_semi"), allowMissingColumns=True)
    _tell(ctx, lake, entity, gone, f"{scratch}/corrected")


def _tell(ctx: RunContext, lake: Lake, entity: Entity, gone: DataFrame, path: str) -> None:
    events = lake.staged(path, replaced(gone))
    if events.limit(1).collect():
        lake.append(entity.quarantine, events, metadata={"run_id": ctx.run_id, "kind": "seen"})


def _of_snapshot(part: Pending) -> Column:
    return (F.col("source_table") == part.table.label) & (F.col("last_batch_seq") < part.high)


def _of_corrected(lake: Lake, entity: Entity, part: Pending) -> Column | None:
    """Open rows of files of which a later batch is another delivery; None without any. One query, two where there are open rows."""
    is_own = F.col("source_table") == part.table.label
    waiting = open_rows(lake, entity.quarantine).where(is_own & (F.col("last_batch_seq") <= part.high)).select("last_batch_seq").distinct()
    batches = sorted(row["last_batch_seq"] for row in waiting.collect())
    if not batches:
        return None
    seq = F.col("_batch_seq")
    files = lake.read(part.table).where(seq <= part.high).groupBy("_source_file")
    told = files.agg(F.max(seq).alias("last"), F.collect_set(F.when(seq.isin(batches), seq)).alias("batches")).where(F.size("batches") > 0)
    replaced_by = sorted({batch for row in told.collect() for batch in row["batches"] if batch < row["last"]})
    return is_own & F.col("last_batch_seq").isin(replaced_by) if replaced_by else None
