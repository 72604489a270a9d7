"""Sources that change their columns and types under a load: widened, refused before a row is read, or set aside; never in silence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import counts, failure, incremental, visit_contract

TABLES = {  # table: its columns after VisitID, State
    "visits_wide": "Mark TIMESTAMP, Size INT, Price DECIMAL(8,2)",
    "visits_text": "Mark TIMESTAMP, Size BIGINT",
    "visits_lenient": "Mark TIMESTAMP, Size BIGINT",
    "visits_required": "Mark TIMESTAMP, Size INT",
    "visits_optional": "Mark TIMESTAMP, Size INT",
    "visits_dropped": "Mark TIMESTAMP, Size INT",
    "visits_cased": "Mark TIMESTAMP, Size INT",
    "visits_named": "Mark TIMESTAMP, Size INT",
    "visits_marked": "Mark TIMESTAMP, Other TIMESTAMP",
}
MAPPED = {"source_visit_id": "VisitID", "state": "State"}
OPTIONAL = {
    "name": "optional",
    "tables": ["visits_optional"],
    "columns": {**MAPPED, "state": "Condition"},
}
DAY_1 = [
    *(f"CREATE TABLE {table} (VisitID VARCHAR(20), State VARCHAR(20), {columns})" for table, columns in TABLES.items()),
    *(f"INSERT INTO {table} (VisitID, State, Mark) VALUES ('v1', 'open', '2026-01-10 11:00:00')" for table in TABLES),
    "UPDATE visits_wide SET Size = 7, Price = 1.50",
    *(f"UPDATE {table} SET Size = 7" for table in ("visits_text", "visits_lenient", "visits_cased")),
    "UPDATE visits_marked SET Other = '2026-01-10 09:00:00'",
]
DRIFT = [
    "ALTER TABLE visits_wide ALTER COLUMN Size BIGINT",
    "ALTER TABLE visits_wide ALTER COLUMN Price DECIMAL(12,4)",
    "ALTER TABLE visits_wide ALTER COLUMN State VARCHAR(200)",
    "INSERT INTO visits_wide VALUES ('v2', 'open, and told at more length than before', '2026-01-10 12:30:00', 3000000000, 12345678.1234)",
    *(f"ALTER TABLE {table} ALTER COLUMN Size VARCHAR(20)" for table in ("visits_text", "visits_lenient")),
    *(f"INSERT INTO {table} VALUES ('v2', 'open', '2026-01-10 12:30:00', '12')" for table in ("visits_text", "visits_lenient")),
    "INSERT INTO visits_lenient VALUES ('v3', 'open', '2026-01-10 12:30:00', 'twelve'), ('v4', 'open', '2026-01-10 12:30:00', '012')",
    "ALTER TABLE visits_required ALTER COLUMN VisitID RENAME TO VisitNo",
    "ALTER TABLE visits_dropped DROP COLUMN State",
    "INSERT INTO visits_dropped (VisitID, Mark) VALUES ('v2', '2026-01-10 12:30:00')",
    "ALTER TABLE visits_cased ALTER COLUMN VisitID RENAME TO VISITID",
    "ALTER TABLE visits_cased ALTER COLUMN Size RENAME TO size",
    "INSERT INTO visits_cased VALUES ('v2', 'open', '2026-01-10 12:30:00', 8)",
    "ALTER TABLE visits_named ADD COLUMN _Row_Hash VARCHAR(9)",
    "INSERT INTO visits_named (VisitID, State, Mark) VALUES ('v2', 'open', '2026-01-10 12:30:00')",
    "INSERT INTO visits_marked VALUES ('v2', 'open', '2026-01-10 12:30:00', '2026-01-10 08:00:00')",
]
MENDED = [
    "UPDATE visits_text SET Size = '12' WHERE Size IS NULL",
    "ALTER TABLE visits_text ALTER COLUMN Size BIGINT",
    "ALTER TABLE visits_required ALTER COLUMN VisitNo RENAME TO VisitID",
    "ALTER TABLE visits_named DROP COLUMN _Row_Hash",
]
OPTIONS: dict[str, dict[str, Any]] = {"visits_lenient": {"type_drift": "quarantine"}}


@dataclass
class Story:
    mini: Mini
    first: Ended
    drifted: Ended
    other_column: Ended
    reset: Ended
    mended: Ended


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    contract = visit_contract([table for table in TABLES if table != "visits_optional"])
    contract["sources"].append(OPTIONAL)
    mini = Mini(spark, tmp_path_factory.mktemp("drift"), [incremental(table) for table in TABLES], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(tables=OPTIONS)}
    mini.write()
    mini.sql(*DAY_1)
    first = mini.run(now="2026-01-10T12:00:00Z", layers=("bronze",))
    mini.sql(*DRIFT)
    drifted = mini.run(now="2026-01-10T13:00:00Z", layers=("bronze",))
    mini.loads = [incremental(table, "Other" if table == "visits_marked" else "Mark") for table in TABLES]
    mini.write()
    other = mini.run(now="2026-01-10T13:10:00Z", layers=("bronze",), only=("hos-a.visits_marked",))
    reset = mini.run(now="2026-01-10T13:20:00Z", reset_watermark=("hos-a.visits_marked", "beginning"))
    mini.sql(*MENDED)
    mini.connections = {"hospital-a": mini.h2(tables={**OPTIONS, "visits_dropped": {"gone_columns": ["State"]}})}
    mini.write()
    return Story(mini, first, drifted, other, reset, mini.run(now="2026-01-10T14:00:00Z", layers=("bronze", "silver")))


def types(story: Story, table: str) -> dict[str, str]:
    schema = story.mini.frame(f"bronze.hosa_{table}").schema
    return {field.name: field.dataType.simpleString() for field in schema if not field.name.startswith("_")}


def test_the_first_load_and_the_mended_one_end_well(story: Story) -> None:
    assert (story.first.code, story.mended.code) == (0, 0), story.mended.said
    assert story.drifted.code == 1


def test_D02_a_wider_type_widens_the_column_and_loses_no_value(story: Story) -> None:
    assert types(story, "visits_wide") == {"VisitID": "string", "State": "string", "Mark": "timestamp", "Size": "bigint", "Price": "decimal(12,4)"}
    found = story.mini.rows("bronze.hosa_visits_wide", "VisitID", "Size", "Price")
    assert [(key, size, str(price)) for key, size, price in found if key == "v2"] == [("v2", 3_000_000_000, "12345678.1234")]
    assert {(key, size, str(price)) for key, size, price in found if key == "v1"} == {("v1", 7, "1.5000")}
    assert story.mini.rows("bronze.hosa_visits_wide", "State", where="VisitID = 'v2'") == [("open, and told at more length than before",)]


def test_D02_F30_a_number_that_became_text_stops_the_load_before_a_row_is_read(story: Story) -> None:
    message = failure(story.drifted, "visits_text")
    assert "'Size' was bigint and is string now" in message
    assert "Nothing was committed; the watermark is unchanged" in message
    assert "twelve" not in message
    assert counts(story.mended, "visits_text")[:3] == (2, 1, 1)


def test_D02_F30_values_that_fit_are_taken_and_rows_with_others_wait_in_quarantine(story: Story) -> None:
    assert types(story, "visits_lenient")["Size"] == "bigint"
    found = story.mini.rows("bronze.hosa_visits_lenient", "VisitID", "Size", "_corrupt_record", where="_batch_seq = 2")
    assert [(key, size, text is None) for key, size, text in found] == [("v2", 12, True), ("v3", None, False), ("v4", None, False)]
    waiting = story.mini.rows("quarantine.visit", "entity_key", "raw_row", where="event = 'seen'")
    assert [key for key, _ in waiting] == ["hos-a|v3", "hos-a|v4"]
    assert ["twelve" in raw for _, raw in waiting] == [True, False]


def test_D03_a_missing_column_of_the_key_is_refused_when_the_load_is_planned(story: Story) -> None:
    message = failure(story.drifted, "visits_required")
    assert "has no column 'VisitID', which conf/cdm/visit.yml takes for 'source_visit_id'" in message
    assert "Did you mean 'VisitNo'" in message
    assert counts(story.mended, "visits_required")[:2] == (1, 0)


def test_D03_a_missing_optional_column_is_null_with_a_warning(story: Story) -> None:
    for ended in (story.first, story.drifted, story.mended):
        warned = [note for note in ended.log("bronze", "hosa_visits_optional").warnings if "has no column 'Condition'" in note]
        assert len(warned) == 1
        assert warned[0].endswith("It is NULL.")
    assert ("v1", None) in story.mini.rows("silver.visit", "source_visit_id", "state")


def test_a_mapped_column_that_the_source_drops_is_refused_until_it_is_named_as_gone(story: Story) -> None:
    assert "Earlier loads had it: its values would become NULL" in failure(story.drifted, "visits_dropped")
    assert counts(story.mended, "visits_dropped")[:2] == (2, 2)
    assert len([note for note in story.mended.log("bronze", "hosa_visits_dropped").warnings if note.endswith("It is NULL.")]) == 1


def test_D04_another_case_makes_no_second_column(story: Story) -> None:
    assert types(story, "visits_cased") == {"VisitID": "string", "State": "string", "Mark": "timestamp", "Size": "int"}
    assert story.mini.rows("bronze.hosa_visits_cased", "VisitID", "Size") == [("v1", 7), ("v2", 8)]


def test_D09_a_source_column_named_like_ours_is_refused_before_anything_is_written(story: Story) -> None:
    assert "has a column named _ROW_HASH" in failure(story.drifted, "visits_named").replace("_Row_Hash", "_ROW_HASH")
    assert counts(story.mended, "visits_named")[:3] == (2, 1, 1)


def test_I18_another_watermark_column_is_refused_until_it_is_reset(story: Story) -> None:
    message = failure(story.other_column, "visits_marked")
    assert "bronze.hosa_visits_marked was loaded by the watermark column 'mark'" in message
    assert "--reset-watermark hos-a.visits_marked beginning" in message
    assert [log.status for log in story.reset.logs if log.layer == "bronze"] == ["RESET"]
    log = story.mended.log("bronze", "hosa_visits_marked")
    assert (log.watermark_before, log.rows_read, log.rows_written, log.rows_duplicate) == (None, 2, 0, 2)
    assert story.mini.rows("bronze.hosa_visits_marked", "VisitID", where="_change_type = 'upsert'") == [("v1",), ("v2",)]


@pytest.mark.deep
@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_D02_a_day_that_became_a_time_stops_its_watermark_and_the_way_out_that_is_named_loses_no_row(policy: str, spark: SparkSession, tmp_path: Path) -> None:
    contract = visit_contract(["visits"])
    mini = Mini(spark, tmp_path, [incremental("visits")], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(tables={"visits": {"type_drift": policy}})}
    mini.write()
    mini.sql("CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Mark DATE)", "INSERT INTO visits VALUES ('v1', 'open', '2026-01-09')")
    assert mini.run(now="2026-01-10T12:00:00Z").code == 0
    mini.sql("ALTER TABLE visits ALTER COLUMN Mark TIMESTAMP", "UPDATE visits SET State = 'shut', Mark = '2026-01-10 12:30:00'")
    mini.sql("INSERT INTO visits VALUES ('v2', 'open', '2026-01-10 12:40:00')")
    ended = mini.run(now="2026-01-10T13:00:00Z")
    assert ended.code == 1
    assert "the watermark 'Mark' was date and is timestamp now, and its values would not fit. Nothing was committed" in failure(ended, "visits")
    assert "move the folder of bronze.hosa_visits away and run with --accept-lost bronze.hosa_visits" in failure(ended, "visits")
    bronze = tmp_path / "lakehouse" / "bronze" / "hosa" / "visits"
    bronze.rename(tmp_path / "away")
    assert mini.run(now="2026-01-10T14:00:00Z", accept_lost=("bronze.hosa_visits",)).code == 0
    assert mini.rows("silver.visit", "source_visit_id", "state", where="is_current") == [("v1", "shut"), ("v2", "open")]
    mini.sql("UPDATE visits SET State = 'open', Mark = '2026-01-10 14:30:00' WHERE VisitID = 'v1'")
    assert mini.run(now="2026-01-10T15:00:00Z").log("bronze", "hosa_visits").rows_written == 1
    assert mini.rows("silver.visit", "state", where="is_current AND source_visit_id = 'v1'") == [("open",)]
