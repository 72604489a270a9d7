"""Reading windows `[low, high)` in the source's own clock, typed and frozen before the read (pure).

A window starts `overlap` below the watermark and ends at `min(now - settle, oldest open transaction)`, so that a transaction which
wrote an early time and commits late is still met. Values are canonical text: a day `2026-11-23`, a time
`2026-11-23 08:30:00.000000` (naive, as the source writes it; UTC for zoned columns), an integer `42`.
"""

from datetime import date, datetime, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen

Kind = Literal["date", "timestamp", "timestamptz", "int", "digits"]

TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
DEFAULT_OVERLAP_SECONDS = {"date": 3 * 86_400, "timestamp": 900, "timestamptz": 900, "int": 0, "digits": 0}
FUTURE_MARGIN = timedelta(days=1)
_HOUR = timedelta(hours=1)


class SourceClock(Frozen):
    """A database's own clock: now in UTC, and the start of its oldest open transaction where the account may see it."""

    now: datetime
    oldest_transaction: datetime | None = None
    sees_transactions: bool = False
    refusal: str | None = Field(None, description="why transactions cannot be seen; said once in the audit")


class Window(Frozen):
    """What one load reads: rows with `low <= value < high`; rows at or beyond `future_from` are read once and flagged.

    `low` None means from the beginning. `high` None (a table without a value yet) reads everything. Rows without a value are read
    too, unless `takes_null` is false (a back-fill).
    """

    kind: Kind
    low: str | None
    high: str | None
    future_from: str | None = None
    takes_null: bool = True

    @property
    def is_empty(self) -> bool:
        """True when no value can lie inside."""
        return self.low is not None and self.high is not None and compare(self.kind, self.low, self.high) >= 0


def as_value(kind: Kind, text: str) -> date | datetime | int:
    """The typed value of a canonical text; ValueError when it is none."""
    if kind == "date":
        return date.fromisoformat(text[:10])
    if kind in ("int", "digits"):
        return int(text)
    value = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)


def as_text(value: object) -> str:
    """The canonical text of a day, a time or an integer."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).strftime(TIME_FORMAT)
    return value.isoformat() if isinstance(value, date) else str(value)


def canonical(kind: Kind, text: str) -> str:
    """Any accepted spelling as canonical text, so that equal values are equal texts."""
    return as_text(as_value(kind, text))


def compare(kind: Kind, left: str, right: str) -> int:
    """-1, 0 or 1 by value, never by text: 9 comes before 10."""
    one, other = as_value(kind, left), as_value(kind, right)
    return (one > other) - (one < other)  # type: ignore[operator]


def next_window(
    kind: Kind,
    watermark: str | None,
    clock: SourceClock,
    *,
    zone: str,
    settle: timedelta,
    overlap: timedelta,
    max_stall: timedelta,
    highest: str | None = None,
) -> tuple[Window, list[str]]:
    """The next window of a table, and warnings in words.

    `highest` is the table's greatest value when the window is planned; only kinds without a clock (int, digits) use it. An
    open transaction older than `max_stall` no longer holds the window back; a warning says so.
    """
    if kind in ("int", "digits"):
        step = int(overlap.total_seconds())
        low = None if watermark is None else str(int(watermark) - step)
        high = None if highest is None else str(max(int(highest), int(watermark or highest)) + 1)
        return Window(kind=kind, low=low, high=high), []
    end, warnings = _end(clock, settle, max_stall)
    if kind == "timestamptz":
        low_at = None if watermark is None else as_value(kind, watermark) - overlap  # type: ignore[operator]
        return _window(kind, low_at, end), warnings
    local_end = end.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if kind == "date":
        low_day = None if watermark is None else as_value(kind, watermark) - timedelta(days=-(-overlap // timedelta(days=1)))  # type: ignore[operator]
        return _window(kind, low_day, local_end.date() + timedelta(days=1)), warnings
    low_time = None if watermark is None else _low_time(as_value(kind, watermark), overlap, zone)  # type: ignore[arg-type]
    return _window(kind, low_time, local_end), warnings


def _end(clock: SourceClock, settle: timedelta, max_stall: timedelta) -> tuple[datetime, list[str]]:
    settled = clock.now - settle
    oldest = clock.oldest_transaction
    if oldest is None or oldest >= settled:
        return settled, []
    if clock.now - oldest > max_stall:
        minutes = int((clock.now - oldest).total_seconds() // 60)
        return settled, [f"a transaction has been open for {minutes} minutes, longer than max_stall: the window no longer waits for it"]
    return oldest, []


def _low_time(watermark: datetime, overlap: timedelta, zone: str) -> datetime:
    """`watermark - overlap`, and an hour more where the local clock was put back in between (naive times repeat then)."""
    low = watermark - overlap
    before = (low - _HOUR).replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    after = watermark.replace(tzinfo=ZoneInfo(zone), fold=1).utcoffset() or timedelta()
    return low - max(before - after, timedelta())


def _window(kind: Kind, low: date | datetime | None, high: date | datetime) -> Window:
    return Window(
        kind=kind,
        low=None if low is None else as_text(low),
        high=as_text(high),
        future_from=as_text(high + FUTURE_MARGIN),
    )


def watermark_after(window: Window, highest: str | None, before: str | None) -> str | None:
    """The smaller of the window's end and the highest value read; no row or a lower value leaves it where it was."""
    if highest is None:
        return before
    reached = highest
    if window.high is not None and compare(window.kind, highest, window.high) > 0:
        reached = window.high
    if before is not None and compare(window.kind, reached, before) < 0:
        return before
    return canonical(window.kind, reached)


def kind_of(spark_type: str) -> Kind | None:
    """The watermark kind of a bronze column by its Spark type; None when it cannot be one. Text is taken for digits."""
    if spark_type.startswith("decimal") or spark_type in ("int", "bigint", "smallint", "tinyint"):
        return "int"
    kinds: dict[str, Kind] = {"date": "date", "timestamp": "timestamp", "timestamp_ntz": "timestamp", "string": "digits"}
    return kinds.get(spark_type)
