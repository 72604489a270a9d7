"""A job in a process group of its own, ended by SIGKILL or at a crash point; and what was left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rcm_lakehouse.drill.cases import Case, Door
from rcm_lakehouse.drill.project import AS_OF
from rcm_lakehouse.lake.crash_points import VARIABLE

LOG = "killed.log"
_DOORS = {"run": "rcm_lakehouse.pipeline.door", "maintain": "rcm_lakehouse.pipeline.maintenance_door"}
_POLL_SECONDS = 0.002
_LONGEST_SECONDS = 900.0


@dataclass(frozen=True)
class Killed:
    """How a job ended: seconds it lived, its exit code (negative: the signal), and whether the drill's kill was what ended it."""

    seconds: float
    code: int
    was_killed: bool


def run_job(home: Path, environment: Mapping[str, str], case: Case | None = None, door: Door = "run", *, threads: int | None = None) -> Killed:
    """Run a job of the drill's project as its own process, killed as the case says; None lets it and its JVM run to their end.

    `threads` replaces the project's own number of loads at a time. The Python process and its JVM die together. What the job said is
    in `killed.log` beside the project's files.
    """
    given = {**os.environ, **environment, **({VARIABLE: case.at} if case and case.at else {})}
    arguments = ["--home", str(home), *(["--as-of", AS_OF] if door == "run" else []), *(["--threads", str(threads)] if threads else [])]
    code = f"import sys; from {_DOORS[door]} import main; sys.exit(main(sys.argv[1:]))"
    started = time.monotonic()
    seen = _files(home, case)
    with (home / LOG).open("ab") as log:
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, env=given, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            was_killed = _wait(process, home, case, seen, started)
            seconds = time.monotonic() - started
        finally:
            _end_group(process.pid, patience=0 if case else _LONGEST_SECONDS)
            process.wait()
    return Killed(seconds, process.returncode, was_killed or process.returncode == 137)


def _files(home: Path, case: Case | None) -> frozenset[Path]:
    return frozenset(home.glob(case.sight)) if case and case.sight else frozenset()


def _wait(process: "subprocess.Popen[bytes]", home: Path, case: Case | None, seen: frozenset[Path], started: float) -> bool:
    """Until the job ended by itself (False) or has to be killed (True)."""
    while process.poll() is None:
        lived = time.monotonic() - started
        if case and case.after is not None and lived >= case.after:
            return True
        if case and case.sight and _files(home, case) - seen:
            return True
        if lived > _LONGEST_SECONDS:
            raise TimeoutError(f"the job did not end within {_LONGEST_SECONDS:.0f} s; see {home / LOG}")
        time.sleep(_POLL_SECONDS)
    return False


def _end_group(group: int, patience: float) -> None:
    """Wait for the job's process group to end, after `patience` seconds with SIGKILL."""
    until = time.monotonic() + patience
    while time.monotonic() < until and _lives(group):
        time.sleep(0.1)
    for _ in range(500):
        if not _lives(group):
            return
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        time.sleep(0.01)


def _lives(group: int) -> bool:
    """True while a process of the group runs. One that is dead but not yet reaped by its parent counts as ended, where the system tells."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = [text.rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat") if (text := _text(path))]
    return not states or any(fields[2] == str(group) and fields[0] not in "ZX" for fields in states)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
