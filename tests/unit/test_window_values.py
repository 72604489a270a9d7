"""Windows as pure functions: bounds, clocks, zones, precision, and that a chain of windows reads every change once."""

from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcm_lakehouse.bronze.windows import (
    BEHIND,
    CLOCK_BEHIND,
    Kind,
    SourceClock,
    Window,
    after_newest,
    canonical,
    compare,
    ending_at,
    next_window,
    watermark_after,
)
from rcm_lakehouse.pipeline.slots import Slots
from rcm_lakehouse.sources.catalog import SourceColumn
from rcm_lakehouse.sources.dialects import DIALECTS
from rcm_lakehouse.sources.jdbc import window_predicate
from rcm_lakehouse.sources.partitions import buckets, cut_points, ranges

NOW = datetime(2026, 1, 10, 12)
HOUR = timedelta(hours=1)


def window(
    kind: Kind, watermark: str | None, clock: SourceClock, *, zone: str = "UTC", overlap: timedelta = timedelta(), highest: str | None = None
) -> tuple[Window, list[str]]:
    return next_window(kind, watermark, clock, zone=zone, settle=timedelta(minutes=1), overlap=overlap, max_stall=HOUR, highest=highest)


CANONICAL = {  # (kind, text): canonical text
    ("timestamp", "2026-01-01 10:00:00.1"): "2026-01-01 10:00:00.100000",
    ("timestamp", "2026-01-01 10:00:00.1234567"): "2026-01-01 10:00:00.123456",
    ("timestamp", "2026-01-01T10:00:00"): "2026-01-01 10:00:00.000000",
    ("timestamp", "0001-01-01 00:00:00"): "0001-01-01 00:00:00.000000",
    ("timestamptz", "2026-01-01 10:00:00-05:00"): "2026-01-01 15:00:00.000000",
    ("timestamptz", "2026-01-01 10:00:00.5Z"): "2026-01-01 10:00:00.500000",
    ("date", "2026-01-01 10:00:00"): "2026-01-01",
    ("int", "0042"): "42",
    ("int", "10.9"): "10",
    ("digits", " 7 "): "7",
}


def test_I12_every_spelling_has_one_canonical_text_and_no_digit_is_rounded_up() -> None:
    assert {case: canonical(*case) for case in CANONICAL} == CANONICAL  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "text"), [("date", "2026-13-01"), ("date", "today"), ("timestamp", "12"), ("int", "ten"), ("int", ""), ("digits", "NaN")])
def test_what_is_no_value_of_the_kind_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the caller words the message
        canonical(kind, text)


def test_I17_values_compare_by_size_and_not_as_text() -> None:
    assert [compare("int", "9", "10"), compare("digits", "9", "0100"), compare("timestamp", "2026-01-01 09:00:00.5", "2026-01-01 10:00:00")] == [-1, -1, -1]


def test_I12_a_seven_digit_time_at_the_seam_lies_in_exactly_one_window() -> None:
    literal = DIALECTS["sqlserver"].literal
    first, _ = window("timestamp", None, SourceClock(now=datetime(2026, 1, 10, 12, 1, 0, 123456)))
    second, _ = window("timestamp", first.high, SourceClock(now=NOW + HOUR))
    assert first.high == second.low == "2026-01-10 12:00:00.123456"
    assert literal("timestamp", str(first.high)) == "CAST('2026-01-10 12:00:00.123456' AS datetime2(7))"
    column = SourceColumn("ModifiedDate", "datetime2")
    assert "[ModifiedDate] < CAST('2026-01-10 12:00:00.123456' AS datetime2(7))" in window_predicate(DIALECTS["sqlserver"], column, first)
    assert "[ModifiedDate] >= CAST('2026-01-10 12:00:00.123456' AS datetime2(7))" in window_predicate(DIALECTS["sqlserver"], column, second)


def test_I17_a_rowversion_is_compared_as_the_number_it_is() -> None:
    column = SourceColumn("RowVer", "timestamp")
    chosen, _ = window("int", "41", SourceClock(now=NOW), highest="99")
    wanted = "((CAST([RowVer] AS bigint) >= 41 AND CAST([RowVer] AS bigint) < 100) OR [RowVer] IS NULL)"
    assert window_predicate(DIALECTS["sqlserver"], column, chosen) == wanted


times = st.integers(min_value=0, max_value=6 * 3_600 * 10_000_000)
sizes = st.lists(st.integers(min_value=1, max_value=3_600), min_size=1, max_size=12)


@given(changes=st.lists(times, max_size=20), steps=sizes)
def test_windows_without_overlap_read_every_change_of_100_nanoseconds_once(changes: list[int], steps: list[int]) -> None:
    read: list[int] = []
    low, start = None, datetime(2026, 1, 10)
    for step in [*steps, 24 * 3_600]:
        start += timedelta(seconds=step, microseconds=7)
        found, _ = window("timestamp", low, SourceClock(now=start + timedelta(minutes=1)))
        read += [change for change in changes if _holds(found, change)]
        low = found.high
    assert sorted(read) == sorted(changes)


