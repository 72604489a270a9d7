"""What a run takes without being asked: files that are delivered again, whatever their stamps say."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from beds_kit import done
from files_bills import BILL, bill, bills, bills_project, silver_ids
from harness import Mini
from rcm_lakehouse.pipeline import history as history_module
from wards import REPLAY, statuses
from windows_kit import Killed, at_point, raising

pytestmark = pytest.mark.wide

VOIDABLE = {**BILL, "sources": [{**BILL["sources"][0], "delete_when": "Note = 'void'"}]}


def lenient(spark: SparkSession, home: Path, contract: dict[str, Any]) -> Mini:
    """A hospital's bills under this contract; any share of them may be bad."""
    mini = bills_project(spark, home, {"a": {}})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.own_contracts = {"bill": contract}
    mini.write()
    return mini


def small_amounts() -> dict[str, Any]:
    """Bills below fifty dollars; a test raises the limit in its own copy."""
    return {**copy.deepcopy(BILL), "rules": [{"name": "amount_small", "check": "billed_amount < 50", "columns": ["billed_amount"]}]}


def test_F22_a_correction_stands_where_the_row_stood_that_it_corrects(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"name": "amount_positive", "check": "billed_amount > 0", "columns": ["billed_amount"]}]
    mini = lenient(spark, tmp_path, {**VOIDABLE, "rules": rules})
    wrong = [
        bill(1, amount="9000.00", modified="2026-01-20"),
        bill(2, amount="9000.00", modified="2099-01-01"),
        bill(3, amount="-5.00", modified="2026-01-20"),
        bill(4, note="void", modified="2026-01-20"),
        bill(5, amount="5.00", modified="2026-01-20"),
        bill(6, amount="6.00", modified="2026-01-20"),
        # Two states of one bill.
        *[bill(7, note="closed", modified="2026-01-20"), bill(7, note="open", modified="2026-01-10")],
    ]
    mini.land("a/one.csv", bills(*wrong))
    done(mini.run())
    mini.land("a/two.csv", bills(bill(6, amount="66.00", modified="2026-01-25")))
    done(mini.run())
    right = [bill(number, amount=f"{number}0.00", modified="2026-01-10") for number in (1, 2, 3, 4, 6)]
    mini.land("a/one.csv", bills(*right, bill(5, amount="5.00", modified="2026-01-20"), *wrong[-2:]))
    done(mini.run())
    expected = {"B1": "10.00", "B2": "20.00", "B3": "30.00", "B4": "40.00", "B5": "5.00", "B6": "66.00", "B7": "10.00"}
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == expected
    closed = mini.rows("silver.bill", "note", "CAST(effective_from AS DATE) = DATE '2026-01-20'", where="source_bill_id = 'B7' AND is_current")
    assert closed == [("closed", True)]
    assert statuses(mini, "bill") == {"superseded": 1}
    # A correction of the correction, stamped lower still.
    mini.land("a/one.csv", bills(bill(1, amount="11.00", modified="2026-01-05"), *right[1:], bill(5, amount="5.00", modified="2026-01-20"), *wrong[-2:]))
    done(mini.run())
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {**expected, "B1": "11.00"}


def test_F22_after_a_death_behind_its_merge_a_correction_stands_though_the_row_before_it_would_pass_now(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = small_amounts()
    mini = lenient(spark, tmp_path, contract)
    mini.land("a/nov.csv", bills(bill(1, amount="90.00", modified="2026-01-20"), bill(2)))
    done(mini.run())
    mini.land("a/nov.csv", bills(bill(1, amount="10.00", modified="2026-01-10"), bill(2)))
    with monkeypatch.context() as patch:
        patch.setattr(history_module, "crash_point", at_point("P10", raising(Killed()), "bill"))
        with pytest.raises(Killed):
            mini.run()
    contract["rules"][0]["check"] = "billed_amount < 100"
    mini.write()
    done(mini.run(**REPLAY))
    done(mini.run())
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "10.00", "B2": "10.00"}
    assert statuses(mini, "bill") == {"superseded": 1}


def test_F22_what_a_correction_leaves_out_waits_on_and_one_that_waited_is_no_older_than_another_file(spark: SparkSession, tmp_path: Path) -> None:
    contract = small_amounts()
    mini = lenient(spark, tmp_path, contract)
    mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-30"), bill(2, amount="90.00"), bill(3, amount="3.00", modified="2026-01-10")))
    done(mini.run())
    # Said once more with a later stamp, and then with a wrong amount put right.
    mini.land("a/nov.csv", bills(bill(1, amount="50.00", modified="2026-01-03"), bill(3, amount="3.00", modified="2026-01-30")))
    mini.land("a/dec.csv", bills(bill(1, amount="20.00", modified="2026-01-10")))
    done(mini.run())
    mini.land("a/jan.csv", bills(bill(2, amount="95.00", modified="2026-01-02")))
    mini.land("a/nov.csv", bills(bill(1, amount="50.00", modified="2026-01-03"), bill(3, amount="33.00", modified="2026-01-12")))
    done(mini.run())
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "1.00", "B3": "33.00"}
    assert statuses(mini, "bill") == {"open": 3}, "B2 is in no later delivery of its file, B1 is too large by a rule"
    contract["rules"][0]["check"] = "billed_amount < 100"
    mini.write()
    done(mini.run(**REPLAY))
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "50.00", "B2": "90.00", "B3": "33.00"}


