"""Snapshots with rows whose key cannot be told, from a file and from a database: what may be such a row's own is never closed."""

from dataclasses import dataclass, field

import pytest
from pyspark.sql import SparkSession

from faulted import at_point
from files_bills import says
from harness import Ended, Mini
from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.pipeline import files_archived
from rcm_lakehouse.pipeline import history as history_module
from wards import WARD

pytestmark = pytest.mark.deep

HEADER = "CPT_Codes,Procedure_Code_Category,Procedure_Code_Descriptions,Code_Status"
ALL = tuple(range(100, 110))


@dataclass
class Runs:
    """The lakehouse, its runs, and the codes and wards that were current after each."""

    mini: Mini
    ended: list[Ended] = field(default_factory=list)
    codes: list[list[str]] = field(default_factory=list)
    wards: list[list[str]] = field(default_factory=list)

    def run(self, now: str, *, approve: tuple[str, ...] = ()) -> None:
        self.ended.append(self.mini.run(now=now, approve_deletes=approve))
        self.codes.append([row[0] for row in self.mini.rows("silver.procedure_code", "code", where="is_current")])
        self.wards.append([row[0] for row in self.mini.rows("silver.ward", "source_ward_id", where="is_current")])


def codes(*lines: int | str) -> str:
    """A file of codes; a text is a line as it stands."""
    return "\n".join([HEADER, *(line if isinstance(line, str) else f"{line:05d},made-up,,active" for line in lines)]) + "\n"


def texts(*numbers: int) -> list[str]:
    return [f"{number:05d}" for number in numbers]


@pytest.fixture(scope="module")
def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Day 1 sound; day 2 one row of each snapshot has no key and one is gone; day 3 sound; day 4 codes approved, most wards gone."""
    loads = ["landing,network,procedure_codes,Full,,1,network", "emr,hos-a,wards,Full,,1,hosa"]
    mini = Mini(spark, tmp_path_factory.mktemp("unreadable"), loads, contracts=["procedure_code"], own_contracts={"ward": WARD})
    files = {"type": "files", "path": "landing", "time_zone": "UTC", "tables": {"procedure_codes": {"pattern": "*.csv"}}}
    mini.connections = {"landing": files, "emr": mini.h2("emr")}
    mini.write()
    runs = Runs(mini)
    mini.land("1.csv", codes(*ALL))
    wards = ", ".join(f"('W{number}')" for number in range(10))
    mini.sql("CREATE TABLE wards (WardID VARCHAR(9))", f"INSERT INTO wards VALUES {wards}", database="emr")
    runs.run("2031-01-01T06:00:00Z")
    mini.land("2.csv", codes(*ALL[:5], "00105,made-up", 106, 107, 109))
    mini.sql("UPDATE wards SET WardID = NULL WHERE WardID = 'W5'", "DELETE FROM wards WHERE WardID = 'W8'", database="emr")
    runs.run("2031-01-02T06:00:00Z")
    mini.land("3.csv", codes(*ALL[:8], 109))
    mini.sql("UPDATE wards SET WardID = 'W5' WHERE WardID IS NULL", database="emr")
    runs.run("2031-01-03T06:00:00Z")
    mini.land("4.csv", codes(*ALL[:5], "00105,made-up,,active,more", 106, 107, 109))
    mini.sql("UPDATE wards SET WardID = NULL WHERE WardID = 'W5'", "DELETE FROM wards WHERE WardID < 'W4'", database="emr")
    runs.run("2031-01-04T06:00:00Z", approve=("network.procedure_codes",))
    return runs


def test_F27_a_malformed_line_of_a_snapshot_deletes_no_row_and_the_next_sound_one_applies_what_is_gone(runs: Runs) -> None:
    log = runs.ended[1].log("silver", "procedure_code")
    assert (runs.ended[1].code, log.status, log.rows_read, log.rows_quarantined, log.rows_unchanged) == (0, "SUCCESS", 9, 1, 8)
    assert says(
        log.warnings,
        "2 current keys of network.procedure_codes are absent from the snapshot, and the keys of 1 rows of it cannot be read: they stay as they are",
    )
    assert runs.codes[:2] == [texts(*ALL)] * 2
    assert runs.codes[2] == texts(*ALL[:8], 109)
    closed = runs.mini.rows("silver.procedure_code", "CAST(effective_to AS STRING)", where="code = '00108'")
    assert closed == [("2031-01-03 06:00:00",)]
    kept = runs.mini.rows("silver.procedure_code", "version", where="code = '00105'")
    assert kept == [(1,)], "the line that was malformed for a day made no second version"


def test_F33_a_row_of_a_database_snapshot_without_a_key_deletes_no_row(runs: Runs) -> None:
    log = runs.ended[1].log("silver", "ward")
    assert (log.status, log.rows_quarantined) == ("SUCCESS", 1)
    assert says(log.warnings, "2 current keys of hos-a.wards are absent from the snapshot, and the keys of 1 rows of it cannot be read")
    assert [len(wards) for wards in runs.wards[:2]] == [10, 10]
    assert runs.wards[2] == [f"W{number}" for number in range(10) if number != 8]
    assert not runs.ended[2].log("silver", "ward").warnings


def test_F27_approved_deletes_are_applied_though_a_line_cannot_be_read(runs: Runs) -> None:
    assert runs.ended[3].log("silver", "procedure_code").status == "SUCCESS"
    assert runs.codes[3] == texts(*ALL[:5], 106, 107, 109)


def test_F33_a_snapshot_short_of_most_keys_is_held_and_told_that_some_of_its_keys_cannot_be_read(runs: Runs) -> None:
    log = runs.ended[3].log("silver", "ward")
    assert (runs.ended[3].code, log.status) == (4, "HELD")
    held = "the keys of 1 rows of it cannot be read: their deletes are held"
    assert says(log.warnings, "5 of 9 current keys of hos-a.wards", held, "--approve-deletes hos-a.wards")
    assert runs.wards[3] == runs.wards[2]


def test_F01_snapshots_whose_archiving_failed_are_not_loaded_again(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def conflict_in_the_second_round() -> None:
        rounds.append(1)
        if len(rounds) == 2:
            raise CommitConflictError("another writer committed first")

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    runs.mini.land("5.csv", codes(*ALL))
    runs.mini.land("6.csv", codes(*ALL[:9]))
    with monkeypatch.context() as patch:
        patch.setattr(files_archived, "archive_file", refuse)
        at_point(patch, history_module, "P9", "procedure_code", conflict_in_the_second_round, times=2)
        runs.run("2031-01-05T06:00:00Z")
    silver = [row for row in runs.ended[-1].logs if row.target == "silver.procedure_code"]
    assert [(row.status, row.rows_read, row.attempt) for row in silver] == [("SUCCESS", 10, 1), ("SUCCESS", 9, 2)], "each round is told once"
    told = [text for row in runs.ended[-1].logs for text in row.warnings or ()]
    assert "5.csv: loaded, but not archived (Permission denied); the next run tries again" in told
    batches, versions = runs.mini.commits("bronze.network_procedure_codes"), runs.mini.commits("silver.procedure_code")
    runs.run("2031-01-06T06:00:00Z")
    assert (runs.mini.commits("bronze.network_procedure_codes"), runs.mini.commits("silver.procedure_code")) == (batches, versions)
    assert runs.codes[-1] == texts(*ALL[:9])
    assert sorted(path.name for path in (runs.mini.home / "landing").iterdir() if path.is_file()) == []
