"""The ledger of files: repetition, correction and duplicate, and the order that names tell. No Spark."""

from dataclasses import replace

from files_landed import delivered

from rcm_lakehouse.sources import files
from rcm_lakehouse.sources.files_landing import is_numbered_before
from rcm_lakehouse.sources.files_ledger import Ledger


def test_I23_the_ledger_tells_repetition_correction_and_duplicate_apart() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "b.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    assert ledger.judged(delivered("a.csv", "h1")).status == "skipped"
    assert ledger.judged(delivered("a.csv", "h9")).status == "correction"
    assert ledger.judged(delivered("c.csv", "h9")).status == "new"
    assert ledger.judged(delivered("2026/a.csv", "h9")).status == "new", "a name in another folder is another name"
    assert ledger.judged(delivered("b.csv", "h1")).status == "correction", "what another file said before is news of this one"
    assert ledger.judged(delivered("a.csv", "h2")).status == "correction", "said since by another: only under its own name does it correct its rows"
    copied = ledger.judged(delivered("c.csv", "h2"))
    assert (copied.status, copied.reason) == ("duplicate", "its content was loaded before as b.csv")
    ledger.add(delivered("c.csv", "h3"))
    assert ledger.judged(delivered("d.csv", "h3")).reason == "its content was loaded before as c.csv"


def test_a_duplicate_of_what_newer_deliveries_followed_tells_that_they_stay_and_how_it_is_taken_again() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "1.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "2.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    first = ledger.judged(delivered("3.csv", "h1"))
    stays = "its content was loaded before as 1.csv, and what newer deliveries said, up to 2.csv, stays; it is taken again "
    assert (first.status, first.reason) == ("duplicate", f"{stays}in other bytes (its rows in another order, other line ends)")
    own = ledger.judged(delivered("1.csv", "h1"))
    assert own.status == "skipped", "its own old name does not bring it back"
    assert own.reason == first.reason.replace("its content was loaded before as 1.csv", "this content was loaded before under this name")
    assert ledger.judged(delivered("3.csv", "h1 in another order")).status == "new"
    ledger.add(delivered("1.csv", "h3"))
    second = ledger.judged(delivered("3.csv", "h1"))
    stays = stays.replace("2.csv", "1.csv")
    assert (second.status, second.reason) == ("duplicate", f"{stays}under that name, which held newer content since")
    assert ledger.judged(delivered("1.csv", "h1")).status == "correction"


def test_I23_a_name_that_returns_to_older_content_is_a_correction_and_none_that_is_resent() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "a.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    assert ledger.judged(delivered("a.csv", "h2")).status == "skipped"
    assert ledger.judged(delivered("a.csv", "h1")).status == "correction"


def test_I28_a_snapshot_is_known_only_while_it_is_the_newest() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "b.csv", "seq": 2, "taken": 20}], is_snapshot=True)
    assert ledger.judged(delivered("b.csv", "h2")).status == "skipped"
    assert ledger.judged(delivered("c.csv", "h2")).status == "duplicate"
    assert ledger.judged(delivered("a.csv", "h1")).status == "correction"
    assert ledger.judged(delivered("d.csv", "h1")).status == "new"
    left = replace(delivered("a.csv", "h1"), look=files.Look(1, 1, 10_000, 1))
    assert ledger.judged(left).status == "skipped", "it was there when it was taken and waits for the archive"
    assert ledger.judged(replace(left, look=files.Look(1, 1, 10_001, 1))).status == "correction", "it came again"


def test_N07_a_snapshot_numbered_before_the_newest_is_refused_with_both_names() -> None:
    rows = [{"hash": "h1", "name": "2026/s1.csv", "seq": 1, "taken": 10}, {"hash": "h3", "name": "2026/s10.csv", "seq": 2, "taken": 20}]
    ledger = Ledger.of(rows, is_snapshot=True)
    for name in ("2026/s2.csv", "2026/s2.csv.gz", "2026/s2-late.csv", "2026/s1.csv", "2025/t11.csv"):
        for digest in ("h1", "h2"):
            older = ledger.judged(delivered(name, digest))
            assert (older.status, older.reason) == ("refused", "by its name it is an older snapshot than 2026/s10.csv, which was taken already"), name
    taken = {"2026/s10.csv": "correction", "2026/s11.csv": "new", "2027/s1.csv": "new", "2026/r1.csv": "new", "s2.csv": "new"}
    assert {name: ledger.judged(delivered(name, "h2")).status for name in taken} == taken
    left = replace(delivered("2026/s1.csv", "h1"), look=files.Look(1, 1, 10_000, 1))
    assert ledger.judged(left).status == "skipped", "a run ended before it was archived"
    assert ledger.judged(delivered("2026/s2.csv", "h3")).status == "duplicate", "what it says is what stands"
    adding = replace(ledger, is_snapshot=False)
    assert adding.judged(delivered("2026/s2.csv", "h2")).status == "new", "files of an incremental load add to one another"


