"""What a dead run left behind: spooled audit rows, commits without a row, runs that never ended, an audit that was lost."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.audit.commits import rows_in_commits
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.state import AuditState, abandoned_rows, known_ids, read_state
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE, append_logs, ensure_audit, spooled_rows
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.silver_sources import bronze_table

_LOST = "audit.load_logs was lost; this run's rows are those of its commits, how it ended is not known"

_log = logging.getLogger(__name__)


def take_over(project: Project, lake: Lake, spools: Path, console: Console) -> AuditState:
    """Make the audit whole before a run begins, and return what it then knows.

    Spools of earlier runs are flushed, rows of commits that a dead run could not write are read back, runs without an end are
    closed as ABANDONED; an audit that was lost is rebuilt from the commits. Called with the lock held: no other run is alive.

    Raises TableStateError when the audit's own log is torn; nothing was read or written.
    """
    ensure_audit(lake)
    notes = () if lake.moved_past(LOAD_LOGS_TABLE, 0) else _rebuilt(project, lake, console)
    state = read_state(lake, notes)
    left = spooled_rows(spools) if spools.is_dir() else {}
    rows = [row for rows in left.values() for row in rows]
    ended = {row.run_id for row in rows if row.layer == "run"}
    dead = {run_id: windows for run_id, windows in state.open_runs.items() if run_id not in ended}
    # A run whose rows were left in its spool may have taken a commit for a failure, because its JVM died before the answer came.
    unsure = frozenset({*dead, *(row.run_id for row in rows)})
    if unsure:
        rows += rows_in_commits(lake, _existing(project, lake), unsure)
    for run_id, windows in dead.items():
        rows += abandoned_rows(run_id, windows, rows, datetime.now(timezone.utc))
        console.print(f"run {run_id} ended without a word: closed as ABANDONED; this run takes up its work", highlight=False)
    if rows:
        # A run killed between its flush and the deletion of its spool has these rows in the table already.
        known = known_ids(lake, {row.run_id for row in rows})
        fresh = [row for row in _first_of_each(rows) if row.id not in known]
        if fresh:
            append_logs(lake, fresh)
        state = read_state(lake, notes)
    for path in left:
        path.unlink(missing_ok=True)
    shutil.rmtree(Path(lake.root) / "_scratch", ignore_errors=True)
    return state


def _first_of_each(rows: Sequence[LoadLog]) -> list[LoadLog]:
    return list({row.id: row for row in reversed(rows)}.values())[::-1]


def _existing(project: Project, lake: Lake) -> list[Table]:
    tables = [bronze_table(row) for row in project.loads]
    tables += [layer_table("silver", name) for name in project.contracts]
    tables += [layer_table("gold", name) for name in project.models]
    return [table for table in tables if _is_readable(lake, table)]


def _is_readable(lake: Lake, table: Table) -> bool:
    try:
        return lake.exists(table)
    except TableStateError as error:
        # Its own step refuses it; the audit of the others is made whole all the same.
        _log.error("%s", error)
        return False


def _rebuilt(project: Project, lake: Lake, console: Console) -> tuple[str, ...]:
    """Fill an empty `audit.load_logs` from the commits of the lakehouse's tables, and say so when there was anything to fill."""
    marks = {row["run_id"] for row in lake.read(RUNS_TABLE).select("run_id").collect()}
    if len(marks) == 1:
        # The very first run, and it died: no audit was lost.
        return ()
    rows = rows_in_commits(lake, _existing(project, lake))
    runs = {row.run_id for row in rows} | marks
    if not runs:
        return ()
    now = datetime.now(timezone.utc)
    end = LoadLog(id="", loaddate=now, layer="run", status="ABANDONED", finished_at=now, message=_LOST)
    append_logs(lake, [*rows, *[replace(end, id=f"{run_id}-lost", run_id=run_id) for run_id in sorted(runs)]])
    note = f"{LOAD_LOGS_TABLE.label} was lost: {len(rows)} rows of {len(runs)} runs were rebuilt from the commits of the tables they wrote to"
    console.print(note, highlight=False)
    return (note,)
