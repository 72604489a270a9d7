"""Monitors run through the job over audit rows of other days and a damaged history."""

from datetime import datetime

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from monitors_days import FEEDS, HELD_BACK, TABLES, TUESDAY, damage, other_counts, other_days
from monitors_kit import Rows, at, job, judged, named, put_monitors
from rcm_lakehouse.audit.calendar import keep_calendar
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import append_logs, ensure_audit, mark_start
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.pipeline.status import read_status


@pytest.fixture(scope="module")
def days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """A lakehouse that has an audit of other days, a calendar, and one damaged history; nothing was ever loaded."""
    loads = [f"any,{source},{table},Full,,1,{source.replace('-', '')}" for source in ("hos-a", "hos-b", "network") for table in TABLES]
    contract = {
        "description": "a thing",
        "grain": "one thing",
        "key": ["number"],
        "columns": [{"name": "number", "type": "string", "description": "its number"}],
        "sources": [{"name": "all", "tables": TABLES, "columns": {"number": "Number"}}],
    }
    mini = Mini(spark, tmp_path_factory.mktemp("days"), loads, own_contracts={"thing": contract})
    mini.connections = {"any": mini.h2()}
    mini.write()
    put_monitors(mini, FEEDS)
    lake = mini.lake
    ensure_audit(lake)
    keep_calendar(lake, load_project(mini.home, "local").feeds)
    append_logs(lake, [*other_days(), *other_counts()])
    for run_id, started in (("ended", "2026-02-01T00:00"), ("hangs", "2026-03-09T16:00"), ("goes on", "2026-03-20T00:30")):
        mark_start(lake, {"run_id": run_id, "started_at": at(started), "windows": []})
    append_logs(lake, [LoadLog(id="end", run_id="ended", layer="run", loaddate=at("2026-02-01T01:00"), finished_at=at("2026-02-01T01:00"))])
    damage(mini)
    return mini


@pytest.fixture(scope="module")
def tuesday(days: Mini) -> dict[str, Rows]:
    """What all monitors find at half past twelve (UTC) on Tuesday, 10 March 2026."""
    return judged(days, TUESDAY)


def test_A10_hospital_A_is_on_time_and_only_B_is_late(days: Mini, tuesday: dict[str, Rows]) -> None:
    late = {(row["data_source"], row["tablename"]): row for row in tuesday["late_feeds"]}
    assert ("hos-a", "patients") not in late
    assert late["hos-b", "patients"]["due_at"] == datetime(2026, 3, 10, 10)
    assert late["hos-b", "patients"]["what_happened"] == "nothing ran"
    assert late["hos-b", "patients"]["last_good_at"] == datetime(2026, 3, 9, 9, 30)
    # At the very end of the allowed delay nobody is late yet.
    assert ("hos-b", "patients") not in [(row["data_source"], row["tablename"]) for row in judged(days, at("2026-03-10T12:00"), "late_feeds")["late_feeds"]]


def test_A09_a_feed_is_late_by_weekday_month_and_rows_and_says_what_happened(tuesday: dict[str, Rows]) -> None:
    assert sorted(named(tuesday["late_feeds"], "data_source", "tablename", "due_at", "what_happened")) == [
        ("hos-a", "claims", datetime(2026, 3, 9, 13), "it ran, without rows"),
        ("hos-a", "encounters", datetime(2026, 3, 10, 10), "it ended as FAILED"),
        ("hos-a", "monthly", datetime(2026, 2, 28, 11), "nothing ran"),
        ("hos-b", "patients", datetime(2026, 3, 10, 10), "nothing ran"),
    ]


def test_the_history_of_feeds_agrees_with_the_late_ones_and_follows_the_local_clock(tuesday: dict[str, Rows]) -> None:
    history = [row for row in tuesday["feed_history"] if (row["data_source"], row["tablename"]) == ("hos-b", "patients")]
    assert named(history, "due_at", "verdict")[:4] == [
        (datetime(2026, 3, 10, 10), "missing"),
        (datetime(2026, 3, 9, 10), "on time"),
        (datetime(2026, 3, 8, 10), "on time"),
        (datetime(2026, 3, 7, 11), "on time"),
    ]


def test_a_reference_is_stale_when_its_last_good_version_is_too_old(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["stale_references"], "tablename", "age_days", "newest_status") == [
        ("failing", 49, "FAILED"),
        ("never", None, None),
        ("served_old", 49, "SUCCESS"),
    ]


def test_A11_runs_without_a_row_in_a_row_are_told(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["zero_row_runs"], "tablename", "runs_without_rows", "last_rows_at") == [("quiet", 5, datetime(2026, 3, 5, 8))]


