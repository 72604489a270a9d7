"""Headers of files against contract and earlier deliveries: order, case, missing, new and reserved columns, and files whose hospital is not known."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from files_bills import BILL, HEADER, bill, bills, bills_project, landing_of, says, silver_ids
from harness import Ended, Mini
from rcm_lakehouse.bronze.lineage import LINEAGE_NAMES
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.quality.judge import judged
from rcm_lakehouse.silver.mapping import mapped

POLICIES = {"a": "evolve", "b": "freeze", "c": "discard", "d": "quarantine"}
WITH_EXTRA = bills(bill(2) + ",", bill(3) + ",urgent", bill(4) + ",late", header=HEADER + ",Priority Code")
SECOND_SOURCE = {
    "name": "other_names",
    "tables": ["bills"],
    "data_sources": ["hos-f"],
    "columns": {
        "source_bill_id": "ID",
        "patient_number": "Pat No",
        "service_date": "Day",
        "billed_amount": "Charged",
        "note": "Remark",
        "source_modified_at": "Updated",
    },
}


@dataclass
class Runs:
    """The lakehouse and its two runs."""

    mini: Mini
    ended: list[Ended] = field(default_factory=list)


@pytest.fixture(scope="module")
def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    options: dict[str, dict[str, Any]] = {letter: {"drift": policy} for letter, policy in POLICIES.items()}
    options |= {"e": {}, "f": {}, "g": {"pattern": "shared/*"}, "h": {"pattern": "shared/*.csv"}}
    mini = bills_project(spark, tmp_path_factory.mktemp("schema"), options)
    columns = {name: source.replace(" ", "_") for name, source in SECOND_SOURCE["columns"].items()}  # type: ignore[attr-defined]
    mini.own_contracts = {"bill": {**BILL, "sources": [*BILL["sources"], {**SECOND_SOURCE, "columns": columns}]}}
    mini.write()
    runs = Runs(mini)
    _land_first(mini)
    runs.ended.append(mini.run(now="2031-01-01T06:00:00Z"))
    _land_second(mini)
    runs.ended.append(mini.run(now="2031-01-02T06:00:00Z"))
    return runs


def _land_first(mini: Mini) -> None:
    for letter in POLICIES:
        mini.land(f"{letter}/1.csv", bills(bill(1)))
    mini.land("e/1_ordered.csv", bills(bill(1, amount="1.10", note="kept")))
    mini.land("e/2_swapped.csv", bills("2026-01-06,2.20,B2,kept,P1,2026-01-05", header="ModifiedDate,Amount,BillID,Note,PatientNo,ServiceDate"))
    mini.land("e/3_case.csv", bills(bill(3, amount="3.30", note="kept"), header=HEADER.upper()))
    mini.land("e/4_optional_missing.csv", bills("B4,2026-01-06", header="BillID,ModifiedDate"))
    mini.land("e/5_renamed.csv", bills(bill(5), header=HEADER.replace("BillID", "Bill_ID")))
    mini.land("e/6_without_sequence.csv", bills("B6,1.00", header="BillID,Amount"))
    mini.land("e/7_ours.csv", bills(bill(7) + ",x", header=HEADER + ",_Load_ID"))
    mini.land("e/8_source.csv", bills(bill(8) + ",x", header=HEADER + ",data_source"))
    mini.land("f/1.csv", bills("B1,2026-01-05,P1,10.00,,2026-01-06", header="ID,Day,Pat No,Charged,Remark,Updated"))
    mini.land("shared/whose.csv", bills(bill("whose")))
    mini.land("z/hospital3_bills.csv", bills(bill("unknown")))


def _land_second(mini: Mini) -> None:
    for letter in POLICIES:
        mini.land(f"{letter}/2.csv", WITH_EXTRA)


def _bronze(mini: Mini, letter: str, *columns: str) -> list[tuple[Any, ...]]:
    return mini.rows(f"bronze.hos{letter}_bills", "BillID", *columns)


def test_D01_F28_evolve_adds_the_new_column_with_nulls_for_older_rows(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosa_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SUCCESS", 3, 3)
    assert says(log.warnings, "a/2.csv: the new column 'Priority_Code' is added; older rows have NULL")
    assert _bronze(runs.mini, "a", "Priority_Code") == [("B1", None), ("B2", None), ("B3", "urgent"), ("B4", "late")]
    assert silver_ids(runs.mini, "a") == ["B1", "B2", "B3", "B4"]


def test_D01_F28_freeze_fails_before_a_row_is_written(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosb_bills")
    assert (log.status, log.rows_written, runs.ended[1].code) == ("FAILED", 0, 1)
    assert log.message is not None
    assert "b/2.csv: its header has the new column 'Priority_Code' and the drift policy is freeze." in log.message
    assert _bronze(runs.mini, "b") == [("B1",)]
    assert "b/2.csv" in landing_of(runs.mini)


def test_D01_F28_discard_leaves_the_values_out_and_counts_them(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosc_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SUCCESS", 3, 3)
    assert says(log.warnings, "c/2.csv: 2 values of the new column 'Priority_Code' were left out")
    assert "Priority_Code" not in runs.mini.frame("bronze.hosc_bills").columns
    assert silver_ids(runs.mini, "c") == ["B1", "B2", "B3", "B4"]


def test_D01_F28_quarantine_keeps_lines_with_a_value_in_the_new_column_and_counts_them(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosd_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SUCCESS", 3, 3)
    assert says(log.warnings, "d/2.csv: 2 malformed lines go to quarantine (2 unknown column)")
    silver = runs.ended[1].log("silver", "bill", "hos-d")
    assert (silver.rows_read, silver.rows_written, silver.rows_quarantined) == (3, 1, 2)
    assert silver_ids(runs.mini, "d") == ["B1", "B2"]
    waiting = runs.mini.frame("quarantine.bill").where("data_source = 'hos-d'").select("reasons", "raw_row").collect()
    assert {row["reasons"][0]["message"] for row in waiting} == {"the line does not fit the file: unknown column"}
    assert sorted(bill(3) + ",urgent" in row["raw_row"] for row in waiting) == [False, True]


def test_I31_F28_columns_are_met_by_name_and_each_hospital_has_its_own_names(runs: Runs) -> None:
    rows = runs.mini.rows("silver.bill", "source_bill_id", "billed_amount", "note", where="data_source = 'hos-e' AND billed_amount IS NOT NULL")
    assert [(row[0], str(row[1]), row[2]) for row in rows] == [("B1", "1.10", "kept"), ("B2", "2.20", "kept"), ("B3", "3.30", "kept")]
    other = runs.mini.rows("silver.bill", "source_bill_id", "patient_number", "billed_amount", where="data_source = 'hos-f'")
    assert [(row[0], row[1], str(row[2])) for row in other] == [("B1", "P1", "10.00")]


def test_D04_F28_a_header_in_another_case_makes_no_second_column(runs: Runs) -> None:
    columns = [name for name in runs.mini.frame("bronze.hose_bills").columns if name not in LINEAGE_NAMES]
    assert columns == HEADER.split(",")
    assert "Priority_Code" in runs.mini.frame("bronze.hosa_bills").columns


def test_D03_F28_a_missing_required_column_refuses_its_file_an_optional_one_is_null_and_said(runs: Runs) -> None:
    log = runs.ended[0].log("bronze", "hose_bills")
    assert (log.status, log.rows_written) == ("FAILED", 4)
    assert log.message is not None
    assert "e/5_renamed.csv: its header lacks the column 'BillID' (Did you mean 'Bill_ID'?)." in log.message
    assert "e/6_without_sequence.csv: its header lacks the column 'ModifiedDate'." in log.message
    assert says(log.warnings, "e/4_optional_missing.csv: column 'Amount' is absent and read as NULL")
    reasons = runs.mini.frame("quarantine.bill").where("data_source = 'hos-e'").select(F.explode("reasons.rule")).collect()
    assert [row[0] for row in reasons] == ["amount_present"], "a NULL is judged by the rules as any NULL"


def test_D09_a_column_named_like_ours_refuses_its_file_before_a_row_is_written(runs: Runs) -> None:
    message = runs.ended[0].log("bronze", "hose_bills").message or ""
    assert "e/7_ours.csv: its header has the column '_Load_ID', a name that the lakehouse gives to a column of its own." in message
    assert "e/8_source.csv: its header has the column 'data_source'" in message
    assert {"B7", "B8"}.isdisjoint(row[0] for row in _bronze(runs.mini, "e"))


def test_Q29_a_file_of_an_unknown_hospital_stays_where_it_is_and_is_said_once(runs: Runs) -> None:
    told = [text for log in runs.ended[0].logs for text in log.warnings if "hospital3" in text]
    assert told == ["z/hospital3_bills.csv: no load takes this file; it stays in the landing folder, unread"]
    assert "z/hospital3_bills.csv" in landing_of(runs.mini)


def test_Q29_a_file_that_two_hospitals_patterns_take_is_given_to_neither(runs: Runs) -> None:
    for letter, other in (("g", "hos-h.bills"), ("h", "hos-g.bills")):
        log = runs.ended[0].log("bronze", f"hos{letter}_bills")
        assert (log.status, log.rows_written) == ("FAILED", 0)
        assert log.message is not None
        assert f"shared/whose.csv: its name fits the pattern of {other}, too, so it is open whose it is." in log.message
    assert "shared/whose.csv" in landing_of(runs.mini)
    assert runs.mini.rows("silver.bill", "data_source", where="source_bill_id = 'Bwhose'") == []


def test_Q29_a_row_without_a_hospital_is_quarantined_as_of_an_unknown_source_and_never_gets_a_key(runs: Runs) -> None:
    contract = Contract(entity="bill", **BILL)
    bronze = runs.mini.frame("bronze.hosf_bills").withColumns({"data_source": F.lit(None).cast("string"), "_source_table": F.lit("bronze.x")})
    renamed = bronze.withColumnsRenamed({"ID": "BillID", "Updated": "ModifiedDate", "Charged": "Amount"})
    verdict = judged(mapped(renamed, contract, contract.sources[0], time_zone="UTC", contracts={}), contract, {}).collect()
    assert [(row["outcome"], row["bill_key"], row["failed_rules"][0]["rule"]) for row in verdict] == [("quarantine", None, "UNKNOWN_SOURCE")]