NUMBERED = {
    ("bills_2026-01-31_2000.csv", "bills_2026-02-01_2000.csv"): True,
    ("bills_20260131_101920.csv", "bills_20260201_060000.csv"): True,  # one name and another: whether the first is numbered before
    ("codes_20261231.csv", "codes_20270101.csv"): True,
    ("codes_2026-12-31.csv", "codes_2027-01-01.csv"): True,
    ("codes_2026_12_31_0600.csv", "codes_2026_12_31_1800.csv"): True,
    ("codes_12312026.csv", "codes_01012027.csv"): False,
    ("codes_01012026.csv", "codes_12312026.csv"): False,
    ("codes_01-01-2026.csv", "codes_12.31.2026.csv"): False,
    ("codes_jan.csv", "codes_feb.csv"): False,
    ("codes.csv", "codes_2.csv"): False,
    ("codes_2.csv", "codes.csv"): False,
    ("2/codes.csv", "10/codes.csv"): True,
    ("a/codes_1.csv", "b/codes_2.csv"): False,
    ("codes_2.csv", "codes_2.csv"): False,
    # A number before a date that begins with its year, and a time behind it.
    ("icd10_2026-01-31.csv", "icd10_2026-02-28.csv"): True,
    ("icd10_2025_12.csv", "icd10_2026_1.csv"): True,
    ("hospital12_2025-12-31.csv", "hospital12_2026-01-31.csv"): True,
    ("site-03_2026-01-31_codes.csv", "site-03_2026-02-28_codes.csv"): True,
    ("batch_12_2026-01-31.csv", "batch_13_2026-02-28.csv"): True,
    ("codes_20260131T101959.csv", "codes_20260228T060000.csv"): True,
    ("codes_20260131T101959.csv", "codes_20260131T112005Z.csv"): True,
    ("codes_2026-01-31T060000.csv", "codes_2026-02-28T112005.csv"): True,
    ("2026-01-31/101920.csv", "2026-01-31/112005.csv"): True,
    ("2026-01-31/codes10_2026.csv", "2026-02-28/codes10_2026.csv"): True,
    # Folders of a year, a month, a day or a quarter, and the year in the name again.
    ("2026/01/2026-01-31.csv", "2026/02/2026-02-28.csv"): True,
    ("2026/01/2026_codes.csv", "2026/02/2026_codes.csv"): True,
    ("2026-01/2026_codes.csv", "2026-02/2026_codes.csv"): True,
    ("2026/01/30/2026_codes.csv", "2026/01/31/2026_codes.csv"): True,
    ("2026Q1/2026_codes.csv", "2026Q2/2026_codes.csv"): True,
    ("codes_202512.csv", "codes_202601.csv"): True,
    ("codes_2025_2026.csv", "codes_2026_2027.csv"): True,
    # Day, month or quarter before the year.
    ("codes_013127.csv", "codes_123126.csv"): False,
    ("codes_012027.csv", "codes_122026.csv"): False,
    ("codes_01012027235959.csv", "codes_12312026235959.csv"): False,
    ("codes_01-31-27.csv", "codes_12-31-26.csv"): False,
    ("codes_1-31-27.csv", "codes_9-30-26.csv"): False,
    ("codes_31.01.27.csv", "codes_31.12.26.csv"): False,
    ("codes_01_2027.csv", "codes_12_2026.csv"): False,
    ("codes_Q1_2027.csv", "codes_Q4_2026.csv"): False,
    ("codes_Q1_27.csv", "codes_Q4_26.csv"): False,
    ("codes_1Q2027.csv", "codes_4Q2026.csv"): False,
    ("codes_01Jan2027.csv", "codes_31Dec2026.csv"): False,
    ("codes_1_Jan_2027.csv", "codes_31_Dec_2026.csv"): False,
    ("codes_Jan_15_2027.csv", "codes_Jan_31_2026.csv"): False,
    ("01/2027/codes.csv", "12/2026/codes.csv"): False,
    ("2026/28-02-2026.csv", "2026/31-01-2026.csv"): False,
    # The time behind a date ends with its folder.
    ("2026-02-01/01022026.csv", "2026-02-01/31012026.csv"): False,
    ("2026/01/01012026.csv", "2026/01/12312025.csv"): False,
    ("icd_2026_01-31-2027.csv", "icd_2026_12-31-2026.csv"): False,
    # They differ in the year alone.
    ("codes_12312025.csv", "codes_12312026.csv"): True,
    ("codes_31Dec25.csv", "codes_31Dec26.csv"): True,
    # Six digits: a counter where they can be no date, in doubt where they can.
    ("codes_000123.csv", "codes_000124.csv"): True,
    ("codes_123456.csv", "codes_123457.csv"): True,
    ("codes_010203.csv", "codes_010204.csv"): True,
    ("codes_010299.csv", "codes_010300.csv"): False,
    ("codes_260131.csv", "codes_260228.csv"): False,
}


def test_names_are_in_the_order_of_their_numbers_where_that_is_the_order_of_time() -> None:
    assert {names: is_numbered_before(*names) for names in NUMBERED} == NUMBERED
