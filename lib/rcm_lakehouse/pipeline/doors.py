"""What the command lines of all jobs share: their first options, the project's place, and how an error is told."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.errors import JavaEndedError, RcmError
from rcm_lakehouse.config.settings import MOST_THREADS
from rcm_lakehouse.lake.session import is_java_gone, silence_bridge


def job_parser(prog: str, description: str, exit_codes: str) -> argparse.ArgumentParser:
    """A parser with `--env` and `--home`; `exit_codes` is shown below the options as it stands."""
    options = argparse.ArgumentParser(prog=prog, description=description, epilog=exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--env", default=None, help="block of conf/lakehouse.yml; default: RCM_ENV, else local")
    options.add_argument("--home", type=Path, default=None, help="folder with load_config.csv and conf/; default: RCM_HOME, else the folder above jobs/")
    return options


def open_door() -> None:
    """Logs of a job: warnings and errors, a line each, on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    silence_bridge()


def home_of(given: argparse.Namespace) -> Path:
    """The project's folder: `--home`, else RCM_HOME, else the folder above the job."""
    return (given.home or Path(os.environ.get("RCM_HOME", Path(sys.argv[0]).resolve().parent.parent))).resolve()


def environment_of(given: argparse.Namespace) -> str:
    """The block of conf/lakehouse.yml: `--env`, else RCM_ENV, else local."""
    return os.environ.get("RCM_ENV", "local") if given.env is None else str(given.env)


def add_day_and_threads(options: argparse.ArgumentParser, threads: str) -> None:
    """`--as-of` and `--threads`; `threads` says what runs at a time. Both are None when left out."""
    options.add_argument("--as-of", type=_day_in, default=None, metavar="DAY", help="day of the KPIs, YYYY-MM-DD; default: today in UTC")
    options.add_argument("--threads", type=_threads_in, default=None, help=threads)


def _day_in(text: str) -> date:
    # Newer Pythons read weeks and days without hyphens, too; a figure of another day than was meant must not be signed.
    wanted = text if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else ""
    try:
        return date.fromisoformat(wanted)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day in the form YYYY-MM-DD") from None


def _threads_in(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_THREADS}")
    return int(text)


def add_names(options: argparse._ActionsContainer, option: str, meaning: str, *, metavar: str | None = None) -> None:
    """An option that takes names, separated by commas or given again and again; an empty list is refused, left out it is an empty one."""
    told = f"{meaning}, separated by commas"
    options.add_argument(option, action="extend", type=_names_in, default=[], metavar=metavar, help=told)


def _names_in(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("the list is empty. Name something, or leave the option out")
    return names


def console_of_job() -> Console:
    """Where a job speaks: stderr, wide enough for its tables when it is no terminal."""
    return Console(stderr=True, emoji=False, width=None if sys.stderr.isatty() else 180)


@contextmanager
def java_watched() -> Iterator[None]:
    """Whatever fails because the Java process has ended fails with JavaEndedError, which says what to do."""
    try:
        yield
    except Exception:
        if is_java_gone():
            raise JavaEndedError from None
        raise


def report_error(error: RcmError, console: Console) -> int:
    """Tell an error in its own words; returns its exit code."""
    console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    return error.exit_code
