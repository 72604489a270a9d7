"""A source table of two million rows, read in parts by spark-submit with a heap of 2 GiB (`make soak`)."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from harness import HEADER, PROJECT, SETTINGS
from servers import Server, connection_to

ROWS = 2_000_000
TABLE = """
CREATE TABLE transactions (
  TransactionID VARCHAR(20) PRIMARY KEY, EncounterID VARCHAR(20), PatientID VARCHAR(20), ProviderID VARCHAR(20), DeptID VARCHAR(20), VisitDate DATE,
  ServiceDate DATE, PaidDate DATE, VisitType VARCHAR(20), Amount FLOAT, AmountType VARCHAR(20), PaidAmount FLOAT, ClaimID VARCHAR(20), PayorID VARCHAR(20),
  ProcedureCode INT, ICDCode VARCHAR(20), LineOfBusiness VARCHAR(20), MedicaidID VARCHAR(20), MedicareID VARCHAR(20), InsertDate DATE, ModifiedDate DATE,
  RowNumber INT, KEY (RowNumber), KEY (ModifiedDate));
INSERT INTO transactions SELECT CONCAT('TRANS', LPAD(seq, 9, '0')), CONCAT('ENC', seq DIV 2), CONCAT('HOSP1-', seq % 100000), CONCAT('PROV', seq % 500),
  CONCAT('DEPT', seq % 20), DATE '2024-01-01' + INTERVAL seq % 500 DAY, DATE '2024-01-02' + INTERVAL seq % 500 DAY, NULL, 'Routine', seq % 100000 / 100,
  'Insurance', seq % 50000 / 100, NULL, 'Medicare', 99213, 'E11.9', 'Commercial', 'MEDI1', 'MCARE1', DATE '2024-01-03' + INTERVAL seq % 500 DAY,
  DATE '2024-01-03' + INTERVAL seq % 500 DAY, IF(seq % 1000 = 0, NULL, seq) FROM seq_1_to_2000000;
"""


@pytest.fixture
def big(mariadb_server: Server) -> Server:
    """The server with the big table."""
    if mariadb_server.execute("SHOW DATABASES LIKE 'big';") == "":
        mariadb_server.make_database("big")
        # The client's own limit of a minute is too short for the insert.
        command, environment = mariadb_server.client("big")
        subprocess.run(command, input=TABLE, env={**os.environ, **environment}, text=True, check=True)
    return mariadb_server


def write_project(server: Server, home: Path, options: dict[str, object]) -> None:
    connections = {"emr": connection_to(server, "big", home, tables={"transactions": options}, query_timeout_seconds=600)}
    for folder in ("conf/cdm", "jobs"):
        shutil.copytree(PROJECT / folder, home / folder, dirs_exist_ok=True)
    (home / "conf" / "connections.yml").write_text(yaml.safe_dump(connections))
    (home / "conf" / "lakehouse.yml").write_text(yaml.safe_dump(SETTINGS))
    (home / "load_config.csv").write_text(f"{HEADER}\nemr,hos-a,dbo.transactions,Incremental,ModifiedDate,1,hosa\n")


def load(server: Server, home: Path, heap: str) -> "subprocess.CompletedProcess[str]":
    """Bronze by a bare spark-submit with a heap of this size."""
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(PROJECT / "lib")}
    job = [str(bin_folder / "spark-submit"), "--driver-memory", heap, "jobs/run_pipeline.py", "--layers", "bronze"]
    done = subprocess.run(job, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert server.password not in done.stdout + done.stderr
    return done


def check_bronze(server: Server, spark: SparkSession, home: Path) -> None:
    """Every row once, and its cents."""
    rows = spark.read.format("delta").load(str(home / "lakehouse" / "bronze" / "hosa" / "transactions"))
    amount = F.sum("Amount").cast("decimal(20,2)").cast("string")
    counts = rows.agg(F.count(F.lit(1)), F.count_distinct("TransactionID"), amount).first()
    assert counts is not None
    assert tuple(counts)[:2] == (ROWS, ROWS)
    assert counts[2] == server.execute("SELECT CAST(SUM(Amount + 0e0) AS DECIMAL(20,2)) FROM transactions;", "big").strip()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("parts", [1, 4])
def test_two_million_rows_load_in_a_heap_of_two_gibibytes(parts: int, big: Server, spark: SparkSession, tmp_path: Path) -> None:
    write_project(big, tmp_path, {"partitions": parts, "partition_column": "RowNumber"} if parts > 1 else {})
    done = load(big, tmp_path, "2g")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    check_bronze(big, spark, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_F34_a_load_that_is_out_of_memory_commits_nothing_and_a_smaller_fetch_finishes_it(big: Server, spark: SparkSession, tmp_path: Path) -> None:
    # Both parts at once are the whole table in memory.
    write_project(big, tmp_path, {"fetch_size": 1_000_000, "partitions": 2, "partition_column": "RowNumber"})
    died = load(big, tmp_path, "600m")
    assert "java.lang.OutOfMemoryError" in died.stdout + died.stderr
    assert died.returncode == -signal.SIGKILL, "Java, which a bare spark-submit is, ends itself"
    assert "SUCCESS" not in died.stdout
    logs = list((tmp_path / "lakehouse" / "bronze" / "hosa" / "transactions" / "_delta_log").glob("*.json"))
    assert not [log for log in logs if '"add"' in log.read_text()]
    write_project(big, tmp_path, {"fetch_size": 10_000})
    done = load(big, tmp_path, "2g")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    check_bronze(big, spark, tmp_path)
