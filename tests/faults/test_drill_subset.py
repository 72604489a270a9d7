"""A part of the crash drill: three points, killed as real processes, run again and compared with a clean run, row by row."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import at_point
from rcm_lakehouse.drill.cases import Case, grid, random_moments
from rcm_lakehouse.drill.journal import keep, kept
from rcm_lakehouse.drill.killing import Killed
from rcm_lakehouse.drill.stages import Clean, DrillError, DrillStoppedError, Stages, Verdict
from rcm_lakehouse.lake.crash_points import POINTS
from rcm_lakehouse.pipeline import runner

# In this order: bad rows are in quarantine and nothing is merged (X03); a MERGE has written files and not committed (X02); it has committed
# and the audit does not know (X04).
CASES = [
    Case("P8", "first", at="P8:patient"),
    next(case for case in grid() if (case.name, case.phase) == ("P9", "incremental")),
    Case("P10", "incremental", at="P10:charge"),
]


@pytest.fixture(scope="module")
def stages(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    prepared = Stages(tmp_path_factory.mktemp("drill"))
    prepared.prepare()
    return prepared


def test_the_drill_has_every_point_in_every_phase() -> None:
    found = {(case.name, case.phase) for case in grid()}
    assert found == {(point, phase) for point in POINTS for phase in ("first", "incremental", "replay")}
    seconds = {"first": 10.0, "incremental": 20.0, "replay": 30.0}
    moments = random_moments(300, 7, seconds)
    assert moments == random_moments(300, 7, seconds)
    for phase, whole in seconds.items():
        drawn = [case.after for case in moments if case.phase == phase]
        assert len(drawn) == 100
        assert 0 <= min(drawn) < 0.1 * whole, "early in the run"
        assert 0.9 * whole < max(drawn) <= whole, "and late"


def test_a_drill_goes_on_with_what_its_journal_keeps_and_refuses_half_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "drill.jsonl"
    assert kept(journal) == {}
    made = [
        Verdict(grid()[0], Killed(7.5, 137, True), 12.0, 20, 599, ()),
        Verdict(random_moments(1, 7, {"first": 20.0})[0], Killed(3.25, -9, True), 12.0, 20, 599, ("gold.x: 1 rows missing, 0 too many",)),
    ]
    for verdict in made:
        keep(journal, verdict)
    assert list(kept(journal).values()) == made
    journal.write_text(journal.read_text()[:-20])
    with pytest.raises(DrillError, match=r"is no journal of a drill"):
        kept(journal)


def test_a_signal_to_the_drill_is_no_fault_of_the_lakehouse(stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(stages.stage("first"), home)
    at_point(monkeypatch, runner, "P1", "", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(DrillStoppedError) as stopped:
        stages.judge(grid()[0], home, Killed(7.5, 137, True))
    assert stopped.value.code == 143


def test_clean_runs_hold_something_of_everything_to_compare(stages: Stages) -> None:
    second = stages.clean["incremental"].rows
    assert {name for name, rows in second.items() if not rows} <= {"silver.patient_tombstones", "silver.claim_tombstones", "quarantine.department"}
    assert stages.clean["first"].rows != stages.clean["incremental"].rows


def test_clean_runs_take_rows_that_waited_and_a_file_that_is_delivered_again(stages: Stages) -> None:
    waiting, corrected = {"K910", "K911", "K950"}, {"K009", "K900", "K901"}
    current = {phase: _current_claims(stages.clean[phase]) for phase in ("first", "incremental")}
    assert not waiting & set(current["first"]), "their patients come with the second day"
    assert waiting <= set(current["incremental"])
    assert {claim: current["incremental"][claim] for claim in corrected} == {"K009": 59.5, "K900": 1.0, "K901": 3.0}
    assert (current["first"]["K009"], current["incremental"]["K012"]) == (59.0, 62.0), "a row that went wrong leaves what was"


def _current_claims(clean: Clean) -> dict[str, float]:
    rows = map(json.loads, clean.rows["silver.claim"])
    return {row["source_claim_id"]: row["billed_amount"] for row in rows if row["is_current"]}


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.name}-{case.phase}" for case in CASES])
def test_F01_X02_X03_X04_a_killed_run_run_again_gives_the_tables_of_a_clean_run(stages: Stages, number: int) -> None:
    case = CASES[number]
    home, killed = stages.kill(case, number)
    assert killed.was_killed
    assert stages.judge(case, home, killed).faults == ()
