"""One pass over one file, and what it found. No Spark."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.files import FileItem, Look, sha256_of
from rcm_lakehouse.sources.files_header import Expected
from rcm_lakehouse.sources.files_parse import Parsed, parse_file

HEADER = "ClaimID,PatientID,ClaimAmount\n"
WIDE = "ClaimID,PatientID,ClaimAmount,PaidAmount,Note\n"


@dataclass
class Reading:
    """What a pass found and the rows it staged."""

    found: Parsed
    rows: list[dict[str, Any]]

    def values(self) -> list[dict[str, str]]:
        return [{name: value for name, value in row.items() if not name.startswith("_")} for row in self.rows if "_corrupt_record" not in row]

    def malformed(self) -> list[tuple[int, str, str]]:
        return [(row["_source_row"], row["_flags"][0], row["_corrupt_record"]) for row in self.rows if "_corrupt_record" in row]


def read(folder: Path, content: str | bytes, expected: Expected | None = None, *, name: str = "claims.csv", item: Any = None, **options: Any) -> Reading:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    known = {"is_hash_verified": False, "manifest_rows": None, **(item or {})}
    file = FileItem(path, name, "new", Look.at(path), sha256_of(path), **known)
    out = folder / "staged.jsonl"
    chosen = FileTableOptions(pattern="*", **options)
    try:
        found = parse_file(file, chosen, expected or Expected(), out)
    except SourceDataError:
        assert not out.exists(), "a refused file leaves nothing staged"
        assert path.exists(), "a refused file stays where it is"
        raise
    return Reading(found, [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]])
