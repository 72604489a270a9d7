"""What silver has of the keys of a batch from batches before it, where rows are placed by that."""

from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import COMPARISON
from rcm_lakehouse.lake.memory import COMPARED, recall
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.silver.present import known_times


def was_compared(lake: Lake, part: Pending) -> bool:
    """True when a comparison with its source changed the part's bronze table and its rows are what their key is now; no Spark job.

    Where the mapping ignores deletes many rows name one key, and what one of them says is not what the key is.
    """
    return not part.is_snapshot and part.mapping.deletes == "take" and COMPARED in recall(lake, part.table)


def with_left(lake: Lake, entity: Entity, part: Pending, rows: DataFrame) -> DataFrame:
    """Canonical rows in which one that the mapping's `where` no longer takes is a delete, when silver or an earlier row of the batch has its key.

    It was the entity's and is not any more; a row that never was stays outside. Rows as they are where the mapping takes all, or ignores deletes.
    """
    if part.mapping.where is None or part.mapping.deletes == "ignore":
        return rows
    key = entity.contract.key_column
    own = lake.read(entity.silver).where(F.col("_source_table") == part.table.label)
    met = rows.join(own.select(key).distinct().withColumn("_is_held", F.lit(True)), key, how="left")
    is_inside = F.max(~F.col("is_outside")).over(Window.partitionBy(key))
    is_left = F.col("is_outside") & F.col(key).isNotNull() & (F.coalesce("_is_held", F.lit(False)) | is_inside)
    return met.withColumns({"is_delete": F.col("is_delete") | is_left, "is_outside": F.col("is_outside") & ~is_left}).select(*rows.columns)


def known_before(lake: Lake, entity: Entity, part: Pending, beside: Sequence[str], keys: Callable[[], DataFrame]) -> DataFrame | None:
    """Times to place the part's rows by (`silver.present.placed`): for a snapshot the deletes, for a table that was ever compared all that silver has.

    Deletes that other tables of the hospital brought (`beside`: their bronze names) count too. None where rows keep their own times. `keys` gives the
    keys of the part's rows, and is asked only for a compared table.
    """
    contract, is_compared = entity.contract, was_compared(lake, part)
    if not is_compared and not ((part.is_snapshot or beside) and contract.sequence_by):
        return None
    is_own, is_earlier = F.col("_source_table") == part.table.label, F.col("_batch_seq") <= part.low
    deletes = lake.read(entity.tombstones) if lake.moved_past(entity.tombstones, 0) else None
    elsewhere = deletes.where(F.col("_source_table").isin(list(beside))) if deletes is not None and beside else None
    own = None if deletes is None else deletes.where(is_own & is_earlier)
    if not is_compared:
        return known_times(None, own if part.is_snapshot else None, elsewhere, contract)
    # A delete that a row itself tells of has its own time.
    own = None if own is None else own.where(F.col("_load_id").endswith(COMPARISON))
    versions = lake.read(entity.silver).where(is_own & is_earlier) if lake.head_version(entity.silver) > 0 else None
    touched = keys()
    near = [rows if rows is None else rows.join(touched, contract.key_column, how="left_semi") for rows in (versions, own, elsewhere)]
    return known_times(near[0], near[1], near[2], contract)
