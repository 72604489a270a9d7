"""One step from start to terminal audit rows: retries, and the only place where every error is caught."""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from pyspark.errors import PySparkException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.errors import (
    ConfigError,
    DataStopError,
    JavaEndedError,
    RcmError,
    StorageFullError,
    TableStateError,
    damaged_file,
    is_storage_full,
    raised_at,
)
from rcm_lakehouse.config.settings import RetrySettings
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.session import is_java_gone
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.value_errors import place_in, raised_by

# Prints whole error texts, which may quote rows, to the terminal; for made-up data only.
SHOW_ERRORS = "RCM_SHOW_ERRORS"
# What an error says of the step's table.
_COMMITTED, _UNTOUCHED = "What this step had committed before has rows of its own", "Nothing of this step was committed"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a step ended; `facts` is what later steps need of it. `is_undone`: nothing failed, but what was asked by name was not done."""

    status: str
    logs: tuple[LoadLog, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    is_data_stop: bool = False
    is_undone: bool = False

    @property
    def failed(self) -> bool:
        """True when what depends on it must not take it for done."""
        return self.status in ("FAILED", "SKIPPED_UPSTREAM", "CANCELLED")


Work = Callable[[Step, Mapping[str, Outcome]], Outcome]


def retrying(settings: RetrySettings, note: Callable[[RetryCallState], None]) -> Retrying:
    """Tries of a whole piece of work while its error says that a retry can help; waits grow at random, `note` is told before each."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, RcmError) and error.can_retry and not error.gave_up),
        stop=stop_after_attempt(settings.attempts),
        wait=wait_random_exponential(multiplier=settings.first_wait_seconds, max=settings.max_wait_seconds),
        before_sleep=note,
        reraise=True,
    )


def attempted(ctx: RunContext, step: Step, done: Mapping[str, Outcome], work: Work) -> Outcome:
    """Run a step, again when a retry can help, and write its rows; an error becomes a FAILED row, never an exception.

    Rows that a try kept of its commits are written too when a later part of the try failed, with the number of that try.
    """
    started = datetime.now(timezone.utc)
    clock = time.monotonic()
    tries = {"count": 1}
    committed_by: dict[str, int] = {}

    def note(state: RetryCallState) -> None:
        tries["count"] = state.attempt_number + 1
        for row in ctx.committed[step.name]:
            committed_by.setdefault(row.id, state.attempt_number)
        _log.warning("%s: try %s failed and is repeated", step.name, state.attempt_number)

    try:
        outcome = retrying(ctx.project.settings.retry, note)(work, step, done)
    except Exception as error:  # noqa: BLE001  # the runner's one broad except: the step failed, the others go on
        outcome = _failed(ctx, step, _named(ctx, step, error))
        if os.environ.get(SHOW_ERRORS) == "1":
            _log.exception("%s", step.name)
    crash_point("P7", step.name)
    seconds = round(time.monotonic() - clock, 3)
    told = {row.id for row in outcome.logs}
    kept = [row for row in ctx.committed.pop(step.name, []) if row.id not in told]
    outcome = replace(outcome, logs=(*kept, *outcome.logs))
    for row in outcome.logs:
        row.attempt = committed_by.get(row.id, tries["count"])
        row.started_at = row.started_at or started
        row.finished_at = row.finished_at or datetime.now(timezone.utc)
        row.seconds = row.seconds if row.seconds is not None else seconds
        ctx.spool.add(row)
    return outcome


def _failed(ctx: RunContext, step: Step, error: Exception) -> Outcome:
    source, _, table = step.label.partition(".")
    is_load = step.layer in ("bronze", "reconcile")
    row = ctx.log(
        step.layer,
        data_source=source if is_load else None,
        tablename=table if is_load else step.label,
        target=None if is_load else f"{step.layer}.{step.label}",
        status="FAILED",
        error_class=error_class(error),
        message=safe_message(error, has_committed=bool(ctx.committed[step.name])),
        is_retryable=isinstance(error, RcmError) and error.can_retry,
    )
    _log.error("%s failed: %s", step.name, row.message)
    return Outcome("FAILED", (row,), is_data_stop=isinstance(error, DataStopError))


def _named(ctx: RunContext, step: Step, error: Exception) -> Exception:
    """The error, or the taxonomy's in its place where the text of another says plainly what happened.

    Without a Java process nothing more can be done: no further step begins.
    """
    if is_java_gone():
        ctx.cancel.set()
        return JavaEndedError()
    if isinstance(error, RcmError):
        return error
    left = _COMMITTED if ctx.committed[step.name] else f"{_UNTOUCHED}; the table is as it was"
    damaged = damaged_file(error, ctx.lake.root)
    if damaged is not None:
        folder, name = damaged
        return TableStateError(
            f"{step.name}: the data file {name} of {folder} is gone, cut or changed. {left}. Put it back from a backup. If there is none, "
            f"move the folder {folder} away and run again: the run then says how to go on without it (--accept-lost)."
        )
    where = _expression_in(ctx, step, error)
    if where is not None:
        return ConfigError(
            f"{step.name}: {where} cannot be computed for a value of some row ({error_class(error)}). {left}. "
            "Let it give NULL there (try_cast, try_divide, try_to_date …) and run again. The value is not shown."
        )
    if not is_storage_full(error):
        return error
    return StorageFullError(
        f"{step.name}: a disk is full ({type(error).__name__}). {left}. Free space below {ctx.lake.root} and in Spark's scratch folder "
        "(spark.local.dir), and run again: the next run does what is missing."
    )


def _expression_in(ctx: RunContext, step: Step, error: Exception) -> str | None:
    """The expressions of the step's contract, or the place in its model, of which an error says that they cannot take a value; None for another error."""
    if is_storage_full(error):
        return None
    contract, model = ctx.project.contracts.get(step.label), ctx.project.models.get(step.label)
    if step.layer == "silver" and contract is not None:
        raised = raised_by(contract, error)
        return None if raised is None else f"{', '.join(raised)} of conf/cdm/{step.label}.yml"
    return place_in(model, error) if step.layer == "gold" and model is not None else None


def error_class(error: BaseException) -> str:
    """The class of an error and, for Spark's own, its condition; never its text."""
    condition = error.getCondition() if isinstance(error, PySparkException) else None
    return f"{type(error).__name__}:{condition}" if condition else type(error).__name__


def safe_message(error: BaseException, *, has_committed: bool = False) -> str:
    """The text of our own errors; of others only the class, because their text may quote a row."""
    if isinstance(error, RcmError):
        return re.sub(r"\s+", " ", str(error))
    left = _COMMITTED if has_committed else _UNTOUCHED
    return f"unexpected {error_class(error)}{raised_at(error)}. {left}. The error's own text is left out because it may quote a row."
