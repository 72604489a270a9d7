"""`conf/monitor/feeds.yml`: the feed calendar, by load: when it is due, how late it may be, how old its last version may grow."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from rcm_lakehouse.config.checks_connections import is_zone
from rcm_lakehouse.config.connections import AnyConnection
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.settings import Frozen, InWords
from rcm_lakehouse.config.texts import files_of
from rcm_lakehouse.config.validated import Sound, validated
from rcm_lakehouse.config.worklist import LoadRow, WorkList
from rcm_lakehouse.config.yaml_lines import read_yaml

FILE = "conf/monitor/feeds.yml"
EVERY = "*"
_TWO_WEEKS = 20_160

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Feed(Frozen):
    """What is expected of a load: a due time (`by`), a greatest age, or both."""

    by: Annotated[str | None, InWords('a time in quotes, like "06:00"')] = Field(
        None, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description='local time at which it is due, "06:00" in quotes; NULL: no due time'
    )
    weekdays: tuple[Weekday, ...] = Field((), description="days of the week on which it is due; empty: every day")
    days_of_month: tuple[int, ...] = Field((), description="days of the month on which it is due, 1 to 31, in a shorter month its last day; empty: every day")
    not_on: tuple[date, ...] = Field((), description="days on which it is not due, YYYY-MM-DD")
    time_zone: str | None = Field(None, description="zone of `by`, e.g. America/New_York; default: that of the load's connection")
    early_minutes: int = Field(720, ge=0, le=_TWO_WEEKS, description="a load that ended up to so long before the due time counts for it")
    allowed_delay_minutes: int = Field(60, ge=0, le=_TWO_WEEKS, description="so long after the due time it is not late yet")
    needs_rows: bool = Field(False, description="true: a load that read no row is no delivery (files)")
    max_age_days: int | None = Field(None, ge=1, le=36_500, description="greatest age of the last good load, for references; NULL: any")
    is_watched: bool = Field(True, description="false: this load is left out where its data source has an entry for all")

    @field_validator("days_of_month")
    @classmethod
    def _days_of_a_month(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= day <= 31 for day in days):
            raise ValueError("days of a month are 1 to 31")
        return days


class ExpectedFeed(Frozen):
    """A row of the calendar: an active load and what is expected of it, its zone resolved."""

    data_source: str
    tablename: str
    time_zone: str
    feed: Feed


def read_feeds(
    home: Path, work_list: WorkList, connections: Mapping[str, AnyConnection], contracts: Contracts, problems: list[Problem]
) -> tuple[ExpectedFeed, ...]:
    """The calendar of the active loads; empty when there is no file. What is wrong is noted with its line.

    An entry may wait for a load that another work list has, so its table need only be one that the work list or a contract names.
    """
    if not files_of(home, "conf/monitor", ".yml", problems, "feeds")[0]:
        return ()
    document = read_yaml(home, FILE, problems)
    feeds: dict[str, Feed] = {}
    known = _known(work_list.loads)
    for label in document.values if document else ():
        assert document is not None
        data_source, _, table = label.rpartition(".")
        if label not in known and table != EVERY and not contracts.may_take(table) and not work_list.may_load(data_source, table):
            problems.append(Problem(FILE, document.line(label), f"'{label}' is no load of load_config.csv.{did_you_mean(label, known)}"))
        feed = None if label in document.blocks_twice else validated(document.part(label), Feed, problems)
        if feed is not None:
            _check(label, feed, problems)
            feeds[label] = feed.value
    active = (row for row in work_list.loads if row.is_active and row.database in connections)
    return tuple(_expected(row, feeds, connections) for row in active if _of(row, feeds).is_watched)


def _known(loads: Sequence[LoadRow]) -> set[str]:
    return {row.label for row in loads} | {f"{row.datasource}.{EVERY}" for row in loads}


def idle_entries(home: Path, loads: Sequence[LoadRow]) -> list[str]:
    """Entries that fit no row of the work list, in words with file and line; they watch nothing."""
    document = read_yaml(home, FILE, []) if (home / FILE).exists() else None
    if document is None:
        return []
    known = _known(loads)
    idle = [(document.line(label), label) for label in document.values if label not in known]
    return [f"{FILE}:{line}: '{label}' fits no row of load_config.csv and watches nothing.{did_you_mean(label, known)}" for line, label in idle]


def _check(label: str, sound: Sound[Feed], problems: list[Problem]) -> None:
    feed, part, lost = sound.value, sound.part, sound.lost

    def note(text: str, *path: object) -> None:
        problems.append(Problem(FILE, part.line(*path), f"{label}: {text}"))

    # A key that was left out could be the one that is missed.
    if feed.is_watched and feed.by is None and feed.max_age_days is None and not lost.losses:
        note("expected `by`, `max_age_days` or both; `is_watched: false` leaves a load out.")
    if feed.by is None and (feed.weekdays or feed.days_of_month or feed.not_on) and not lost.losses:
        note("weekdays, days_of_month and not_on need `by`, the time of day.")
    if feed.time_zone is not None and not is_zone(feed.time_zone):
        hint = did_you_mean(feed.time_zone, available_timezones())
        note(f"time_zone is no zone of the IANA database, like America/New_York.{hint}", "time_zone")


def _of(row: LoadRow, feeds: Mapping[str, Feed]) -> Feed:
    nothing = Feed(is_watched=False)
    return feeds.get(row.label) or feeds.get(f"{row.datasource}.{EVERY}") or nothing


def _expected(row: LoadRow, feeds: Mapping[str, Feed], connections: Mapping[str, AnyConnection]) -> ExpectedFeed:
    feed = _of(row, feeds)
    zone = feed.time_zone or connections[row.database].time_zone
    return ExpectedFeed(data_source=row.datasource, tablename=row.source_table, time_zone=zone, feed=feed)
