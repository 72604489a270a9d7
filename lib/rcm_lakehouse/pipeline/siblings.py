"""Other tables of a hospital that feed the same entity: a row that one of them lost may be in another, which then has what the key is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from uuid import uuid4

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.matching import comparison_period
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.table import Table, bronze_by_label
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.silver_sources import Pending, bronze_table, settled
from rcm_lakehouse.pipeline.source_checks import wanted_columns


def labels_of(ctx: RunContext, row: LoadRow) -> tuple[str, ...]:
    """The bronze table of a load, and those that it wrote to before `load_config.csv` gave it another targetpath, by the audit.

    A table that another row makes now is not among them.
    """
    own = bronze_table(row).label
    made = {bronze_table(other).label for other in ctx.project.loads if other.label != row.label}
    return (own, *sorted(ctx.state.targets.get(row.label, frozenset()) - made - {own}))


def _reads_all_again(ctx: RunContext, row: LoadRow) -> bool:
    """False for an incremental load of files: under another targetpath it does not meet the files of before, they are archived."""
    return row.loadtype == "Full" or not isinstance(ctx.project.connections.get(row.database), FilesConnection)


def _former_tables(ctx: RunContext, lake: Lake, row: LoadRow) -> list[Table]:
    """The tables that a load wrote to before, where they are still there; not on an object store without a catalog, which tells no folders."""
    found = (bronze_by_label(lake.root, label, row.source_table, has_catalog=bool(lake.settings.catalog)) for label in labels_of(ctx, row)[1:])
    return [table for table in found if table is not None and lake.exists(table)]


def under_former_paths(ctx: RunContext, lake: Lake, row: LoadRow) -> list[LoadRow]:
    """The load as it was under each targetpath it had before, where it has not read again what is there; not on a catalog, which tells no folders."""
    if _reads_all_again(ctx, row):
        return []
    folders = (Path(table.path).parts for table in _former_tables(ctx, lake, row) if table.path)
    return [row.model_copy(update={"targetpath": "/".join(parts[1:-1])}) for parts in folders]


def with_wanted(rows: DataFrame, contract: Contract, mapping: SourceMapping) -> DataFrame:
    """Bronze rows with every column that the mapping reads; one that bronze does not have, for the table is read no more, is NULL."""
    has = {name.lower() for name in rows.columns}
    lacking = {name for name, _, _ in wanted_columns(contract, mapping, ()) if name.lower() not in has}
    return rows.withColumns({name: F.lit(None).cast("string") for name in sorted(lacking)}) if lacking else rows


@dataclass(frozen=True)
class Siblings:
    """The tables beside one that feed an entity with rows of the same hospital.

    `canonical` maps bronze rows of a table to canonical rows; `taken` says up to which batch silver has taken each bronze table, this MERGE included.
    Below the folder `scratch` lies what it computes once: each question maps bronze anew, and within another it would be planned many times.
    """

    ctx: RunContext
    lake: Lake
    contract: Contract
    canonical: Callable[[Pending, DataFrame], DataFrame]
    taken: Mapping[str, int]
    scratch: str

    def of(self, part: Pending) -> tuple[Pending, ...]:
        """The other tables, loaded or not, of which it is known what they lack: snapshots, and tables with a `reconcile` of their own; no Spark job.

        Of any other bronze has a row for ever, wherever it went.
        """
        found = list[Pending]()
        for row, mapping in self._beside(part):
            other = Pending(row, mapping, 0, self.taken.get(bronze_table(row).label, 0))
            is_compared = comparison_period(self.ctx.project.connections[row.database], row) != "never"
            found += [other] if mapping.deletes == "take" and (other.is_snapshot or is_compared) else []
        return tuple(found)

    def feeding(self, part: Pending) -> tuple[Pending, ...]:
        """The other tables of the hospital, loaded now or not, that feed the entity and are there."""
        return tuple(Pending(row, mapping, 0, 0) for row, mapping in self._beside(part) if self.lake.exists(bronze_table(row)))

    def _beside(self, part: Pending) -> Iterator[tuple[LoadRow, SourceMapping]]:
        """The other loads of the hospital that feed the entity, each with its mapping.

        A load that is switched off has what it had; a row of it that is, beside one that is not, names a table it has left.
        """
        project, active = self.ctx.project, {row.label for row in self.ctx.project.active_loads}
        for row in project.loads:
            mapping = project.mapping_of(self.contract, row) if row.is_active or row.label not in active else None
            if mapping is not None and row.database in project.connections and row.datasource == part.row.datasource and row.label != part.row.label:
                yield row, mapping

    def labels(self, row: LoadRow) -> tuple[str, ...]:
        """`labels_of` the load; no Spark job."""
        return labels_of(self.ctx, row)

    def former(self, row: LoadRow) -> tuple[str, ...]:
        """The bronze tables that a load wrote to before it got another targetpath, where it has read all of them again since; no Spark job."""
        return self.labels(row)[1:] if _reads_all_again(self.ctx, row) else ()

    def keys_since(self, part: Pending) -> tuple[DataFrame | None, bool]:
        """(keys that the part's table had since the snapshot whose deletes silver took last, whether that snapshot is known); None without any before.

        What was held, or could not be told from rows whose key cannot be read, is among them until it is settled. `is_in` is false for keys of rows that
        the mapping leaves out. Before its second snapshot the keys are those of the tables that its load wrote to before. One query a table.
        """
        tables = [part.table] if part.low else _former_tables(self.ctx, self.lake, part.row)
        found, is_known = list[DataFrame](), bool(tables)
        for table in tables:
            rows, since = self.lake.read(table), self.taken.get(settled(table.label))
            seq = F.col("_batch_seq")
            is_here = since is not None and bool(rows.where(seq == F.lit(since)).limit(1).collect())
            rows = rows.where((seq >= F.lit(since if is_here else 0)) & (F.col("_change_type") != "watermark"))
            found.append(self._known(part, rows.where(seq <= part.low) if part.low else rows))
            is_known = is_known and is_here
        if not found:
            return None, False
        key, is_in = self.contract.key_column, ~F.col("is_outside") & ~F.col("is_delete")
        had = reduce(DataFrame.unionByName, (rows.select(key, is_in.alias("is_in")) for rows in found))
        return had.groupBy(key).agg(F.max("is_in").alias("is_in")), is_known

    def unread(self, part: Pending) -> str | None:
        """A load beside the part's that was given another targetpath and of which silver has taken nothing from there yet: what it has is not known.

        None without one. One that is switched off is not waited for.
        """
        others = (other for other in self.of(part) if other.row.is_active and self.labels(other.row)[1:])
        return next((other.row.label for other in others if other.table.label not in self.taken), None)

    def before(self, part: Pending, parts: Sequence[Pending]) -> list[Pending]:
        """The other tables, up to what silver has taken of them before this MERGE, which takes `parts`."""
        lows = {taken.table.label: taken.low for taken in parts}
        return [replace(other, high=lows.get(other.table.label, other.high)) for other in self.of(part)]

    def alive(self, part: Pending, keys: DataFrame, at: datetime) -> DataFrame | None:
        """Those of `keys` that another table has at `at` (its own time of reading), or has in what silver took of it; None where there are none to ask.

        The first is what was true; the second keeps a key that is built anew from bronze, where one table's batches run ahead of another's.
        """
        others = [other for other in self.of(part) if self.lake.exists(other.table)]
        if not others:
            return None
        place = f"{self.scratch}/alive/{part.table.name}/{uuid4().hex}"
        counted = Counted(keys.select(self.contract.key_column).distinct(), F.count(F.lit(1)).alias("keys"))
        asked = self.lake.staged(f"{place}/asked", counted.rows)
        if not counted.counts(asked)["keys"]:
            return None
        found, is_past = list[DataFrame](), F.coalesce(F.col("event_at") <= F.lit(at), F.lit(False))
        for other in others:
            rows = self.lake.read(other.table).where("_change_type <> 'watermark'")
            found.append(self._living(other, rows.where(F.col("_window_high") <= F.lit(at)), asked))
            found.append(self._living(other, rows.where(F.col("_batch_seq") <= other.high), asked).where(is_past))
        return self.lake.staged(f"{place}/alive", reduce(DataFrame.unionByName, found).select(self.contract.key_column).distinct())

    def _living(self, other: Pending, rows: DataFrame, keys: DataFrame) -> DataFrame:
        key = self.contract.key_column
        known = self._known(other, self._proving(other, rows) if other.is_snapshot else rows).join(keys, key, how="left_semi")
        # A snapshot is the whole table; of another table the newest batch of a key says what the key is.
        newest = F.dense_rank().over(Window.partitionBy(key).orderBy(F.desc("_batch_seq")))
        return known.withColumn("_place", newest).where("_place = 1 AND NOT is_outside AND NOT is_delete").select(key, "event_at")

    def _known(self, other: Pending, rows: DataFrame) -> DataFrame:
        return self.canonical(other, with_wanted(rows, self.contract, other.mapping))

    def _proving(self, other: Pending, rows: DataFrame) -> DataFrame:
        """The snapshots that prove what their table lacks: the newest, and those since the one whose deletes were settled, for what is held proves nothing."""
        newest = rows.agg(F.max("_batch_seq").alias("_newest"))
        first = F.least(F.col("_newest"), F.lit(self.taken.get(settled(other.table.label))))
        return rows.join(F.broadcast(newest), F.col("_batch_seq") >= first, how="inner").drop("_newest")
