"""`audit.feed_calendar`: the feed calendar of the configuration as a small table, so that monitors are plain SQL."""

from collections.abc import Sequence

from pyspark.sql.types import ArrayType, BooleanType, DateType, IntegerType, StringType, StructField, StructType

from rcm_lakehouse.audit.writer import NOT_BEGUN, writing
from rcm_lakehouse.config.feeds import ExpectedFeed
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake

CALENDAR_TABLE = layer_table("audit", "feed_calendar")

# due_hour and due_minute are local to time_zone, NULL without a due time; empty arrays mean every day.
CALENDAR = StructType(
    [
        StructField("data_source", StringType()),
        StructField("tablename", StringType()),
        StructField("due_hour", IntegerType()),
        StructField("due_minute", IntegerType()),
        StructField("time_zone", StringType()),
        StructField("weekdays", ArrayType(StringType())),
        StructField("days_of_month", ArrayType(IntegerType())),
        StructField("not_on", ArrayType(DateType())),
        StructField("early_minutes", IntegerType()),
        StructField("allowed_delay_minutes", IntegerType()),
        StructField("needs_rows", BooleanType()),
        StructField("max_age_days", IntegerType()),
    ]
)

CalendarRow = tuple[object, ...]


def keep_calendar(lake: Lake, expected: Sequence[ExpectedFeed]) -> bool:
    """Make the table say what the configuration says; True when it had to be written. A calendar as it was makes no commit.

    Without any feed in the configuration no table is made, and one that is there becomes empty.

    Raises TableStateError when the table cannot be made, read or written; no source was read yet.
    """
    with writing(CALENDAR_TABLE, NOT_BEGUN):
        if is_up_to_date(lake, expected):
            return False
        lake.ensure(CALENDAR_TABLE, CALENDAR)
        rows = [dict(zip(CALENDAR.names, row, strict=True)) for row in _rows(expected)]
        lake.replace(CALENDAR_TABLE, lake.made(rows, CALENDAR), metadata={"kind": "feed_calendar"})
    return True


def is_up_to_date(lake: Lake, expected: Sequence[ExpectedFeed]) -> bool:
    """True when the table says what the configuration says; a table that is absent says nothing. Reads only."""
    if not lake.exists(CALENDAR_TABLE):
        return not expected
    found = lake.read(CALENDAR_TABLE)
    return found.schema.names == CALENDAR.names and sorted(map(_plain, found.collect()), key=repr) == sorted(_rows(expected), key=repr)


def _rows(expected: Sequence[ExpectedFeed]) -> list[CalendarRow]:
    return [_row(item) for item in expected]


def _row(item: ExpectedFeed) -> CalendarRow:
    feed = item.feed
    hour, minute = (int(part) for part in feed.by.split(":")) if feed.by else (None, None)
    return (
        item.data_source,
        item.tablename,
        hour,
        minute,
        item.time_zone,
        list(feed.weekdays),
        list(feed.days_of_month),
        list(feed.not_on),
        feed.early_minutes,
        feed.allowed_delay_minutes,
        feed.needs_rows,
        feed.max_age_days,
    )


def _plain(row: Sequence[object]) -> CalendarRow:
    return tuple(row)
