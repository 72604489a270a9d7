"""Append-only audit: rows are spooled to a local file as steps end and reach Delta in one commit a run.

The spool is what a killed run leaves behind: the next run flushes it, closes the run as ABANDONED and deletes the file. An
audit table that cannot be written leaves the spool in place, so nothing is forgotten.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from rcm_lakehouse.audit.schema import LOAD_LOGS, RUNS, LoadLog
from rcm_lakehouse.config.errors import CommitConflictError, TableStateError
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.memory import STATISTICS
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake, iso_text

LOAD_LOGS_TABLE = layer_table("audit", "load_logs")
RUNS_TABLE = layer_table("audit", "runs")
# Statistics on ids and messages help no query and cost space; the times and the status do.
_STATS = {STATISTICS: "loaddate,run_id,layer,status,finished_at", "delta.autoOptimize.autoCompact": "true"}

_STANDS = "The tables of the other layers are as their commits left them."
NOT_BEGUN = "No source was read, and no bronze, silver or gold table was written to: a run without an audit does not begin."

_log = logging.getLogger(__name__)


def ensure_audit(lake: Lake) -> None:
    """Create both audit tables, empty, unless they exist.

    Raises TableStateError when one cannot be made or opened: a run without an audit must not begin.
    """
    with writing(RUNS_TABLE, NOT_BEGUN):
        lake.ensure(RUNS_TABLE, RUNS, properties={"delta.autoOptimize.autoCompact": "true"})
    with writing(LOAD_LOGS_TABLE, NOT_BEGUN):
        lake.ensure(LOAD_LOGS_TABLE, LOAD_LOGS, properties=_STATS)


def mark_start(lake: Lake, row: dict[str, object]) -> None:
    """Append the start mark of a run: who, when, with which configuration, and the frozen windows.

    Raises TableStateError when it cannot be written: a run without a mark must not begin.
    """
    with writing(RUNS_TABLE):
        lake.append(RUNS_TABLE, lake.made([row], RUNS), metadata={"run_id": row["run_id"], "kind": "start"})


class AuditSpool:
    """Rows of one run, kept in a local file until they are in `audit.load_logs`. Safe to use from several threads."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.path = folder / f"{run_id}.jsonl"
        self.rows: list[LoadLog] = []
        self.is_flushed = False
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            _log.error("the folder of the audit spool cannot be made (%s)", error.strerror)

    def add(self, row: LoadLog) -> None:
        """Keep a terminal row; it is on disk when this returns, unless the disk refused it: then it is kept in memory and said so."""
        with self._lock:
            self.rows.append(row)
            try:
                self._write(json.dumps(row.as_row(), default=iso_text))
            except OSError as error:
                _log.error("audit spool %s cannot be written (%s): until the run ends its rows are in memory only", self.path.name, error.strerror)

    def _write(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as spool:
            # A line of its own, whatever an earlier write left unfinished.
            spool.write(("\n" if spool.tell() else "") + line)
            spool.flush()
            os.fsync(spool.fileno())

    def keep(self) -> bool:
        """Write every row to the file once more, after the audit could not be written; False when the disk refuses them still."""
        with self._lock:
            part = self.path.with_suffix(".part")
            try:
                with part.open("w", encoding="utf-8") as spool:
                    spool.write("\n".join(json.dumps(row.as_row(), default=iso_text) for row in self.rows))
                    spool.flush()
                    os.fsync(spool.fileno())
                part.replace(self.path)
            except OSError as error:
                _log.error("audit spool %s cannot be written (%s)", self.path.name, error.strerror)
                with suppress(OSError):
                    part.unlink()
                return False
            return True

    def flush(self, lake: Lake) -> None:
        """Append all rows in one commit and delete the file; the file stays when the commit fails.

        One that cannot be deleted does no harm: the next run knows its rows by their ids.
        """
        with self._lock:
            if self.rows:
                append_logs(lake, self.rows)
                crash_point("P16", "flushed")
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("audit spool %s cannot be deleted (%s)", self.path.name, error.strerror)
            self.rows = []
            self.is_flushed = True


def append_logs(lake: Lake, rows: Sequence[LoadLog]) -> None:
    """Append terminal rows to `audit.load_logs` in one commit.

    Raises TableStateError when the table cannot be written; nothing was appended.
    """
    with writing(LOAD_LOGS_TABLE):
        frame = lake.made([row.as_row() for row in rows], LOAD_LOGS)
        # Columns of a newer release are added as they come.
        lake.append(LOAD_LOGS_TABLE, frame, metadata={"run_id": rows[0].run_id, "kind": "load_logs"}, merge_schema=True)


@contextmanager
def writing(table: Table, left: str = _STANDS) -> Iterator[None]:
    """Tell an audit table that cannot be written in the taxonomy's words, without the driver's; `left` says what state is left."""
    try:
        yield
    except (PySparkException, Py4JError, CommitConflictError) as error:
        raise TableStateError(
            f"{table.label} cannot be written ({type(error).__name__}). {left} Check free "
            f"space and permissions of {table.path} below the lakehouse's root; the next run takes up what is missing."
        ) from None


def spooled_rows(folder: Path) -> dict[Path, list[LoadLog]]:
    """What earlier runs left unflushed, by file; a torn last line is left out."""
    left: dict[Path, list[LoadLog]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = []
        for line in filter(None, path.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                rows.append(from_json(json.loads(line)))
            except ValueError:
                _log.warning("a torn line in %s was left out", path.name)
        # A row written twice was corrected: the last one counts.
        left[path] = list({row.id: row for row in rows}.values())
    return left


def from_json(values: dict[str, object]) -> LoadLog:
    """A row that was written as JSON; columns that this release does not know are left out."""
    values = {name: value for name, value in values.items() if name in LoadLog.__dataclass_fields__}
    for name in ("loaddate", "started_at", "finished_at"):
        if isinstance(values.get(name), str):
            values[name] = datetime.fromisoformat(str(values[name]))
    return LoadLog(**values)  # type: ignore[arg-type]
