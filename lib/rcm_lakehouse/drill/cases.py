"""What the drill kills, where and how: P0 to P16 in three phases, and random moments."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rcm_lakehouse.lake.crash_points import POINTS

Phase = Literal["first", "incremental", "replay"]
Door = Literal["run", "maintain"]
PHASES: tuple[Phase, ...] = ("first", "incremental", "replay")


@dataclass(frozen=True)
class Case:
    """One kill. Exactly one of `at` (a named point), `sight` (a file that appears, relative to the project) and `after` (seconds) is set.

    Phases: `first` kills the first run of all; `incremental` that of the second day; `replay` the run that takes up the work of a
    run which was itself killed. `door` is the job that is killed.
    """

    name: str
    phase: Phase
    at: str | None = None
    sight: str | None = None
    after: float | None = None
    door: Door = "run"

    @property
    def how(self) -> str:
        """The kill in words."""
        if self.after is not None:
            return f"SIGKILL after {self.after:.1f} s"
        if self.sight is not None:
            return f"SIGKILL when {self.sight.removeprefix('lakehouse/')} appears"
        return f"exit 137 at {self.at}" + (" of maintenance" if self.door == "maintain" else "")

    @property
    def meaning(self) -> str:
        """What the point is."""
        return POINTS.get(self.name, "a random moment")


_READING = "lakehouse/_scratch/*/bronze/hosa_charges/_temporary/0/_temporary/*"
_APPENDING = "lakehouse/bronze/hosa/charges/*.parquet"
_MERGING = "lakehouse/silver/patient/*.parquet"
_REPLACING = "lakehouse/gold/fact_charges/*.parquet"
_CHECKPOINT = "lakehouse/silver/patient/_delta_log/*checkpoint*"

# By point: the kill in the first, the incremental and the replaying run. A name with / is a file to wait for.
_GRID: dict[str, tuple[str, str, str]] = {
    "P0": ("P0", "P0", "P0"),
    "P1": ("P1", "P1", "P1"),
    "P2": ("P2", "P2", "P2"),
    "P3": ("P3:hos-a.patients", "P3:hos-a.charges", "P3:hos-b.patients"),
    "P4": ("P4:hos-a.charges", _READING, "P4:hos-b.patients"),
    "P5": (_APPENDING, _APPENDING, "P5:hos-b.patients"),
    "P6": ("P6:hos-a.patients", "P6:hos-a.claims", "P6:hos-b.patients"),
    "P7": ("P7:bronze:hos-b.patients", "P7:hos-a.claims", "P7:silver:charge"),
    "P8": ("P8:patient", "P8:claim", "P8:charge"),
    "P9": ("P9:charge", _MERGING, "P9:claim"),
    "P10": ("P10:patient", "P10:charge", "P10:claim"),
    "P11": ("P11:patient", "P11:department", "P11:charge"),
    "P12": ("P12:dim_patient", _REPLACING, "P12:fact_charges"),
    "P13": ("P13:fact_charges", "P13:dim_patient", "P13:fact_charges"),
    "P14": (_CHECKPOINT, _CHECKPOINT, _CHECKPOINT),
    "P15": ("P15:silver.patient", "P15:bronze.hosa_patients optimized", "P15:silver.charge optimized"),
    "P16": ("P16:open", "P16:flushed", "P16:spooled"),
}


def grid() -> list[Case]:
    """Every point in every phase."""
    return [_case(point, phase, at) for point, kills in _GRID.items() for phase, at in zip(PHASES, kills, strict=True)]


def _case(point: str, phase: Phase, at: str) -> Case:
    if "/" in at:
        return Case(point, phase, sight=at)
    return Case(point, phase, at=at, door="maintain" if point == "P15" else "run")


def random_moments(count: int, seed: int, seconds: Mapping[Phase, float]) -> list[Case]:
    """Kills at random times after the process starts, the phases in turn, each within its phase's `seconds`.

    Equal seeds give equal shares of these seconds.
    """
    chance = random.Random(seed)
    phases = [PHASES[number % len(PHASES)] for number in range(count)]
    return [Case(f"R{number}", phase, after=round(chance.uniform(0, seconds[phase]), 2)) for number, phase in enumerate(phases, 1)]
