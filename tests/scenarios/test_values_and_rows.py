"""What a value means and what a row says of things: names, words for nothing, derived values, and payers named by many rows."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import full, incremental

pytestmark = pytest.mark.wide

CHARGE: dict[str, Any] = {
    "description": "A charge.",
    "grain": "one charge of one hospital",
    "key": ["source_charge_id"],
    "columns": [
        {"name": "source_charge_id", "type": "string"},
        {"name": "payer_key", "type": "string", "key_of": "payer", "clean": "payer_name"},
    ],
    "sources": [{"name": "emr", "tables": ["transactions"], "columns": {"source_charge_id": "TransactionID", "payer_key": "PayorID"}}],
}
PERSON: dict[str, Any] = {
    "description": "A person.",
    "grain": "one person",
    "key": ["source_person_id"],
    "columns": [
        {"name": "source_person_id", "type": "string"},
        {"name": "name", "type": "string", "clean": "proper_name"},
        {"name": "name_raw", "type": "string"},
        {"name": "age", "type": "int"},
        {"name": "born", "type": "date"},
        {"name": "owed", "type": "decimal(18,2)"},
        {"name": "fee", "type": "decimal(18,2)"},
        {"name": "total", "type": "decimal(18,2)", "derive": "owed + coalesce(fee, 0)"},
    ],
    "rules": [
        {"name": "age_sensible", "check": "age >= 0", "columns": ["age"], "message": "the age is negative", "severity": "warn"},
        {"name": "born_given", "check": "born IS NOT NULL OR name_raw <> 'y' OR age IS NULL", "columns": ["born"], "message": "the birth date is missing"},
    ],
    "sources": [
        {
            "name": "emr",
            "tables": ["people"],
            "columns": {"source_person_id": "ID", "name": "Name", "name_raw": "Name", "age": "Age", "born": "Born", "owed": "Owed", "fee": "Fee"},
        }
    ],
}
EVENT: dict[str, Any] = {
    "description": "Something that happened.",
    "grain": "one event",
    "key": ["source_event_id"],
    "sequence_by": ["happened_at"],
    "columns": [{"name": "source_event_id", "type": "string"}, {"name": "happened_at", "type": "timestamp"}],
    "sources": [{"name": "emr", "tables": ["events"], "columns": {"source_event_id": "ID", "happened_at": "Happened"}, "delete_when": "Gone = 1"}],
}
EVENTS = {  # a time as text: the reasons of quarantine, none when it is taken
    "2026-01-01 08:00:00": None,
    "06/30/2026": None,
    "0001-01-01": None,
    "9999-12-31 23:59:59": None,
    "30/06/2026": ["cast:happened_at"],
    "+12026-01-01": ["cast:happened_at"],
    "-2026-06-30": ["cast:happened_at"],
    "0000-01-01": ["cast:happened_at"],
    " ": ["NULL_SEQUENCE"],
}
NAMES = {  # as delivered: as cleaned
    "O'BRIEN": "O'Brien",
    "o'shea": "O'Shea",
    "D’ARCY": "D’Arcy",
    "CHILDREN'S HOSPITAL": "Children's Hospital",
    "ST MARY’S": "St Mary’s",
    "MCDONALD": "McDonald",
    "mcgee": "McGee",
    "MCH": "Mch",
    "SMITH-JONES": "Smith-Jones",
    "SMITH III": "Smith III",
    "king iv jr": "King IV Jr",
    "SMITH II": "Smith II",
    "IVY": "Ivy",
    "van der Berg": "van der Berg",
    "Nan": "Nan",
    "NONE": "None",
    " n/a ": None,
    "null": None,
    "": None,
    "--": None,
}
NUMBERS = {  # id: (age, born, owed, fee) as SQL; (age, total) in silver, or the reasons of quarantine
    "plain": ("'41', '1980-02-03', 1.10, 2.20", ("41", "3.30")),
    "nan and none are nothing": ("'nan', 'None', 1, 0", (None, "1.00")),
    "n/a is nothing": ("'N/A', ' ', 1, NULL", (None, "1.00")),
    "a word is no number": ("'many', '1980-02-03', 1, 1", ["cast:age"]),
    "a word is no day": ("'41', 'in May', 1, 1", ["cast:born"]),
    "a year of five digits": ("'41', '+12026-01-01', 1, 1", ["cast:born"]),
    "a year before the first": ("'41', '-2026-06-30', 1, 1", ["cast:born"]),
    "the year nought": ("'41', '0000-01-01', 1, 1", ["cast:born"]),
    "a sum too large": ("'41', '1980-02-03', 9999999999999999.99, 1", ["cast:total"]),
    "nothing owed is no failure": ("'41', '1980-02-03', NULL, 1", ("41", None)),
}


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mini, Ended, Ended]:
    """Charges of two hospitals and people, loaded; then the charges of Aetna and of Humana are gone at the source: loaded and compared again."""
    loads = [incremental("a.transactions", database="emr"), full("b.transactions", "emr", "hos-b"), full("a.people", "emr"), full("a.events", "emr")]
    mini = Mini(spark, tmp_path_factory.mktemp("values"), loads, contracts=["payer"], own_contracts={"transaction": CHARGE, "person": PERSON, "event": EVENT})
    mini.connections = {"emr": mini.h2("emr", tables={"hos-a.transactions": {"reconcile": "daily"}})}
    mini.write()
    table = "(TransactionID VARCHAR(9) PRIMARY KEY, PayorID VARCHAR(30), Mark TIMESTAMP)"
    payers = ("Aetna", "Cigna", " CIGNA. ", "", " ", "NULL", "n/a", "?!", None, "nan", "None")
    charges = [(f"T{number}", payer) for number, payer in enumerate(payers)]
    mini.sql(
        "CREATE SCHEMA a",
        "CREATE SCHEMA b",
        f"CREATE TABLE a.transactions {table}",
        f"CREATE TABLE b.transactions {table}",
        "CREATE TABLE a.people (ID VARCHAR(40), Name VARCHAR(40), Age VARCHAR(9), Born VARCHAR(12), Owed DECIMAL(18,2), Fee DECIMAL(18,2))",
        *[f"INSERT INTO a.transactions VALUES ('{key}', {quoted(payer)}, TIMESTAMP '2026-01-01 08:00:00')" for key, payer in charges],
        "INSERT INTO b.transactions VALUES ('U1', 'Humana', NULL), ('U2', 'Cigna', NULL), ('U3', 'N/A', NULL)",
        "CREATE TABLE a.events (ID VARCHAR(40), Happened VARCHAR(40), Gone INT)",
        *[f"INSERT INTO a.events VALUES ({quoted(f'at {text}')}, {quoted(text)}, 0)" for text in EVENTS],
        "INSERT INTO a.events VALUES ('gone', 'one of these days', 1)",
        *[f"INSERT INTO a.people VALUES ({quoted(f'name {name}')}, {quoted(name)}, NULL, NULL, NULL, NULL)" for name in NAMES],
        *[f"INSERT INTO a.people VALUES ({quoted(case)}, 'y', {values})" for case, (values, _) in NUMBERS.items()],
        *[f"INSERT INTO a.people VALUES ('{key}', 'stranger', NULL, NULL, NULL, NULL)" for key in ("nan", "NaN", "none", "None")],
        database="emr",
    )
    first = mini.run(now="2026-01-02T06:00:00Z")
    assert first.code == 0, first.said
    mini.sql("DELETE FROM a.transactions WHERE TransactionID = 'T0'", "DELETE FROM b.transactions WHERE TransactionID = 'U1'", database="emr")
    second = mini.run(now="2026-01-03T06:00:00Z", approve_deletes=("hos-a.transactions", "hos-b.transactions"))
    assert second.code == 0, second.said
    return mini, first, second


def quoted(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def test_a_payer_outlives_the_charge_that_named_it(told: tuple[Mini, Ended, Ended]) -> None:
    mini, _, second = told
    gone = mini.rows("silver.transaction", "source_charge_id", where="NOT is_current AND source_charge_id IN ('T0', 'U1')")
    assert gone == [("T0",), ("U1",)], "the charges themselves are closed"
    payers = mini.rows("silver.payer", "payer_key", "payer_class", "is_current AND effective_to IS NULL")
    assert payers == [
        ("hos-a|aetna", "commercial", True),
        ("hos-a|cigna", "commercial", True),
        ("hos-b|cigna", "commercial", True),
        ("hos-b|humana", "commercial", True),
    ]
    assert second.log("silver", "payer", "hos-a").rows_dropped == 1
    assert mini.rows("silver.payer_tombstones", "payer_key") == []


def test_a_row_that_names_no_payer_is_left_out_and_not_in_quarantine(told: tuple[Mini, Ended, Ended]) -> None:
    mini, first, _ = told
    assert mini.rows("quarantine.payer", "entity_key") == []
    assert first.log("silver", "payer", "hos-a").rows_dropped == 8
    assert first.log("silver", "payer", "hos-b").rows_dropped == 1
    without = mini.rows("silver.transaction", "source_charge_id", where="is_current AND payer_key IS NULL")
    assert without == [("T10",), ("T3",), ("T4",), ("T5",), ("T6",), ("T7",), ("T8",), ("T9",), ("U3",)]


def test_names_keep_their_letters(told: tuple[Mini, Ended, Ended]) -> None:
    found = told[0].rows("silver.person", "substring(source_person_id, 6)", "name", where="source_person_id LIKE 'name%'")
    # The empty name's id is trimmed.
    assert dict(found) == {name.strip(): cleaned for name, cleaned in NAMES.items()}


def test_words_for_nothing_and_sums_that_do_not_fit_touch_their_row_alone(told: tuple[Mini, Ended, Ended]) -> None:
    mini = told[0]
    good = mini.rows("silver.person", "source_person_id", "CAST(age AS STRING)", "CAST(total AS STRING)", where="is_current AND name = 'Y'")
    bad = mini.rows("quarantine.person", "get_json_object(raw_row, '$.ID')", "reasons.rule", where="entity_key IS NOT NULL")
    found: dict[str, Any] = {case: (age, total) for case, age, total in good}
    found |= {case: list(rules) for case, rules in bad}
    assert found == {case: expected for case, (_, expected) in NUMBERS.items()}


def test_a_time_that_cannot_be_read_is_told_as_such_and_not_as_missing(told: tuple[Mini, Ended, Ended]) -> None:
    mini = told[0]
    taken = {row[0].removeprefix("at ") for row in mini.rows("silver.event", "source_event_id")}
    assert taken == {text for text, reasons in EVENTS.items() if reasons is None}
    waiting = mini.rows("quarantine.event", "get_json_object(raw_row, '$.Happened')", "reasons.rule", where="get_json_object(raw_row, '$.ID') <> 'gone'")
    assert dict(waiting) == {text: reasons for text, reasons in EVENTS.items() if reasons is not None}


def test_a_delete_whose_time_cannot_be_read_waits_in_quarantine(told: tuple[Mini, Ended, Ended]) -> None:
    mini = told[0]
    assert mini.rows("quarantine.event", "reasons.rule", where="get_json_object(raw_row, '$.ID') = 'gone'") == [(["NULL_SEQUENCE"],)]


def test_nan_and_none_number_nobody(told: tuple[Mini, Ended, Ended]) -> None:
    mini = told[0]
    assert mini.rows("silver.person", "source_person_id", where="name = 'Stranger'") == []
    waiting = mini.rows("quarantine.person", "get_json_object(raw_row, '$.ID')", "reasons.rule", where="entity_key IS NULL AND raw_row IS NOT NULL")
    assert waiting == [(key, ["NULL_KEY", "age_sensible"]) for key in ("NaN", "None", "nan", "none")]
