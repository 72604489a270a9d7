"""Windows through the public path: clocks that differ, the hour that comes twice, failures, dead runs, and what a read costs its source."""

from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import assert_watermarks_never_fall, counts, failure, full, incremental, visit_contract
from rcm_lakehouse.bronze.windows import SourceClock
from rcm_lakehouse.pipeline import bronze_step, freeze
from rcm_lakehouse.pipeline.context import Backfill
from windows_kit import BRONZE, VISITS, at_point, insert, keys, killed_at, project, raising


def test_I06_I16_a_failed_write_moves_nothing_and_the_next_run_reads_the_same_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE).code == 0
    # Three rows share one time: whatever was staged of them, all three are read again.
    mini.sql(*(insert(key, "2026-01-10 11:30:00") for key in ("b", "c", "d")))
    with monkeypatch.context() as patch:
        patch.setattr(bronze_step, "crash_point", at_point("P5", raising(OSError("disk"))))
        failed = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    assert failed.code == 1
    assert "Nothing of this step was committed" in failure(failed, "visits")
    assert keys(mini) == ["a"]
    again = mini.run(now="2026-01-10T13:00:00Z", layers=BRONZE)
    log = again.log("bronze", "hosa_visits")
    assert (log.watermark_before, log.window_low, log.rows_written) == ("2026-01-10 10:00:00.000000", "2026-01-10 09:45:00.000000", 3)
    assert keys(mini) == ["a", "b", "c", "d"]


@pytest.mark.wide
def test_a_window_that_a_dead_run_had_frozen_is_finished_as_it_was_and_then_read_on(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"), insert("b", "2026-01-10 10:30:00"))
    killed_at(mini, monkeypatch, "P5", now="2026-01-10T11:00:00Z")
    # After its end: neither may lie in the batch of the frozen window.
    mini.sql("UPDATE visits SET State = 'closed', Mark = '2026-01-10 11:30:00' WHERE VisitID = 'b'", insert("c", "2026-01-10 11:45:00"))
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    assert ended.code == 0, ended.said
    first, second = [log for log in ended.logs if log.layer == "bronze"]
    assert (first.window_low, first.window_high) == (None, "2026-01-10 11:00:00.000000")
    assert (first.rows_written, first.watermark_after) == (1, "2026-01-10 10:00:00.000000")
    assert (second.window_low, second.window_high) == ("2026-01-10 09:45:00.000000", "2026-01-10 12:00:00.000000")
    assert (second.rows_read, second.rows_written, second.rows_duplicate, second.watermark_after) == (3, 2, 1, "2026-01-10 11:45:00.000000")
    assert mini.rows("bronze.hosa_visits", "_batch_seq", "VisitID") == [(1, "a"), (2, "b"), (2, "c")]
    assert mini.rows("audit.load_logs", "status", "window_high", where="status = 'ABANDONED' AND layer = 'bronze'") == [
        ("ABANDONED", "2026-01-10 11:00:00.000000")
    ]
    quiet = mini.run(now="2026-01-10T12:30:00Z", layers=BRONZE)
    assert counts(quiet, "visits")[:3] == (2, 0, 2)
    assert_watermarks_never_fall(mini, {"visits": "timestamp"})


@pytest.mark.deep
def test_a_commit_that_a_dead_run_made_is_not_read_again_under_its_window(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"))
    killed_at(mini, monkeypatch, "P6", now="2026-01-10T11:00:00Z")
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    log = ended.log("bronze", "hosa_visits")
    assert (log.window_high, log.rows_written, log.rows_duplicate) == ("2026-01-10 12:00:00.000000", 0, 1)
    assert keys(mini) == ["a"]


def test_I05_a_backfill_reads_its_range_exactly_and_a_window_with_overlap_does_not_reach_below_the_first_row(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, tables=("visits",))
    mini.connections = {"hospital-a": mini.h2(tables={"visits": {"overlap_seconds": 7200}})}
    mini.write()
    mini.sql(*(insert(f"v{hour}", f"2026-01-10 {hour:02d}:00:00") for hour in range(6, 11)))
    first = mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE)
    assert (first.log("bronze", "hosa_visits").window_low, counts(first, "visits")[:2]) == (None, (5, 5))
    mini.sql("UPDATE visits SET State = 'mended'")
    again = mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE, backfill=Backfill(("hos-a.visits",), "2026-01-10 07:00:00", "2026-01-10 09:00:00"))
    log = again.log("bronze", "hosa_visits")
    assert (log.window_low, log.window_high) == ("2026-01-10 07:00:00.000000", "2026-01-10 09:00:00.000000")
    assert counts(again, "visits")[:3] == (2, 2, 0)
    live = mini.run(now="2026-01-10T11:30:00Z", layers=BRONZE)
    log = live.log("bronze", "hosa_visits")
    assert (log.watermark_before, log.window_low) == ("2026-01-10 10:00:00.000000", "2026-01-10 08:00:00.000000")
    assert counts(live, "visits")[:3] == (3, 2, 1), "08:00 was mended by the back-fill"


