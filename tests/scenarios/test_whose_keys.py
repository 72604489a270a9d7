"""Whose a key is, when deletes wait, tables get another path, tries die and audits are put back."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from beds_kit import DAYS, PLAIN, STAMP, TIMED, done, keys, moved, of, rows, timed
from faulted import dying
from loads_kit import full, visit_contract
from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.pipeline import bronze_step as bronze_module
from rcm_lakehouse.pipeline import history as history_module
from wards import REPLAY

pytestmark = pytest.mark.deep


def test_a_merge_that_was_applied_keeps_its_tombstones_though_it_was_told_as_a_conflict(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds")], {"bed": timed(["beds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {TIMED}", rows("beds", range(1, 4), STAMP))
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql("DELETE FROM beds WHERE VisitID = 'V3'")
    merge, tries = history_module.merge_versions, list[int]()

    def unsure(*given: Any, **named: Any) -> Any:
        commit = merge(*given, **named)
        tries.append(commit.version)
        if len(tries) == 1:
            raise CommitConflictError("silver.bed: another writer committed between version 1 and the MERGE; the difference is computed again.")
        return commit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_module, "merge_versions", unsure)
        done(mini.run(now="2026-01-26T12:00:00Z"))
    assert keys(mini) == {"V1", "V2"}
    assert mini.frame("silver.bed_tombstones").count() == 1, "the delete is in history; without its tombstone the next event of the key undoes it"
    mini.sql(f"INSERT INTO beds VALUES ('V3', 'a', '{STAMP}')")
    done(mini.run(now="2026-01-27T12:00:00Z"))
    assert len(mini.rows("silver.bed", "version", where="source_visit_id = 'V3'")) == 2, "it was away for a day"


def test_tombstones_are_taken_back_though_maintenance_has_rewritten_them_since(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds")], {"bed": timed(["beds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {TIMED}", rows("beds", range(1, 9), STAMP))
    done(mini.run(now="2026-01-25T12:00:00Z"))
    for day, key in ((26, "V1"), (27, "V2")):
        mini.sql(f"DELETE FROM beds WHERE VisitID = '{key}'")
        done(mini.run(now=f"2026-01-{day}T12:00:00Z"))
    # A table of which silver takes nothing for longer than files are kept, while maintenance goes on.
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    place = f"delta.`{mini.home / 'lakehouse' / 'silver' / 'bed_tombstones'}`"
    spark.sql(f"OPTIMIZE {place}")
    spark.sql(f"VACUUM {place} RETAIN 0 HOURS")
    spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    mini.sql("DELETE FROM beds WHERE VisitID = 'V3'")

    with dying(history_module, "P9", "bed"):
        assert mini.run(now="2026-02-10T12:00:00Z").code == 1
    done(mini.run(now="2026-02-10T12:10:00Z"))
    assert keys(mini) == {f"V{n}" for n in range(4, 9)}
    assert mini.frame("silver.bed_tombstones").count() == 3


def test_a_key_that_moved_here_ends_though_its_table_got_another_targetpath_before(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": visit_contract(["beds", "olds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {PLAIN}", f"CREATE TABLE olds {PLAIN}", rows("beds", range(10)), rows("olds", range(500, 503)))
    done(mini.run(now="2026-01-11T06:00:00Z"))
    moved(mini, "VisitID IN ('V1', 'V2')")
    done(mini.run(now="2026-01-12T06:00:00Z"))
    mini.loads = [full("beds"), full("olds").replace(",hosa", ",new")]
    mini.write()
    # V1 began in beds, was in olds last, and is in neither when olds is read under its new path.
    mini.sql("DELETE FROM olds WHERE VisitID IN ('V1', 'V500')")
    done(mini.run(now="2026-01-13T06:00:00Z"))
    assert "V500" not in keys(mini)
    mini.sql("UPDATE beds SET State = 'b' WHERE VisitID = 'V5'", "UPDATE olds SET State = 'b' WHERE VisitID = 'V501'")
    done(mini.run(now="2026-01-14T06:00:00Z"))
    assert "V1" not in keys(mini), "no table has it"
    assert "V2" in keys(mini)


def test_a_row_that_a_mapping_left_out_before_it_went_is_closed_beside_other_tables_too(spark: SparkSession, tmp_path: Path) -> None:
    alone, beside = visit_contract(["alones"]), visit_contract(["beds", "olds"])
    for made in (alone, beside):
        made["sources"][0]["where"] = "State <> 'x'"
    mini = of(spark, tmp_path, [full("beds"), full("olds"), full("alones")], {"bed": beside, "visit": alone}, share=0.9)
    for table in ("beds", "olds", "alones"):
        mini.sql(f"CREATE TABLE {table} {PLAIN}", rows(table, range(500, 502) if table == "olds" else range(10)))
    done(mini.run(now="2026-01-11T06:00:00Z"))
    mini.sql(*[f"UPDATE {table} SET State = 'x' WHERE VisitID = 'V1'" for table in ("beds", "alones")])
    done(mini.run(now="2026-01-12T06:00:00Z"))
    mini.sql(*[f"DELETE FROM {table} WHERE VisitID = 'V1'" for table in ("beds", "alones")])
    done(mini.run(now="2026-01-13T06:00:00Z"))
    assert "V1" not in keys(mini, "visit")
    assert "V1" not in keys(mini), "it is gone from beds, and olds never had it"


def test_Q18_a_replayed_row_of_a_new_targetpath_is_later_than_all_of_the_old_one(spark: SparkSession, tmp_path: Path) -> None:
    strict, loose = ([{"name": "known", "check": f"state <> '{bad}'", "columns": ["state"]}] for bad in ("bad", "worse"))
    mini = of(spark, tmp_path, [full("visits")], {"visit": timed(["visits"], "date", rules=strict)}, share=0.9)
    mini.sql(f"CREATE TABLE visits {DAYS}", "INSERT INTO visits VALUES ('V1', 'a', '2026-01-25'), ('V2', 'a', '2026-01-25')")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.sql("UPDATE visits SET State = 'b' WHERE VisitID = 'V1'")
    done(mini.run(now="2026-01-25T14:00:00Z"))
    mini.sql("UPDATE visits SET State = 'bad' WHERE VisitID = 'V1'")
    mini.loads = [full("visits").replace(",hosa", ",new")]
    mini.write()
    done(mini.run(now="2026-01-25T18:00:00Z"))
    mini.own_contracts = {"visit": timed(["visits"], "date", rules=loose)}
    mini.write()
    done(mini.run(now="2026-01-25T19:00:00Z", **REPLAY))
    assert mini.rows("silver.visit", "state", where="is_current AND source_visit_id = 'V1'") == [("bad",)]
    register_all(mini.spark, mini.lake.settings, mini.home)
    assert [row["status"] for row in mini.spark.table("quarantine.visit_rows").select("status").collect()] == ["replayed"]


def test_what_waits_under_a_former_targetpath_is_closed_after_a_death_behind_the_first_merge_of_the_new_one(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"name": "known", "check": "state <> 'bad'", "columns": ["state"]}]
    mini = of(spark, tmp_path, [full("visits")], {"visit": visit_contract(["visits"], rules=rules)}, share=0.9)
    mini.sql(f"CREATE TABLE visits {PLAIN}", rows("visits", range(1, 4)), "UPDATE visits SET State = 'bad' WHERE VisitID = 'V1'")
    done(mini.run(now="2026-01-11T06:00:00Z"))
    mini.loads = [full("visits").replace(",hosa", ",new")]
    mini.write()
    mini.sql("UPDATE visits SET State = 'new' WHERE VisitID = 'V3'")
    with dying(history_module, "P10", "visit"):
        assert mini.run(now="2026-01-12T06:00:00Z").code == 1
    mini.sql("UPDATE visits SET State = 'new' WHERE VisitID = 'V2'")
    done(mini.run(now="2026-01-13T06:00:00Z"))
    register_all(mini.spark, mini.lake.settings, mini.home)
    told = mini.spark.table("quarantine.visit_rows").select("source_table", "status").collect()
    assert sorted(map(tuple, told)) == [("bronze.hosa_visits", "superseded"), ("bronze.new_visits", "open")]


def test_a_table_under_another_path_whose_first_reading_failed_is_not_one_that_has_nothing(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": visit_contract(["beds", "olds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {PLAIN}", f"CREATE TABLE olds {PLAIN}", rows("beds", range(10)), rows("olds", range(500, 503)))
    done(mini.run(now="2026-01-11T06:00:00Z"))
    mini.loads = [full("beds"), full("olds").replace(",hosa", ",new")]
    mini.write()
    moved(mini, "VisitID = 'V1'")

    with dying(bronze_module, "P4", "hos-a.olds"):
        assert mini.run(now="2026-01-12T06:00:00Z").code == 1
    assert "V1" in keys(mini), "until olds was read nobody knows whether it has V1"
    done(mini.run(now="2026-01-13T06:00:00Z"))
    assert len(mini.rows("silver.bed", "version", where="source_visit_id = 'V1'")) == 1, "it was never away"


def test_an_audit_put_back_from_a_backup_takes_no_tombstone_of_a_finished_merge_away(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds")], {"bed": timed(["beds"])}, share=0.9)
    mini.sql(f"CREATE TABLE beds {TIMED}", rows("beds", range(1, 4), STAMP))
    done(mini.run(now="2026-01-25T12:00:00Z"))
    audit, backup = mini.home / "lakehouse" / "audit", mini.home / "backup"
    shutil.copytree(audit, backup)
    mini.sql("DELETE FROM beds WHERE VisitID = 'V3'")
    done(mini.run(now="2026-01-26T12:00:00Z"))
    assert mini.frame("silver.bed_tombstones").count() == 1
    shutil.rmtree(audit)
    shutil.copytree(backup, audit)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    done(mini.run(now="2026-01-27T12:00:00Z"))
    assert keys(mini) == {"V1", "V2"}
    assert mini.frame("silver.bed_tombstones").count() == 1, "nothing judges that delete again: its key is current no more"


def test_a_held_snapshot_is_no_proof_that_its_table_lacks_a_key(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": visit_contract(["beds", "olds"])})
    mini.sql(f"CREATE TABLE beds {PLAIN}", f"CREATE TABLE olds {PLAIN}", rows("beds", range(10)), rows("olds", range(20)))
    done(mini.run(now="2026-01-11T06:00:00Z"))
    # Half an extract: V10 to V14 are in no other table, and V0 to V9 still in beds.
    mini.sql("DELETE FROM olds WHERE VisitID NOT IN ('V15', 'V16', 'V17', 'V18', 'V19')")
    assert mini.run(now="2026-01-12T06:00:00Z").code == 4
    mini.sql("DELETE FROM beds WHERE VisitID = 'V0'")
    assert mini.run(now="2026-01-13T06:00:00Z").code == 4
    assert "V0" in keys(mini), "olds had it, and what olds says since is held"
    mini.sql("DELETE FROM olds", rows("olds", range(20)))
    mini.run(now="2026-01-14T06:00:00Z")
    assert len(mini.rows("silver.bed", "version", where="source_visit_id = 'V0'")) == 1, "it was never away"


def test_keys_that_moved_on_do_not_make_the_share_of_deletes_smaller_while_nothing_is_settled(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": visit_contract(["beds", "olds"])})
    mini.sql(f"CREATE TABLE beds {PLAIN}", f"CREATE TABLE olds {PLAIN}", rows("beds", range(10, 50)), rows("olds", range(500, 503)))
    mini.sql("INSERT INTO beds VALUES (NULL, 'x')")
    done(mini.run(now="2026-01-11T06:00:00Z"))
    # With a row whose key cannot be read nothing is settled.
    moved(mini, "VisitID < 'V40'")
    done(mini.run(now="2026-01-12T06:00:00Z"))
    # Half an extract, and the bad row is in the other half: five of the ten keys that beds has.
    mini.sql("DELETE FROM beds WHERE VisitID IS NULL OR VisitID < 'V45'")
    held = mini.run(now="2026-01-13T06:00:00Z")
    assert held.code == 4, held.said
    assert len(keys(mini)) == 43
