"""Wards and the visits to them, as contracts of a test; the options of a replay, and what quarantine says."""

from typing import Any

from harness import Mini
from rcm_lakehouse.lake.names import register_all

WARD: dict[str, Any] = {
    "description": "A ward.",
    "grain": "one ward",
    "key": ["source_ward_id"],
    "columns": [{"name": "source_ward_id", "type": "string"}],
    "sources": [{"name": "emr", "tables": ["wards"], "columns": {"source_ward_id": "WardID"}}],
}
VISIT: dict[str, Any] = {
    "description": "A visit.",
    "grain": "one visit",
    "key": ["source_visit_id"],
    "after": ["ward"],
    "sequence_by": ["changed_at"],
    "columns": [
        {"name": "source_visit_id", "type": "string"},
        {"name": "state", "type": "string"},
        {"name": "amount", "type": "decimal(18,2)"},
        {"name": "ward_key", "type": "string", "key_of": "ward"},
        {"name": "changed_at", "type": "timestamp", "tracked": False},
    ],
    "sources": [
        {
            "name": "emr",
            "tables": ["visits"],
            "columns": {"source_visit_id": "VisitID", "state": "State", "amount": "Amount", "ward_key": "WardID", "changed_at": "Changed"},
        }
    ],
    "rules": [
        {"name": "state_known", "check": "state IN ('open', 'closed')", "columns": ["state"], "severity": "error", "version": 1},
        {"name": "ward_known", "references": "ward", "columns": ["ward_key"], "severity": "error"},
    ],
}
REPLAY: dict[str, Any] = {"layers": ("silver", "gold"), "replay": True}


def statuses(mini: Mini, entity: str) -> dict[str, int]:
    """How many rows of an entity's quarantine have each status."""
    register_all(mini.spark, mini.lake.settings, mini.home)
    found = mini.spark.table(f"quarantine.{entity}_rows").groupBy("status").count().collect()
    return {row["status"]: row["count"] for row in found}
