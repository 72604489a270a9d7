"""The kills of a drill as lines of JSON, so that a drill of hours can be ended and taken up again."""

import json
from dataclasses import asdict
from pathlib import Path

from rcm_lakehouse.drill.cases import Case
from rcm_lakehouse.drill.killing import Killed
from rcm_lakehouse.drill.stages import DrillError, Verdict


def keep(journal: Path, verdict: Verdict) -> None:
    """Add a verdict."""
    with journal.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(verdict)) + "\n")


def kept(journal: Path) -> dict[tuple[str, str], Verdict]:
    """Verdicts by the kill's name and phase; none when there is no journal yet.

    Raises DrillError when a line is no verdict: half a journal must not pass for a whole one.
    """
    if not journal.exists():
        return {}
    try:
        found = [_verdict(json.loads(line)) for line in journal.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise DrillError(f"{journal} is no journal of a drill ({type(error).__name__}). Name another file, or delete it to begin anew.") from None
    return {(verdict.case.name, verdict.case.phase): verdict for verdict in found}


def _verdict(values: dict[str, object]) -> Verdict:
    own = {**values, "case": Case(**values["case"]), "killed": Killed(**values["killed"]), "faults": tuple(values["faults"])}  # type: ignore[arg-type]
    return Verdict(**own)  # type: ignore[arg-type]
