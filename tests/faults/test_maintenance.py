"""Maintenance: under the lock, told in the audit, never a file that a reader may still need."""

import io

import pytest
from rich.console import Console

from faulted import Small, Wanted
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.pipeline import maintenance_door
from rcm_lakehouse.pipeline.maintenance import MaintenanceOptions, run_maintenance


def test_F38_X12_a_retention_that_readers_could_feel_is_refused_before_anything_is_touched(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    versions = small.versions()
    files = sorted(small.place("").rglob("*.parquet"))
    with pytest.raises(ConfigError, match="at least 168"):
        run_maintenance(small.home, "local", MaintenanceOptions(retention_hours=1), Console(file=io.StringIO()))
    assert maintenance_door.main(["--home", str(small.home), "--retention-hours", "0"]) == 2
    assert "Nothing was removed." in capsys.readouterr().err
    assert (small.versions(), sorted(small.place("").rglob("*.parquet"))) == (versions, files)


def test_F38_X12_maintenance_leaves_every_row_an_open_reader_and_time_travel_as_they_were(done: Small, wanted: Wanted) -> None:
    small = done
    silver = small.place("silver/patient")
    open_reader = small.spark.read.format("delta").load(str(silver))
    travel = small.spark.read.format("delta").option("versionAsOf", 1).load(str(silver))
    orphan = silver / "part-00000-never-committed.snappy.parquet"
    orphan.write_bytes(b"PAR1")
    said = io.StringIO()
    ended = run_maintenance(small.home, "local", MaintenanceOptions(whole=True), Console(file=said, width=200))
    assert ended.code == 0, said.getvalue()
    statuses = {row.target: row.status for row in ended.logs if row.layer == "maintenance"}
    assert statuses["bronze.hosa_patients"] == "SUCCESS"
    assert "silver.department_tombstones" in statuses
    assert Wanted.of(small) == wanted
    assert open_reader.count() > travel.count() > 0
    # A file of today is kept even when nobody knows it: it may be a running writer's.
    assert orphan.exists()
    again = small.run(day=2)
    assert {row.status for row in again.logs if row.layer in ("silver", "gold")} == {"NOOP"}
    assert small.audit_faults() == []


def test_an_unknown_table_is_refused_by_name(small: Small) -> None:
    with pytest.raises(ConfigError, match=r"'silver\.patients' is no table"):
        run_maintenance(small.home, "local", MaintenanceOptions(only=("silver.patients",)), Console(file=io.StringIO()))
