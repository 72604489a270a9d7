"""One run from lock to verdict."""

import getpass
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rcm_lakehouse import __version__
from rcm_lakehouse.audit.calendar import keep_calendar
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.state import AuditState, read_state
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE, AuditSpool, mark_start
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.lake.session import check_place, get_session
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import bronze_step, gold_step, reconcile_step, recovery, released, replay
from rcm_lakehouse.pipeline.attempts import Outcome, attempted
from rcm_lakehouse.pipeline.built_for import refused_models
from rcm_lakehouse.pipeline.closing import close_run, stop_signals, verdict
from rcm_lakehouse.pipeline.context import RunContext, RunOptions, new_run_id, utc_now
from rcm_lakehouse.pipeline.contract_memory import remember_contracts, with_change_told
from rcm_lakehouse.pipeline.freeze import Frozen, freeze
from rcm_lakehouse.pipeline.graph import Step, run_graph
from rcm_lakehouse.pipeline.identity import refuse_lost_loads
from rcm_lakehouse.pipeline.model_check import check_by_spark
from rcm_lakehouse.pipeline.plan import left_behind, steps_of
from rcm_lakehouse.pipeline.progress import RunProgress
from rcm_lakehouse.pipeline.report import plan_rows, read_kpis
from rcm_lakehouse.pipeline.summary import show_kpis, show_left_out, show_loads, show_plan, show_refused
from rcm_lakehouse.pipeline.verbs import apply_verbs, check_verbs
from rcm_lakehouse.silver.cleaning import CLEANERS

_WORK: Mapping[str, Callable[[RunContext, Lake, Step, Mapping[str, Outcome], Frozen], Outcome]] = {
    "bronze": bronze_step.load,
    "reconcile": reconcile_step.after_load,
    "silver": released.merge_and_release,
    "gold": gold_step.rebuild,
}
_REPLAY = {**_WORK, "silver": replay.replay_entity}

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
    check_verbs(project, options)
    steps = steps_of(project, options)
    check_place(project.settings)
    run_id = new_run_id()
    lake_root = Lake(None, project.settings, home).root  # type: ignore[arg-type]
    with lakehouse_lock(lake_root, run_id, "run_pipeline"):
        crash_point("P0")
        if not options.dry_run:
            told = f"run {run_id}: {len(steps)} steps, as of {options.as_of}; Spark starts, then the audit, the sources and the tables are looked at"
            console.print(told, highlight=False)
        lake = Lake(get_session(project.settings, home), project.settings, home).for_thread()
        if options.dry_run:
            check_by_spark(lake, project, options)
            planned = freeze(project, lake, steps, run_id, unread=options.reset_loads)
            apply_verbs(lake, planned, options)
            state = read_state(lake) if lake.exists(RUNS_TABLE) and lake.exists(LOAD_LOGS_TABLE) else AuditState({}, {})
            refuse_lost_loads(lake, state, options, planned, project.connections)
            warnings = [(label, text) for label, plan in planned.jdbc.items() for text in plan.warnings]
            show_plan(console, plan_rows(project, steps, planned, options), warnings)
            show_left_out(console, left_behind(project, options, steps), is_plan=True)
            apart = _apart(project, lake, options, steps, state)
            show_refused(console, apart)
            return Finished(1 if apart or planned.refused or {*planned.outside} & {*options.verb_loads} else 0, run_id)
        return _locked_run(project, lake, options, steps, run_id, console)


def _apart(project: Project, lake: Lake, options: RunOptions, steps: list[Step], state: AuditState) -> list[str]:
    """What a dry run says of models that the run would refuse; without `--only` every model is built with what it reads."""
    models = [step.label for step in steps if step.layer == "gold"]
    return refused_models(project, options, lake, state.last_done, models) if options.only and models and state.last_done else []


def _locked_run(project: Project, lake: Lake, options: RunOptions, steps: list[Step], run_id: str, console: Console) -> Finished:
    spools = Path(lake.root) / "audit" / "_spool"
    with RunProgress(console, len(steps)) as progress:
        state = recovery.take_over(project, lake, spools, console)
        check_by_spark(lake, project, options, state)
        keep_calendar(lake, project.feeds)
        ctx = RunContext(project, lake, options, run_id, utc_now(), AuditSpool(spools, run_id), state)
        with stop_signals(ctx.cancel, lake.spark) as caught:
            frozen = freeze(project, lake, steps, run_id, state, options.reset_loads)
            apply_verbs(lake, frozen, options)
            refuse_lost_loads(lake, state, options, frozen, project.connections)
            crash_point("P2")
            mark_start(lake, start_mark(ctx, frozen))
            crash_point("P1")
            outcomes = _run_steps(ctx, steps, frozen, progress)
            code, logs = close_run(ctx, steps, outcomes, verdict(outcomes, caught), console)
            if ctx.spool.is_flushed:
                remember_contracts(ctx)
    show_loads(console, logs)
    show_left_out(console, left_behind(project, options, steps))
    kpis = outcomes.get("gold:kpi_summary")
    if "gold" in options.layers and "kpi_summary" in project.models and (kpis is None or kpis.failed):
        held = "; what it holds is of an earlier one" if ctx.spool.is_flushed and lake.exists(layer_table("gold", "kpi_summary")) else ""
        console.print(f"No KPIs are shown: gold.kpi_summary was not rebuilt in this run{held}.", highlight=False)
    elif kpis is not None and ctx.spool.is_flushed and (rows := read_kpis(lake)):
        show_kpis(console, rows, str(options.as_of))
    return Finished(code, run_id, tuple(logs))


def _run_steps(ctx: RunContext, steps: list[Step], frozen: Frozen, progress: RunProgress) -> dict[str, Outcome]:
    steps_do = _REPLAY if ctx.options.replay else _WORK
    threads = (ctx.options.threads or ctx.project.settings.threads) if ctx.lake.can_clone_sessions else 1

    def tried(step: Step, done: Mapping[str, Outcome]) -> Outcome:
        # A session a try: its settings and temporary names are its own.
        return with_change_told(ctx, step.name, steps_do[step.layer](ctx, ctx.lake.for_thread(), step, done, frozen))

    def work(step: Step, done: Mapping[str, Outcome]) -> Outcome:
        progress.started(step.name)
        outcome = attempted(ctx, step, done, tried)
        if step.layer == "silver":
            crash_point("P11", step.label)
        written = [row.rows_written for row in outcome.logs if row.rows_written is not None]
        progress.ended(step.name, ", ".join(dict.fromkeys(row.status for row in outcome.logs)) or outcome.status, sum(written) if written else None)
        return outcome

    return run_graph(steps, work, threads=threads, cancel=ctx.cancel)


def start_mark(ctx: RunContext, frozen: Frozen) -> dict[str, object]:
    """The row of `audit.runs` that says a run began: who, where, with what, and its frozen windows."""
    return {
        "run_id": ctx.run_id,
        "started_at": ctx.started_at,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "actor": getpass.getuser(),
        "environment": ctx.project.settings.environment,
        "as_of_date": str(ctx.options.as_of),
        "arguments": ctx.options.described(),
        "config_hash": ctx.project.config_hash,
        "code_version": __version__,
        "windows": frozen.start_mark(),
    }