def test_I13_no_row_of_the_hour_that_comes_twice_is_lost_or_doubled(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, time_zone="America/New_York")
    # 05:30 UTC is 01:30 in summer time, 06:30 UTC is 01:30 again, in winter time.
    mini.sql(insert("first-pass", "2026-11-01 01:29:00"))
    assert mini.run(now="2026-11-01T05:30:00Z", layers=BRONZE).code == 0
    mini.sql(insert("still-first", "2026-11-01 01:50:00"), insert("second-pass", "2026-11-01 01:05:00"))
    second = mini.run(now="2026-11-01T06:10:00Z", layers=BRONZE)
    mini.sql(insert("second-pass-late", "2026-11-01 01:40:00"), insert("after", "2026-11-01 02:10:00"))
    third = mini.run(now="2026-11-01T07:30:00Z", layers=BRONZE)
    assert keys(mini) == ["after", "first-pass", "second-pass", "second-pass-late", "still-first"]
    assert [ended.log("bronze", "hosa_visits").watermark_after for ended in (second, third)] == ["2026-11-01 01:29:00.000000", "2026-11-01 02:10:00.000000"]
    assert_watermarks_never_fall(mini, {"visits": "timestamp"})


def test_I32_F19_the_watermark_comes_from_the_source_and_its_clock_never_from_the_time_of_loading(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def five_minutes_behind(clock: SourceClock) -> SourceClock:
        return clock.model_copy(update={"now": clock.now - timedelta(minutes=5)})

    mini = project(spark, tmp_path, tables=("visits",))
    mini.connections = {"hospital-a": mini.h2(tables={"visits": {"overlap_seconds": 0}})}
    mini.write()
    monkeypatch.setattr(freeze, "frozen_clock", five_minutes_behind)
    mini.sql("INSERT INTO visits VALUES ('a', 'open', DATEADD('MINUTE', -6, CURRENT_TIMESTAMP))")
    committed = "INSERT INTO visits VALUES ('b', 'open', DATEADD('MINUTE', -5, CURRENT_TIMESTAMP))"
    with monkeypatch.context() as patch:
        # Between the extract and its audit row, and before the load date by the pipeline's clock.
        patch.setattr(bronze_step, "crash_point", at_point("P6", lambda: mini.sql(committed)))
        first = mini.run(layers=BRONZE)
    second = mini.run(layers=BRONZE)
    assert [counts(ended, "visits")[1] for ended in (first, second)] == [1, 1]
    assert keys(mini) == ["a", "b"]
    log = first.log("bronze", "hosa_visits")
    assert log.loaddate is not None
    assert str(log.watermark_after) < log.loaddate.strftime("%Y-%m-%d %H:%M:%S")


def test_a_read_carries_its_bounds_to_the_source_and_a_run_without_news_costs_one_query_a_table(spark: SparkSession, tmp_path: Path) -> None:
    tables = ("visits_one", "visits_two")
    mini = project(spark, tmp_path, *(incremental(table) for table in tables), tables=tables)
    for table in tables:
        mini.sql(f"INSERT INTO {table} SELECT X, 'open', DATEADD('MINUTE', X, TIMESTAMP '2026-01-01 00:00:00') FROM SYSTEM_RANGE(1, 2000)")
    assert mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE).code == 0
    before = {table: mini.commits(f"bronze.hosa_{table}") for table in tables}
    watching = mini.connect("hospital-a", ["SET QUERY_STATISTICS_MAX_ENTRIES 1000", "SET QUERY_STATISTICS TRUE"], commit=False)
    quiet = mini.run(now="2026-01-10T13:00:00Z", layers=BRONZE)
    asked = watching.createStatement().executeQuery("SELECT SQL_STATEMENT, EXECUTION_COUNT FROM INFORMATION_SCHEMA.QUERY_STATISTICS")
    statements: dict[str, int] = {}
    while asked.next():
        statements[asked.getString(1)] = asked.getInt(2)
    watching.close()
    # WHERE 1=0 asks for the columns of a query and reads no row.
    reads = {text: number for text, number in statements.items() if text.startswith("SELECT") and "1=0" not in text and "QUERY_STATISTICS" not in text}
    bounds = "(\"Mark\" >= TIMESTAMP '2026-01-02 09:05:00.000000' AND \"Mark\" < TIMESTAMP '2026-01-10 13:00:00.000000')"
    for table in tables:
        own = {text: number for text, number in reads.items() if f'"{table}"' in text}
        assert list(own.values()) == [1], own
        assert bounds in next(iter(own))
        assert counts(quiet, table)[:3] == (16, 0, 16), "only the overlap is read, not the 2,000 rows of the table"
        assert mini.commits(f"bronze.hosa_{table}") == before[table]
    assert sorted(reads.values()) == [1, 1, 1, 1], f"catalog, clock and two tables: {reads}"


