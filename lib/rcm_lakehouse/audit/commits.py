"""Audit rows that ride in the commits they tell of, so that a commit is never without its row.

A process killed after a commit leaves no row in the audit; the next run reads it back from the commit. The audit as a whole is
rebuilt the same way when its table is lost, as far back as Delta keeps the log (30 days).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import from_json
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake, iso_text

_KEY = "audit"


def riding(rows: Iterable[LoadLog]) -> dict[str, object]:
    """Commit metadata that carries audit rows; empty columns are left out. Ids, counts and names only, as in the audit itself."""
    kept = [{name: value for name, value in row.as_row().items() if value not in (None, [])} for row in rows]
    return {_KEY: json.loads(json.dumps(kept, default=iso_text))}


def rows_in_commits(lake: Lake, tables: Iterable[Table], run_ids: frozenset[str] | None = None) -> list[LoadLog]:
    """Audit rows found in the logs of existing tables, of these runs or (None) of every run; one query a table."""
    found: list[LoadLog] = []
    for table in tables:
        history = lake.spark.sql(f"DESCRIBE HISTORY {lake.sql_name(table)}").select("version", "timestamp", "userMetadata")
        for version, at, text in history.where("userMetadata IS NOT NULL").collect():
            found += [row for row in _rows(text, int(version), at) if run_ids is None or row.run_id in run_ids]
    return sorted(found, key=lambda row: (row.run_id, row.id))


def _rows(text: str, version: int, at: datetime) -> list[LoadLog]:
    try:
        metadata = json.loads(text)
    except ValueError:
        return []
    carried = metadata.get(_KEY) if isinstance(metadata, Mapping) else None
    rows = [from_json(dict(values)) for values in carried] if isinstance(carried, list) else []
    for row in rows:
        row.table_version = version
        row.finished_at = row.finished_at or at.astimezone(timezone.utc)
        row.warnings = [*row.warnings, "read back from the commit: the run that made it ended before it wrote its audit"]
    return rows
