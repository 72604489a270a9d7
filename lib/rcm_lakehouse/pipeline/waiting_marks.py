"""What progress (`consumed` of the audit) keeps of the open rows of a quarantine: by what they were judged last, and which came under another contract."""

import json
import zlib
from collections.abc import Mapping

from rcm_lakehouse.config.contracts import Contract, Rule
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.entities import Entity, entity_of
from rcm_lakehouse.pipeline.put_back import put_back_in

_CONTRACT, _BEFORE = "contract of the waiting", ", under another contract"


def with_contract(ctx: RunContext, entity: Entity, consumed: Mapping[str, int]) -> dict[str, int]:
    """Progress with the newest batch of each bronze table that came under other columns or mappings, when this run is the first under those of today.

    It rides in the commits of the run: a run that died has told it, and the next one does not take its rows for older ones.
    """
    change = ctx.contract_changes.get(f"silver:{entity.contract.entity}")
    if change is None or not change.decides_rows:
        return dict(consumed)
    told = zlib.crc32(json.dumps({**json.loads(change.parts), "rules": {}}, sort_keys=True).encode())
    if consumed.get(_CONTRACT) == told:
        return dict(consumed)
    older = {f"{name}{_BEFORE}": batch for name, batch in consumed.items() if name.startswith("bronze.") and "," not in name}
    return {**consumed, **older, _CONTRACT: told}


def without_contract(consumed: Mapping[str, int]) -> dict[str, int]:
    """Progress after all open rows were judged by the contract of today."""
    return {name: value for name, value in consumed.items() if name != _CONTRACT and not name.endswith(_BEFORE)}


def older_batches(consumed: Mapping[str, int]) -> dict[str, int]:
    """By bronze table the newest batch that came under another contract."""
    return {name.removesuffix(_BEFORE): batch for name, batch in consumed.items() if name.endswith(_BEFORE)}


def references(contract: Contract) -> tuple[str, ...]:
    """The rules that put a row into quarantine because what it refers to is not known."""
    return tuple(rule.name for rule in _referring(contract))


def _referring(contract: Contract) -> list[Rule]:
    return [rule for rule in contract.rules if rule.references and rule.severity == "error"]


def versions_referred_to(ctx: RunContext, lake: Lake, contract: Contract) -> dict[str, int]:
    """The versions of the tables that such rules look into, by the name under which progress keeps them; no Spark job on a local disk."""
    named = sorted({str(rule.references) for rule in _referring(contract)})
    tables = [entity_of(ctx.project.contracts[name]).silver for name in named]
    return {f"{table.label} {lake.table_id(table)}, referred to": _version(ctx, lake, table) for table in tables if lake.exists(table)}


def _version(ctx: RunContext, lake: Lake, table: Table) -> int:
    """The version of a table; behind one that was put back it is none of those before."""
    last = ctx.state.last_done.get(table.label)
    return lake.head_version(table) + (last.consumed.get(put_back_in(table), 0) << 20 if last is not None else 0)
