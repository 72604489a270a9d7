"""A job whose Java process has ended says so, whatever failed for it."""

from types import SimpleNamespace

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark import SparkContext

from rcm_lakehouse.config.errors import JavaEndedError, TableStateError
from rcm_lakehouse.pipeline.doors import java_watched

ERRORS = [ConnectionRefusedError(111, "Connection refused"), Py4JNetworkError("no answer"), TableStateError("audit.runs cannot be written")]


def answers(error: Exception | None) -> SimpleNamespace:
    """A bridge whose calls raise this error, or answer."""

    def nano_time() -> int:
        if error is not None:
            raise error
        return 1

    return SimpleNamespace(jvm=SimpleNamespace(java=SimpleNamespace(lang=SimpleNamespace(System=SimpleNamespace(nanoTime=nano_time)))))


@pytest.mark.parametrize("gone", ERRORS[:2], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("raised", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_after_java_ended_says_that_it_did_and_what_to_do(raised: Exception, gone: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkContext, "_gateway", answers(gone))
    with pytest.raises(JavaEndedError, match=r"Spark's Java process ended.*What was committed stays.*run again"), java_watched():
        raise raised


@pytest.mark.parametrize("bridge", [None, answers(None)], ids=["none yet", "alive"])
@pytest.mark.parametrize("raised", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_with_java_alive_or_not_yet_begun_stays_what_it_is(raised: Exception, bridge: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkContext, "_gateway", bridge)
    with pytest.raises(type(raised)) as found, java_watched():
        raise raised
    assert found.value is raised
