"""Live progress of a run: a line per running step on a terminal, plain lines elsewhere."""

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_log = logging.getLogger(__name__)


class RunProgress:
    """Shows how far a run is. Steps report from several threads; nothing of a row is ever shown."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._ended = 0
        self._began = time.monotonic()
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._whole: TaskID = self._bars.add_task("run", total=total)
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> "RunProgress":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def started(self, name: str) -> None:
        """A step began."""
        if self._console.is_terminal:
            self._running[name] = self._bars.add_task(name, total=1)

    def ended(self, name: str, status: str, rows: int | None) -> None:
        """A step ended with a status; `rows` is what it wrote, None when that is not counted."""
        self._ended += 1
        task = self._running.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)
        self._bars.update(self._whole, completed=self._ended)
        written = "" if rows is None else f", {rows:,} rows written"
        seconds = time.monotonic() - self._began
        self._console.print(f"[{self._ended}/{self._total}] {seconds:5.0f} s  {name}: {status}{written}", highlight=False, markup=False)
