"""Faults of the machine below a run: its JVM killed, its disk full, its scratch folder gone. Real processes, killed for real."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from pyspark.sql import SparkSession

from faulted import Small, Wanted, at_point, spooled
from harness import Mini
from rcm_lakehouse.drill.project import AS_OF, NOW
from rcm_lakehouse.pipeline import bronze_step

pytestmark = pytest.mark.wide

_RUN = "import sys; from rcm_lakehouse.pipeline.door import main; sys.exit(main(sys.argv[1:]))"
PROJECT = Path(__file__).resolve().parents[2]
_LIMIT = 4 << 20
_LONGEST_SECONDS = 300


def start(home: Path, *, limit: int | None = None) -> "subprocess.Popen[str]":
    """A run of a project as its own process, its lines on stderr; `limit` is the size that no file may pass."""
    submit = "--conf spark.driver.memory=1g pyspark-shell"
    given = {"RCM_TEST_NOW": NOW[2], "RCM_MASTER": "local[2]", "RCM_NAMES": "off", "PYSPARK_SUBMIT_ARGS": submit}
    command = [sys.executable, "-c", _RUN, "--home", str(home), "--as-of", AS_OF]

    def limited() -> None:
        if limit is not None:
            # A disk that is full for every file of this size: the process lives on, its writes fail.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(command, env={**os.environ, **given}, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=limited)


def ended(process: "subprocess.Popen[str]", on_line: Callable[[str], object] = lambda line: None) -> tuple[int, str]:
    """Exit code and everything said, once the process has ended; nothing of its group is left."""
    assert process.stderr is not None
    said = []
    # One that hangs is ended by a signal, which is no exit code of ours.
    watch = Timer(_LONGEST_SECONDS, process.kill)
    watch.start()
    try:
        for line in process.stderr:
            said.append(line)
            on_line(line)
        code = process.wait(timeout=_LONGEST_SECONDS)
    finally:
        watch.cancel()
        for _ in range(100):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.05)
    return code, "".join(said)


def jvm_of(process: "subprocess.Popen[str]") -> int:
    """The process id of the JVM in a run's process group."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == "java" and os.getpgid(int(entry.name)) == process.pid:
                    return int(entry.name)
            except (OSError, ProcessLookupError):
                continue
    raise AssertionError("the run has no JVM")


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="needs /proc to find the JVM of a run")
def test_F02_a_run_whose_jvm_is_killed_fails_and_reports_nothing_that_did_not_commit(waiting: Small, wanted: Wanted) -> None:
    small = waiting
    process = start(small.home)
    killed: list[int] = []

    def kill_at_first_success(line: str) -> None:
        if "bronze:" in line and "SUCCESS" in line and not killed:
            killed.append(jvm_of(process))
            os.kill(killed[0], signal.SIGKILL)

    code, said = ended(process, kill_at_first_success)
    assert killed, said
    assert code == 1, said
    rows = spooled(small)
    run_id = rows[-1]["run_id"]
    ends = [row for row in rows if row["layer"] == "run" and row["run_id"] == run_id]
    assert (ends[-1]["status"], ends[-1]["error_class"]) == ("FAILED", "JavaEndedError")
    assert {row["error_class"] for row in rows if row["status"] == "FAILED"} == {"JavaEndedError"}
    assert "Spark's Java process ended" in said
    commits = {_load_id(path) for path in small.place("bronze").rglob("_delta_log/*.json")}
    for row in rows:
        if row["layer"] == "bronze" and row["status"] == "SUCCESS" and row["rows_written"]:
            assert row["load_id"] in commits
    assert "Traceback" not in said
    again = small.run(day=2)
    assert again.code == 0, again.said
    assert Wanted.of(small) == wanted


