"""Lakehouses prepared once and copied for each kill, the clean runs they are compared with, and the run after the kill."""

import io
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.load import load_settings
from rcm_lakehouse.drill.cases import PHASES, Case, Phase
from rcm_lakehouse.drill.compare import Rows, audit_faults, audit_sums, differences, rows_of
from rcm_lakehouse.drill.killing import Killed, run_job
from rcm_lakehouse.drill.project import AS_OF, NOW, bring_day, write_project
from rcm_lakehouse.lake.salt import ensure_salt
from rcm_lakehouse.lake.session import LOCAL_CONF, get_session
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.closing import SIGNALS
from rcm_lakehouse.pipeline.context import TEST_NOW, RunOptions
from rcm_lakehouse.pipeline.runner import Finished, run_pipeline

DAY: dict[Phase, int] = {"first": 1, "incremental": 2, "replay": 2}
_JAVA = "spark.driver.extraJavaOptions"


class DrillError(Exception):
    """The drill itself could not be prepared; it says nothing about the lakehouse."""


class DrillStoppedError(Exception):
    """The drill was asked to end: what was being judged says nothing about the lakehouse, and is not kept. `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__("the drill was stopped by a signal")
        self.code = code


@dataclass(frozen=True)
class Clean:
    """What one clean run over the same input leaves."""

    rows: Rows
    sums: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """A kill and what came of it; no fault means that every table equals the clean run's."""

    case: Case
    killed: Killed
    again_seconds: float
    tables: int
    rows: int
    faults: tuple[str, ...]


