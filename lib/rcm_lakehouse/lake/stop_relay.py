"""Signals under a bare `spark-submit`: they reach the JVM, which would end at once; here it hands them on to Python, which ends in order."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

from py4j.protocol import Py4JError
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession

from rcm_lakehouse.lake.session import on_cluster

# A terminal's Ctrl-C reaches both processes: what Python has caught by then is not handed on.
_SETTLE_SECONDS = 0.5


class _Relay:
    """The JVM's handler of a signal: it gives Python the signals that did not reach it."""

    def __init__(self, number: int, count_caught: Callable[[], int]) -> None:
        self.number = number
        self.count_caught = count_caught
        self.received = 0

    def handle(self, given: object) -> None:
        """Called by the JVM, in a thread of its own."""
        self.received += 1
        # It answers first: the process may end by what it hands on, and the JVM would write a trace.
        Timer(_SETTLE_SECONDS, self._hand_on, (self.received,)).start()

    def _hand_on(self, received: int) -> None:
        if self.count_caught() < received:
            os.kill(os.getpid(), self.number)

    class Java:
        """What the JVM takes this for."""

        implements = ("sun.misc.SignalHandler",)


@contextmanager
def relayed_signals(spark: SparkSession, numbers: Sequence[signal.Signals], count_caught: Callable[[], int]) -> Iterator[None]:
    """While it lasts, signals to a JVM that started this Python come here; nothing changes where Python started the JVM, or on a cluster.

    `count_caught` says how many of them Python has caught by itself. A JVM that does not let its handlers be changed keeps them.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ or on_cluster():
        yield
        return
    gateway: Any = spark.sparkContext._gateway
    ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
    misc = gateway.jvm.sun.misc
    names = {number: misc.Signal(number.name.removeprefix("SIG")) for number in numbers}
    before = {number: misc.Signal.handle(name, _Relay(number, count_caught)) for number, name in names.items()}
    try:
        yield
    finally:
        with suppress(Py4JError, OSError):  # a JVM that is gone has no handlers
            for number, handler in before.items():
                misc.Signal.handle(names[number], handler)
