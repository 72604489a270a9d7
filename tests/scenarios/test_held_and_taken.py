"""What is held stays held until it is approved; a bronze table belongs to one load; a table that is switched off has what it had."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import SETTINGS, Ended, Mini
from loads_kit import full, incremental, visit_contract

pytestmark = pytest.mark.deep

COLUMNS = "(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Mark TIMESTAMP(6))"


def inserted(table: str, numbers: range, day: int) -> str:
    values = ", ".join(f"('V{number}', 'a', '2026-01-{day:02d} 08:00:00')" for number in numbers)
    return f"INSERT INTO {table} VALUES {values}"


def current(mini: Mini, entity: str, hospital: str = "hos-a") -> int:
    return mini.frame(f"silver.{entity}").where(f"is_current AND data_source = '{hospital}'").count()


def statuses(ended: Ended) -> list[str]:
    return [log.status for log in ended.logs if (log.layer, log.tablename) in (("silver", "beds"), ("reconcile", "visits"))]


def test_N04_F33_held_deletes_stay_held_whatever_is_new_until_they_are_approved(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [full("beds"), incremental("visits")], own_contracts={"bed": visit_contract(["beds"]), "visit": visit_contract(["visits"])})
    mini.connections = {"hospital-a": mini.h2(tables={"visits": {"reconcile": "daily"}})}
    mini.write()
    for table in ("beds", "visits"):
        mini.sql(f"CREATE TABLE {table} {COLUMNS}", inserted(table, range(10), 10))
    assert mini.run(now="2026-01-11T06:00:00Z").code == 0
    for table in ("beds", "visits"):
        mini.sql(f"DELETE FROM {table} WHERE VisitID IN ('V0', 'V1', 'V2', 'V3')")
    mini.sql(inserted("beds", range(20, 40), 11))
    second = mini.run(now="2026-01-12T06:00:00Z")
    assert (second.code, statuses(second)) == (4, ["HELD", "HELD"]), second.said
    # Four of thirty are less than a fifth: what is new makes a delete no righter.
    mini.sql(inserted("visits", range(20, 40), 12), "UPDATE beds SET State = 'b' WHERE VisitID = 'V20'")
    third = mini.run(now="2026-01-13T06:00:00Z")
    assert (third.code, set(statuses(third))) == (4, {"HELD"}), third.said
    assert (current(mini, "bed"), current(mini, "visit")) == (30, 30)
    approved = mini.run(now="2026-01-14T06:00:00Z", approve_deletes=("hos-a.beds", "hos-a.visits"))
    assert approved.code == 0, approved.said
    assert (current(mini, "bed"), current(mini, "visit")) == (26, 26)
    mini.sql("DELETE FROM beds WHERE VisitID = 'V4'")
    assert mini.run(now="2026-01-15T06:00:00Z").code == 0
    assert current(mini, "bed") == 25


def test_a_bronze_table_belongs_to_one_load_and_a_table_that_is_switched_off_has_what_it_had(spark: SparkSession, tmp_path: Path) -> None:
    loads = [full("a.beds"), full("a.olds"), "hospital-a,hos-b,b.beds,Full,,0,hosb"]
    mini = Mini(spark, tmp_path, loads, own_contracts={"bed": visit_contract(["beds", "olds"])})
    mini.connections = {"hospital-a": mini.h2()}
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_delete_share": 0.9}}}
    mini.write()
    mini.sql("CREATE SCHEMA a", "CREATE SCHEMA b", *[f"CREATE TABLE {table} {COLUMNS}" for table in ("a.beds", "a.olds", "b.beds")])
    mini.sql(inserted("a.beds", range(10), 10), inserted("a.olds", range(20, 22), 10), inserted("b.beds", range(5), 10))
    assert mini.run(now="2026-01-11T06:00:00Z").code == 0
    # V1 goes to the other table as it was; that one is then switched off.
    mini.sql("INSERT INTO a.olds SELECT * FROM a.beds WHERE VisitID = 'V1'", "DELETE FROM a.beds WHERE VisitID = 'V1'")
    assert mini.run(now="2026-01-12T06:00:00Z").code == 0
    mini.loads = [full("a.beds"), full("a.olds", active=0), "hospital-a,hos-b,b.beds,Full,,0,hosb"]
    mini.write()
    mini.sql("UPDATE a.beds SET State = 'b' WHERE VisitID = 'V2'")
    assert mini.run(now="2026-01-13T06:00:00Z").code == 0
    assert current(mini, "bed") == 12
    # Another hospital's load on its path, the first switched off.
    mini.loads = [full("a.beds", active=0), full("a.olds"), "hospital-a,hos-b,b.beds,Full,,1,hosa"]
    mini.write()
    refused = mini.run(now="2026-01-14T06:00:00Z")
    assert refused.code == 1
    told = next(str(log.message) for log in refused.logs if (log.layer, log.data_source, log.status) == ("bronze", "hos-b", "FAILED"))
    assert "bronze.hosa_beds at bronze/hosa/beds holds what hos-a.beds loaded" in told
    assert "Give hos-b.beds a targetpath of its own" in told
    assert (current(mini, "bed"), current(mini, "bed", "hos-b")) == (12, 0)
    # The same load under another path, its old row kept and switched off.
    mini.sql("DELETE FROM a.beds WHERE VisitID = 'V3'")
    mini.loads = [full("a.beds", active=0), full("a.olds"), "hospital-a,hos-a,a.beds,Full,,1,new", "hospital-a,hos-b,b.beds,Full,,1,hosb"]
    mini.write()
    ended = mini.run(now="2026-01-15T06:00:00Z")
    assert ended.code == 0, ended.said
    assert (current(mini, "bed"), current(mini, "bed", "hos-b")) == (11, 5)
    # The table that the switched-off row names is none that has a key: V2 goes to the other table, and then from there.
    mini.sql("INSERT INTO a.olds SELECT * FROM a.beds WHERE VisitID = 'V2'", "DELETE FROM a.beds WHERE VisitID = 'V2'")
    assert mini.run(now="2026-01-16T06:00:00Z").code == 0
    assert current(mini, "bed") == 11
    mini.sql("DELETE FROM a.olds WHERE VisitID = 'V2'")
    assert mini.run(now="2026-01-17T06:00:00Z").code == 0
    assert current(mini, "bed") == 10
