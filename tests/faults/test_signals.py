"""SIGTERM and Ctrl-C: the running commit ends, nothing new begins, the audit says CANCELLED, the next run takes up the rest."""

import os
import signal
from pathlib import Path

import pytest

from faulted import Small, at_point, clean_second_day
from rcm_lakehouse.pipeline import bronze_step, history


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_F03_a_stopped_run_ends_its_commit_and_says_cancelled(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    wanted, counted = clean_second_day(small, tmp_path / "clean")
    small.second_day()
    before = signal.getsignal(number)
    at_point(monkeypatch, bronze_step, "P5", "hos-a.patients", lambda: os.kill(os.getpid(), number))
    stopped = small.run(day=2, threads=1)
    assert stopped.code == code
    assert stopped.log("bronze", "hosa_patients").status == "SUCCESS"
    assert small.versions()["bronze/hosa/patients"] == 2
    others = [row for row in stopped.logs if row.layer != "run" and row.target != "bronze.hosa_patients"]
    assert {row.status for row in others} == {"CANCELLED"}
    assert len(others) == 7
    assert stopped.logs[-1].status == "CANCELLED"
    assert signal.getsignal(number) is before
    monkeypatch.undo()
    assert small.run(day=2).code == 0
    assert (small.all_rows(), small.counted(), small.audit_faults()) == (wanted, counted, [])


def test_F03_a_stop_during_a_merge_lets_the_merge_commit(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.second_day()
    at_point(monkeypatch, history, "P9", "patient", lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = small.run(day=2, threads=1)
    assert stopped.code == 143
    assert stopped.log("silver", "patient").status == "SUCCESS"
    assert small.versions()["silver/patient"] == 2
    assert {row.status for row in stopped.logs if row.layer == "gold"} == {"CANCELLED"}
