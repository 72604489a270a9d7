"""What was delivered later is current: beside a row that is switched off, over tables, under another path, and of a key that several rows have."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import DAYS, done, of, timed
from files_bills import BILL, bill, bills, bills_project
from harness import Mini
from loads_kit import full, incremental
from rcm_lakehouse.lake.names import register_all
from wards import REPLAY

pytestmark = pytest.mark.deep


def state(mini: Mini, key: str = "V1") -> list[tuple[str]]:
    return mini.rows("silver.bed", "state", where=f"is_current AND source_visit_id = '{key}'")


def waiting(mini: Mini) -> list[str]:
    register_all(mini.spark, mini.lake.settings, mini.home)
    return [row["status"] for row in mini.spark.table("quarantine.bill_rows").select("status").collect()]


def test_a_change_of_one_day_is_taken_while_the_row_of_the_former_path_stands_switched_off(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds")], {"bed": timed(["beds"], "date")}, share=0.9)
    mini.sql(f"CREATE TABLE beds {DAYS}", "INSERT INTO beds VALUES ('V1', 'a', '2026-01-25'), ('V2', 'a', '2026-01-25')")
    done(mini.run(now="2026-01-25T12:00:00Z"))
    mini.loads = [full("beds", active=0), full("beds").replace(",hosa", ",new")]
    mini.write()
    done(mini.run(now="2026-01-25T13:00:00Z"))
    for hour, word in ((14, "b"), (15, "c")):
        mini.sql(f"UPDATE beds SET State = '{word}' WHERE VisitID = 'V1'")
        done(mini.run(now=f"2026-01-25T{hour}:00:00Z"))
        assert state(mini) == [(word,)]


def test_a_row_that_moves_to_another_table_on_the_day_of_its_last_change_is_what_was_read_last(spark: SparkSession, tmp_path: Path) -> None:
    mini = of(spark, tmp_path, [full("beds"), full("olds")], {"bed": timed(["beds", "olds"], "date")}, share=0.9)
    mini.sql(f"CREATE TABLE beds {DAYS}", f"CREATE TABLE olds {DAYS}", "INSERT INTO olds VALUES ('V0', 'a', '2026-01-20')")
    mini.sql("INSERT INTO beds VALUES ('V1', 'a', '2026-01-25'), ('V2', 'a', '2026-01-25')")
    done(mini.run(now="2026-01-25T06:00:00Z"))
    for hour, word in ((7, "b"), (8, "c")):
        mini.sql(f"UPDATE beds SET State = '{word}' WHERE VisitID = 'V1'")
        done(mini.run(now=f"2026-01-25T0{hour}:00:00Z"))
    # Two batches of olds, three of beds: their numbers tell nothing of each other.
    mini.sql("INSERT INTO olds SELECT VisitID, 'closed', Changed FROM beds WHERE VisitID = 'V1'", "DELETE FROM beds WHERE VisitID = 'V1'")
    done(mini.run(now="2026-01-25T10:00:00Z"))
    assert state(mini) == [("closed",)]


def test_a_bill_that_waits_in_quarantine_is_replayed_though_its_load_got_another_targetpath(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    mini.own_contracts = {"bill": {**BILL, "rules": [{"name": "amount_small", "check": "billed_amount < 100", "columns": ["billed_amount"]}]}}
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.write()
    mini.land("a/one.csv", bills(bill(1, amount="500.00"), bill(2)))
    done(mini.run())
    mini.loads = [row.replace(",hosa", ",new") for row in mini.loads]
    mini.write()
    mini.land("a/two.csv", bills(bill(3)))
    done(mini.run())
    assert waiting(mini) == ["open"], "the file of before was not read again"

    mini.own_contracts = {"bill": {**BILL, "rules": []}}
    mini.write()
    done(mini.run(**REPLAY))
    assert waiting(mini) == ["replayed"]
    assert len(mini.rows("silver.bill", "source_bill_id", where="is_current")) == 3


def test_a_missed_row_of_a_key_that_several_rows_have_takes_its_own_place_in_time(spark: SparkSession, tmp_path: Path) -> None:
    made = timed(["events"])
    made["sources"][0]["delete_when"] = "Gone = 'y'"
    mini = of(spark, tmp_path, [incremental("events", "Changed")], {"bed": made})
    mini.connections["hospital-a"]["tables"] = {"events": {"reconcile": "weekly", "key": ["VisitID", "Changed"]}}  # type: ignore[index]
    mini.write()
    mini.sql("CREATE TABLE events (VisitID VARCHAR(20), State VARCHAR(60), Changed TIMESTAMP(6), Gone VARCHAR(1))")
    mini.sql("INSERT INTO events VALUES ('V1', 'late', '2026-01-20 09:00:00', 'n'), ('V2', 'late', '2026-01-20 09:00:00', 'n')")
    done(mini.run(now="2026-01-21T12:00:00Z"))
    mini.sql("INSERT INTO events VALUES ('V1', 'early', '2026-01-03 09:00:00', 'n')")
    done(mini.run(now="2026-01-21T13:00:00Z", reconcile=("hos-a.events",)))
    found = mini.rows("silver.bed", "state", "date(effective_from)", "is_current", where="source_visit_id = 'V1'")
    assert [(word, str(day), is_current) for word, day, is_current in found] == [("early", "2026-01-03", False), ("late", "2026-01-20", True)]


def test_columns_whose_names_have_blanks_are_mapped_by_their_names_in_bronze(spark: SparkSession, tmp_path: Path) -> None:
    made = timed(["beds"])
    made["sources"][0]["columns"] = {"source_visit_id": "Bed_ID", "state": "= upper(Ward_Name)", "source_modified_at": "Last_Change"}
    mini = of(spark, tmp_path, [incremental("beds", "Last_Change")], {"bed": made}, share=0.9, daily=("beds",))
    mini.sql('CREATE TABLE beds ("Bed ID" VARCHAR(20) PRIMARY KEY, "Ward Name" VARCHAR(60), "Last Change" TIMESTAMP(6))')
    mini.sql("INSERT INTO beds VALUES ('V1', 'icu', '2026-01-20 09:00:00')")
    done(mini.run(now="2026-01-21T12:00:00Z"))
    mini.sql("INSERT INTO beds VALUES ('V2', 'er', '2026-01-22 09:00:00')", """DELETE FROM beds WHERE "Bed ID" = 'V1'""")
    done(mini.run(now="2026-01-22T12:00:00Z"))
    assert mini.rows("silver.bed", "source_visit_id", "state", where="is_current") == [("V2", "ER")]
