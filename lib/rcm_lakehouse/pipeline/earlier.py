"""What silver has of the keys of a batch from batches before it, where rows are placed by that."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import is_of_comparison
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.matching import given_key
from rcm_lakehouse.lake.memory import COMPARED, recall
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.silver_sources import Pending
from rcm_lakehouse.pipeline.source_checks import wanted_columns
from rcm_lakehouse.silver.present import known_times


def was_compared(lake: Lake, part: Pending) -> bool:
    """True when a comparison with its source changed the part's bronze table and its rows are what their key is now; no Spark job.

    Where the mapping ignores deletes many rows name one key, and what one of them says is not what the key is.
    """
    return not part.is_snapshot and part.mapping.deletes == "take" and COMPARED in recall(lake, part.table)


def is_one_row_a_key(ctx: RunContext, contract: Contract, part: Pending) -> bool:
    """True when a row that a comparison found says what its key is now: a source that has several rows of one thing does not say it by one of them.

    Such a source is told by `deletes: ignore` of the mapping, or by a `key` in conf/connections.yml with a column that the contract's key does not read.
    """
    given = {name.lower() for name in given_key(ctx.project.connections[part.row.database], part.row)}
    if part.mapping.deletes != "take":
        return False
    return not given or given <= {source.lower() for source, silver, _ in wanted_columns(contract, part.mapping, ()) if silver in contract.key}


def known_before(
    lake: Lake, entity: Entity, part: Pending, beside: Sequence[Pending], former: Sequence[str], rows: Callable[[], DataFrame]
) -> DataFrame | None:
    """Times to place the part's rows by (`silver.present.placed`): for a snapshot the deletes, for a table that was ever compared all that silver has.

    Deletes that other tables of the hospital were found to lack count too (`beside`, up to the batches that silver took before), and all of the tables
    that the load wrote to before (`former`): what it reads now it has read after them.
    None where rows keep their own times. `rows` gives the part's canonical rows, and is asked only for a compared table.
    """
    contract, is_compared = entity.contract, was_compared(lake, part)
    if not is_compared and not ((part.is_snapshot or beside or former) and contract.sequence_by):
        return None
    is_own = (F.col("_source_table") == part.table.label) & (F.col("_batch_seq") <= part.low)
    deletes = lake.read(entity.tombstones) if lake.moved_past(entity.tombstones, 0) else None
    own = None if deletes is None or not (is_compared or part.is_snapshot) else deletes.where(is_own).withColumn("_is_found", _is_found(part))
    elsewhere = None if deletes is None or not (beside or former) else deletes.where(_of_others(beside, former))
    if not is_compared:
        return known_times(None, own, elsewhere, contract)
    is_known = is_own | F.col("_source_table").isin([*former, *(other.table.label for other in beside)])
    versions = lake.read(entity.silver).where(is_known) if lake.head_version(entity.silver) > 0 else None
    touched = rows().select(contract.key_column).distinct()
    near = [found if found is None else found.join(touched, contract.key_column, how="left_semi") for found in (versions, own, elsewhere)]
    return known_times(near[0], near[1], near[2], contract)


def _is_found(part: Pending) -> Column:
    """True for tombstones of a table that a comparison or a snapshot brought: a delete that a row itself tells of has its own time."""
    return F.lit(part.is_snapshot) | is_of_comparison()


def _of_others(beside: Sequence[Pending], former: Sequence[str]) -> Column:
    """Tombstones by which other tables were found to lack a key, and those of the load's tables before."""
    found = [(F.col("_source_table") == other.table.label) & (F.col("_batch_seq") <= other.high) & _is_found(other) for other in beside]
    return reduce(or_, [*found, F.col("_source_table").isin(*former)])
