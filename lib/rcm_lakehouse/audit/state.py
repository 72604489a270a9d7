"""What the audit knows of earlier runs: a cache of progress, the tables they wrote to, and the runs that never ended."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE
from rcm_lakehouse.lake.tables import Lake

DONE = ("SUCCESS", "NOOP", "HELD")
_LOADED = ("SUCCESS", "ABANDONED", "RESET")
_LAYERS = ("bronze", "reconcile", "silver", "gold")
# Of a table or a run, from `_facts` and the start marks.
_ASKED = {
    "last": "MAX_BY(done, done_at)",
    "table_id": "MAX_BY(done.table_id, known_at)",
    "batch_seq": "MAX(batch_seq)",
    "load": "MAX_BY(load, load_at)",
    "loads": "COLLECT_SET(load_name)",
    "told": "FLATTEN(COLLECT_SET(notes))",
    "is_ended": "BOOL_OR(is_end)",
    "windows": "MAX(windows)",
}


@dataclass(frozen=True)
class LastDone:
    """The newest finished step of a table; `parameters` are those that a gold table was built for, None when that was not kept."""

    table_id: str | None
    table_version: int | None
    consumed: dict[str, int]
    fingerprint: str | None
    config_hash: str | None = None
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True)
class KnownTable:
    """A table that a step wrote to: the id it had, and (bronze) the newest batch in it."""

    table_id: str
    batch_seq: int = 0


@dataclass(frozen=True)
class AuditState:
    """Progress by table label, known tables by label, the runs without an end, and what is to be said about the audit itself.

    `left` has the frozen window's end of bronze tables whose newest load is ABANDONED; `told` are notes about connections, said once; `targets` the
    labels of all bronze tables that a load (hos-a.patients) ever wrote to.
    """

    last_done: dict[str, LastDone]
    open_runs: dict[str, list[dict[str, object]]]
    tables: dict[str, KnownTable] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left: dict[str, str | None] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    targets: dict[str, frozenset[str]] = field(default_factory=dict)


def read_state(lake: Lake, notes: tuple[str, ...] = ()) -> AuditState:
    """The newest finished silver and gold step of each table, its id, and runs whose start mark has no end row; one query."""
    logs, runs = lake.read(LOAD_LOGS_TABLE), lake.read(RUNS_TABLE)
    begun = runs.selectExpr("run_id", "COALESCE(windows, ARRAY()) AS windows", "FALSE AS is_end")
    every = _facts(logs).unionByName(begun, allowMissingColumns=True).groupBy("target", "run_id")
    found = every.agg(*[F.expr(sql).alias(name) for name, sql in _ASKED.items()]).where("run_id IS NULL OR NOT is_ended").collect()
    tables = [row for row in found if row["run_id"] is None]
    return AuditState(
        {row["target"]: _last_done(row["last"].asDict()) for row in tables if row["last"] is not None},
        {row["run_id"]: [window.asDict() for window in row["windows"]] for row in found if row["run_id"] is not None},
        {row["target"]: KnownTable(row["table_id"], int(row["batch_seq"] or 0)) for row in tables if row["table_id"] is not None},
        notes,
        {row["target"]: row["load"]["window_high"] for row in tables if row["load"] is not None and row["load"]["status"] == "ABANDONED"},
        frozenset(note for row in tables for note in row["told"]),
        {name: frozenset(row["target"] for row in tables if name in row["loads"]) for row in tables for name in row["loads"]},
    )


def _facts(logs: DataFrame) -> DataFrame:
    """What rows of the audit say of a table (`target`) or of the end of a run (`run_id`), with what orders it."""
    # An audit of an earlier release has no such column until rows of this one are appended.
    parameters = "parameters" if "parameters" in logs.columns else "CAST(NULL AS STRING)"
    is_load = f"layer = 'bronze' AND status IN ({_sql(_LOADED)})"
    return logs.where(f"layer = 'run' OR (layer IN ({_sql(_LAYERS)}) AND target IS NOT NULL)").selectExpr(
        "IF(layer = 'run', NULL, target) AS target",
        "IF(layer = 'run', run_id, NULL) AS run_id",
        f"IF(layer IN ('silver', 'gold') AND status IN ({_sql(DONE)}), STRUCT(finished_at, table_version, consumed), NULL) AS done_at",
        f"STRUCT(table_id, table_version, consumed, fingerprint, config_hash, {parameters} AS parameters) AS done",
        "IF(table_id IS NULL, NULL, STRUCT(finished_at, table_version)) AS known_at",
        "IF(layer IN ('bronze', 'reconcile'), batch_seq, NULL) AS batch_seq",
        f"IF({is_load}, STRUCT(loaddate, id), NULL) AS load_at",
        "STRUCT(status, window_high) AS load",
        # What committed, whatever became of the rest of it; a run that died tells what it was about to load, not what it did.
        "IF(layer = 'bronze' AND batch_seq IS NOT NULL, CONCAT(data_source, '.', tablename), NULL) AS load_name",
        "FILTER(warnings, note -> STARTSWITH(note, 'connection \\'')) AS notes",
        "layer = 'run' AS is_end",
    )


def _sql(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def known_ids(lake: Lake, run_ids: Iterable[str]) -> set[str]:
    """Ids of the audit rows that `audit.load_logs` has of these runs."""
    rows = lake.read(LOAD_LOGS_TABLE).where(F.col("run_id").isin(*run_ids)).select("id")
    return {row["id"] for row in rows.collect()}


def _last_done(values: dict[str, object]) -> LastDone:
    consumed = json.loads(str(values["consumed"])) if values["consumed"] else {}
    version = values["table_version"]
    return LastDone(
        values["table_id"] if values["table_id"] is None else str(values["table_id"]),
        None if version is None else int(str(version)),
        {str(table): int(seq) for table, seq in consumed.items()},
        None if values["fingerprint"] is None else str(values["fingerprint"]),
        None if values["config_hash"] is None else str(values["config_hash"]),
        None if values["parameters"] is None else json.loads(str(values["parameters"])),
    )


def abandoned_rows(run_id: str, windows: Iterable[dict[str, object]], told: Iterable[LoadLog], now: datetime) -> list[LoadLog]:
    """End rows for a run that died: one for each planned load without a row of its own, and one for the run."""
    known = {row.load_id or "" for row in told if row.run_id == run_id and row.layer == "bronze"}
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
            message="the run ended without a word and this load had committed nothing; its window is read again",
        )
        for window in windows
        # A load of several batches gives the later ones its id with a suffix.
        if not any(load_id == window["load_id"] or load_id.startswith(f"{window['load_id']}-") for load_id in known)
    ]
    return [*rows, LoadLog(id=f"{run_id}-abandoned", loaddate=now, run_id=run_id, layer="run", status="ABANDONED", finished_at=now)]
