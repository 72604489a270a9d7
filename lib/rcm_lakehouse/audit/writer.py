"""Append-only audit: rows are spooled to a local file as steps end and reach Delta in one commit a run.

The spool is what a killed run leaves behind: the next run flushes it, closes the run as ABANDONED and deletes the file. An
audit table that cannot be written leaves the spool in place, so nothing is forgotten.
"""

import json
import logging
import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from threading import Lock

from rcm_lakehouse.audit.schema import LOAD_LOGS, RUNS, LoadLog
from rcm_lakehouse.lake.tables import Lake, layer_table

LOAD_LOGS_TABLE = layer_table("audit", "load_logs")
RUNS_TABLE = layer_table("audit", "runs")
# Statistics on ids and messages help no query and cost space; the times and the status do.
_STATS = {"delta.dataSkippingStatsColumns": "loaddate,run_id,layer,status,finished_at", "delta.autoOptimize.autoCompact": "true"}

_log = logging.getLogger(__name__)


def ensure_audit(lake: Lake) -> None:
    """Create both audit tables, empty, unless they exist."""
    lake.ensure(LOAD_LOGS_TABLE, LOAD_LOGS, properties=_STATS)
    lake.ensure(RUNS_TABLE, RUNS, properties={"delta.autoOptimize.autoCompact": "true"})


def mark_start(lake: Lake, row: dict[str, object]) -> None:
    """Append the start mark of a run: who, when, with which configuration, and the frozen windows."""
    rows = lake.spark.createDataFrame([tuple(row.get(name) for name in RUNS.names)], RUNS)
    lake.append(RUNS_TABLE, rows, metadata={"run_id": row["run_id"], "kind": "start"})


class AuditSpool:
    """Rows of one run, kept in a local file until they are in `audit.load_logs`. Safe to use from several threads."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.path = folder / f"{run_id}.jsonl"
        self.rows: list[LoadLog] = []
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def add(self, row: LoadLog) -> None:
        """Keep a terminal row; it is on disk when this returns."""
        with self._lock:
            self.rows.append(row)
            with self.path.open("a", encoding="utf-8") as spool:
                spool.write(json.dumps(row.as_row(), default=_as_text) + "\n")
                spool.flush()
                os.fsync(spool.fileno())

    def flush(self, lake: Lake) -> None:
        """Append all rows in one commit and delete the file; the file stays when the commit fails."""
        with self._lock:
            if self.rows:
                append_logs(lake, self.rows)
            self.path.unlink(missing_ok=True)
            self.rows = []


def append_logs(lake: Lake, rows: Sequence[LoadLog]) -> None:
    """Append terminal rows to `audit.load_logs` in one commit."""
    values = [tuple(row.as_row()[name] for name in LOAD_LOGS.names) for row in rows]
    frame = lake.spark.createDataFrame(values, LOAD_LOGS).coalesce(1)
    lake.append(LOAD_LOGS_TABLE, frame, metadata={"run_id": rows[0].run_id, "kind": "load_logs"})


def spooled_rows(folder: Path) -> dict[Path, list[LoadLog]]:
    """What earlier runs left unflushed, by file; a torn last line is left out."""
    left: dict[Path, list[LoadLog]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(_from_json(json.loads(line)))
            except ValueError:
                _log.warning("a torn line in %s was left out", path.name)
        left[path] = rows
    return left


def _as_text(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be spooled")


def _from_json(values: dict[str, object]) -> LoadLog:
    for name in ("loaddate", "started_at", "finished_at"):
        if isinstance(values.get(name), str):
            values[name] = datetime.fromisoformat(str(values[name]))
    return LoadLog(**values)  # type: ignore[arg-type]