@pytest.mark.deep
@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="needs /proc to find the JVM of a run")
def test_F03_a_signal_that_reaches_the_jvm_of_a_spark_submit_alone_ends_the_run_in_order(waiting: Small, wanted: Wanted) -> None:
    submit = [str(Path(sys.executable).parent / "spark-submit"), "--conf", "spark.driver.memory=1g", str(PROJECT / "jobs" / "run_pipeline.py")]
    command = [*submit, "--home", str(waiting.home), "--as-of", AS_OF]
    given = {**os.environ, "RCM_TEST_NOW": NOW[2], "RCM_MASTER": "local[2]"}
    # Under spark-submit the JVM is the parent: what Python says comes through it, on stdout.
    process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    process.stderr = process.stdout
    told: list[str] = []

    def stop_at_first_silver(line: str) -> None:
        if "silver:" in line and not told:
            told.append(line)
            os.kill(process.pid, signal.SIGTERM)

    code, said = ended(process, stop_at_first_silver)
    assert told, said
    assert code == 143, said
    rows = waiting.rows("audit.load_logs", "layer", "status", "run_id")
    last = [row[2] for row in rows if row[:2] == ("run", "CANCELLED")]
    assert len(last) == 1, said
    stopped = {row[1] for row in rows if row[2] == last[0]}
    assert "CANCELLED" in stopped
    assert not stopped & {"FAILED", "ABANDONED"}
    assert "Traceback" not in said
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert Wanted.of(waiting) == wanted


def _load_id(path: Path) -> str | None:
    metadata = json.loads(json.loads(path.read_text().splitlines()[0]).get("commitInfo", {}).get("userMetadata") or "{}")
    return str(metadata["load_id"]) if "load_id" in metadata else None


@pytest.fixture
def large(spark: SparkSession, tmp_path: Path) -> Mini:
    """A load of more than the limit, and a small one beside it."""
    contracts: dict[str, Any] = {
        name: {
            "description": name,
            "grain": "one row",
            "key": ["source_id"],
            "columns": [{"name": "source_id", "type": "string"}, {"name": "text", "type": "string"}],
            "sources": [{"name": "emr", "tables": [table], "columns": {"source_id": "ID", "text": "Txt"}}],
        }
        for name, table in (("large", "large_rows"), ("little", "little_rows"))
    }
    loads = [f"emr,hos-a,{table},Full,,1,hosa" for table in ("large_rows", "little_rows")]
    mini = Mini(spark, tmp_path / "large", loads, own_contracts=contracts)
    mini.connections = {"emr": mini.h2("emr")}
    mini.write()
    # A view keeps the database itself small. Random text cannot be compressed.
    noise = " || ".join(["CAST(RANDOM_UUID() AS VARCHAR)"] * 12)
    mini.sql(
        f"CREATE VIEW large_rows AS SELECT CAST(X AS VARCHAR(20)) AS ID, {noise} AS Txt FROM SYSTEM_RANGE(1, 30000)",
        "CREATE TABLE little_rows (ID VARCHAR(20), Txt VARCHAR(20))",
        "INSERT INTO little_rows VALUES ('1', 'one')",
        database="emr",
    )
    return mini


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits on file sizes work otherwise elsewhere")
def test_F04_a_full_disk_fails_its_load_clearly_leaves_the_table_and_lets_the_others_go_on(large: Mini) -> None:
    code, said = ended(start(large.home, limit=_LIMIT))
    assert code == 1, said
    told = " ".join(said.split())
    assert "a disk is full" in told
    assert "Free space and run again." in told
    logged = large.rows("audit.load_logs", "status", "error_class", where="layer = 'bronze' AND tablename = 'large_rows'")
    assert logged == [("FAILED", "StorageFullError")]
    assert large.frame("bronze.hosa_large_rows").count() == 0
    assert large.rows("silver.little", "source_id") == [("1",)]
    again = large.run(now=NOW[2])
    assert again.code == 0, again.said
    assert large.frame("silver.large").count() == 30_000


@pytest.mark.slow
def test_F34_a_run_that_runs_out_of_memory_reports_nothing_it_did_not_commit_and_the_next_one_finishes(large: Mini) -> None:
    # The source gathers more than the heap holds, inside the run's own JVM.
    large.sql(
        "DROP VIEW large_rows",
        "CREATE VIEW large_rows AS SELECT '1' AS ID, SUBSTRING(LISTAGG(CAST(X AS VARCHAR(20))), 1, 9) AS Txt FROM SYSTEM_RANGE(1, 200000000)",
        database="emr",
    )
    code, said = ended(start(large.home))
    # It ends by itself: a JVM without memory may else wait for ever.
    assert code == 1, said
    assert "it was killed, or ran out of memory" in said
    assert large.frame("bronze.hosa_little_rows").count() in (0, 1)
    large.sql("DROP VIEW large_rows", "CREATE VIEW large_rows AS SELECT '1' AS ID, 'one' AS Txt FROM SYSTEM_RANGE(1, 1)", database="emr")
    again = large.run(now=NOW[2])
    assert again.code == 0, again.said
    for entity in ("large", "little"):
        assert large.rows(f"silver.{entity}", "source_id") == [("1",)]
    succeeded = "status = 'SUCCESS' AND layer = 'bronze' AND rows_written > 0"
    assert large.rows("audit.load_logs", "tablename", where=succeeded) == [("large_rows",), ("little_rows",)]


