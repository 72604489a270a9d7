"""The header of a file: empty files, columns by name, drift, names that are ours, and fixed width. No Spark."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from files_read import HEADER, read

from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.files_header import Expected


def test_I25_a_header_alone_and_an_empty_file_follow_the_policy(tmp_path: Path) -> None:
    for content, name in ((HEADER, "a.csv"), ("", "b.csv"), ("ClaimID\r\n", "c.csv"), (gzip.compress(b""), "d.csv.gz"), (b"\xff\xfe", "e.csv")):
        encoding = "utf-16" if name == "e.csv" else "utf-8"
        assert read(tmp_path, content, name=name, encoding=encoding).found.records == 0
        with pytest.raises(SourceDataError, match="it has no record"):
            read(tmp_path, content, name=name, encoding=encoding, zero_rows="fail")


def test_I31_columns_are_met_by_name_in_any_order_and_case(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID", "PatientID"), required=("ClaimID",), known=("ClaimID", "PatientID", "ClaimAmount"))
    reading = read(tmp_path, "claimamount,PATIENTID,claimId\n1.10,P1,C1\n", expected)
    assert reading.values() == [{"ClaimAmount": "1.10", "PatientID": "P1", "ClaimID": "C1"}]
    assert reading.found.columns == ("ClaimAmount", "PatientID", "ClaimID")
    assert reading.found.added == ()


def test_D03_a_missing_required_column_is_refused_with_the_nearest_name_and_an_optional_one_is_told(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID", "PatientID", "ModifiedDate"), required=("ClaimID", "ModifiedDate"))
    with pytest.raises(SourceDataError, match=r"its header lacks the column 'ClaimID' \(Did you mean 'Claim_ID'\?\)"):
        read(tmp_path, "Claim ID,PatientID,ModifiedDate\nC1,P1,2026-01-01\n", expected)
    with pytest.raises(SourceDataError, match="its header lacks the columns 'ClaimID', 'ModifiedDate'"):
        read(tmp_path, "PatientID\nP1\n", expected)
    reading = read(tmp_path, "ClaimID,ModifiedDate\nC1,2026-01-01\n", expected)
    assert reading.found.missing == ("PatientID",)


def test_D03_a_mapped_column_that_looks_misspelled_refuses_the_file_unless_it_is_given_up_or_the_other_is_known(tmp_path: Path) -> None:
    content = "ClaimID,ClaimStatis\nC1,Paid\n"
    with pytest.raises(SourceDataError, match=r"lacks the column 'ClaimStatus' \(Did you mean 'ClaimStatis'\?\), whose values would become NULL"):
        read(tmp_path, content, Expected(used=("ClaimID", "ClaimStatus"), required=("ClaimID",)))
    for expected in (Expected(given_up=("claimstatus",)), Expected(known=("ClaimID", "ClaimStatis"))):
        reading = read(tmp_path, content, replace(expected, used=("ClaimID", "ClaimStatus"), required=("ClaimID",)))
        assert reading.found.missing == ("ClaimStatus",)
        assert reading.values() == [{"ClaimID": "C1", "ClaimStatis": "Paid"}]


@pytest.mark.parametrize("name", ["_load_id", "_ROW_HASH", "data_source", "_source_file"])
def test_D09_a_column_named_like_ours_is_refused_and_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceDataError, match=f"the column '{name}', a name that the lakehouse gives"):
        read(tmp_path, f"ClaimID,{name}\nC1,x\n", Expected(reserved=("_load_id", "_row_hash", "data_source", "_source_file")))


def test_D04_a_column_twice_or_without_a_name_is_refused_and_blanks_become_underscores(tmp_path: Path) -> None:
    with pytest.raises(SourceDataError, match="has the column 'ClaimID' twice"):
        read(tmp_path, "ClaimID,claimid\n1,2\n", Expected(used=("ClaimID",)))
    with pytest.raises(SourceDataError, match="has the column 'CPT_Codes' twice"):
        read(tmp_path, "ClaimID,CPT Codes,CPT_Codes\n1,2,3\n", Expected(used=("ClaimID",)))
    with pytest.raises(SourceDataError, match="column 2 of its header has no name"):
        read(tmp_path, "ClaimID,,x\n1,2,3\n")
    with pytest.raises(SourceDataError, match="broken quote"):
        read(tmp_path, '"ClaimID,PatientID\n1,2\n')
    assert read(tmp_path, ' CPT Codes ,"a;b(c)=`d`"\n1,2\n').found.columns == ("CPT_Codes", "a_b_c___d_")


# Made-up values of a patient in the place of names: two are equal, one is nearly a column's name, one is a column's name.
RECORD = "Canary-123,555-CANARY,555-CANARY,CanaryID,Status,x"
CLAIMS = ("CanarisID", "PatientID", "Payer", "Status", "Amount", "ClaimDate")


@pytest.mark.parametrize(
    ("line", "expected", "says"),
    [
        (RECORD, Expected(), "its header has one name twice, as numbers 2 and 3"),
        (RECORD, Expected(required=("PatientID",)), r"its first line has none of the expected columns \('PatientID'\), so the header line may be missing"),
        (RECORD, Expected(known=CLAIMS[:3]), "its first line has none of the expected columns"),
        (RECORD, Expected(used=("AdmitDate", *CLAIMS[:3], *CLAIMS[4:])), r"'Payer', 'Amount' …\), so"),
        (RECORD, Expected(used=CLAIMS), "its header has one name twice, as numbers 2 and 3"),
        (RECORD.replace("CANARY,555", "CANARY,556"), Expected(CLAIMS, ("CanarisID", "Status")), r"lacks the column 'CanarisID' \(Did you mean number 4\?\)"),
        (RECORD.replace("CANARY,555", "CANARY,556"), Expected(used=CLAIMS), r"lacks the column 'CanarisID' \(Did you mean number 4\?\), whose values"),
    ],
)
def test_a_first_line_that_may_be_a_record_is_told_without_its_values(tmp_path: Path, line: str, expected: Expected, says: str) -> None:
    for drift in ("evolve", "freeze", "discard", "quarantine"):
        with pytest.raises(SourceDataError, match=says) as error:
            read(tmp_path, line + "\n" + line + "\n", expected, drift=drift)
        assert not [cell for cell in line.split(",")[:4] if cell in str(error.value)]


def test_new_columns_of_a_line_that_may_be_a_record_are_told_by_number(tmp_path: Path) -> None:
    expected, line = Expected(known=CLAIMS), "Canary,555-0199,Status,x"
    assert read(tmp_path, line + "\n", expected).found.told == {"Canary": "number 1", "555-0199": "number 2", "x": "number 4"}
    with pytest.raises(SourceDataError, match="new column number 1, number 2, number 4 and the drift"):
        read(tmp_path, line + "\n", expected, drift="freeze")
    assert read(tmp_path, "Payer,Extra,Status,Amount\n", expected).found.told == {"Extra": "'Extra'"}


def test_D01_the_drift_policy_decides_about_a_new_column(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID",), known=("ClaimID", "PatientID"))
    content = "ClaimID,PatientID,Extra\nC1,P1,\nC2,P2,news\nC3,P3,more\n"
    evolved = read(tmp_path, content, expected, drift="evolve")
    assert (evolved.found.added, evolved.found.columns) == (("Extra",), ("ClaimID", "PatientID", "Extra"))
    assert evolved.values()[1] == {"ClaimID": "C2", "PatientID": "P2", "Extra": "news"}
    with pytest.raises(SourceDataError, match="new column 'Extra' and the drift policy is freeze"):
        read(tmp_path, content, expected, drift="freeze")
    discarded = read(tmp_path, content, expected, drift="discard")
    assert (discarded.found.discarded, discarded.found.columns) == ({"Extra": 2}, ("ClaimID", "PatientID"))
    assert discarded.values() == [{"ClaimID": f"C{n}", "PatientID": f"P{n}"} for n in (1, 2, 3)]
    quarantined = read(tmp_path, content, expected, drift="quarantine")
    assert quarantined.values() == [{"ClaimID": "C1", "PatientID": "P1"}]
    assert quarantined.malformed() == [(3, "unknown_column", "C2,P2,news"), (4, "unknown_column", "C3,P3,more")]


@pytest.mark.parametrize("drift", ["evolve", "freeze", "discard", "quarantine"])
def test_D01_a_new_column_that_a_contract_has_come_to_use_is_taken_whatever_the_policy(tmp_path: Path, drift: str) -> None:
    expected = Expected(used=("ClaimID", "Extra"), known=("ClaimID", "PatientID"))
    reading = read(tmp_path, "ClaimID,PatientID,EXTRA\nC1,P1,news\n", expected, drift=drift)
    assert reading.values() == [{"ClaimID": "C1", "PatientID": "P1", "Extra": "news"}]
    assert (reading.found.added, reading.found.malformed) == (("Extra",), {})


def test_D01_without_an_earlier_file_nothing_is_new_unless_columns_are_given(tmp_path: Path) -> None:
    first = Expected(used=("ClaimID",))
    assert read(tmp_path, "ClaimID,Extra\nC1,x\n", first, drift="freeze").found.columns == ("ClaimID", "Extra")
    with pytest.raises(SourceDataError, match="new column 'Extra'"):
        read(tmp_path, "ClaimID,PatientID,Extra\nC1,P1,x\n", first, drift="freeze", columns=("ClaimID", "PatientID"))


def test_an_icd10cm_order_file_is_read_by_position_and_a_cut_line_is_malformed(tmp_path: Path) -> None:
    columns, widths = ("order", "code", "is_billable", "short", "long"), ((1, 5), (7, 13), (15, 15), (17, 76), (78, None))
    long_text = 'A made-up condition of some length, with commas, "quotes" and more than a hundred characters in its long description'
    lines = [
        f"{'00001':<5} {'Z9X':<7} 0 {'Made-up group':<60} Made-up group",
        f"{'00002':<5} {'Z9X1':<7} 1 {'Made-up condition, short':<60} {long_text}",
        f"{'00003':<5} {'Z9X2':<7} 1 Cut in its short tit",
        f"{'00004':<5} {'Z9X3':<7} 1 {'No long text':<60}",
    ]
    reading = read(tmp_path, "\r\n".join(lines) + "\r\n", format="fixed", columns=columns, widths=widths)
    assert reading.values() == [
        {"order": "00001", "code": "Z9X", "is_billable": "0", "short": "Made-up group", "long": "Made-up group"},
        {"order": "00002", "code": "Z9X1", "is_billable": "1", "short": "Made-up condition, short", "long": long_text},
    ]
    assert [(line, reason) for line, reason, _ in reading.malformed()] == [(3, "too_short"), (4, "too_short")]
    assert reading.found.records == 4


def test_the_first_line_of_a_fixed_width_file_is_a_record_unless_a_header_is_said_to_be_there(tmp_path: Path) -> None:
    options = {"format": "fixed", "columns": ("order", "code"), "widths": ((1, 5), (7, 13))}
    content = "ORDER CODE\n00001 A00\n"
    record = {"order": "00001", "code": "A00"}
    assert read(tmp_path, content, header=True, item={"manifest_rows": 1}, **options).values() == [record]
    assert read(tmp_path, content, header=True, **options).rows[0]["_source_row"] == 2
    assert read(tmp_path, "ORDER CODE\n", header=True, **options).found.records == 0
    for said in ({}, {"header": False}):
        assert read(tmp_path, content, **said, **options).values() == [{"order": "ORDER", "code": "CODE"}, record]
