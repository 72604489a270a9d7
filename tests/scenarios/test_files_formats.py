"""Encodings, line ends, delimiters, dates, money, malformed lines and fixed width, from the file to silver and quarantine."""

import gzip
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from files_bills import BILL, HEADER, archive_of, bill, bills, bills_project, landing_of, says
from harness import Ended, Mini

PLACE = '"12 Main St, Springfield"'
NOTE = '"two lines:\nBusiness, as ""usual"""'
TEXT = bills(bill(1, patient="Zoë", note=PLACE), bill(2, patient="Zoë", note=NOTE))
FORMATS: dict[str, tuple[dict[str, Any], str, bytes]] = {
    "a": ({}, "plain.csv", TEXT.encode()),
    "b": ({}, "bom.csv", b"\xef\xbb\xbf" + TEXT.encode()),
    "c": ({"encoding": "utf-16"}, "utf16.csv", TEXT.encode("utf-16")),
    "d": ({"encoding": "latin-1"}, "latin1.csv", TEXT.encode("latin-1")),
    "e": ({"delimiter": "|"}, "pipes.txt", "\r\n".join(TEXT.replace(", ", "@ ").replace(",", "|").replace("@ ", ", ").split("\n")).encode()),
    "f": ({}, "packed.csv.gz", gzip.compress(TEXT.encode())),
    "g": ({"header": False, "columns": HEADER.split(",")}, "headless.csv", TEXT.partition("\n")[2].encode()),
}
MALFORMED = [
    "B2,P1,2026-01-05,10.00",
    "B3,P1,2026-01-05,10.00,,2026-01-06,one more",
    'B4,P1,2026-01-05,10.00,"never closed,2026-01-06',
    "B5,P\x001,2026-01-05,10.00,,2026-01-06",
    "B6,P\ufffd1,2026-01-05,10.00,,2026-01-06",
    "B7,P1,2026-01-05,10.00," + "x" * 2000 + ",2026-01-06",
]
REASONS = ["too few values", "too many values", "broken quote", "nul character", "lost character", "too long"]
# As the yearly ICD-10-CM order file: order number, code, header flag, short and long text; the rows are made up.
ORDER = {
    "description": "Codes from a fixed-width order file.",
    "grain": "one code",
    "key": ["code"],
    "columns": [
        {"name": "code", "type": "string"},
        {"name": "order_number", "type": "int"},
        {"name": "is_billable", "type": "string"},
        {"name": "short_text", "type": "string"},
        {"name": "long_text", "type": "string"},
    ],
    "sources": [
        {
            "name": "order",
            "tables": ["icd10cm_order"],
            "columns": {"code": "code", "order_number": "order_number", "is_billable": "flag", "short_text": "short", "long_text": "long"},
        }
    ],
}
ORDER_OPTIONS = {
    "pattern": "icd/*.txt",
    "format": "fixed",
    "columns": ["order_number", "code", "flag", "short", "long"],
    "widths": [[1, 5], [7, 13], [15, 15], [17, 76], [78, None]],
}


@dataclass
class Run:
    """The lakehouse and its one run."""

    mini: Mini
    ended: Ended


@pytest.fixture(scope="module")
def run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = {letter: chosen for letter, (chosen, _, _) in FORMATS.items()}
    mini = bills_project(spark, tmp_path_factory.mktemp("formats"), options | {"m": {"max_record_characters": 1000}, "n": {}})
    landing = dict(mini.connections["landing"])
    landing["tables"] = {**landing["tables"], "icd10cm_order": ORDER_OPTIONS}
    mini.connections = {"landing": landing}
    mini.loads = [*mini.loads, "landing,network,icd10cm_order,Full,,1,network"]
    mini.own_contracts = {"bill": BILL, "order_code": ORDER}
    mini.write()
    for letter, (_, name, content) in FORMATS.items():
        mini.land(f"{letter}/{name}", content)
    mini.land("m/malformed.csv", bills(bill(1), *MALFORMED, "", bill(8), bill(9)))
    _land_values(mini)
    lines = [_order(1, "Z9X", 0), _order(2, "Z9X1", 1, "A long made-up text, " * 10), "00003 Z9X2    1 Cut in its short te"]
    mini.land("icd/order_2026.txt", "\r\n".join(lines) + "\r\n")
    return Run(mini, mini.run(now="2031-01-01T06:00:00Z"))


