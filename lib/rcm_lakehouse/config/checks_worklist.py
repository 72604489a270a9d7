"""`load_config.csv` is untrusted input: every cell is checked before it can reach a database or a path."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rcm_lakehouse.config.connections import ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.worklist import COLUMNS, LoadRow

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATASOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LOADTYPES: dict[str, Literal["Full", "Incremental"]] = {"full": "Full", "incremental": "Incremental"}

AnyConnection = JdbcConnection | FilesConnection | ApiConnection


def read_work_list(path: Path, problems: list[Problem]) -> list[LoadRow]:
    """The rows that are sound; what is wrong with the others is noted with line and column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(Problem(path.name, 0, f"the file cannot be read: {reason}."))
        return []
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[LoadRow] = []
    try:
        header = next(reader, [])
        if not _header_is_right(path.name, [cell.strip() for cell in header], problems):
            return []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = _row(path.name, reader.line_num, cells, [cell.strip() for cell in header], problems)
                rows += [row] if row else []
    except csv.Error as error:
        problems.append(Problem(path.name, reader.line_num, f"this line is no CSV: {error}."))
    return rows


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


def _safe(text: str) -> str:
    """A cell for a message: printable, at most 40 characters."""
    shown = "".join(mark if mark.isprintable() else "?" for mark in text[:40])
    return shown + ("…" if len(text) > 40 else "")


def _row(file: str, line: int, cells: Sequence[str], header: Sequence[str], problems: list[Problem]) -> LoadRow | None:
    if len(cells) != len(header):
        problems.append(Problem(file, line, f"{len(cells)} cells where the header has {len(header)}."))
        return None
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    wrong = {name: text for name, text in ((name, _wrong(name, values)) for name in COLUMNS) if text}
    for name, text in wrong.items():
        problems.append(Problem(file, line, f"column {header.index(name) + 1}: {name} {text}"))
    if wrong:
        return None
    return LoadRow(
        line=line,
        database=values["database"],
        datasource=values["datasource"],
        tablename=values["tablename"],
        loadtype=_LOADTYPES[values["loadtype"].lower()],
        watermark=values["watermark"] or None,
        is_active=values["is_active"] == "1",
        targetpath=values["targetpath"].strip("/"),
    )


def _wrong(name: str, values: Mapping[str, str]) -> str | None:
    """What is wrong with a cell, in words; None when nothing is."""
    value = values[name]
    shown = f"'{_safe(value)}'"
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
    if name == "tablename" and (value.count(".") > 1 or not all(IDENTIFIER.match(part) for part in value.split("."))):
        return f"{shown} is no table name: an identifier, with at most one schema in front."
    if name == "watermark" and value and not IDENTIFIER.match(value):
        return f"{shown} is no column name."
    if name == "targetpath" and not _is_safe_path(value):
        return f"{shown} is no folder under bronze: letters, digits, hyphen and underscore, parts divided by /; no '..', no scheme, not absolute."
    return None


def _is_safe_path(value: str) -> bool:
    return not value.startswith("/") and all(_SEGMENT.match(part) for part in value.rstrip("/").split("/"))


def check_loads(
    file: str,
    loads: Sequence[LoadRow],
    connections: Mapping[str, AnyConnection],
    contracts: Mapping[str, Contract],
    problems: list[Problem],
) -> None:
    """Note what is wrong between rows, and between active rows and connections, contracts and each other."""
    known = sorted({table for contract in contracts.values() for mapping in contract.sources for table in mapping.tables})
    targets: dict[str, LoadRow] = {}
    labels: dict[str, LoadRow] = {}
    for row in loads:
        if not row.is_active:
            continue
        connection = connections.get(row.database)
        if connection is None:
            hint = did_you_mean(row.database, connections)
            problems.append(Problem(file, row.line, f"database '{_safe(row.database)}' has no entry in conf/connections.yml.{hint}"))
        if isinstance(connection, JdbcConnection) and row.loadtype == "Incremental" and row.watermark is None:
            problems.append(Problem(file, row.line, "watermark is blank; an Incremental load of a database needs the column that orders changes."))
        if row.source_table not in known and not isinstance(connection, ApiConnection):
            hint = did_you_mean(row.source_table, known)
            problems.append(Problem(file, row.line, f"tablename '{row.tablename}' is taken by no mapping in conf/cdm.{hint}"))
        for name in (row.bronze_table, row.bronze_path):
            if name in targets and targets[name] is not row:
                problems.append(Problem(file, row.line, f"target '{name}' is the target of line {targets[name].line} too; two loads may not share one."))
            targets.setdefault(name, row)
        if row.label in labels:
            problems.append(Problem(file, row.line, f"'{row.label}' is loaded by line {labels[row.label].line} too."))
        labels.setdefault(row.label, row)
