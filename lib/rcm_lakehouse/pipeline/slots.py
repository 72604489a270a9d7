"""How many connections to one source may be open at a time, over all loads of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Slots:
    """A source's connections, handed out whole: a read in four parts waits until four are free, so that reads never wait for each other."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = limit
        self._changed = Condition()

    @contextmanager
    def hold(self, count: int = 1) -> Iterator[None]:
        """Wait until `count` connections are free and hold them; more than the limit is held as the limit."""
        wanted = min(count, self.limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
