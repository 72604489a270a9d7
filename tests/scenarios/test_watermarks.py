"""What windows and watermarks do from run to run: twelve tables of one hospital, loaded five times at frozen times."""

from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import assert_watermarks_never_fall, counts, failure, incremental, visit_contract
from rcm_lakehouse.bronze.windows import Kind

MARKS = {  # table: type of the watermark column
    "visits_time": "TIMESTAMP(9)",
    "visits_day": "DATE",
    "visits_number": "INT",
    "visits_digits": "VARCHAR(20)",
    "visits_zoned": "TIMESTAMP WITH TIME ZONE",
    "visits_include": "TIMESTAMP",
    "visits_exclude": "TIMESTAMP",
    "visits_fail": "TIMESTAMP",
    "visits_blank": "TIMESTAMP",
    "visits_emptied": "TIMESTAMP",
    "visits_restored": "TIMESTAMP",
    "visits_never": "TIMESTAMP",
}
KINDS: dict[str, Kind] = {
    **dict.fromkeys(MARKS, "timestamp"),
    "visits_day": "date",
    "visits_number": "int",
    "visits_digits": "digits",
    "visits_zoned": "timestamptz",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "visits_time": {"overlap_seconds": 3600},
    "visits_include": {"null_watermark": "include"},
    "visits_exclude": {"null_watermark": "exclude"},
    "visits_blank": {"null_watermark": "include"},
}
RUNS = ("2026-01-10T12:00:00Z", "2026-01-10T13:00:00Z", "2026-01-11T12:00:00Z", "2026-01-11T13:00:00Z", "2026-01-09T12:00:00Z")


def row(table: str, key: str, state: str, mark: str | None) -> str:
    value = "NULL" if mark is None else mark if table == "visits_number" else f"'{mark}'"
    return f"INSERT INTO {table} VALUES ('{key}', '{state}', {value})"


BEFORE = (
    [
        *(row("visits_time", key, "a", "2026-01-10 11:00:00") for key in ("r1", "r2", "r4")),
        row("visits_time", "n1", "a", "2026-01-10 11:30:00.123456789"),
        row("visits_time", "b1", "a", "2026-01-10 12:00:00.0000005"),
        row("visits_time", "f1", "a", "2099-12-31 00:00:00"),
        row("visits_day", "i33", "a", "2026-01-10"),
        row("visits_day", "s1", "a", "2026-01-10"),
        row("visits_number", "k9", "a", "9"),
        row("visits_digits", "k9", "a", "9"),
        row("visits_zoned", "z1", "a", "2026-01-10 06:30:00-05:00"),
        row("visits_zoned", "z2", "a", "2026-01-10 07:30:00-05:00"),
        *(row(table, "a", "a", "2026-01-10 11:00:00") for table in ("visits_include", "visits_exclude", "visits_fail", "visits_emptied", "visits_restored")),
        *(row(table, "b", "first", None) for table in ("visits_include", "visits_exclude", "visits_fail", "visits_blank")),
        row("visits_restored", "b", "a", "2026-01-10 11:30:00"),
    ],
    [
        row("visits_time", "r3", "a", "2026-01-10 11:00:00"),
        "UPDATE visits_time SET State = 'b' WHERE VisitID = 'r4'",
        row("visits_time", "l1", "a", "2026-01-10 10:45:00"),
        "UPDATE visits_day SET State = 'b' WHERE VisitID = 'i33'",
        row("visits_day", "s2", "a", "2026-01-10"),
        row("visits_number", "k10", "a", "10"),
        row("visits_digits", "k10", "a", "10"),
        "UPDATE visits_include SET State = 'second' WHERE VisitID = 'b'",
        "UPDATE visits_fail SET Mark = '2026-01-10 11:15:00' WHERE VisitID = 'b'",
        "DELETE FROM visits_emptied",
        "DELETE FROM visits_restored",
        row("visits_restored", "old", "a", "2026-01-10 08:00:00"),
    ],
    [
        row("visits_time", "x1", "a", "2026-01-11 09:00:00"),
        "UPDATE visits_day SET State = 'a' WHERE VisitID = 'i33'",
        row("visits_number", "k100", "a", "100"),
        row("visits_number", "k5", "a", "5"),
        row("visits_digits", "k100", "a", "0100"),
        "UPDATE visits_include SET State = 'dated', Mark = '2026-01-11 09:00:00' WHERE VisitID = 'b'",
        row("visits_include", "c", "a", "2026-01-11 11:50:00"),
        row("visits_blank", "c", "a", "2026-01-11 09:00:00"),
        row("visits_emptied", "n", "a", "2026-01-11 09:00:00"),
        row("visits_restored", "c", "a", "2026-01-11 09:00:00"),
    ],
    ["UPDATE visits_include SET State = 'second', Mark = NULL WHERE VisitID = 'b'"],
    [],
)


