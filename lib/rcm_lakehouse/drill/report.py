"""What the drill says: a line a kill, a verdict, and a page for the documentation."""

import platform
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from rcm_lakehouse import __version__
from rcm_lakehouse.drill.cases import PHASES
from rcm_lakehouse.drill.stages import Verdict
from rcm_lakehouse.lake.crash_points import POINTS


def line(number: int, total: int, verdict: Verdict) -> str:
    """One kill in one line."""
    case, killed = verdict.case, verdict.killed
    lived = f"killed after {killed.seconds:.0f} s" if killed.was_killed else f"ended by itself after {killed.seconds:.0f} s ({killed.code})"
    told = f"{verdict.tables} tables, {verdict.rows:,} rows equal" if not verdict.faults else "; ".join(verdict.faults)
    mark = "ok  " if not verdict.faults else "FAIL"
    return f"[{number}/{total}] {mark} {case.name:<4} {case.phase:<11} {case.how}: {lived}, run again {verdict.again_seconds:.0f} s, {told}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """The verdict in one line."""
    failed = [verdict for verdict in verdicts if verdict.faults]
    moments = sum(verdict.case.after is not None for verdict in verdicts)
    told = f"{len(verdicts)} kills ({len(verdicts) - moments} at points, {moments} at random moments): "
    return told + ("every table equals that of a clean run" if not failed else f"{len(failed)} did NOT come back to a clean run's tables")


def page(verdicts: Sequence[Verdict], planned: int, seed: int) -> str:
    """The documentation's page: versions, the grid of points, the random moments; and whether all `planned` kills were made."""
    versions = f"rcm-lakehouse {__version__}, pyspark {version('pyspark')}, delta-spark {version('delta-spark')}, Python {platform.python_version()}"
    moments = [verdict for verdict in verdicts if verdict.case.after is not None]
    points = [verdict for verdict in verdicts if verdict.case.after is None]
    minutes = sum(verdict.killed.seconds + verdict.again_seconds for verdict in verdicts) / 60
    date = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    parts = [
        "# The crash drill",
        "",
        "Written by `python -m rcm_lakehouse.drill --n N --write docs/drill.md`; do not edit.",
        "",
        "A run of a small project (two hospitals, relational and file loads, snapshots, deletes, bad rows, rows that come a day before what they",
        "refer to, a file that is delivered again; five bronze tables to two gold models) is killed, Python and JVM together, at a named point or",
        "a random moment. It is then run again, and every row of every table is compared with a clean run over the same input; volatile columns",
        "(load ids, times of ingestion) are left out. The audit must count the same rows, close the dead run, hold no row twice, and leave no spool.",
        "*first* is the first run of all, *incremental* the second day's, *replay* the run that takes up the work of a run which was killed before",
        "it: two deaths in a row.",
        "",
        f"{date}, {versions}, seed {seed}; {minutes:.0f} minutes of runs, killed and again.",
        "",
        f"**{summary(verdicts)}.**" + ("" if len(verdicts) == planned else f" The drill was ended before its time: {planned} kills were planned."),
        "",
        "## Points",
        "",
        "| Point | Where | " + " | ".join(PHASES) + " |",
        "|---|---|" + "---|" * len(PHASES),
    ]
    for name in sorted({verdict.case.name for verdict in points}, key=_number):
        cells = ["; ".join(_cell(verdict) for verdict in points if (verdict.case.name, verdict.case.phase) == (name, phase)) for phase in PHASES]
        parts.append(f"| {name} | {POINTS[name]} | " + " | ".join(cells) + " |")
    if moments:
        killed = [verdict for verdict in moments if verdict.killed.was_killed]
        parts += ["", "## Random moments", "", f"{len(moments)} times SIGKILL, {len(moments) - len(killed)} of them after the run had ended by itself.", ""]
        parts += ["| # | Phase | Killed after | Verdict |", "|---|---|---|---|"]
        parts += [f"| {verdict.case.name} | {verdict.case.phase} | {verdict.case.after:.1f} s | {_verdict(verdict)} |" for verdict in moments]
    return "\n".join([*parts, ""])


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name))


def _cell(verdict: Verdict) -> str:
    return f"{_verdict(verdict)} ({verdict.case.how})"


def _verdict(verdict: Verdict) -> str:
    return "equal" if not verdict.faults else "**" + "; ".join(verdict.faults) + "**"
