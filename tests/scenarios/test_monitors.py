"""Monitors run through the job over real tables: two hospitals that load, stop and fail; audit rows of other days; damaged histories."""

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from harness import PROJECT, Mini
from rcm_lakehouse.audit.calendar import keep_calendar
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.writer import append_logs, ensure_audit, mark_start
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.lake.tables import layer_table
from rcm_lakehouse.pipeline.status import Status, read_status
from rcm_lakehouse.pipeline.status_door import main
from rcm_lakehouse.silver.schema import silver_schema, tombstone_schema

GOLD = ("facts_and_dimensions", "keys_in_dimensions", "totals_tie_out")
Rows = list[dict[str, Any]]


def put_monitors(mini: Mini, feeds: Mapping[str, Mapping[str, object]], *, with_gold: bool = False) -> None:
    """The project's own monitors (those of gold only where its models are) and a calendar."""
    folder = mini.home / "conf" / "monitor"
    folder.mkdir()
    for path in (PROJECT / "conf" / "monitor").glob("*.sql"):
        if with_gold or path.stem not in GOLD:
            shutil.copy(path, folder)
    (folder / "feeds.yml").write_text(json.dumps(feeds))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def judged(mini: Mini, now: datetime, *only: str) -> dict[str, Rows]:
    """What each monitor found, as dicts."""
    return as_dicts(read_status(mini.home, "local", only, now))


def as_dicts(status: Status) -> dict[str, Rows]:
    return {found.monitor.name: [dict(zip(found.columns, row, strict=True)) for row in found.rows] for found in status.found}


def job(mini: Mini, *arguments: str) -> int:
    return main(["--home", str(mini.home), *arguments])


def commits(mini: Mini) -> list[str]:
    return sorted(str(path) for path in (mini.home / "lakehouse").rglob("_delta_log/*.json"))


# Two hospitals that really load.

PERSON = "Zebulonia"
A_COLUMNS = "PatientID, FirstName, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB, Address, ModifiedDate"
B_COLUMNS = "ID, F_Name, L_Name, M_Name, SSN, PhoneNumber, Gender, DOB, Address, Updated_Date"


def people(columns: str) -> list[str]:
    kinds = {"DOB": "DATE", "ModifiedDate": "TIMESTAMP", "Updated_Date": "TIMESTAMP"}
    declared = ", ".join(f"{name} {kinds.get(name, 'VARCHAR(100)')}" for name in columns.split(", "))
    row = "('{}', '{}', 'Quillfeather', 'X', '123-45-6789', '(555) 010-4477', 'Female', DATE '1980-02-03', '1 Elm St, Akron, OH 44301', {})"
    values = ", ".join(row.format(f"P{number}", PERSON if number else "", "TIMESTAMP '2026-01-05 08:00:00'") for number in range(3))
    return [f"CREATE TABLE patients ({declared})", f"INSERT INTO patients ({columns}) VALUES {values}"]


