"""A lakehouse, or bronze alone, put back from a backup: the files that came since are taken from the archive again."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import done
from files_bills import HEADER, bill, bills, bills_project, says, silver_ids
from harness import snapshot
from put_back_kit import VOIDABLE, waiting
from rcm_lakehouse.bronze.lineage import VOLATILE

pytestmark = pytest.mark.wide


def test_F37_files_that_came_since_a_lakehouse_was_put_back_to_are_taken_again_from_the_archive(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    lakehouse, backup_of_all = mini.home / "lakehouse", mini.home / "all"
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.own_contracts = {"bill": VOIDABLE}
    mini.write()
    mini.land("a/1.csv", bills(bill(1), bill(2)))
    done(mini.run())
    shutil.copytree(lakehouse, backup_of_all)
    # A correction that is taken back again, a bad row and its correction, one more file; each in a run of its own.
    of_one, first = [bill(1, amount="11.00"), bill(2)], [bill(1), bill(2)]
    for lines in (of_one, first, of_one):
        mini.land("a/1.csv", bills(*lines))
        done(mini.run())
    for name, line in (("a/2.csv", bill(3, amount="90.00")), ("a/3.csv", bill(4)), ("a/2.csv", bill(3, amount="30.00"))):
        mini.land(name, bills(line))
        done(mini.run())
    wanted = silver_ids(mini, "a", "billed_amount")
    in_bronze = snapshot(mini, ["bronze.hosa_bills"], VOLATILE)
    assert [row[0] for row in wanted] == ["B1", "B2", "B3", "B4"]

    def whole_put_back() -> None:
        shutil.rmtree(lakehouse)
        shutil.copytree(backup_of_all, lakehouse)
        mini.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]

    whole_put_back()
    log = done(mini.run()).log("bronze", "hosa_bills")
    assert (log.rows_written, len([words for words in log.warnings if "it is taken again from the archive" in words])) == (9, 6)
    assert (silver_ids(mini, "a", "billed_amount"), snapshot(mini, ["bronze.hosa_bills"], VOLATILE)) == (wanted, in_bronze)
    quiet = done(mini.run()).log("bronze", "hosa_bills")
    assert (quiet.status, quiet.warnings) == ("NOOP", [])
    # Bronze alone, restored: its files come again under numbers that silver does not know.
    mini.spark.sql(f"RESTORE TABLE delta.`{lakehouse}/bronze/hosa/bills` TO VERSION AS OF 1")
    done(mini.run())
    assert (silver_ids(mini, "a", "billed_amount"), [row for row in waiting(mini) if row[1] == "open"]) == (wanted, [])
    assert len(mini.rows("bronze.hosa_bills", "_batch_seq")) == len(in_bronze["bronze.hosa_bills"])
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == []
    # Twice put back: the list has each file where it stands now. One is in the archive no more.
    for path in (mini.home / "archive").rglob("*-3.csv"):
        path.unlink()
    whole_put_back()
    told = done(mini.run()).log("bronze", "hosa_bills").warnings
    assert len([words for words in told if "3.csv: the table was put back and lacks it" in words and "it is not in the archive any more" in words]) == 1
    assert silver_ids(mini, "a", "billed_amount") == wanted[:3]


def test_F37_a_file_that_is_not_taken_again_stays_missing_by_name_whatever_has_its_number(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    lakehouse, list_of_archive = mini.home / "lakehouse", mini.home / "archive/hos-a.bills/.loaded.json"

    def load(name: str, *lines: str) -> None:
        mini.land(f"a/{name}.csv", bills(*lines) if name != "x" else bills(*(f"{line},1" for line in lines), header=f"{HEADER},Extra"))
        done(mini.run())

    def put_back(backup: str) -> None:
        shutil.rmtree(lakehouse)
        shutil.copytree(mini.home / backup, lakehouse)
        mini.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]

    load("1", bill(1))
    shutil.copytree(lakehouse, mini.home / "first")
    load("x", bill(2))
    load("y", bill(3))
    shutil.copytree(lakehouse, mini.home / "third")
    shutil.copy(list_of_archive, mini.home / "good.json")
    # An option that refuses x now: y gets its number.
    put_back("first")
    files = {**mini.connections["landing"], "tables": {"hos-a.bills": {"pattern": "a/*", "drift": "freeze"}}}
    usual, mini.connections = mini.connections, {"landing": files}
    mini.write()
    for _ in range(2):
        ended = mini.run()
        log = ended.log("bronze", "hosa_bills")
        assert (ended.code, "it stays in the archive, and is tried again by the next run" in log.message) == (1, True)
        assert silver_ids(mini, "a") == ["B1", "B3"]
    mini.connections = usual
    mini.write()
    done(mini.run())
    assert silver_ids(mini, "a") == ["B1", "B2", "B3"]
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == []
    # A newer backup after an older one: what came between has a number that the newer one uses otherwise.
    put_back("first")
    done(mini.run())
    load("z", bill(4))
    put_back("third")
    done(mini.run())
    assert silver_ids(mini, "a") == ["B1", "B2", "B3", "B4"]
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == []
    # A good copy of a damaged list that comes after the next file.
    put_back("first")
    list_of_archive.write_text("[")
    load("v", bill(5))
    shutil.copy(mini.home / "good.json", list_of_archive)
    done(mini.run())
    assert silver_ids(mini, "a") == ["B1", "B2", "B3", "B5"]
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == []


def test_F37_an_older_content_that_the_archive_has_no_more_is_not_asked_for_under_its_name(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    mini.land("a/1.csv", bills(bill(1)))
    done(mini.run())
    shutil.copytree(mini.home / "lakehouse", mini.home / "first")
    for amount in ("30.00", "33.00"):
        mini.land("a/c.csv", bills(bill(3, amount=amount)))
        done(mini.run())
    for path in (mini.home / "archive").rglob("*-c.csv"):
        if "30.00" in path.read_text():
            path.unlink()
    shutil.rmtree(mini.home / "lakehouse")
    shutil.copytree(mini.home / "first", mini.home / "lakehouse")
    mini.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    words = "a later a/c.csv is taken; if rows that only the earlier one had are wanted, have them delivered under a name of their own"
    for _ in range(2):
        assert says(done(mini.run()).log("bronze", "hosa_bills").warnings, "it is not in the archive any more", words)
        assert [str(amount) for _, amount in silver_ids(mini, "a", "billed_amount")] == ["10.00", "33.00"]


def test_F37_a_table_that_begins_anew_beside_a_full_archive_says_so(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {}})
    mini.land("a/1.csv", bills(bill(1)))
    mini.land("a/2.csv", bills())
    done(mini.run())
    shutil.rmtree(mini.home / "lakehouse")
    mini.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    words = "the table is new; another took 1 files of its archive: move those that are wanted to the landing folder under their names"
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == [words]
    (archived,) = (mini.home / "archive").rglob("*-1.csv")
    shutil.move(archived, mini.home / "landing/a/1.csv")
    assert done(mini.run()).log("bronze", "hosa_bills").warnings == []
    assert silver_ids(mini, "a") == ["B1"]
