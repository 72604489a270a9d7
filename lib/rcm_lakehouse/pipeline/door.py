"""The command line of `jobs/run_pipeline.py`."""

import argparse
from collections.abc import Sequence

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.pipeline.context import LAYERS, Backfill, RunOptions, utc_now
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
  0    all good
  1    some load failed, or a verb was not done outside its source's hours; the others are done
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
    add_names(options, "--only", "loads (hos-a.patients), entities (patient) or models (dim_patient) to run, these alone; default: all")
    add_names(options, "--layers", "layers to run; default: bronze,silver,gold")
    add_day_and_threads(options, "loads at a time; default: threads of conf/lakehouse.yml")
    options.add_argument("--dry-run", action="store_true", help="show what would be read, from which watermark, into what; change nothing")
    add_names(options, "--approve-deletes", "loads (hos-a.providers) whose held deletes are to be applied", metavar="LOADS")
    add_names(options, "--accept-lost", "tables (silver.patient) that were lost for good and are to be made anew", metavar="TABLES")
    verbs = options.add_argument_group("verbs", "each reads only the loads it names; silver and gold follow as usual")
    add_names(verbs, "--full-refresh", "loads to read from the beginning to the window's end; known rows are dropped", metavar="LOADS")
    verbs.add_argument("--from", dest="low", default=None, metavar="VALUE", help="back-fill: first value of the watermark to read, with --to and --only")
    verbs.add_argument("--to", dest="high", default=None, metavar="VALUE", help="back-fill: the value before which reading ends; the watermark stays")
    verbs.add_argument("--reset-watermark", nargs=2, default=None, metavar=("LOAD", "VALUE"), help="set a watermark back; 'beginning' reads all next time")
    add_names(verbs, "--reconcile", "loads to compare with their source now: deleted rows are closed, missed ones loaded", metavar="LOADS")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments; the exit code is the verdict."""
    given = parser().parse_args(arguments)
    console = console_of_job()
    open_door()
    try:
        with java_watched():
            return run_pipeline(home_of(given), environment_of(given), _options(given), console).code
    except RcmError as error:
        return report_error(error, console)
    except KeyboardInterrupt:
        # Before the run began, or asked a second time: else it ends in order (`closing.stop_signals`).
        console.print("stopped at once: what was committed stands, and the next run takes up the rest", style="red", highlight=False)
        return 130


def _options(given: argparse.Namespace) -> RunOptions:
    layers = tuple(given.layers) or LAYERS
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown:
        parser().error(f"--layers: {', '.join(unknown)} is not one of {', '.join(LAYERS)}")
    backfill = _backfill(given)
    return RunOptions(
        as_of=given.as_of or utc_now().date(),
        only=() if backfill else tuple(given.only),
        full_refresh=tuple(given.full_refresh),
        backfill=backfill,
        reset_watermark=tuple(given.reset_watermark) if given.reset_watermark else None,
        reconcile=tuple(given.reconcile),
        layers=layers,
        threads=given.threads or 0,
        dry_run=given.dry_run,
        approve_deletes=tuple(given.approve_deletes),
        accept_lost=tuple(given.accept_lost),
    )


def _backfill(given: argparse.Namespace) -> Backfill | None:
    if given.low is None and given.high is None:
        return None
    if given.low is None or given.high is None or not given.only:
        parser().error("a back-fill needs --from, --to and --only with the loads to fill")
    return Backfill(tuple(given.only), given.low, given.high)
