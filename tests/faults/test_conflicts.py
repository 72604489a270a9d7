"""Commits of another writer in between: the whole load is computed again, a few times; a batch is never applied twice."""

from pathlib import Path
from threading import Event, Thread

import pytest

from faulted import Small, at_point, clean_second_day
from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.lake.tables import Lake, Table
from rcm_lakehouse.pipeline import bronze_step, history, runner
from rcm_lakehouse.pipeline.context import new_run_id


def _touch(small: Small) -> None:
    """Another writer's commit on silver.patient that changes no value."""
    small.spark.newSession().sql(f"UPDATE delta.`{small.place('silver/patient')}` SET version = version WHERE is_current")


def test_F10_a_commit_between_computing_and_merging_has_the_load_computed_again(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, counted = clean_second_day(small, tmp_path / "clean")
    small.second_day()
    passed = at_point(monkeypatch, history, "P9", "patient", lambda: _touch(small))
    ended = small.run(day=2)
    assert ended.code == 0, ended.said
    assert len(passed) == 2
    assert ended.log("silver", "patient").attempt == 2
    assert (small.all_rows(), small.counted()) == (wanted, counted)


def test_F10_a_writer_who_never_rests_ends_the_tries_and_nothing_is_merged(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.second_day()
    before = small.all_rows()["silver.patient"]
    passed = at_point(monkeypatch, history, "P9", "patient", lambda: _touch(small), times=9)
    ended = small.run(day=2)
    assert ended.code == 1
    log = ended.log("silver", "patient")
    assert (log.status, log.attempt, log.error_class, log.is_retryable) == ("FAILED", 2, "CommitConflictError", True)
    assert len(passed) == 2
    assert small.all_rows()["silver.patient"] == before
    monkeypatch.undo()
    assert small.run(day=2).code == 0


def test_F10_a_conflict_that_delta_finds_during_the_merge_is_retried_too(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, _ = clean_second_day(small, tmp_path / "clean")
    small.second_day()
    found, rested = Event(), Event()

    def write_on() -> None:
        while not found.is_set():
            _touch(small)
        rested.set()

    writer = Thread(target=write_on)

    def begin() -> None:
        writer.start()

    passed = at_point(monkeypatch, history, "P9", "patient", begin)
    # Without the look at the head, only Delta's own check during the MERGE is left; from the second try on all is as always.
    look = Lake.moved_past

    def looked(lake: Lake, table: object, version: int) -> bool:
        if len(passed) >= 2 and not found.is_set():
            found.set()
            rested.wait()
        return False if len(passed) < 2 and getattr(table, "label", "") == "silver.patient" and version > 0 else look(lake, table, version)  # type: ignore[arg-type]

    monkeypatch.setattr(Lake, "moved_past", looked)
    ended = small.run(day=2)
    found.set()
    writer.join()
    log = ended.log("silver", "patient")
    assert log.status in ("SUCCESS", "FAILED")
    assert log.attempt == 2
    monkeypatch.undo()
    assert small.run(day=2).code == 0
    assert small.all_rows() == wanted


def test_F11_a_change_of_the_tables_metadata_in_between_is_planned_anew(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, _ = clean_second_day(small, tmp_path / "clean")
    small.second_day()

    def alter() -> None:
        small.spark.newSession().sql(f"ALTER TABLE delta.`{small.place('silver/charge')}` SET TBLPROPERTIES ('who' = 'someone else')")

    at_point(monkeypatch, history, "P9", "charge", alter)
    ended = small.run(day=2)
    assert ended.code == 0, ended.said
    assert ended.log("silver", "charge").attempt == 2
    assert small.all_rows() == wanted


def test_X05_a_successful_run_id_submitted_again_changes_nothing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.second_day()
    run_id = new_run_id()
    monkeypatch.setattr(runner, "new_run_id", lambda: run_id)
    assert small.run(day=2).code == 0
    versions, counted = small.versions(), small.counted()
    again = small.run(day=2)
    assert again.code == 0, again.said
    assert small.versions() == versions
    assert small.counted() == counted
    assert {row.status for row in again.logs if row.layer in ("silver", "gold")} == {"NOOP"}
    assert {row.rows_written for row in again.logs if row.layer == "bronze"} == {0}


def test_X05_a_batch_that_is_there_already_is_refused_not_reported_as_appended(small: Small) -> None:
    versions = small.versions()
    rows = small.frame("bronze.hosa_patients")
    with pytest.raises(CommitConflictError, match=r"batch 1 of hos-a\.patients is there already"):
        small.lake.append(Table("bronze", "hosa_patients", "bronze/hosa/patients"), rows, metadata={}, txn=("hos-a.patients", 1))
    assert small.versions() == versions


def test_F08_what_the_lock_prevents(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs without the lock: the second takes the first for dead, clears its staged files and closes it; the tables stay whole."""
    wanted, _ = clean_second_day(small, tmp_path / "clean")
    small.second_day()
    inner = []

    def second_run() -> None:
        inner.append(small.run(day=2, only=("hos-a.patients",)))

    monkeypatch.setattr(runner, "lakehouse_lock", _no_lock)
    at_point(monkeypatch, bronze_step, "P5", "hos-a.patients", second_run)
    outer = small.run(day=2)
    assert inner[0].code == 0, inner[0].said
    assert outer.code == 1
    assert outer.log("bronze", "hosa_patients").status == "FAILED"
    monkeypatch.undo()
    assert small.run(day=2).code == 0
    assert small.all_rows() == wanted
    # The outer run has two ends: ABANDONED by the inner one, and its own.
    assert small.audit_faults() == ["audit: 1 runs without exactly one end"]


class _no_lock:  # noqa: N801
    def __init__(self, *given: object) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass
