"""Connections that can be cut from another thread: the one sure end to an answer whose head or body trickles in."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

from requests.adapters import HTTPAdapter


class CuttableAdapter(HTTPAdapter):
    """The adapter of `requests`, which remembers what it connected to.

    A socket's own timeout begins anew with each byte, and a read waits for all that it asked for.
    """

    def __init__(self) -> None:
        self._open: list[Any] = []
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """The pool of a request's host, whose connections are remembered."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not hasattr(pool.ConnectionCls, "remembered_by"):
            pool.ConnectionCls = _remembering(pool.ConnectionCls, self._open)
        return pool

    def cut(self) -> None:
        """End every connection that is open; who reads from one is told that it broke."""
        self._open[:] = [connection for connection in self._open if connection.sock is not None]
        for connection in list(self._open):
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut what is still open when the block takes longer than this."""
        timer = Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _remembering(kind: Any, into: list[Any]) -> Any:
    def connect(connection: Any) -> None:
        # Before the handshake too: a server may let that trickle.
        into.append(connection)
        kind.connect(connection)

    return type(kind.__name__, (kind,), {"connect": connect, "remembered_by": into})
