"""The files that hospitals and the network deliver: claims and the procedure code list, as CSV in the landing folder."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from rcm_lakehouse.demo.claims import malformed_lines
from rcm_lakehouse.demo.codes import procedure_rows
from rcm_lakehouse.demo.hospital import Changes, Hospital
from rcm_lakehouse.demo.tables import CLAIM_COLUMNS, CLAIM_FILES, PROCEDURE_COLUMNS

PROCEDURE_FILE = "procedure_codes.csv"


def write_claims(hospital: Hospital, changes: Changes | None, landing: Path) -> Path:
    """The claims file of a day. Day 2 of hospital A has the name of day 1 and corrected content; of hospital B a name of its own."""
    name = CLAIM_FILES[hospital.making.hospital]
    is_second_file = changes is not None and hospital.making.hospital == "hos-b"
    claims = hospital.claims if changes is None else changes.claims
    lines = [_line(CLAIM_COLUMNS), *(_line(list(claim.values())) for claim in claims)]
    if not is_second_file:
        # Near the top, so that a correction leaves them on the same lines.
        for place, line in zip((3, 6), malformed_lines(hospital.claims[0]), strict=True):
            lines.insert(place, line)
    path = landing / "claims" / (name.replace(".csv", "_2.csv") if is_second_file else name)
    _write(path, lines)
    return path


def write_procedure_codes(landing: Path) -> Path:
    """The procedure code list; headers with blanks, descriptions with commas in quotes."""
    lines = [_line(PROCEDURE_COLUMNS), *(_line(list(row.values())) for row in procedure_rows())]
    path = landing / "codes" / PROCEDURE_FILE
    _write(path, lines)
    return path


def _line(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path)
