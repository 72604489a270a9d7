"""An audit table that cannot be written: the run fails loudly, its rows wait in a local file, the next run flushes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faulted import Small, Wanted, at_point, spooled
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.pipeline import gold_step, runner


def _blocked(log: Path) -> Callable[[], None]:
    """The folder of a Delta log is swapped for a file: nothing can be committed there, whoever asks."""

    def block() -> None:
        log.rename(log.with_name("_away"))
        log.write_text("")

    return block


def _freed(log: Path) -> None:
    log.unlink()
    log.with_name("_away").rename(log)


def test_F35_an_unwritable_load_log_fails_the_run_and_is_flushed_by_the_next(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    small = waiting
    log = small.place("audit/load_logs/_delta_log")
    at_point(monkeypatch, gold_step, "P13", "fact_charges", _blocked(log))
    failed = small.run(day=2)
    assert failed.code == 1
    assert "FAILED: audit.load_logs cannot be written" in failed.said
    assert failed.run_id in failed.said
    kept = [row for row in spooled(small) if row["run_id"] == failed.run_id]
    assert {row["layer"] for row in kept} == {"bronze", "silver", "gold", "run"}
    monkeypatch.undo()
    _freed(log)
    again = small.run(day=2)
    assert again.code == 0, again.said
    flushed = small.rows("audit.load_logs", "layer", "status", "error_class", where=f"run_id = '{failed.run_id}' AND layer = 'run'")
    assert flushed == [("run", "FAILED", "TableStateError")]
    assert {row.status for row in again.logs if row.layer in ("silver", "gold")} == {"NOOP"}
    assert Wanted.of(small) == wanted


def test_F35_a_run_whose_start_cannot_be_marked_loads_nothing_and_a_spool_that_cannot_be_written_loses_no_row(waiting: Small, wanted: Wanted) -> None:
    versions = waiting.versions()
    log, spool = waiting.place("audit/runs/_delta_log"), waiting.place("audit/_spool")
    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, runner, "P2", "", _blocked(log))
        with pytest.raises(TableStateError, match=r"audit\.runs cannot be written"):
            waiting.run(day=2)
    assert waiting.versions() == versions
    _freed(log)

    def no_spool() -> None:
        spool.rmdir()
        spool.write_text("")

    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, runner, "P1", "", no_spool)
        ended = waiting.run(day=2)
    assert ended.code == 0, ended.said
    spool.unlink()
    assert len(waiting.rows("audit.load_logs", "id", where=f"run_id = '{ended.run_id}'")) == len(ended.logs)
    assert Wanted.of(waiting) == wanted
