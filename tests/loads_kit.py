"""Small loads of one made-up entity, `visit`: a contract, work-list rows and statements that tests of loads share."""

import shutil
from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F

from harness import Ended, Mini
from rcm_lakehouse.bronze.windows import Kind, compare


def visit_contract(tables: Sequence[str], **changes: Any) -> dict[str, Any]:
    """The contract of `visit`, fed by these source tables (VisitID, State, ...); the load's window gives the time of a change."""
    contract: dict[str, Any] = {
        "description": "A visit.",
        "grain": "one visit of one hospital",
        "key": ["source_visit_id"],
        "columns": [{"name": "source_visit_id", "type": "string"}, {"name": "state", "type": "string"}],
        "sources": [{"name": "emr", "tables": list(tables), "columns": {"source_visit_id": "VisitID", "state": "State"}}],
    }
    return {**contract, **changes}


def incremental(table: str, watermark: str = "Mark", database: str = "hospital-a", source: str = "hos-a") -> str:
    """A row of the work list that loads a table by a watermark."""
    return f"{database},{source},{table},Incremental,{watermark},1,{source.replace('-', '')}"


def full(table: str, database: str = "hospital-a", source: str = "hos-a", active: int = 1) -> str:
    """A row of the work list that loads a whole table."""
    return f"{database},{source},{table},Full,,{active},{source.replace('-', '')}"


def make_silver_anew(mini: Mini, entities: Sequence[str], now: str) -> None:
    """Take the tables of entities away, their quarantine and tombstones too, and let a run make them from bronze."""
    names = [name for entity in entities for name in (f"silver.{entity}", f"silver.{entity}_tombstones", f"quarantine.{entity}")]
    for name in names:
        shutil.rmtree(mini.home / "lakehouse" / name.replace(".", "/"), ignore_errors=True)
    ended = mini.run(now=now, accept_lost=tuple(names))
    assert ended.code == 0, ended.said


def counts(ended: Ended, table: str) -> tuple[int | None, ...]:
    """(read, written, duplicate, dropped, late) of the bronze load of a table."""
    log = ended.log("bronze", f"hosa_{table}")
    return (log.rows_read, log.rows_written, log.rows_duplicate, log.rows_dropped, log.rows_late)


def failure(ended: Ended, table: str) -> str:
    """The message of the one failed bronze load of a table."""
    found = [row for row in ended.logs if row.layer == "bronze" and row.tablename == table]
    assert [row.status for row in found] == ["FAILED"], [(row.status, row.message) for row in found]
    return str(found[0].message)


def assert_watermarks_never_fall(mini: Mini, kinds: dict[str, Kind]) -> None:
    """A08: over all SUCCESS loads of a table, in order, the watermark only rises; RESET rows begin anew."""
    rows = mini.frame("audit.load_logs").where(F.col("layer") == "bronze").where(F.col("status").isin("SUCCESS", "RESET"))
    seen: dict[str, str] = {}
    found = rows.orderBy("loaddate", "id").select("target", "status", "watermark_before", "watermark_after").collect()
    assert found
    for target, status, before, after in found:
        kind = kinds.get(target.removeprefix("bronze.hosa_"))
        if kind is None:
            continue
        if status == "SUCCESS" and target in seen:
            assert before == seen[target], (target, before, seen[target])
            assert after is not None
            assert compare(kind, after, before) >= 0, (target, before, after)
        if after is not None:
            seen[target] = after
