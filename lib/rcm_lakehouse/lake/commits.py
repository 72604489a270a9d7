"""What the commits of a table tell of themselves; on a local disk read from its log, without a Spark job."""

import json
from dataclasses import dataclass
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from rcm_lakehouse.lake.log_check import told_from
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# What changes no row.
HARMLESS = ("OPTIMIZE", "SET TBLPROPERTIES", "VACUUM START", "VACUUM END")


@dataclass(frozen=True)
class CommitTold:
    """A commit: its version, what it did (WRITE, MERGE, RESTORE, ...), when (ms), and the run that made it; empty where no run did."""

    version: int
    operation: str
    at: int
    run: str


def commits_from(lake: Lake, table: Table, version: int) -> list[CommitTold]:
    """The table's commits from `version` on, in order; those that Delta has removed from the log are not among them."""
    if lake.has_local_log:
        folder = Path(lake.location(table))
        found = [(number, told.get("operation"), _millis(told), told.get("userMetadata")) for number, told in told_from(folder, version)]
    else:
        history = DeltaTable.forName(lake.spark, lake.sql_name(table)).history().where(F.col("version") >= version)
        at = (F.unix_millis("timestamp")).alias("at")
        found = [tuple(row) for row in history.select("version", "operation", at, "userMetadata").orderBy("version").collect()]
    return [CommitTold(int(str(number)), str(operation), int(str(at)), _run_of(metadata)) for number, operation, at, metadata in found]


def was_put_back(lake: Lake, table: Table, version: int, at: int | None = 0) -> bool:
    """True when the log does not have the `version` that is known, or was restored since by another than us: it is as it was before, whatever came on top.

    `at` is the time of the version (ms); 0: a run made it; None: nothing more is known of it.
    """
    if lake.head_version(table) < version:
        return True
    commits = commits_from(lake, table, version)
    if any(commit.operation == "RESTORE" and not commit.run and commit.version > version for commit in commits):
        return True
    found = [commit for commit in commits if commit.version == version]
    return bool(found) and at is not None and (found[0].at != at if at else not found[0].run)


def written_at(lake: Lake, table: Table) -> int:
    """When the newest version was made (ms), by which it is known again; 0 where the log does not tell."""
    return max((commit.at for commit in commits_from(lake, table, lake.head_version(table))), default=0)


def restore(lake: Lake, table: Table, version: int, run_id: str) -> None:
    """Put the table back to a version, in one commit that names the run. Raises what Delta raises where files of that version are gone."""
    lake.spark.conf.set(_METADATA, json.dumps({"run_id": run_id, "kind": "put back"}))
    try:
        DeltaTable.forName(lake.spark, lake.sql_name(table)).restoreToVersion(version)
    finally:
        lake.spark.conf.unset(_METADATA)


def _millis(told: dict[str, object]) -> int:
    return int(str(told.get("inCommitTimestamp") or told.get("timestamp") or 0))


def _run_of(metadata: object) -> str:
    try:
        told = json.loads(str(metadata)) if metadata else {}
    except ValueError:
        return ""
    return str(told.get("run_id") or "") if isinstance(told, dict) else ""
