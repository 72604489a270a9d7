"""The suite's own harness: a small project of one table, run twice."""

from pathlib import Path

import pytest
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


@pytest.mark.wide
def test_a_gold_model_that_names_what_is_not_there_fails_with_file_line_and_the_nearest_name(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,departments,Full,,1,hosa"], contracts=["department"], models=["dim_department"])
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql("CREATE TABLE departments (DeptID VARCHAR(20) PRIMARY KEY, Name VARCHAR(60))", "INSERT INTO departments VALUES ('D1', 'Ward')")
    model = tmp_path / "conf" / "gold" / "dim_department.sql"
    text = model.read_text()
    assert "source_department_id, coalesce" in text
    # Of two sources, and with what only a table has: only the run can tell.
    text = text.replace("FROM silver.department", "FROM silver.department CROSS JOIN (SELECT 1 AS one)")
    model.write_text(text.replace("source_department_id, coalesce", "source_departmnt_id, _metadata.file_name AS file, coalesce"))
    line = next(number for number, found in enumerate(model.read_text().splitlines(), 1) if "source_departmnt_id" in found)
    ended = mini.run(now="2026-01-30T12:00:00Z")
    assert ended.code == 1
    log = ended.log("gold", "dim_department")
    assert log.status == "FAILED"
    assert str(log.message).startswith(f"conf/gold/dim_department.sql:{line}: it names the column 'source_departmnt_id', which is not there.")
    assert "Did you mean 'source_department_id'?" in str(log.message)