@pytest.fixture(scope="module")
def network(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Hospitals A and B with three patients each, one of them without a first name; loaded, then A changed, then loaded again."""
    loads = ["hospital-a,hos-a,patients,Incremental,ModifiedDate,1,hosa", "hospital-b,hos-b,patients,Incremental,Updated_Date,1,hosb"]
    mini = Mini(spark, tmp_path_factory.mktemp("network"), loads, contracts=["patient"])
    mini.connections = {"hospital-a": mini.h2("hospital-a"), "hospital-b": mini.h2("hospital-b")}
    mini.write()
    put_monitors(mini, {f"{source}.*": {"by": "06:00", "early_minutes": 1440, "allowed_delay_minutes": 60} for source in ("hos-a", "hos-b")})
    mini.sql(*people(A_COLUMNS), database="hospital-a")
    mini.sql(*people(B_COLUMNS), database="hospital-b")
    assert mini.run().code == 0
    mini.sql("UPDATE patients SET LastName = 'Oakapple', ModifiedDate = TIMESTAMP '2026-01-06 08:00:00' WHERE PatientID = 'P1'", database="hospital-a")
    assert mini.run().code == 0
    return mini


def names_nobody(said: str) -> bool:
    return not [text for text in (PERSON, "Quillfeather", "Oakapple", "123-45", "010-4477", "1980", "Elm St", "P1") if text in said]


def test_after_good_runs_nothing_is_wrong_and_the_status_only_reads_and_names_no_person(network: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    before = commits(network)
    # A run holds the lock and the status is shown all the same.
    with lakehouse_lock(str(network.home / "lakehouse"), "20260101T000000Z-abcdef", "run_pipeline"):
        code = job(network)
    said = capsys.readouterr().out
    assert code == 0, said
    assert commits(network) == before
    for path in (network.home / "conf" / "monitor").glob("*.sql"):
        assert path.stem in said
    assert "ERROR" not in said
    assert "NOT RUN" not in said
    assert len(network.rows("quarantine.patient", "event")) == 2, "a row without a first name waits in quarantine in both hospitals"
    assert "rows_quarantined" in said
    assert names_nobody(said)


def test_the_calendar_is_written_once_and_again_when_it_changed(network: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    log = network.home / "lakehouse" / "audit" / "feed_calendar" / "_delta_log"
    assert len(list(log.glob("*.json"))) == 2, "made and filled by the first run; the second run had nothing to write"
    assert network.rows("audit.feed_calendar", "data_source", "tablename", "due_hour", "time_zone") == [
        ("hos-a", "patients", 6, "UTC"),
        ("hos-b", "patients", 6, "UTC"),
    ]
    feeds = network.home / "conf" / "monitor" / "feeds.yml"
    kept = feeds.read_text()
    feeds.write_text(kept.replace('"allowed_delay_minutes": 60', '"allowed_delay_minutes": 90'))
    job(network, "--only", "late_feeds")
    assert "feeds.yml was changed" in capsys.readouterr().out
    feeds.write_text(kept)


def test_A09_nothing_ran_so_every_feed_is_late_and_the_job_fails(network: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    later = datetime.now(timezone.utc) + timedelta(days=3)
    rows = judged(network, later, "late_feeds")["late_feeds"]
    assert [(row["data_source"], row["tablename"], row["what_happened"]) for row in rows] == [
        ("hos-a", "patients", "nothing ran"),
        ("hos-b", "patients", "nothing ran"),
    ]
    assert job(network, "--only", "late_feeds", "--now", later.isoformat()) == 1
    assert "ERROR   late_feeds  2 rows" in capsys.readouterr().out


def test_a_load_that_failed_is_shown_until_it_went_well(network: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    network.sql("ALTER TABLE patients RENAME TO patients_gone", database="hospital-b")
    assert network.run().code == 1
    assert job(network, "--only", "failed_loads,failure_history") == 1
    said = capsys.readouterr().out
    assert "ERROR   failed_loads" in said
    assert "hos-b.patients" in said
    assert "hos-a" not in said
    assert names_nobody(said)
    network.sql("ALTER TABLE patients_gone RENAME TO patients", database="hospital-b")
    assert network.run().code == 0
    assert job(network, "--only", "failed_loads,failure_history") == 0
    assert "hos-b.patients" in capsys.readouterr().out, "the history still has it"


# Audit rows of other days.

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


def load(source: str, table: str, when: str, status: str = "SUCCESS", *, layer: str = "bronze", **values: Any) -> LoadLog:
    """An audit row; a bronze row's counts add up unless they are given."""
    number = next(NUMBER)
    ended = at(when)
    target = f"bronze.{source.replace('-', '')}_{table}" if layer == "bronze" else values.pop("target", "silver.thing")
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


def silver(source: str, table: str, when: str, **values: Any) -> LoadLog:
    return load(source, table, when, layer="silver", **values)


def other_days() -> list[LoadLog]:
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
        load("network", "fresh", "2026-02-20T09:00"),
        load("network", "failing", "2026-01-20T09:00"),
        load("network", "failing", "2026-03-09T09:00", "FAILED", error_class="SourceUnavailableError"),
        load("network", "served_old", "2026-01-20T09:00"),
        load("network", "served_old", "2026-03-09T09:00", warnings=["stale: the answer of 20 January was kept"]),
        # Volumes.
        *runs_of("quiet", [40, 0, 0, 0, 0, 0]),
        *runs_of("nearly_quiet", [40, 0, 0, 0, 0]),
        *runs_of("dropped", [100, 110, 90, 0, 105, 100, 95, 5]),
        *runs_of("burst", [100, 110, 90, 105, 100, 95, 1000]),
        *runs_of("steady", [100, 110, 90, 105, 100, 95, 30]),
        *runs_of("young", [100, 110, 90, 1000]),
        # Watermarks.
        *marks_of("counter", [("SUCCESS", "9"), ("SUCCESS", "10"), ("SUCCESS", None), ("SUCCESS", "10")]),
        *marks_of("clock", [("SUCCESS", "2026-03-09 10:00:00.000000"), ("SUCCESS", None), ("SUCCESS", "2026-03-09 09:59:59.999999")]),
        *marks_of("set_back", [("SUCCESS", "500"), ("RESET", None), ("SUCCESS", "100"), ("RESET", "50"), ("SUCCESS", "60")]),
        # Conservation, backlog, quarantine.
        load("hos-b", "lost", "2026-03-09T08:00", rows_read=10, rows_written=7, rows_duplicate=2, load_id="lost-1"),
        load("hos-b", "leaking", "2026-03-09T08:00", rows_read=10, load_id="leaking-1"),
        silver("hos-b", "leaking", "2026-03-09T08:01", load_id="leaking-1", rows_read=9, rows_written=9),
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
    ]


