"""One bronze load: read once, stage, drop what is known, append in one commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.bronze.lineage import LINEAGE
from rcm_lakehouse.bronze.windows import BEHIND, COUNTERS, compare, ending_at, low_bound, watermark_after
from rcm_lakehouse.config.connections import FilesConnection, JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.errors import DataStopError, SourceDataError
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.memory import STATISTICS, WATERMARK, as_memory
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import api_step, files_step
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.bronze_state import BronzeState, read_states
from rcm_lakehouse.pipeline.context import APPROVAL, RunContext
from rcm_lakehouse.pipeline.freeze import Frozen, JdbcPlan, is_windowed, overlap_of, watermark_of
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.jdbc_stage import Stage, Staged, mapped_key, mapped_names, spelled
from rcm_lakehouse.pipeline.load_hours import is_closed
from rcm_lakehouse.pipeline.reset_step import reset
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.jdbc import EMPTIES, Database, has_rows, highest_time, read_table

_PROPERTIES = {"delta.autoOptimize.autoCompact": "true", "delta.enableTypeWidening": "true"}
_SECOND = "-2"
_STATISTICS = ("_load_id", "_batch_seq", "_window_high", "_source_file_hash")


def load(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """Load one row of the work list into its bronze table.

    Raises the error that froze with the plan when the source could not be planned; nothing was read then.
    """
    row = frozen.rows[step.label]
    if row.label in frozen.refused:
        raise frozen.refused[row.label]
    if ctx.options.reset_watermark is not None and row.label == ctx.options.reset_watermark[0]:
        return reset(ctx, lake, row.label, frozen, _state_of_try(ctx, lake, frozen, row))
    if row.label not in frozen.begun and is_closed(ctx.project, row, frozen.outside):
        return _outside(ctx, frozen, row)
    connection = ctx.project.connections[row.database]
    if isinstance(connection, JdbcConnection):
        return JdbcLoad(ctx, lake, row, frozen, connection, _state_of_try(ctx, lake, frozen, row)).run()
    if isinstance(connection, FilesConnection):
        return files_step.load_files(ctx, lake, row, frozen, connection)
    return api_step.load_api(ctx, lake, row, frozen, connection)


def _outside(ctx: RunContext, frozen: Frozen, row: LoadRow) -> Outcome:
    """The end of a load whose source may not be read now: planned and not run, as configured; but what was asked of it by name is told as undone."""
    # Deletes of a snapshot are approved by what bronze has, those of a comparison by the next one.
    needed = [verb for verb, name in ctx.options.verbs if name == row.label and (verb != APPROVAL or is_windowed(ctx.project, row))]
    why = frozen.outside[row.label]
    told = f"{', '.join(needed)} {row.label} was not done: {why}. Run it again then." if needed else why
    log = start_log(ctx, frozen, row, status="OUTSIDE_HOURS", message=told)
    return Outcome("OUTSIDE_HOURS", (log,), {"batch_seq": frozen.state_of(row).batch_seq}, is_undone=bool(needed))


def _state_of_try(ctx: RunContext, lake: Lake, frozen: Frozen, row: LoadRow) -> BronzeState:
    """Where a try goes on from: the state of the run's start; for a repeated try the table's own, because an earlier one may have committed.

    A table that was lost or put back goes on with the run's number in every try: silver has taken the numbers before it.
    """
    if row.label not in frozen.begun:
        frozen.begun.add(row.label)
        return frozen.state_of(row)
    table = bronze_table(row)
    column = row.watermark if is_windowed(ctx.project, row) else None
    found = read_states(lake, {table: column})[table] if lake.exists(table) else BronzeState()
    return replace(found, batch_seq=max(found.batch_seq, frozen.state_of(row).batch_seq))


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
    state: BronzeState
    head: int = field(init=False)  # newest batch in bronze

    def __post_init__(self) -> None:
        self.head = self.state.batch_seq

    def run(self) -> Outcome:
        """Read the window (or the whole table), keep what is new, commit, and tell what happened.

        A window that a dead run had frozen is finished first; what came since is a second batch of the same load.
        Raises TableStateError, with nothing read, when the watermark that bronze carries came from another column.
        """
        plan = self.frozen.jdbc[self.row.label]
        if plan.drift is not None:
            raise plan.drift
        if plan.window is not None:
            plan = replace(plan, watermark_before=watermark_of(plan.window.kind, self.state))
        first = self._one_batch(plan)
        if plan.rest_high is None or plan.flag is not None:
            return first
        self.head = int(str(first.facts["batch_seq"]))
        rest = self._one_batch(self._rest(plan, first.logs[0].watermark_after))
        return Outcome(rest.status, (*first.logs, *rest.logs), rest.facts)

    def _rest(self, plan: JdbcPlan, reached: str | None) -> JdbcPlan:
        """The plan from the watermark that the finished window reached to the end of this run's own."""
        assert plan.window is not None
        assert plan.rest_high is not None
        overlap = overlap_of(jdbc_options(self.connection, self.row), plan.window.kind)
        low = low_bound(plan.window.kind, reached, zone=self.connection.time_zone, overlap=overlap)
        window = ending_at(plan.window.model_copy(update={"low": low}), plan.rest_high)
        return replace(plan, window=window, watermark_before=reached, warnings=(), rest_high=None, load_suffix=_SECOND)

    def _load_id(self, plan: JdbcPlan) -> str:
        return self.frozen.load_ids[self.row.label] + plan.load_suffix

    def _one_batch(self, plan: JdbcPlan) -> Outcome:
        database = Database(self.lake.spark, self.row.database, self.connection, self.ctx.project.home)
        options = jdbc_options(self.connection, self.row)
        # The slots go round the reads alone: a commit keeps no other load from its source.
        slots = self.frozen.slots[self.row.database]
        crash_point("P3", self.row.label)
        if plan.window is not None and plan.window.is_empty:
            return self._nothing(plan, 0, 0, 0)
        with slots.hold(options.partitions):
            if self.head == 0 and not has_rows(database, plan.table, plan.watermark, plan.window):
                self._ensure(self._read(database, plan).schema, plan)
                return self._nothing(plan, 0, 0, 0)
            rows = self._read(database, plan)
            self._ensure(rows.schema, plan)
            key = mapped_key(self.ctx, self.row, options.key)
            staged = Stage(self.lake, self.row, plan, options, key, self._load_id(plan), self.head + 1, self._scratch()).write(rows)
            warnings = (*plan.warnings, *self._behind(database, plan, staged))
        crash_point("P4", self.row.label)
        return self._settle(replace(plan, warnings=warnings), staged)

    def _behind(self, database: Database, plan: JdbcPlan, staged: Staged) -> tuple[str, ...]:
        """A warning when the source's greatest value lies below the watermark; asked only when the window had no row up there."""
        window, before = plan.window, plan.watermark_before
        if window is None or before is None or window.kind in COUNTERS or plan.flag is not None or plan.watermark is None:
            return ()
        if staged.highest_read is not None and compare(window.kind, staged.highest_read, before) >= 0:
            return ()
        found = highest_time(database, plan.table, plan.watermark, window)
        return (BEHIND,) if found is None or compare(window.kind, found, before) < 0 else ()

    def _read(self, database: Database, plan: JdbcPlan) -> DataFrame:
        names = mapped_names(self.ctx, self.row)
        options = jdbc_options(self.connection, self.row)
        self._check_parts(plan, options)
        return read_table(database, plan.table, watermark=plan.watermark, window=plan.window, options=options, names=names)

    def _check_parts(self, plan: JdbcPlan, options: JdbcTableOptions) -> None:
        key = {name.lower() for name in mapped_key(self.ctx, self.row, options.key)}
        column = (options.partition_column or "").lower()
        if options.partitions > 1 and plan.window is None and column not in key:
            raise SourceDataError(
                f"{self.row.label}: a full load in parts needs a partition_column of the key; '{options.partition_column}' is none, so a row whose value "
                "changes while the parts are read would be missed and taken for deleted. Nothing was read. Name a key column, or set partitions to 1."
            )

    def _ensure(self, schema: StructType, plan: JdbcPlan) -> None:
        full = StructType([*(field for field in schema if field.name != EMPTIES), *LINEAGE.fields])
        column = self.row.watermark if plan.watermark is not None else None
        statistics = [*_STATISTICS, *([spelled(schema, column)] if column else [])]
        own = {STATISTICS: ",".join(statistics), WATERMARK: as_memory((column or "").lower())}
        self.lake.ensure(bronze_table(self.row), full, properties={**_PROPERTIES, **own})

    def _settle(self, plan: JdbcPlan, staged: Staged) -> Outcome:
        if plan.watermark is None:
            state = self.state
            if staged.kept == 0 and state.snapshot_rows > 0:
                raise DataStopError(
                    f"{self.row.label}: the snapshot is empty but the last one had {state.snapshot_rows} rows. Nothing was committed. Check the "
                    "source; an emptied table must be confirmed by removing the row from load_config.csv."
                )
            if (staged.kept, staged.hashes) == (state.snapshot_rows, state.snapshot_sum):
                return self._nothing(plan, staged.read, staged.read, 0)
        if staged.kept == 0:
            return self._nothing(plan, staged.read, staged.read - staged.excluded, staged.excluded)
        return self._append(plan, staged)

    def _append(self, plan: JdbcPlan, staged: Staged) -> Outcome:
        seq = self.head + 1
        after = watermark_after(plan.window, staged.highest, plan.watermark_before) if plan.window else None
        table = bronze_table(self.row)
        log = self._log(plan, staged.read, staged.kept, staged.read - staged.kept - staged.excluded, staged.excluded, after)
        log.batch_seq, log.numberofrowscopied, log.table_id, log.rows_late = seq, staged.kept, self.lake.table_id(table), staged.late
        metadata = {"load_id": log.load_id, "batch_seq": seq, "watermark": after, "window_high": plan.window_high, **riding([log])}
        crash_point("P5", self.row.label)
        rows = self.lake.read_files(self._scratch(), staged.schema)
        commit = self.lake.append(table, rows, metadata=metadata, merge_schema=True, txn=(self.row.label, seq))
        log.table_version = commit.version
        self.ctx.keep(f"bronze:{self.row.label}", [log])
        crash_point("P6", self.row.label)
        return Outcome("SUCCESS", (log,), {"batch_seq": seq, "rows": staged.kept})

    def _nothing(self, plan: JdbcPlan, read: int, duplicate: int, dropped: int) -> Outcome:
        log = self._log(plan, read, 0, duplicate, dropped, plan.watermark_before)
        log.numberofrowscopied = log.rows_late = 0
        return Outcome("SUCCESS", (log,), {"batch_seq": self.head, "rows": 0})

    def _log(self, plan: JdbcPlan, read: int, written: int, duplicate: int, dropped: int, after: str | None):  # type: ignore[no-untyped-def]
        window = plan.window
        return start_log(
            self.ctx,
            self.frozen,
            self.row,
            load_id=self._load_id(plan),
            window_low=window.low if window else None,
            window_high=window.high if window else plan.window_high,
            watermark_before=plan.watermark_before,
            watermark_after=after,
            rows_read=read,
            rows_written=written,
            rows_duplicate=duplicate,
            rows_dropped=dropped,
            warnings=list(plan.warnings),
            is_backfill=True if plan.flag is not None else None,
        )

    def _scratch(self) -> str:
        return f"{self.lake.scratch(self.ctx.run_id)}/bronze/{self.row.bronze_table}"
