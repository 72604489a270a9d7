"""An audit of other days and histories, sound and damaged, for monitors to judge on Tuesday, 10 March 2026."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from harness import Mini
from monitors_kit import at, write
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.silver.schema import silver_schema, tombstone_schema

TUESDAY = at("2026-03-10T12:30")
NUMBER = itertools.count(1)
NEW_YORK = {"time_zone": "America/New_York", "allowed_delay_minutes": 120}
DAILY = {"by": "06:00", **NEW_YORK}
WEEKLY = {"by": "09:00", "weekdays": ["mon"], "needs_rows": True, **NEW_YORK}
FEEDS: dict[str, dict[str, object]] = {
    "hos-a.patients": DAILY,
    "hos-b.patients": DAILY,
    "hos-a.encounters": DAILY,
    "hos-b.encounters": {**DAILY, "not_on": ["2026-03-10"]},
    "hos-a.claims": WEEKLY,
    "hos-b.claims": WEEKLY,
    "hos-a.monthly": {"by": "06:00", "days_of_month": [31], **NEW_YORK},
    "network.fresh": {"max_age_days": 30},
    "network.failing": {"max_age_days": 30},
    "network.served_old": {"max_age_days": 30},
    "network.never": {"max_age_days": 30},
}
TABLES = (
    "patients encounters claims monthly fresh failing served_old never quiet nearly_quiet dropped burst steady young counter clock set_back waiting bad "
    "lost leaking mended abandoned"
).split()


WHOLE = {"rows_read": 10, "rows_written": 10}
HELD_BACK = "9 of 9 current keys are absent: their deletes are held. If it is right, run again with --approve-deletes hos-b.things"


def load(source: str | None, table: str, when: str, status: str = "SUCCESS", *, layer: str = "bronze", **values: Any) -> LoadLog:
    """An audit row; a bronze row's counts add up unless they are given."""
    number = next(NUMBER)
    ended = at(when)
    target = f"bronze.{(source or '').replace('-', '')}_{table}" if layer == "bronze" else values.pop("target", "silver.thing")
    if layer == "bronze" and status == "SUCCESS":
        read = values.setdefault("rows_read", 10)
        values.setdefault("rows_written", read)
    given = {"run_id": f"{when}-{number:04d}", "target": target, "loaddate": ended, "finished_at": ended, "seconds": 1.0, **values}
    return LoadLog(id=f"row-{number:05d}", data_source=source, tablename=table, layer=layer, status=status, **given)


def runs_of(table: str, counts: Sequence[int]) -> list[LoadLog]:
    """One run a day of an incremental load, the last on 10 March, with these numbers of new rows."""
    days = [TUESDAY.date() - timedelta(days=len(counts) - 1 - number) for number in range(len(counts))]
    marks = {"watermarkcolumnname": "ModifiedDate", "watermark_before": "2026-01-01"}
    return [load("hos-b", table, f"{day}T08:00", rows_read=count, **marks) for day, count in zip(days, counts, strict=True)]


def marks_of(table: str, marks: Sequence[tuple[str, str | None]]) -> list[LoadLog]:
    """Runs that ended at these watermarks, one an hour; the first of each pair is the status."""
    return [
        load("hos-b", table, f"2026-03-09T{hour:02d}:00", status, watermarkcolumnname="Changed", watermark_after=mark)
        for hour, (status, mark) in enumerate(marks)
    ]


def silver(source: str | None, table: str, when: str, **values: Any) -> LoadLog:
    return load(source, table, when, layer="silver", **values)


def other_days() -> list[LoadLog]:
    """Rows whose times and volumes a monitor must tell or pass over."""
    return [
        # Due times. 10 March 06:00 in New York is 10:00 UTC; before 8 March it was 11:00.
        *[load(source, "patients", f"2026-03-{day:02d}T09:30") for source in ("hos-a", "hos-b") for day in (6, 7, 8, 9)],
        load("hos-a", "patients", "2026-03-10T09:30"),
        load("hos-a", "encounters", "2026-03-10T09:30", "FAILED", error_class="SourceUnavailableError"),
        load("hos-b", "encounters", "2026-03-09T09:30"),
        load("hos-a", "claims", "2026-03-09T12:00", rows_read=0),
        load("hos-b", "claims", "2026-03-09T12:00"),
        load("hos-a", "monthly", "2026-02-01T09:30"),
        # References.
        load("network", "fresh", "2026-02-20T09:00", warnings=["stale_codes.csv: 2 blank lines were passed over"]),
        load("network", "failing", "2026-01-20T09:00"),
        load("network", "failing", "2026-03-09T09:00", "FAILED", error_class="SourceUnavailableError"),
        load("network", "served_old", "2026-01-20T09:00"),
        load("network", "served_old", "2026-03-09T09:00", warnings=["stale: the answer of 20 January was kept"]),
        # Volumes.
        *runs_of("quiet", [40, 0, 0, 0, 0, 0]),
        load("hos-b", "quiet", "2026-03-09T12:00", rows_read=5, watermarkcolumnname="ModifiedDate", watermark_before="2026-01-01", is_backfill=True),
        *runs_of("nearly_quiet", [40, 0, 0, 0, 0]),
        *runs_of("dropped", [100, 110, 90, 0, 105, 100, 95, 5]),
        *runs_of("burst", [100, 110, 90, 105, 100, 95, 1000]),
        *runs_of("steady", [100, 110, 90, 105, 100, 95, 30]),
        load("hos-b", "steady", "2026-03-10T12:00", rows_read=9000, watermarkcolumnname="ModifiedDate", watermark_before="2026-01-01", is_backfill=True),
        *runs_of("young", [100, 110, 90, 1000]),
    ]


