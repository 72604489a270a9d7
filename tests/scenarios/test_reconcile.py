"""Reconciliation takes what a load takes: whole keys, the policies for watermarks and types, flags; held deletes, and counts that add up."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import incremental, visit_contract
from monitors_kit import at, judged, put_monitors
from rcm_lakehouse.audit.schema import LoadLog
from servers import PLAIN_CONTRACT, Server, connection_to

pytestmark = pytest.mark.wide

TABLE = "CREATE TABLE visits (VisitID VARCHAR(20), State VARCHAR(60), Ward INT, Mark TIMESTAMP(6))"


def lakehouse(spark: SparkSession, home: Path, **options: Any) -> Mini:
    """Twenty visits, loaded; the wards are numbers."""
    contract = visit_contract(["visits"])
    contract["columns"].append({"name": "ward", "type": "int"})
    contract["sources"][0]["columns"]["ward"] = "Ward"
    mini = Mini(spark, home, [incremental("visits")], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(tables={"visits": options})}
    mini.write()
    rows = [f"('V{n:03d}', 'open', {n}, TIMESTAMP '2026-01-{n:02d} 08:00:00')" for n in range(1, 21)]
    mini.sql(TABLE, f"INSERT INTO visits VALUES {', '.join(rows)}")
    first = mini.run(now="2026-01-25T12:00:00Z")
    assert first.code == 0, first.said
    return mini


def compared(mini: Mini, now: str, code: int = 0, **options: Any) -> LoadLog:
    """The audit row of a comparison; its counts add up."""
    ended = mini.run(now=now, **{"reconcile": ("hos-a.visits",), **options})
    assert ended.code == code, ended.said
    log = ended.log("reconcile", "hosa_visits")
    assert log.rows_read == sum(count or 0 for count in (log.rows_written, log.rows_duplicate, log.rows_dropped))
    return log


def states(mini: Mini) -> dict[str, str]:
    return dict(mini.rows("silver.visit", "source_visit_id", "state", where="is_current"))


def test_I34_rows_without_a_whole_key_or_a_watermark_are_no_drift(spark: SparkSession, tmp_path: Path) -> None:
    mini = lakehouse(spark, tmp_path, null_watermark="exclude")
    mini.sql(
        # Its bucket is that of V444: what differs there must not fetch it.
        "INSERT INTO visits VALUES (NULL, 'nobody', 1, TIMESTAMP '2026-01-02 08:00:00'), ('V444', 'missed', 1, TIMESTAMP '2026-01-02 08:00:00')",
        "INSERT INTO visits VALUES ('V401', 'unmarked', 1, NULL)",
        # It was loaded once and has lost its mark: neither deleted nor changed.
        "UPDATE visits SET Mark = NULL, State = 'lost its mark' WHERE VisitID = 'V005'",
    )
    log = compared(mini, "2026-01-25T13:00:00Z")
    assert (log.rows_written, log.rows_dropped) == (1, 1), log.message
    assert log.message == "compared with the source: 1 missed, 0 changed without a new watermark, 0 deleted"
    found = states(mini)
    assert (found["V444"], found["V005"], "V401" in found, mini.frame("quarantine.visit").count()) == ("missed", "open", False, 0)
    again = compared(mini, "2026-01-25T14:00:00Z")
    assert again.rows_written == 0, again.message


@pytest.mark.deep
def test_I34_D02_a_drifted_type_is_taken_by_the_policy_of_the_load(spark: SparkSession, tmp_path: Path) -> None:
    mini = lakehouse(spark, tmp_path, type_drift="quarantine")
    mini.sql(
        "ALTER TABLE visits ALTER COLUMN Ward VARCHAR(9)",
        "INSERT INTO visits VALUES ('V314', 'fits', '7', TIMESTAMP '2026-01-02 08:00:00'), ('V402', 'does not', 'North', TIMESTAMP '2026-01-02 08:00:00')",
    )
    log = compared(mini, "2026-01-25T13:00:00Z")
    assert log.rows_written == 2, log.message
    assert mini.rows("silver.visit", "state", "ward", where="source_visit_id = 'V314' AND is_current") == [("fits", 7)]
    assert "V402" not in states(mini)
    assert mini.rows("quarantine.visit", "event") == [("seen",)]
    assert compared(mini, "2026-01-25T14:00:00Z").rows_written == 0, "what was taken is known"


@pytest.mark.deep
def test_I34_a_missed_row_with_a_day_that_is_none_waits_in_quarantine(spark: SparkSession, tmp_path: Path, mariadb_server: Server) -> None:
    mariadb_server.make_database("compared")
    insert = "SET sql_mode = 'ALLOW_INVALID_DATES'; INSERT INTO notes VALUES"
    mariadb_server.execute("CREATE TABLE notes (id INT PRIMARY KEY, content VARCHAR(20), changed DATETIME(6), born DATE);", "compared")
    mariadb_server.execute(f"{insert} (1, 'sound', '2024-06-01', '1960-02-29');", "compared")
    mapping = PLAIN_CONTRACT["sources"][0]
    contract = {
        **PLAIN_CONTRACT,
        "columns": [*PLAIN_CONTRACT["columns"], {"name": "born", "type": "date", "description": "a day"}],
        "sources": [{**mapping, "columns": {**mapping["columns"], "born": "born"}}],
    }
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": contract})
    mini.connections = {"emr": connection_to(mariadb_server, "compared", tmp_path)}
    mini.write()
    assert mini.run().code == 0
    mariadb_server.execute(f"{insert} (2, 'no day', '2024-01-02', '0000-00-00'), (3, 'missed', '2024-01-03', '1960-03-01');", "compared")

    ended = mini.run(reconcile=("hos-a.notes",))

    assert ended.log("reconcile", "hosa_notes").rows_written == 2, ended.said
    assert mini.rows("silver.note", "content", "born", where="is_current") == [("missed", dt.date(1960, 3, 1)), ("sound", dt.date(1960, 2, 29))]
    assert mini.rows("quarantine.note", "entity_key", "reasons.columns") == [("hos-a|2", ["born"])]
    assert mini.rows("bronze.hosa_notes", "_flags", where="id = 2") == [(["reconciled", "zero_date:born", "present"],)]
    assert mini.run(reconcile=("hos-a.notes",)).log("reconcile", "hosa_notes").rows_written == 0


@pytest.mark.deep
def test_held_deletes_are_applied_by_the_next_run_that_approves_them(spark: SparkSession, tmp_path: Path) -> None:
    mini = lakehouse(spark, tmp_path)
    mini.sql("DELETE FROM visits WHERE VisitID < 'V010'")
    held = compared(mini, "2026-01-25T13:00:00Z", code=4)
    assert (held.status, held.rows_written) == ("HELD", 0)
    assert mini.run(now="2026-01-25T13:05:00Z").code == 0, "nobody said a word"
    assert len(states(mini)) == 20

    approved = compared(mini, "2026-01-25T13:10:00Z", reconcile=(), approve_deletes=("hos-a.visits",))

    assert (approved.status, approved.rows_written, approved.rows_read) == ("SUCCESS", 9, 9 + (approved.rows_duplicate or 0))
    assert len(states(mini)) == 11
    again = mini.run(now="2026-01-25T13:20:00Z", approve_deletes=("hos-a.visits",))
    assert [log.layer for log in again.logs if log.layer == "reconcile"] == [], "nothing is held any more"


@pytest.mark.deep
def test_a_batch_of_deletes_alone_is_seen_by_the_monitors(spark: SparkSession, tmp_path: Path) -> None:
    mini = lakehouse(spark, tmp_path)
    put_monitors(mini, {})
    mini.sql("DELETE FROM visits WHERE VisitID = 'V007'")
    ended: Ended = mini.run(now="2026-01-25T13:00:00Z", reconcile=("hos-a.visits",), layers=("bronze",))
    assert ended.log("reconcile", "hosa_visits").rows_written == 1
    waiting = judged(mini, at("2126-01-01T12:00"), "silver_backlog")["silver_backlog"]
    assert [(row["bronze_table"], row["batches_waiting"], row["rows_waiting"]) for row in waiting] == [("bronze.hosa_visits", 1, 1)]

    taken = mini.run(now="2026-01-25T14:00:00Z")
    assert [log.rows_read for log in taken.logs if log.layer == "silver" and log.rows_read] == [1]
    sound = ("silver_backlog", "conservation", "conservation_between_layers")
    assert judged(mini, at("2026-01-26T12:00"), *sound) == {name: [] for name in sound}


def test_I34_rows_that_share_a_key_are_compared_by_their_content_and_never_appended_again(spark: SparkSession, tmp_path: Path) -> None:
    mini = lakehouse(spark, tmp_path)
    stamps = {"first": "2026-01-25 11:00:00", "last": "2026-01-25 11:30:00"}
    mini.sql(*[f"INSERT INTO visits VALUES ('V500', '{state}', 1, TIMESTAMP '{stamp}')" for state, stamp in stamps.items()])
    assert mini.run(now="2026-01-25T12:30:00Z").code == 0
    held = mini.frame("bronze.hosa_visits").count()
    for hour in (13, 14):
        log = compared(mini, f"2026-01-25T{hour}:00:00Z")
        assert (log.rows_written, log.message) == (0, "compared with the source: 0 missed, 0 changed without a new watermark, 0 deleted")
        assert log.warnings[0].startswith("2 rows share their key with other rows of the source: they are compared by their content alone")
    mini.sql("INSERT INTO visits VALUES ('V500', 'missed', 1, TIMESTAMP '2026-01-02 08:00:00')")
    assert compared(mini, "2026-01-25T15:00:00Z").rows_written == 1
    assert compared(mini, "2026-01-25T16:00:00Z").rows_written == 0
    # The row in the overlap is brought once more, after the one that was missed: of a key with several rows the newest batch alone is known to a load.
    assert mini.frame("bronze.hosa_visits").count() == held + 2
    assert compared(mini, "2026-01-25T17:00:00Z").rows_written == 0
    assert mini.frame("bronze.hosa_visits").count() == held + 2
