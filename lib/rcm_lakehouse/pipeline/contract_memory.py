"""A silver table remembers the contract that made it: a contract that has drifted from it is refused before a row is merged."""

import json
from collections.abc import Mapping
from typing import Any

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.columns import add_columns
from rcm_lakehouse.lake.memory import CONTRACT, STATISTICS, as_property, follow, recall, remember
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.silver.schema import silver_schema, statistics_columns


def remembered(contract: Contract) -> str:
    """What of a contract decides how rows that are already merged have to be read: key, history, types of the sequence, tracked columns."""
    types = {column.name: column.type.replace(" ", "") for column in contract.columns}
    return as_property(
        {
            "key": [name.lower() for name in contract.key],
            "key_is_personal": contract.key_is_personal,
            "history": contract.history,
            "sequence": [types[name] for name in contract.sequence_by],
            "tracked": sorted(name.lower() for name in contract.tracked_columns),
        }
    )


def ensure_versions(lake: Lake, table: Table, contract: Contract) -> None:
    """Create a silver table, empty, from its contract, or check the one that is there against it; see `check_contract` for what is raised."""
    statistics = {STATISTICS: statistics_columns(contract)}
    if not lake.ensure(table, silver_schema(contract), properties={**statistics, CONTRACT: remembered(contract)}):
        check_contract(lake, table, contract)
        # Tables of earlier releases keep statistics of the key.
        follow(lake, table, statistics)


def check_contract(lake: Lake, table: Table, contract: Contract) -> None:
    """Let an existing silver table follow its contract where that harms no history: new columns are added, NULL in older versions.

    Raises TableStateError (KEY_DRIFT, HISTORY_DRIFT, SEQUENCE_DRIFT, TRACKED_DRIFT, TYPE_DRIFT) when the contract's key, kind of history,
    types of the sequence, set of tracked columns or type of a column is another than the one the table was made with; nothing was merged.
    Another column or expression of the same type may order the changes, and the order of columns does not matter.
    """
    known = lake.read(table).schema
    wanted = silver_schema(contract)
    here = {field.name.lower(): field.dataType for field in known}
    text = recall(lake, table).get(CONTRACT)
    if text is not None:
        _refuse_drift(table, contract, json.loads(text), json.loads(remembered(contract)), frozenset(here))
    for field in wanted:
        old = here.get(field.name.lower())
        if old is not None and old != field.dataType:
            raise _drift(table, contract, "TYPE_DRIFT", f"column '{field.name}' as {old.simpleString()}", field.dataType.simpleString())
    add_columns(lake, table, [field for field in wanted if field.name.lower() not in here])
    if text != remembered(contract):
        remember(lake, table, CONTRACT, remembered(contract))


def _refuse_drift(table: Table, contract: Contract, then: Mapping[str, Any], now: Mapping[str, Any], columns: frozenset[str]) -> None:
    for name, condition in (("key", "KEY_DRIFT"), ("key_is_personal", "KEY_DRIFT"), ("history", "HISTORY_DRIFT"), ("sequence", "SEQUENCE_DRIFT")):
        if then.get(name) != now[name]:
            raise _drift(table, contract, condition, f"{name} {_told(then.get(name))}", _told(now[name]))
    before, after = set(then.get("tracked", ())), set(now["tracked"])
    # A column that the table does not have yet was never tracked: no version can be missing for it.
    if before - after or (after - before) & columns:
        changed = sorted((before - after) | ((after - before) & columns))
        raise _drift(table, contract, "TRACKED_DRIFT", f"{'other' if before - after else 'fewer'} tracked columns", f"otherwise for {_told(changed)}")


def _told(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _drift(table: Table, contract: Contract, condition: str, then: str, now: str) -> TableStateError:
    return TableStateError(
        f"{condition}: {table.label} was made with {then}; conf/cdm/{contract.entity}.yml now says {now}. Its versions would not fit together. Nothing was "
        f"merged; the table is unchanged. Put the contract back, or have the table built anew from bronze: move the folders {table.path}, "
        f"{table.path}_tombstones and quarantine/{contract.entity} away and run again with --accept-lost {table.label}."
    )
