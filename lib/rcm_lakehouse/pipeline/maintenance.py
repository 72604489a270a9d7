"""One maintenance run: OPTIMIZE and VACUUM of every table, under the lock, told in the audit."""

from dataclasses import dataclass
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from rich.console import Console

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE, AuditSpool, mark_start
from rcm_lakehouse.config.errors import ConfigError, RcmError
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.lake.maintain import SHORTEST_HOURS, check_retention, optimize, vacuum
from rcm_lakehouse.lake.salt import SALT_TABLE
from rcm_lakehouse.lake.session import check_place, get_session
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import recovery
from rcm_lakehouse.pipeline.attempts import Outcome, error_class, safe_message
from rcm_lakehouse.pipeline.closing import close_run, stop_signals, verdict
from rcm_lakehouse.pipeline.context import RunContext, RunOptions, new_run_id, utc_now
from rcm_lakehouse.pipeline.entities import entity_of
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.identity import check_known
from rcm_lakehouse.pipeline.runner import Finished, start_mark
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.silver.cleaning import CLEANERS


@dataclass(frozen=True)
class MaintenanceOptions:
    """What the caller asked for: tables by label (empty: all), and how old a file must be before it is removed."""

    only: tuple[str, ...] = ()
    retention_hours: int = SHORTEST_HOURS
    whole: bool = False


def tables_of(project: Project) -> list[Table]:
    """Every table that the configuration promises, in the data's way."""
    entities = [entity_of(contract) for contract in project.contracts.values()]
    tables = [bronze_table(row) for row in project.loads]
    tables += [table for entity in entities for table in (entity.silver, entity.tombstones, entity.quarantine)]
    return [*tables, SALT_TABLE, *(layer_table("gold", name) for name in project.models), LOAD_LOGS_TABLE, RUNS_TABLE]


def run_maintenance(home: Path, environment: str, options: MaintenanceOptions, console: Console) -> Finished:
    """Compact and clean the tables; exit code 1 when one could not be, the others are done all the same.

    Raises RcmError when nothing could be started (configuration, retention, lock, session).
    """
    check_retention(options.retention_hours)
    project = load_project(home, environment, cleaner_names=frozenset(CLEANERS))
    wanted = _wanted(project, options.only)
    run_id = new_run_id()
    check_place(project.settings)
    with lakehouse_lock(Lake(None, project.settings, home).root, run_id, "maintain_tables"):  # type: ignore[arg-type]
        lake = Lake(get_session(project.settings, home), project.settings, home)
        spools = Path(lake.root) / "audit" / "_spool"
        state = recovery.take_over(project, lake, spools, console)
        chosen = RunOptions(as_of=utc_now().date(), layers=("maintenance",), only=options.only)
        ctx = RunContext(project, lake, chosen, run_id, utc_now(), AuditSpool(spools, run_id), state)
        with stop_signals(ctx.cancel, lake.spark) as caught:
            mark_start(lake, start_mark(ctx, Frozen()))
            for table in wanted:
                if not ctx.cancel.is_set():
                    _maintain(ctx, table, options, console)
            ended = {row.target or "": Outcome(row.status) for row in ctx.spool.rows}
            code, logs = close_run(ctx, [], {}, verdict(ended, caught), console)
    failed = sum(outcome.failed for outcome in ended.values())
    console.print(f"{len(ended)} tables maintained, {failed} of them failed{'; stopped before the others' if caught else ''}", highlight=False)
    return Finished(code, run_id, tuple(logs))


def _wanted(project: Project, only: tuple[str, ...]) -> list[Table]:
    tables = {table.label: table for table in tables_of(project)}
    unknown = [name for name in only if name not in tables]
    if unknown:
        raise ConfigError(f"--only: '{unknown[0]}' is no table of this lakehouse. There are: {', '.join(tables)}. Nothing was done.")
    return [table for label, table in tables.items() if not only or label in only]


def _maintain(ctx: RunContext, table: Table, options: MaintenanceOptions, console: Console) -> None:
    row = ctx.log("maintenance", tablename=table.name, target=table.label)
    try:
        if not ctx.lake.exists(table) or not ctx.lake.moved_past(table, 0):
            return  # a table without a row has nothing to tidy, and stays at its first version
        check_known(ctx, ctx.lake, table)
        crash_point("P15", table.label)
        removed, added = optimize(ctx.lake, table)
        crash_point("P15", f"{table.label} optimized")
        vacuum(ctx.lake, table, options.retention_hours, whole=options.whole)
        row.status = "SUCCESS" if removed else "NOOP"
        row.message = f"{removed} files into {added}; files older than {options.retention_hours} hours that no version needs were removed"
    except (RcmError, PySparkException, Py4JError) as error:
        row.status, row.error_class, row.message = "FAILED", error_class(error), safe_message(error)
    _told(ctx, row, console)


def _told(ctx: RunContext, row: LoadLog, console: Console) -> None:
    row.started_at, row.finished_at = ctx.started_at, utc_now()
    ctx.spool.add(row)
    console.print(f"{row.target}: {row.status}, {row.message}", highlight=False, markup=False, soft_wrap=True)
