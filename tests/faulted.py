"""A small project for faults: patients and charges read by watermark, departments as snapshots, two gold models."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from harness import Ended, Mini
from rcm_lakehouse.drill.compare import Rows, audit_faults, audit_sums, rows_of
from rcm_lakehouse.drill.project import AS_OF, CONTRACTS, MODELS, NOW, SCRIPTS

LOADS = [
    "hospital-a,hos-a,patients,Incremental,ModifiedDate,1,hosa",
    "hospital-a,hos-a,charges,Incremental,ModifiedDate,1,hosa",
    "hospital-a,hos-a,departments,Full,,1,hosa",
]
ENTITIES = ("patient", "charge", "department")


class Small(Mini):
    """The lakehouse of one hospital; a copy of it has the same rows and its own sources."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        own = {name: {key: value for key, value in yaml.safe_load(CONTRACTS[name]).items() if key != "entity"} for name in ENTITIES}
        super().__init__(spark, home, LOADS, own_contracts=own)
        self.connections = {"hospital-a": {**self.h2(), "time_zone": "America/New_York"}}
        self.settings = {**self.settings, "default": {**self.settings["default"], "quality": {"max_bad_share": 0.5}}}
        self.write()

    def write(self) -> None:
        """The configuration with the project's own gold models."""
        super().write()
        for name, text in MODELS.items():
            (self.home / "conf" / "gold" / f"{name}.sql").write_text(text)

    def first_day(self) -> None:
        """Rows as the first day leaves them."""
        self.sql(*SCRIPTS[1][0])

    def second_day(self) -> None:
        """Changes, new and late rows, deletes and bad rows of the second day."""
        self.sql(*SCRIPTS[2][0])

    def run(self, monkeypatch: Any = None, *, day: int = 1, **options: Any) -> Ended:  # type: ignore[override]
        """A run with the clock of a day."""
        return super().run(monkeypatch, now=NOW[day], as_of=AS_OF, **options)

    def copied(self, home: Path) -> "Small":
        """A copy at another place, its embedded databases included."""
        home.mkdir(parents=True)
        for name in ("lakehouse", "db"):
            shutil.copytree(self.home / name, home / name)
        return Small(self.spark, home)

    def all_rows(self) -> Rows:
        """Every row of every table but the audit's, without volatile columns."""
        return rows_of(self.lake)

    def counted(self) -> dict[str, str]:
        """Source rows as the audit counts them."""
        return audit_sums(self.lake)

    def audit_faults(self) -> list[str]:
        """Broken promises of the audit."""
        lake = self.lake
        for name in ("load_logs", "runs"):
            self.frame(f"audit.{name}")
        return audit_faults(lake)

    def place(self, name: str) -> Path:
        """The folder of a table: `bronze/hosa/patients`, `silver/patient`."""
        return self.home / "lakehouse" / name

    def versions(self) -> dict[str, int]:
        """The newest version of every table but the audit's."""
        root = self.home / "lakehouse"
        logs = [path for path in root.rglob("_delta_log") if path.is_dir() and path.relative_to(root).parts[0] != "audit"]
        return {str(log.parent.relative_to(root)): max((int(path.stem) for path in log.glob("*.json")), default=-1) for log in logs}


@dataclass(frozen=True)
class Wanted:
    """What a lakehouse holds: every row, and the source rows that its audit counts."""

    rows: Rows
    counted: dict[str, str]

    @staticmethod
    def of(small: Small) -> "Wanted":
        """What it holds now; an audit that breaks a promise is refused."""
        assert small.audit_faults() == []
        return Wanted(small.all_rows(), small.counted())


def at_point(monkeypatch: Any, module: Any, point: str, label: str, act: Callable[[], object], *, times: int = 1) -> list[int]:
    """Let `act` happen at a named point of a module, the first `times` times it is passed; the returned list counts the passes."""
    passed: list[int] = []

    def watched(name: str, of: str = "") -> None:
        if (name, of) == (point, label):
            passed.append(1)
            if len(passed) <= times:
                act()

    monkeypatch.setattr(module, "crash_point", watched)
    return passed


@contextmanager
def dying(module: Any, point: str, label: str) -> Iterator[None]:
    """Let what passes a named point of a module for the first time die there."""

    def die() -> None:
        raise RuntimeError(f"killed at {point}")

    with pytest.MonkeyPatch.context() as patch:
        at_point(patch, module, point, label, die)
        yield


def spooled(small: Small) -> list[dict[str, Any]]:
    """Rows that wait in the audit's spool."""
    files = sorted((small.place("audit") / "_spool").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines() if line]