@pytest.fixture(scope="module")
def days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """A lakehouse that has an audit of other days, a calendar, and one damaged history; nothing was ever loaded."""
    loads = [f"any,{source},{table},Full,,1,{source.replace('-', '')}" for source in ("hos-a", "hos-b", "network") for table in TABLES]
    contract = {
        "description": "a thing",
        "grain": "one thing",
        "key": ["number"],
        "columns": [{"name": "number", "type": "string", "description": "its number"}],
        "sources": [{"name": "all", "tables": TABLES, "columns": {"number": "Number"}}],
    }
    mini = Mini(spark, tmp_path_factory.mktemp("days"), loads, own_contracts={"thing": contract})
    mini.connections = {"any": mini.h2()}
    mini.write()
    put_monitors(mini, FEEDS)
    lake = mini.lake
    ensure_audit(lake)
    keep_calendar(lake, load_project(mini.home, "local").feeds)
    append_logs(lake, other_days())
    for run_id, started in (("ended", "2026-02-01T00:00"), ("hangs", "2026-03-09T16:00"), ("goes on", "2026-03-20T00:30")):
        mark_start(lake, {"run_id": run_id, "started_at": at(started), "windows": []})
    append_logs(lake, [LoadLog(id="end", run_id="ended", layer="run", loaddate=at("2026-02-01T01:00"), finished_at=at("2026-02-01T01:00"))])
    damage(mini)
    return mini


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


def write(mini: Mini, layer: str, name: str, schema: StructType, rows: Sequence[Mapping[str, object]]) -> None:
    table = layer_table(layer, name)
    mini.lake.ensure(table, schema)
    values = [tuple(row.get(column) for column in schema.names) for row in rows]
    mini.lake.append(table, mini.spark.createDataFrame(values, schema).coalesce(1), metadata={})


