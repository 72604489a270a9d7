"""What becomes of a quarantined row when its source is corrected, takes it back, or a failed run judges it again; and an old lakehouse."""

import copy
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from faulted import dying
from harness import SETTINGS, Mini
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline import history as history_module
from rcm_lakehouse.pipeline.entities import ensure_entity, entity_of
from wards import REPLAY, VISIT, WARD

pytestmark = pytest.mark.deep

FIRST, SECOND = "TIMESTAMP '2026-01-02 05:50:00'", "TIMESTAMP '2026-01-02 06:01:00'"
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def corrected(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Three runs: BACK goes bad and back again at one time, FIXED is corrected, a ward comes late; the second run dies before its MERGE."""
    loads = ["emr,hos-a,wards,Full,,1,hosa", "emr,hos-a,visits,Incremental,Changed,1,hosa"]
    mini = Mini(spark, tmp_path_factory.mktemp("corrected"), loads, own_contracts={"ward": WARD, "visit": VISIT})
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr", tables={"visits": {"overlap_seconds": 86_400}})}
    mini.write()
    mini.sql(
        "CREATE TABLE wards (WardID VARCHAR(9) PRIMARY KEY)",
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO wards VALUES ('W1')",
        f"INSERT INTO visits VALUES ('BACK', 'open', '1.00', 'W1', {FIRST})",
        f"INSERT INTO visits VALUES ('FIXED', 'held', '2.00', 'W1', {FIRST})",
        f"INSERT INTO visits VALUES ('LATE', 'open', '3.00', 'W2', {FIRST})",
        f"INSERT INTO visits VALUES ('WORSE', 'open', '5.00', 'W1', {FIRST})",
        database="emr",
    )
    assert mini.run(now="2026-01-02T06:00:00Z").code == 0
    mini.sql(
        "UPDATE visits SET State = 'held' WHERE VisitID = 'BACK'",
        f"UPDATE visits SET State = 'open', Changed = {SECOND} WHERE VisitID = 'FIXED'",
        f"UPDATE visits SET State = 'held', Changed = {SECOND} WHERE VisitID = 'WORSE'",
        f"INSERT INTO visits VALUES ('JUDGED', 'open', '4.00', 'W2', {SECOND})",
        database="emr",
    )
    with dying(history_module, "P9", "visit"):
        assert mini.run(now="2026-01-02T06:03:00Z").code == 1
    mini.sql("UPDATE visits SET State = 'open' WHERE VisitID = 'BACK'", "INSERT INTO wards VALUES ('W2')", database="emr")
    assert mini.run(now="2026-01-02T06:06:00Z").code == 0
    return mini


def statuses(mini: Mini) -> dict[tuple[str, str], str]:
    """The status of each quarantined row by visit and state."""
    register_all(mini.spark, mini.lake.settings, mini.home)
    rows = mini.spark.table("quarantine.visit_rows").selectExpr("get_json_object(raw_row, '$.VisitID')", "get_json_object(raw_row, '$.State')", "status")
    return {(visit, state): status for visit, state, status in rows.collect()}


def history(mini: Mini) -> list[Row]:
    return mini.rows("silver.visit", "source_visit_id", "state", "date_format(effective_from, 'HH:mm')", "is_current")


def test_an_open_row_is_superseded_by_its_correction_and_taken_by_the_judgement_after_a_failure(corrected: Mini) -> None:
    assert statuses(corrected) == {
        ("BACK", "held"): "open",  # of two rows at one time the history cannot tell; replay asks bronze
        ("FIXED", "held"): "superseded",
        ("LATE", "open"): "replayed",  # its ward has come
        ("JUDGED", "open"): "replayed",
        ("WORSE", "held"): "open",
    }
    assert history(corrected) == [
        ("BACK", "open", "05:50", True),
        ("FIXED", "open", "06:01", True),
        ("JUDGED", "open", "06:01", True),
        ("LATE", "open", "05:50", True),
        ("WORSE", "open", "05:50", True),
    ]


def test_replay_merges_no_row_that_a_later_delivery_took_back(corrected: Mini) -> None:
    contract = copy.deepcopy(VISIT)
    contract["rules"][0] |= {"check": "state IN ('open', 'closed', 'held')", "version": 2}
    corrected.own_contracts = {"ward": WARD, "visit": contract}
    corrected.write()
    ended = corrected.run(now="2026-01-02T07:00:00Z", **REPLAY)
    assert ended.code == 0, ended.said
    log = ended.log("silver", "visit")
    assert (log.rows_read, log.rows_written, log.rows_duplicate) == (3, 2, 1)
    assert statuses(corrected) == {
        ("BACK", "held"): "superseded",
        ("FIXED", "held"): "superseded",
        ("LATE", "open"): "replayed",
        ("JUDGED", "open"): "replayed",
        ("WORSE", "held"): "replayed",
    }
    assert history(corrected) == [
        ("BACK", "open", "05:50", True),
        ("FIXED", "held", "05:50", False),
        ("FIXED", "open", "06:01", True),
        ("JUDGED", "open", "06:01", True),
        ("LATE", "open", "05:50", True),
        ("WORSE", "held", "06:01", True),
        ("WORSE", "open", "05:50", False),
    ]


def test_a_lakehouse_older_than_its_logs_is_taken_for_no_new_one(corrected: Mini) -> None:
    for log in sorted((corrected.home / "lakehouse").rglob("_delta_log")):
        forget_old_commits(corrected.spark, log.parent)
    before, rows = history(corrected), corrected.rows("audit.load_logs", "id")
    corrected.sql("UPDATE visits SET Amount = 'much', Changed = TIMESTAMP '2026-01-02 07:30:00' WHERE VisitID = 'LATE'", database="emr")
    ended = corrected.run(now="2026-01-02T08:00:00Z")
    assert (ended.code, "was lost" in ended.said) == (0, False), ended.said
    assert sorted(set(corrected.rows("audit.load_logs", "id")) - set(rows)) == sorted((row.id,) for row in ended.logs)
    assert history(corrected) == before
    replayed = corrected.run(now="2026-01-02T09:00:00Z", **REPLAY)
    assert replayed.log("silver", "visit").warnings == ["1 quarantined rows judged again: 0 pass, 1 stay"]


def test_on_a_catalog_the_view_of_quarantined_rows_is_made_with_the_tables_and_one_that_is_there_stays(corrected: Mini) -> None:
    # The session's own catalog stands in for Unity Catalog.
    spark, lake, contract = corrected.spark, corrected.lake, load_project(corrected.home, "local").contracts["visit"]
    statuses(corrected)
    spark.sql("DROP VIEW quarantine.visit_rows")
    ensure_entity(lake, entity_of(contract))
    assert not spark.catalog.tableExists("quarantine.visit_rows"), "without a catalog a session makes it for itself"
    on_catalog = Lake(spark, lake.settings.model_copy(update={"catalog": "spark_catalog"}), lake.home)
    ensure_entity(on_catalog, entity_of(contract))
    rows = "SELECT get_json_object(raw_row, '$.VisitID'), status FROM spark_catalog.quarantine.visit_rows WHERE get_json_object(raw_row, '$.VisitID') = 'FIXED'"
    assert [tuple(row) for row in spark.sql(rows).collect()] == [("FIXED", "superseded")]
    spark.sql("CREATE OR REPLACE VIEW quarantine.visit_rows AS SELECT 'somebody made this' AS told")
    ensure_entity(on_catalog, entity_of(contract))
    assert spark.table("quarantine.visit_rows").columns == ["told"]


def forget_old_commits(spark: SparkSession, table: Path) -> None:
    """What Delta does after thirty days: a checkpoint, and the commits before it gone from the log."""
    jvm = spark._jvm
    assert jvm is not None
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, str(table))
    log.checkpoint()
    newest = log.update(False, jvm.scala.Option.empty(), jvm.scala.Option.empty()).version()
    for path in (table / "_delta_log").glob("*.json"):
        if int(path.stem) < newest:
            path.unlink()


def test_a_bad_row_that_a_later_snapshot_no_longer_has_is_superseded_and_open_again_when_it_is_back(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["emr,hos-a,wards,Full,,1,hosa", "emr,hos-a,visits,Full,,1,hosa"], own_contracts={"ward": WARD, "visit": VISIT})
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr")}
    mini.write()
    bad = [f"('{name}', 'held', '1.00', 'W1', {FIRST})" for name in ("GONE", "STAYS")]
    mini.sql(
        "CREATE TABLE wards (WardID VARCHAR(9) PRIMARY KEY)",
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO wards VALUES ('W1')",
        f"INSERT INTO visits VALUES ('GOOD', 'open', '1.00', 'W1', {FIRST}), {', '.join(bad)}",
        database="emr",
    )
    assert mini.run(now="2026-01-02T06:00:00Z").code == 0
    assert statuses(mini) == {("GONE", "held"): "open", ("STAYS", "held"): "open"}
    mini.sql("DELETE FROM visits WHERE VisitID = 'GONE'", database="emr")
    assert mini.run(now="2026-01-03T06:00:00Z").code == 0
    assert statuses(mini) == {("GONE", "held"): "superseded", ("STAYS", "held"): "open"}
    told = mini.frame("quarantine.visit").count()
    assert mini.run(now="2026-01-04T06:00:00Z").code == 0
    assert mini.frame("quarantine.visit").count() == told
    mini.sql(f"INSERT INTO visits VALUES {bad[0]}", database="emr")
    assert mini.run(now="2026-01-05T06:00:00Z").code == 0
    assert statuses(mini) == {("GONE", "held"): "open", ("STAYS", "held"): "open"}
    mini.sql("DELETE FROM visits", f"INSERT INTO visits VALUES ('NEW', 'open', '1.00', 'W1', {FIRST})", database="emr")
    assert mini.run(now="2026-01-06T06:00:00Z").code == 4, "GOOD is absent: the deletes are held"
    assert statuses(mini) == {("GONE", "held"): "open", ("STAYS", "held"): "open"}, "a snapshot that is not believed closes nothing"
