"""What the commits of a table tell of themselves; on a local disk read from its log, without a Spark job."""

import json
from dataclasses import dataclass
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from rcm_lakehouse.lake.log_check import told_from
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

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


def was_put_back(lake: Lake, table: Table, version: int, *, is_of_run: bool = True) -> bool:
    """True when the table's log does not have the `version` that a run committed, or was restored since: it is as it was before, whatever came on top.

    `is_of_run` False: who made the version is not known.
    """
    if lake.head_version(table) < version:
        return True
    commits = commits_from(lake, table, version)
    return any(is_of_run and not commit.run if commit.version == version else commit.operation == "RESTORE" for commit in commits)


def written_at(lake: Lake, table: Table) -> int:
    """When the newest version was made (ms), by which it is known again; 0 where the log does not tell."""
    return max((commit.at for commit in commits_from(lake, table, lake.head_version(table))), default=0)


def _millis(told: dict[str, object]) -> int:
    return int(str(told.get("inCommitTimestamp") or told.get("timestamp") or 0))


def _run_of(metadata: object) -> str:
    try:
        told = json.loads(str(metadata)) if metadata else {}
    except ValueError:
        return ""
    return str(told.get("run_id") or "") if isinstance(told, dict) else ""
