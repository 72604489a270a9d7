"""Two tables of a hospital that feed one entity: whose a key is, what is held, and what is told of a load that may not go on."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import DAYS, PLAIN, STAMP, TIMED, done, keys, moved, of, rows, timed
from faulted import dying
from harness import Ended
from loads_kit import full, incremental, visit_contract
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.pipeline import history as history_module
from rcm_lakehouse.pipeline import runner as runner_module
from rcm_lakehouse.pipeline import silver_step
from wards import REPLAY

pytestmark = pytest.mark.deep


def words(ended: Ended) -> str:
    return " ".join([" ".join(ended.said.split()), *(str(log.message) for log in ended.logs), *(text for log in ended.logs for text in log.warnings or ())])


def test_N04_F33_a_key_belongs_to_the_table_that_had_it_last_and_what_is_held_there_stays(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": visit_contract(["beds", "olds"])})
    mini.sql(f"CREATE TABLE beds {PLAIN}", f"CREATE TABLE olds {PLAIN}", rows("beds", range(100)), rows("olds", range(500, 501)))
    done(mini.run(now="2026-01-11T06:00:00Z"))
    moved(mini, "VisitID IN ('V0', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6', 'V7', 'V8', 'V9')")
    done(mini.run(now="2026-01-12T06:00:00Z"))
    # Ten of the eleven keys of olds; ten of a hundred of beds, in which their versions began, would be few.
    mini.sql("DELETE FROM olds WHERE VisitID <> 'V500'", "UPDATE beds SET State = 'b' WHERE VisitID = 'V50'")
    held = mini.run(now="2026-01-13T06:00:00Z")
    assert (held.code, len(keys(mini))) == (4, 101), held.said
    assert "10 of 11 current keys of hos-a.olds are absent" in words(held)
    mini.sql("UPDATE beds SET State = 'b' WHERE VisitID = 'V51'")
    assert (mini.run(now="2026-01-14T06:00:00Z").code, len(keys(mini))) == (4, 101)
    mini.sql("UPDATE olds SET State = 'b' WHERE VisitID = 'V500'")
    assert (mini.run(now="2026-01-15T06:00:00Z").code, len(keys(mini))) == (4, 101)
    done(mini.run(now="2026-01-16T06:00:00Z", approve_deletes=("hos-a.olds",)))
    assert len(keys(mini)) == 91
    # What moved there counts among the keys of a table: one of 41 are few.
    moved(mini, "VisitID < 'V50'")
    done(mini.run(now="2026-01-17T06:00:00Z"))
    mini.sql("DELETE FROM olds WHERE VisitID = 'V10'")
    done(mini.run(now="2026-01-18T06:00:00Z"))
    assert len(keys(mini)) == 90
    assert "V10" not in keys(mini)
    mini.sql("DELETE FROM olds WHERE VisitID = 'V11'", "INSERT INTO olds VALUES (NULL, 'x')")
    assert "they stay as they are until a snapshot says so whose keys can all be read" in words(mini.run(now="2026-01-19T06:00:00Z"))
    assert "V11" in keys(mini)
    mini.sql("DELETE FROM olds WHERE VisitID IS NULL")
    done(mini.run(now="2026-01-20T06:00:00Z"))
    assert "V11" not in keys(mini)
    # A table under another path that was not read yet has nobody knows what.
    mini.loads = [full("beds"), full("olds").replace(",hosa", ",new")]
    mini.write()
    mini.sql("DELETE FROM beds WHERE VisitID = 'V60'", "DELETE FROM olds WHERE VisitID = 'V12'")
    waits = mini.run(now="2026-01-21T06:00:00Z", only=("hos-a.beds", "bed"))
    assert "hos-a.olds has another targetpath and has loaded nothing into it yet" in words(waits)
    assert {"V12", "V13", "V60"} <= keys(mini), "until olds was read nobody knows whether it has V60"
    mini.sql("UPDATE beds SET State = 'c' WHERE VisitID = 'V50'")
    done(mini.run(now="2026-01-22T06:00:00Z"))
    assert "V13" in keys(mini)
    assert not {"V12", "V60"} & keys(mini)
    # A table that is read no more stops nothing by a column that it never had.
    changed = visit_contract(["beds", "olds"])
    changed["sources"][0]["where"] = "Kind IS NULL OR Kind <> 'test'"
    mini.own_contracts, mini.loads = {"bed": changed}, [full("beds"), full("olds", active=0).replace(",hosa", ",new")]
    mini.write()
    mini.sql("ALTER TABLE beds ADD Kind VARCHAR(10)", "DELETE FROM beds WHERE VisitID = 'V61'")
    done(mini.run(now="2026-01-23T06:00:00Z"))
    assert "V13" in keys(mini)
    assert "V61" not in keys(mini)


def test_F33_X03_a_try_that_dies_between_tombstones_and_merge_leaves_no_delete_behind(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": timed(["beds", "olds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {TIMED}", f"CREATE TABLE olds {TIMED}", rows("beds", range(1, 4), STAMP), rows("olds", range(9, 10), STAMP))
    done(mini.run(now="2026-01-25T12:00:00Z"))
    moved(mini, "VisitID = 'V3'")
    mini.sql("ALTER TABLE olds RENAME TO gone")

    with dying(history_module, "P9", "bed"):
        assert mini.run(now="2026-01-26T12:00:00Z").code == 1
    mini.sql("ALTER TABLE gone RENAME TO olds")
    done(mini.run(now="2026-01-26T12:10:00Z"))
    assert keys(mini) == {"V1", "V2", "V3", "V9"}, "olds has V3"
    # A failure behind the MERGE: the versions are in, and the audit says what was written.
    mini.sql("UPDATE beds SET State = 'b', Changed = '2026-01-26 12:11:00' WHERE VisitID = 'V1'")

    def refuse(*_: object) -> None:
        raise RuntimeError("the quarantine cannot be told")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(silver_step, "close_gone", refuse)
        failed = mini.run(now="2026-01-27T12:00:00Z")
    logs = {log.status: log for log in failed.logs if log.layer == "silver"}
    assert (failed.code, logs["SUCCESS"].rows_written) == (1, 1)
    assert "Nothing of this step was committed" not in str(logs["FAILED"].message)
    done(mini.run(now="2026-01-27T12:10:00Z"))
    assert mini.rows("silver.bed", "state", where="is_current AND source_visit_id = 'V1'") == [("b",)]


def test_a_load_owns_what_it_committed_and_no_run_of_silver_alone_takes_the_rows_of_another(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("a.beds"), "hospital-a,hos-b,b.beds,Full,,0,hosb"], {"bed": visit_contract(["beds"])})
    mini.sql("CREATE SCHEMA a", "CREATE SCHEMA b", f"CREATE TABLE a.beds {PLAIN}", f"CREATE TABLE b.beds {PLAIN}")
    mini.sql(rows("a.beds", range(10)), rows("b.beds", range(5)))
    done(mini.run(now="2026-01-11T06:00:00Z", layers=("bronze",)))
    mini.loads = [full("a.beds", active=0), "hospital-a,hos-b,b.beds,Full,,1,hosa"]
    mini.write()
    told = "holds what hos-a.beds loaded"
    planned = mini.run(now="2026-01-12T06:00:00Z", dry_run=True)
    assert planned.code == 1
    assert told in words(planned)
    alone = mini.run(now="2026-01-12T06:00:00Z", layers=("silver",))
    assert alone.code == 1
    assert told in words(alone)
    assert mini.frame("silver.bed").count() == 0

    with dying(runner_module, "P1", ""), pytest.raises(RuntimeError):
        mini.run(now="2026-01-12T06:10:00Z")
    ended = mini.run(now="2026-01-13T06:00:00Z")
    assert ended.code == 1
    assert told in words(ended)
    assert mini.frame("bronze.hosa_beds").where("_batch_seq > 1").count() == 0


def test_I34_a_change_of_the_same_day_is_taken_from_a_load_with_another_targetpath(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"name": "known", "check": "state <> 'bad'", "columns": ["state"]}]
    mini = of(spark, tmp_path, [full("visits"), full("beds")], {"visit": timed(["visits"], "date", rules=rules), "bed": timed(["beds"], "date")})
    for table in ("visits", "beds"):
        mini.sql(f"CREATE TABLE {table} {DAYS}", f"INSERT INTO {table} VALUES ('V1', 'a', '2026-01-25')")
    mini.sql("INSERT INTO visits VALUES ('V2', 'bad', '2026-01-25'), ('V3', 'bad', '2026-01-25')")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql("UPDATE visits SET State = 'b' WHERE VisitID <> 'V2'", "UPDATE beds SET State = 'b'")
    mini.loads = [full("visits").replace(",hosa", ",new"), full("beds")]
    mini.write()
    done(mini.run(now="2026-01-25T18:00:00Z"))
    where = "is_current AND source_visit_id = 'V1'"
    assert [mini.rows(f"silver.{entity}", "state", where=where) for entity in ("bed", "visit")] == [[("b",)], [("b",)]]
    # What waits in quarantine waits once, under the table that is read now.
    register_all(mini.spark, mini.lake.settings, mini.home)
    waiting = mini.spark.table("quarantine.visit_rows").where("status = 'open'").select("source_table").collect()
    assert [row["source_table"] for row in waiting] == ["bronze.new_visits"]


def test_Q19_two_comparisons_of_one_time_can_be_replayed(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"name": "known", "check": "state <> 'bad'", "columns": ["state"]}]
    loads = [incremental("opens", "Changed"), incremental("closeds", "Changed")]
    mini = of(spark, tmp_path, loads, {"visit": timed(["opens", "closeds"], rules=rules)}, share=0.9, daily=("opens", "closeds"))
    mini.sql(f"CREATE TABLE opens {TIMED}", f"CREATE TABLE closeds {TIMED}", rows("opens", range(5), STAMP), rows("closeds", range(9, 10), STAMP))
    mini.sql("UPDATE opens SET State = 'bad' WHERE VisitID = 'V0'")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    for key in ("V1", "V2"):
        mini.sql(f"DELETE FROM opens WHERE VisitID = '{key}'")
        done(mini.run(now="2026-01-26T12:00:00Z", reconcile=("hos-a.opens",)))
    assert keys(mini, "visit") == {"V3", "V4", "V9"}
    done(mini.run(now="2026-01-26T12:10:00Z", **REPLAY))
