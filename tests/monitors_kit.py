"""Monitors in a small project: they are put there, run through the job, and their rows read."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pyspark.sql.types import StructType

from harness import PROJECT, Mini
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.pipeline.status import Status, read_status
from rcm_lakehouse.pipeline.status_door import main

GOLD = ("facts_and_dimensions", "facts_and_kpis", "keys_in_dimensions", "totals_tie_out")
Rows = list[dict[str, Any]]


def put_monitors(mini: Mini, feeds: Mapping[str, Mapping[str, object]], *, with_gold: bool = False) -> None:
    """The project's own monitors (those of gold only where its models are) and a calendar."""
    folder = mini.home / "conf" / "monitor"
    folder.mkdir()
    for path in (PROJECT / "conf" / "monitor").glob("*.sql"):
        if with_gold or path.stem not in GOLD:
            shutil.copy(path, folder)
    (folder / "feeds.yml").write_text(json.dumps(feeds))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def judged(mini: Mini, now: datetime, *only: str) -> dict[str, Rows]:
    """What each monitor found, as dicts."""
    return as_dicts(read_status(mini.home, "local", only, now))


def as_dicts(status: Status) -> dict[str, Rows]:
    return {found.monitor.name: [dict(zip(found.columns, row, strict=True)) for row in found.rows] for found in status.found}


def job(mini: Mini, *arguments: str) -> int:
    return main(["--home", str(mini.home), *arguments])


def commits(mini: Mini) -> list[str]:
    return sorted(str(path) for path in (mini.home / "lakehouse").rglob("_delta_log/*.json"))


def write(mini: Mini, layer: str, name: str, schema: StructType, rows: Sequence[Mapping[str, object]]) -> None:
    table = layer_table(layer, name)
    mini.lake.ensure(table, schema)
    values = [tuple(row.get(column) for column in schema.names) for row in rows]
    mini.lake.append(table, mini.spark.createDataFrame(values, schema).coalesce(1), metadata={})


def named(rows: Rows, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]
