"""The tables of a silver entity: its versions, its tombstones and its quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.memory import STATISTICS, follow
from rcm_lakehouse.lake.salt import SALT_TABLE, ensure_salt
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.contract_changes import ContractChange
from rcm_lakehouse.pipeline.contract_memory import ensure_versions
from rcm_lakehouse.pipeline.identity import check_known
from rcm_lakehouse.pipeline.quarantine import ensure_quarantine, ensure_view, quarantine_table
from rcm_lakehouse.silver.schema import TOMBSTONE_STATISTICS, tombstone_schema


@dataclass(frozen=True)
class Entity:
    """An entity's contract and its three tables."""

    contract: Contract
    silver: Table
    tombstones: Table
    quarantine: Table


def entity_of(contract: Contract) -> Entity:
    """The tables of an entity."""
    name = contract.entity
    return Entity(contract, layer_table("silver", name), layer_table("silver", f"{name}_tombstones"), quarantine_table(contract))


def ensure_entity(lake: Lake, entity: Entity) -> ContractChange | None:
    """Create the entity's tables, empty, unless they exist; on a catalog the view of its quarantined rows too.

    Returns what differs from the contract that the silver table remembers, None when nothing does.
    Raises TableStateError when the contract has drifted from the one that made the silver table; nothing was written.
    """
    change = ensure_versions(lake, entity.silver, entity.contract)
    statistics = {STATISTICS: TOMBSTONE_STATISTICS}
    if not lake.ensure(entity.tombstones, tombstone_schema(entity.contract), properties=statistics):
        follow(lake, entity.tombstones, statistics)
    ensure_quarantine(lake, entity.contract)
    ensure_view(lake, entity.contract)
    return change


def ensure_known(ctx: RunContext, lake: Lake, entity: Entity) -> None:
    """The entity's three tables: those that earlier runs wrote to, or new ones when there were none. The run notes when its contract changed.

    Raises TableStateError when one of them was lost or replaced and that was not accepted; nothing was written.
    """
    check_known(ctx, lake, entity.silver)
    if entity.silver.label in ctx.state.last_done and entity.silver.label not in ctx.options.accept_lost:
        for table in (entity.tombstones, entity.quarantine):
            if not lake.exists(table) and table.label not in ctx.options.accept_lost:
                raise TableStateError(
                    f"{table.label} at {table.path} is gone, but {entity.silver.label} is there. Nothing was written. Put the folder back from a "
                    f"backup. If it is lost for good, run again with --accept-lost {table.label}: it is then empty, and what it knew is forgotten."
                )
    change = ensure_entity(lake, entity)
    if change is not None:
        # What the first try found: a later one may find rows in a table that had none.
        ctx.contract_changes.setdefault(f"silver:{entity.contract.entity}", change)


def personal_entities(contracts: Mapping[str, Contract]) -> frozenset[str]:
    """Entities whose durable keys are pseudonyms."""
    return frozenset(name for name, contract in contracts.items() if contract.key_is_personal)


def ensure_salt_once(ctx: RunContext, lake: Lake) -> None:
    """Make the salt before the first pseudonym.

    Raises TableStateError when it is gone but pseudonyms made with it are there; nothing was written.
    """
    if lake.exists(SALT_TABLE) and lake.moved_past(SALT_TABLE, 0):
        return
    for name in sorted(personal_entities(ctx.project.contracts)):
        silver = entity_of(ctx.project.contracts[name]).silver
        # A table without a row may have later versions: its properties or columns changed.
        if lake.exists(silver) and lake.moved_past(silver, 0) and lake.read(silver).limit(1).collect():
            raise TableStateError(
                f"{SALT_TABLE.label} is gone, but {silver.label} has keys made with it: a new salt would make every patient a stranger. Nothing was "
                f"written. Put {SALT_TABLE.path} back from a backup, or move the silver and quarantine folders away to build them anew from bronze."
            )
    ensure_salt(lake)