class Stages:
    """The prepared lakehouses below one folder. The caller's process makes the clean runs and the runs after a kill."""

    def __init__(self, folder: Path, archive: Path | None = None) -> None:
        self.folder = folder
        self.archive = archive
        self.clean: dict[Phase, Clean] = {}
        self.run_seconds: dict[Phase, float] = {}

    def stage(self, phase: Phase) -> Path:
        """The state in which a phase's run begins."""
        return self.folder / "stage" / phase

    def _start_of(self, case: Case) -> Path:
        # Maintenance of a lakehouse without tables would be nothing: in the first phase it comes after the first run.
        return self.folder / "clean-first" if (case.door, case.phase) == ("maintain", "first") else self.stage(case.phase)

    def prepare(self) -> None:
        """Make the stages and the clean runs. All share one salt, so that pseudonyms can be compared.

        Raises DrillError when a clean run does not end well.
        """
        first, second = self.stage("first"), self.stage("incremental")
        first.mkdir(parents=True)
        write_project(first)
        bring_day(first, 1)
        ensure_salt(lake_at(first))
        done = self._clean_run("first", first)
        shutil.copytree(done, second)
        bring_day(second, 2)
        self._clean_run("incremental", second)
        self.clean["replay"] = self.clean["incremental"]

    def prepare_replay(self) -> None:
        """The second day's run killed when its first table, and no other, had reached bronze: what a replaying run finds."""
        home = self.stage("replay")
        shutil.copytree(self.stage("incremental"), home)
        killed = run_job(home, self.environment("replay"), Case("P6", "replay", at="P6:hos-a.patients"), threads=1)
        if not killed.was_killed:
            raise DrillError(f"the run that prepares the replay was not killed but ended with {killed.code}; see {home}")

    def make_archive(self) -> None:
        """A whole first run as its own process, whose loaded classes make the next starts faster."""
        self._whole_run("first", making=True)

    def measure(self) -> None:
        """How long each phase's run takes as its own process while this process runs others again, as it does between kills."""
        for phase in PHASES:
            with ThreadPoolExecutor(max_workers=1) as pool:
                whole = pool.submit(self._whole_run, phase)
                for number in itertools.count():
                    beside = self._copy(self.stage(phase), f"beside-{phase}-{number}")
                    run_again(beside, phase)
                    shutil.rmtree(beside)
                    if whole.done():
                        break
                self.run_seconds[phase] = whole.result()

    def _whole_run(self, phase: Phase, *, making: bool = False) -> float:
        home = self._copy(self.stage(phase), f"whole-{phase}")
        ended = run_job(home, self.environment(phase, making=making))
        if ended.code != 0:
            raise DrillError(f"a run without a kill ended with {ended.code}; see {home}")
        shutil.rmtree(home)
        return ended.seconds

    def environment(self, phase: Phase, *, making: bool = False, checkpoints: bool = False) -> dict[str, str]:
        """Variables of a job that is to be killed: the day's clock, two cores, small heap; `checkpoints`: new tables write one with each commit."""
        java = [LOCAL_CONF[_JAVA]]
        if self.archive is not None and making:
            java += [f"-XX:ArchiveClassesAtExit={self.archive}"]
        elif self.archive is not None and self.archive.exists():
            java += [f"-XX:SharedArchiveFile={self.archive}", "-Xshare:auto"]
        confs = ["spark.driver.memory=1g", f"{_JAVA}={' '.join(java)}"]
        confs += ["spark.databricks.delta.properties.defaults.checkpointInterval=1"] if checkpoints else []
        submit = " ".join(f'--conf "{conf}"' for conf in confs)
        # Java shares classes between processes only while the folder of Spark's settings, which is on its class path, is empty.
        settings = self.folder / "no-settings"
        settings.mkdir(exist_ok=True)
        spark = {"RCM_MASTER": "local[2]", "SPARK_CONF_DIR": str(settings), "PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell"}
        return {TEST_NOW: NOW[DAY[phase]], "RCM_NAMES": "off", **spark}

    def kill(self, case: Case, number: int) -> tuple[Path, Killed]:
        """A copy of the phase's stage with a job killed in it."""
        home = self._copy(self._start_of(case), f"case-{number}")
        checkpoints = case.name == "P14"
        if checkpoints and case.phase != "first":
            _checkpoint_each_commit(home)
        return home, run_job(home, self.environment(case.phase, checkpoints=checkpoints), case, case.door)

    def judge(self, case: Case, home: Path, killed: Killed) -> Verdict:
        """Run again, in this process, and compare with the clean run.

        Raises DrillStoppedError when a signal to the drill ended that run.
        """
        began = time.monotonic()
        ended = run_again(home, case.phase)
        if ended.code in SIGNALS.values():
            raise DrillStoppedError(ended.code)
        seconds = time.monotonic() - began
        faults = [] if ended.code == 0 else [f"the run after the kill ended with {ended.code}"]
        lake = lake_at(home)
        found, clean = rows_of(lake), self.clean[case.phase]
        sums = audit_sums(lake)
        faults += differences(found, clean.rows) + audit_faults(lake)
        faults += [f"audit: {name} counts {sums.get(name)}, a clean run {wanted}" for name, wanted in clean.sums.items() if sums.get(name) != wanted]
        if not killed.was_killed and case.after is None:
            faults.append(f"the point was not reached (exit {killed.code})")
        return Verdict(case, killed, seconds, len(found), sum(rows.total() for rows in found.values()), tuple(faults))

    def _copy(self, stage: Path, name: str) -> Path:
        home = self.folder / name
        shutil.copytree(stage, home)
        return home

    def _clean_run(self, phase: Phase, stage: Path) -> Path:
        home = self._copy(stage, f"clean-{phase}")
        ended = run_again(home, phase)
        if ended.code != 0:
            raise DrillError(f"the clean {phase} run ended with {ended.code}; see {home}")
        lake = lake_at(home)
        self.clean[phase] = Clean(rows_of(lake), audit_sums(lake))
        empty = sorted(name for name, rows in self.clean[phase].rows.items() if not rows and name.startswith(("bronze.", "gold.")))
        if empty:
            raise DrillError(f"the clean {phase} run left {', '.join(empty)} without a row: there would be nothing to compare")
        return home


def _checkpoint_each_commit(home: Path) -> None:
    """Let the patients' table, which is there already, write a checkpoint with each commit."""
    lake = lake_at(home)
    place = lake.location(layer_table("silver", "patient"))
    lake.spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")


def lake_at(home: Path) -> Lake:
    """The lakehouse of a project of the drill, in a session of its own in this process."""
    settings = load_settings(home)
    return Lake(get_session(settings, home, is_long=True), settings, home).for_thread()


def run_again(home: Path, phase: Phase) -> Finished:
    """One whole run in this process with the phase's clock; what it says is kept beside the project's files."""
    said = io.StringIO()
    with _clock_of(phase):
        ended = run_pipeline(home, "local", RunOptions(as_of=date.fromisoformat(AS_OF)), Console(file=said, emoji=False, width=200))
    with (home / "again.log").open("a", encoding="utf-8") as log:
        log.write(said.getvalue())
    return ended


@contextmanager
def _clock_of(phase: Phase) -> Iterator[None]:
    before = os.environ.get(TEST_NOW)
    os.environ[TEST_NOW] = NOW[DAY[phase]]
    try:
        yield
    finally:
        if before is None:
            del os.environ[TEST_NOW]
        else:
            os.environ[TEST_NOW] = before