@pytest.mark.deep
def test_that_an_account_may_not_see_transactions_is_said_once(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(clock: SourceClock) -> SourceClock:
        return clock.model_copy(update={"refusal": "open transactions cannot be seen by this account"})

    tables = ("visits_one", "visits_two")
    mini = project(spark, tmp_path, *(incremental(table) for table in tables), tables=tables)
    monkeypatch.setattr(freeze, "frozen_clock", blind)
    said = [[note for log in mini.run(layers=BRONZE).logs for note in log.warnings] for _ in range(3)]
    assert said == [["connection 'hospital-a': open transactions cannot be seen by this account"], [], []]


def test_I28_I29_a_full_load_twice_is_one_snapshot_and_an_inactive_row_is_skipped_and_told(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, full("visits"), full("visits_off", active=0), tables=("visits", "visits_off"))
    mini.sql(insert("a", "2026-01-10 10:00:00"), insert("off", "2026-01-10 10:00:00", "visits_off"))
    first = mini.run(now="2026-01-10T11:00:00Z", layers=("bronze", "silver"))
    second = mini.run(now="2026-01-10T12:00:00Z", layers=("bronze", "silver"))
    assert [counts(ended, "visits")[:3] for ended in (first, second)] == [(1, 1, 0), (1, 0, 1)]
    mini.sql("UPDATE visits SET State = 'closed' WHERE VisitID = 'a'", insert("b", "2026-01-10 10:00:00"))
    third = mini.run(now="2026-01-10T13:00:00Z", layers=("bronze", "silver"))
    assert counts(third, "visits")[:3] == (2, 2, 0)
    assert mini.rows("bronze.hosa_visits", "_batch_seq", "VisitID", "State") == [(1, "a", "open"), (2, "a", "closed"), (2, "b", "open")]
    assert mini.rows("silver.visit", "source_visit_id", "state", where="is_current") == [("a", "closed"), ("b", "open")]
    skipped = third.log("bronze", "hosa_visits_off")
    assert (skipped.status, skipped.rows_read) == ("SKIPPED", None)
    assert not (mini.home / "lakehouse" / "bronze" / "hosa" / "visits_off").exists()


@pytest.mark.wide
def test_I30_one_of_ten_loads_fails_the_others_commit_and_the_next_run_loads_that_one(spark: SparkSession, tmp_path: Path) -> None:
    tables = tuple(f"visits_{number}" for number in range(10))
    mini = project(spark, tmp_path, *(incremental(table) for table in tables), tables=tables)
    mini.sql(*(insert("a", "2026-01-10 10:00:00", table) for table in tables), "ALTER TABLE visits_3 RENAME TO elsewhere")
    first = mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE, threads=4)
    assert first.code == 1
    assert "there is no table 'public.visits_3'" in failure(first, "visits_3")
    assert sorted(log.tablename or "" for log in first.logs if log.layer == "bronze" and log.status == "SUCCESS") == sorted({*tables} - {"visits_3"})
    mini.sql("ALTER TABLE elsewhere RENAME TO visits_3")
    second = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, threads=4)
    assert second.code == 0
    assert {table for table in tables if counts(second, table)[1]} == {"visits_3"}


@pytest.mark.deep
def test_I31_columns_are_met_by_name_whatever_their_order_and_names(spark: SparkSession, tmp_path: Path) -> None:
    contract = visit_contract(("visits",))
    other = {"name": "other", "tables": ["visits"], "data_sources": ["hos-b"], "columns": {"source_visit_id": "ID", "state": "V_State"}}
    contract["sources"].append(other)
    loads = [incremental("visits"), incremental("visits", "Changed", "hospital-b", "hos-b")]
    mini = Mini(spark, tmp_path, loads, own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(), "hospital-b": mini.h2("hospital-b")}
    mini.write()
    mini.sql(f"CREATE TABLE visits {VISITS}", insert("a", "2026-01-10 10:00:00"))
    mini.sql(
        "CREATE TABLE visits (Changed TIMESTAMP, V_State VARCHAR(20), ID VARCHAR(20))",
        "INSERT INTO visits VALUES ('2026-01-10 10:00:00', 'closed', 'b')",
        database="hospital-b",
    )
    assert mini.run(now="2026-01-10T11:00:00Z", layers=("bronze", "silver")).code == 0
    assert mini.rows("silver.visit", "data_source", "source_visit_id", "state") == [("hos-a", "a", "open"), ("hos-b", "b", "closed")]
    other["columns"] = {"source_visit_id": "ID", "state": "V_Stat"}
    mini.write()
    mistyped = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, only=("hos-b.visits",))
    assert mistyped.code == 1
    message = failure(mistyped, "visits")
    assert "has no column 'V_Stat'" in message
    assert "Did you mean 'V_State'?" in message
