"""State that is lost: the audit, a table, the salt. It is rebuilt from the commits, or refused by name; never taken for empty."""

import shutil
from pathlib import Path

import pytest

from faulted import Small


def test_F36_X09_a_lost_audit_is_rebuilt_from_the_commits_and_nothing_is_loaded_again(small: Small) -> None:
    counted, versions = small.counted(), small.versions()
    shutil.rmtree(small.place("audit"))
    ended = small.run()
    assert ended.code == 0, ended.said
    assert "audit.load_logs was lost" in ended.said
    assert small.counted() == counted
    assert small.versions() == versions
    assert small.audit_faults() == []
    assert ended.logs[-1].warnings == ["audit.load_logs was lost: 8 rows of 1 runs were rebuilt from the commits of the tables they wrote to"]


def test_F36_a_lost_table_of_load_logs_alone_closes_its_runs_and_keeps_its_counts(small: Small) -> None:
    small.run()
    counted = small.counted()
    shutil.rmtree(small.place("audit/load_logs"))
    assert small.run().code == 0
    assert small.counted() == counted
    assert small.audit_faults() == []


def test_F37_X10_a_lost_bronze_table_is_refused_and_accepted_only_by_name(small: Small) -> None:
    before = small.all_rows()
    shutil.rmtree(small.place("bronze/hosa/patients"))
    refused = small.run()
    assert refused.code == 1
    log = next(row for row in refused.logs if row.status == "FAILED")
    assert (log.tablename, log.error_class) == ("patients", "TableStateError")
    assert "run again with --accept-lost bronze.hosa_patients" in (log.message or "")
    assert not small.place("bronze/hosa/patients").exists()
    assert refused.log("bronze", "hosa_departments").status == "SUCCESS"
    accepted = small.run(accept_lost=("bronze.hosa_patients",))
    assert accepted.code == 0, accepted.said
    assert accepted.log("bronze", "hosa_patients").batch_seq == 2
    assert accepted.log("silver", "patient").rows_unchanged == 40
    after = small.all_rows()
    assert {name: rows.total() for name, rows in after.items()} == {name: rows.total() for name, rows in before.items()}
    assert after["gold.fact_charges"] == before["gold.fact_charges"]
    assert small.run().code == 0


def test_F37_X10_a_silver_table_that_is_gone_or_another_one_is_refused_and_rebuilt_only_by_name(small: Small) -> None:
    before = small.all_rows()
    shutil.rmtree(small.place("silver/patient"))
    gone = small.run()
    assert gone.code == 1
    assert "silver.patient at silver/patient is gone" in (gone.log("silver", "patient").message or "")
    assert gone.log("silver", "charge").status == "SKIPPED_UPSTREAM"
    assert not small.place("silver/patient").exists()
    shutil.copytree(small.place("silver/department"), small.place("silver/patient"))
    replaced = small.run()
    assert "is another table than the one" in (replaced.log("silver", "patient").message or "")
    shutil.rmtree(small.place("silver/patient"))
    accepted = small.run(accept_lost=("silver.patient",))
    assert accepted.code == 0, accepted.said
    assert small.all_rows() == before


@pytest.mark.parametrize(("lost", "told"), [("silver/charge_tombstones", "silver.charge_tombstones"), ("quarantine/charge", "quarantine.charge")])
def test_F37_a_lost_companion_of_a_silver_table_is_refused(small: Small, lost: str, told: str) -> None:
    shutil.rmtree(small.place(lost))
    small.second_day()
    ended = small.run(day=2)
    assert ended.code == 1
    assert f"--accept-lost {told}" in (ended.log("silver", "charge").message or "")
    assert not small.place(lost).exists()
    assert ended.log("silver", "department").status == "SUCCESS"


def test_F37_a_lost_gold_table_is_built_anew_and_said_so_a_lost_salt_is_refused(small: Small) -> None:
    before = small.all_rows()
    shutil.rmtree(small.place("gold/fact_charges"))
    ended = small.run()
    assert ended.code == 0, ended.said
    assert "built anew" in ended.log("gold", "fact_charges").warnings[0]
    assert small.all_rows() == before
    shutil.rmtree(small.place("silver/_salt"))
    small.second_day()
    refused = small.run(day=2)
    assert refused.code == 1
    assert "silver._salt is gone" in (refused.log("silver", "patient").message or "")
    assert not small.place("silver/_salt").exists()


def test_a_run_killed_between_the_salts_table_and_its_row_loses_no_row(small: Small, tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    fresh = Small(small.spark, home)
    fresh.first_day()
    lake = fresh.lake
    from rcm_lakehouse.lake import salt

    lake.ensure(salt.SALT_TABLE, salt._SCHEMA)
    ended = fresh.run()
    assert ended.code == 0, ended.said
    assert ended.log("silver", "patient").rows_read == 41