def test_a_volume_is_unusual_against_the_median_of_the_loads_own_runs(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["volume_anomalies"], "tablename", "newest_rows", "median_rows", "verdict") == [
        ("burst", 1000, 100.0, "more"),
        ("dropped", 5, 100.0, "fewer"),
    ]


def test_A08_a_watermark_that_went_back_is_told_unless_it_was_reset(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["watermark_went_back"], "tablename", "watermark_before", "watermark_after") == [
        ("clock", "2026-03-09 10:00:00.000000", "2026-03-09 09:59:59.999999")
    ]


def test_rows_that_are_unaccounted_for_are_told_in_a_layer_and_between_layers(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["conservation"], "layer", "tablename", "rows_read", "rows_accounted", "rows_missing") == [
        ("bronze", "lost", 10, 9, 1),
        ("silver", "leaking", 10, 9, 1),
    ]
    assert named(tuesday["conservation_between_layers"], "load_id", "rows_in_bronze", "rows_taken") == [("leaking-1", 10, 9)]


def test_batches_that_wait_and_much_quarantine_are_warned_of(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["silver_backlog"], "bronze_table", "batches_waiting", "rows_waiting", "since") == [
        ("bronze.hosb_waiting", 2, 50, datetime(2026, 3, 8, 8))
    ]
    shares = {row["silver_table"]: float(row["quarantined_rate"]) for row in tuesday["quarantined_share"]}
    assert shares == {"silver.other": 0.3}


def test_only_the_newest_run_of_a_step_counts_as_failed(tuesday: dict[str, Rows]) -> None:
    assert sorted(named(tuesday["failed_loads"], "step", "status")) == [
        ("hos-a.encounters", "FAILED"),
        ("hos-b.abandoned", "ABANDONED"),
        ("network.failing", "FAILED"),
        ("silver.shared", "HELD"),
    ]
    assert ("hos-b.mended", "FAILED") in named(tuesday["failure_history"], "step", "status")


def test_what_is_held_names_its_hospital_when_that_was_good_last_and_the_way_out(tuesday: dict[str, Rows]) -> None:
    held = [row for row in tuesday["failed_loads"] if row["status"] == "HELD"]
    assert named(held, "step", "data_source", "ended_at", "last_good_at", "message") == [
        ("silver.shared", "hos-b", datetime(2026, 3, 7, 8, 1), datetime(2026, 3, 6, 8, 1), HELD_BACK)
    ]


def test_a_run_without_an_end_is_told_and_a_run_that_goes_on_is_waited_for(days: Mini, tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["unfinished_runs"], "run_id", "planned_loads") == [("hangs", 0)]
    status = read_status(days.home, "local", ["history_integrity", "conservation"], at("2026-03-20T01:00"))
    assert {found.monitor.name: found.not_run for found in status.found} == {"conservation": None, "history_integrity": "a run is going on"}
    assert "goes on" in status.notes[0]


def test_A01_A02_A03_histories_that_contradict_themselves_are_counted(tuesday: dict[str, Rows]) -> None:
    assert dict(named(tuesday["history_integrity"], "contradiction", "versions")) == {
        "ends without a delete": 2,
        "overlaps the next version": 3,
        "is open though its key was deleted": 1,
        "is_current and effective_to disagree": 1,
        "ends before it begins": 1,
    }
    assert {row["entity"] for row in tuesday["history_integrity"]} == {"thing"}


def test_pictures_are_cut_at_twenty_rows_and_warnings_alone_do_not_fail_the_job(days: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    assert job(days, "--only", "rows_by_load_and_day,volume_anomalies,slowest_loads", "--now", "2026-03-10T12:30") == 0
    said = capsys.readouterr().out
    assert "info    rows_by_load_and_day  the first 20 rows of more" in said
    assert "WARN    volume_anomalies      2 rows" in said


def test_a_query_that_fails_is_an_error_of_its_monitor_alone(days: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    broken = days.home / "conf" / "monitor" / "broken.sql"
    broken.write_text("/*\ntitle: Broken\nrow: none\nseverity: info\n*/\nSELECT no_such_column FROM audit.runs\n")
    try:
        assert job(days, "--only", "broken,unfinished_runs", "--now", "2026-02-02T00:00") == 1
    finally:
        broken.unlink()
    said = capsys.readouterr().out
    assert "ERROR   broken           the query failed (AnalysisException:UNRESOLVED_COLUMN" in said
    assert "ok      unfinished_runs  nothing" in said
