"""Keys that leave a snapshot and come back, deletes approved a day later, and an old state replayed where nothing but the load tells the time."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import SparkSession

from files_bills import says
from harness import SETTINGS, Ended, Mini
from wards import REPLAY, VISIT, WARD

pytestmark = pytest.mark.wide

OLD = "TIMESTAMP '2026-01-01 05:00:00'"
STATES = {"name": "state_known", "check": "state IN ('open', 'closed')", "columns": ["state"]}
CALL: dict[str, Any] = {
    "description": "A call; the load tells when it changed.",
    "grain": "one call",
    "key": ["source_call_id"],
    "columns": [{"name": name, "type": "string"} for name in ("source_call_id", "state", "line")],
    "sources": [{"name": "emr", "tables": ["calls"], "columns": {"source_call_id": "CallID", "state": "State", "line": "Line"}}],
    "rules": [STATES, {"name": "line_once", "unique": ["line"], "columns": ["line"]}],
}


@dataclass
class Days:
    """The lakehouse, the runs of its days, and the wards that were current after each."""

    mini: Mini
    ended: list[Ended] = field(default_factory=list)
    wards: list[list[str]] = field(default_factory=list)

    def run(self, day: int, **options: Any) -> None:
        self.ended.append(self.mini.run(now=f"2026-01-{day:02d}T06:00:00Z", **options))
        assert self.ended[-1].code == 0, self.ended[-1].said
        self.wards.append([row[0] for row in self.mini.rows("silver.ward", "source_ward_id", where="is_current")])


def visit(key: str, state: str = "open", changed: str = OLD, gone: str = "n") -> str:
    return f"('{key}', '{state}', '1.00', {changed}, '{gone}')"


def contracts(call: dict[str, Any]) -> dict[str, dict[str, Any]]:
    visits, ward = copy.deepcopy(VISIT), copy.deepcopy(WARD)
    visits |= {"after": [], "rules": [STATES]}
    del visits["sources"][0]["columns"]["ward_key"]
    visits["sources"][0]["delete_when"] = "Gone = 'y'"
    ward["columns"].append({"name": "beds", "type": "int"})
    ward["sources"][0]["columns"]["beds"] = "Beds"
    return {"visit": visits, "ward": ward, "call": call}


@pytest.fixture(scope="module")
def days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Days:
    """Visits and wards in snapshots, calls by a watermark: four days, the deletes of the third approved on the fourth, and again on the fifth."""
    loads = ["emr,hos-a,visits,Full,,1,hosa", "emr,hos-a,wards,Full,,1,hosa", "emr,hos-a,calls,Incremental,Changed,1,hosa"]
    mini = Mini(spark, tmp_path_factory.mktemp("returned"), loads, own_contracts=contracts(CALL))
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr", tables={"wards": {"type_drift": "quarantine"}, "calls": {"key": ["CallID"], "reconcile": "daily"}})}
    mini.write()
    days, emr = Days(mini), "emr"
    twice = [visit("V06"), visit("V06", "closed", "TIMESTAMP '2026-01-01 08:00:00'")]
    marked = [visit("V08"), visit("V08", gone="y")]
    visits = [visit(f"V{number:02d}") for number in range(20) if number not in (6, 8)]
    mini.sql(
        "CREATE TABLE visits (VisitID VARCHAR(9), State VARCHAR(9), Amount VARCHAR(9), Changed TIMESTAMP, Gone VARCHAR(1))",
        "CREATE TABLE wards (WardID VARCHAR(9), Beds INT)",
        "CREATE TABLE calls (CallID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Line VARCHAR(9), Changed TIMESTAMP)",
        f"INSERT INTO visits VALUES {', '.join([*visits, *twice, *marked])}",
        *[f"INSERT INTO wards VALUES ('W{number:02d}', {number})" for number in range(20)],
        *[f"INSERT INTO calls VALUES ('C{number}', 'open', 'L{number}', {OLD})" for number in range(1, 10)],
        database=emr,
    )
    days.run(2)
    mini.sql(
        "DELETE FROM visits WHERE VisitID IN ('V03', 'V06')",
        "ALTER TABLE wards ALTER COLUMN Beds VARCHAR(20)",
        "UPDATE wards SET Beds = 'many' WHERE WardID = 'W01'",
        "DELETE FROM wards WHERE WardID = 'W09'",
        "UPDATE calls SET State = 'held', Changed = TIMESTAMP '2026-01-03 05:00:00' WHERE CallID = 'C1'",
        database=emr,
    )
    days.run(3)
    mini.sql(
        f"INSERT INTO visits VALUES {visit('V03')}, {', '.join(twice)}",
        "UPDATE wards SET WardID = NULL WHERE WardID = 'W05'",
        "DELETE FROM wards WHERE WardID = 'W08'",
        "UPDATE calls SET State = 'open', Changed = TIMESTAMP '2026-01-04 05:00:00' WHERE CallID = 'C1'",
        "DELETE FROM calls WHERE CallID = 'C2'",
        "INSERT INTO calls VALUES ('C10', 'open', 'L2', TIMESTAMP '2025-12-01 05:00:00')",
        database=emr,
    )
    days.run(4)
    mini.sql("UPDATE visits SET State = 'closed', Changed = TIMESTAMP '2026-01-05 05:00:00' WHERE VisitID = 'V07'", database=emr)
    days.run(5, approve_deletes=("hos-a.wards",))
    days.run(6, approve_deletes=("hos-a.wards",))
    return days


def versions(mini: Mini, entity: str, key: str) -> list[tuple[Any, ...]]:
    """(state, from, to) of the versions of a key, in their order."""
    times = [f"CAST({name} AS STRING)" for name in ("effective_from", "effective_to")]
    return [row[1:] for row in mini.rows(f"silver.{entity}", "version", "state", *times, where=f"source_{entity}_id = '{key}'")]


def test_N01_a_key_that_is_back_in_a_snapshot_with_its_old_stamp_is_current_from_its_delete_on(days: Days) -> None:
    mini, gone, back = days.mini, "2026-01-03 06:00:00", "2026-01-03 06:00:00.000001"
    assert versions(mini, "visit", "V03") == [("open", "2026-01-01 05:00:00", gone), ("open", back, None)]
    assert versions(mini, "visit", "V06") == [
        ("open", "2026-01-01 05:00:00", "2026-01-01 08:00:00"),
        ("closed", "2026-01-01 08:00:00", gone),
        ("closed", back, None),
    ], "the older row of the key is its past"
    assert versions(mini, "visit", "V08") == [], "a row that is marked as deleted in the same snapshot is not back"
    log = days.ended[3].log("silver", "visit")
    assert (log.rows_read, log.rows_written, log.rows_unchanged, log.rows_duplicate) == (22, 1, 20, 1), "what came back has come to rest"


def test_F33_a_row_whose_key_can_be_told_holds_back_no_delete(days: Days) -> None:
    log = days.ended[1].log("silver", "ward")
    assert (log.rows_quarantined, log.warnings) == (1, [])
    assert days.mini.rows("quarantine.ward", "entity_key", where="_batch_seq = 2") == [("hos-a|W01",)]
    assert days.wards[1] == [f"W{number:02d}" for number in range(20) if number != 9]


def test_F33_deletes_that_an_unreadable_key_held_back_are_applied_when_a_later_run_approves_them(days: Days) -> None:
    log = days.ended[2].log("silver", "ward")
    assert says(log.warnings, "the keys of 1 rows of it cannot be read: they stay as they are", "run again with --approve-deletes hos-a.wards")
    assert days.wards[2] == days.wards[1]
    assert days.ended[3].log("bronze", "hosa_wards").rows_written == 0
    log = days.ended[3].log("silver", "ward")
    assert (log.status, log.rows_read, log.rows_unchanged, log.rows_quarantined, log.warnings) == ("SUCCESS", 18, 16, 2, [])
    assert days.wards[3] == [ward for ward in days.wards[2] if ward not in ("W05", "W08")]
    assert days.mini.rows("silver.ward", "CAST(effective_to AS STRING)", where="source_ward_id = 'W08'") == [("2026-01-04 06:00:00",)]
    assert days.ended[4].log("silver", "ward").status == "NOOP", "nothing waits any more"
    assert days.mini.rows("quarantine.ward", "count(*)", where="event <> 'seen'") == [(0,)]


def test_Q11_a_row_that_is_gone_does_not_count_for_a_unique_rule(days: Days) -> None:
    taken = days.mini.rows("silver.call", "source_call_id", where="is_current AND line = 'L2'")
    assert taken == [("C10",)]
    assert days.mini.rows("quarantine.call", "entity_key") == [("hos-a|C1",)]


def test_Q18_without_a_sequence_replay_puts_an_old_state_where_the_next_delivery_ends_it(days: Days) -> None:
    mini = days.mini
    assert versions(mini, "call", "C1") == [("open", "2026-01-02 06:00:00", None)]
    mini.own_contracts = contracts({**CALL, "rules": [{**STATES, "check": "state IN ('open', 'closed', 'held')", "version": 2}, CALL["rules"][1]]})
    mini.write()
    days.run(7, **REPLAY)
    log = days.ended[-1].log("silver", "call")
    assert (log.rows_read, log.rows_written, log.rows_unchanged) == (1, 1, 0)
    expected = [
        ("open", "2026-01-02 06:00:00", "2026-01-03 06:00:00"),
        ("held", "2026-01-03 06:00:00", "2026-01-04 06:00:00"),
        ("open", "2026-01-04 06:00:00", None),
    ]
    assert versions(mini, "call", "C1") == expected
    assert mini.rows("quarantine.call", "event") == [("seen",), ("superseded",)]
