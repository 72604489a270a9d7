"""The command line of `jobs/replay_quarantine.py`."""

import argparse
from collections.abc import Sequence

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.pipeline.context import RunOptions, utc_now
from rcm_lakehouse.pipeline.doors import (
    add_day_and_threads,
    add_names,
    console_of_job,
    environment_of,
    home_of,
    java_watched,
    job_parser,
    open_door,
    report_error,
)
from rcm_lakehouse.pipeline.runner import run_pipeline

EXIT_CODES = """\
exit codes:
  0    all good: every open row was judged; those that are still bad stay, with today's reasons
  1    some entity could not be replayed; the others are done
  2    the configuration is wrong; nothing was read
  3    another run holds the lock; nothing was read
  4    a data stop: a rule of severity fail, conservation or tie-out
  130  stopped by Ctrl-C, 143 by SIGTERM; what had committed stays
"""


def parser() -> argparse.ArgumentParser:
    """The options of the job."""
    options = job_parser(
        "replay_quarantine.py",
        "Judge the open rows of quarantine again by today's rules, merge into silver what passes, rebuild gold. No source is read.",
        EXIT_CODES,
    )
    add_names(options, "--only", "entities (patient), gold then follows with the next run; default: all")
    add_day_and_threads(options, "entities at a time; default: threads of conf/lakehouse.yml")
    options.add_argument("--dry-run", action="store_true", help="show the steps; change nothing")
    return options


def main(arguments: Sequence[str]) -> int:
    """Replay with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    console = console_of_job()
    open_door()
    only = tuple(given.only)
    as_of = given.as_of or utc_now().date()
    options = RunOptions(as_of, only, ("silver", "gold"), given.threads or 0, given.dry_run, replay=True)
    try:
        with java_watched():
            return run_pipeline(home_of(given), environment_of(given), options, console).code
    except RcmError as error:
        return report_error(error, console)
