"""Rows that leave: to another table of the hospital, or into quarantine after a comparison found them."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from beds_kit import TIMED, done, of, timed
from faulted import dying
from harness import Mini
from loads_kit import full, incremental, make_silver_anew
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.pipeline import history as history_module
from wards import REPLAY

pytestmark = pytest.mark.deep

Rows = list[tuple[Any, ...]]


def current(mini: Mini, entity: str) -> Rows:
    return mini.rows(f"silver.{entity}", "source_visit_id", "state", where="is_current")


def test_I34_a_row_that_moves_to_another_table_of_its_hospital_stays_current_and_ends_where_it_is_deleted(spark: SparkSession, tmp_path: Path) -> None:
    loads = [*[incremental(table, "Changed") for table in ("opens", "closeds", "mains")], *[full(table) for table in ("beds", "olds", "extras")]]
    own = {"visit": timed(["opens", "closeds"]), "bed": timed(["beds", "olds"]), "room": timed(["mains", "extras"])}
    mini = of(spark, tmp_path, loads, own, daily=("opens", "closeds", "mains"), share=0.9)
    tables = {"opens": "closeds", "beds": "olds", "mains": "extras"}

    def now() -> list[Rows]:
        return [current(mini, entity) for entity in own]

    for one, other in tables.items():
        three = ", ".join(f"('V{n}', 'a', '2026-01-20 08:00:00')" for n in range(1, 4))
        rows = [f"INSERT INTO {one} VALUES {three}", f"INSERT INTO {other} VALUES ('V9', 'z', '2026-01-20 08:00:00')"]
        mini.sql(f"CREATE TABLE {one} {TIMED}", f"CREATE TABLE {other} {TIMED}", *rows)
    done(mini.run(now="2026-01-25T12:00:00Z"))
    for one, other in tables.items():
        # The same content, so silver's version goes on being of the table that it came from.
        mini.sql(f"INSERT INTO {other} SELECT VisitID, State, '2026-01-25 12:01:00' FROM {one} WHERE VisitID = 'V1'", f"DELETE FROM {one} WHERE VisitID = 'V1'")
        mini.sql(f"UPDATE {one} SET State = 'b', Changed = '2026-01-25 12:11:00' WHERE VisitID = 'V2'")
    ended = done(mini.run(now="2026-01-26T12:00:00Z"))
    log = next(log for log in ended.logs if log.layer == "silver" and log.tablename == "opens" and log.rows_dropped)
    assert log.warnings == ["1 keys were found deleted that another table of the same hospital has: they stay as they are"]
    wanted = [("V1", "a"), ("V2", "b"), ("V3", "a"), ("V9", "z")]
    assert now() == [wanted] * 3
    make_silver_anew(mini, list(own), "2026-01-26T12:25:00Z")
    assert now() == [wanted] * 3
    # Silver's version is of the first table, of which nothing is new.
    mini.sql(*[f"DELETE FROM {other} WHERE VisitID = 'V1'" for other in tables.values()])
    done(mini.run(now="2026-01-27T12:30:00Z"))
    assert now() == [wanted[1:]] * 3
    # Its first table loses it while the other cannot be read: what the other had all along comes after the delete.
    for one, other in tables.items():
        mini.sql(f"INSERT INTO {other} SELECT VisitID, State, '2026-01-27 12:31:00' FROM {one} WHERE VisitID = 'V3'", f"DELETE FROM {one} WHERE VisitID = 'V3'")
    mini.sql("ALTER TABLE closeds RENAME TO away", "ALTER TABLE olds RENAME TO gone", "ALTER TABLE extras RENAME TO lost")
    assert mini.run(now="2026-01-28T12:40:00Z").code == 1
    assert now() == [[("V2", "b"), ("V9", "z")]] * 3
    mini.sql("ALTER TABLE away RENAME TO closeds", "ALTER TABLE gone RENAME TO olds", "ALTER TABLE lost RENAME TO extras")
    done(mini.run(now="2026-01-28T12:50:00Z"))
    assert now() == [wanted[1:]] * 3


def test_I34_a_load_that_gets_another_targetpath_goes_on_with_the_keys_it_brought_before(spark: SparkSession, tmp_path: Path) -> None:
    entities = {"visit": "visits", "bed": "beds", "ward": "wards"}
    own = {entity: timed([table]) for entity, table in entities.items()}
    mini = of(spark, tmp_path, [incremental("visits", "Changed"), full("beds"), full("wards")], own, daily=("wards",), share=0.9)
    three = ", ".join(f"('V{n}', 'a', '2026-01-20 08:00:00')" for n in range(1, 4))
    for table in entities.values():
        mini.sql(f"CREATE TABLE {table} {TIMED}", f"INSERT INTO {table} VALUES {three}")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql("DELETE FROM wards WHERE VisitID = 'V1'")
    done(mini.run(now="2026-01-26T12:00:00Z"))
    mini.sql("INSERT INTO wards VALUES ('V1', 'a', '2026-01-20 08:00:00')", "DELETE FROM beds WHERE VisitID = 'V2'")
    mini.loads = [full("visits"), full("beds"), incremental("wards", "Changed")]
    mini.write()
    refused = mini.run(now="2026-01-27T12:00:00Z", only=("hos-a.visits", "hos-a.wards"))
    messages = {log.tablename: str(log.message) for log in refused.logs if log.status == "FAILED"}
    assert "Put it back, or give the full load a targetpath of its own" in messages["visits"]
    assert "Put it back, or give the incremental load a targetpath of its own" in messages["wards"]
    with pytest.raises(ConfigError, match=r"--reset-watermark: bronze\.hosa_wards was loaded in full"):
        mini.run(now="2026-01-27T12:05:00Z", reset_watermark=("hos-a.wards", "beginning"))
    mini.loads = [load.replace("hosa", "hos-new/x") for load in mini.loads]
    mini.write()
    ended = done(mini.run(now="2026-01-27T12:10:00Z"))
    assert "hos-a.wards wrote to bronze.hosa_wards before" in ended.log("silver", "ward", "hos-a").warnings[0]
    one, two, three_ = (("V1", "a"), ("V2", "a"), ("V3", "a"))
    assert [current(mini, entity) for entity in own] == [[one, two, three_], [one, three_], [one, two, three_]]
    mini.sql("DELETE FROM visits WHERE VisitID = 'V1'", "DELETE FROM beds WHERE VisitID = 'V1'", "DELETE FROM wards WHERE VisitID = 'V2'")
    done(mini.run(now="2026-01-28T12:20:00Z"))
    assert [current(mini, entity) for entity in own] == [[two, three_], [three_], [one, three_]]
    make_silver_anew(mini, list(own), "2026-01-28T12:30:00Z")
    assert [current(mini, entity) for entity in own] == [[two, three_], [three_], [one, three_]]


def test_Q19_I34_what_a_comparison_found_waits_in_quarantine_in_its_place_and_is_replayed_there(spark: SparkSession, tmp_path: Path) -> None:
    strict, loose = ([{"name": "known", "check": f"state <> '{bad}'", "columns": ["state"]}] for bad in ("bad", "worse"))
    mini = of(spark, tmp_path, [incremental("visits", "Changed")], {"visit": timed(["visits"], rules=strict)}, share=0.9)
    five = ", ".join(f"('V{n}', 'a', '2026-01-20 08:00:00')" for n in range(1, 6))
    mini.sql(f"CREATE TABLE visits {TIMED}", f"INSERT INTO visits VALUES {five}")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql("DELETE FROM visits WHERE VisitID = 'V2'")
    done(mini.run(now="2026-01-25T12:02:00Z", reconcile=("hos-a.visits",)))
    mini.sql(
        "UPDATE visits SET State = 'bad', Changed = '2026-01-01 08:00:00' WHERE VisitID IN ('V1', 'V3', 'V4', 'V5')",
        "INSERT INTO visits VALUES ('V2', 'bad', '2026-01-20 08:00:00')",
    )
    done(mini.run(now="2026-01-25T12:05:00Z", reconcile=("hos-a.visits",)))
    assert statuses(mini) == {f"V{n}": "open" for n in range(1, 6)}, "the source has these rows now"
    # The source mends three: with a new time, with another content, and by undoing the restore.
    mini.sql(
        "UPDATE visits SET State = 'a', Changed = '2026-01-25 12:06:00' WHERE VisitID = 'V3'",
        "UPDATE visits SET State = 'c', Changed = '2026-01-25 12:06:00' WHERE VisitID = 'V4'",
        "UPDATE visits SET State = 'a', Changed = '2026-01-20 08:00:00' WHERE VisitID = 'V5'",
    )
    done(mini.run(now="2026-01-25T12:10:00Z", full_refresh=("hos-a.visits",)))
    assert statuses(mini) == {"V1": "open", "V2": "open", "V3": "superseded", "V4": "superseded", "V5": "open"}
    mini.own_contracts = {"visit": timed(["visits"], rules=loose)}
    mini.write()
    done(mini.run(now="2026-01-25T12:21:00Z", **REPLAY))
    assert current(mini, "visit") == [("V1", "bad"), ("V2", "bad"), ("V3", "a"), ("V4", "c"), ("V5", "a")]
    between = mini.rows("silver.visit", "state", "string(effective_from)", where="source_visit_id = 'V3'")
    assert between == [("a", "2026-01-20 08:00:00"), ("a", "2026-01-25 12:06:00"), ("bad", "2026-01-20 08:00:00.000001")]
    assert statuses(mini) == {"V1": "replayed", "V2": "replayed", "V3": "superseded", "V4": "superseded", "V5": "superseded"}


def test_X03_a_comparison_that_dies_before_its_merge_is_taken_up(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [incremental("visits", "Changed")], {"visit": timed(["visits"])}, share=0.9)
    rows = ", ".join(f"('V{n}', 'a', '2026-01-20 08:00:00')" for n in range(1, 5))
    mini.sql(f"CREATE TABLE visits {TIMED}", f"INSERT INTO visits VALUES {rows}")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql(
        "DELETE FROM visits WHERE VisitID = 'V1'",
        "UPDATE visits SET State = 'copy', Changed = '2026-01-01 08:00:00' WHERE VisitID = 'V2'",
        "INSERT INTO visits VALUES ('V5', 'missed', '2026-01-01 08:00:00')",
    )

    with dying(history_module, "P9", "visit"):
        assert mini.run(now="2026-01-25T12:10:00Z", reconcile=("hos-a.visits",)).code == 1
    log = done(mini.run(now="2026-01-25T12:20:00Z")).log("silver", "visit")
    assert (log.rows_read, log.rows_written, log.rows_unchanged) == (3, 3, 0), "the tombstone of the try that died was taken back"
    assert current(mini, "visit") == [("V2", "copy"), ("V3", "a"), ("V4", "a"), ("V5", "missed")]


def statuses(mini: Mini) -> dict[str, str]:
    register_all(mini.spark, mini.lake.settings, mini.home)
    rows = mini.spark.table("quarantine.visit_rows").selectExpr("get_json_object(raw_row, '$.VisitID') AS visit", "status")
    return {row["visit"]: row["status"] for row in rows.collect()}
