"""One pass over a relational source: rows in the table's types, flagged, without those that bronze knows, staged and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, StructType, TimestampNTZType, TimestampType

from rcm_lakehouse.bronze.conform import Fit, conformed, fit_of
from rcm_lakehouse.bronze.lineage import has_flag, with_lineage
from rcm_lakehouse.bronze.overlap import without_known
from rcm_lakehouse.bronze.windows import COUNTERS, Kind, Window
from rcm_lakehouse.config.connections import JdbcTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.matching import key_of_table
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.columns import widen_columns
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.memory import AHEAD, recall, remember
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.bronze_state import UNCOUNTED_FLAGS, comparable, hash_sum
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import JdbcPlan
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.jdbc import EMPTIES, flags_of_empties
from rcm_lakehouse.sources.jdbc_errors import translated

_COUNTS = "_counts"
# More than any clock of a source is apart from UTC.
_ZONES = "INTERVAL 1 DAY"


@dataclass(frozen=True)
class Staged:
    """What one pass found. `read` = kept + known + excluded; `late` of the kept rows lie below the watermark.

    `highest` is the greatest value among kept rows that may move the watermark, `highest_read` the same of all rows read; both text, NULL
    where there is none.
    """

    schema: StructType
    read: int
    kept: int
    excluded: int
    late: int
    hashes: int
    highest: str | None
    highest_read: str | None


@dataclass(frozen=True)
class Stage:
    """Where and how the rows of one load are staged; `is_first` says that bronze has no row yet, so that nothing can be known."""

    lake: Lake
    row: LoadRow
    plan: JdbcPlan
    options: JdbcTableOptions
    key: Sequence[str]
    load_id: str
    batch_seq: int
    path: str

    @property
    def is_first(self) -> bool:
        """True when bronze has no row yet."""
        return self.batch_seq == 1

    def write(self, rows: DataFrame) -> Staged:
        """Stage the rows that say something new.

        Raises SourceDataError when a type drifted or a watermark is missing and the policy is to fail; nothing was committed.
        """
        column = spelled(rows.schema, self.row.watermark) if self.plan.watermark is not None else None
        lined = self._lined(self._fitted(rows), column)
        no_watermark = has_flag("null_watermark")
        highest, rows_in = F.max(_COUNTS).cast("string").alias("highest"), F.count(F.lit(1)).alias("rows")
        read = Counted(lined.withColumn(_COUNTS, self._counting(column)), rows_in, F.count_if(no_watermark).alias("without"), highest)
        wanted = read.rows.where(~no_watermark) if self.options.null_watermark == "exclude" else read.rows
        fresh = wanted if column is None or self.is_first else without_known(wanted, self._bronze(column), self.key)
        ahead = F.count_if(has_flag("future_watermark")).alias("ahead")
        kept = Counted(fresh, rows_in, hash_sum().alias("hashes"), highest, self._late().alias("late"), ahead)
        try:
            kept.rows.drop(_COUNTS).write.mode("overwrite").parquet(self.path)
            found = read.counts()
        except (Py4JJavaError, PySparkException) as error:
            raise translated(error, self.row.database, f"reading {self.row.tablename}") from None
        new = kept.counts(self.lake.read_files(self.path, lined.schema).withColumn(_COUNTS, self._counting(column)))
        self._check_missing_watermarks(int(found["without"]))
        self._remember_ahead(int(new["ahead"] or 0))
        excluded = int(found["without"]) if self.options.null_watermark == "exclude" else 0
        return Staged(
            lined.schema,
            int(found["rows"]),
            int(new["rows"]),
            excluded,
            int(new["late"]),
            int(new["hashes"] or 0),
            new["highest"],
            found["highest"],
        )

    def _fitted(self, rows: DataFrame) -> DataFrame:
        table = bronze_table(self.row)
        fit = fit_of(rows.schema, self.lake.read(table).schema)
        self._check_watermark_type(fit)
        if fit.drift and self.options.type_drift == "fail":
            told = "; ".join(f"'{name}' was {old.simpleString()} and is {new.simpleString()} now" for name, (old, new) in fit.drift.items())
            raise SourceDataError(
                f"{self.row.label}: the source changed the type of a column, and values may not fit: {told}. Nothing was committed; the watermark is "
                "unchanged. Change the source back, or set type_drift: quarantine for this table in conf/connections.yml: values that fit are "
                "taken, rows with others wait in quarantine."
            )
        widen_columns(self.lake, table, fit.widen)
        return conformed(rows, fit)

    def _check_watermark_type(self, fit: Fit) -> None:
        """A watermark whose values do not fit is no matter of single rows: all that change would wait in quarantine, and the watermark would stand still."""
        found = {name.lower(): types for name, types in fit.drift.items()}.get(str(self.row.watermark).lower()) if self.plan.watermark else None
        if found is not None:
            old, new = (kind.simpleString() for kind in found)
            label = bronze_table(self.row).label
            raise SourceDataError(
                f"{self.row.label}: the watermark '{self.row.watermark}' was {old} and is {new} now, and its values would not fit. Nothing was committed; the "
                f"watermark is unchanged. Change the source back (a view that casts it to {old} will do), or begin anew: move the folder of {label} away and "
                f"run with --accept-lost {label}: all rows are read again, and what silver has of them stays."
            )

    def _lined(self, rows: DataFrame, column: str | None) -> DataFrame:
        flagged = rows.withColumn("_flags", flags(column, self.plan.window, self.plan.flag, flags_of_empties(rows))).drop(EMPTIES)
        return with_lineage(
            flagged,
            load_id=self.load_id,
            batch_seq=self.batch_seq,
            window_high=self.plan.window_high,
            watermark_before=self.plan.watermark_before,
        )

    def _counting(self, column: str | None) -> Column:
        """The value that may move the watermark, NULL for rows that may not."""
        if column is None or self.plan.window is None:
            return F.lit(None).cast("string")
        uncounted = F.coalesce(F.arrays_overlap("_flags", F.array(*map(F.lit, UNCOUNTED_FLAGS))), F.lit(False))
        return F.when(~uncounted, comparable(F.col(f"`{column}`"), self.plan.window.kind))

    def _late(self) -> Column:
        before, window = self.plan.watermark_before, self.plan.window
        if before is None or window is None:
            return F.count_if(F.lit(False))
        return F.count_if(F.coalesce(F.col(_COUNTS) < bound(before, window.kind), F.lit(False)))

    def _bronze(self, column: str) -> DataFrame:
        """Bronze rows that may equal a row of the window, or be newer than one that does: those at or above its start, without a value, or deleted.

        A key's newest row may lie below the window: a back-fill, a comparison or an earlier window brought it after the one that lies in it.
        Values with a clock come before the end of the batch that brings them, so such a row is in a batch that ended behind the window's
        start. A counter has no clock: such a row lay below the watermark when it was read. Where rows without a watermark are loaded they are
        read again each time, and where rows were stamped ahead of their reading what took their place may lie anywhere: then all of bronze is asked.
        """
        bronze = self.lake.read(bronze_table(self.row)).where(F.col("_change_type") != "watermark")
        window = self.plan.window
        name = next((name for name in bronze.columns if name.lower() == column.lower()), None)
        if name is None or window is None or window.low is None or self.options.null_watermark == "include" or self._had_ahead:
            return bronze
        value = comparable(F.col(f"`{name}`"), window.kind)
        low = bound(window.low, window.kind)
        found = (value >= low) | value.isNull() | (F.col("_change_type") == "delete")
        if window.kind in COUNTERS:
            found |= value < F.col("_watermark_before").try_cast("decimal(38,0)")
        else:
            # The first batch is newer than none.
            found |= (F.col("_batch_seq") > 1) & (F.col("_window_high") >= low.cast("timestamp") - F.expr(_ZONES))
        return bronze.where(found)

    @property
    def _had_ahead(self) -> bool:
        """True when bronze ever got a row stamped ahead of its reading; no Spark job."""
        return AHEAD in recall(self.lake, bronze_table(self.row))

    def _remember_ahead(self, count: int) -> None:
        """Let the table say that it has such rows, before it gets the first."""
        if count and not self._had_ahead:
            remember(self.lake, bronze_table(self.row), AHEAD, "true")

    def _check_missing_watermarks(self, count: int) -> None:
        if count and self.options.null_watermark == "fail":
            of_digits = " of digits" if self.plan.window is not None and self.plan.window.kind == "digits" else ""
            raise SourceDataError(
                f"{self.row.label}: {count} rows have no {self.row.watermark}{of_digits}. Nothing was committed; the watermark is unchanged. Mend the "
                "source, or set null_watermark to include or exclude for this table in conf/connections.yml."
            )


def bound(text: str, kind: Kind) -> Column:
    """A canonical watermark text as a typed value."""
    types = {"date": "date", "timestamp": "timestamp", "timestamptz": "timestamp"}
    return F.lit(text).cast(types.get(kind, "decimal(38,0)"))


def flags(column: str | None, window: Window | None, flag: str | None, empties: Column | None) -> Column:
    """`_flags` of a row: the load's own flag, a missing watermark, a watermark far beyond the window, values that are none; NULL without any."""
    found = [F.lit(flag).cast("string")]
    if column is not None and window is not None:
        value = comparable(F.col(f"`{column}`"), window.kind)
        found.append(F.when(value.isNull(), F.lit("null_watermark")))
        if window.future_from is not None:
            found.append(F.when(value >= F.lit(window.future_from).cast("timestamp"), F.lit("future_watermark")))
    own = F.array_compact(F.array(*found))
    listed = own if empties is None else F.concat(own, empties)
    return F.when(F.size(listed) > 0, listed)


