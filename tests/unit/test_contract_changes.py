"""What a change of a contract is called: what decides rows, by kind and name; what is for people alone is no change."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.contract_changes import ContractChange, changes, described
from rcm_lakehouse.pipeline.contract_memory import with_change_told

COLUMNS = (
    {"name": "source_visit_id", "type": "string"},
    {"name": "state", "type": "string", "clean": "lower_code"},
    {"name": "patient_key", "type": "string", "key_of": "patient"},
    {"name": "is_open", "type": "boolean", "derive": "state = 'open'"},
    {"name": "changed_at", "type": "timestamp"},
    {"name": "seen_at", "type": "timestamp", "formats": ("yyyyMMdd",)},
)
EMR = {"name": "emr", "tables": ("visits", "stays"), "columns": {"source_visit_id": "VisitID", "state": "=upper(State)"}, "where": "State <> 'x'"}
RULES = (
    {"name": "has_state", "check": "state IS NOT NULL", "columns": ("state",)},
    {"name": "known", "references": "patient", "columns": ("patient_key",)},
)


def contract(columns: tuple[Mapping[str, Any], ...] = COLUMNS, sources: Any = (EMR,), rules: Any = RULES, **values: Any) -> str:
    made = {"entity": "visit", "description": "d", "grain": "g", "key": ("source_visit_id",), "sequence_by": ("changed_at",), **values}
    return described(Contract(columns=columns, sources=sources, rules=rules, **made))


def column(number: int, **values: Any) -> str:
    return contract(columns=(*COLUMNS[:number], {**COLUMNS[number], **values}, *COLUMNS[number + 1 :]))


def mapping(**values: Any) -> str:
    return contract(sources=({**EMR, **values},))


def rule(number: int, **values: Any) -> str:
    return contract(rules=(*RULES[:number], {**RULES[number], **values}, *RULES[number + 1 :]))


CASES = {  # case: (the contract as it is now, what is told)
    "nothing": (contract(), ""),
    "words for people": (contract(description="e", grain="h", version=2, after=("patient",)), ""),
    "what a column is for": (column(1, description="e", values=("open",), phi="quasi"), ""),
    "a rule's message": (rule(0, message="m", version=2, columns=()), ""),
    "the order of columns": (contract(columns=COLUMNS[::-1]), ""),
    "the order of tables": (mapping(tables=("stays", "visits")), ""),
    "a source column in another case": (mapping(columns={**EMR["columns"], "source_visit_id": "VISITID"}), ""),
    "a mapping's name": (mapping(name="other"), ""),
    "a column more": (contract(columns=(*COLUMNS, {"name": "ward", "type": "string"})), "columns added: ward"),
    "columns fewer": (contract(columns=COLUMNS[:-2], sequence_by=()), "columns removed: changed_at, seen_at; sequence_by changed"),
    "a cleaner": (column(1, clean="upper_code"), "columns changed: state"),
    "an expression": (column(3, derive="state = 'OPEN'"), "columns changed: is_open"),
    "formats": (column(5, formats=()), "columns changed: seen_at"),
    "whose key": (column(2, key_of=None), "columns changed: patient_key"),
    "another order of changes": (contract(sequence_by=("seen_at",)), "sequence_by changed"),
    "a rule more, one fewer": (
        contract(rules=(RULES[0], {"name": "open", "check": "is_open"}, {"name": "also", "check": "is_open"})),
        "rules added: also, open; rules removed: known",
    ),
    "a rule's check": (rule(0, check="state <> ''"), "rules changed: has_state"),
    "a rule's severity": (rule(0, severity="warn"), "rules changed: has_state"),
    "a rule's NULL": (rule(0, null_passes=True), "rules changed: has_state"),
    "the column of a reference": (rule(1, columns=("source_visit_id",)), "rules changed: known"),
    "an expression of a mapping": (mapping(columns={**EMR["columns"], "state": "=lower(State)"}), "mapping 'emr' changed"),
    "the rows of a mapping": (mapping(where=None, delete_when="State = 'x'", deletes="take"), "mapping 'emr' changed"),
    "mappings more": (
        contract(sources=(EMR, {**EMR, "name": "b", "data_sources": ("hos-b",)}, {**EMR, "name": "c", "data_sources": ("hos-c",)})),
        "mappings 'b', 'c' added",
    ),
}


def test_a_change_is_told_by_kind_and_name() -> None:
    assert {case: changes(contract(), now) for case, (now, _) in CASES.items()} == {case: told for case, (_, told) in CASES.items()}


def told(status: str, *rows: str) -> tuple[list[list[str]], bool]:
    """The warnings of the rows of a step whose contract changed, and whether the table is to remember it."""
    change = ContractChange(layer_table("silver", "visit"), contract(), "it changed")
    outcome = Outcome(status, tuple(LoadLog(id=str(number), status=row, warnings=["w"]) for number, row in enumerate(rows)))
    with_change_told(SimpleNamespace(contract_changes={"silver:visit": change}, put_back={}), "silver:visit", outcome)  # type: ignore[arg-type]
    return [row.warnings for row in outcome.logs], change.is_settled


def test_a_step_that_ended_well_tells_it_in_one_row_and_another_leaves_it_to_the_next_run() -> None:
    assert told("PARTIAL", "SKIPPED_UPSTREAM", "SUCCESS", "HELD") == ([["w"], ["w", "it changed"], ["w"]], True)
    assert told("PARTIAL", "HELD", "SUCCESS") == ([["w"], ["w", "it changed"]], True)
    assert told("NOOP", "NOOP") == ([["w", "it changed"]], True)
    assert told("FAILED", "SUCCESS", "FAILED") == ([["w"], ["w"]], False)
    assert told("SKIPPED_UPSTREAM", "SKIPPED_UPSTREAM") == ([["w"]], False)
