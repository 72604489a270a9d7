"""What an entity tells that merges nothing: it waits for another, a hospital of it is held back, or there is nothing new."""

import json
from collections.abc import Mapping

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity
from rcm_lakehouse.pipeline.graph import Step


def upstream_broken(ctx: RunContext, entity: Entity, step: Step, done: Mapping[str, Outcome]) -> Outcome | None:
    """The outcome of an entity that waits for another which did not end well; None when it may go on."""
    broken = sorted(name for name in step.needs if name.startswith("silver:") and name in done and done[name].failed)
    if not broken:
        return None
    message = f"not merged because {', '.join(broken)} did not end well; the table is as it was"
    log = ctx.log("silver", tablename=entity.contract.entity, target=entity.silver.label, status="SKIPPED_UPSTREAM", message=message)
    return Outcome("SKIPPED_UPSTREAM", (log,))


def held_log(ctx: RunContext, entity: Entity, label: str, message: str) -> LoadLog:
    """The audit row of a load whose rows wait, with why."""
    source, _, table = label.partition(".")
    return ctx.log("silver", data_source=source, tablename=table, target=entity.silver.label, status="SKIPPED_UPSTREAM", message=message)


def nothing_new(ctx: RunContext, lake: Lake, entity: Entity, consumed: Mapping[str, int], held: Mapping[str, str]) -> Outcome:
    """The outcome of an entity that took nothing: its progress is told again, and hospitals that were held back.

    `is_unfed`: it never took anything, for what it waits for did not end well; what is in the table says nothing of any hospital.
    """
    logs = [held_log(ctx, entity, label, why) for label, why in held.items()]
    # A try of this run may have merged all there was, and failed behind that.
    kept, last = ctx.committed.get(f"silver:{entity.contract.entity}"), ctx.state.last_done.get(entity.silver.label)
    known = kept[-1].table_version if kept else last.table_version if last else None
    version = known if known is not None else lake.head_version(entity.silver)
    done = ctx.log("silver", tablename=entity.contract.entity, target=entity.silver.label, status="NOOP", table_version=version)
    done.consumed, done.table_id = as_json(consumed), lake.table_id(entity.silver)
    facts = {"version": version, "is_unfed": bool(held) and not any(name.startswith("bronze.") for name in consumed)}
    return Outcome("PARTIAL" if held else "NOOP", (*logs, done), facts, is_undone=bool(held))


def as_json(consumed: Mapping[str, int]) -> str:
    """Progress as the audit keeps it."""
    return json.dumps(dict(sorted(consumed.items())))
