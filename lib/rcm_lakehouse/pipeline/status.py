"""Every monitor of `conf/monitor` run over the lakehouse as it is now. Reading only: no lock, no commit, also while a run is going on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from rcm_lakehouse.audit.calendar import CALENDAR_TABLE, is_up_to_date
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.feeds import idle_entries
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.monitors import Monitor, stored
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.lake.session import get_session
from rcm_lakehouse.lake.table import in_own_schemas
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import error_class

INFO_ROWS = 20
MOST_ROWS = 200
# A run that has been open for longer is not going on; the monitor unfinished_runs names it.
_GOING_ON = timedelta(hours=12)


@dataclass
class Found:
    """What one monitor found: column names and rows (at most `limit`), or why it was not run, or why it failed."""

    monitor: Monitor
    columns: tuple[str, ...] = ()
    rows: list[tuple[object, ...]] = field(default_factory=list)
    has_more: bool = False
    not_run: str | None = None
    failure: str | None = None

    @property
    def is_error(self) -> bool:
        """True when this makes the job's exit code 1."""
        return self.failure is not None or (bool(self.rows) and self.monitor.severity == "error")


@dataclass
class Status:
    """All findings, and notes about the lakehouse as a whole; `is_blind` when monitors cannot see what they should."""

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_blind: bool = False

    @property
    def code(self) -> int:
        """Exit code: 1 when something is wrong or could not be judged, else 0."""
        return 1 if self.is_blind or any(found.is_error for found in self.found) else 0


def read_status(home: Path, environment: str, only: Sequence[str], now: datetime) -> Status:
    """Run the monitors named by `only` (all when it is empty) as of `now`, an aware time.

    Raises ConfigError when the configuration is wrong or a name is unknown; nothing was read.
    """
    project = load_project(home, environment)
    monitors = _chosen(project.monitors, only)
    spark = get_session(project.settings, home)
    lake = Lake(spark, project.settings, home)
    known = frozenset(register_all(spark, project.settings, home)) or _tables_of_catalog(lake)
    status = Status(notes=idle_entries(home, project.loads))
    if not (lake.exists(RUNS_TABLE) and lake.exists(LOAD_LOGS_TABLE)):
        status.notes.append(f"no run has been recorded in {lake.root}: there is no audit yet. Run jobs/run_pipeline.py.")
        status.is_blind = True
        return status
    _note_calendar(lake, project, status)
    going_on = _going_on(lake, now)
    if going_on:
        status.notes.append(f"a run is going on ({', '.join(going_on)}): what compares silver and gold is judged when it has ended.")
    for monitor in monitors:
        if monitor.at_rest and going_on:
            status.found.append(Found(monitor, not_run="a run is going on"))
        else:
            status.found.append(_found(lake, project, monitor, now, known))
    return status


def _chosen(monitors: Mapping[str, Monitor], only: Sequence[str]) -> list[Monitor]:
    unknown = [f"--only: '{name}' is no monitor.{did_you_mean(name, monitors)}" for name in only if name not in monitors]
    if unknown:
        raise ConfigError("\n".join([*unknown, f"There are: {', '.join(monitors) or 'none in conf/monitor'}."]))
    return [monitor for name, monitor in monitors.items() if not only or name in only]


def _note_calendar(lake: Lake, project: Project, status: Status) -> None:
    if status.notes and not project.feeds and is_up_to_date(lake, ()):
        status.is_blind = True
        status.notes.append("no entry of conf/monitor/feeds.yml fits a row of load_config.csv, so no feed can be judged. Name your feeds there.")
        return
    if is_up_to_date(lake, project.feeds):
        return
    # An older calendar still judges; none at all would let every feed pass.
    status.is_blind = not lake.exists(CALENDAR_TABLE)
    if status.is_blind:
        status.notes.append(f"{CALENDAR_TABLE.label} is not there yet, so no feed can be judged; the next run writes it from conf/monitor/feeds.yml.")
    else:
        status.notes.append(f"conf/monitor/feeds.yml was changed; feeds are judged by {CALENDAR_TABLE.label} as it is until the next run writes it.")


def _going_on(lake: Lake, now: datetime) -> list[str]:
    ended = lake.read(LOAD_LOGS_TABLE).where(F.col("layer") == "run").select("run_id")
    recent = lake.read(RUNS_TABLE).where(F.col("started_at").between(now - _GOING_ON, now))
    return sorted(row["run_id"] for row in recent.join(ended, "run_id", how="left_anti").select("run_id").collect())


def _found(lake: Lake, project: Project, monitor: Monitor, now: datetime, known: frozenset[str]) -> Found:
    found = Found(monitor)
    limit = INFO_ROWS if monitor.severity == "info" else MOST_ROWS
    entities: Iterable[str] = project.contracts if monitor.for_each else ("",)
    absent: set[str] = set()
    for entity in entities:
        missing = [table for table in monitor.tables_of(entity) if not {table, stored(table)} & known]
        absent.update(missing)
        if not missing:
            _run(lake, monitor, {"now": now, "entity": entity}, found, limit)
    if absent and not found.columns and found.failure is None:
        found.not_run = f"{', '.join(sorted(absent))} {'does' if len(absent) == 1 else 'do'} not exist yet"
    return found


def _tables_of_catalog(lake: Lake) -> frozenset[str]:
    """Tables by layer and name where a catalog knows them."""
    schemas = {layer: schema for layer, schema in lake.settings.schemas.model_dump().items() if lake.spark.catalog.databaseExists(schema)}
    place = f"`{lake.settings.catalog}`." if lake.settings.catalog else ""
    found = {layer: lake.spark.sql(f"SHOW TABLES IN {place}`{schema}`").collect() for layer, schema in schemas.items()}
    return frozenset(f"{layer}.{row['tableName']}".lower() for layer, rows in found.items() for row in rows)


def _run(lake: Lake, monitor: Monitor, given: Mapping[str, object], found: Found, limit: int) -> None:
    """Add the rows of one query; a query that fails is told by its class, because the text of its error may quote a row."""
    defaults = {name: parameter.default for name, parameter in monitor.parameters.items()}
    arguments = {name: given.get(name, default) for name, default in defaults.items()}
    try:
        own = in_own_schemas(lake.settings, monitor.sql_of(str(given["entity"])))
        result = lake.spark.sql(own, args=arguments)
        rows = result.limit(limit + 1 - len(found.rows)).collect()
    except PySparkException as error:
        found.failure = error_class(error)
        return
    found.columns = tuple(result.columns)
    found.rows += [tuple(row) for row in rows]
    found.has_more = len(found.rows) > limit
    del found.rows[limit:]
