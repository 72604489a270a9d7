"""What each bronze load will read, frozen before anything is read: catalogs, clocks, states and windows."""

import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from tenacity import RetryCallState

from rcm_lakehouse.audit.state import AuditState
from rcm_lakehouse.bronze.windows import (
    COUNTERS,
    DEFAULT_OVERLAP_SECONDS,
    Kind,
    SourceClock,
    Window,
    after_newest,
    as_text,
    compare,
    ending_at,
    next_window,
    watermark_after,
    window_end,
)
from rcm_lakehouse.config.connections import JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.errors import RcmError, TableStateError
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.memory import WATERMARK, recall
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import retrying
from rcm_lakehouse.pipeline.bronze_state import BronzeState, Reset, read_states
from rcm_lakehouse.pipeline.context import utc_now
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.load_hours import outside_hours
from rcm_lakehouse.pipeline.slots import Slots
from rcm_lakehouse.pipeline.source_checks import check_columns, check_names, watermark_drift
from rcm_lakehouse.sources.catalog import Catalog, SourceColumn, SourceTable
from rcm_lakehouse.sources.jdbc import Database, highest_value, kind_of_column, read_catalog, read_clock, real_schema

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JdbcPlan:
    """One relational load, frozen: the real table, its watermark column and window, and the state it goes on from."""

    row: LoadRow
    table: SourceTable
    watermark: SourceColumn | None
    window: Window | None
    watermark_before: str | None
    window_high: str
    warnings: tuple[str, ...] = ()
    flag: str | None = None  # set on every row of the load: `backfill`
    # The window of a run that died is finished first, as it was frozen; this is where the load then reads on to.
    rest_high: str | None = None
    load_suffix: str = ""  # the second batch of a load has a load id of its own
    # Why the load cannot go on from the watermark that its table carries; only a reset may.
    drift: TableStateError | None = None


@dataclass
class Frozen:
    """Plans, states and refusals by load label. A refused load fails when its step runs; the others go on."""

    rows: dict[str, LoadRow] = field(default_factory=dict)
    states: dict[str, BronzeState] = field(default_factory=dict)
    jdbc: dict[str, JdbcPlan] = field(default_factory=dict)
    resets: dict[str, Reset] = field(default_factory=dict)
    refused: dict[str, RcmError] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)
    load_ids: dict[str, str] = field(default_factory=dict)
    planned: set[str] = field(default_factory=set)
    slots: dict[str, Slots] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)  # loads whose step began: one that begins again is a repeated try

    def state_of(self, row: LoadRow) -> BronzeState:
        """The bronze state of a load as the run began."""
        return self.states.get(row.label, BronzeState())

    def start_mark(self) -> list[dict[str, object]]:
        """Windows as `audit.runs` keeps them."""
        return [self._mark(self.rows[label]) for label in sorted(self.planned)]

    def _mark(self, row: LoadRow) -> dict[str, object]:
        plan = self.jdbc.get(row.label)
        window = plan.window if plan else None
        low, high = (window.low, window.high) if window else (None, plan.window_high if plan else None)
        return {
            "load": row.label,
            "target": f"bronze.{row.bronze_table}",
            "load_id": self.load_ids[row.label],
            "batch_seq": self.state_of(row).batch_seq + 1,
            "window_low": low,
            "window_high": high,
        }

    def described(self, label: str) -> tuple[str, str, str, str, str]:
        """(reads, watermark, from, to, writes) for the dry run; watermark and window in the source's own clock."""
        row = self.rows[label]
        reads = f"{row.database}: {row.tablename}"
        if label in self.refused:
            return (reads, "", "refused", str(self.refused[label]), "nothing")
        if label in self.outside:
            return (reads, "", "outside load hours", self.outside[label], "nothing")
        plan = self.jdbc.get(label)
        if plan is None:
            return (reads, "", "files or answers not yet loaded", "", f"bronze.{row.bronze_table}")
        if plan.window is None:
            return (reads, "", "whole table", "", f"bronze.{row.bronze_table}")
        low, high = plan.window.low or "the beginning", plan.window.high or "the end"
        return (reads, plan.watermark_before or "none yet", low, high, f"bronze.{row.bronze_table}")


