"""What of a contract decides the rows that come: a short mark of each part, kept by its table, and in words what differs between two such marks."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rcm_lakehouse.config.contracts import Column, Contract, Rule, SourceMapping
from rcm_lakehouse.lake.memory import as_property
from rcm_lakehouse.lake.table import Table

# Enough to tell two wordings of one part apart, and short in a table's log.
_LENGTH = 12
_KINDS = ("columns", "rules", "mappings")


@dataclass
class ContractChange:
    """A table whose contract is another than it remembers: what it is to remember, and the warning, empty where none is due.

    `decides_rows`: columns, mappings or the sequence are others, so that a delivery gives other rows; not when rules alone are. `is_settled`: its step
    ended well, with the warning in its audit row.
    """

    table: Table
    parts: str
    warning: str
    decides_rows: bool = False
    is_settled: bool = False


def described(contract: Contract) -> str:
    """A contract as the text of a property: a mark of each column, rule and mapping by name, and what orders the changes.

    What decides no row has no part in it: descriptions, messages, versions, the order of columns and mappings. What `contract_memory` refuses to
    see changed (key, types, what is tracked) has none either.
    """
    return as_property(
        {
            "columns": {column.name: _mark(_of_column(column)) for column in contract.columns},
            "rules": {rule.name: _mark(_of_rule(rule)) for rule in contract.rules},
            "mappings": {name: "".join(sorted(marks)) for name, marks in _mappings(contract).items()},
            "sequence_by": list(contract.sequence_by),
        }
    )


def _mappings(contract: Contract) -> Mapping[str, list[str]]:
    """Marks of the mappings of each name: the name is for messages, and two hospitals' may share one."""
    found: dict[str, list[str]] = {}
    for mapping in contract.sources:
        found.setdefault(mapping.name, []).append(_mark(_of_mapping(mapping)))
    return found


def changes(then: str, now: str) -> str:
    """What differs between two descriptions, by kind and name: `columns added: ward; rules changed: paid; mapping 'emr' changed`; empty when nothing does."""
    before, after = json.loads(then), json.loads(now)
    told = [words for kind in _KINDS for words in _told(kind, before.get(kind, {}), after[kind])]
    if before.get("sequence_by") != after["sequence_by"]:
        told.append("sequence_by changed")
    return "; ".join(told)


def _told(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    if kind == "mappings" and sorted(before[name] for name in removed) == sorted(after[name] for name in added):
        # Its name is for messages alone.
        added, removed = [], []
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    found = {"added": added, "removed": removed, "changed": changed}
    if kind == "mappings":
        return [f"mapping{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))} {what}" for what, names in found.items() if names]
    return [f"{kind} {what}: {', '.join(names)}" for what, names in found.items() if names]


def _mark(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(as_property(parts).encode()).hexdigest()[:_LENGTH]


def _of_column(column: Column) -> dict[str, Any]:
    return column.model_dump(include={"clean", "formats", "key_of", "derive"})


def _of_rule(rule: Rule) -> dict[str, Any]:
    found = rule.model_dump(include={"check", "references", "unique", "severity", "null_passes"})
    # Elsewhere they are for the message alone.
    return {**found, "columns": rule.columns if rule.references else ()}


def _of_mapping(mapping: SourceMapping) -> dict[str, Any]:
    found = mapping.model_dump(include={"where", "delete_when", "deletes"})
    columns = {name: source if source.startswith("=") else source.lower() for name, source in mapping.columns.items()}
    return {**found, "columns": columns, "tables": sorted(mapping.tables), "data_sources": sorted(mapping.data_sources)}