def named(rows: Rows, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


@pytest.fixture(scope="module")
def tuesday(days: Mini) -> dict[str, Rows]:
    """What all monitors find at half past twelve (UTC) on Tuesday, 10 March 2026."""
    return judged(days, TUESDAY)


def test_A10_hospital_A_is_on_time_and_only_B_is_late(days: Mini, tuesday: dict[str, Rows]) -> None:
    late = {(row["data_source"], row["tablename"]): row for row in tuesday["late_feeds"]}
    assert ("hos-a", "patients") not in late
    assert late["hos-b", "patients"]["due_at"] == datetime(2026, 3, 10, 10)
    assert late["hos-b", "patients"]["what_happened"] == "nothing ran"
    assert late["hos-b", "patients"]["last_good_at"] == datetime(2026, 3, 9, 9, 30)
    # At the very end of the allowed delay nobody is late yet.
    assert ("hos-b", "patients") not in [(row["data_source"], row["tablename"]) for row in judged(days, at("2026-03-10T12:00"), "late_feeds")["late_feeds"]]


def test_A09_a_feed_is_late_by_weekday_month_and_rows_and_says_what_happened(tuesday: dict[str, Rows]) -> None:
    assert sorted(named(tuesday["late_feeds"], "data_source", "tablename", "due_at", "what_happened")) == [
        ("hos-a", "claims", datetime(2026, 3, 9, 13), "it ran, without rows"),
        ("hos-a", "encounters", datetime(2026, 3, 10, 10), "it ended as FAILED"),
        ("hos-a", "monthly", datetime(2026, 2, 28, 11), "nothing ran"),
        ("hos-b", "patients", datetime(2026, 3, 10, 10), "nothing ran"),
    ]


def test_the_history_of_feeds_agrees_with_the_late_ones_and_follows_the_local_clock(tuesday: dict[str, Rows]) -> None:
    history = [row for row in tuesday["feed_history"] if (row["data_source"], row["tablename"]) == ("hos-b", "patients")]
    assert named(history, "due_at", "verdict")[:4] == [
        (datetime(2026, 3, 10, 10), "missing"),
        (datetime(2026, 3, 9, 10), "on time"),
        (datetime(2026, 3, 8, 10), "on time"),
        (datetime(2026, 3, 7, 11), "on time"),
    ]


def test_a_reference_is_stale_when_its_last_good_version_is_too_old(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["stale_references"], "tablename", "age_days", "newest_status") == [
        ("failing", 49, "FAILED"),
        ("never", None, None),
        ("served_old", 49, "SUCCESS"),
    ]


def test_A11_runs_without_a_row_in_a_row_are_told(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["zero_row_runs"], "tablename", "runs_without_rows", "last_rows_at") == [("quiet", 5, datetime(2026, 3, 5, 8))]


def test_a_volume_is_unusual_against_the_median_of_the_loads_own_runs(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["volume_anomalies"], "tablename", "newest_rows", "median_rows", "verdict") == [
        ("burst", 1000, 100.0, "more"),
        ("dropped", 5, 100.0, "fewer"),
    ]


def test_A08_a_watermark_that_went_back_is_told_unless_it_was_reset(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["watermark_went_back"], "tablename", "watermark_before", "watermark_after") == [
        ("clock", "2026-03-09 10:00:00.000000", "2026-03-09 09:59:59.999999")
    ]


def test_rows_that_are_unaccounted_for_are_told_in_a_layer_and_between_layers(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["conservation"], "layer", "tablename", "rows_read", "rows_accounted", "rows_missing") == [
        ("bronze", "lost", 10, 9, 1),
        ("silver", "leaking", 10, 9, 1),
    ]
    assert named(tuesday["conservation_between_layers"], "load_id", "rows_in_bronze", "rows_taken") == [("leaking-1", 10, 9)]


def test_batches_that_wait_and_much_quarantine_are_warned_of(tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["silver_backlog"], "bronze_table", "batches_waiting", "rows_waiting", "since") == [
        ("bronze.hosb_waiting", 2, 50, datetime(2026, 3, 8, 8))
    ]
    shares = {row["silver_table"]: float(row["quarantined_rate"]) for row in tuesday["quarantined_share"]}
    assert shares == {"silver.other": 0.3}


def test_only_the_newest_run_of_a_step_counts_as_failed(tuesday: dict[str, Rows]) -> None:
    assert sorted(named(tuesday["failed_loads"], "step", "status")) == [
        ("hos-a.encounters", "FAILED"),
        ("hos-b.abandoned", "ABANDONED"),
        ("network.failing", "FAILED"),
    ]
    assert ("hos-b.mended", "FAILED") in named(tuesday["failure_history"], "step", "status")


def test_a_run_without_an_end_is_told_and_a_run_that_goes_on_is_waited_for(days: Mini, tuesday: dict[str, Rows]) -> None:
    assert named(tuesday["unfinished_runs"], "run_id", "planned_loads") == [("hangs", 0)]
    status = read_status(days.home, "local", ["history_integrity", "conservation"], at("2026-03-20T01:00"))
    assert {found.monitor.name: found.not_run for found in status.found} == {"conservation": None, "history_integrity": "a run is going on"}
    assert "goes on" in status.notes[0]


def test_A01_A02_A03_histories_that_contradict_themselves_are_counted(tuesday: dict[str, Rows]) -> None:
    assert dict(named(tuesday["history_integrity"], "contradiction", "versions")) == {
        "ends without a delete": 2,
        "overlaps the next version": 3,
        "is open though its key was deleted": 1,
        "is_current and effective_to disagree": 1,
        "ends before it begins": 1,
    }
    assert {row["entity"] for row in tuesday["history_integrity"]} == {"thing"}


def test_pictures_are_cut_at_twenty_rows_and_warnings_alone_do_not_fail_the_job(days: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    assert job(days, "--only", "rows_by_load_and_day,volume_anomalies,slowest_loads", "--now", "2026-03-10T12:30") == 0
    said = capsys.readouterr().out
    assert "info    rows_by_load_and_day  the first 20 rows of more" in said
    assert "WARN    volume_anomalies      2 rows" in said


def test_a_query_that_fails_is_an_error_of_its_monitor_alone(days: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    broken = days.home / "conf" / "monitor" / "broken.sql"
    broken.write_text("/*\ntitle: Broken\nrow: none\nseverity: info\n*/\nSELECT no_such_column FROM audit.runs\n")
    try:
        assert job(days, "--only", "broken,unfinished_runs", "--now", "2026-02-02T00:00") == 1
    finally:
        broken.unlink()
    said = capsys.readouterr().out
    assert "ERROR   broken           the query failed (AnalysisException:UNRESOLVED_COLUMN" in said
    assert "ok      unfinished_runs  nothing" in said


def test_without_a_run_the_status_says_so_and_fails(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,departments,Full,,1,hosa"], contracts=["department"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    put_monitors(mini, {})
    assert job(mini) == 1
    assert "no run has been recorded" in capsys.readouterr().out
    assert not list(tmp_path.rglob("_delta_log"))


# Silver and gold that do not fit each other.

SKS = "patient_sk provider_sk department_sk payer_sk procedure_code_sk".split()
DIMENSIONS = {"patient": "patient", "provider": "provider", "department": "department", "payer": "payer", "procedure": "procedure_code"}
FACTS = {
    "fact_transactions": ("transaction_key", 5, "charge_amount"),
    "fact_encounters": ("encounter_key", 3, None),
    "fact_claims": ("claim_key", 4, "billed_amount"),
}


def schema(text: str) -> StructType:
    return StructType.fromDDL(text)


@pytest.fixture(scope="module")
def marts(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Tables of silver and gold with the columns that monitors compare: two of everything, all in order."""
    loads = ["hospital-a,hos-a,departments,Full,,1,hosa"]
    contracts, models = (sorted(path.stem for path in (PROJECT / "conf").glob(kind)) for kind in ("cdm/*.yml", "gold/*.sql"))
    mini = Mini(spark, tmp_path_factory.mktemp("marts"), loads, contracts=contracts, models=models)
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    put_monitors(mini, {}, with_gold=True)
    ensure_audit(mini.lake)
    for short, entity in DIMENSIONS.items():
        keys = [{f"{entity}_key": f"k{number}", f"{entity}_sk": f"s{number}"} for number in (1, 2)]
        write(mini, "silver", entity, schema(f"{entity}_key STRING"), keys)
        unknown = {f"{entity}_key": "-1", f"{entity}_sk": "-1"}
        write(mini, "gold", f"dim_{short}", schema(f"{entity}_key STRING, {entity}_sk STRING"), [*keys, unknown])
    for fact, (key, links, _) in FACTS.items():
        rows = [{key: f"f{number}", **dict.fromkeys(SKS[:links], f"s{number}"), "amount": number} for number in (1, 2)]
        fact_rows(mini, "gold", fact, rows)
    for entity, fact in (("transaction", "fact_transactions"), ("claim", "fact_claims")):
        fact_rows(mini, "silver", fact, [{"amount": number, "is_current": True} for number in (1, 2)], name=entity)
    return mini


def fact_rows(mini: Mini, layer: str, fact: str, rows: Sequence[Mapping[str, Any]], name: str | None = None) -> None:
    key, links, amount = FACTS[fact]
    amounts = [amount, "paid_amount"] if amount else []
    columns = [f"{column} STRING" for column in (key, *SKS[:links])] if layer == "gold" else ["is_current BOOLEAN"]
    ddl = ", ".join([*columns, *(f"{column} DECIMAL(18,2)" for column in amounts)])
    write(mini, layer, name or fact, schema(ddl), [{**row, **dict.fromkeys(amounts, Decimal(row["amount"]))} for row in rows])


def test_A05_A06_A07_silver_and_gold_are_compared_by_key_version_and_cent(marts: Mini) -> None:
    # A key that the dimension lacks, a fact that is there twice, a version that is there twice, a fact whose version is gone.
    write(marts, "silver", "payer", schema("payer_key STRING"), [{"payer_key": "k3"}])
    write(marts, "gold", "dim_provider", schema("provider_key STRING, provider_sk STRING"), [{"provider_key": "k1", "provider_sk": "s1"}])
    fact_rows(marts, "gold", "fact_claims", [{"claim_key": "f2", **dict.fromkeys(SKS[:4], "s2"), "department_sk": "gone", "amount": 3}])
    found = judged(marts, TUESDAY, *GOLD)
    assert found["keys_in_dimensions"] == [{"dimension": "gold.dim_payer", "keys_missing": 1, "keys_too_many": 0}]
    assert named(found["facts_and_dimensions"], "fact", "dimension", "facts_with_none", "facts_with_several") == [
        ("gold.fact_claims", "gold.dim_department", 1, 0),
        ("gold.fact_claims", "gold.dim_provider", 0, 1),
        ("gold.fact_claims", "itself", 0, 1),
        ("gold.fact_encounters", "gold.dim_provider", 0, 1),
        ("gold.fact_transactions", "gold.dim_provider", 0, 1),
    ]
    assert [(row["fact"], row["total"], float(row["in_silver"]), float(row["in_gold"])) for row in found["totals_tie_out"]] == [
        ("gold.fact_claims", "billed", 3.0, 6.0),
        ("gold.fact_claims", "paid", 3.0, 6.0),
        ("gold.fact_claims", "rows", 2.0, 3.0),
    ]