@dataclass
class Story:
    mini: Mini
    runs: list[Ended]
    versions: list[dict[str, int]]


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    mini = Mini(spark, tmp_path_factory.mktemp("watermarks"), [incremental(table) for table in MARKS], own_contracts={"visit": visit_contract(list(MARKS))})
    mini.connections = {"hospital-a": mini.h2(tables=OPTIONS)}
    mini.write()
    mini.sql(*(f"CREATE TABLE {table} (VisitID VARCHAR(20), State VARCHAR(20), Mark {kind})" for table, kind in MARKS.items()))
    story = Story(mini, [], [])
    late = None
    for number, (now, statements) in enumerate(zip(RUNS, BEFORE, strict=True)):
        mini.sql(*statements)
        if number == 0:
            late = mini.connect("hospital-a", [row("visits_time", "t1", "a", "2026-01-10 11:45:00")], commit=False)
        if number == 1 and late is not None:
            late.commit()
            late.close()
        layers = ("bronze",) if number < len(RUNS) - 1 else ("bronze", "silver")
        story.runs.append(mini.run(now=now, layers=layers))
        story.versions.append({table: mini.commits(f"bronze.hosa_{table}") for table in MARKS if number or table != "visits_fail"})
    return story


def marks(story: Story, table: str) -> list[str | None]:
    return [ended.log("bronze", f"hosa_{table}").watermark_after for ended in story.runs]


def times_loaded(story: Story, table: str) -> dict[str, list[str]]:
    """States of each key in bronze, in the order of their batches."""
    found: dict[str, list[str]] = {}
    for key, _, state in story.mini.rows(f"bronze.hosa_{table}", "VisitID", "_batch_seq", "State"):
        found.setdefault(key, []).append(state)
    return found


def test_I01_a_row_that_comes_at_the_time_of_the_watermark_is_loaded_and_its_neighbours_are_not_doubled(story: Story) -> None:
    found = times_loaded(story, "visits_time")
    assert [found[key] for key in ("r1", "r2", "r3")] == [["a"], ["a"], ["a"]]


def test_I02_new_content_under_an_old_time_is_loaded(story: Story) -> None:
    assert times_loaded(story, "visits_time")["r4"] == ["a", "b"]
    assert story.mini.rows("silver.visit", "state", where="source_visit_id = 'r4' AND is_current") == [("b",)]


def test_I03_rows_committed_late_are_loaded_inside_the_overlap_and_counted(story: Story) -> None:
    assert times_loaded(story, "visits_time")["l1"] == ["a"]
    assert counts(story.runs[0], "visits_time") == (5, 5, 0, 0, 0)
    assert counts(story.runs[1], "visits_time") == (9, 5, 4, 0, 3)
    assert counts(story.runs[2], "visits_time") == (9, 1, 8, 0, 0)


def test_I07_zero_rows_leave_the_watermark_and_cause_no_full_read(story: Story) -> None:
    assert counts(story.runs[1], "visits_emptied") == (0, 0, 0, 0, 0)
    assert marks(story, "visits_emptied")[:3] == ["2026-01-10 11:00:00.000000", "2026-01-10 11:00:00.000000", "2026-01-11 09:00:00.000000"]
    assert counts(story.runs[2], "visits_emptied") == (1, 1, 0, 0, 0)


def test_I07_a_table_that_never_had_a_row_exists_empty_and_has_no_watermark(story: Story) -> None:
    assert marks(story, "visits_never") == [None] * 5
    assert story.mini.rows("bronze.hosa_visits_never", "VisitID") == []
    assert {versions["visits_never"] for versions in story.versions} == {1}


def test_I08_rows_without_a_watermark_stop_the_load_with_their_count(story: Story) -> None:
    assert story.runs[0].code == 1
    assert "1 rows have no Mark. Nothing was committed" in failure(story.runs[0], "visits_fail")
    assert counts(story.runs[1], "visits_fail")[:2] == (2, 2)


def test_I08_included_rows_are_loaded_once_and_again_only_when_they_say_something_new(story: Story) -> None:
    assert times_loaded(story, "visits_include")["b"] == ["first", "second", "dated", "second"]
    assert [counts(ended, "visits_include")[:3] for ended in story.runs] == [(2, 2, 0), (2, 1, 1), (3, 2, 1), (2, 1, 1), (0, 0, 0)]
    flagged = story.mini.rows("bronze.hosa_visits_include", "VisitID", "_flags", where="_flags IS NOT NULL")
    assert flagged == [("b", ["null_watermark"])] * 3


def test_I08_excluded_rows_are_counted_and_not_loaded(story: Story) -> None:
    assert times_loaded(story, "visits_exclude") == {"a": ["a"]}
    assert [counts(ended, "visits_exclude")[:4] for ended in story.runs[:2]] == [(2, 1, 0, 1), (2, 0, 1, 1)]