def _order(number: int, code: str, flag: int, long_text: str = "Made-up group") -> str:
    return f"{number:05d} {code:<7} {flag} {'Made-up text':<60} {long_text.strip()}"


def _land_values(mini: Mini) -> None:
    days = ["2026-01-05", "1/5/2026", "01/05/2026", "20260105", "05-Jan-2026"]
    mini.land("n/1_days.csv", bills(*[bill(f"day{number}", day=day) for number, day in enumerate(days)], bill("bad_day", day="31-02-2026")))
    mini.land("n/2_money.csv", bills(*[bill(f"cent{number:03d}", amount="0.10") for number in range(100)], bill("big", amount="9007199254740993.07")))
    mini.land("n/3_poison.csv", bills(bill("poison", amount="abc"), bill("wide", amount="1" * 40), bill("sound", amount='"(1,000.50)"'), ",,,,,"))


def _rows(run: Run, letter: str, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    return run.mini.rows("silver.bill", "source_bill_id", *columns, where=f"data_source = 'hos-{letter}' AND {where}")


def _waiting(run: Run, letter: str) -> list[Any]:
    return run.mini.frame("quarantine.bill").where(f"data_source = 'hos-{letter}'").collect()


@pytest.mark.parametrize("letter", list(FORMATS))
def test_F29_every_encoding_and_delimiter_brings_the_same_bills_to_silver(run: Run, letter: str) -> None:
    assert _rows(run, letter, "patient_number", "billed_amount", "note") == [
        ("B1", "Zoë", Decimal("10.00"), "12 Main St, Springfield"),
        ("B2", "Zoë", Decimal("10.00"), 'two lines: Business, as "usual"'),
    ]
    bronze = run.mini.rows(f"bronze.hos{letter}_bills", "BillID", "Note", "_source_row")
    assert bronze[1][1] == 'two lines:\nBusiness, as "usual"', "bronze keeps the line end within the value"
    assert [row[2] for row in bronze] == ([1, 2] if letter == "g" else [2, 3])
    log = run.ended.log("bronze", f"hos{letter}_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SUCCESS", 2, 2)


def test_Q23_F27_malformed_lines_wait_in_quarantine_with_text_line_and_reason_and_every_line_is_counted(run: Run) -> None:
    found = {}
    for row in _waiting(run, "m"):
        raw = json.loads(row["raw_row"])
        found[raw["_corrupt_record"]] = [reason["message"] for reason in row["reasons"]]
    assert found == {text[:1000]: [f"the line does not fit the file: {reason}"] for text, reason in zip(MALFORMED, REASONS, strict=True)}
    places = run.mini.rows("bronze.hosm_bills", "_source_row", "_corrupt_record", where="_corrupt_record IS NOT NULL")
    assert dict(places) == {number: text[:1000] for number, text in enumerate(MALFORMED, 3)}
    assert [row[0] for row in _rows(run, "m")] == ["B1", "B8", "B9"]
    bronze, silver = run.ended.log("bronze", "hosm_bills"), run.ended.log("silver", "bill", "hos-m")
    assert (bronze.rows_read, bronze.rows_written) == (9, 9)
    assert (silver.rows_read, silver.rows_written, silver.rows_quarantined) == (9, 3, 6)
    assert says(bronze.warnings, "m/malformed.csv: 6 malformed lines go to quarantine (", "1 lost character", "1 nul character")
    assert says(bronze.warnings, "m/malformed.csv: 1 blank lines were passed over")
    raw_lines = 1 + 1 + len(MALFORMED) + 1 + 2
    assert raw_lines == 1 + int(bronze.rows_read or 0) + 1, "header, records and blank lines are all lines of the file"


def test_trap_13_days_in_several_notations_are_one_day_and_one_that_is_none_is_quarantined(run: Run) -> None:
    days = {row[1].isoformat() for row in _rows(run, "n", "service_date", where="source_bill_id LIKE 'Bday%'")}
    assert days == {"2026-01-05"}
    assert len(_rows(run, "n", where="source_bill_id LIKE 'Bday%'")) == 5
    reasons = {row["entity_key"]: [reason["rule"] for reason in row["reasons"]] for row in _waiting(run, "n")}
    assert reasons["hos-n|Bbad_day"] == ["cast:service_date"]


def test_trap_16_money_is_text_until_it_is_a_decimal_and_sums_to_the_cent(run: Run) -> None:
    total = run.mini.frame("silver.bill").where("source_bill_id LIKE 'Bcent%'").selectExpr("sum(billed_amount)").collect()[0][0]
    assert total == Decimal("10.00")
    assert _rows(run, "n", "billed_amount", where="source_bill_id = 'Bbig'") == [("Bbig", Decimal("9007199254740993.07"))]
    assert dict(run.mini.frame("bronze.hosn_bills").dtypes)["Amount"] == "string"


def test_F31_a_poison_value_is_quarantined_alone(run: Run) -> None:
    reasons = {row["entity_key"]: {reason["rule"] for reason in row["reasons"]} for row in _waiting(run, "n")}
    assert "cast:billed_amount" in reasons["hos-n|Bpoison"]
    assert "cast:billed_amount" in reasons["hos-n|Bwide"]
    assert "NULL_KEY" in reasons[None]
    assert _rows(run, "n", "billed_amount", where="source_bill_id = 'Bsound'") == [("Bsound", Decimal("-1000.50"))]
    silver = run.ended.log("silver", "bill", "hos-n")
    assert (silver.rows_read, silver.rows_written, silver.rows_quarantined) == (111, 107, 4)


def test_an_order_file_of_fixed_width_reaches_silver_and_its_cut_line_waits(run: Run) -> None:
    codes = run.mini.rows("silver.order_code", "code", "order_number", "is_billable", "short_text", "long_text")
    assert codes == [
        ("Z9X", 1, "0", "Made-up text", "Made-up group"),
        ("Z9X1", 2, "1", "Made-up text", ("A long made-up text, " * 10).strip()),
    ]
    waiting = run.mini.frame("quarantine.order_code").collect()
    assert [row["reasons"][0]["message"] for row in waiting] == ["the line does not fit the file: too short"]
    assert json.loads(waiting[0]["raw_row"])["_corrupt_record"] == "00003 Z9X2    1 Cut in its short te"
    assert run.ended.log("bronze", "network_icd10cm_order").rows_written == 3


def test_no_value_of_a_row_is_in_the_audit_or_on_the_terminal(run: Run) -> None:
    told = run.ended.said + " ".join(text for log in run.ended.logs for text in [*log.warnings, log.message or ""])
    for value in ("Zoë", "Springfield", "never closed", "31-02-2026", "9007199254740993"):
        assert value not in told


def test_I25_a_header_only_file_is_a_delivery_of_no_row_and_archived(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}, "b": {"zero_rows": "fail"}})
    for letter in "ab":
        mini.land(f"{letter}/header_only.csv", bills())
    mini.land("a/empty.csv", "")
    ended = mini.run(now="2031-01-01T06:00:00Z")
    log = ended.log("bronze", "hosa_bills")
    assert (log.status, log.rows_read, log.rows_written, log.watermark_after) == ("SUCCESS", 0, 0, "a/empty.csv, a/header_only.csv")
    assert [words.partition(":")[0] for words in log.warnings if "it has no record" in words] == ["a/empty.csv", "a/header_only.csv"]
    assert archive_of(mini, "a") == ["empty.csv", "header_only.csv"]
    assert mini.commits("bronze.hosa_bills") == 1, "no commit but the table's creation"
    refused = ended.log("bronze", "hosb_bills")
    assert (refused.status, ended.code) == ("FAILED", 1)
    assert refused.message is not None
    assert "b/header_only.csv: it has no record." in refused.message
    assert landing_of(mini) == ["b/header_only.csv"]
