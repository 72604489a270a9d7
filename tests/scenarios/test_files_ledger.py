"""Repeated, corrected, duplicated and restored files over three runs: what each is called, and that no bill is lost, doubled or closed."""

import shutil
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from files_bills import archive_of, bill, bills, bills_project, landing_of, says, silver_ids
from harness import Ended, Mini
from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Commit, Lake

CODES = "CPT_Codes,Procedure_Code_Category,Procedure_Code_Descriptions,Code_Status"
ORIGINAL = bills(bill(1, amount="10.00"), bill(2, amount="20.00"), bill(3, amount="30.00"))
CORRECTED = bills(bill(1, amount="11.00"), bill(2, amount="20.00"), bill(4, amount="40.00"))
SAME_ROWS = bills(bill(3, amount="30.00"), bill(1, amount="10.00"), bill(2, amount="20.00"), end="\r\n")


@dataclass
class Runs:
    """The lakehouse, its three runs, and what silver held after each."""

    mini: Mini
    ended: list[Ended] = field(default_factory=list)
    silver: list[dict[str, Any]] = field(default_factory=list)
    landing: list[list[str]] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)

    def run(self, now: str) -> None:
        self.ended.append(self.mini.run(now=now))
        self.silver.append({letter: silver_ids(self.mini, letter, "billed_amount", "version", "effective_from") for letter in "abcdefhi"})
        self.landing.append(landing_of(self.mini))
        self.commits.append(self.mini.commits("silver.bill"))


def _codes(*numbers: int) -> str:
    return "\n".join([CODES, *(f"{number:05d},made-up,,active" for number in numbers)]) + "\n"


@pytest.fixture(scope="module")
def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("ledger")
    mini = bills_project(spark, home, {letter: {} for letter in "abcdefi"} | {"h": {"pattern": "h/*.csv", "arrival": "manifest"}})
    landing = dict(mini.connections["landing"])
    landing["tables"] = {**landing["tables"], "procedure_codes": {"pattern": "codes/*.csv"}}
    mini.connections = {"landing": landing}
    mini.loads = [*mini.loads, "landing,network,procedure_codes,Full,,1,network"]
    mini.contracts = ["procedure_code"]
    mini.write()
    runs = Runs(mini)
    _land_first(mini)
    mini.land("f/grow.csv", ORIGINAL)
    # A writer that has the file open pauses during the first run and goes on after it.
    with (home / "landing/f/grow.csv").open("a") as writer:
        runs.run("2031-01-01T06:00:00Z")
        writer.write(bill(4, amount="40.00") + "\n" + bill(5, amount="50.00") + "\n")
    _land_second(mini)
    runs.run("2031-01-02T06:00:00Z")
    _land_third(mini)
    runs.run("2031-01-03T06:00:00Z")
    return runs


def _land_first(mini: Mini) -> None:
    mini.land("a/bills.csv", ORIGINAL)
    mini.land("b/1.csv", ORIGINAL)
    mini.land("c/1.csv", ORIGINAL)
    mini.land("c/1_copy.csv", ORIGINAL)
    for letter in "de":
        mini.land(f"{letter}/bills.csv", bills(bill("same")))
    for name, rows in (("1", 9), ("2", 3)):
        mini.land(f"h/{name}.csv", ORIGINAL)
        mini.land(f"h/{name}.csv.manifest.json", f'{{"rows": {rows}}}')
    mini.land("i/bills.csv", ORIGINAL)
    mini.land("hos-i.bills", "a file where the archive's folder should be", folder="archive")
    mini.land("codes/1.csv", _codes(*range(100, 110)))
    mini.land("codes/2.csv", _codes(*range(100, 109)))


def _land_second(mini: Mini) -> None:
    mini.land("a/bills.csv", ORIGINAL)
    mini.land("b/2.csv", ORIGINAL)
    # As a crash between the commit and the archive leaves it.
    archived = next((mini.home / "archive/hos-c.bills/c").glob("*-1.csv"))
    shutil.copy(archived, mini.home / "landing/c/1.csv")
    mini.land("c/2.csv", bills(bill(9)))
    (mini.home / "archive/hos-i.bills").unlink()
    mini.land("codes/3.csv", CODES + "\n")


