"""Commits of another writer in between: the whole load is computed again, a few times; a batch is never applied twice."""

from threading import Event, Thread
from typing import Any

import pytest

from faulted import Small, Wanted, at_point
from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import bronze_step, history, runner, silver_step

pytestmark = pytest.mark.wide


def _touch(small: Small) -> None:
    """Another writer's commit on silver.patient that changes no value."""
    small.spark.newSession().sql(f"UPDATE delta.`{small.place('silver/patient')}` SET version = version WHERE is_current")


def test_F10_F11_a_commit_or_new_metadata_between_computing_and_merging_has_the_load_computed_again(
    waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watched(point: str, entity: str = "") -> None:
        if point == "P9":
            seen.append(entity)
        if (point, entity) == ("P9", "patient") and seen.count("patient") == 1:
            _touch(waiting)
        if (point, entity) == ("P9", "charge") and seen.count("charge") == 1:
            waiting.spark.newSession().sql(f"ALTER TABLE delta.`{waiting.place('silver/charge')}` SET TBLPROPERTIES ('who' = 'someone else')")

    monkeypatch.setattr(history, "crash_point", watched)
    ended = waiting.run(day=2)
    assert ended.code == 0, ended.said
    # A third MERGE of charges takes the row that waited for a patient of this day.
    assert sorted(seen) == ["charge", "charge", "charge", "department", "patient", "patient"]
    attempts = [(row.target, row.attempt) for row in ended.logs if row.layer == "silver"]
    assert sorted(attempts) == [("silver.charge", 2), ("silver.charge", 2), ("silver.department", 1), ("silver.patient", 2)]
    assert Wanted.of(waiting) == wanted


@pytest.mark.deep
def test_F10_a_writer_who_never_rests_ends_the_tries_and_nothing_is_merged(waiting: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    before = waiting.all_rows()["silver.patient"]
    passed = at_point(monkeypatch, history, "P9", "patient", lambda: _touch(waiting), times=9)
    ended = waiting.run(day=2, only=("patient", "hos-a.patients"))
    assert ended.code == 1
    log = ended.log("silver", "patient")
    assert (log.status, log.attempt, log.error_class, log.is_retryable) == ("FAILED", 2, "CommitConflictError", True)
    assert len(passed) == 2
    assert waiting.all_rows()["silver.patient"] == before


@pytest.mark.deep
def test_F10_a_conflict_that_delta_finds_during_the_merge_is_retried_too(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Event()

    def write_on() -> None:
        while not stop.is_set():
            _touch(waiting)

    writer = Thread(target=write_on)
    passed = at_point(monkeypatch, history, "P9", "patient", writer.start)
    look = Lake.moved_past

    def looked(lake: Lake, table: Table, version: int) -> bool:
        """In the first try the look at the head is blind, so that only Delta's own check is left; before the second the writer rests."""
        if table.label == "silver.patient" and passed and not stop.is_set():
            if len(passed) == 1:
                return False
            stop.set()
            writer.join()
        return look(lake, table, version)

    head = Lake.head_version

    def rested(lake: Lake, table: Table) -> int:
        if table.label == "silver.patient" and passed and not stop.is_set():
            stop.set()
            writer.join()
        return head(lake, table)

    monkeypatch.setattr(Lake, "moved_past", looked)
    monkeypatch.setattr(Lake, "head_version", rested)
    ended = waiting.run(day=2)
    stop.set()
    writer.join()
    assert ended.code == 0, ended.said
    assert ended.log("silver", "patient").attempt == 2
    assert waiting.all_rows() == wanted.rows


def test_X05_a_successful_run_id_submitted_again_changes_nothing(done: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = max(row[0] for row in done.rows("audit.runs", "run_id"))
    versions = done.versions()
    monkeypatch.setattr(runner, "new_run_id", lambda: run_id)
    again = done.run(day=2)
    assert again.code == 0, again.said
    assert again.run_id == run_id
    assert done.versions() == versions
    assert (done.all_rows(), done.counted()) == (wanted.rows, wanted.counted)
    assert {row.status for row in again.logs if row.layer in ("silver", "gold")} == {"NOOP"}
    assert {row.rows_written for row in again.logs if row.layer == "bronze"} == {0}


def test_X05_a_batch_that_is_there_already_is_refused_not_reported_as_appended(done: Small) -> None:
    versions = done.versions()
    rows = done.frame("bronze.hosa_patients")
    with pytest.raises(CommitConflictError, match=r"batch 2 of hos-a\.patients is there already"):
        done.lake.append(Table("bronze", "hosa_patients", "bronze/hosa/patients"), rows, metadata={}, txn=("hos-a.patients", 2))
    assert done.versions() == versions


def test_F08_what_the_lock_prevents(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs without the lock: the second takes the first for dead, clears its staged files and closes it; the tables stay whole."""
    inner = []
    monkeypatch.setattr(runner, "lakehouse_lock", _NoLock)
    at_point(monkeypatch, bronze_step, "P5", "hos-a.patients", lambda: inner.append(waiting.run(day=2, only=("hos-a.patients",))))
    outer = waiting.run(day=2)
    assert inner[0].code == 0, inner[0].said
    assert outer.code == 1
    failed = [row.target or row.tablename for row in outer.logs if row.layer == "bronze" and row.status == "FAILED"]
    assert "patients" in failed
    monkeypatch.undo()
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert waiting.all_rows() == wanted.rows
    # The outer run has two ends: ABANDONED by the inner one, and its own.
    assert "audit: 1 runs without exactly one end" in waiting.audit_faults()


class _NoLock:
    def __init__(self, *given: object) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


@pytest.mark.deep
def test_gold_follows_a_merge_behind_which_a_conflict_had_the_step_repeated(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    close, passed = silver_step.close_gone, set[str]()

    def unsure(*given: Any) -> None:
        entity = given[2].contract.entity
        if entity not in passed:
            # All three, for a model that reads one table of a new version is built anew.
            passed.add(entity)
            raise CommitConflictError(f"quarantine.{entity}: another writer committed first; nothing was written, and it is computed again.")
        close(*given)

    monkeypatch.setattr(silver_step, "close_gone", unsure)
    ended = waiting.run(day=2)
    assert ended.code == 0, ended.said
    assert waiting.all_rows() == wanted.rows, "gold is as it was before the MERGE, for the repeated try told the version before it"
