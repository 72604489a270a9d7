"""The command line of `jobs/show_status.py`, and how findings look."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.config.problems import printable
from rcm_lakehouse.pipeline.context import utc_now
from rcm_lakehouse.pipeline.doors import add_names, environment_of, home_of, java_watched, job_parser, open_door, report_error
from rcm_lakehouse.pipeline.status import Found, Status, read_status

EXIT_CODES = """\
exit codes:
  0  nothing is wrong (there may be warnings)
  1  a monitor of severity error found something, or could not judge
  2  the configuration is wrong; nothing was read
"""
_WORDS = {"error": "ERROR", "warn": "WARN", "info": "info"}
_STYLES = {"ERROR": "bold red", "WARN": "yellow", "NOT RUN": "yellow", "ok": "green", "info": "cyan"}


def parser() -> argparse.ArgumentParser:
    """The options of the job."""
    options = job_parser(
        "show_status.py",
        "Run the monitors of conf/monitor: late feeds, failed loads, unusual volumes, rows unaccounted for and more. Reads only.",
        EXIT_CODES,
    )
    add_names(options, "--only", "monitors by name (late_feeds); default: all")
    options.add_argument("--now", default=None, help="the moment that is judged, ISO 8601, UTC where no offset is given; default: now")
    return options


def main(arguments: Sequence[str]) -> int:
    """Show the status with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    now = _moment(given.now)
    open_door()
    try:
        with java_watched():
            status = read_status(home_of(given), environment_of(given), tuple(given.only), now)
    except RcmError as error:
        return report_error(error, Console(stderr=True, emoji=False))
    show(Console(emoji=False, width=None if sys.stdout.isatty() else 180), status, now)
    return status.code


def _moment(text: str | None) -> datetime:
    if text is None:
        return utc_now()
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        parser().error(f"--now: {text!r} is no time in the form 2026-01-31T08:00:00")
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def show(console: Console, status: Status, now: datetime) -> None:
    """A table for each monitor with rows, then notes, then one verdict line a monitor."""
    for found in status.found:
        if found.rows:
            console.print(_table(found))
    for note in status.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"status of {now:%Y-%m-%d %H:%M} UTC", highlight=False)
    width = max((len(found.monitor.name) for found in status.found), default=0)
    for found in status.found:
        word, told = verdict(found)
        console.print(Text(f"{word:<8}", style=_STYLES[word]) + Text(f"{found.monitor.name:<{width}}  {told}"), soft_wrap=True)


def verdict(found: Found) -> tuple[str, str]:
    """One word and one phrase about a monitor: ("ERROR", "2 rows")."""
    if found.failure is not None:
        return "ERROR", f"the query failed ({found.failure}); see {found.monitor.file}"
    if found.not_run is not None:
        return "NOT RUN", found.not_run
    if not found.rows:
        return "ok", "nothing"
    count = f"{len(found.rows)} row" + ("" if len(found.rows) == 1 else "s")
    return _WORDS[found.monitor.severity], f"the first {count} of more" if found.has_more else count


def _table(found: Found) -> RichTable:
    monitor = found.monitor
    table = RichTable(title=Text(f"{monitor.title} ({monitor.name})"), title_justify="left", header_style="bold", caption_justify="left")
    table.caption = Text(f"a row: {monitor.row}")
    for number, name in enumerate(found.columns):
        is_number = all(row[number] is None or (_is_number(row[number])) for row in found.rows)
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def _is_number(value: object) -> bool:
    return not isinstance(value, str | bool | datetime) and hasattr(value, "__float__")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))