def _land_third(mini: Mini) -> None:
    mini.land("a/bills.csv", CORRECTED)
    mini.land("b/3.csv", SAME_ROWS)
    mini.land("d/bills.csv", bills())
    mini.land("c/2.csv", bills(bill(9, amount="99.00", modified="2026-01-07")))
    (mini.home / "landing/codes/3.csv").unlink()
    (mini.home / "archive/hos-i.bills/.loaded.json").write_text("[{")
    mini.land("codes/4.csv", _codes(*range(100, 110)))


def _amounts(rows: list[Any]) -> dict[str, Decimal]:
    return {row[0]: row[1] for row in rows}


def test_I23_the_same_file_again_is_skipped_and_nothing_is_written(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosa_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SKIPPED_DUPLICATE", 0, 0)
    assert says(log.warnings, "a/bills.csv: skipped, this content was loaded before under this name")
    assert runs.silver[1]["a"] == runs.silver[0]["a"]
    assert [name for name in runs.landing[1] if name.startswith("a/")] == []


def test_F21_a_new_name_with_known_content_is_a_duplicate_and_archived(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosb_bills")
    assert (log.status, log.rows_written) == ("SKIPPED_DUPLICATE", 0)
    assert says(log.warnings, "b/2.csv: duplicate, its content was loaded before as b/1.csv")
    assert runs.silver[1]["b"] == runs.silver[0]["b"]
    assert archive_of(runs.mini, "b") == ["1.csv", "2.csv", "3.csv"]


def test_F22_a_correction_changes_rows_counts_absent_ones_and_closes_none(runs: Runs) -> None:
    log = runs.ended[2].log("bronze", "hosa_bills")
    assert (log.status, log.rows_read, log.rows_written) == ("SUCCESS", 3, 3)
    assert says(log.warnings, "a/bills.csv: correction; 1 rows of its earlier deliveries are absent from it and stay as they are")
    silver = runs.ended[2].log("silver", "bill", "hos-a")
    assert (silver.rows_read, silver.rows_written, silver.rows_unchanged) == (3, 2, 1)
    assert _amounts(runs.silver[2]["a"]) == {"B1": Decimal("11.00"), "B2": Decimal("20.00"), "B3": Decimal("30.00"), "B4": Decimal("40.00")}
    assert {row[2] for row in runs.silver[2]["a"]} == {1}, "a correction at the same source time replaces the content in place"
    flags = runs.mini.frame("bronze.hosa_bills").where("_batch_seq = 2").select("_flags").distinct().collect()
    assert [row[0] for row in flags] == [["correction"]]


def test_F22_a_correction_without_a_row_counts_all_rows_of_its_name_as_absent(runs: Runs) -> None:
    log = runs.ended[2].log("bronze", "hosd_bills")
    assert (log.status, log.rows_read, log.watermark_after) == ("SUCCESS", 0, "d/bills.csv")
    assert log.warnings == ["d/bills.csv: correction; 1 rows of its earlier deliveries are absent from it and stay as they are"]
    assert runs.silver[2]["d"] == runs.silver[0]["d"]


def test_F23_the_same_rows_in_other_bytes_leave_silver_as_it_is_and_are_counted(runs: Runs) -> None:
    log = runs.ended[2].log("bronze", "hosb_bills")
    assert (log.status, log.rows_written) == ("SUCCESS", 3)
    silver = runs.ended[2].log("silver", "bill", "hos-b")
    assert (silver.rows_read, silver.rows_written, silver.rows_unchanged) == (3, 0, 3)
    assert runs.silver[2]["b"] == runs.silver[0]["b"]


def test_F21_two_files_of_one_run_with_the_same_content_are_one_and_a_duplicate(runs: Runs) -> None:
    log = runs.ended[0].log("bronze", "hosc_bills")
    assert (log.status, log.rows_written, log.watermark_after) == ("SUCCESS", 3, "c/1.csv")
    assert says(log.warnings, "c/1_copy.csv: duplicate, its content was loaded before as c/1.csv")
    assert [name for name in runs.landing[0] if name.startswith("c/")] == []


def test_X01_a_committed_file_that_a_crash_left_in_the_landing_folder_is_skipped_and_archived(runs: Runs) -> None:
    log = runs.ended[1].log("bronze", "hosc_bills")
    assert (log.status, log.rows_written, log.watermark_after) == ("SUCCESS", 1, "c/2.csv")
    assert says(log.warnings, "c/1.csv: skipped, this content was loaded before under this name")
    assert [row[0] for row in runs.silver[1]["c"]] == ["B1", "B2", "B3", "B9"]
    assert [name for name in runs.landing[1] if name.startswith("c/")] == []
    versions = runs.mini.frame("silver.bill").where("data_source = 'hos-c'").groupBy("source_bill_id").count().collect()
    assert {row[0]: row[1] for row in versions} == {"B1": 1, "B2": 1, "B3": 1, "B9": 2}


def test_F24_what_a_writer_adds_to_a_loaded_file_is_taken_by_the_next_run_and_said(runs: Runs) -> None:
    assert [row[0] for row in runs.silver[0]["f"]] == ["B1", "B2", "B3"]
    log = runs.ended[1].log("bronze", "hosf_bills")
    assert (log.status, log.rows_written, log.watermark_after) == ("SUCCESS", 5, "f/grow.csv")
    assert says(log.warnings, "f/grow.csv: it was changed after it was loaded (", "it is back in the landing folder and is taken again")
    assert says(log.warnings, "f/grow.csv: correction; 0 rows of its earlier deliveries are absent from it")
    assert [row[0] for row in runs.silver[1]["f"]] == ["B1", "B2", "B3", "B4", "B5"]
    assert archive_of(runs.mini, "f") == ["grow.csv"]
    third = runs.ended[2].log("bronze", "hosf_bills")
    assert (third.status, third.warnings) == ("NOOP", [])


def test_F21_the_same_content_under_two_hospitals_patterns_is_loaded_for_each_and_said(runs: Runs) -> None:
    for letter, other in (("d", "hos-e.bills"), ("e", "hos-d.bills")):
        log = runs.ended[0].log("bronze", f"hos{letter}_bills")
        assert (log.status, log.rows_written) == ("SUCCESS", 1)
        assert says(log.warnings, f"{letter}/bills.csv: {other} has the same content; check which hospital it is of")
        assert [row[0] for row in runs.silver[0][letter]] == ["Bsame"]
    keys = {row[0] for row in runs.mini.rows("silver.bill", "bill_key", where="source_bill_id = 'Bsame'")}
    assert keys == {"hos-d|Bsame", "hos-e|Bsame"}


def test_F21_a_copy_of_a_refused_file_is_loaded_in_its_stead(runs: Runs) -> None:
    log = runs.ended[0].log("bronze", "hosh_bills")
    assert (log.status, log.rows_written, log.watermark_after) == ("FAILED", 3, "h/2.csv")
    assert log.message is not None
    assert "h/1.csv: it has 3 records but its manifest says 9." in log.message
    assert [row[0] for row in runs.silver[0]["h"]] == ["B1", "B2", "B3"]
    assert "h/1.csv" in runs.landing[0]
    assert runs.ended[0].code == 1
    assert says(runs.ended[1].log("bronze", "hosh_bills").warnings, "h/1.csv: duplicate, its content was loaded before as h/2.csv")


def test_a_file_that_cannot_be_archived_is_loaded_once_and_archived_by_the_next_run(runs: Runs) -> None:
    log = runs.ended[0].log("bronze", "hosi_bills")
    assert (log.status, log.rows_written) == ("SUCCESS", 3)
    assert says(log.warnings, "i/bills.csv: loaded, but not archived (", "the next run tries again")
    assert "i/bills.csv" in runs.landing[0]
    assert runs.ended[1].log("bronze", "hosi_bills").status == "SKIPPED_DUPLICATE"
    assert archive_of(runs.mini, "i") == ["bills.csv"]
    assert runs.silver[2]["i"] == runs.silver[0]["i"]


def test_F37_an_archives_list_that_cannot_be_read_is_told(runs: Runs) -> None:
    log = runs.ended[2].log("bronze", "hosi_bills")
    assert log.status == "NOOP"
    assert says(log.warnings, ".loaded.json, the list of what was loaded, cannot be read (it is no list of files)", "put a good copy in its place")


def test_I28_snapshots_of_one_run_follow_one_another_an_empty_one_is_refused_and_an_older_one_that_returns_is_news(runs: Runs) -> None:
    first = sorted((log.batch_seq, log.rows_written) for log in runs.ended[0].logs if log.target == "bronze.network_procedure_codes")
    assert first == [(1, 10), (2, 9)]
    ranges = runs.mini.rows("silver.procedure_code", "version", "is_current", "effective_to", where="code = '00109'")
    assert [row[:2] for row in ranges] == [(1, False), (2, True)], "absent from the second, back with the fourth"
    assert ranges[1][2] is None
    empty = runs.ended[1].log("bronze", "network_procedure_codes")
    assert (empty.status, empty.rows_written) == ("FAILED", 0)
    assert empty.message is not None
    assert "codes/3.csv: the snapshot has no sound record, but the table has rows." in empty.message
    assert runs.ended[2].log("bronze", "network_procedure_codes").rows_written == 10
    current = runs.mini.frame("silver.procedure_code").where("is_current").count()
    assert current == 10


@pytest.mark.wide
def test_snapshots_of_a_first_load_go_on_behind_those_that_a_failed_try_committed(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["landing,network,procedure_codes,Full,,1,network"], contracts=["procedure_code"])
    mini.connections = {"landing": {"type": "files", "path": "landing", "time_zone": "UTC", "tables": {"procedure_codes": {"pattern": "*.csv"}}}}
    mini.write()
    for name, numbers in (("1.csv", range(10)), ("2.csv", range(1, 11))):
        mini.land(name, _codes(*numbers))
    append, failed = Lake.append, list[int]()

    def away_once(self: Lake, table: Table, rows: DataFrame, **values: Any) -> Commit:
        if values["metadata"].get("batch_seq") == 2 and not failed:
            failed.append(2)
            raise CommitConflictError("made up: another writer committed first")
        return append(self, table, rows, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "append", away_once)
        ended = mini.run(now="2031-01-01T06:00:00Z")
    assert ended.code == 0, ended.said
    loads = [log for log in ended.logs if log.layer == "bronze"]
    assert [(log.status, log.attempt, log.batch_seq, log.rows_written) for log in loads] == [("SUCCESS", 1, 1, 10), ("SUCCESS", 2, 2, 10)]
    assert len({log.load_id for log in loads}) == 2
    assert [code for (code,) in mini.rows("silver.procedure_code", "code", where="is_current")] == [f"{number:05d}" for number in range(1, 11)]


@pytest.mark.wide
def test_I24_N07_a_snapshot_waits_behind_an_earlier_one_and_never_comes_after_a_later_one(spark: SparkSession, tmp_path: Path) -> None:
    tables = {"procedure_codes": {"pattern": "*.csv", "arrival": "marker"}}
    mini = Mini(spark, tmp_path, ["landing,network,procedure_codes,Full,,1,network"], contracts=["procedure_code"])
    mini.connections = {"landing": {"type": "files", "path": "landing", "time_zone": "UTC", "tables": tables}}
    mini.write()
    mini.land("1.csv", _codes(100, 101))
    mini.land("2.csv", _codes(100, 101, 102))
    mini.land("2.csv.done", "")
    log = mini.run(now="2031-01-01T06:00:00Z").log("bronze", "network_procedure_codes")
    assert (log.status, log.rows_read) == ("WAITING", 0)
    assert says(log.warnings, "2.csv: waiting, behind 1.csv, so that snapshots keep their order")
    mini.land("1.csv.done", "")
    assert mini.run(now="2031-01-02T06:00:00Z").code == 0
    assert mini.rows("silver.procedure_code", "code", where="is_current") == [("00100",), ("00101",), ("00102",)]
    archived = (tmp_path / "landing/_archive").rglob("*.csv")
    assert sorted(path.name.partition("-")[2] for path in archived) == ["1.csv", "2.csv"]
    mini.land("3.csv", _codes(100, 101)[:-1])
    mini.land("4.csv", _codes(100, 101, 102, 104))
    for marker in ("3.csv.done", "4.csv.done"):
        mini.land(marker, "")
    assert "3.csv: its last line has no line end" in str(mini.run(now="2031-01-03T06:00:00Z").log("bronze", "network_procedure_codes").message)
    mini.land("3.csv", _codes(100, 101))
    mini.land("3.csv.done", "")
    refused = mini.run(now="2031-01-04T06:00:00Z").log("bronze", "network_procedure_codes")
    assert (refused.status, refused.rows_read) == ("FAILED", 0)
    assert str(refused.message).startswith("3.csv: by its name it is an older snapshot than 4.csv, which was taken already. Nothing of it was loaded;")
    assert [code for (code,) in mini.rows("silver.procedure_code", "code", where="is_current")] == ["00100", "00101", "00102", "00104"]
