"""An audit table that cannot be written: the run fails loudly, its rows wait in a local file, the next run flushes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faulted import Small, at_point, clean_second_day, spooled
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.pipeline import gold_step


def _blocked(log: Path) -> Callable[[], None]:
    """The folder of a Delta log is swapped for a file: nothing can be committed there, whoever asks."""

    def block() -> None:
        log.rename(log.with_name("_away"))
        log.write_text("")

    return block


def _freed(log: Path) -> None:
    log.unlink()
    log.with_name("_away").rename(log)


def test_F35_an_unwritable_load_log_fails_the_run_and_is_flushed_by_the_next(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, counted = clean_second_day(small, tmp_path / "clean")
    small.second_day()
    log = small.place("audit/load_logs/_delta_log")
    at_point(monkeypatch, gold_step, "P13", "fact_charges", _blocked(log))
    failed = small.run(day=2)
    assert failed.code == 1
    assert "FAILED: audit.load_logs cannot be written" in failed.said
    assert failed.run_id in failed.said
    waiting = [row for row in spooled(small) if row["run_id"] == failed.run_id]
    assert {row["layer"] for row in waiting} == {"bronze", "silver", "gold", "run"}
    monkeypatch.undo()
    _freed(log)
    again = small.run(day=2)
    assert again.code == 0, again.said
    flushed = small.rows("audit.load_logs", "layer", "status", "error_class", where=f"run_id = '{failed.run_id}' AND layer = 'run'")
    assert flushed == [("run", "FAILED", "TableStateError")]
    assert {row.status for row in again.logs if row.layer in ("silver", "gold")} == {"NOOP"}
    assert (small.all_rows(), small.counted(), small.audit_faults()) == (wanted, counted, [])


def test_F35_a_run_whose_start_cannot_be_marked_loads_nothing(small: Small) -> None:
    small.second_day()
    versions = small.versions()
    log = small.place("audit/runs/_delta_log")
    from rcm_lakehouse.pipeline import runner

    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, runner, "P2", "", _blocked(log))
        with pytest.raises(TableStateError, match=r"audit\.runs cannot be written"):
            small.run(day=2)
    assert small.versions() == versions
    _freed(log)
    assert small.run(day=2).code == 0
    assert small.audit_faults() == []


def test_F35_a_spool_that_cannot_be_written_keeps_its_rows_in_memory_and_the_flush_brings_them_home(small: Small) -> None:
    small.second_day()
    spool = small.place("audit/_spool")
    from rcm_lakehouse.pipeline import runner

    def block() -> None:
        spool.rmdir()
        spool.write_text("")

    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, runner, "P1", "", block)
        ended = small.run(day=2)
    assert ended.code == 0, ended.said
    spool.unlink()
    assert len(small.rows("audit.load_logs", "id", where=f"run_id = '{ended.run_id}'")) == len(ended.logs)
