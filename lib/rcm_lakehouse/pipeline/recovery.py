"""What a dead run left behind: its spooled audit rows, and runs that never ended."""

import shutil
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.state import AuditState, abandoned_rows, read_state
from rcm_lakehouse.audit.writer import append_logs, spooled_rows
from rcm_lakehouse.lake.tables import Lake


def close_dead_runs(lake: Lake, spools: Path, console: Console) -> AuditState:
    """Flush spools of earlier runs, close runs without an end as ABANDONED, and return what the audit then knows.

    Called with the lock held: no other run of this lakehouse is alive.
    """
    state = read_state(lake)
    left = spooled_rows(spools) if spools.is_dir() else {}
    rows = [row for rows in left.values() for row in rows]
    ended = {row.run_id for row in rows if row.layer == "run"}
    for run_id, windows in state.open_runs.items():
        if run_id in ended:
            continue
        rows += abandoned_rows(run_id, windows, rows, datetime.now(timezone.utc))
        console.print(f"run {run_id} ended without a word: closed as ABANDONED; this run takes up its work", highlight=False)
    if rows:
        append_logs(lake, _first_of_each(rows))
        state = read_state(lake)
    for path in left:
        path.unlink(missing_ok=True)
    shutil.rmtree(Path(lake.root) / "_scratch", ignore_errors=True)
    return state


def _first_of_each(rows: list[LoadLog]) -> list[LoadLog]:
    return list({row.id: row for row in reversed(rows)}.values())[::-1]
