"""The command line of `jobs/maintain_tables.py`."""

import argparse
from collections.abc import Sequence

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.lake.maintain import SHORTEST_HOURS
from rcm_lakehouse.pipeline.doors import add_names, console_of_job, environment_of, home_of, java_watched, job_parser, open_door, report_error
from rcm_lakehouse.pipeline.maintenance import MaintenanceOptions, run_maintenance

EXIT_CODES = """\
exit codes:
  0    all good
  1    some table could not be maintained; the others are done
  2    the configuration or the retention is wrong; nothing was done
  3    another run holds the lock; nothing was done
  130  stopped by Ctrl-C, 143 by SIGTERM
"""


def parser() -> argparse.ArgumentParser:
    """The options of the job."""
    options = job_parser(
        "maintain_tables.py",
        "Compact small files (OPTIMIZE) and remove files that no recent version needs (VACUUM), table by table, under the lock.",
        EXIT_CODES,
    )
    add_names(options, "--only", "tables (silver.patient, audit.load_logs); default: all")
    options.add_argument("--retention-hours", type=int, default=SHORTEST_HOURS, help=f"age of files before they are removed; at least {SHORTEST_HOURS}")
    options.add_argument("--full", action="store_true", help="list the folders: removes what a killed run wrote and never committed, too; slower")
    return options


def main(arguments: Sequence[str]) -> int:
    """Maintain with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    console = console_of_job()
    open_door()
    options = MaintenanceOptions(tuple(given.only), given.retention_hours, given.full)
    try:
        with java_watched():
            return run_maintenance(home_of(given), environment_of(given), options, console).code
    except RcmError as error:
        return report_error(error, console)
