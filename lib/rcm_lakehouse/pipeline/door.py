"""The command line of `jobs/run_pipeline.py`."""

import argparse
from collections.abc import Sequence
from datetime import date

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.pipeline.context import LAYERS, Backfill, RunOptions, utc_now
from rcm_lakehouse.pipeline.doors import console_of_job, environment_of, home_of, job_parser, names_in, open_door, report_error
from rcm_lakehouse.pipeline.runner import run_pipeline

EXIT_CODES = """\
exit codes:
  0    all good
  1    some load failed; the others are done
  2    the configuration is wrong; nothing was read
  3    another run holds the lock; nothing was read
  4    a data stop: threshold, conservation, tie-out or shrunken snapshot
  130  stopped by Ctrl-C, 143 by SIGTERM; what had committed stays
"""


def parser() -> argparse.ArgumentParser:
    """The options of the run."""
    options = job_parser(
        "run_pipeline.py",
        "Load the sources of load_config.csv into bronze, merge them into silver with history, rebuild gold, show the KPIs.",
        EXIT_CODES,
    )
    options.add_argument("--only", default=None, help="loads (hos-a.patients), entities (patient) or models (dim_patient), separated by commas")
    options.add_argument("--layers", default=",".join(LAYERS), help="layers to run, separated by commas: bronze,silver,gold")
    options.add_argument("--as-of", default=None, help="day of the KPIs, YYYY-MM-DD; default: today in UTC")
    options.add_argument("--dry-run", action="store_true", help="show what would be read, from which watermark, into what; change nothing")
    options.add_argument("--threads", type=int, default=None, help="loads at a time; default: threads of conf/lakehouse.yml")
    options.add_argument("--approve-deletes", default="", help="loads (hos-a.providers) whose held deletes are to be applied, separated by commas")
    options.add_argument("--accept-lost", default="", metavar="TABLES", help="tables (silver.patient) that were lost for good and are to be made anew")
    verbs = options.add_argument_group("verbs", "each reads only the loads it names; silver and gold follow as usual")
    verbs.add_argument("--full-refresh", default="", metavar="LOADS", help="read these loads whole, whatever their watermark; known rows are dropped")
    verbs.add_argument("--from", dest="low", default=None, metavar="VALUE", help="back-fill: first value of the watermark to read, with --to and --only")
    verbs.add_argument("--to", dest="high", default=None, metavar="VALUE", help="back-fill: the value before which reading ends; the watermark stays")
    verbs.add_argument("--reset-watermark", nargs=2, default=None, metavar=("LOAD", "VALUE"), help="set a watermark; 'beginning' reads everything next time")
    verbs.add_argument("--reconcile", default="", metavar="LOADS", help="compare these loads with their source now: close deleted rows, load missed ones")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    console = console_of_job()
    open_door()
    try:
        return run_pipeline(home_of(given), environment_of(given), _options(given), console).code
    except RcmError as error:
        return report_error(error, console)


def _options(given: argparse.Namespace) -> RunOptions:
    layers = names_in(given.layers)
    empty = [option for option, value in (("--layers", given.layers), ("--only", given.only)) if value is not None and not names_in(value)]
    if empty:
        parser().error(f"{empty[0]}: the list is empty. Name something, or leave the option out for all")
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown:
        parser().error(f"--layers: {', '.join(unknown)} is not one of {', '.join(LAYERS)}")
    if given.threads is not None and given.threads < 1:
        parser().error("--threads: at least 1")
    try:
        as_of = date.fromisoformat(given.as_of) if given.as_of else utc_now().date()
    except ValueError:
        parser().error(f"--as-of: {given.as_of!r} is not a day in the form YYYY-MM-DD")
    backfill = _backfill(given)
    return RunOptions(
        as_of=as_of,
        only=() if backfill else names_in(given.only or ""),
        full_refresh=names_in(given.full_refresh),
        backfill=backfill,
        reset_watermark=tuple(given.reset_watermark) if given.reset_watermark else None,
        reconcile=names_in(given.reconcile),
        layers=layers,
        threads=given.threads or 0,
        dry_run=given.dry_run,
        approve_deletes=names_in(given.approve_deletes),
        accept_lost=names_in(given.accept_lost),
    )


def _backfill(given: argparse.Namespace) -> Backfill | None:
    if given.low is None and given.high is None:
        return None
    if given.low is None or given.high is None or not given.only:
        parser().error("a back-fill needs --from, --to and --only with the loads to fill")
    return Backfill(names_in(given.only), given.low, given.high)
