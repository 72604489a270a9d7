"""Spark jobs and Delta commits a step costs: exact counts, so that they can only grow on purpose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from rcm_lakehouse.pipeline import runner
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.graph import Step

PATIENTS = (
    "CREATE TABLE patients (PatientID VARCHAR(20) PRIMARY KEY, FirstName VARCHAR(60), LastName VARCHAR(60), MiddleName VARCHAR(60), SSN VARCHAR(20), "
    "PhoneNumber VARCHAR(60), Gender VARCHAR(20), DOB DATE, Address VARCHAR(200), ModifiedDate DATE)"
)
# Upper bounds that users were promised; the measured counts below lie at or under them.
BRONZE_APPEND, SILVER_CHANGES = 6, 16


def person(number: int, day: str, first: str = "Ada") -> str:
    """A made-up patient as SQL values."""
    return f"('P{number:03d}', '{first}', 'Stone', 'B', '212-45-{number:04d}', '2125550{number:03d}', 'F', '1980-01-01', '1 Road, Town, NY 10001', '{day}')"


@pytest.fixture
def jobs(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Spark jobs by step name, filled by every run of the test; a step's jobs carry its name as their group."""
    counted: dict[str, int] = {}
    tracker = spark.sparkContext.statusTracker()

    def watched(work: Any) -> Any:
        def run(ctx: Any, lake: Any, step: Step, done: Mapping[str, Outcome], frozen: Any) -> Outcome:
            group = f"{ctx.run_id} {step.name}"
            spark.sparkContext.setJobGroup(group, step.name)
            try:
                return work(ctx, lake, step, done, frozen)  # type: ignore[no-any-return]
            finally:
                counted[step.name] = len(tracker.getJobIdsForGroup(group))

        return run

    monkeypatch.setattr(runner, "_WORK", {layer: watched(work) for layer, work in runner._WORK.items()})
    return counted


def commits(mini: Mini) -> dict[str, int]:
    """Commits of every table of the small lakehouse."""
    names = ("bronze.hosa_patients", "silver.patient", "quarantine.patient", "gold.dim_patient", "audit.load_logs", "audit.runs")
    return {name: mini.commits(name) for name in names}


def new_commits(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Commits made in between, by table; tables without one are left out."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_jobs_and_commits_of_a_load_are_few_and_an_entity_with_nothing_new_costs_no_commit(
    spark: SparkSession, tmp_path: Path, jobs: dict[str, int]
) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,patients,Incremental,ModifiedDate,1,hosa"], contracts=["patient"], models=["dim_patient"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql(PATIENTS, f"INSERT INTO patients VALUES {', '.join(person(n, '2026-01-05') for n in range(50))}")
    assert mini.run(now="2026-01-06T12:00:00Z").code == 0

    before = commits(mini)
    mini.sql(
        "UPDATE patients SET LastName = 'Brook', ModifiedDate = '2026-01-06' WHERE PatientID < 'P010'",
        f"INSERT INTO patients VALUES {person(90, '2026-01-06')}, {person(91, '2026-01-06', first='NULL')}",
    )
    # As in a new process, which knows of no compaction: Delta would compact each table at its first append.
    getattr(spark._jvm, "org.apache.spark.sql.delta.stats.AutoCompactPartitionStats").instance(spark._jsparkSession).resetTestOnly()
    changed: Ended = mini.run(now="2026-01-07T12:00:00Z")
    assert changed.code == 0, changed.said
    counts = dict(jobs)
    assert counts["bronze:hos-a.patients"] <= BRONZE_APPEND, counts
    assert counts["silver:patient"] <= SILVER_CHANGES, counts
    assert new_commits(before, commits(mini)) == {
        "bronze.hosa_patients": 1,
        "silver.patient": 1,
        "quarantine.patient": 1,
        "gold.dim_patient": 1,
        "audit.load_logs": 1,
        "audit.runs": 1,
    }

    before = commits(mini)
    assert mini.run(now="2026-01-07T12:00:00Z").code == 0
    assert new_commits(before, commits(mini)) == {"audit.load_logs": 1, "audit.runs": 1}
    assert jobs["silver:patient"] == 0, "an entity with nothing new asks no table"
    assert jobs["gold:dim_patient"] == 0
    assert counts == {"bronze:hos-a.patients": 4, "silver:patient": 15, "gold:dim_patient": 8}, "measured; a change is a decision"
