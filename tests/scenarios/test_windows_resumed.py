"""Loads that are taken up again: by a repeated try, by the run after a dead one, and after the source's clock was put back."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import assert_watermarks_never_fall, full
from monitors_kit import judged, put_monitors
from rcm_lakehouse.config.errors import SourceUnavailableError
from rcm_lakehouse.pipeline import bronze_step, reset_step
from windows_kit import BRONZE, Killed, insert, killed_at, project, raising

pytestmark = pytest.mark.deep

TO_SILVER = ("bronze", "silver")


def failing_reads(*numbers: int) -> Callable[..., None]:
    """A crash point at which these reads, counted from 1, find the source away."""
    seen: list[str] = []

    def reached(point: str, where: str = "") -> None:
        if point == "P3":
            seen.append(where)
            if len(seen) in numbers:
                raise SourceUnavailableError("connection 'hospital-a': it went away. Nothing was committed.")

    return reached


@pytest.fixture
def left(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mini:
    """One row loaded; a second one in the window of a run that died."""
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T10:30:00Z", layers=TO_SILVER).code == 0
    mini.sql(insert("b", "2026-01-10 10:40:00"))
    killed_at(mini, monkeypatch, "P5", now="2026-01-10T11:00:00Z")
    return mini


def loads(ended: Ended) -> list[tuple[str, int, int | None, int | None, str | None]]:
    """(status, attempt, batch, rows written, watermark after) of the bronze rows of a run, in their order."""
    rows = [log for log in ended.logs if log.layer == "bronze"]
    return [(log.status, log.attempt, log.batch_seq, log.rows_written, log.watermark_after) for log in rows]


def in_silver(mini: Mini) -> list[str]:
    return [key for (key,) in mini.rows("silver.visit", "source_visit_id", where="is_current")]


def test_a_try_that_fails_behind_its_first_commit_is_repeated_behind_it(left: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    left.sql(insert("c", "2026-01-10 11:30:00"))
    monkeypatch.setattr(bronze_step, "crash_point", failing_reads(2))
    ended = left.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER)
    assert ended.code == 0, ended.said
    reached = "2026-01-10 10:40:00.000000"
    assert loads(ended) == [("SUCCESS", 1, 2, 1, reached), ("SUCCESS", 2, None, 0, reached), ("SUCCESS", 2, 3, 1, "2026-01-10 11:30:00.000000")]
    assert left.rows("bronze.hosa_visits", "_batch_seq", "VisitID") == [(1, "a"), (2, "b"), (3, "c")]
    assert in_silver(left) == ["a", "b", "c"]
    assert_watermarks_never_fall(left, {"visits": "timestamp"})


def test_silver_takes_what_an_earlier_try_committed_when_the_repeated_one_finds_nothing(left: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bronze_step, "crash_point", failing_reads(2))
    ended = left.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER)
    assert ended.code == 0, ended.said
    assert [row[:4] for row in loads(ended)] == [("SUCCESS", 1, 2, 1), ("SUCCESS", 2, None, 0), ("SUCCESS", 2, None, 0)]
    assert in_silver(left) == ["a", "b"]


def test_a_load_that_fails_behind_its_first_commit_keeps_the_row_of_that_commit(left: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    left.sql(insert("c", "2026-01-10 11:30:00"))
    with monkeypatch.context() as patch:
        patch.setattr(bronze_step, "crash_point", failing_reads(2, 4))
        failed = left.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER)
    assert failed.code == 1
    assert [row[:4] for row in loads(failed)] == [("SUCCESS", 1, 2, 1), ("FAILED", 2, None, None)]
    assert in_silver(left) == ["a"], "a load that failed is held back whole"
    ended = left.run(now="2026-01-10T12:30:00Z", layers=TO_SILVER)
    assert loads(ended) == [("SUCCESS", 1, 3, 1, "2026-01-10 11:30:00.000000")]
    assert in_silver(left) == ["a", "b", "c"]


def test_a_commit_whose_answer_fails_is_told_and_not_tried_against_again(left: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def away_once(point: str, where: str = "") -> None:
        if point == "P6":
            seen.append(where)
            if len(seen) == 1:
                raise SourceUnavailableError("connection 'hospital-a': it went away.")

    left.sql(insert("c", "2026-01-10 11:30:00"))
    monkeypatch.setattr(bronze_step, "crash_point", away_once)
    ended = left.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER)
    assert ended.code == 0, ended.said
    assert [row[:4] for row in loads(ended)] == [("SUCCESS", 1, 2, 1), ("SUCCESS", 2, None, 0), ("SUCCESS", 2, 3, 1)]
    assert in_silver(left) == ["a", "b", "c"]


def test_the_two_batches_of_a_resumed_window_are_two_loads_to_the_monitor_of_lost_rows(left: Mini) -> None:
    left.sql(insert("c", "2026-01-10 11:30:00"))
    ended = left.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER)
    assert ended.code == 0, ended.said
    first, second = [log.load_id for log in ended.logs if log.layer == "bronze"]
    assert second == f"{first}-2"
    assert left.rows("bronze.hosa_visits", "_batch_seq", "_load_id", where="_batch_seq > 1") == [(2, first), (3, second)]
    put_monitors(left, {})
    found = judged(left, datetime.now(timezone.utc) + timedelta(hours=1), "conservation_between_layers")
    assert found == {"conservation_between_layers": []}


def test_a_dead_run_whose_load_committed_its_second_batch_alone_is_not_told_to_have_committed_nothing(left: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    left.sql("DELETE FROM visits WHERE VisitID = 'b'", insert("c", "2026-01-10 11:30:00"))
    killed_at(left, monkeypatch, "P6", now="2026-01-10T12:00:00Z")
    ended = left.run(now="2026-01-10T12:30:00Z", layers=TO_SILVER)
    assert [row[2:4] for row in loads(ended)] == [(None, 0)], "one window, not the dead run's first"
    assert in_silver(left) == ["a", "c"]
    abandoned = "status = 'ABANDONED' AND layer = 'bronze'"
    assert left.rows("audit.load_logs", "window_high", where=abandoned) == [("2026-01-10 11:00:00.000000",)]


def test_rows_between_a_dead_runs_window_and_now_are_not_taken_for_rows_of_the_future(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("thursday", "2026-01-08 10:00:00"))
    assert mini.run(now="2026-01-08T12:00:00Z", layers=BRONZE).code == 0
    mini.sql(insert("friday", "2026-01-09 10:00:00"), insert("far", "2099-01-01 00:00:00"))
    killed_at(mini, monkeypatch, "P5", now="2026-01-09T12:00:00Z")
    mini.sql(insert("sunday", "2026-01-11 09:00:00"))
    ended = mini.run(now="2026-01-12T12:00:00Z", layers=BRONZE)
    assert ended.code == 0, ended.said
    assert [row[2:] for row in loads(ended)] == [(2, 2, "2026-01-09 10:00:00.000000"), (3, 1, "2026-01-11 09:00:00.000000")]
    assert mini.rows("bronze.hosa_visits", "_batch_seq", "VisitID", "_flags", where="_batch_seq > 1") == [
        (2, "far", ["future_watermark"]),
        (2, "friday", None),
        (3, "sunday", None),
    ]


def test_F20_snapshots_taken_after_the_clock_was_put_back_still_follow_one_another(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, full("visits"))
    mini.sql(insert("a", "2026-01-10 10:00:00"), insert("b", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T12:00:00Z", layers=TO_SILVER).code == 0
    changes = {
        "2026-01-10T11:00:00Z": "UPDATE visits SET State = 'closed' WHERE VisitID = 'a'",
        "2026-01-10T11:10:00Z": "DELETE FROM visits WHERE VisitID = 'a'",
        "2026-01-10T11:20:00Z": insert("a", "2026-01-10 10:00:00", state="back"),
    }
    found = []
    for now, statement in changes.items():
        mini.sql(statement)
        ended = mini.run(now=now, layers=TO_SILVER, approve_deletes=("hos-a.visits",))
        assert ended.code == 0, ended.said
        (warning,) = ended.log("bronze", "hosa_visits").warnings
        assert warning.startswith("the source's clock is behind the newest batch in bronze")
        found.append(mini.rows("silver.visit", "source_visit_id", "state", where="is_current"))
    assert found == [[("a", "closed"), ("b", "open")], [("b", "open")], [("a", "back"), ("b", "open")]]
    mini.sql("UPDATE visits SET State = 'closed' WHERE VisitID = 'b'")
    right = mini.run(now="2026-01-10T13:00:00Z", layers=TO_SILVER)
    assert right.log("bronze", "hosa_visits").warnings == []
    ends = mini.rows("silver.visit", "CAST(effective_from AS STRING)", where="source_visit_id = 'b' AND is_current")
    assert ends == [("2026-01-10 13:00:00",)]


def test_a_reset_killed_behind_its_commit_is_in_the_audit(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T10:30:00Z", layers=BRONZE).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(reset_step, "remember", lambda *_: raising(Killed())())
        with pytest.raises(Killed):
            mini.run(now="2026-01-10T11:00:00Z", reset_watermark=("hos-a.visits", "2026-01-05 00:00:00"))
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    log = ended.log("bronze", "hosa_visits")
    assert (log.watermark_before, log.rows_written) == ("2026-01-05 00:00:00.000000", 0)
    of_bronze = "status IN ('RESET', 'ABANDONED') AND layer = 'bronze'"
    told = mini.rows("audit.load_logs", "status", "watermark_before", "watermark_after", "batch_seq", where=of_bronze)
    assert told == [("RESET", "2026-01-10 10:00:00.000000", "2026-01-05 00:00:00.000000", 2)]
