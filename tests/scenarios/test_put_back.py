"""Silver's tables put back from a backup, as the refusals say, or restored: what came since is taken from bronze again."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import done
from files_bills import bill, bills, bills_project, silver_ids
from harness import Mini, snapshot
from loads_kit import full, incremental, visit_contract
from put_back_kit import VOIDABLE, waiting
from rcm_lakehouse.bronze.lineage import VOLATILE
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.lake.table import layer_table
from wards import REPLAY, VISIT, WARD

pytestmark = pytest.mark.wide

SILVER = ("silver/bill", "silver/bill_tombstones", "quarantine/bill")


@pytest.fixture
def mini(spark: SparkSession, tmp_path: Path) -> Mini:
    """Bills of which one is bad, with a backup of silver; then a day that brings, changes, deletes and refuses some, and a replay."""
    mini = bills_project(spark, tmp_path, {"a": {}})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.own_contracts = {"bill": VOIDABLE}
    mini.write()
    mini.land("a/1.csv", bills(bill(1), bill(2), bill(3), bill(4, amount="90.00")))
    done(mini.run())
    backup(mini)
    changed = [bill(1, amount="11.00", modified="2026-01-20"), bill(2, note="void", modified="2026-01-20")]
    mini.land("a/2.csv", bills(*changed, bill(5), bill(6, amount="60.00")))
    done(mini.run())
    mini.land("a/3.csv", bills(bill(7)))
    done(mini.run())
    return mini


def backup(mini: Mini) -> None:
    for name in SILVER:
        shutil.copytree(mini.home / "lakehouse" / name, mini.home / "backup" / name)


def put_back(mini: Mini, names: Sequence[str]) -> None:
    for name in names:
        shutil.rmtree(mini.home / "lakehouse" / name)
        shutil.copytree(mini.home / "backup" / name, mini.home / "lakehouse" / name)
    mini.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def tables(mini: Mini) -> dict[str, list[str]]:
    return snapshot(mini, ["silver.bill", "silver.bill_tombstones"], VOLATILE)


def commits_on_top(mini: Mini, *places: str) -> None:
    """What the maintenance or a changed contract commits, so that a table has the versions again that it had before."""
    for place in places:
        lake, table = mini.lake, layer_table(*place.split("/"))
        assert lake.exists(table)
        for number in range(4):
            mini.spark.sql(f"ALTER TABLE {lake.sql_name(table)} SET TBLPROPERTIES ('note' = '{number}')")


def restored(mini: Mini, place: str, version: int) -> None:
    lake, table = mini.lake, layer_table(*place.split("/"))
    assert lake.exists(table)
    mini.spark.sql(f"RESTORE TABLE {lake.sql_name(table)} TO VERSION AS OF {version}")


@pytest.mark.parametrize("is_maintained", [False, True], ids=["as it was", "maintained"])
@pytest.mark.parametrize("names", [SILVER, SILVER[:1]], ids=["all three", "silver alone"])
def test_F37_silver_put_back_from_a_backup_takes_again_what_came_since(mini: Mini, names: tuple[str, ...], is_maintained: bool) -> None:
    before = tables(mini), waiting(mini)
    put_back(mini, names)
    if is_maintained:
        commits_on_top(mini, *names)
    again = done(mini.run())
    assert (tables(mini), waiting(mini)) == before
    told = [words for log in again.logs for words in log.warnings if "silver.bill was put back to version 1" in words]
    assert len(told) == 1
    assert done(mini.run()).log("silver", "bill").status == "NOOP"


def test_F37_what_was_replayed_since_waits_again(mini: Mini) -> None:
    mini.own_contracts = {"bill": {**VOIDABLE, "rules": [{**VOIDABLE["rules"][0], "check": "billed_amount < 80"}]}}
    mini.write()
    done(mini.run(**REPLAY))
    assert "B6" in silver_ids(mini, "a")
    mini.own_contracts = {"bill": VOIDABLE}
    mini.write()
    put_back(mini, SILVER[:1])
    done(mini.run())
    assert silver_ids(mini, "a") == ["B1", "B3", "B5", "B7"]
    assert waiting(mini) == [("B4", "open"), ("B6", "open")], "neither in silver nor closed"


def test_F37_what_was_replayed_before_the_backup_stays_replayed(mini: Mini) -> None:
    mini.own_contracts = {"bill": {**VOIDABLE, "rules": [{**VOIDABLE["rules"][0], "check": "billed_amount < 80"}]}}
    mini.write()
    done(mini.run(**REPLAY))
    shutil.rmtree(mini.home / "backup")
    backup(mini)
    mini.land("a/4.csv", bills(bill(8)))
    done(mini.run())
    before = tables(mini), waiting(mini)
    assert ("B6", "replayed") in before[1]
    put_back(mini, SILVER)
    done(mini.run())
    assert (tables(mini), waiting(mini)) == before


def test_F37_gold_follows_a_silver_that_was_put_back_though_it_comes_to_the_same_version_and_one_put_back_is_built_anew(
    spark: SparkSession, tmp_path: Path
) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    model = mini.home / "conf" / "gold" / "fact_bills.sql"
    model.write_text(
        "/*\ngrain: one current bill\ndescription: Bills.\nkey: [bill_key]\n*/\nSELECT bill_key, source_bill_id FROM silver.bill WHERE is_current\n"
    )
    mini.land("a/1.csv", bills(bill(1)))
    done(mini.run())
    for name in (*SILVER, "gold/fact_bills"):
        shutil.copytree(mini.home / "lakehouse" / name, mini.home / "backup" / name)
    mini.land("a/2.csv", bills(bill(2)))
    done(mini.run())
    put_back(mini, SILVER)
    mini.land("a/3.csv", bills(bill(3)))
    done(mini.run())
    assert mini.commits("silver.bill") == len(list((mini.home / "backup" / "silver/bill/_delta_log").glob("*.json"))) + 1, "the version of before"
    assert mini.rows("gold.fact_bills", "source_bill_id") == [("B1",), ("B2",), ("B3",)]
    put_back(mini, ["gold/fact_bills"])
    ended = done(mini.run())
    assert mini.rows("gold.fact_bills", "source_bill_id") == [("B1",), ("B2",), ("B3",)]
    assert "put back" in ended.log("gold", "fact_bills").warnings[0]
    assert done(mini.run()).log("gold", "fact_bills").status == "NOOP"


def test_F37_a_load_that_is_switched_off_comes_back_to_its_newest_snapshot(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [full("visits")], own_contracts={"visit": visit_contract(["visits"])})
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql("CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9))", "INSERT INTO visits SELECT 'V' || x, 'a' FROM system_range(1, 30)")
    done(mini.run(now="2026-01-10T06:00:00Z"))
    for name in ("silver/visit", "silver/visit_tombstones", "quarantine/visit"):
        shutil.copytree(mini.home / "lakehouse" / name, mini.home / "backup" / name)
    for day in (11, 12):
        mini.sql(f"UPDATE visits SET State = 'day {day}' WHERE VisitID = 'V1'", f"DELETE FROM visits WHERE VisitID = 'V{day}'")
        done(mini.run(now=f"2026-01-{day}T06:00:00Z"))
    before = snapshot(mini, ["silver.visit", "silver.visit_tombstones"], VOLATILE)
    mini.loads = [full("visits").replace(",1,", ",0,")]
    mini.write()
    put_back(mini, ["silver/visit", "silver/visit_tombstones", "quarantine/visit"])
    done(mini.run(now="2026-01-13T06:00:00Z"))
    assert snapshot(mini, ["silver.visit", "silver.visit_tombstones"], VOLATILE) == before


def test_F37_a_restored_silver_takes_again_what_came_since_and_one_restored_by_time_is_refused(mini: Mini) -> None:
    before = tables(mini), waiting(mini)
    restored(mini, "silver/bill", 1)
    done(mini.run())
    assert (tables(mini), waiting(mini)) == before
    # Undone by hand, with nothing that bronze has beside it.
    lake, silver = mini.lake, layer_table("silver", "bill")
    assert lake.exists(silver)
    head = lake.head_version(silver)
    mini.spark.sql(f"UPDATE {lake.sql_name(silver)} SET note = 'x'")
    restored(mini, "silver/bill", head)
    done(mini.run())
    commits = [mini.commits(name.replace("/", ".")) for name in SILVER]
    assert done(mini.run()).log("silver", "bill").warnings == [], "told once"
    assert [mini.commits(name.replace("/", ".")) for name in SILVER] == commits
    assert (tables(mini), waiting(mini)) == before
    at = mini.spark.sql(f"DESCRIBE HISTORY {lake.sql_name(silver)}").where("version = 1").select("timestamp").first()
    assert at is not None
    mini.spark.sql(f"RESTORE TABLE {lake.sql_name(silver)} TO TIMESTAMP AS OF '{at['timestamp']}'")
    refused = mini.run()
    assert (refused.code, refused.log("silver", "bill").status) == (1, "FAILED")
    assert "restored by a time" in refused.said


@pytest.mark.parametrize("name", SILVER[1:])
@pytest.mark.parametrize("way", ["as it was", "maintained", "restored"])
def test_F37_tombstones_or_a_quarantine_older_than_silver_are_refused(mini: Mini, name: str, way: str) -> None:
    if way == "restored":
        restored(mini, name, 1 if name.startswith("quarantine") else 0)
    else:
        put_back(mini, [name])
    if way == "maintained":
        commits_on_top(mini, name)
    refused = mini.run()
    assert refused.code == 1
    label = name.replace("/", ".")
    assert f"{label} is not as silver.bill was written with it" in refused.said.replace("\n", " ")
    assert silver_ids(mini, "a") == ["B1", "B3", "B5", "B7"]
    accepted = done(mini.run(accept_lost=(label,)))
    assert accepted.log("silver", "bill").status == "NOOP"
    assert done(mini.run()).log("silver", "bill").status == "NOOP", "what was accepted is not asked for again"


def test_what_bronze_has_of_a_load_that_is_switched_off_reaches_silver_and_a_silver_built_anew(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}, "b": {}})
    mini.land("a/1.csv", bills(bill(1)))
    mini.land("b/1.csv", bills(bill(1), bill(2)))
    done(mini.run())
    mini.land("b/2.csv", bills(bill(3), bill(4, amount="")))
    done(mini.run(layers=("bronze",)))
    mini.loads = [load.replace(",1,", ",0,") if "hos-b" in load else load for load in mini.loads]
    mini.write()
    mini.land("b/3.csv", bills(bill(5)))
    done(mini.run())
    assert silver_ids(mini, "b") == ["B1", "B2", "B3"], "and what nobody read stays where it is"
    register_all(mini.spark, mini.lake.settings, mini.home)
    assert mini.spark.table("quarantine.bill_rows").where("status = 'open'").count() == 1
    for name in SILVER:
        shutil.rmtree(mini.home / "lakehouse" / name)
    done(mini.run(accept_lost=("silver.bill",)))
    assert (silver_ids(mini, "a"), silver_ids(mini, "b")) == (["B1"], ["B1", "B2", "B3"])
    shutil.rmtree(mini.home / "lakehouse" / "bronze" / "hosb")
    done(mini.run())
    assert silver_ids(mini, "b") == ["B1", "B2", "B3"], "its bronze is no longer needed"


def test_F37_what_the_same_run_released_behind_the_version_that_is_restored_is_released_again(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [full("wards"), incremental("visits", "Changed")], own_contracts={"ward": WARD, "visit": VISIT})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql(
        "CREATE TABLE wards (WardID VARCHAR(9) PRIMARY KEY)",
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO wards VALUES ('W1')",
        "INSERT INTO visits VALUES ('V1', 'open', '1.00', 'W1', TIMESTAMP '2026-01-01 01:00:00'), "
        "('V2', 'open', '2.00', 'W9', TIMESTAMP '2026-01-01 01:00:00')",
    )
    done(mini.run(now="2026-01-02T05:00:00Z"))
    mini.sql("INSERT INTO wards VALUES ('W9')", "INSERT INTO visits VALUES ('V3', 'open', '3.00', 'W1', TIMESTAMP '2026-01-02 06:00:00')")
    done(mini.run(now="2026-01-03T05:00:00Z"))
    assert [row[0] for row in mini.rows("silver.visit", "source_visit_id")] == ["V1", "V2", "V3"]
    restored(mini, "silver/visit", mini.lake.head_version(layer_table("silver", "visit")) - 1)
    assert [row[0] for row in mini.rows("silver.visit", "source_visit_id")] == ["V1", "V3"]
    done(mini.run(now="2026-01-04T05:00:00Z"))
    assert [row[0] for row in mini.rows("silver.visit", "source_visit_id")] == ["V1", "V2", "V3"]


def test_a_snapshot_that_is_held_says_nothing_more_once_its_load_is_switched_off(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [full("visits")], own_contracts={"visit": visit_contract(["visits"])})
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql("CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9))", "INSERT INTO visits SELECT 'V' || x, 'a' FROM system_range(1, 30)")
    done(mini.run(now="2026-01-10T06:00:00Z"))
    mini.sql("DELETE FROM visits WHERE VisitID <> 'V1'")
    assert mini.run(now="2026-01-11T06:00:00Z").code == 4
    mini.loads = [full("visits").replace(",1,", ",0,")]
    mini.write()
    done(mini.run(now="2026-01-12T06:00:00Z"))
    assert len(mini.rows("silver.visit", "version", where="is_current")) == 30
    done(mini.run(now="2026-01-13T06:00:00Z", approve_deletes=("hos-a.visits",)))
    assert len(mini.rows("silver.visit", "version", where="is_current")) == 1