def test_I09_rows_that_all_lack_a_watermark_leave_it_unset_and_a_set_one_is_never_unset(story: Story) -> None:
    assert marks(story, "visits_blank") == [None, None, *["2026-01-11 09:00:00.000000"] * 3]
    assert times_loaded(story, "visits_blank") == {"b": ["first"], "c": ["a"]}


def test_I10_F20_a_restored_source_gives_a_warning_and_never_moves_the_watermark_back(story: Story) -> None:
    warned = [["older copy was restored" in note for note in ended.log("bronze", "hosa_visits_restored").warnings] for ended in story.runs[1:3]]
    assert warned == [[True], []]
    assert marks(story, "visits_restored")[:3] == ["2026-01-10 11:30:00.000000"] * 2 + ["2026-01-11 09:00:00.000000"]


def test_F20_a_source_clock_that_was_put_back_reads_nothing_and_says_so(story: Story) -> None:
    back = story.runs[4]
    assert back.code == 0
    for table in ("visits_time", "visits_include", "visits_zoned"):
        log = back.log("bronze", f"hosa_{table}")
        assert log.rows_read == 0
        assert [note for note in log.warnings if "clock is behind the watermark" in note] == list(log.warnings)
        assert len(log.warnings) == 1


def test_I11_a_row_dated_2099_is_read_once_and_flagged_and_does_not_move_the_watermark(story: Story) -> None:
    assert story.mini.rows("bronze.hosa_visits_time", "VisitID", "_batch_seq", where="array_contains(_flags, 'future_watermark')") == [("f1", 1)]
    assert marks(story, "visits_time")[0] == "2026-01-10 11:30:00.123456"
    assert times_loaded(story, "visits_time")["x1"] == ["a"]
    assert story.versions[3]["visits_time"] == story.versions[2]["visits_time"], "the row is met in every window and committed once"


def test_I12_digits_beyond_the_microsecond_are_neither_skipped_nor_loaded_again(story: Story) -> None:
    found = times_loaded(story, "visits_time")
    assert (found["n1"], found["b1"]) == (["a"], ["a"])
    assert counts(story.runs[3], "visits_time") == (2, 0, 2, 0, 0), "the next day's window no longer meets it"


def test_I14_a_row_of_a_transaction_that_was_open_while_the_table_was_read_comes_with_the_next_run(story: Story) -> None:
    assert story.mini.rows("bronze.hosa_visits_time", "_batch_seq", where="VisitID = 't1'") == [(2,)]


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("visits_number", ["9", "10", "100"]),
        ("visits_digits", ["9", "10", "100"]),
        ("visits_day", ["2026-01-10"] * 3),
        ("visits_zoned", ["2026-01-10 11:30:00.000000"] + ["2026-01-10 12:30:00.000000"] * 2),
        ("visits_time", ["2026-01-10 11:30:00.123456", "2026-01-10 12:00:00.000000", "2026-01-11 09:00:00.000000"]),
    ],
)
def test_I17_watermarks_compare_by_value(story: Story, table: str, wanted: list[str]) -> None:
    assert marks(story, table)[:3] == wanted
    keys = {key: len(states) for key, states in times_loaded(story, table).items() if key not in ("r4", "i33")}
    assert set(keys.values()) == {1}, keys


def test_I17_an_integer_drawn_early_and_committed_late_is_met_again(story: Story) -> None:
    assert times_loaded(story, "visits_number")["k5"] == ["a"]
    assert story.runs[2].log("bronze", "hosa_visits_number").rows_late == 1


def test_a_day_as_watermark_loses_no_row_of_the_same_day(story: Story) -> None:
    assert times_loaded(story, "visits_day")["s2"] == ["a"]


def test_I33_a_value_that_goes_and_comes_back_on_one_day_reaches_bronze_three_times(story: Story) -> None:
    assert times_loaded(story, "visits_day")["i33"] == ["a", "b", "a"]
    assert story.mini.rows("silver.visit", "state", where="source_visit_id = 'i33' AND is_current") == [("a",)]


def test_a_run_without_news_commits_nothing(story: Story) -> None:
    moved = {table for table in MARKS if story.versions[3][table] != story.versions[2][table]}
    assert moved == {"visits_include"}
    assert story.versions[4] == story.versions[3]


def test_A08_no_watermark_ever_falls(story: Story) -> None:
    assert_watermarks_never_fall(story.mini, KINDS)


def test_every_row_that_was_read_is_accounted_for(story: Story) -> None:
    logs = [log for ended in story.runs for log in ended.logs if log.layer == "bronze" and log.status == "SUCCESS"]
    assert len(logs) == 59
    assert [log for log in logs if log.rows_read != (log.rows_written or 0) + (log.rows_duplicate or 0) + (log.rows_dropped or 0)] == []
