"""A silver table remembers its contract: one that has drifted from what made it is refused before a row is merged, any other change is told once."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from rcm_lakehouse.audit.state import DONE
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.columns import add_columns
from rcm_lakehouse.lake.conflicts import CONFLICTS
from rcm_lakehouse.lake.memory import CONTRACT, CONTRACT_PARTS, STATISTICS, as_memory, as_property, follow, recall, remember
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.contract_changes import ContractChange, changes, described
from rcm_lakehouse.silver.schema import silver_schema, statistics_columns

_log = logging.getLogger(__name__)


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


def ensure_versions(lake: Lake, table: Table, contract: Contract) -> ContractChange | None:
    """Create a silver table, empty, from its contract, or check the one that is there against it, as `check_contract` does."""
    statistics = {STATISTICS: statistics_columns(contract)}
    properties = {**statistics, CONTRACT: as_memory(remembered(contract)), CONTRACT_PARTS: as_memory(described(contract))}
    if lake.ensure(table, silver_schema(contract), properties=properties):
        return None
    change = check_contract(lake, table, contract)
    # Tables of earlier releases keep statistics of the key.
    follow(lake, table, statistics)
    return change


def check_contract(lake: Lake, table: Table, contract: Contract) -> ContractChange | None:
    """Let an existing silver table follow its contract where that harms no history: new columns are added, NULL in older versions.

    Returns what differs from the contract that the table remembers of its last run, None when nothing does. It remembers the new one when
    `remember_contracts` says so.
    Raises TableStateError (KEY_DRIFT, HISTORY_DRIFT, SEQUENCE_DRIFT, TRACKED_DRIFT, TYPE_DRIFT) when the contract's key, kind of history,
    types of the sequence, set of tracked columns or type of a column is another than the one the table was made with; nothing was merged.
    Another column or expression of the same type may order the changes, and the order of columns does not matter.
    """
    known = lake.read(table).schema
    wanted = silver_schema(contract)
    here = {field.name.lower(): field.dataType for field in known}
    known_properties = recall(lake, table)
    text = known_properties.get(CONTRACT)
    if text is not None:
        _refuse_drift(table, contract, json.loads(text), json.loads(remembered(contract)), frozenset(here))
    for field in wanted:
        old = here.get(field.name.lower())
        if old is not None and old != field.dataType:
            raise _drift(table, contract, "TYPE_DRIFT", f"column '{field.name}' as {old.simpleString()}", field.dataType.simpleString())
    change = _change(lake, table, contract, known_properties.get(CONTRACT_PARTS))
    add_columns(lake, table, [field for field in wanted if field.name.lower() not in here])
    if text != remembered(contract):
        remember(lake, table, CONTRACT, remembered(contract))
    return change


def _change(lake: Lake, table: Table, contract: Contract, then: str | None) -> ContractChange | None:
    now = described(contract)
    if then == now:
        return None
    # A table that an earlier release made remembers none, and one that never took a row has none to be otherwise.
    what = changes(then, now) if then is not None and lake.moved_past(table, 0) else ""
    warning = (
        f"conf/cdm/{contract.entity}.yml is another contract than in the run before: {what}. It holds for rows that come from now on; what {table.label} "
        f"holds stays as it was: new columns are NULL there, and a row that breaks a new rule stays. If all of it is to be had anew from bronze, "
        f"{_anew(table, contract)}. This is told once; see 'When a contract changes' in conf/README.md"
    )
    return ContractChange(table, now, warning if what else "", decides_rows=any(not part.startswith("rules ") for part in what.split("; ") if part))


def with_change_told(ctx: RunContext, step: str, outcome: Outcome) -> Outcome:
    """The outcome of a silver step, the warnings about its changed contract and its table that was put back in one of its audit rows.

    A step that did not end well leaves the first to the next run.
    """
    change, was_put_back = ctx.contract_changes.get(step), ctx.put_back.get(step)
    if was_put_back and outcome.logs:
        outcome.logs[0].warnings = [*outcome.logs[0].warnings, was_put_back]
    # Monitors show the warnings of a held row as the reason why it is held.
    rows = sorted((row for row in outcome.logs if row.status in DONE), key=lambda row: row.status == "HELD")
    if change is not None and rows and not outcome.failed:
        rows[0].warnings = [*rows[0].warnings, *([change.warning] if change.warning else [])]
        change.is_settled = True
    return outcome


def remember_contracts(ctx: RunContext) -> None:
    """Let each table remember the contract that its step told of, in a commit of its own; none where no contract changed.

    To be called when the audit has the rows that tell of it: killed before this, or where a table cannot be written, the next run tells it again.
    A table that is still as it was made is left so: that it has a second version means elsewhere that it has rows.
    """
    for change in ctx.contract_changes.values():
        try:
            if change.is_settled and ctx.lake.moved_past(change.table, 0):
                remember(ctx.lake, change.table, CONTRACT_PARTS, change.parts)
        except (*CONFLICTS, PySparkException, Py4JError) as error:
            _log.warning("%s does not remember its contract (%s): the next run tells again what changed", change.table.label, type(error).__name__)


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


def _anew(table: Table, contract: Contract) -> str:
    return (
        f"move the folders {table.path}, {table.path}_tombstones and quarantine/{contract.entity} away and run again with --accept-lost {table.label}"
    )


def _drift(table: Table, contract: Contract, condition: str, then: str, now: str) -> TableStateError:
    return TableStateError(
        f"{condition}: {table.label} was made with {then}; conf/cdm/{contract.entity}.yml now says {now}. Its versions would not fit together. Nothing was "
        f"merged; the table is unchanged. Put the contract back, or have the table built anew from bronze: {_anew(table, contract)}."
    )
