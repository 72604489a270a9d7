"""Reading windows `[low, high)` in the source's own clock, typed and frozen before the read (pure).

A window starts `overlap` below the watermark and ends at `min(now - settle, oldest open transaction)`, so that a transaction which
wrote an early time and commits late is still met. Values are canonical text: a day `2026-11-23`, a time
`2026-11-23 08:30:00.000000` (naive, as the source writes it; UTC for zoned columns), an integer `42`. Finer digits than microseconds are
cut off, which only lowers a bound: windows meet without a gap and without a value in both, whatever precision the source keeps.
"""

import re
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen

Kind = Literal["date", "timestamp", "timestamptz", "int", "digits"]

# Integers have no clock: a number that was drawn early and committed late is met again within this many numbers.
DEFAULT_OVERLAP_SECONDS = {"date": 3 * 86_400, "timestamp": 900, "timestamptz": 900, "int": 1000, "digits": 1000}
COUNTERS: tuple[Kind, ...] = ("int", "digits")
# A watermark in text, for databases and Spark alike: other text (words, fractions, nothing at all) is no value. CHAR columns pad with blanks. One digit
# less than a decimal holds: a window's end is one more.
DIGITS = "^ *-?[0-9]{1,37} *$"
FUTURE_MARGIN = timedelta(days=1)
_FRACTION = re.compile(r"\.(\d+)")
_HOUR = timedelta(hours=1)
BEHIND = (
    "the greatest value in the source is below the watermark: rows were deleted there, or an older copy was restored. The watermark stays; "
    "compare the table with --reconcile, and if the older copy is meant, give --reset-watermark"
)
CLOCK_BEHIND = "the source's clock is behind the watermark: nothing can lie in the window, so nothing is read. The watermark stays; check the clock"
CLOCK_BEHIND_ROWS = (
    "the source's clock is behind the newest batch in bronze: this load is given the next moment after that batch instead, so that its changes "
    "count as newer. Check the clock"
)


class SourceClock(Frozen):
    """A database's own clock in UTC: now, and the starts of open transactions where the account may see them.

    `oldest_young_transaction` is the oldest of those younger than `max_stall`, as the database counts.
    """

    now: datetime
    oldest_transaction: datetime | None = None
    oldest_young_transaction: datetime | None = None
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
    if kind in COUNTERS:
        try:
            return int(Decimal(text.strip()).to_integral_value(ROUND_FLOOR))
        except (InvalidOperation, OverflowError):
            raise ValueError("no integer") from None
    # Six digits, neither more nor fewer, are what every Python reads alike.
    whole = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text.strip().replace("Z", "+00:00"))
    value = datetime.fromisoformat(whole)
    value = value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
    return value.date() if kind == "date" else value


def as_text(value: object) -> str:
    """The canonical text of a day, a time or an integer."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
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
    open transaction older than `max_stall` no longer holds the window back, younger ones do; a warning says so, as when the source
    stands behind the watermark (a restored backup, a clock put back): the watermark stays.
    """
    low = low_bound(kind, watermark, zone=zone, overlap=overlap)
    if kind in COUNTERS:
        high = None if highest is None else str(max(int(highest), int(watermark or highest)) + 1)
        is_behind = watermark is not None and (highest is None or compare(kind, highest, watermark) < 0)
        return Window(kind=kind, low=low, high=high), [BEHIND] if is_behind else []
    end, warnings = window_end(clock, settle, max_stall)
    local_end = end if kind == "timestamptz" else _local(end, zone)
    high_value = local_end.date() + timedelta(days=1) if kind == "date" else local_end
    window = Window(kind=kind, low=low, high=as_text(high_value), future_from=as_text(high_value + FUTURE_MARGIN))
    settled = clock.now - settle if kind == "timestamptz" else _local(clock.now - settle, zone)
    if window.is_empty and watermark is not None and as_text(settled) < canonical("timestamp", watermark):
        warnings.append(CLOCK_BEHIND)
    return window, warnings


def low_bound(kind: Kind, watermark: str | None, *, zone: str, overlap: timedelta) -> str | None:
    """Where a window starts: `overlap` below the watermark, for days in whole days, for integers that many numbers. None: the beginning."""
    if watermark is None:
        return None
    value = as_value(kind, watermark)
    try:
        if isinstance(value, int):
            return str(value - int(overlap.total_seconds()))
        if isinstance(value, datetime):
            return as_text(value - overlap if kind == "timestamptz" else _low_time(value, overlap, zone))
        return as_text(value - timedelta(days=-(-overlap // timedelta(days=1))))
    except OverflowError:
        return None


def window_end(clock: SourceClock, settle: timedelta, max_stall: timedelta) -> tuple[datetime, list[str]]:
    """The end of a window in UTC: `now - settle`, or the start of an older open transaction; and a warning when one is too old to wait for.

    A transaction too old does not hide the younger ones: the window waits for the oldest of these, as the database tells it.
    """
    settled = clock.now - settle
    oldest, young = clock.oldest_transaction, clock.oldest_young_transaction
    if oldest is None or oldest >= settled:
        return settled, []
    if oldest == young or clock.now - oldest <= max_stall:
        return oldest, []
    told = f"a transaction has been open for {_minutes(clock, oldest)} minutes, longer than max_stall: the window no longer waits for it"
    if young is None or young >= settled:
        return settled, [told]
    return young, [f"{told}; it waits for a younger one, open for {_minutes(clock, young)} minutes"]


def _minutes(clock: SourceClock, start: datetime) -> int:
    return int((clock.now - start).total_seconds() // 60)


def after_newest(end: str, newest: str | None) -> tuple[str, list[str]]:
    """The window's end that rows carry, in UTC, and a warning when the newest batch carries a later one: then it is a microsecond after that.

    A snapshot's time is its window's end: one that seemed older than the last would change the past alone, and never show.
    """
    if newest is None or compare("timestamp", end, newest) >= 0:
        return end, []
    last = as_value("timestamp", newest)
    assert isinstance(last, datetime)
    return as_text(last + timedelta(microseconds=1)), [CLOCK_BEHIND_ROWS]


def _local(at: datetime, zone: str) -> datetime:
    return at.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _low_time(watermark: datetime, overlap: timedelta, zone: str) -> datetime:
    """`watermark - overlap`, and an hour more where the local clock was put back in between (naive times repeat then)."""
    low = watermark - overlap
    before = (low - _HOUR).replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    after = watermark.replace(tzinfo=ZoneInfo(zone), fold=1).utcoffset() or timedelta()
    return low - max(before - after, timedelta())


def ending_at(window: Window, high: str) -> Window:
    """The same window with another end; rows far in the future stay those of its own clock."""
    return window.model_copy(update={"high": canonical(window.kind, high)})


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