def _holds(window: Window, tenths_of_microseconds: int) -> bool:
    at, rest = divmod(tenths_of_microseconds, 10)
    text = (datetime(2026, 1, 10) + timedelta(microseconds=at)).isoformat(sep=" ", timespec="microseconds") + str(rest)
    return (window.low is None or text >= window.low) and (window.high is None or text < window.high)


def test_an_open_transaction_holds_the_window_back_at_most_max_stall() -> None:
    waiting, quiet = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=NOW - timedelta(minutes=50), sees_transactions=True))
    passed, said = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=NOW - timedelta(minutes=70), sees_transactions=True))
    young, _ = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=NOW - timedelta(seconds=5), sees_transactions=True))
    assert (waiting.high, quiet) == ("2026-01-10 11:10:00.000000", [])
    assert passed.high == young.high == "2026-01-10 11:59:00.000000"
    assert said == ["a transaction has been open for 70 minutes, longer than max_stall: the window no longer waits for it"]


def test_a_transaction_too_old_to_wait_for_does_not_end_the_waiting_for_younger_ones() -> None:
    forgotten, half_hour, seconds = (NOW - timedelta(minutes=minutes) for minutes in (300, 30, 0.1))
    waiting, said = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=forgotten, oldest_young_transaction=half_hour))
    settled, alone = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=forgotten, oldest_young_transaction=seconds))
    # A database that tells whole seconds may find a start young that is a fraction too old here: there may be others behind it.
    edge = NOW - HOUR - timedelta(seconds=0.5)
    held, quiet = window("timestamp", None, SourceClock(now=NOW, oldest_transaction=edge, oldest_young_transaction=edge))
    told = "a transaction has been open for 300 minutes, longer than max_stall: the window no longer waits for it"
    assert (waiting.high, said) == ("2026-01-10 11:30:00.000000", [f"{told}; it waits for a younger one, open for 30 minutes"])
    assert (settled.high, alone) == ("2026-01-10 11:59:00.000000", [told])
    assert (held.high, quiet) == ("2026-01-10 10:59:59.500000", [])


def test_a_day_holds_back_whole_days_and_a_window_takes_in_today() -> None:
    today, _ = window("date", "2026-01-10", SourceClock(now=NOW), overlap=timedelta(days=3))
    early, _ = window("date", "2026-01-10", SourceClock(now=datetime(2026, 1, 10, 0, 0, 30)), overlap=timedelta(hours=1))
    local, _ = window("date", None, SourceClock(now=datetime(2026, 1, 10, 3)), zone="America/New_York")
    assert (today.low, today.high, today.future_from) == ("2026-01-07", "2026-01-11", "2026-01-12")
    assert (early.low, early.high) == ("2026-01-09", "2026-01-10"), "half a minute after midnight yesterday is not over yet"
    assert local.high == "2026-01-10", "in New York it is still the ninth"


FALL_BACK = {  # case: (watermark, now in UTC, low, high); New York's clock goes from 02:00 back to 01:00 on 2026-11-01, 06:00 UTC
    "before the change": ("2026-11-01 00:30:00", datetime(2026, 11, 1, 5, 11), "2026-11-01 00:15:00.000000", "2026-11-01 01:10:00.000000"),
    "in the second pass": ("2026-11-01 01:59:00", datetime(2026, 11, 1, 6, 11), "2026-11-01 00:44:00.000000", "2026-11-01 01:10:00.000000"),
    "after the change": ("2026-11-01 01:30:00", datetime(2026, 11, 1, 8, 1), "2026-11-01 00:15:00.000000", "2026-11-01 03:00:00.000000"),
    "a later hour": ("2026-11-01 05:00:00", datetime(2026, 11, 1, 12, 1), "2026-11-01 04:45:00.000000", "2026-11-01 07:00:00.000000"),
}


def test_I13_the_hour_that_comes_twice_is_read_twice() -> None:
    found = {}
    for case, (watermark, now, *_) in FALL_BACK.items():
        chosen, _ = window("timestamp", watermark, SourceClock(now=now), zone="America/New_York", overlap=timedelta(minutes=15))
        found[case] = (watermark, now, chosen.low, chosen.high)
    assert found == FALL_BACK


def test_F20_a_clock_or_a_value_behind_the_watermark_is_said_and_an_open_transaction_is_not_taken_for_it() -> None:
    back, said = window("timestamp", "2026-01-11 12:00:00", SourceClock(now=NOW))
    held, quiet = window("timestamp", "2026-01-10 11:50:00", SourceClock(now=NOW, oldest_transaction=NOW - timedelta(minutes=30), sees_transactions=True))
    _, lower = window("int", "41", SourceClock(now=NOW), highest="40")
    _, none = window("int", "41", SourceClock(now=NOW), highest=None)
    _, fine = window("int", "41", SourceClock(now=NOW), highest="41")
    assert (back.is_empty, said) == (True, [CLOCK_BEHIND])
    assert (held.is_empty, quiet) == (True, [])
    assert (lower, none, fine) == ([BEHIND], [BEHIND], [])


