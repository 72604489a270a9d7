"""Hours in which a source may be read."""

from datetime import datetime
from zoneinfo import ZoneInfo

from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import APPROVAL, RunContext, utc_now


def is_closed(project: Project, row: LoadRow, outside: dict[str, str]) -> bool:
    """True when the source of a load may not be read now; why is noted in `outside` by the load's name, once and for the run.

    Asked before each read begins: a run that began in the hours may reach a load after them. A read that has begun goes on to its end.
    """
    connection = project.connections[row.database]
    if row.label not in outside and isinstance(connection, JdbcConnection):
        why = outside_hours(connection.load_hours, connection.time_zone, utc_now())
        outside.update({row.label: why} if why else {})
    return row.label in outside


def not_compared(ctx: RunContext, row: LoadRow, why: str, batch_seq: int) -> Outcome:
    """The end of a comparison that was reached after the hours of its source: told, and undone where it was asked for by name."""
    asked = [verb for verb, name in ctx.options.verbs if name == row.label and verb in ("--reconcile", APPROVAL)]
    told = f"{', '.join(asked)} {row.label} was not done: {why}. Run it again then." if asked else f"not compared: {why}"
    names = {"data_source": row.datasource, "tablename": row.source_table, "target": f"bronze.{row.bronze_table}"}
    log = ctx.log("reconcile", status="OUTSIDE_HOURS", message=told, **names)
    return Outcome("OUTSIDE_HOURS", (log,), {"batch_seq": batch_seq}, is_undone=bool(asked))


def outside_hours(hours: str | None, zone: str, now: datetime) -> str | None:
    """Why a source may not be read now, in words; None when it may. Hours are local, half-open, and may cross midnight."""
    if hours is None:
        return None
    begin, _, end = hours.partition("-")
    local = f"{now.astimezone(ZoneInfo(zone)):%H:%M}"
    inside = begin <= local < end if begin <= end else (local >= begin or local < end)
    return None if inside else f"it is {local} in {zone}; this source is read between {begin} and {end}"