def freeze(project: Project, lake: Lake, steps: Iterable[Step], run_id: str, state: AuditState | None = None, unread: Collection[str] = ()) -> Frozen:
    """Ask every needed connection for catalog and clock (one query each), read all bronze states, and set the windows.

    `state` is what the audit knows: windows that a dead run left are finished as they were frozen. Loads named in `unread` do not need their
    source and get no plan. A connection that does not answer refuses its own loads; nothing is raised here for a source.
    """
    wanted = {step.label for step in steps if step.layer == "bronze"}
    frozen = Frozen(rows={row.label: row for row in project.active_loads}, planned=wanted)
    frozen.load_ids = {row.label: f"{run_id}-{number:02d}" for number, row in enumerate(project.active_loads, 1)}
    frozen.states = _states(project, lake, frozen)
    relational = {name: found for name, found in project.connections.items() if isinstance(found, JdbcConnection)}
    frozen.slots = {name: Slots(connection.max_connections) for name, connection in relational.items()}
    by_connection: dict[str, list[LoadRow]] = {}
    for row in project.active_loads:
        if row.label in wanted and row.label not in unread and row.database in relational:
            by_connection.setdefault(row.database, []).append(row)
    if by_connection:
        with ThreadPoolExecutor(max_workers=min(4, len(by_connection))) as pool:
            known = state or AuditState({}, {})
            list(pool.map(lambda item: _freeze_connection(project, lake, frozen, known, *item), by_connection.items()))
    return frozen


def _states(project: Project, lake: Lake, frozen: Frozen) -> dict[str, BronzeState]:
    """Bronze states of all loads in two queries, of those switched off too; a table that cannot be read refuses its own load."""
    columns: dict[str, tuple[Table, str | None]] = {}
    for row in (*project.active_loads, *project.switched_off):
        table = Table("bronze", row.bronze_table, row.bronze_path)
        try:
            if lake.exists(table):
                columns[row.label] = (table, row.watermark if is_windowed(project, row) else None)
        except (TableStateError, PySparkException, Py4JJavaError) as error:
            frozen.refused[row.label] = error if isinstance(error, TableStateError) else _unreadable(table, error)
    try:
        states = read_states(lake, dict(columns.values()))
    except (PySparkException, Py4JJavaError):
        states = {table: state for label, pair in columns.items() for table, state in _state_alone(lake, frozen, label, *pair)}
    return {label: states[table] for label, (table, _) in columns.items() if table in states}


def _state_alone(lake: Lake, frozen: Frozen, label: str, table: Table, column: str | None) -> list[tuple[Table, BronzeState]]:
    try:
        return list(read_states(lake, {table: column}).items())
    except (PySparkException, Py4JJavaError) as error:
        frozen.refused[label] = _unreadable(table, error)
        return []


def _unreadable(table: Table, error: Exception) -> TableStateError:
    told = f"{table.label} at {table.path}: files that its log names cannot be read ({type(error).__name__}). Nothing was written to it. Put the "
    return TableStateError(f"{told}folder back from a backup, or move it away and run again with --accept-lost {table.label} to load it anew.")


def is_windowed(project: Project, row: LoadRow) -> bool:
    """True for incremental relational loads: those with a watermark column."""
    return row.loadtype == "Incremental" and row.watermark is not None and isinstance(project.connections[row.database], JdbcConnection)


def _freeze_connection(project: Project, lake: Lake, frozen: Frozen, known: AuditState, name: str, rows: list[LoadRow]) -> None:
    connection = project.connections[name]
    if not isinstance(connection, JdbcConnection):
        return
    closed = outside_hours(connection.load_hours, connection.time_zone, utc_now())
    if closed:
        frozen.outside.update({row.label: closed for row in rows})
        return
    own = lake.for_thread()
    database = Database(own.spark, name, connection, project.home)
    schemas = [row.source_schema for row in rows]
    try:
        catalog, read = retrying(project.settings.retry, _note_retry(name))(lambda: (read_catalog(database, schemas), read_clock(database)))
        clock = frozen_clock(read)
    except RcmError as error:
        error.gave_up = True
        frozen.refused.update({row.label: error for row in rows})
        return
    planner = _Planner(project, own, database, catalog, clock, known)
    for row in rows:
        try:
            frozen.jdbc[row.label] = planner.plan(row, frozen.state_of(row))
        except RcmError as error:
            frozen.refused[row.label] = error


def _note_retry(name: str) -> Callable[[RetryCallState], None]:
    return lambda state: _log.warning("connection '%s': try %s failed and is repeated", name, state.attempt_number)


