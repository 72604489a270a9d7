"""State that is lost: the audit, a table, the salt. It is rebuilt from the commits, or refused by name; never taken for empty."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import Small
from harness import Ended, Mini
from rcm_lakehouse.config.errors import SourceUnavailableError
from rcm_lakehouse.lake.salt import SALT_TABLE, ensure_salt
from rcm_lakehouse.pipeline import bronze_step, reset_step
from windows_kit import insert, project, raising


def test_F36_X09_a_lost_audit_is_rebuilt_from_the_commits_and_nothing_is_loaded_again(done: Small) -> None:
    counted, versions = done.counted(), done.versions()
    shutil.rmtree(done.place("audit"))
    ended = done.run(day=2)
    assert ended.code == 0, ended.said
    assert "audit.load_logs was lost" in ended.said
    assert done.counted() == counted
    assert done.versions() == versions
    assert done.audit_faults() == []
    assert "of 2 runs were rebuilt from the commits" in ended.logs[-1].warnings[0]


@pytest.mark.slow
def test_F36_a_lost_table_of_load_logs_alone_closes_its_runs_and_keeps_its_counts(done: Small) -> None:
    counted = done.counted()
    shutil.rmtree(done.place("audit/load_logs"))
    ended = done.run(day=2)
    assert ended.code == 0, ended.said
    assert done.counted() == counted
    assert done.audit_faults() == []


def test_F37_X10_a_lost_bronze_table_is_refused_and_accepted_only_by_name_a_lost_gold_table_is_built_anew(small: Small) -> None:
    before = small.all_rows()
    shutil.rmtree(small.place("bronze/hosa/patients"))
    refused = small.run()
    assert refused.code == 1
    log = next(row for row in refused.logs if row.status == "FAILED")
    assert (log.tablename, log.error_class) == ("patients", "TableStateError")
    assert "run again with --accept-lost bronze.hosa_patients" in (log.message or "")
    assert not small.place("bronze/hosa/patients").exists()
    assert refused.log("bronze", "hosa_departments").status == "SUCCESS"
    shutil.rmtree(small.place("gold/fact_charges"))
    accepted = small.run(accept_lost=("bronze.hosa_patients",))
    assert accepted.code == 0, accepted.said
    # Numbers that silver has taken are not given out again.
    assert accepted.log("bronze", "hosa_patients").batch_seq == 2
    assert accepted.log("silver", "patient").rows_unchanged == 40
    assert "it is built anew" in accepted.log("gold", "fact_charges").warnings[0]
    after = small.all_rows()
    assert {name: rows.total() for name, rows in after.items()} == {name: rows.total() for name, rows in before.items() if name != "quarantine.patient"} | {
        "quarantine.patient": before["quarantine.patient"].total() + 1
    }
    assert after["gold.fact_charges"] == before["gold.fact_charges"]


@pytest.mark.slow
def test_F37_X10_another_table_in_the_place_of_a_silver_table_is_refused_and_a_lost_one_rebuilt_only_by_name(small: Small) -> None:
    before = small.all_rows()
    shutil.rmtree(small.place("silver/patient"))
    shutil.copytree(small.place("silver/department"), small.place("silver/patient"))
    replaced = small.run()
    assert replaced.code == 1
    assert "silver.patient at silver/patient is another table than the one" in (replaced.log("silver", "patient").message or "")
    assert replaced.log("silver", "charge").status == "SKIPPED_UPSTREAM"
    shutil.rmtree(small.place("silver/patient"))
    accepted = small.run(accept_lost=("silver.patient",))
    assert accepted.code == 0, accepted.said
    assert small.all_rows() == before


@pytest.mark.slow
def test_F37_a_lost_companion_of_a_silver_table_and_a_lost_salt_are_refused_and_not_made_again(waiting: Small) -> None:
    shutil.rmtree(waiting.place("silver/_salt"))
    shutil.rmtree(waiting.place("silver/department_tombstones"))
    ended = waiting.run(day=2)
    assert ended.code == 1
    assert "silver._salt is gone" in (ended.log("silver", "patient").message or "")
    assert "--accept-lost silver.department_tombstones" in (ended.log("silver", "department").message or "")
    assert ended.log("silver", "charge").status == "SKIPPED_UPSTREAM"
    assert not waiting.place("silver/_salt").exists()
    assert not waiting.place("silver/department_tombstones").exists()


@pytest.mark.deep
def test_a_run_killed_between_the_salts_table_and_its_row_gets_the_row_from_the_next(small: Small) -> None:
    shutil.rmtree(small.place("silver/_salt"))
    lake = small.lake
    lake.ensure(SALT_TABLE, lake.spark.createDataFrame([], "_salt string").schema)
    ensure_salt(lake)
    ensure_salt(lake)
    assert lake.read(SALT_TABLE).count() == 1


@pytest.mark.deep
def test_F37_each_try_goes_on_behind_the_batches_that_silver_has_taken_of_a_table_put_back_or_lost(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path)
    bronze, backup = tmp_path / "lakehouse" / "bronze" / "hosa" / "visits", tmp_path / "backup"
    mini.sql(insert("a", "2026-01-10 05:00:00"))
    assert mini.run(now="2026-01-10T06:00:00Z").code == 0
    shutil.copytree(bronze, backup)
    mini.sql(insert("b", "2026-01-11 05:00:00"))
    assert mini.run(now="2026-01-11T06:00:00Z").log("bronze", "hosa_visits").batch_seq == 2

    put_back(backup, bronze)
    mini.sql(insert("c", "2026-01-12 05:00:00"))
    restored = failing_once(mini, bronze_step, "read_table", now="2026-01-12T06:00:00Z")
    assert told(restored) == ("SUCCESS", 2, 3, 2)
    assert current(mini) == ["a", "b", "c"]

    put_back(backup, bronze)
    reset = failing_once(mini, reset_step, "riding", now="2026-01-12T07:00:00Z", reset_watermark=("hos-a.visits", "beginning"))
    assert told(reset)[:3] == ("RESET", 2, 4)

    shutil.rmtree(bronze)
    mini.sql(insert("d", "2026-01-13 05:00:00"))
    accepted = failing_once(mini, bronze_step, "read_table", now="2026-01-13T06:00:00Z", accept_lost=("bronze.hosa_visits",))
    assert told(accepted) == ("SUCCESS", 2, 5, 4)
    assert current(mini) == ["a", "b", "c", "d"]


def put_back(backup: Path, table: Path) -> None:
    """The table's folder as its backup has it."""
    shutil.rmtree(table)
    shutil.copytree(backup, table)


def failing_once(mini: Mini, module: object, name: str, *, now: str, **options: object) -> Ended:
    """A run in which the first call of a step's function finds the source away, and the second try does not."""
    called: list[str] = []
    real: Callable[..., object] = getattr(module, name)

    def away_once(*values: object, **named: object) -> object:
        called.append(name)
        return raising(SourceUnavailableError("connection 'hospital-a': it went away."))() if len(called) == 1 else real(*values, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, away_once)
        ended = mini.run(now=now, **options)
    assert ended.code == 0, ended.said
    return ended


def told(ended: Ended) -> tuple[str, int | None, int | None, int | None]:
    """(status, attempt, batch, rows written) of the bronze load."""
    log = ended.log("bronze", "hosa_visits")
    return (log.status, log.attempt, log.batch_seq, log.rows_written)


def current(mini: Mini) -> list[str]:
    return [key for (key,) in mini.rows("silver.visit", "source_visit_id", where="is_current")]
