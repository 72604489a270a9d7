"""Silver put back as it was before: its own log tells what it had taken, and what came since is taken from bronze again."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Row

from rcm_lakehouse.audit.commits import rows_in_commits
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.commits import HARMLESS, commits_from, restore, was_put_back, written_at
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.unfinished import merged_as, written


def take_up(ctx: RunContext, lake: Lake, entity: Entity) -> None:
    """Where silver was put back from a backup or restored, the run's progress of it becomes that of its own newest commit.

    Its tombstones and its quarantine are put back to the versions that this commit names: rows that were replayed since wait again. What came since is
    taken from bronze again, and rows that history has change nothing there. Where nothing was put back: no Spark job on a local disk.

    Raises TableStateError when the log does not tell what was taken, or when tombstones or quarantine are older than silver; nothing was written.
    """
    last = ctx.state.last_done.get(entity.silver.label)
    if last is None or last.table_version is None or last.table_id != lake.table_id(entity.silver):
        return
    # None before the first MERGE.
    merged = last.consumed.get(merged_as(entity.silver))
    newest = last.table_version if merged is None else merged
    if not was_put_back(lake, entity.silver, newest, None if merged is None else last.consumed.get(written(entity.silver), 0)):
        ctx.state.last_done[entity.silver.label] = replace(last, consumed=_beside(ctx, lake, entity, last.consumed))
        return
    head = lake.head_version(entity.silver)
    found = _progress(lake, entity, head)
    consumed = _beside(ctx, lake, entity, found.consumed)
    for table in (entity.tombstones, entity.quarantine):
        _put_back(ctx, lake, entity, table, consumed.get(table.label), found.run)
        consumed |= {table.label: lake.head_version(table), written(table): written_at(lake, table)}
    consumed |= {merged_as(entity.silver): head, written(entity.silver): written_at(lake, entity.silver)}
    # Versions that came before come again: who follows the table by them is told that they are others.
    consumed[put_back_in(entity.silver)] = zlib.crc32(ctx.run_id.encode())
    ctx.state.last_done[entity.silver.label] = replace(last, table_version=head, consumed=consumed)
    ctx.put_back[f"silver:{entity.contract.entity}"] = (
        f"{entity.silver.label} was put back to version {found.version}, earlier runs had come to {newest}: its tombstones and its quarantine "
        "are put back with it, and what came since is taken from bronze again. Rows that were replayed since by hand wait in quarantine again"
    )


def put_back_in(table: Table) -> str:
    """Under which name progress keeps which run found the table put back last."""
    return f"{table.label}, put back"


@dataclass(frozen=True)
class _Progress:
    version: int
    run: str
    consumed: Mapping[str, int]


def _progress(lake: Lake, entity: Entity, head: int) -> _Progress:
    """What the newest commit that still counts says was taken; nothing where the table was put back to its beginning."""
    history = DeltaTable.forName(lake.spark, lake.sql_name(entity.silver)).history()
    commits = {int(row["version"]): row for row in history.select("version", "operation", "operationParameters").collect()}
    told = {row.table_version: row for row in rows_in_commits(lake, [entity.silver]) if row.consumed}
    version = head
    while version in commits:
        if commits[version]["operation"] == "RESTORE":
            version = _restored_to(entity, commits[version])
        elif version in told:
            taken = json.loads(str(told[version].consumed))
            run = told[version].run_id
            # Where a later MERGE of that run is undone, so is what the run told behind it.
            is_last = not any(row.run_id == run and (row.table_version or 0) > version for row in told.values())
            return _Progress(version, run if is_last else "", {str(name): int(seq) for name, seq in taken.items()})
        elif version == 0:
            return _Progress(0, "", {entity.tombstones.label: 0, entity.quarantine.label: 0})
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
        if since is None or not was_put_back(lake, table, since, consumed.get(written(table))):
            continue
        if table.label not in ctx.options.accept_lost:
            raise TableStateError(
                f"{table.label} is not as {entity.silver.label} was written with it (its version {since}, it has come to {head}): it was put back from an "
                f"older backup. Nothing was written. {_ways(entity)}"
            )
        known |= {table.label: head, written(table): written_at(lake, table)}
    return known


def _put_back(ctx: RunContext, lake: Lake, entity: Entity, table: Table, version: int | None, run: str) -> None:
    """Undo what came after the version, but for what the run that made silver's newest commit told behind it."""
    if version is None:
        raise TableStateError(f"{entity.silver.label} was put back, and its log does not tell how {table.label} was then. Nothing was written. {_ways(entity)}")
    later = commits_from(lake, table, version + 1)
    apart = next((commit.version for commit in later if commit.operation not in HARMLESS and not (run and commit.run == run)), None)
    if apart is None:
        return
    try:
        restore(lake, table, apart - 1, ctx.run_id)
    except (PySparkException, Py4JJavaError) as error:
        raise TableStateError(
            f"{table.label} cannot be put back to version {apart - 1}, as it was when {entity.silver.label} was written that was put back "
            f"({type(error).__name__}). Silver was not written. {_ways(entity)}"
        ) from error


def _ways(entity: Entity) -> str:
    names = f"{entity.silver.label}, {entity.tombstones.label} and {entity.quarantine.label}"
    return f"Put back {names} from one backup, or move their folders away and run with --accept-lost {entity.silver.label}: bronze then builds them anew."
