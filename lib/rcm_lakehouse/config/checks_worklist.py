"""`load_config.csv` is untrusted input: every cell is checked before it can reach a database or a path."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rcm_lakehouse.config.checks_api import wrong_in_api
from rcm_lakehouse.config.connections import ApiConnection, ApiTableOptions, FilesConnection, JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.matching import key_of_table, table_options
from rcm_lakehouse.config.problems import Problem, did_you_mean, printable
from rcm_lakehouse.config.texts import read_text
from rcm_lakehouse.config.worklist import COLUMNS, LoadRow
from rcm_lakehouse.config.yaml_lines import Document

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATASOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_MAX_PATH = 200
_MAX_LINE = 10_000
# Members of gold's dimensions and the sum over all hospitals have these names.
_TAKEN_CODES = ("all", "unknown")
_LOADTYPES: dict[str, Literal["Full", "Incremental"]] = {"full": "Full", "incremental": "Incremental"}

AnyConnection = JdbcConnection | FilesConnection | ApiConnection


def read_work_list(path: Path, problems: list[Problem]) -> list[LoadRow]:
    """The rows that are sound; what is wrong with the others is noted with line and column."""
    text = read_text(path, path.name, problems)
    if text is None:
        return []
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _MAX_LINE:
            problems.append(Problem(path.name, number, f"this line is longer than {_MAX_LINE:,} characters."))
            return []
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[LoadRow] = []
    try:
        header = next(reader, [])
        if not _header_is_right(path.name, [_trimmed(cell) for cell in header], problems):
            return []
        for cells in reader:
            if any(_trimmed(cell) for cell in cells):
                row = _row(path.name, reader.line_num, cells, [_trimmed(cell) for cell in header], problems)
                rows += [row] if row else []
    except csv.Error as error:
        problems.append(Problem(path.name, reader.line_num, f"this line is no CSV: {error}."))
    if reader.line_num <= 1:
        problems.append(Problem(path.name, 1, "there is a header and no row: the file may be cut. Nothing would be loaded."))
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


def _trimmed(cell: str) -> str:
    # Blanks and tabs around a cell mean nothing; any other mark is part of what was given, and is refused.
    return cell.strip(" \t")


def _safe(text: str) -> str:
    return printable(text, 40)


def _row(file: str, line: int, cells: Sequence[str], header: Sequence[str], problems: list[Problem]) -> LoadRow | None:
    if len(cells) != len(header):
        problems.append(Problem(file, line, f"{len(cells)} cells where the header has {len(header)}."))
        return None
    values = {name: _trimmed(cell) for name, cell in zip(header, cells, strict=True)}
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


def check_loads(
    file: str,
    loads: Sequence[LoadRow],
    connections: Mapping[str, AnyConnection],
    contracts: Mapping[str, Contract],
    problems: list[Problem],
    *,
    broken_connections: frozenset[str] = frozenset(),
    broken_contracts: frozenset[str] = frozenset(),
) -> None:
    """Note what is wrong between active rows, and between them and connections and contracts. Rows with is_active 0 are not read.

    `broken_…` could not be read at all; that they are named here is no second mistake.
    """
    known = sorted({table for contract in contracts.values() for mapping in contract.sources for table in mapping.tables})
    active = [row for row in loads if row.is_active]
    for row in active:
        connection = connections.get(row.database)
        if connection is None and row.database not in broken_connections:
            hint = did_you_mean(row.database, connections)
            problems.append(Problem(file, row.line, f"database '{_safe(row.database)}' has no entry in conf/connections.yml.{hint}"))
        if row.source_table not in known and not isinstance(connection, ApiConnection) and not broken_contracts:
            hint = did_you_mean(row.source_table, known)
            problems.append(Problem(file, row.line, f"tablename '{row.tablename}' is taken by no mapping in conf/cdm.{hint}"))
        if isinstance(connection, JdbcConnection):
            problems += [Problem(file, row.line, text) for text in _wrong_in_database(row, connection, contracts, broken_contracts)]
        if isinstance(connection, ApiConnection):
            problems += [Problem(file, row.line, text) for text in wrong_in_api(row, connection, contracts)]
        if isinstance(connection, FilesConnection) and table_options(connection.tables, row) is None:
            hint = did_you_mean(row.source_table, connection.tables)
            text = f"'{row.label}' has no entry under `tables` of '{row.database}' in conf/connections.yml that gives its file pattern.{hint}"
            problems.append(Problem(file, row.line, text))
    _check_targets(file, active, problems)


def _wrong_in_database(row: LoadRow, connection: JdbcConnection, contracts: Mapping[str, Contract], broken_contracts: frozenset[str]) -> list[str]:
    options = table_options(connection.tables, row) or JdbcTableOptions()
    has_key = bool(options.key or broken_contracts or key_of_table(row, contracts))
    place = f"`tables` of '{row.database}' in conf/connections.yml"
    if row.loadtype == "Incremental" and row.watermark is None:
        return ["watermark is blank; an Incremental load of a database needs the column that orders changes."]
    wrong = []
    if row.loadtype == "Incremental" and options.overlap_seconds != 0 and not has_key:
        wrong.append(
            f"'{row.label}' is read with an overlap but has no key that tells a row met again from a changed one: give `key`, or "
            f"`overlap_seconds: 0`, under {place}."
        )
    if options.reconcile != "never" and not has_key:
        wrong.append(f"'{row.label}' is to be reconciled but has no key to compare by: give `key` under {place}.")
    return wrong


def _check_targets(file: str, active: Sequence[LoadRow], problems: list[Problem]) -> None:
    targets: dict[str, LoadRow] = {}
    labels: dict[str, LoadRow] = {}
    for row in active:
        for name in (row.bronze_table, row.bronze_path):
            if name in targets and targets[name] is not row:
                problems.append(Problem(file, row.line, f"target '{name}' is the target of line {targets[name].line} too; two loads may not share one."))
            targets.setdefault(name, row)
        if row.label in labels:
            problems.append(Problem(file, row.line, f"'{row.label}' is loaded by line {labels[row.label].line} too."))
        labels.setdefault(row.label, row)
    for row in active:
        for other in active:
            if row.bronze_path.startswith(f"{other.bronze_path}/"):
                problems.append(Problem(file, row.line, f"target '{row.bronze_path}' lies inside the table of line {other.line}, '{other.bronze_path}'."))


def check_table_options(
    document: Document,
    connections: Mapping[str, AnyConnection],
    loads: Sequence[LoadRow],
    contracts: Mapping[str, Contract],
    problems: list[Problem],
) -> None:
    """Note options for a table that neither a mapping nor the work list (active or not) names: they would be passed over in silence.

    And an API's `ids_from` that no contract has.
    """
    tables = {table for contract in contracts.values() for mapping in contract.sources for table in mapping.tables}
    known = tables | {row.source_table for row in loads}
    labels = {row.label for row in loads}
    for name, connection in connections.items():
        for table, options in connection.tables.items():
            line = document.line(name, "tables", table)
            if isinstance(options, ApiTableOptions):
                wrong = _wrong_ids(options.ids_from, contracts)
            elif table.lower() in labels or table.rpartition(".")[2].lower() in known:
                wrong = None
            else:
                wrong = f"no mapping and no row of the work list has the table '{_safe(table)}'.{did_you_mean(table, known | labels)}"
            if wrong:
                problems.append(Problem(document.file, line, f"{name}: {wrong}"))


def _wrong_ids(ids_from: str | None, contracts: Mapping[str, Contract]) -> str | None:
    known = {f"{contract.entity}.{column.name}" for contract in contracts.values() for column in contract.columns}
    if ids_from is None or ids_from in known:
        return None
    return f"ids_from names '{_safe(ids_from)}', which is no column of a contract.{did_you_mean(ids_from, known)}"
