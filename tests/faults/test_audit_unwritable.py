"""An audit table that cannot be written: the run fails loudly, its rows wait in a local file, the next run flushes them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faulted import Small, Wanted, at_point, spooled
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.pipeline import closing, gold_step, runner

pytestmark = pytest.mark.wide


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


@pytest.mark.deep
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


@pytest.mark.deep
def test_F35_an_audit_that_is_no_table_ends_the_run_before_it_begins_and_an_unusable_spool_does_not(waiting: Small) -> None:
    audit, versions = waiting.place("audit"), waiting.versions()
    away = audit.rename(waiting.home / "_away")
    cases = {  # what is in the way: what is told
        "load_logs": "audit.load_logs: a file stands where its folder belongs. Nothing was read from it or written to it. Move the file away",
        "load_logs/notes.txt": "audit.load_logs: its folder holds notes.txt but no Delta log. Nothing was read from it or written to it. Put `_delta_log` back",
        "load_logs/_delta_log": "audit.load_logs: its `_delta_log` is a file. Nothing was read from it or written to it. Put the folder of that name back",
        "runs/part-0.parquet": "audit.runs: its folder holds part-0.parquet but no Delta log.",
        "": "audit.runs cannot be written (Py4JJavaError). No source was read, and no bronze, silver or gold table was written to",
    }
    for place, told in cases.items():
        blocked = audit / place
        blocked.parent.mkdir(parents=True, exist_ok=True)
        blocked.write_text("")
        with pytest.raises(TableStateError) as refused:
            waiting.run(day=2)
        assert (str(refused.value)[: len(told)], refused.value.exit_code) == (told, 1)
        assert "DELTA_" not in str(refused.value)
        shutil.rmtree(audit) if audit.is_dir() else audit.unlink()
    assert waiting.versions() == versions
    shutil.rmtree(away / "_spool")
    (away / "_spool").write_text("")
    away.rename(audit)
    healed = waiting.run(day=2, layers=("bronze",))
    assert healed.code == 0, healed.said
    assert len(waiting.rows("audit.load_logs", "id", where=f"run_id = '{healed.run_id}'")) == len(healed.logs)


@pytest.mark.deep
def test_F35_on_a_disk_that_is_full_until_the_end_the_rows_wait_whole_and_one_that_stays_full_is_told(waiting: Small, wanted: Wanted) -> None:
    """What was staged makes room at the end: rows that the spool refused before are written to it then."""
    spool, log = waiting.place("audit/_spool"), waiting.place("audit/load_logs/_delta_log")

    def full_disk() -> None:
        spool.rmdir()
        spool.write_text("")
        _blocked(log)()

    def free_spool(*_: object, **__: object) -> None:
        if spool.is_file():
            spool.unlink()
            spool.mkdir()

    for stays_full in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            at_point(patch, runner, "P1", "", full_disk)
            if not stays_full:
                patch.setattr(closing.shutil, "rmtree", free_spool)
            ended = waiting.run(day=2)
        assert ended.code == 1
        waits = f"The rows of this run wait in audit/_spool/{ended.run_id}.jsonl and are flushed by the next run."
        lost = "Nor can they be written to audit/_spool: of this run the next one finds again what its commits carry, and closes it as ABANDONED;"
        assert ((lost if stays_full else waits) in ended.said, (waits if stays_full else lost) in ended.said) == (True, False)
        kept = [row for row in spooled(waiting) if row["run_id"] == ended.run_id] if spool.is_dir() else []
        assert len(kept) == (0 if stays_full else len(ended.logs))
        free_spool()
        _freed(log)
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert waiting.rows("audit.load_logs", "status", where=f"run_id = '{ended.run_id}' AND layer = 'run'") == [("FAILED",)]
    assert Wanted.of(waiting) == wanted
