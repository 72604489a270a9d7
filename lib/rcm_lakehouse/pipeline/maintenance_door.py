"""The command line of `jobs/maintain_tables.py`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.lake.maintain import SHORTEST_HOURS
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
    options = argparse.ArgumentParser(
        prog="maintain_tables.py",
        description="Compact small files (OPTIMIZE) and remove files that no recent version needs (VACUUM), table by table, under the lock.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--env", default=None, help="block of conf/lakehouse.yml; default: RCM_ENV, else local")
    options.add_argument("--home", type=Path, default=None, help="folder with load_config.csv and conf/; default: RCM_HOME, else the folder above jobs/")
    options.add_argument("--only", default="", help="tables (silver.patient, audit.load_logs), separated by commas; default: all")
    options.add_argument("--retention-hours", type=int, default=SHORTEST_HOURS, help=f"age of files before they are removed; at least {SHORTEST_HOURS}")
    options.add_argument("--full", action="store_true", help="list the folders: removes what a killed run wrote and never committed, too; slower")
    return options


def main(arguments: Sequence[str]) -> int:
    """Maintain with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 180)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    home = (given.home or Path(os.environ.get("RCM_HOME", Path(sys.argv[0]).resolve().parent.parent))).resolve()
    only = tuple(name.strip() for name in given.only.split(",") if name.strip())
    options = MaintenanceOptions(only, given.retention_hours, given.full)
    try:
        return run_maintenance(home, given.env or os.environ.get("RCM_ENV", "local"), options, console).code
    except RcmError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
