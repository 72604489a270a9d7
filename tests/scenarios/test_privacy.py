"""A person with a unique name, SSN, phone and birth date goes through two days, a failing rule, a failing cast, a failing MERGE and a crash.

Q28: they are found in no log, error, audit row, plan, Delta statistic, report or gold table.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import PROJECT
from privacy_runs import project
from rcm_lakehouse.demo import canary

TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the lakehouse and all that both processes wrote to their outputs."""
    home = tmp_path_factory.mktemp("privacy")
    said = ""
    for part in ("first", "second"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(PROJECT / "lib")])}
        done = subprocess.run(
            [sys.executable, str(TESTS / "privacy_runs.py"), str(home), part], env=environment, cwd=home, capture_output=True, text=True, check=False
        )
        said += f"{done.stdout}\n{done.stderr}\n== {part} ended with {done.returncode}\n"
    return home, said


def found_in(text: str) -> list[str]:
    """Needles of the person that a text holds, in any case."""
    lower = text.lower()
    return [needle for needle in canary.NEEDLES if needle.lower() in lower]


def test_Q28_the_runs_failed_and_died_as_meant(told: tuple[Path, str]) -> None:
    _, said = told
    assert "== day 1: exit 0" in said, said[-20000:]
    assert "== a failing MERGE: exit 1" in said, said[-20000:]
    assert "== first ended with 137" in said
    assert "== after the crash: exit 0" in said


def test_Q28_no_output_names_the_person(told: tuple[Path, str]) -> None:
    assert found_in(told[1]) == []


def test_Q28_no_plan_of_the_event_log_names_the_person(told: tuple[Path, str]) -> None:
    logs = [path for path in (told[0] / "events").rglob("*") if path.is_file() and not path.name.endswith(".crc")]
    assert sum(path.stat().st_size for path in logs) > 100_000, "the event log is there and holds plans"
    assert {path.name: found for path in logs if (found := found_in(path.read_text(errors="replace")))} == {}


def test_Q28_no_delta_log_names_the_person(spark: SparkSession, told: tuple[Path, str]) -> None:
    logs = [path for path in (told[0] / "lakehouse").rglob("_delta_log/*") if path.suffix in (".json", ".crc")]
    assert len(logs) > 20
    assert {str(path.relative_to(told[0])): found for path in logs if (found := found_in(path.read_text(errors="replace")))} == {}


def test_Q28_gold_and_audit_do_not_name_the_person_and_silver_does(spark: SparkSession, told: tuple[Path, str]) -> None:
    mini = project(spark, told[0])
    shown = {}
    for name in ("gold.dim_patient", "audit.load_logs", "audit.runs", "silver.patient", "quarantine.patient"):
        rows = [json.dumps(row.asDict(recursive=True), default=str) for row in mini.frame(name).collect()]
        assert rows, name
        shown[name] = bool(found_in("\n".join(rows)))
    # The needles are real: the restricted tables hold them.
    assert shown == {"gold.dim_patient": False, "audit.load_logs": False, "audit.runs": False, "silver.patient": True, "quarantine.patient": True}
    spools = list((told[0] / "lakehouse").rglob("*.jsonl"))
    assert {path.name: found for path in spools if (found := found_in(path.read_text()))} == {}
