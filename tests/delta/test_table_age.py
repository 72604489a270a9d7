"""Bronze does not grow slower with age: jobs and files over forty daily loads. `make soak` does a year too (RCM_SOAK_DAYS=365)."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from test_costs import BRONZE_APPEND, jobs  # noqa: F401  (a fixture)

from harness import Mini

pytestmark = pytest.mark.deep

DAYS = int(os.environ.get("RCM_SOAK_DAYS", "40"))
CHECKPOINT_EVERY = 10
# The local profile compacts a table of more small files than this.
COMPACTED_FROM = 20


def test_forty_daily_loads_cost_the_same_jobs_and_leave_few_files(spark: SparkSession, tmp_path: Path, jobs: dict[str, int]) -> None:  # noqa: F811
    if DAYS < CHECKPOINT_EVERY:
        pytest.fail("RCM_SOAK_DAYS must be 10 or more")
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,departments,Incremental,Changed,1,hosa"], contracts=["department"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql("CREATE TABLE departments (DeptID VARCHAR(20) PRIMARY KEY, Name VARCHAR(60), Changed DATE)")
    counts = []
    for number in range(DAYS):
        day = datetime(2025, 1, 1) + timedelta(days=number)
        mini.sql(f"INSERT INTO departments VALUES ('D{number:04d}', 'Ward', DATE '{day:%Y-%m-%d}')")
        ended = mini.run(now=f"{day + timedelta(days=1):%Y-%m-%dT06:00:00Z}", layers=("bronze",))
        assert ended.code == 0, ended.said
        assert ended.log("bronze", "hosa_departments").rows_written == 1
        counts.append(jobs["bronze:hos-a.departments"])
    table = tmp_path / "lakehouse" / "bronze" / "hosa" / "departments"
    plain = [count for number, count in enumerate(counts[1:], 2) if number % CHECKPOINT_EVERY]
    ordinary = sorted(set(plain))
    assert max(sorted(plain)[: int(len(plain) * 0.8)]) <= BRONZE_APPEND, counts
    assert counts[-1] <= max(ordinary), "the last load costs no more than any before it"
    live = spark.read.format("delta").load(str(table)).inputFiles()
    assert len(live) <= COMPACTED_FROM + 1, f"{len(live)} live files after {DAYS} loads"
    checkpoints = list((table / "_delta_log").glob("*.checkpoint*.parquet"))
    assert len(checkpoints) >= DAYS // CHECKPOINT_EVERY
    assert mini.frame("bronze.hosa_departments").count() == DAYS
