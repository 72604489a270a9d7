"""A hospital's rows as one SQL script: the same statements for H2, MariaDB and PostgreSQL, apart from what `SqlDialect` names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice

from rcm_lakehouse.demo.hospital import Changes, Hospital
from rcm_lakehouse.demo.tables import TABLES, Row, Table, Value

ROWS_A_STATEMENT = 500


@dataclass(frozen=True)
class SqlDialect:
    """What differs between databases when writing. `{database}` stands for the hospital's database; names go unquoted."""

    name: str
    moment: str
    prefix: str
    recreate: tuple[str, ...]
    use: tuple[str, ...]
    begin: str


SQL_DIALECTS: Mapping[str, SqlDialect] = {
    # The H2 file is new on day 1, so there is nothing to drop.
    "h2": SqlDialect("h2", "TIMESTAMP(3)", "dbo.", ("CREATE SCHEMA dbo",), (), "SET AUTOCOMMIT FALSE"),
    "mariadb": SqlDialect(
        "mariadb",
        "DATETIME(3)",
        "",
        ("DROP DATABASE IF EXISTS `{database}`", "CREATE DATABASE `{database}` CHARACTER SET utf8mb4"),
        # Without this a backslash in a text would begin an escape; the other two take it as it is.
        ("USE `{database}`", "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"),
        "START TRANSACTION",
    ),
    "postgresql": SqlDialect(
        "postgresql",
        "TIMESTAMP(3)",
        "dbo.",
        ('DROP DATABASE IF EXISTS "{database}" WITH (FORCE)', 'CREATE DATABASE "{database}"', '\\connect "{database}"', "CREATE SCHEMA dbo"),
        ('\\connect "{database}"',),
        "BEGIN",
    ),
}


def first_script(hospital: Hospital, database: str, dialect: SqlDialect) -> Iterator[str]:
    """Statements of day 1: the database anew, its tables, all rows, an index on each watermark."""
    yield from (statement.format(database=database) for statement in dialect.recreate)
    if dialect.name == "mariadb":
        yield from (statement.format(database=database) for statement in dialect.use)
    tables = TABLES[hospital.making.hospital]
    yield from (_create(table, dialect) for table in tables.values())
    yield dialect.begin
    for table in tables.values():
        yield from _inserts(table, hospital.tables[table.name].values(), dialect)
    yield "COMMIT"
    for table in tables.values():
        if table.watermark:
            yield f"CREATE INDEX {table.name}_{table.watermark.lower()} ON {dialect.prefix}{table.name} ({table.watermark})"


def second_script(hospital: Hospital, changes: Changes, database: str, dialect: SqlDialect) -> Iterator[str]:
    """Statements of day 2 in one transaction. New keys are deleted first, so the script can be run again."""
    yield from (statement.format(database=database) for statement in dialect.use)
    yield dialect.begin
    for table in TABLES[hospital.making.hospital].values():
        new = changes.inserted.get(table.name, [])
        gone = [*changes.removed.get(table.name, []), *(str(row[table.key]) for row in new)]
        if gone:
            yield f"DELETE FROM {dialect.prefix}{table.name} WHERE {table.key} IN ({', '.join(map(literal, gone))})"
        yield from _inserts(table, new, dialect)
        for row in changes.updated.get(table.name, []):
            yield _update(table, hospital.tables[table.name][str(row[table.key])], row, dialect)
    yield "COMMIT"


def _create(table: Table, dialect: SqlDialect) -> str:
    columns = ", ".join(f"{name} {kind.replace('MOMENT', dialect.moment)}" for name, kind in table.columns)
    return f"CREATE TABLE {dialect.prefix}{table.name} ({columns}, PRIMARY KEY ({table.key}))"


def _inserts(table: Table, rows: Iterable[Row], dialect: SqlDialect) -> Iterator[str]:
    head = f"INSERT INTO {dialect.prefix}{table.name} ({', '.join(table.names)}) VALUES\n"
    for chunk in _chunks(rows, ROWS_A_STATEMENT):
        yield head + ",\n".join(f"({', '.join([literal(row[name]) for name in table.names])})" for row in chunk)


def _chunks(rows: Iterable[Row], size: int) -> Iterator[Sequence[Row]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk


def _update(table: Table, before: Row, row: Row, dialect: SqlDialect) -> str:
    changed = ", ".join(f"{name} = {literal(row[name])}" for name in table.names if row[name] != before[name])
    return f"UPDATE {dialect.prefix}{table.name} SET {changed} WHERE {table.key} = {literal(row[table.key])}"


def literal(value: Value) -> str:
    """A value as a standard SQL literal; a quote in a text is doubled."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(' ', 'milliseconds')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return repr(value)
