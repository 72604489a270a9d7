"""`conf/monitor/feeds.yml`: the feed calendar, by load: when it is due, how late it may be, how old its last version may grow."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rcm_lakehouse.config.checks_connections import is_zone
from rcm_lakehouse.config.connections import ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.settings import Frozen
from rcm_lakehouse.config.validated import validated
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.config.yaml_lines import Document, read_yaml

FILE = "conf/monitor/feeds.yml"
EVERY = "*"
_TWO_WEEKS = 20_160

AnyConnection = JdbcConnection | FilesConnection | ApiConnection
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Feed(Frozen):
    """What is expected of a load: a due time (`by`), a greatest age, or both."""

    by: str | None = Field(None, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description='local time at which it is due, "06:00" in quotes; NULL: no due time')
    weekdays: tuple[Weekday, ...] = Field((), description="days of the week on which it is due; empty: every day")
    days_of_month: tuple[int, ...] = Field((), description="days of the month on which it is due, 1 to 31, in a shorter month its last day; empty: every day")
    not_on: tuple[date, ...] = Field((), description="days on which it is not due, YYYY-MM-DD")
    time_zone: str | None = Field(None, description="zone of `by`, e.g. America/New_York; default: that of the load's connection")
    early_minutes: int = Field(720, ge=0, le=_TWO_WEEKS, description="a load that ended up to so long before the due time counts for it")
    allowed_delay_minutes: int = Field(60, ge=0, le=_TWO_WEEKS, description="so long after the due time it is not late yet")
    needs_rows: bool = Field(False, description="true: a load that read no row is no delivery (files)")
    max_age_days: int | None = Field(None, ge=1, le=36_500, description="greatest age of the last good load, for references; NULL: any")
    is_watched: bool = Field(True, description="false: this load is left out where its data source has an entry for all")

    @field_validator("by", mode="before")
    @classmethod
    def _time_in_quotes(cls, value: object) -> object:
        # YAML reads 06:00 without quotes as a number of base 60.
        if isinstance(value, int | float):
            raise ValueError('a time stands in quotes, like "06:00"')
        return value

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
    home: Path, loads: Sequence[LoadRow], connections: Mapping[str, AnyConnection], mapped: Collection[str], problems: list[Problem]
) -> tuple[ExpectedFeed, ...]:
    """The calendar of the active loads; empty when there is no file. What is wrong is noted with its line.

    An entry may wait for a load that another work list has, so its table need only be one that the work list or a contract (`mapped`) names.
    """
    if not (home / FILE).exists():
        return ()
    document = read_yaml(home, FILE, problems)
    feeds: dict[str, Feed] = {}
    labels = {row.label for row in loads}
    known = labels | {f"{row.datasource}.{EVERY}" for row in loads}
    for label, block in (document.values if document else {}).items():
        assert document is not None
        if label not in known and label.rpartition(".")[2] not in {EVERY, *mapped}:
            problems.append(Problem(FILE, document.line(label), f"'{label}' is no load of load_config.csv.{did_you_mean(label, known)}"))
        feed: Feed | None = validated(document, (label,), problems, lambda block=block: Feed(**block), (Feed,))  # type: ignore[misc]
        if feed is not None:
            _check(document, label, feed, problems)
            feeds[label] = feed
    return tuple(_expected(row, feeds, connections) for row in loads if row.is_active and row.database in connections and _of(row, feeds).is_watched)


def idle_entries(home: Path, loads: Sequence[LoadRow]) -> list[str]:
    """Entries that fit no row of the work list, in words with file and line; they watch nothing."""
    document = read_yaml(home, FILE, []) if (home / FILE).exists() else None
    if document is None:
        return []
    known = {row.label for row in loads} | {f"{row.datasource}.{EVERY}" for row in loads}
    idle = [(document.line(label), label) for label in document.values if label not in known]
    return [f"{FILE}:{line}: '{label}' fits no row of load_config.csv and watches nothing.{did_you_mean(label, known)}" for line, label in idle]


def _check(document: Document, label: str, feed: Feed, problems: list[Problem]) -> None:
    def note(text: str, *path: object) -> None:
        problems.append(Problem(FILE, document.line(label, *path), f"{label}: {text}"))

    if feed.is_watched and feed.by is None and feed.max_age_days is None:
        note("expected `by`, `max_age_days` or both; `is_watched: false` leaves a load out.")
    if feed.by is None and (feed.weekdays or feed.days_of_month or feed.not_on):
        note("weekdays, days_of_month and not_on need `by`, the time of day.")
    if feed.time_zone is not None and not is_zone(feed.time_zone):
        note("time_zone is no zone of the IANA database, like America/New_York.", "time_zone")


def _of(row: LoadRow, feeds: Mapping[str, Feed]) -> Feed:
    nothing = Feed(is_watched=False)
    return feeds.get(row.label) or feeds.get(f"{row.datasource}.{EVERY}") or nothing


def _expected(row: LoadRow, feeds: Mapping[str, Feed], connections: Mapping[str, AnyConnection]) -> ExpectedFeed:
    feed = _of(row, feeds)
    zone = feed.time_zone or connections[row.database].time_zone
    return ExpectedFeed(data_source=row.datasource, tablename=row.source_table, time_zone=zone, feed=feed)