def other_counts() -> list[LoadLog]:
    """Rows whose watermarks, counts and ends a monitor must tell or pass over."""
    return [
        # Watermarks.
        *marks_of("counter", [("SUCCESS", "9"), ("SUCCESS", "10"), ("SUCCESS", None), ("SUCCESS", "10")]),
        *marks_of("clock", [("SUCCESS", "2026-03-09 10:00:00.000000"), ("SUCCESS", None), ("SUCCESS", "2026-03-09 09:59:59.999999")]),
        *marks_of("set_back", [("SUCCESS", "500"), ("RESET", None), ("SUCCESS", "100"), ("RESET", "50"), ("SUCCESS", "60")]),
        # Conservation, backlog, quarantine.
        load("hos-b", "lost", "2026-03-09T08:00", rows_read=10, rows_written=7, rows_duplicate=2, load_id="lost-1"),
        load("hos-b", "leaking", "2026-03-09T08:00", rows_read=10, load_id="leaking-1"),
        silver("hos-b", "leaking", "2026-03-09T08:01", load_id="leaking-1", rows_read=9, rows_written=9),
        # A file and the correction of another, taken one after the other.
        load("hos-b", "parts", "2026-03-09T08:00", rows_read=10, rows_written=10, load_id="parts-1"),
        silver("hos-b", "parts", "2026-03-09T08:01", load_id="parts-1", rows_read=6, rows_written=6),
        silver("hos-b", "parts", "2026-03-09T08:02", load_id="parts-1", rows_read=4, rows_written=4),
        silver("hos-b", "leaking", "2026-03-09T08:02", load_id="other", rows_read=10, rows_written=5, rows_unchanged=1, rows_quarantined=3),
        load("hos-b", "waiting", "2026-03-07T08:00", rows_read=10, batch_seq=1),
        load("hos-b", "waiting", "2026-03-08T08:00", rows_read=20, batch_seq=2),
        load("hos-b", "waiting", "2026-03-10T08:00", rows_read=30, batch_seq=3),
        silver("hos-b", "waiting", "2026-03-07T08:01", rows_read=10, rows_written=10, consumed='{"bronze.hosb_waiting": 1}'),
        silver("hos-b", "bad", "2026-03-09T08:01", target="silver.other", rows_read=100, rows_written=70, rows_quarantined=30),
        # How steps ended.
        load("hos-b", "mended", "2026-03-08T08:00", "FAILED", error_class="X"),
        load("hos-b", "mended", "2026-03-09T08:00"),
        load("hos-b", "abandoned", "2026-03-08T08:00"),
        load("hos-b", "abandoned", "2026-03-09T08:00", "ABANDONED"),
        # Two hospitals in one silver table: one is held, the other goes on; then the step fails as a whole and is mended.
        *[silver("hos-a", "things", f"2026-03-0{day}T08:01", target="silver.shared", **WHOLE) for day in (6, 7, 9)],
        silver("hos-b", "things", "2026-03-06T08:01", target="silver.shared", **WHOLE),
        silver("hos-b", "things", "2026-03-07T08:01", status="HELD", target="silver.shared", warnings=[HELD_BACK], **WHOLE),
        silver(None, "shared", "2026-03-08T08:01", status="FAILED", target="silver.shared", error_class="X"),
        # A hold that a later delivery has lifted.
        silver("hos-a", "lifted", "2026-03-07T08:01", status="HELD", target="silver.lifted", warnings=[HELD_BACK], **WHOLE),
        silver("hos-a", "lifted", "2026-03-08T08:01", target="silver.lifted", **WHOLE),
    ]


FROM, TO, OTHER = "2026-01-01T00:00", "2026-01-05T00:00", "2026-01-09T00:00"
HISTORIES: dict[str, list[tuple[str, str | None, bool]]] = {
    "one version": [(FROM, None, True)],
    "two versions": [(FROM, TO, False), (TO, None, True)],
    "a gap with a delete": [(FROM, TO, False), (OTHER, None, True)],
    "deleted": [(FROM, TO, False)],
    "A01 a gap without a delete": [(FROM, TO, False), (OTHER, None, True)],
    "A01 closed without a delete": [(FROM, TO, False)],
    "A02 overlap": [(FROM, OTHER, False), (TO, None, True)],
    "A02 the same time twice": [(FROM, TO, False), (FROM, TO, False), (TO, None, True)],
    "A03 two open": [(FROM, None, True), (TO, None, True)],
    "A03 open though deleted": [(FROM, None, True)],
    "A03 current but closed": [(FROM, TO, True), (TO, None, True)],
    "ends before it begins": [(TO, FROM, False), (OTHER, None, True)],
}
DELETES = {"a gap with a delete": TO, "deleted": TO, "A03 open though deleted": FROM, "ends before it begins": FROM}


def damage(mini: Mini) -> None:
    """Write histories, sound and not, into silver.thing as no run would."""
    contract = load_project(mini.home, "local").contracts["thing"]
    versions = [
        {"thing_key": key, "data_source": "hos-a", "effective_from": at(low), "effective_to": at(high) if high else None, "is_current": current}
        for key, listed in HISTORIES.items()
        for low, high, current in listed
    ]
    deletes = [{"thing_key": key, "deleted_at": at(when)} for key, when in DELETES.items()]
    write(mini, "silver", "thing", silver_schema(contract), versions)
    write(mini, "silver", "thing_tombstones", tombstone_schema(contract), deletes)
