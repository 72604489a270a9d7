"""Monitors run through the job over two hospitals that load, stop and fail."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from monitors_kit import commits, job, judged, named, put_monitors
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.pipeline.context import Backfill
from windows_kit import BRONZE, insert, project

pytestmark = pytest.mark.wide

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


@pytest.mark.deep
def test_A09_a_backfill_and_a_reset_are_no_delivery_of_their_feed(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2025-01-10 10:00:00"), insert("b", "2026-01-10 10:00:00"))
    began = datetime.now(timezone.utc)
    # Due in twelve hours; whatever came since half a day ago counts for it.
    due, later = began + timedelta(hours=12), began + timedelta(hours=14)
    put_monitors(mini, {"hos-a.visits": {"by": f"{due:%H:%M}", "early_minutes": 1440, "max_age_days": 3}})
    assert mini.run(layers=BRONZE, backfill=Backfill(("hos-a.visits",), "2025-01-01", "2025-02-01")).log("bronze", "hosa_visits").rows_written == 1
    assert mini.run(reset_watermark=("hos-a.visits", "beginning")).code == 0
    found = judged(mini, later, "late_feeds", "feed_history", "stale_references")
    assert named(found["late_feeds"], "tablename", "what_happened", "last_good_at") == [("visits", "nothing ran", None)]
    assert named(found["feed_history"], "tablename", "verdict") == [("visits", "missing")]
    assert named(found["stale_references"], "tablename", "last_good_at") == [("visits", None)]
    # What a full refresh or a comparison is asked for reads the live window too.
    assert mini.run(layers=BRONZE, full_refresh=("hos-a.visits",)).code == 0
    found = judged(mini, later, "late_feeds", "feed_history", "stale_references")
    assert (found["late_feeds"], found["stale_references"]) == ([], [])
    assert named(found["feed_history"], "tablename", "verdict") == [("visits", "on time")]


def test_without_a_run_the_status_says_so_and_fails(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,departments,Full,,1,hosa"], contracts=["department"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    put_monitors(mini, {})
    assert job(mini) == 1
    assert "no run has been recorded" in capsys.readouterr().out
    assert not list(tmp_path.rglob("_delta_log"))


@pytest.mark.deep
def test_a_calendar_that_fits_no_load_judges_nothing_and_fails(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = project(spark, tmp_path)
    put_monitors(mini, {"hos-z.*": {"by": "06:00"}})
    assert mini.run(layers=BRONZE).code == 0
    assert job(mini, "--only", "late_feeds") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "no entry of conf/monitor/feeds.yml fits a row of load_config.csv, so no feed can be judged. Name your feeds there." in said
    feeds = mini.home / "conf" / "monitor" / "feeds.yml"
    feeds.write_text('{"hos-a.*": {"by": "06:00"}}')
    assert mini.run(layers=BRONZE).code == 0
    feeds.write_text('{"hos-z.*": {"by": "06:00"}}')
    assert mini.run(layers=BRONZE).code == 0
    assert job(mini, "--only", "unfinished_runs") == 1, "an emptied calendar judges no more than none"
    feeds.write_text("{}")
    assert job(mini, "--only", "unfinished_runs") == 0, "who keeps no calendar waits for nothing"
