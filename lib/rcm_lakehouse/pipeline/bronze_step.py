"""One bronze load: read once, stage, drop what is known, append in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.bronze.lineage import LINEAGE, with_lineage
from rcm_lakehouse.bronze.overlap import without_known
from rcm_lakehouse.bronze.windows import Window, watermark_after
from rcm_lakehouse.config.connections import FilesConnection, JdbcConnection
from rcm_lakehouse.config.errors import DataStopError, SourceDataError
from rcm_lakehouse.config.matching import key_of_table
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import api_step, files_step
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.bronze_state import hash_sum
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen, JdbcPlan, table_options
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.reset_step import reset
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.jdbc import Database, has_rows, read_table
from rcm_lakehouse.sources.jdbc_errors import translated

_PROPERTIES = {"delta.autoOptimize.autoCompact": "true", "delta.enableTypeWidening": "true"}
_STATISTICS = ("_load_id", "_batch_seq", "_window_high", "_source_file_hash")


def load(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """Load one row of the work list into its bronze table.

    Raises the error that froze with the plan when the source could not be planned; nothing was read then.
    """
    row = frozen.rows[step.label]
    if row.label in frozen.refused:
        raise frozen.refused[row.label]
    if row.label in frozen.outside:
        log = start_log(ctx, frozen, row, status="OUTSIDE_HOURS", message=frozen.outside[row.label])
        return Outcome("OUTSIDE_HOURS", (log,), {"batch_seq": frozen.state_of(row).batch_seq})
    connection = ctx.project.connections[row.database]
    if ctx.options.reset_watermark is not None and row.label == ctx.options.reset_watermark[0]:
        return reset(ctx, lake, *ctx.options.reset_watermark, frozen)
    if isinstance(connection, JdbcConnection):
        return JdbcLoad(ctx, lake, row, frozen, connection).run()
    if isinstance(connection, FilesConnection):
        return files_step.load_files(ctx, lake, row, frozen, connection)
    return api_step.load_api(ctx, lake, row, frozen, connection)


def start_log(ctx: RunContext, frozen: Frozen, row: LoadRow, **values: object):  # type: ignore[no-untyped-def]
    """An audit row of a bronze load with the columns that are known before it reads."""
    given = {"load_id": frozen.load_ids[row.label], "watermarkcolumnname": row.watermark, **values}
    return ctx.log("bronze", data_source=row.datasource, tablename=row.source_table, target=f"bronze.{row.bronze_table}", **given)


@dataclass
class JdbcLoad:
    """A relational load with its frozen plan."""

    ctx: RunContext
    lake: Lake
    row: LoadRow
    frozen: Frozen
    connection: JdbcConnection

    def run(self) -> Outcome:
        """Read the window (or the whole table), keep what is new, commit, and tell what happened."""
        plan = self.frozen.jdbc[self.row.label]
        database = Database(self.lake.spark, self.row.database, self.connection, self.ctx.project.home)
        state = self.frozen.state_of(self.row)
        crash_point("P3", self.row.label)
        if plan.window is not None and plan.window.is_empty:
            return self._nothing(plan, 0, 0, 0)
        if state.batch_seq == 0 and not has_rows(database, plan.table, plan.watermark, plan.window):
            self._ensure(self._read(database, plan).schema, plan)
            return self._nothing(plan, 0, 0, 0)
        rows = self._read(database, plan)
        self._ensure(rows.schema, plan)
        counted = self._staged(rows, plan)
        crash_point("P4", self.row.label)
        return self._settle(plan, counted)

    def _read(self, database: Database, plan: JdbcPlan) -> DataFrame:
        names = mapped_names(self.ctx, self.row)
        options = table_options(self.connection, self.row)
        return read_table(database, plan.table, watermark=plan.watermark, window=plan.window, options=options, names=names)

    def _ensure(self, schema: StructType, plan: JdbcPlan) -> None:
        full = StructType([*schema.fields, *LINEAGE.fields])
        statistics = [*_STATISTICS, *([_spelled(schema, self.row.watermark)] if self.row.watermark else [])]
        properties = {**_PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(statistics)}
        self.lake.ensure(bronze_table(self.row), full, properties=properties)

    def _staged(self, rows: DataFrame, plan: JdbcPlan) -> Mapping[str, object]:
        """Stage the rows that say something new; returns the counts of the one pass over the source."""
        seq = self.frozen.state_of(self.row).batch_seq + 1
        column = _spelled(rows.schema, self.row.watermark) if plan.watermark is not None else None
        flagged = rows.withColumn("_flags", _flags(column, plan.window, plan.flag))
        lined = with_lineage(
            flagged,
            load_id=self.frozen.load_ids[self.row.label],
            batch_seq=seq,
            window_high=plan.window_high,
            watermark_before=plan.watermark_before,
        )
        read, kept = Observation(), Observation()
        no_watermark = F.coalesce(F.array_contains("_flags", "null_watermark"), F.lit(False))
        seen = lined.observe(read, F.count(F.lit(1)).alias("rows"), F.count_if(no_watermark).alias("without"))
        options = table_options(self.connection, self.row)
        wanted = seen.where(~no_watermark) if options.null_watermark == "exclude" else seen
        fresh = self._without_overlap(wanted, column, plan, mapped_key(self.ctx, self.row, options.key)) if column else wanted
        counted = no_future_highest(fresh, column, plan)
        watched = counted.observe(kept, F.count(F.lit(1)).alias("kept"), hash_sum().alias("hashes"), _highest(column).alias("highest"))
        try:
            watched.drop("_counts").write.mode("overwrite").parquet(self._scratch())
        except (Py4JJavaError, PySparkException) as error:
            raise translated(error, self.row.database, f"reading {self.row.tablename}") from None
        self._check_missing_watermarks(int(read.get["without"]), options.null_watermark)
        return {**read.get, **kept.get, "excluded": read.get["without"] if options.null_watermark == "exclude" else 0, "schema": lined.schema}

    def _without_overlap(self, rows: DataFrame, column: str, plan: JdbcPlan, key: Sequence[str]) -> DataFrame:
        if self.frozen.state_of(self.row).batch_seq == 0:
            return rows
        bronze = self.lake.read(bronze_table(self.row))
        low = plan.window.low if plan.window else None
        if low is not None and column in bronze.columns:
            bound = F.lit(low).cast("decimal(38,0)" if plan.window and plan.window.kind in ("int", "digits") else bronze.schema[column].dataType)
            value = F.col(f"`{column}`").cast("decimal(38,0)") if plan.window and plan.window.kind == "digits" else F.col(f"`{column}`")
            bronze = bronze.where((value >= bound) | F.col(f"`{column}`").isNull() | (F.col("_change_type") == "delete"))
        known = bronze.where(F.col("_change_type") != "watermark")
        return without_known(rows, known, [name for name in key if name in bronze.columns])

    def _check_missing_watermarks(self, count: int, policy: str) -> None:
        if count and policy == "fail":
            raise SourceDataError(
                f"{self.row.label}: {count} rows have no {self.row.watermark}. Nothing was committed; the watermark is unchanged. Mend the "
                "source, or set null_watermark to include or exclude for this table in conf/connections.yml."
            )

    def _settle(self, plan: JdbcPlan, counted: Mapping[str, object]) -> Outcome:
        read, kept, excluded = (int(str(counted[name] or 0)) for name in ("rows", "kept", "excluded"))
        if plan.watermark is None:
            state = self.frozen.state_of(self.row)
            if kept == 0 and state.snapshot_rows > 0:
                raise DataStopError(
                    f"{self.row.label}: the snapshot is empty but the last one had {state.snapshot_rows} rows. Nothing was committed. Check the "
                    "source; an emptied table must be confirmed by removing the row from load_config.csv."
                )
            if (kept, int(str(counted["hashes"] or 0))) == (state.snapshot_rows, state.snapshot_sum):
                return self._nothing(plan, read, read, 0)
        if kept == 0:
            return self._nothing(plan, read, read - excluded, excluded)
        return self._append(plan, counted, read, kept, excluded)

    def _append(self, plan: JdbcPlan, counted: Mapping[str, object], read: int, kept: int, excluded: int) -> Outcome:
        schema = counted["schema"]
        assert isinstance(schema, StructType)
        seq = self.frozen.state_of(self.row).batch_seq + 1
        highest = None if counted["highest"] is None else str(counted["highest"])
        after = watermark_after(plan.window, highest, plan.watermark_before) if plan.window else None
        table = bronze_table(self.row)
        log = self._log(plan, read, kept, read - kept - excluded, excluded, after)
        log.batch_seq, log.numberofrowscopied, log.table_id = seq, kept, self.lake.table_id(table)
        metadata = {"load_id": log.load_id, "batch_seq": seq, "watermark": after, "window_high": plan.window_high, **riding([log])}
        crash_point("P5", self.row.label)
        commit = self.lake.append(
            table, self.lake.read_files(self._scratch(), schema), metadata=metadata, merge_schema=True, txn=(self.row.label, seq)
        )
        crash_point("P6", self.row.label)
        log.table_version = commit.version
        return Outcome("SUCCESS", (log,), {"batch_seq": seq, "rows": kept})

    def _nothing(self, plan: JdbcPlan, read: int, duplicate: int, dropped: int) -> Outcome:
        log = self._log(plan, read, 0, duplicate, dropped, plan.watermark_before)
        log.numberofrowscopied = 0
        return Outcome("SUCCESS", (log,), {"batch_seq": self.frozen.state_of(self.row).batch_seq, "rows": 0})

    def _log(self, plan: JdbcPlan, read: int, written: int, duplicate: int, dropped: int, after: str | None):  # type: ignore[no-untyped-def]
        window = plan.window
        return start_log(
            self.ctx,
            self.frozen,
            self.row,
            window_low=window.low if window else None,
            window_high=window.high if window else plan.window_high,
            watermark_before=plan.watermark_before,
            watermark_after=after,
            rows_read=read,
            rows_written=written,
            rows_duplicate=duplicate,
            rows_dropped=dropped,
            warnings=list(plan.warnings),
        )

    def _scratch(self) -> str:
        return f"{self.lake.scratch(self.ctx.run_id)}/bronze/{self.row.bronze_table}"


def _flags(column: str | None, window: Window | None, flag: str | None) -> Column:
    if column is None or window is None:
        return F.lit(None).cast("array<string>")
    value = F.col(f"`{column}`")
    flags = [F.lit(flag).cast("string"), F.when(value.isNull(), F.lit("null_watermark"))]
    if window.future_from is not None:
        flags.append(F.when(value >= F.lit(window.future_from).cast("timestamp"), F.lit("future_watermark")))
    found = F.array_compact(F.array(*flags))
    return F.when(F.size(found) > 0, found)


def no_future_highest(rows: DataFrame, column: str | None, plan: JdbcPlan) -> DataFrame:
    """Add `_counts`: the value that may move the watermark, NULL for rows that may not."""
    if column is None or plan.window is None:
        return rows.withColumn("_counts", F.lit(None).cast("string"))
    value = F.col(f"`{column}`").cast("decimal(38,0)") if plan.window.kind == "digits" else F.col(f"`{column}`")
    return rows.withColumn("_counts", F.when(F.col("_flags").isNull(), value))


def _highest(column: str | None) -> Column:
    return F.max("_counts").cast("string")


def _spelled(schema: StructType, name: str | None) -> str:
    return next(field for field in schema.names if name is not None and field.lower() == name.lower())


def mapped_names(ctx: RunContext, row: LoadRow) -> list[str]:
    """The spellings of source columns that contracts use, so that a database that folds case gives the same bronze names."""
    names = [row.watermark] if row.watermark else []
    for contract in ctx.project.contracts.values():
        mapping = ctx.project.mapping_of(contract, row)
        names += [source for source in (mapping.columns.values() if mapping else ()) if not source.startswith("=")]
    return names


def mapped_key(ctx: RunContext, row: LoadRow, given: Sequence[str]) -> list[str]:
    """Source columns that identify a row: from conf/connections.yml, else the key of the contract that the table feeds; empty when it is no plain column."""
    return list(given or key_of_table(row, ctx.project.contracts))
