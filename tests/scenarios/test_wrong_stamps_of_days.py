"""Days that lie ahead: several readings on one day, corrections with that day's stamp, deletes and returns of such rows."""

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import full, incremental, visit_contract
from rcm_lakehouse.quality.judge import FUTURE

pytestmark = pytest.mark.deep

TODAY, TOMORROW, AHEAD = "2026-01-25", "2026-01-26", "2099-01-01"
KINDS = {"days": "DATE", "texts": "VARCHAR(20)", "numbers": "INTEGER"}
KEYS = ("corrected", "back", "waiting", "late", "gone", "deleted")


def stamp(table: str, day: str) -> str:
    return day.replace("-", "") if table == "numbers" else f"'{day}'"


def insert(table: str, key: str, state: str, day: str) -> str:
    return f"INSERT INTO {table} VALUES ('{key}', '{state}', {stamp(table, day)})"


def update(table: str, key: str, state: str, day: str) -> str:
    return f"UPDATE {table} SET State = '{state}', Mark = {stamp(table, day)} WHERE VisitID = '{key}'"


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mini, list[dict[str, str]], list[Ended]]:
    """Current states after each of five runs: three readings and a comparison on one day, one reading on the next."""
    contract = visit_contract(list(KINDS), sequence_by=["changed_at"])
    contract["columns"].append({"name": "changed_at", "type": "timestamp", "tracked": False})
    contract["sources"][0]["columns"]["changed_at"] = "Mark"
    mini = Mini(spark, tmp_path_factory.mktemp("days"), [incremental("days"), full("texts"), full("numbers")], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(time_zone="America/New_York")}
    mini.write()
    both = [(table, f"{table[0]} {key}") for table in KINDS for key in KEYS[:4]]
    mini.sql(
        *[f"CREATE TABLE {table} (VisitID VARCHAR(20), State VARCHAR(20), Mark {kind})" for table, kind in KINDS.items()],
        *[insert(table, key, "first", TODAY) for table, key in both],
        *[insert("days", f"d {key}", "first", TODAY) for key in KEYS[4:]],
        *[insert("days", f"other {number}", "first", "2026-01-20") for number in range(30)],
    )
    states, runs = [], []

    def run(now: str, **verbs: tuple[str, ...]) -> None:
        runs.append(mini.run(now=now, **verbs))
        assert runs[-1].code == 0, runs[-1].said
        states.append(dict(mini.rows("silver.visit", "source_visit_id", "state", where="is_current")))

    run(f"{TODAY}T15:00:00Z")
    mini.sql(*[update(table, key, "ahead", AHEAD) for table, key in both], *[update("days", f"d {key}", "ahead", AHEAD) for key in KEYS[4:]])
    run(f"{TODAY}T17:00:00Z")
    mini.sql(*[update(table, key, "right", TODAY) for table, key in both if key.endswith("corrected")])
    mini.sql(*[update(table, key, "first", TODAY) for table, key in both if key.endswith("back")])
    run(f"{TODAY}T19:00:00Z")
    mini.sql("DELETE FROM days WHERE VisitID IN ('d gone', 'd deleted')")
    run(f"{TODAY}T21:00:00Z", reconcile=("hos-a.days",))
    mini.sql(*[update(table, key, "right", TODAY) for table, key in both if key.endswith("late")], insert("days", "d gone", "again", TOMORROW))
    run(f"{TOMORROW}T15:00:00Z")
    return mini, states, runs


def test_what_was_delivered_last_on_one_day_is_current_however_far_ahead_it_is_stamped(told: tuple[Mini, list[dict[str, str]], list[Ended]]) -> None:
    _, states, _ = told
    for kind in ("d", "t", "n"):
        assert [states[number][f"{kind} corrected"] for number in range(5)] == ["first", "ahead", "right", "right", "right"]
        assert [states[number][f"{kind} back"] for number in range(5)] == ["first", "ahead", "first", "first", "first"]
        assert [states[number][f"{kind} waiting"] for number in range(5)] == ["first", "ahead", "ahead", "ahead", "ahead"]
        assert [states[number][f"{kind} late"] for number in range(5)] == ["first", "ahead", "ahead", "ahead", "right"]


def test_a_row_stamped_ahead_can_be_deleted_and_return_on_its_own_day(told: tuple[Mini, list[dict[str, str]], list[Ended]]) -> None:
    mini, states, runs = told
    assert runs[3].log("reconcile", "hosa_days").message == "compared with the source: 0 missed, 0 changed without a new watermark, 2 deleted"
    assert [states[number].get("d gone") for number in range(5)] == ["first", "ahead", "ahead", None, "again"]
    assert [states[number].get("d deleted") for number in range(5)] == ["first", "ahead", "ahead", None, None]
    late = mini.rows("silver.visit", "source_visit_id", where=f"effective_from > TIMESTAMP '{TOMORROW} 23:59:59' OR effective_to <= effective_from")
    assert late == []


def test_rows_stamped_ahead_count_from_the_day_of_their_reading_and_are_told(told: tuple[Mini, list[dict[str, str]], list[Ended]]) -> None:
    mini, _, runs = told
    found = mini.rows("silver.visit", "CAST(effective_from AS STRING)", "dq_flags", where="source_visit_id LIKE '_ waiting' AND is_current")
    assert found == [("2026-01-25 05:00:00", [FUTURE])] * 3
    warned = [[note for row in ended.logs for note in row.warnings if "ahead of their reading" in note] for ended in runs[:2]]
    assert [len(notes) for notes in warned] == [0, 3]
