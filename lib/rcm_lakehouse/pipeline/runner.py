"""One run from lock to verdict."""

import getpass
import logging
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType

from rich.console import Console

from rcm_lakehouse import __version__
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import AuditSpool, ensure_audit, mark_start
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.lake.session import get_session
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import bronze_step, gold_step, recovery, silver_step
from rcm_lakehouse.pipeline.attempts import Outcome, attempted
from rcm_lakehouse.pipeline.context import RunContext, RunOptions, new_run_id, utc_now
from rcm_lakehouse.pipeline.freeze import Frozen, freeze
from rcm_lakehouse.pipeline.graph import Step, run_graph
from rcm_lakehouse.pipeline.plan import steps_of
from rcm_lakehouse.pipeline.progress import RunProgress
from rcm_lakehouse.pipeline.report import plan_rows, read_kpis
from rcm_lakehouse.pipeline.summary import show_kpis, show_loads, show_plan
from rcm_lakehouse.silver.cleaning import CLEANERS

_SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """How a run ended: its exit code, its id and its terminal audit rows (none for a dry run)."""

    code: int
    run_id: str
    logs: tuple[LoadLog, ...] = ()


def run_pipeline(home: Path, environment: str, options: RunOptions, console: Console) -> Finished:
    """Check the configuration, take the lock, run every step, write the audit, show the summary.

    Raises RcmError when nothing could be started (configuration, lock, session).
    """
    project = load_project(home, environment, cleaner_names=frozenset(CLEANERS))
    steps = steps_of(project, options)
    run_id = new_run_id()
    lake_root = Lake(None, project.settings, home).root  # type: ignore[arg-type]
    with lakehouse_lock(lake_root, run_id, "run_pipeline"):
        crash_point("P0")
        lake = Lake(get_session(project.settings, home), project.settings, home)
        if options.dry_run:
            show_plan(console, plan_rows(project, steps, freeze(project, lake, steps, run_id)))
            return Finished(0, run_id)
        return _locked_run(project, lake, options, steps, run_id, console)


def _locked_run(project: Project, lake: Lake, options: RunOptions, steps: list[Step], run_id: str, console: Console) -> Finished:
    console.print(f"run {run_id}: {len(steps)} steps, as of {options.as_of}", highlight=False)
    ensure_audit(lake)
    spools = Path(lake.root) / "audit" / "_spool"
    state = recovery.close_dead_runs(lake, spools, console)
    ctx = RunContext(project, lake, options, run_id, utc_now(), AuditSpool(spools, run_id), state)
    with _stop_signals(ctx.cancel) as caught:
        frozen = freeze(project, lake, steps, run_id)
        mark_start(lake, _start_mark(ctx, frozen))
        crash_point("P2")
        outcomes = _run_steps(ctx, steps, frozen, console)
        code = _verdict(outcomes, caught)
        logs = _close(ctx, steps, outcomes, code, console)
    show_loads(console, logs)
    if "gold" in options.layers:
        show_kpis(console, read_kpis(lake), str(options.as_of))
    return Finished(code, run_id, tuple(logs))


def _run_steps(ctx: RunContext, steps: list[Step], frozen: Frozen, console: Console) -> dict[str, Outcome]:
    threads = (ctx.options.threads or ctx.project.settings.threads) if ctx.lake.can_clone_sessions else 1
    with RunProgress(console, len(steps)) as progress:

        def work(step: Step, done: Mapping[str, Outcome]) -> Outcome:
            progress.started(step.name)
            lake = ctx.lake.for_thread()
            kinds = {"bronze": bronze_step.load, "silver": silver_step.merge_entity, "gold": gold_step.rebuild}
            outcome = attempted(ctx, step, done, lambda it, results: kinds[it.layer](ctx, lake, it, results, frozen))
            written = [row.rows_written for row in outcome.logs if row.rows_written is not None]
            progress.ended(step.name, outcome.status, sum(written) if written else None)
            return outcome

        return run_graph(steps, work, threads=threads, cancel=ctx.cancel)


def _start_mark(ctx: RunContext, frozen: Frozen) -> dict[str, object]:
    return {
        "run_id": ctx.run_id,
        "started_at": ctx.started_at,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "actor": getpass.getuser(),
        "environment": ctx.project.settings.environment,
        "as_of_date": str(ctx.options.as_of),
        "arguments": f"layers={','.join(ctx.options.layers)} only={','.join(ctx.options.only)}",
        "config_hash": ctx.project.config_hash,
        "code_version": __version__,
        "windows": frozen.start_mark(),
    }


def _verdict(outcomes: Mapping[str, Outcome], caught: list[int]) -> int:
    if caught:
        return _SIGNALS[signal.Signals(caught[0])]
    if any(outcome.is_data_stop for outcome in outcomes.values()):
        return 4
    return 1 if any(outcome.failed for outcome in outcomes.values()) else 0


def _close(ctx: RunContext, steps: list[Step], outcomes: Mapping[str, Outcome], code: int, console: Console) -> list[LoadLog]:
    for step in steps:
        if step.name not in outcomes:
            ctx.spool.add(ctx.log(step.layer, tablename=step.label, status="CANCELLED", message="the run was stopped before this step began"))
    status = {0: "SUCCESS", 130: "CANCELLED", 143: "CANCELLED"}.get(code, "FAILED")
    crash_point("P16")
    ctx.spool.add(ctx.log("run", status=status, started_at=ctx.started_at, finished_at=utc_now()))
    logs = list(ctx.spool.rows)
    try:
        ctx.spool.flush(ctx.lake)
    finally:
        shutil.rmtree(ctx.scratch, ignore_errors=True)
    return logs


@contextmanager
def _stop_signals(cancel: Event) -> Iterator[list[int]]:
    """Turn Ctrl-C and SIGTERM into a wish to stop: running commits end, nothing new begins."""
    caught: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        cancel.set()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


