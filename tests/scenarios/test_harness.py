"""The suite's own harness: a small project of one table, run twice."""

from pathlib import Path

from pyspark.sql import SparkSession

from harness import Mini


def test_a_small_project_loads_and_then_has_nothing_to_do(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,departments,Full,,1,hosa"], contracts=["department"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql(
        "CREATE TABLE departments (DeptID VARCHAR(20) PRIMARY KEY, Name VARCHAR(60))",
        "INSERT INTO departments VALUES ('D1', 'Cardiology'), ('D2', 'Surgery')",
    )
    first = mini.run()
    assert first.code == 0, first.said
    assert mini.rows("silver.department", "department_key", "name") == [("hos-a|D1", "Cardiology"), ("hos-a|D2", "Surgery")]
    second = mini.run()
    assert second.code == 0
    assert second.log("bronze", "hosa_departments").rows_written == 0
    assert mini.commits("silver.department") == 2