def test_F22_a_correction_follows_what_its_file_deleted_and_not_what_another_file_said_there(spark: SparkSession, tmp_path: Path) -> None:
    mini = lenient(spark, tmp_path, VOIDABLE)
    typo, late = bill(1, amount="1.00", modified="2026-01-30"), bill(9, modified="2026-01-01")
    wrong = [bill(3, amount="9000.00", modified="2026-01-30"), bill(4, amount="", modified="2026-01-30")]
    mini.land("a/nov.csv", bills(typo, bill(2, modified="2026-01-30"), late, *wrong))
    done(mini.run())
    # What no one took, as of B3, covers nothing, and of B4 there is nothing to correct.
    other = [bill(3, amount="", modified="2026-01-30"), bill(4, amount="100.00", modified="2026-01-20")]
    mini.land("a/dec.csv", bills(bill(1, amount="100.00", modified="2026-01-30"), *other))
    right = [bill(3, amount="90.00", modified="2026-01-03"), bill(4, amount="90.00", modified="2026-01-03")]
    mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-03"), bill(2, note="void", modified="2026-01-20"), late, *right))
    done(mini.run())
    rest = {"B1": "100.00", "B3": "90.00", "B4": "100.00", "B9": "10.00"}
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == rest
    assert statuses(mini, "bill") == {"superseded": 2}
    for number in (1, 2):
        alive = bill(2, amount=f"2{number}.00", modified=f"2026-01-1{number}")
        mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-03"), alive, late, *right))
        done(mini.run())
        assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {**rest, "B2": f"2{number}.00"}
    tombstones = mini.commits("silver.bill_tombstones")
    for note in ("x", "y"):
        gone, other = bill(2, note="void", modified="2026-01-20"), bill(9, note=note, modified="2026-01-01")
        mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-03"), gone, other, *right))
        done(mini.run())
    assert (mini.commits("silver.bill_tombstones") - tombstones, silver_ids(mini, "a")) == (1, sorted(rest)), "said again, it is the same delete"


def test_F22_what_a_correction_repeats_takes_nothing_from_another_file_and_a_first_copy_under_another_name_takes_no_correction_away(
    spark: SparkSession, tmp_path: Path
) -> None:
    mini = lenient(spark, tmp_path, VOIDABLE)
    mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-30"), bill(2, amount="9000.00", modified="2026-01-20"), "B3,P1,2026-01-05"))
    done(mini.run())
    mini.land("a/dec.csv", bills(bill(1, amount="100.00", modified="2026-01-30")))
    mini.land("a/nov.csv", bills(bill(1, amount="1.00", modified="2026-01-30"), bill(2, amount="20.00", modified="2026-01-10"), bill(3)))
    done(mini.run())
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "100.00", "B2": "20.00", "B3": "10.00"}
    # Once more, and then with another amount and an older day: dec.csv said something since nov.csv began to say this.
    for amount, day in (("1.00", "2026-01-30"), ("12.00", "2026-01-15")):
        mini.land("a/nov.csv", bills(bill(1, amount=amount, modified=day), bill(2, amount="20.00", modified="2026-01-10"), bill(3), bill(4)))
        done(mini.run())
        assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "100.00", "B2": "20.00", "B3": "10.00", "B4": "10.00"}
    mini.land("a/jan.csv", bills(bill(9, amount="8.00", modified="2026-01-30")))
    # Under another name it moves no stamp.
    mini.land("a/jan_corrected.csv", bills(bill(9, amount="9.00", modified="2026-01-03")))
    done(mini.run())
    mini.land("a/jan.csv", bills(bill(9, amount="9.00", modified="2026-01-03")))
    done(mini.run())
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)"))["B9"] == "9.00"
    assert statuses(mini, "bill") == {"superseded": 1}


@pytest.mark.parametrize("sequence", [["source_modified_at"], []], ids=["sequence", "no sequence"])
def test_a_bad_row_that_its_own_correction_closed_is_none_that_silver_took(spark: SparkSession, tmp_path: Path, sequence: list[str]) -> None:
    contract = small_amounts()
    contract["rules"].append({"name": "patient_right", "check": "patient_number <> 'P9'", "columns": ["patient_number"]})
    contract["sequence_by"] = sequence
    mini = lenient(spark, tmp_path, contract)
    for name, amount in (("nov", "15.00"), ("dec", "90.00"), ("dec", "91.00")):
        mini.land(f"a/{name}.csv", bills(bill(1, patient="P9", amount=amount)))
        done(mini.run())
    assert statuses(mini, "bill") == {"open": 2, "superseded": 1}
    del contract["rules"][1]
    mini.write()
    done(mini.run(**REPLAY))
    assert silver_ids(mini, "a", "CAST(billed_amount AS STRING)") == [("B1", "15.00")]
    assert len(mini.rows("silver.bill", "version")) == 1
    assert statuses(mini, "bill") == {"open": 1, "replayed": 1, "superseded": 1}


