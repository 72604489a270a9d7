"""The work list against everything it names: connections and their options, mappings of contracts, targets of other rows."""

from collections.abc import Iterator, Sequence
from typing import Any

from rcm_lakehouse.config.checks_api import wrong_in_api
from rcm_lakehouse.config.connections import ApiConnection, ApiTableOptions, JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.matching import key_of_table, options_may_differ, table_options
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest, printable
from rcm_lakehouse.config.readers import Connections
from rcm_lakehouse.config.validated import Sound
from rcm_lakehouse.config.worklist import LoadRow, ReadRow, WorkList

_PLACE = "conf/connections.yml"


def check_loads(file: str, work_list: WorkList, connections: Connections, contracts: Contracts, problems: list[Problem]) -> None:
    """Note what is wrong between active rows, and between them and connections and contracts. Rows with is_active 0 are not read.

    Cells that are wrong themselves are left out. A name that several rows have and nothing else knows is one mistake, told at the first row.
    """
    active = [read for read in work_list.rows if read.row.is_active]
    problems += [Problem(file, line, text) for line, text in (*_unknown_databases(active, connections), *_unknown_tables(active, connections, contracts))]
    meant = _meant_options(work_list, connections, contracts)
    for read in active:
        row, connection = read.row, connections.sound.get(read.row.database)
        is_taken = isinstance(connection and connection.value, ApiConnection) or contracts.may_take(row.source_table)
        if connection is not None and is_taken and read.has("database", "datasource", "tablename"):
            is_meant = any((row.database, name) in meant for name in (row.label, row.source_table, None)) or options_may_differ(connection, row)
            problems += [Problem(file, row.line, text) for text in _wrong_in(read, connection, contracts, is_meant)]
    _check_targets(file, [read for read in active if read.has("is_active")], problems)


def _unknown_databases(active: Sequence[ReadRow], connections: Connections) -> Iterator[tuple[int, str]]:
    lines: dict[str, list[int]] = {}
    for read in active:
        if read.has("database") and not connections.may_have(read.row.database):
            lines.setdefault(read.row.database, []).append(read.row.line)
    for name, (first, *others) in lines.items():
        hint = did_you_mean(name, {*connections.sound, *connections.unread})
        yield first, f"database '{printable(name, 40)}' has no entry in {_PLACE}.{hint}{_also(others)}"


def _unknown_tables(active: Sequence[ReadRow], connections: Connections, contracts: Contracts) -> Iterator[tuple[int, str]]:
    lines: dict[str, list[LoadRow]] = {}
    for read in active:
        connection = connections.values.get(read.row.database)
        if read.has("tablename") and not isinstance(connection, ApiConnection) and not contracts.may_take(read.row.source_table):
            lines.setdefault(read.row.source_table, []).append(read.row)
    for table, (first, *others) in lines.items():
        hint = did_you_mean(table, sorted(contracts.tables))
        yield first.line, f"tablename '{first.tablename}' is taken by no mapping in conf/cdm.{hint}{_also([row.line for row in others])}"


def _also(lines: Sequence[int]) -> str:
    return f" The same in line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}." if lines else ""


def _wrong_in(read: ReadRow, connection: Sound[Any], contracts: Contracts, is_meant: bool) -> list[str]:
    """What is wrong between a row and its connection. `is_meant`: options under a misspelled name, or with a mistake, may be the row's."""
    row, value = read.row, connection.value
    if isinstance(value, JdbcConnection):
        return _wrong_in_database(read, value, contracts, is_meant)
    if isinstance(value, ApiConnection):
        return [] if is_meant else wrong_in_api(row, connection, contracts)
    if is_meant or table_options(value.tables, row) is not None:
        return []
    hint = did_you_mean(row.source_table, value.tables)
    return [f"'{row.label}' has no entry under `tables` of '{row.database}' in {_PLACE} that gives its file pattern.{hint}"]


