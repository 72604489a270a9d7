"""Tables by schema and name in any process, without a server."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from rcm_lakehouse.config.load import load_settings
from rcm_lakehouse.lake.install import HOME_CONF, install_hook, install_profile
from rcm_lakehouse.lake.names import name_for_readers, register_all
from rcm_lakehouse.lake.sql_shell import main as start_file
from rcm_lakehouse.lake.sql_shell import write_start_file
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.silver.schema import QUARANTINE

PROJECT = Path(__file__).resolve().parents[2]
# What a notebook or script of someone else does; the two wait for each other, so that both have the lakehouse open at once.
READER = """
import json, sys, time
from pathlib import Path
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
me, other, counts = sys.argv[1:4]
Path(me).touch()
deadline = time.monotonic() + 120
while not Path(other).exists() and time.monotonic() < deadline:
    time.sleep(0.1)
names = [f"{schema}.{table.tableName}" for schema in json.loads(counts) for table in spark.sql(f"SHOW TABLES IN {schema}").collect()]
again = SparkSession.builder.getOrCreate().newSession()
print(json.dumps({
    "together": Path(other).exists(),
    "names": sorted(names),
    "rows": spark.table("gold.claims_by_name").count(),
    "joined": again.sql("SELECT count(*) FROM bronze.hosa_patients JOIN silver.patient USING (id)").first()[0],
    "status": [row.status for row in spark.sql("SELECT status FROM quarantine.patient_rows").collect()],
}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """A project with four good tables, one that never came to its first commit, and one whose log is torn."""
    home = tmp_path_factory.mktemp("a project")
    (home / "conf").mkdir()
    (home / "conf" / "lakehouse.yml").write_text("default: {}\nlocal: {root: lakehouse}\n")
    shutil.copytree(PROJECT / "conf" / "spark", home / "conf" / "spark")
    root = home / "lakehouse"
    for path, rows in (("bronze/hosa/patients", 4), ("silver/patient", 3), ("gold/claims_by_name", 2)):
        spark.range(rows).coalesce(1).write.format("delta").save(str(root / path))
    event = {"quarantine_id": "q1", "event": "seen", "data_source": "hos-a", "_source_table": "bronze.hosa_patients"}
    rows = spark.createDataFrame([tuple(event.get(name) for name in QUARANTINE.names)], QUARANTINE)
    rows.write.format("delta").save(str(root / "quarantine" / "patient"))
    (root / "gold" / "broken_off" / "_delta_log").mkdir(parents=True)
    torn = root / "gold" / "torn" / "_delta_log" / f"{0:020d}.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"commitInfo":{"timest')
    return home


def read_at_once(home: Path, tmp_path: Path, scripts: int, **environment: str) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of plain Python processes that read at the same time."""
    install_profile(home, tmp_path / "spark conf")
    install_hook(tmp_path)
    start = f"import site; site.addsitedir({str(tmp_path)!r})\n"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_", "RCM_"))}
    env = {**clean, "SPARK_CONF_DIR": str(tmp_path / "spark conf"), **environment}
    marks = [str(tmp_path / f"reader-{number}") for number in range(scripts)]
    schemas = json.dumps(["audit", "bronze", "gold", "quarantine", "silver"])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", start + READER, mark, marks[number - 1], schemas],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=tmp_path,
        )
        for number, mark in enumerate(marks)
    ]
    done = [(process, *process.communicate(timeout=240)) for process in started]
    return [(process.returncode, out, err) for process, out, err in done]


def test_two_plain_processes_at_once_know_every_table_by_name(home: Path, tmp_path: Path) -> None:
    done = read_at_once(home, tmp_path, 2)
    assert [code for code, _, _ in done] == [0, 0], done
    expected = {
        "together": True,
        "names": ["bronze.hosa_patients", "gold.claims_by_name", "quarantine.patient", "quarantine.patient_rows", "silver.patient"],
        "rows": 2,
        "joined": 3,
        "status": ["open"],
    }
    assert [json.loads(out.splitlines()[-1]) for _, out, _ in done] == [expected, expected]
    for _, _, err in done:
        assert [line for line in err.splitlines() if "incubator" not in line and "gold.torn at gold/torn" not in line] == []
    assert not any((tmp_path / name).exists() for name in ("spark-warehouse", "metastore_db", "derby.log"))


def sql_shell(home: Path, tmp_path: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Spark's own SQL shell, which runs no Python, with the installed profile."""
    install_profile(home, tmp_path / "conf")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_", "RCM_", "HIVE_"))}
    env = {**clean, "SPARK_CONF_DIR": str(tmp_path / "conf"), **environment}
    program = Path(pyspark.__file__).parent / "bin" / "spark-sql"
    return subprocess.run([str(program), "-e", script], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=240)


@pytest.mark.wide
def test_the_sql_shell_knows_every_table_by_name(home: Path, tmp_path: Path) -> None:
    script = """
        SELECT concat('rows ', count(*)) FROM gold.claims_by_name;
        SELECT concat('joined ', count(*)) FROM bronze.hosa_patients JOIN silver.patient USING (id);
        SELECT concat('status ', status) FROM quarantine.patient_rows"""
    done = sql_shell(home, tmp_path, script)
    assert (done.returncode, done.stdout.split("\n")) == (0, ["rows 2", "joined 3", "status open", ""]), done.stderr
    said = [line for line in done.stderr.splitlines() if line and not line.startswith(("Time taken", "Spark master", "WARNING: Using incubator"))]
    assert [line.partition(":")[0].partition(" at ")[0] for line in said] == [
        "gold.torn is not known by name",
        "10 statements make the lakehouse's schemas, tables and views known by name (RCM_NAMES=off",
    ]
    assert not any((tmp_path / name).exists() for name in ("spark-warehouse", "metastore_db", "derby.log"))


def test_a_start_file_says_in_one_line_why_there_are_no_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conf").mkdir()
    said = {}
    for text in ("local: {root: nothing_here}\n", "local: {root: s3a://bucket/lake}\n", "local: {rot: lakehouse}\n"):
        (tmp_path / "conf" / "lakehouse.yml").write_text(text)
        code = start_file(["--home", str(tmp_path), "--folder", str(tmp_path / "names")])
        told = capsys.readouterr()
        said[text] = (code, told.out, told.err.count("\n"), any(words in told.err for words in ("none below", "without a catalog", "rot")))
    assert set(said.values()) == {(1, "", 1, True)}, said
    assert not (tmp_path / "names").exists()


@pytest.mark.wide
def test_start_files_of_two_projects_lie_apart_and_where_none_may_be_written_in_a_folder_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    folders = [write_start_file([f"CREATE SCHEMA {name}"], tmp_path / "names") for name in ("a", "b", "a")]
    assert [(folder / ".hiverc").read_text() for folder in folders] == ["CREATE SCHEMA a;\n", "CREATE SCHEMA b;\n", "CREATE SCHEMA a;\n"]
    assert len(set(folders)) == 2
    (tmp_path / "a file").touch()
    private = write_start_file(["CREATE SCHEMA a"], tmp_path / "a file")
    assert private.parent == tmp_path / "temporary" / f"rcm-names-{os.getuid()}"
    assert private.parent.stat().st_mode & 0o777 == 0o700
    private.parent.chmod(0o777)
    assert write_start_file(["CREATE SCHEMA a"], tmp_path / "a file").parent.parent == tmp_path / "temporary"
    assert len(list((tmp_path / "temporary").iterdir())) == 2, "what others may write to is not used"


@pytest.mark.wide
def test_our_own_session_registers_all_when_asked(home: Path, spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    names = register_all(spark, load_settings(home), home)
    assert names == ["bronze.hosa_patients", "silver.patient", "quarantine.patient", "gold.claims_by_name"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["gold.torn at gold/torn is not known by name"]


def test_threads_that_need_a_name_of_another_lakehouse_at_once_all_find_their_own(spark: SparkSession, tmp_path: Path) -> None:
    """A run after another root in one process: its loads meet at the names that the other root left."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "lakehouse.yml").write_text("default: {}\nlocal: {root: lakehouse}\n")
    table = Table("gold", "met_at_once", "gold/met_at_once")
    for number, home in enumerate((tmp_path / "a", tmp_path / "b")):
        spark.range(number + 1).coalesce(1).write.format("delta").save(str(home / "lakehouse" / table.path))

    def count(lake: Lake) -> int:
        assert lake.exists(table)
        return lake.read(table).count()

    for turn in range(4):
        lake = Lake(spark, load_settings(tmp_path), tmp_path / "ab"[turn % 2])
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(count, [lake.for_thread() for _ in range(4)])) == [turn % 2 + 1] * 4


BROKEN = {  # what the settings of the project are: what the one line says
    "the project was moved away": (None, "conf/lakehouse.yml"),
    "no YAML": ("local: {root: [", "conf/lakehouse.yml"),
    "an unknown key": ("local: {rot: lakehouse}\n", "rot"),
    "no such environment": ("default: {}\n", "no environment 'local'"),
    "no tables yet": ("local: {root: nothing_here}\n", "none below nothing_here"),
}


def test_a_session_survives_whatever_is_wrong_with_the_project_and_says_it_in_one_line(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = spark.newSession()
    said = {}
    for case, (text, _) in BROKEN.items():
        home = tmp_path / uuid.uuid4().hex
        if text is not None:
            (home / "conf").mkdir(parents=True)
            (home / "conf" / "lakehouse.yml").write_text(text)
        session.conf.set(HOME_CONF, str(home))
        name_for_readers(session)
        said[case] = capsys.readouterr().err.splitlines()
    assert {case: len(lines) for case, lines in said.items()} == dict.fromkeys(BROKEN, 1)
    assert {case: words for case, (_, words) in BROKEN.items() if words not in said[case][0]} == {}, said