def test_F22_who_said_it_last_is_the_same_whether_each_delivery_has_its_run_or_all_have_one(spark: SparkSession, tmp_path: Path) -> None:
    """A second file repeats a row, a delete and a bad line of the first, which is then delivered again: what the second says stays, however they fall."""
    found = []
    for name in ("apart", "together"):
        mini = lenient(spark, tmp_path / name, VOIDABLE)
        first = [bill(1, amount="9000.00", modified="2026-01-20"), bill(2, note="void", modified="2026-01-20"), ",P1,2026-01-05,500.00,,2026-01-06"]
        again = [bill(1, amount="90.00", modified="2026-01-10"), bill(2, amount="22.00", modified="2026-01-10"), bill(3, amount="500.00")]
        mini.land("a/zero.csv", bills(bill(2)))
        for number, (file, lines) in enumerate([("one", first), ("two", [*first, bill(8)]), ("one", again)]):
            mini.land(f"a/{file}.csv", bills(*lines))
            done(mini.run(**({"layers": ("bronze",)} if name == "together" and number < 2 else {})))
        columns = ("source_bill_id", "billed_amount", "CAST(effective_from AS STRING)", "is_current")
        found.append((mini.rows("silver.bill", *columns), statuses(mini, "bill")))
        assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)")) == {"B1": "9000.00", "B3": "500.00", "B8": "10.00"}
        mini.land("a/two.csv", bills(bill(1, amount="90.00", modified="2026-01-10"), bill(2, note="void", modified="2026-01-20"), bill(8)))
        done(mini.run())
        assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)"))["B1"] == "90.00"
        assert statuses(mini, "bill") == {"superseded": 1}, "both files were mended"
    assert found[0] == found[1]
    assert found[0][1] == {"open": 1}, "two.csv still has the line"


@pytest.mark.parametrize("mended", [("one", "two"), ("two", "one")], ids=["first first", "last first"])
def test_a_bad_row_of_two_files_is_closed_when_both_are_mended_in_whatever_order(spark: SparkSession, tmp_path: Path, mended: tuple[str, str]) -> None:
    mini = lenient(spark, tmp_path, small_amounts())
    for name in ("one", "two"):
        mini.land(f"a/{name}.csv", bills(bill(1, amount="90.00", modified="2026-01-20"), bill(name)))
        done(mini.run())
    for name, expected in zip(mended, ({"open": 1}, {"superseded": 1}), strict=True):
        mini.land(f"a/{name}.csv", bills(bill(1, amount="9.00", modified="2026-01-10"), bill(name)))
        done(mini.run())
        assert statuses(mini, "bill") == expected
    assert dict(silver_ids(mini, "a", "CAST(billed_amount AS STRING)"))["B1"] == "9.00"


def test_F22_a_row_that_a_rule_drops_holds_no_place_for_its_correction_and_one_that_is_taken_twice_stays(spark: SparkSession, tmp_path: Path) -> None:
    rules = [{"name": "no_test", "check": "note <> 'zz' OR note IS NULL", "columns": ["note"], "severity": "drop"}]
    mini = lenient(spark, tmp_path, {**VOIDABLE, "rules": rules})
    mini.land("a/one.csv", bills(bill(1, amount="7.00", modified="2026-01-25"), bill(2, amount="9000.00", modified="2026-01-20")))
    done(mini.run())
    mini.land("a/two.csv", bills(bill(1, amount="8.00", note="zz", modified="2026-01-25")))
    done(mini.run())
    mini.land("a/two.csv", bills(bill(1, amount="6.00", modified="2026-01-10")))
    done(mini.run())
    audit, backup = mini.home / "lakehouse" / "audit", mini.home / "backup"
    shutil.copytree(audit, backup)
    mini.land("a/one.csv", bills(bill(1, amount="7.00", modified="2026-01-25"), bill(2, amount="90.00", modified="2026-01-10")))
    done(mini.run())
    columns = ("source_bill_id", "CAST(billed_amount AS STRING)", "CAST(CAST(effective_from AS DATE) AS STRING)", "is_current")
    expected = [("B1", "6.00", "2026-01-10", False), ("B1", "7.00", "2026-01-25", True), ("B2", "90.00", "2026-01-20", True)]
    assert mini.rows("silver.bill", *columns) == expected
    # An audit that does not know of it has the correction taken again.
    shutil.rmtree(audit)
    shutil.copytree(backup, audit)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    done(mini.run())
    assert mini.rows("silver.bill", *columns) == expected