def test_the_watermark_is_the_smaller_of_the_windows_end_and_the_highest_value_and_never_falls() -> None:
    inside = Window(kind="int", low="0", high="100")
    assert [watermark_after(inside, highest, "50") for highest in (None, "40", "60", "1000")] == ["50", "50", "60", "100"]
    assert [watermark_after(inside, highest, None) for highest in (None, "40")] == [None, "40"]


def test_a_bound_below_the_first_day_means_from_the_beginning() -> None:
    first, _ = window("timestamp", "0001-01-01 00:00:00", SourceClock(now=NOW), overlap=timedelta(days=400))
    assert first.low is None


def test_a_window_with_another_end_takes_for_future_what_its_own_clock_does() -> None:
    chosen, _ = window("date", "2026-01-10", SourceClock(now=NOW))
    other = ending_at(chosen, "2026-01-05 00:00:00")
    assert (other.high, other.future_from) == ("2026-01-05", chosen.future_from)


AFTER_NEWEST = {  # (end by the clock, newest in bronze): (what rows carry, is a warning said)
    ("2026-01-10 12:00:00.000000", None): ("2026-01-10 12:00:00.000000", False),
    ("2026-01-10 12:00:00.000000", "2026-01-10 11:59:59.5"): ("2026-01-10 12:00:00.000000", False),
    ("2026-01-10 12:00:00.000000", "2026-01-10 12:00:00"): ("2026-01-10 12:00:00.000000", False),
    ("2026-01-10 12:00:00.000000", "2026-01-10 12:00:00.1"): ("2026-01-10 12:00:00.100001", True),
    ("2026-01-10 12:00:00.000000", "2026-01-11 00:00:00"): ("2026-01-11 00:00:00.000001", True),
}


def test_F20_rows_never_carry_an_earlier_end_than_the_newest_batch() -> None:
    assert {case: (end, bool(said)) for case in AFTER_NEWEST for end, said in [after_newest(*case)]} == AFTER_NEWEST


numbers = st.integers(min_value=-1_000_000, max_value=1_000_000)


@given(
    low=numbers,
    width=st.integers(min_value=0, max_value=2_000),
    parts=st.integers(min_value=2, max_value=64),
    values=st.lists(st.none() | numbers, max_size=30),
)
def test_I19_I20_I21_every_row_is_in_exactly_one_part(low: int, width: int, parts: int, values: list[int | None]) -> None:
    cuts = cut_points(low, low + width, parts)
    predicates = ranges(DIALECTS["h2"], "x", "int", cuts)
    assert len(predicates) <= parts
    assert len(set(cuts)) == len(cuts)
    for value in values:
        assert sum(_is_true(predicate, value) for predicate in predicates) == (1 if predicates else 0), (value, predicates)


def _is_true(predicate: str, value: int | None) -> bool:
    """A part's predicate as SQL judges it: what compares with NULL is not true."""
    alternatives = predicate.strip("()").split(" OR ")
    return any(_both(alternative, value) for alternative in alternatives)


def _both(text: str, value: int | None) -> bool:
    if text == "x IS NULL":
        return value is None
    if value is None:
        return False
    for comparison in text.split(" AND "):
        _, sign, bound = comparison.split()
        if not (value < int(bound) if sign == "<" else value >= int(bound)):
            return False
    return True


def test_I19_a_value_that_hashes_like_none_is_read_by_one_part_and_the_smallest_hash_has_no_overflow() -> None:
    assert buckets(DIALECTS["sqlserver"], "[Code]", 3) == [
        "(ABS(CAST(CHECKSUM([Code]) AS bigint)) % 3 = 0 OR [Code] IS NULL)",
        "(ABS(CAST(CHECKSUM([Code]) AS bigint)) % 3 = 1 AND [Code] IS NOT NULL)",
        "(ABS(CAST(CHECKSUM([Code]) AS bigint)) % 3 = 2 AND [Code] IS NOT NULL)",
    ]


def test_no_more_connections_are_open_than_a_source_allows() -> None:
    slots, open_now, seen = Slots(3), [0], []
    start = Barrier(6)

    def read(parts: int) -> None:
        start.wait()
        for _ in range(20):
            with slots.hold(parts):
                open_now[0] += min(parts, 3)
                seen.append(open_now[0])
                open_now[0] -= min(parts, 3)

    threads = [Thread(target=read, args=(parts,)) for parts in (1, 1, 2, 2, 3, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(seen) == 120
    assert max(seen) <= 3
