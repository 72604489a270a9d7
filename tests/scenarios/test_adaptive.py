"""Adaptive execution, which clusters have switched on: parts of a query whose rows ran out are left out of it, and their counts with them."""

import copy
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from harness import SETTINGS, Mini
from rcm_lakehouse.lake import session
from rcm_lakehouse.lake.counted import Counted
from wards import VISIT, WARD

pytestmark = pytest.mark.wide

ADAPTIVE = {"spark.sql.adaptive.enabled": "true", "spark.sql.autoBroadcastJoinThreshold": "-1"}
ONCE = {"name": "amount_once", "unique": ["amount"], "columns": ["amount"], "severity": "warn"}


@pytest.fixture
def adaptive(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SparkSession:
    """A session with adaptive execution; the steps of runs have it too."""
    made = spark.newSession()
    for name, value in ADAPTIVE.items():
        monkeypatch.setitem(session._INTERPRETED, name, value)
        made.conf.set(name, value)
    return made


def test_batches_without_a_row_are_loaded_judged_and_merged_like_any_other(adaptive: SparkSession, tmp_path: Path) -> None:
    visit = {**copy.deepcopy(VISIT), "after": [], "rules": [VISIT["rules"][0], ONCE]}
    mini = Mini(adaptive, tmp_path, ["emr,hos-a,visits,Incremental,Changed,1,hosa"], own_contracts={"visit": visit, "ward": WARD})
    mini.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr")}
    mini.write()
    mini.sql(
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO visits VALUES ('V1', 'open', '1.00', 'W1', TIMESTAMP '2026-01-01 05:00:00')",
        database="emr",
    )
    assert mini.run(now="2026-01-01T06:00:00Z").code == 0
    mini.sql("DELETE FROM visits", database="emr")
    quiet = mini.run(now="2026-01-02T06:00:00Z")
    assert (quiet.code, quiet.log("bronze", "hosa_visits").rows_read) == (0, 0), quiet.said
    reset = mini.run(now="2026-01-03T06:00:00Z", reset_watermark=("hos-a.visits", "beginning"))
    assert (reset.code, reset.log("silver", "visit").status) == (0, "NOOP"), reset.said
    mini.sql("INSERT INTO visits VALUES ('V2', 'gone', '1.00', 'W1', TIMESTAMP '2026-01-03 05:00:00')", database="emr")
    bad = mini.run(now="2026-01-04T06:00:00Z").log("silver", "visit")
    assert (bad.status, bad.rows_read, bad.rows_quarantined) == ("SUCCESS", 1, 1), bad.message
    assert mini.rows("silver.visit", "source_visit_id", "is_current") == [("V1", True)]


@pytest.mark.deep
def test_rows_that_a_join_loses_are_counted_all_the_same(adaptive: SparkSession, tmp_path: Path) -> None:
    places = (str(tmp_path / name) for name in ("rows", "lost", "empty"))
    rows, none = _written(adaptive.range(10), next(places)), adaptive.range(0)
    counted = Counted(rows, F.count(F.lit(1)).alias("rows"), F.max("id").alias("highest"))
    assert _written(counted.rows.join(none, "id", how="inner"), next(places)).count() == 0
    assert counted.counts() == {"rows": 10, "highest": 9}
    again = Counted(rows.where("id > 10"), F.count(F.lit(1)).alias("rows"))
    _written(again.rows.join(rows, "id", how="inner"), next(places))
    assert (again.counts(), again.counts(rows)) == ({"rows": 0}, {"rows": 10})


def _written(rows: DataFrame, path: str) -> DataFrame:
    rows.write.parquet(path)
    return rows.sparkSession.read.schema(rows.schema).parquet(path)
