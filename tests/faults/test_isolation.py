"""One load that fails leaves the others alone; writers in parallel never hinder each other; readers never see an empty gold table."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from faulted import Small, Wanted, at_point
from harness import Mini
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.pipeline import gold_step, runner

ROOMS = """/*
grain: one room
description: rooms
key: [room_key]
*/
SELECT room_key, name FROM silver.room WHERE is_current
"""
HOSPITALS = [f"hos-{letter}" for letter in "abcdef"]


def _contract(table: str, **extra: Any) -> dict[str, Any]:
    return {
        "description": table,
        "grain": "one row",
        "key": ["source_id"],
        "columns": [{"name": "source_id", "type": "string"}, {"name": "name", "type": "string"}],
        "sources": [{"name": "emr", "tables": [table], "columns": {"source_id": "ID", "name": "Name"}}],
        **extra,
    }


@pytest.fixture(scope="module")
def network(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Twelve loads: wards and rooms of six hospitals; rooms come after wards."""
    loads = [f"emr,{source},{source[-1]}_{table},Full,,1,{source[-1]}" for table in ("wards", "rooms") for source in HOSPITALS]
    mini = Mini(spark, tmp_path_factory.mktemp("network"), loads)
    mini.own_contracts = {
        "ward": {**_contract("wards"), "sources": [_source(letter, "wards") for letter in "abcdef"]},
        "room": {**_contract("rooms"), "sources": [_source(letter, "rooms") for letter in "abcdef"], "after": ["ward"]},
    }
    mini.connections = {"emr": mini.h2("emr")}
    mini.write()
    (mini.home / "conf" / "gold" / "rooms.sql").write_text(ROOMS)
    mini.sql(*[f"CREATE TABLE {letter}_{table} (ID VARCHAR(9), Name VARCHAR(9))" for letter in "abcdef" for table in ("wards", "rooms")], database="emr")
    mini.sql(*[f"INSERT INTO {letter}_{table} VALUES ('1', 'one')" for letter in "abcdef" for table in ("wards", "rooms")], database="emr")
    return mini


def _source(letter: str, table: str) -> dict[str, Any]:
    return {"name": f"{letter}_{table}", "tables": [f"{letter}_{table}"], "columns": {"source_id": "ID", "name": "Name"}}


def test_F39_I30_X07_one_of_twelve_loads_fails_and_the_next_run_does_only_that_one(network: Mini) -> None:
    network.sql("ALTER TABLE d_wards RENAME TO d_wards_away", database="emr")
    failed = network.run(threads=4)
    assert failed.code == 1
    loads = {row.tablename: row.status for row in failed.logs if row.layer == "bronze"}
    assert loads.pop("d_wards") == "FAILED"
    assert set(loads.values()) == {"SUCCESS"}
    assert len(loads) == 11
    held = {(row.target, row.data_source) for row in failed.logs if row.status == "SKIPPED_UPSTREAM"}
    assert {("silver.ward", "hos-d"), ("silver.room", "hos-d")} <= held
    assert network.rows("silver.room", "data_source") == [(source,) for source in HOSPITALS if source != "hos-d"]
    network.sql("ALTER TABLE d_wards_away RENAME TO d_wards", database="emr")
    commits = network.commits("audit.load_logs")
    again = network.run(threads=8)
    assert again.code == 0, again.said
    written = {row.tablename: row.rows_written for row in again.logs if row.layer == "bronze"}
    assert written.pop("d_wards") == 1
    assert set(written.values()) == {0}
    assert network.rows("gold.rooms", "room_key") == [(f"{source}|1",) for source in HOSPITALS]
    touched = {(row.target, row.data_source) for row in again.logs if row.layer == "silver" and row.rows_written}
    assert touched == {("silver.ward", "hos-d"), ("silver.room", "hos-d")}
    # X07: eight threads wrote audit rows; all of them are there, in one commit.
    assert len(network.rows("audit.load_logs", "id", where=f"run_id = '{again.run_id}'")) == len(again.logs)
    assert network.commits("audit.load_logs") == commits + 1


@pytest.mark.deep
def test_F39_facts_of_a_table_that_never_had_a_row_are_not_built_as_figures_of_zero(spark: SparkSession, tmp_path: Path) -> None:
    small = Small(spark, tmp_path)
    failed = small.run()
    built = {row.target: row for row in failed.logs if row.layer == "gold"}
    assert (failed.code, built["gold.fact_charges"].status) == (1, "SKIPPED_UPSTREAM")
    assert "silver.charge never had a row, for loads that feed it did not end well" in str(built["gold.fact_charges"].message)
    assert not small.place("gold/fact_charges").exists()
    small.first_day()
    taken = small.run()
    assert (taken.code, {row.status for row in taken.logs if row.layer == "gold"}) == (0, {"SUCCESS"}), taken.said
    small.sql("DELETE FROM charges", "ALTER TABLE charges RENAME TO charges_away")
    later = small.run(day=2)
    assert later.code == 1
    assert [row.status for row in later.logs if row.target == "gold.fact_charges"] != ["SKIPPED_UPSTREAM"], "it is of the rows that it had"


def test_X08_readers_of_gold_see_the_old_table_until_the_new_one_is_whole_and_keep_it_when_the_rebuild_dies(
    waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = layer_table("gold", "fact_charges")
    before = waiting.all_rows()["gold.fact_charges"]
    seen: list[int] = []

    def read_and_die() -> None:
        seen.append(waiting.lake.read(table).count())
        raise RuntimeError("the process ends here")

    at_point(monkeypatch, gold_step, "P12", "fact_charges", read_and_die)
    ended = waiting.run(day=2)
    assert ended.code == 1
    assert ended.log("gold", "fact_charges").error_class == "RuntimeError"
    assert "the process ends here" not in ended.said
    assert seen == [before.total()]
    assert waiting.all_rows()["gold.fact_charges"] == before
    assert wanted.rows["gold.fact_charges"] != before


def test_F41_a_configuration_changed_in_mid_run_counts_from_the_next_run_on(waiting: Small, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    work_list = waiting.home / "load_config.csv"
    text = work_list.read_text()
    at_point(monkeypatch, runner, "P1", "", lambda: work_list.write_text(text.replace("departments,Full", "departments,Ful")))
    ended = waiting.run(day=2)
    assert ended.code == 0, ended.said
    versions = waiting.versions()
    with pytest.raises(ConfigError, match="loadtype 'Ful'"):
        waiting.run(day=2)
    assert waiting.versions() == versions
    work_list.write_text(text)
    assert Wanted.of(waiting) == wanted
    (config_hash,) = {row.config_hash for row in ended.logs}
    assert waiting.rows("audit.runs", "config_hash", where=f"run_id = '{ended.run_id}'") == [(config_hash,)]
