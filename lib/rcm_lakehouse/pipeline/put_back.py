"""Silver put back as it was before: its own log tells what it had taken, and what came since is taken from bronze again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Row
from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import rows_in_commits
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.log_check import operations_after
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity


def take_up(ctx: RunContext, lake: Lake, entity: Entity) -> None:
    """Where silver was put back from a backup or restored, the run's progress of it becomes that of its own newest commit.

    Its tombstones and its quarantine are put back to the versions that this commit names: rows that were replayed since wait again. What came since is
    taken from bronze again, and rows that history has change nothing there. Where nothing was put back: no Spark job on a local disk.

    Raises TableStateError when the log does not tell what was taken, or when tombstones or quarantine are older than silver; nothing was written.
    """
    last = ctx.state.last_done.get(entity.silver.label)
    if last is None or last.table_version is None or last.table_id != lake.table_id(entity.silver):
        return
    head = lake.head_version(entity.silver)
    if head == last.table_version or (head > last.table_version and not _was_restored(lake, entity.silver, last.table_version)):
        ctx.state.last_done[entity.silver.label] = replace(last, consumed=_beside(ctx, lake, entity, last.consumed))
        return
    found = _progress(lake, entity, head)
    consumed = _beside(ctx, lake, entity, found.consumed)
    for table in (entity.tombstones, entity.quarantine):
        _put_back(lake, entity, table, consumed.get(table.label))
    ctx.state.last_done[entity.silver.label] = replace(last, table_version=head, consumed=consumed)
    ctx.put_back[f"silver:{entity.contract.entity}"] = (
        f"{entity.silver.label} was put back to version {found.version}, earlier runs had come to {last.table_version}: its tombstones and its quarantine "
        "are put back with it, and what came since is taken from bronze again. Rows that were replayed since by hand wait in quarantine again"
    )


def _was_restored(lake: Lake, table: Table, after: int) -> bool:
    if lake.has_local_log:
        return "RESTORE" in operations_after(Path(lake.location(table)), after)
    history = DeltaTable.forName(lake.spark, lake.sql_name(table)).history()
    return bool(history.where((F.col("version") > after) & (F.col("operation") == "RESTORE")).limit(1).collect())


@dataclass(frozen=True)
class _Progress:
    version: int
    consumed: Mapping[str, int]


def _progress(lake: Lake, entity: Entity, head: int) -> _Progress:
    """What the newest commit that still counts says was taken; nothing where the table was put back to its beginning."""
    history = DeltaTable.forName(lake.spark, lake.sql_name(entity.silver)).history()
    commits = {int(row["version"]): row for row in history.select("version", "operation", "operationParameters").collect()}
    told = {row.table_version: row.consumed for row in rows_in_commits(lake, [entity.silver]) if row.consumed}
    version = head
    while version in commits:
        if commits[version]["operation"] == "RESTORE":
            version = _restored_to(entity, commits[version])
        elif version in told:
            return _Progress(version, {str(name): int(seq) for name, seq in json.loads(str(told[version])).items()})
        elif version == 0:
            return _Progress(0, {entity.tombstones.label: 0, entity.quarantine.label: 0})
        else:
            version -= 1
    raise TableStateError(
        f"{entity.silver.label} was put back to version {head} or before, and its log no longer tells what it had taken then. Nothing was written. "
        + _ways(entity)
    )


def _restored_to(entity: Entity, commit: Row) -> int:
    version = str(commit["operationParameters"].get("version") or "")
    if not version.isdigit():
        raise TableStateError(
            f"{entity.silver.label} was restored by a time, which does not tell how far it had come then. Nothing was written. Restore it by its version: "
            "RESTORE TABLE ... TO VERSION AS OF n, with n from DESCRIBE HISTORY."
        )
    return int(version)


def _beside(ctx: RunContext, lake: Lake, entity: Entity, consumed: Mapping[str, int]) -> dict[str, int]:
    """Progress of silver whose tombstones and quarantine are as it knew them, or newer; a loss that was accepted forgets what they knew."""
    known = dict(consumed)
    for table in (entity.tombstones, entity.quarantine):
        since, head = consumed.get(table.label), lake.head_version(table)
        if since is None or head >= since:
            continue
        if table.label not in ctx.options.accept_lost:
            raise TableStateError(
                f"{table.label} has come to version {head}, but {entity.silver.label} was written when it had {since}: it was put back from an older "
                f"backup. Nothing was written. {_ways(entity)}"
            )
        known[table.label] = head
    return known


def _put_back(lake: Lake, entity: Entity, table: Table, version: int | None) -> None:
    if version is None:
        raise TableStateError(f"{entity.silver.label} was put back, and its log does not tell how {table.label} was then. Nothing was written. {_ways(entity)}")
    if not lake.moved_past(table, version):
        return
    try:
        DeltaTable.forName(lake.spark, lake.sql_name(table)).restoreToVersion(version)
    except (PySparkException, Py4JJavaError) as error:
        raise TableStateError(
            f"{table.label} cannot be put back to version {version}, as it was when {entity.silver.label} was written that was put back "
            f"({type(error).__name__}). Silver was not written. {_ways(entity)}"
        ) from error


def _ways(entity: Entity) -> str:
    names = f"{entity.silver.label}, {entity.tombstones.label} and {entity.quarantine.label}"
    return f"Put back {names} from one backup, or move their folders away and run with --accept-lost {entity.silver.label}: bronze then builds them anew."
