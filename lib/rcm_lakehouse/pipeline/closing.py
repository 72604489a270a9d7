"""The end of a run: its exit code, its last audit rows, the flush of the audit, and signals that ask it to stop."""

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from threading import Event, current_thread, main_thread
from types import FrameType

from pyspark.sql import SparkSession
from rich.console import Console

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.errors import JavaEndedError, RcmError
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.session import is_java_gone
from rcm_lakehouse.lake.stop_relay import relayed_signals
from rcm_lakehouse.pipeline.attempts import Outcome, error_class
from rcm_lakehouse.pipeline.context import RunContext, utc_now
from rcm_lakehouse.pipeline.graph import Step

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
_STATUS = {0: "SUCCESS", 130: "CANCELLED", 143: "CANCELLED"}


def verdict(outcomes: Mapping[str, Outcome], caught: Sequence[int]) -> int:
    """The exit code of a run: that of the signal, 4 for a data stop, 1 when some step failed or was not done though asked for by name, else 0."""
    if caught:
        return SIGNALS[signal.Signals(caught[0])]
    if any(outcome.is_data_stop for outcome in outcomes.values()):
        return 4
    return 1 if any(outcome.failed or outcome.is_undone for outcome in outcomes.values()) else 0


def close_run(ctx: RunContext, steps: Sequence[Step], outcomes: Mapping[str, Outcome], code: int, console: Console) -> tuple[int, list[LoadLog]]:
    """Write what is still to be written of a run; returns its exit code and all its audit rows.

    When `audit.load_logs` cannot be written the rows wait in the spool for the next run, and the run counts as failed. Where the disk
    refuses them there too, that is said.
    """
    for step in steps:
        if step.name not in outcomes:
            ctx.spool.add(ctx.log(step.layer, tablename=step.label, status="CANCELLED", message="the run was stopped before this step began"))
    for log in inactive_logs(ctx):
        ctx.spool.add(log)
    crash_point("P16", "open")
    end = ctx.log("run", status=_STATUS.get(code, "FAILED"), started_at=ctx.started_at, finished_at=utc_now(), warnings=list(ctx.state.notes))
    ctx.spool.add(end)
    crash_point("P16", "spooled")
    logs = list(ctx.spool.rows)
    # What was staged is of no use any more; on a full disk its place is what the audit's rows need.
    shutil.rmtree(ctx.scratch, ignore_errors=True)
    try:
        ctx.spool.flush(ctx.lake)
    except (RcmError, OSError) as failed:
        code, error = code or 1, JavaEndedError() if is_java_gone() else failed
        end.status, end.error_class, end.message = _STATUS.get(code, "FAILED"), error_class(error), str(error)
        told = f"FAILED: {error} {_waiting(ctx)}"
        console.print(told, style="red", markup=False, highlight=False, soft_wrap=True)
    return code, logs


def _waiting(ctx: RunContext) -> str:
    if ctx.spool.keep():
        return f"The rows of this run wait in audit/_spool/{ctx.spool.path.name} and are flushed by the next run."
    return (
        "Nor can they be written to audit/_spool: of this run the next one finds again what its commits carry, and closes it as ABANDONED; steps that "
        "failed or did not begin are told here alone."
    )


def inactive_logs(ctx: RunContext) -> list[LoadLog]:
    """One SKIPPED row for each load that the work list has switched off; none when the run was asked for something particular."""
    if "bronze" not in ctx.options.layers or ctx.options.only or ctx.options.verb_loads:
        return []
    return [
        ctx.log(
            "bronze",
            data_source=row.datasource,
            tablename=row.source_table,
            target=f"bronze.{row.bronze_table}",
            watermarkcolumnname=row.watermark,
            status="SKIPPED",
            message=f"is_active is 0 in load_config.csv, line {row.line}; nothing was read",
        )
        for row in ctx.project.loads
        if not row.is_active
    ]


@contextmanager
def stop_signals(cancel: Event, spark: SparkSession | None = None) -> Iterator[list[int]]:
    """Turn Ctrl-C and SIGTERM into a wish to stop: running commits end, nothing new begins; yields the signals caught.

    Python gives signals to the main thread only: a run in another thread is not stopped this way. Those that reach the JVM of this session
    instead, as under a bare `spark-submit`, are handed on.
    """
    caught: list[int] = []
    if current_thread() is not main_thread():
        yield caught
        return

    def stop(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        cancel.set()
        # Asked again, it ends at once, as if nobody had listened.
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for wanted in SIGNALS:
        signal.signal(wanted, stop)
    try:
        with relayed_signals(spark, tuple(SIGNALS), lambda: len(caught)) if spark is not None else nullcontext():
            yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