def spelled(schema: StructType, name: str | None) -> str:
    """The column of this name, in any case, as the schema spells it."""
    return next(field for field in schema.names if name is not None and field.lower() == name.lower())


def mapped_names(ctx: RunContext, row: LoadRow) -> list[str]:
    """The spellings of source columns that contracts use, so that a database that folds case gives the same bronze names."""
    names = [row.watermark] if row.watermark else []
    for contract in ctx.project.contracts.values():
        mapping = ctx.project.mapping_of(contract, row)
        names += [source for source in (mapping.columns.values() if mapping else ()) if not source.startswith("=")]
    return names


def mapped_sequences(ctx: RunContext, row: LoadRow, bronze: StructType) -> list[str]:
    """Bronze columns of times, other than the watermark, by which contracts order the changes of what this row loads; text tells no order by itself."""
    found = set[str]()
    for contract in ctx.project.contracts.values():
        mapping = ctx.project.mapping_of(contract, row)
        if mapping is not None and mapping.deletes == "take" and contract.sequence_by:
            found.add(mapping.columns.get(contract.sequence_by[0], "=").lower())
    times = (DateType, TimestampType, TimestampNTZType)
    return [field.name for field in bronze if field.name.lower() in found - {(row.watermark or "").lower()} and isinstance(field.dataType, times)]


def mapped_key(ctx: RunContext, row: LoadRow, given: Sequence[str]) -> list[str]:
    """Source columns that identify a row: from conf/connections.yml, else the key of the contract that the table feeds; empty when it is no plain column."""
    return list(given or key_of_table(row, ctx.project.contracts))
