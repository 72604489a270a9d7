"""SIGTERM and Ctrl-C: the running commit ends, nothing new begins, the audit says CANCELLED, the next run takes up the rest."""

import os
import signal
from threading import Event

import pytest

from faulted import Small, Wanted, at_point
from rcm_lakehouse.pipeline import history
from rcm_lakehouse.pipeline.closing import stop_signals, verdict

pytestmark = pytest.mark.wide


def test_F03_a_stopped_run_ends_its_merge_cancels_the_rest_and_the_next_run_does_it(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    at_point(monkeypatch, history, "P9", "patient", lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = waiting.run(day=2, threads=1)
    assert stopped.code == 143
    assert stopped.log("silver", "patient").status == "SUCCESS"
    assert waiting.versions()["silver/patient"] == 2
    cancelled = {row.tablename for row in stopped.logs if row.status == "CANCELLED" and row.layer != "run"}
    assert {"charge", "dim_patient", "fact_charges"} <= cancelled
    assert {row.status for row in stopped.logs} == {"SUCCESS", "CANCELLED"}
    assert (stopped.logs[-1].layer, stopped.logs[-1].status) == ("run", "CANCELLED")
    monkeypatch.undo()
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert Wanted.of(waiting) == wanted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_F03_a_signal_is_a_wish_to_stop_while_a_run_lasts_and_only_then(number: signal.Signals, code: int) -> None:
    before, cancel = signal.getsignal(number), Event()
    with stop_signals(cancel) as caught:
        os.kill(os.getpid(), number)
        assert cancel.wait(5)
    assert verdict({}, caught) == code
    assert signal.getsignal(number) is before
