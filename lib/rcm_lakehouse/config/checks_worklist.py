"""`load_config.csv` is untrusted input: every cell is checked before it can reach a database or a path."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest, printable
from rcm_lakehouse.config.texts import read_text
from rcm_lakehouse.config.worklist import COLUMNS, LoadRow, ReadRow, WorkList

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")
_ADDRESS = re.compile(r"[:@=?;]")
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATASOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_MAX_PATH = 200
_MAX_LINE = 10_000
# Members of gold's dimensions and the sum over all hospitals have these names.
_TAKEN_CODES = ("all", "unknown")
_LOADTYPES: dict[str, Literal["Full", "Incremental"]] = {"full": "Full", "incremental": "Incremental"}
# A cell of is_active that is neither 0 nor 1 but says no.
_NO = ("no", "n", "false", "f", "off", "o")


def read_work_list(path: Path, problems: list[Problem]) -> WorkList:
    """The rows, each with the names of its cells that are wrong; what is wrong with them is noted with line and column."""
    text = read_text(path, path.name, problems)
    if text is None:
        return WorkList(is_read=False)
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _MAX_LINE:
            problems.append(Problem(path.name, number, f"this line is longer than {_MAX_LINE:,} characters."))
            return WorkList(is_read=False)
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[ReadRow] = []
    strays: list[tuple[str, ...]] = []
    is_read = True
    try:
        header = [_trimmed(cell) for cell in next(reader, [])]
        if not _header_is_right(path.name, header, problems):
            return WorkList(is_read=False)
        for cells in ([_trimmed(cell) for cell in row] for row in reader):
            if len(cells) != len(header) and any(cells):
                problems.append(Problem(path.name, reader.line_num, f"{len(cells)} cells where the header has {len(header)}."))
                strays.append(tuple(cells))
            elif any(cells):
                rows.append(_row(path.name, reader.line_num, dict(zip(header, cells, strict=True)), header, problems))
    except csv.Error as error:
        problems.append(Problem(path.name, reader.line_num, f"this line is no CSV: {error}."))
        is_read = False
    if reader.line_num <= 1:
        problems.append(Problem(path.name, 1, "there is a header and no row: the file may be cut. Nothing would be loaded."))
    return WorkList(tuple(rows), tuple(strays), is_read)


def _header_is_right(file: str, header: Sequence[str], problems: list[Problem]) -> bool:
    before = len(problems)
    if not header:
        problems.append(Problem(file, 1, f"the file is empty; expected the header {','.join(COLUMNS)}."))
    for number, name in enumerate(header, 1):
        if name not in COLUMNS:
            problems.append(Problem(file, 1, f"column {number}: '{_safe(name)}' is not one of {', '.join(COLUMNS)}.{did_you_mean(name, COLUMNS)}"))
        elif list(header).count(name) > 1:
            problems.append(Problem(file, 1, f"column {number}: '{name}' is given twice."))
    missing = [name for name in COLUMNS if name not in header] if header else []
    if missing:
        problems.append(Problem(file, 1, f"missing columns: {', '.join(missing)}. Expected exactly {','.join(COLUMNS)}."))
    return len(problems) == before


def _trimmed(cell: str) -> str:
    # Blanks and tabs around a cell mean nothing; any other mark is part of what was given, and is refused.
    return cell.strip(" \t")


def _safe(text: str) -> str:
    return printable(text, 40)


def _row(file: str, line: int, values: Mapping[str, str], header: Sequence[str], problems: list[Problem]) -> ReadRow:
    wrong = {name: text for name, text in ((name, _wrong(name, values)) for name in COLUMNS) if text}
    for name, text in wrong.items():
        problems.append(Problem(file, line, f"column {header.index(name) + 1}: {name} {text}"))
    loadtype = nearest(values["loadtype"], _LOADTYPES)
    row = LoadRow(
        line=line,
        database=values["database"],
        datasource=values["datasource"],
        tablename=values["tablename"],
        loadtype=_LOADTYPES[loadtype or "full"],
        watermark=values["watermark"] or None,
        is_active=values["is_active"] != "0" and values["is_active"].lower() not in _NO,
        targetpath=values["targetpath"].strip("/"),
    )
    return ReadRow(row, frozenset(wrong) - ({"loadtype"} if loadtype else frozenset()), is_whole=not wrong)


def _wrong(name: str, values: Mapping[str, str]) -> str | None:
    """What is wrong with a cell, in words; None when nothing is."""
    value = values[name]
    # An address may hold a password or a signature.
    shown = "what stands there" if _ADDRESS.search(value) else f"'{_safe(value)}'"
    if not value and name != "watermark":
        return "is blank."
    if name == "loadtype" and value.lower() not in _LOADTYPES:
        return f"{shown} is not one of Full, Incremental.{did_you_mean(value, _LOADTYPES.values())}"
    if name == "is_active" and value not in ("0", "1"):
        return f"{shown} is not 0 or 1."
    if name == "database" and not _DATABASE.match(value):
        return f"{shown} is no connection name: letters, digits, dot, hyphen and underscore."
    if name == "datasource" and not _DATASOURCE.match(value):
        return f"{shown} is no data source code: lower-case letters, digits and hyphens, like hos-a."
    if name == "datasource" and value in _TAKEN_CODES:
        return f"{shown} is a name that gold tables use themselves; choose another code."
    if name == "tablename" and (value.count(".") > 1 or not all(IDENTIFIER.match(part) for part in value.split("."))):
        return f"{shown} is no table name: an identifier, with at most one schema in front."
    if name == "watermark" and value and not IDENTIFIER.match(value):
        return f"{shown} is no column name."
    if name == "targetpath" and not _is_safe_path(value):
        return f"{shown} is no folder under bronze: letters, digits, hyphen and underscore, parts divided by /; no '..', no scheme, not absolute."
    return None


def _is_safe_path(value: str) -> bool:
    return len(value) <= _MAX_PATH and not value.startswith("/") and all(_SEGMENT.match(part) for part in value.rstrip("/").split("/"))