def frozen_clock(clock: SourceClock) -> SourceClock:
    """The clock, or the test-only frozen time in its place."""
    now = utc_now()
    is_real = abs((datetime.now(timezone.utc) - now).total_seconds()) < 1
    return clock if is_real else clock.model_copy(update={"now": now.astimezone(timezone.utc).replace(tzinfo=None)})


@dataclass
class _Planner:
    """Plans of one connection's loads, all by one catalog and one clock."""

    project: Project
    lake: Lake
    database: Database
    catalog: Catalog
    clock: SourceClock
    known: AuditState
    has_said_blind: bool = False

    def plan(self, row: LoadRow, state: BronzeState) -> JdbcPlan:
        """The plan of one load; raises the RcmError that refuses it, with nothing read."""
        connection = self.database.connection
        table = self.catalog.table(real_schema(connection, row.source_schema), row.source_table)
        check_names(row, table)
        options = jdbc_options(connection, row)
        remembered, delivered = self._memory(row)
        warnings = check_columns(self.project, row, table, delivered, {name.lower() for name in options.gone_columns})
        drift = watermark_drift(row, remembered) if state.batch_seq > 0 else None
        settle, stall = timedelta(seconds=connection.settle_seconds), timedelta(seconds=connection.max_stall_seconds)
        if row.loadtype == "Full" or row.watermark is None:
            end, behind = after_newest(as_text(self.clock.now - settle), state.window_high)
            return JdbcPlan(row, table, None, None, None, end, (*warnings, *behind), drift=drift)
        column = table.column(row.watermark, f"load_config.csv (line {row.line})")
        kind = kind_of_column(self.database.dialect, column, table)
        before = None if drift else watermark_of(kind, state)
        window, notes = next_window(
            kind,
            before,
            self.clock,
            zone=connection.time_zone,
            settle=settle,
            overlap=overlap_of(options, kind),
            max_stall=stall,
            highest=highest_value(self.database, table, column, kind) if kind in COUNTERS else None,
        )
        # Without a warning: a window may well end earlier, where a transaction holds it back.
        end, _ = after_newest(as_text(window_end(self.clock, settle, stall)[0]), state.window_high)
        plan = JdbcPlan(row, table, column, window, before, end, (*warnings, *notes, *self._blind(kind)), drift=drift)
        return resumed(plan, self.known.left.get(f"bronze.{row.bronze_table}"))

    def _memory(self, row: LoadRow) -> tuple[str | None, set[str]]:
        """The watermark column that an existing bronze table remembers, and its columns in lower case."""
        table = Table("bronze", row.bronze_table, row.bronze_path)
        if not self.lake.exists(table):
            return None, set()
        return recall(self.lake, table).get(WATERMARK), {name.lower() for name in self.lake.read(table).columns}

    def _blind(self, kind: Kind) -> tuple[str, ...]:
        note = f"connection '{self.database.name}': {self.clock.refusal}"
        if self.clock.refusal is None or kind in COUNTERS or self.has_said_blind or note in self.known.told:
            return ()
        self.has_said_blind = True
        return (note,)


def overlap_of(options: JdbcTableOptions, kind: Kind) -> timedelta:
    """How far below the watermark a window starts; for integers the seconds stand for numbers."""
    return timedelta(seconds=options.overlap_seconds if options.overlap_seconds is not None else DEFAULT_OVERLAP_SECONDS[kind])


def resumed(plan: JdbcPlan, left: str | None) -> JdbcPlan:
    """The plan with the end of the window that a dead run had frozen, and the present end as what is read after it.

    An end that is none of this watermark's kind, not above the watermark or not below the present end is passed over.
    """
    window = plan.window
    if left is None or window is None or window.high is None or plan.drift is not None:
        return plan
    try:
        is_inside = compare(window.kind, left, window.high) < 0 and (window.low is None or compare(window.kind, left, window.low) > 0)
    except ValueError:
        return plan
    return replace(plan, window=ending_at(window, left), rest_high=window.high) if is_inside else plan


def watermark_of(kind: str, state: BronzeState) -> str | None:
    """The watermark that the rows of bronze prove: what the newest batch carried, or the highest value in it when that is more."""
    if state.is_reset or state.highest is None:
        return state.watermark_before
    unbounded = Window(kind=kind, low=None, high=None)  # type: ignore[arg-type]
    return watermark_after(unbounded, str(state.highest), state.watermark_before)
