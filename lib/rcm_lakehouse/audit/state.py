"""What the audit knows of earlier runs: a cache of progress, and the runs that never ended."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE
from rcm_lakehouse.lake.tables import Lake

DONE = ("SUCCESS", "NOOP", "HELD")


@dataclass(frozen=True)
class LastDone:
    """The newest finished step of a table."""

    table_id: str | None
    table_version: int | None
    consumed: dict[str, int]
    fingerprint: str | None


@dataclass(frozen=True)
class AuditState:
    """Progress by table label, and the runs without an end."""

    last_done: dict[str, LastDone]
    open_runs: dict[str, list[dict[str, object]]]


def read_state(lake: Lake) -> AuditState:
    """The newest finished silver and gold step of each table, and runs whose start mark has no end row; one query each."""
    logs = lake.read(LOAD_LOGS_TABLE)
    newest = F.max_by(
        F.struct("table_id", "table_version", "consumed", "fingerprint"), F.struct("finished_at", "table_version", "consumed")
    )
    done = (
        logs.where(F.col("layer").isin("silver", "gold") & F.col("status").isin(*DONE)).groupBy("target").agg(newest.alias("last"))
    ).collect()
    ended = logs.where(F.col("layer") == "run").select("run_id").distinct()
    started = lake.read(RUNS_TABLE).select("run_id", "windows")
    open_runs = started.join(ended, "run_id", how="left_anti").collect()
    return AuditState(
        {row["target"]: _last_done(row["last"].asDict()) for row in done},
        {row["run_id"]: [window.asDict() for window in row["windows"] or []] for row in open_runs},
    )


def _last_done(values: dict[str, object]) -> LastDone:
    consumed = json.loads(str(values["consumed"])) if values["consumed"] else {}
    version = values["table_version"]
    return LastDone(
        values["table_id"] if values["table_id"] is None else str(values["table_id"]),
        None if version is None else int(str(version)),
        {str(table): int(seq) for table, seq in consumed.items()},
        None if values["fingerprint"] is None else str(values["fingerprint"]),
    )


def abandoned_rows(run_id: str, windows: Iterable[dict[str, object]], spooled: Iterable[LoadLog], now: datetime) -> list[LoadLog]:
    """End rows for a run that died: one for each planned load without a row of its own, and one for the run."""
    known = {row.load_id for row in spooled if row.run_id == run_id}
    rows = [
        LoadLog(
            id=f"{run_id}-{window['load_id']}-abandoned",
            data_source=str(window["load"]).partition(".")[0],
            tablename=str(window["load"]).partition(".")[2],
            loaddate=now,
            run_id=run_id,
            layer="bronze",
            target=str(window["target"]),
            status="ABANDONED",
            load_id=str(window["load_id"]),
            window_low=window["window_low"],  # type: ignore[arg-type]
            window_high=window["window_high"],  # type: ignore[arg-type]
            finished_at=now,
            message="the run ended without a word; what it committed is in the table, the rest is read again",
        )
        for window in windows
        if window["load_id"] not in known
    ]
    return [*rows, LoadLog(id=f"{run_id}-abandoned", loaddate=now, run_id=run_id, layer="run", status="ABANDONED", finished_at=now)]