def _wrong_in_database(read: ReadRow, connection: JdbcConnection, contracts: Contracts, is_meant: bool) -> list[str]:
    row = read.row
    if row.loadtype == "Incremental" and row.watermark is None and read.has("loadtype"):
        return ["watermark is blank; an Incremental load of a database needs the column that orders changes."]
    options = table_options(connection.tables, row) or JdbcTableOptions()
    has_key = bool(options.key or contracts.may_give_key(row.source_table) or key_of_table(row, contracts.values))
    if is_meant or has_key:
        return []
    place = f"`tables` of '{row.database}' in {_PLACE}"
    wrong = []
    if row.loadtype == "Incremental" and options.overlap_seconds != 0 and read.has("loadtype"):
        wrong.append(
            f"'{row.label}' is read with an overlap but has no key that tells a row met again from a changed one: give `key`, or "
            f"`overlap_seconds: 0`, under {place}."
        )
    if options.reconcile != "never":
        wrong.append(f"'{row.label}' is to be reconciled but has no key to compare by: give `key` under {place}.")
    return wrong


def _check_targets(file: str, active: Sequence[ReadRow], problems: list[Problem]) -> None:
    """A row given twice, or a target shared, is one mistake: what follows from it is not told beside it."""
    targets: dict[str, LoadRow] = {}
    labels: dict[str, LoadRow] = {}
    for row in (read.row for read in active if read.has("datasource", "tablename")):
        if row.label in labels:
            problems.append(Problem(file, row.line, f"'{row.label}' is loaded by line {labels[row.label].line} too."))
        labels.setdefault(row.label, row)
    placed = [read.row for read in active if read.has("tablename", "targetpath")]
    for row in placed:
        names = (row.bronze_path, row.bronze_table)
        shared = next((name for name in names if name in targets), None)
        if shared is not None and labels.get(row.label, row) is row:
            problems.append(Problem(file, row.line, f"target '{shared}' is the target of line {targets[shared].line} too; two loads may not share one."))
        for name in names:
            targets.setdefault(name, row)
    for row in placed:
        for other in placed:
            if row.bronze_path.startswith(f"{other.bronze_path}/"):
                problems.append(Problem(file, row.line, f"target '{row.bronze_path}' lies inside the table of line {other.line}, '{other.bronze_path}'."))


def check_table_options(work_list: WorkList, connections: Connections, contracts: Contracts, problems: list[Problem]) -> None:
    """Note options for a table that neither a mapping nor the work list (active or not) names: they would be passed over in silence.

    And an API's `ids_from` that no contract has.
    """
    known = _table_names(work_list, contracts)
    for name, sound in connections.sound.items():
        for table, options in sound.value.tables.items():
            if isinstance(options, ApiTableOptions):
                wrong = _wrong_ids(options.ids_from, contracts)
            elif _may_be_table(table, work_list, contracts):
                wrong = None
            else:
                wrong = f"no mapping and no row of the work list has the table '{printable(table, 40)}'.{did_you_mean(table, known)}"
            if wrong:
                problems.append(Problem(sound.part.file, sound.part.line("tables", table), f"{name}: {wrong}"))


def _table_names(work_list: WorkList, contracts: Contracts) -> list[str]:
    rows = [read.row for read in work_list.rows]
    return sorted({*contracts.tables, *(row.source_table for row in rows), *(row.label for row in rows)})


def _may_be_table(name: str, work_list: WorkList, contracts: Contracts) -> bool:
    data_source, _, table = name.lower().rpartition(".")
    is_loaded = any(read.row.source_table == table or read.row.label == name.lower() for read in work_list.rows)
    return is_loaded or contracts.may_take(table) or work_list.may_load(data_source, table) or not all(read.has("tablename") for read in work_list.rows)


def _meant_options(work_list: WorkList, connections: Connections, contracts: Contracts) -> set[tuple[str, str | None]]:
    """Tables whose options stand under a misspelled name, by connection: that they lack options is no second mistake. None stands for any."""
    known = _table_names(work_list, contracts)
    odd = [(name, table) for name, sound in connections.sound.items() for table in sound.value.tables if not _may_be_table(table, work_list, contracts)]
    return {(name, nearest(table, known)) for name, table in odd}


def _wrong_ids(ids_from: str | None, contracts: Contracts) -> str | None:
    if ids_from is None or contracts.may_have(*ids_from.partition(".")[::2]):
        return None
    known = {f"{contract.entity}.{column.name}" for contract in contracts.values.values() for column in contract.columns}
    return f"ids_from names '{printable(ids_from, 40)}', which is no column of a contract.{did_you_mean(ids_from, known)}"
