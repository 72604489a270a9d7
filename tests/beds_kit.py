"""Small lakehouses of tables with visits, several of them feeding one entity: contracts, rows, and what is current."""

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from harness import SETTINGS, Ended, Mini
from loads_kit import visit_contract

PLAIN = "(VisitID VARCHAR(20), State VARCHAR(60))"
TIMED = "(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed TIMESTAMP(6))"
DAYS = "(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed DATE)"
STAMP = "2026-01-20 08:00:00"


def rows(table: str, numbers: range, *more: str) -> str:
    return f"INSERT INTO {table} VALUES " + ", ".join(f"({', '.join(repr(value) for value in (f'V{n}', 'a', *more))})" for n in numbers)


def timed(tables: list[str], kind: str = "timestamp", **changes: Any) -> dict[str, Any]:
    """`visit_contract` with a time (or day) of change."""
    made = visit_contract(tables, sequence_by=["source_modified_at"], **changes)
    columns = {"source_visit_id": "VisitID", "state": "State", "source_modified_at": "Changed"}
    times = {"name": "source_modified_at", "type": kind, "tracked": False}
    return {**made, "columns": [*made["columns"], times], "sources": [{"name": "emr", "tables": tables, "columns": columns}]}


def of(spark: SparkSession, home: Path, loads: list[str], own: dict[str, Any], *, share: float = 0.2, daily: tuple[str, ...] = ()) -> Mini:
    """A lakehouse of these loads; those of the tables in `daily` are compared with their source each day."""
    mini = Mini(spark, home, loads, own_contracts=own)
    mini.connections = {"hospital-a": mini.h2(tables={table: {"reconcile": "daily"} for table in daily})}
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_delete_share": share, "max_bad_share": 1.0}}}
    mini.write()
    return mini


def keys(mini: Mini, entity: str = "bed") -> set[str]:
    return {key for (key,) in mini.rows(f"silver.{entity}", "source_visit_id", where="is_current")}


def moved(mini: Mini, where: str) -> None:
    mini.sql(f"INSERT INTO olds SELECT * FROM beds WHERE {where}", f"DELETE FROM beds WHERE {where}")


def done(ended: Ended) -> Ended:
    assert ended.code == 0, ended.said
    return ended
