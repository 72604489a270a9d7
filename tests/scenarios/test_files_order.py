"""A delivery and its corrections: all of them in one run give the tables that a run after each of them gives."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from files_bills import BILL, bill, bills, bills_project
from harness import Ended, Mini, snapshot
from rcm_lakehouse.bronze.lineage import VOLATILE

pytestmark = pytest.mark.deep

# In their order; by text alone `bills_10` would come before `bills_9`, and by the tie-break of the contract `pending` would win.
FILES = {
    "bills.csv": bills(
        *[bill(number, note="filler") for number in range(100, 110)],
        bill(2, amount=""),
        bill(3, note="same"),
        bill(4, note="first"),
        bill(1, note="pending"),
        "B5,too,short",
    ),
    "bills_9.csv": bills(bill(1, note="denied"), bill(3, note="same"), bill(2, amount="20.00")),
    "bills_10.csv": bills(bill(4, note="second", modified="2026-01-08"), bill(5), bill(1, note="appealed")),
}


@pytest.fixture(scope="module")
def lakehouses(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mini, Ended, Mini]:
    """All files taken by one run, that run, and one run after each file."""
    at_once, one_by_one = project(spark, tmp_path_factory.mktemp("once")), project(spark, tmp_path_factory.mktemp("each"))
    for name, content in FILES.items():
        at_once.land(f"a/{name}", content)
    ended = at_once.run(now="2031-01-01T06:00:00Z")
    assert ended.code == 0, ended.said
    for day, (name, content) in enumerate(FILES.items(), 1):
        one_by_one.land(f"a/{name}", content)
        assert one_by_one.run(now=f"2031-01-0{day}T06:00:00Z").code == 0
    return at_once, ended, one_by_one


def project(spark: SparkSession, home: Path) -> Mini:
    contract: dict[str, Any] = copy.deepcopy(BILL)
    contract["sequence_by"] = ["source_modified_at", "note"]
    mini = bills_project(spark, home, {"a": {}})
    mini.own_contracts = {"bill": contract}
    mini.write()
    return mini


def test_F22_files_of_one_run_give_the_tables_of_a_run_after_each_file(lakehouses: tuple[Mini, Ended, Mini]) -> None:
    at_once, _, one_by_one = lakehouses
    landed = ("bronze.hosa_bills", "quarantine.bill")
    assert snapshot(at_once, landed, VOLATILE) == snapshot(one_by_one, landed, VOLATILE)
    # Of two deliveries that say the same, one MERGE names the later and two the earlier.
    merged, volatile = ("silver.bill", "silver.bill_tombstones"), (*VOLATILE, "_batch_seq")
    assert snapshot(at_once, merged, volatile) == snapshot(one_by_one, merged, volatile)


def test_F22_of_two_files_of_one_run_the_later_in_order_wins_whatever_its_lines_and_tie_breaks(lakehouses: tuple[Mini, Ended, Mini]) -> None:
    at_once, ended, _ = lakehouses
    found = at_once.rows("silver.bill", "source_bill_id", "note", "version", "_batch_seq", where="is_current AND length(source_bill_id) = 2")
    assert [row for row in found if row[0] != "B3"] == [("B1", "appealed", 1, 3), ("B2", None, 1, 2), ("B4", "second", 2, 3), ("B5", None, 1, 3)]
    log = ended.log("bronze", "hosa_bills")
    assert (log.batch_seq, log.rows_written, log.watermark_after) == (3, 21, "a/bills.csv, a/bills_9.csv, a/bills_10.csv")
    silver = ended.log("silver", "bill")
    assert (silver.rows_read, silver.rows_quarantined, silver.rows_duplicate) == (21, 2, 3)
    assert not [text for text in silver.warnings if "differ" in text], "a correction is no conflict"


CORRECTION = {  # line of a later file: what its bill then is in silver (note, time it counts from, version), rows written
    bill(1, note="paid"): ([("paid", "2026-01-06", 1)], 1),
    bill(2, amount="20.00", modified="2026-01-09"): ([(None, "2026-01-06", 1)], 0),
    bill(3, note="same"): ([("same", "2026-01-06", 1)], 0),
    bill(4, note="first", modified="2026-01-08"): ([("first", "2026-01-06", 1)], 1),
    bill(5, modified="2026-01-05") + "\n" + bill(5): ([(None, "2026-01-05", 1)], 1),
}


def test_F22_a_correction_that_takes_a_version_away_is_written_as_one_that_replaces_it_is(
    spark: SparkSession, lakehouses: tuple[Mini, Ended, Mini], tmp_path: Path
) -> None:
    """B4's second version is told to have been as its first; B5's version begins earlier, and the line that repeats it tells nothing."""
    mini = project(spark, tmp_path / "home")
    shutil.copytree(lakehouses[2].home / "lakehouse", mini.home / "lakehouse")
    commits = mini.commits("silver.bill")
    mini.land("a/bills_11.csv", bills(*CORRECTION))
    ended = mini.run(now="2031-01-05T06:00:00Z")
    assert ended.code == 0, ended.said
    found = mini.rows("silver.bill", "source_bill_id", "note", "date_format(effective_from, 'yyyy-MM-dd')", "version", where="length(source_bill_id) = 2")
    wanted = {line.partition(",")[0]: versions for line, (versions, _) in CORRECTION.items()}
    assert {key: [row[1:] for row in found if row[0] == key] for key in wanted} == wanted
    log = ended.log("silver", "bill")
    written = sum(rows for _, rows in CORRECTION.values())
    assert (log.rows_read, log.rows_written, log.rows_unchanged, log.rows_duplicate, log.numberofrowscopied) == (6, written, 6 - written, 0, written)
    assert mini.commits("silver.bill") == commits + 1