@pytest.mark.slow
def test_F42_a_scratch_folder_that_vanishes_fails_the_run_and_the_next_one_is_clean(waiting: Small, wanted: Wanted) -> None:
    jvm = waiting.spark._jvm
    assert jvm is not None
    (scratch,) = (Path(str(folder)) for folder in jvm.org.apache.spark.SparkEnv.get().blockManager().diskBlockManager().localDirs())
    away = scratch.with_name(f"{scratch.name}-away")

    def vanish() -> None:
        scratch.rename(away)
        scratch.write_text("")

    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, bronze_step, "P6", "hos-a.charges", vanish)
        try:
            failed = waiting.run(day=2)
        finally:
            scratch.unlink()
            away.rename(scratch)
    assert failed.code == 1
    assert [row.status for row in failed.logs if row.layer == "run"] == ["FAILED"]
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert Wanted.of(waiting) == wanted


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_F05_a_commit_that_cannot_be_written_fails_whole_and_a_checkpoint_that_cannot_is_ignored(
    waiting: Small, wanted: Wanted, caplog: pytest.LogCaptureFixture
) -> None:
    # From the moment the commit is there the JVM can write no byte, until its append is over.
    charges = waiting.place("bronze/hosa/charges")
    waiting.spark.newSession().sql(f"ALTER TABLE delta.`{charges}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
    version = waiting.versions()["bronze/hosa/charges"] + 1
    commit, checkpoint = (charges / "_delta_log" / f"{version:020d}.{end}" for end in ("json", "checkpoint.parquet"))
    assert waiting.spark._jvm is not None
    jvm = int(waiting.spark._jvm.java.lang.ProcessHandle.current().pid())
    before = resource.prlimit(jvm, resource.RLIMIT_FSIZE)

    def fill_the_disk() -> None:
        until = time.monotonic() + _LONGEST_SECONDS
        while not commit.exists() and time.monotonic() < until:
            time.sleep(0.0005)
        resource.prlimit(jvm, resource.RLIMIT_FSIZE, (0, before[1]))

    filling = Thread(target=fill_the_disk)
    # A file stands where the log of another table belongs; its commit fails, the table is as before.
    log = waiting.place("bronze/hosa/patients/_delta_log")
    passed: list[tuple[str, str]] = []

    def at(name: str, of: str = "") -> None:
        passed.append((name, of))
        if (name, of) == ("P5", "hos-a.charges"):
            filling.start()
        elif (name, of) == ("P6", "hos-a.charges"):
            filling.join()
            resource.prlimit(jvm, resource.RLIMIT_FSIZE, before)
            assert not checkpoint.exists()
        elif (name, of) == ("P5", "hos-a.patients"):
            log.rename(log.with_name("_away"))
            log.write_text("")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bronze_step, "crash_point", at)
        try:
            failed = waiting.run(day=2, threads=1)
        finally:
            resource.prlimit(jvm, resource.RLIMIT_FSIZE, before)
    assert {("P5", "hos-a.charges"), ("P6", "hos-a.charges"), ("P5", "hos-a.patients")} <= set(passed)
    assert failed.code == 1
    assert failed.log("bronze", "hosa_charges").status == "SUCCESS"
    told = f"bronze.hosa_charges: version {version} is committed, but what follows a commit (statistics, a checkpoint, compaction) failed"
    assert told in caplog.messages
    assert next(row for row in failed.logs if row.tablename == "patients" and row.layer == "bronze").status == "FAILED"
    log.unlink()
    log.with_name("_away").rename(log)
    again = waiting.run(day=2)
    assert again.code == 0, again.said
    assert waiting.all_rows() == wanted.rows
