"""A Delta log that a power loss or a full disk left torn is refused with the repair; an empty log of a killed creation is no table."""

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import Small, Wanted
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.lake.log_check import forget_unbegun, has_begun


def _table(folder: Path, versions: int) -> Path:
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    for version in range(versions):
        (log / f"{version:020d}.json").write_text(json.dumps({"commitInfo": {}}) + "\n" + json.dumps({"add": {}}) + "\n")
    return log


def _torn_line(log: Path) -> None:
    (log / f"{2:020d}.json").write_text('{"commitInfo": {}}\n{"add": {"pa')


def _empty_commit(log: Path) -> None:
    (log / f"{2:020d}.json").write_text("")


def _gap(log: Path) -> None:
    (log / f"{1:020d}.json").unlink()


def _empty_last_checkpoint(log: Path) -> None:
    (log / "_last_checkpoint").write_text("")


def _torn_checkpoint(log: Path) -> None:
    (log / f"{1:020d}.checkpoint.parquet").write_bytes(b"PAR1 and then nothing")


def _folder_for_last_checkpoint(log: Path) -> None:
    (log / "_last_checkpoint").mkdir()


def _folder_for_checkpoint(log: Path) -> None:
    (log / f"{1:020d}.checkpoint.parquet").mkdir()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_torn_line, "newest commit 00000000000000000002.json is torn"),
        (_empty_commit, "newest commit 00000000000000000002.json is torn"),
        (_gap, "version 1 is missing from its log"),
        (_empty_last_checkpoint, "_last_checkpoint is torn"),
        (_folder_for_last_checkpoint, r"_delta_log/_last_checkpoint cannot be read \(Is a directory\)"),
        (_folder_for_checkpoint, r"_delta_log/00000000000000000001.checkpoint.parquet cannot be read \(Is a directory\)"),
        (_torn_checkpoint, "checkpoint 00000000000000000001.checkpoint.parquet is torn"),
    ],
)
def test_F06_a_torn_log_is_refused_with_what_to_do(tmp_path: Path, damage: object, told: str) -> None:
    log = _table(tmp_path, 3)
    assert has_begun(tmp_path, "silver.x")
    damage(log)  # type: ignore[operator]
    with pytest.raises(TableStateError, match=told) as refused:
        has_begun(tmp_path, "silver.x")
    assert "Nothing was read from it or written to it." in str(refused.value)


def test_F06_a_log_without_a_commit_is_no_table_unless_there_are_data_files(tmp_path: Path) -> None:
    assert not has_begun(tmp_path, "silver.x")
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / ".00000000000000000000.json.1f.tmp").write_text("{")
    assert not has_begun(tmp_path, "silver.x")
    (tmp_path / "part-0.snappy.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableStateError, match="its log holds no commit"):
        has_begun(tmp_path, "silver.x")


@pytest.mark.wide
def test_F01_a_table_whose_making_was_killed_is_made_by_the_next_run(spark: SparkSession, tmp_path: Path, first_loaded: Small) -> None:
    small = Small(spark, tmp_path)
    small.first_day()
    logs = [small.place(f"{path}/_delta_log") for path in ("bronze/hosa/departments", "silver/charge", "gold/fact_charges", "audit/runs")]
    for log in logs:
        (log / "_staged_commits").mkdir(parents=True)
        (log / ".00000000000000000000.json.5d1e.tmp").write_text('{"commitInfo"')
    ended = small.run(day=1)
    assert ended.code == 0, ended.said
    assert all((log / f"{1:020d}.json").exists() for log in logs)
    # Another salt makes other pseudonyms.
    counts, clean = ({name: rows.total() for name, rows in lakehouse.all_rows().items()} for lakehouse in (small, first_loaded))
    assert counts == clean


def test_F06_a_log_with_something_else_than_a_killed_making_leaves_is_not_taken_away(tmp_path: Path) -> None:
    log = _table(tmp_path, 0)
    (log / "_commits").mkdir()
    (log / "_commits" / "00000000000000000000.e0f1.json").write_text("{}")
    with pytest.raises(TableStateError, match=r"holds 00000000000000000000\.e0f1\.json but no commit"):
        forget_unbegun(tmp_path, "silver.x")
    assert log.is_dir()


@pytest.mark.wide
def test_F06_a_torn_commit_fails_its_load_alone_and_the_repair_brings_its_rows_back(done: Small, wanted: Wanted) -> None:
    log = done.place("bronze/hosa/charges/_delta_log")
    newest = sorted(log.glob("*.json"))[-1]
    newest.write_bytes(newest.read_bytes()[:-40])
    torn = done.run(day=2)
    assert torn.code == 1
    failed = next(row for row in torn.logs if row.layer == "bronze" and row.status == "FAILED")
    assert failed.error_class == "TableStateError"
    assert newest.name in (failed.message or "")
    assert torn.log("bronze", "hosa_patients").status == "SUCCESS"
    for name in (newest.name, f".{newest.name}.crc"):
        (log / name).unlink(missing_ok=True)
    healed = done.run(day=2)
    assert healed.code == 0, healed.said
    rows = done.all_rows()
    # Numbers that silver has taken are not given out again.
    assert healed.log("bronze", "hosa_charges").batch_seq == 3
    assert rows["bronze.hosa_charges"].total() == wanted.rows["bronze.hosa_charges"].total()
    kept = [name for name in rows if name.startswith(("silver.", "gold."))]
    assert {name: rows[name] for name in kept} == {name: wanted.rows[name] for name in kept}


@pytest.mark.deep
def test_F06_a_data_file_that_is_cut_or_gone_is_named_and_its_return_brings_the_rest(waiting: Small, wanted: Wanted) -> None:
    for name in ("patient", "charge"):
        path = sorted(waiting.place(f"silver/{name}").glob("part-*.parquet"))[0]
        whole = path.read_bytes()
        if name == "patient":
            path.write_bytes(whole[:-60])
        else:
            path.unlink()
        ended = waiting.run(day=2)
        assert ended.code == 1, ended.said
        failed = next(row for row in ended.logs if row.layer == "silver" and row.target == f"silver.{name}")
        assert (failed.status, failed.error_class) == ("FAILED", "TableStateError")
        assert f"the data file {path.name} of silver/{name} is gone, cut or changed" in (failed.message or ""), failed.message
        path.write_bytes(whole)
    healed = waiting.run(day=2)
    assert healed.code == 0, healed.said
    assert waiting.all_rows() == wanted.rows
