"""What reconciliation sees of each type: equal tables are equal on every product, a change of any single value is found, and what is not compared is named."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from rcm_lakehouse.audit.schema import LoadLog
from servers import PLAIN_CONTRACT, Server, connection_to

pytestmark = pytest.mark.deep

Types = Mapping[str, tuple[str, str, str]]
DIGITS = "12345678901234567890123456789012345.00000000000000000000000000000"

MARIADB: Types = {  # column: (declared type, value, the next value that a load would tell apart)
    "rate": ("DECIMAL(12,4)", "1.2341", "1.2349"),
    "deep": ("DECIMAL(38,12)", "-0.000000000001", "-0.000000000002"),
    "wide": ("DECIMAL(65,30)", f"{DIGITS}1", f"{DIGITS}2"),
    "padded": ("INT(8) ZEROFILL", "7", "8"),
    "tiny": ("TINYINT(1)", "2", "1"),
    "large": ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
    "bits": ("BIT(8)", "b'101'", "b'111'"),
    "single": ("FLOAT", "988.37", "988.38"),
    "cost": ("DOUBLE", "12345678901234.56", "12345678901234.57"),
    "moment": ("DATETIME(6)", "'2026-01-01 00:00:00.1'", "'2026-01-01 00:00:00.100001'"),
    "at_second": ("DATETIME", "'0999-12-31 23:59:58'", "'0999-12-31 23:59:59'"),
    "instant": ("TIMESTAMP(6) NULL", "'2026-03-08 02:30:00.000001'", "'2026-03-08 02:30:00.000002'"),
    "born": ("DATE", "'1960-02-29'", "'1960-03-01'"),
    "a_time": ("TIME(6)", "'31:15:00'", "'31:15:00.000001'"),
    "a_year": ("YEAR", "2024", "2025"),
    "document": ("JSON", """'{"a": "é"}'""", """'{"a": "e"}'"""),
    "choice": ("ENUM('Approved', 'Denied', 'é')", "'é'", "'Denied'"),
    "several": ("SET('x', 'y')", "'x,y'", "'y'"),
    "fixed": ("CHAR(10)", "'short'", "'shorter'"),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", "'Müller'", "'Möller'"),
    "said": ("VARCHAR(60)", "'~'", "NULL"),
    "long_said": ("LONGTEXT", "'漢字 😀'", "'漢字 😁'"),
    "raw": ("VARBINARY(9)", "x'00ff'", "x'00fe'"),
    "fixed_raw": ("BINARY(4)", "x'01'", "x'02'"),
    "scan": ("LONGBLOB", "x'c0ff'", "x'c0'"),
    "ident": ("UUID", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6f9619ff-8b86-d011-b42d-00c04fc964fe'"),
    "address": ("INET6", "'::1'", "'::2'"),
}
POSTGRESQL: Types = {
    "rate": ("NUMERIC(12,4)", "1.2341", "1.2349"),
    "deep": ("NUMERIC(38,12)", "-0.000000000001", "-0.000000000002"),
    "bare": ("NUMERIC", f"{DIGITS}1", f"{DIGITS}2"),
    "price": ("MONEY", "'$-1,234.56'", "'$-1,234.57'"),
    "small": ("SMALLINT", "-7", "-8"),
    "large": ("BIGINT", "9223372036854775807", "9223372036854775806"),
    "single": ("REAL", "988.37", "988.38"),
    "cost": ("DOUBLE PRECISION", "12345678901234.56", "12345678901234.57"),
    "halves": ("DOUBLE PRECISION", "'NaN'", "NULL"),
    "moment": ("TIMESTAMP(6)", "'2026-01-01 00:00:00.1'", "'2026-01-01 00:00:00.9'"),
    "without_end": ("TIMESTAMP", "'infinity'", "'2026-01-01'"),
    "seen": ("TIMESTAMPTZ", "'2026-01-01 00:00:00-05'", "'2026-02-01 00:00:00-05'"),
    "for_ever": ("TIMESTAMPTZ", "'-infinity'", "'infinity'"),
    "born": ("DATE", "'1960-02-29'", "'1960-03-01'"),
    "without_start": ("TIMESTAMP", "'-infinity'", "'2026-01-01'"),
    "last_day": ("DATE", "'infinity'", "'9999-12-30'"),
    "first_day": ("DATE", "'-infinity'", "'0001-01-02'"),
    "a_time": ("TIME", "'23:15:00.5'", "'23:15:00.6'"),
    "lasts": ("INTERVAL", "'1 day'", "'2 days'"),
    "ident": ("UUID", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6f9619ff-8b86-d011-b42d-00c04fc964fe'"),
    "document": ("JSON", "'{}'", """'{"k":2}'"""),
    "indexed": ("JSONB", """'{"b":1,"a":"é"}'""", """'{"b":1,"a":"e"}'"""),
    "marked": ("XML", "'<a/>'", "'<b/>'"),
    "bits": ("BIT(8)", "B'00000101'", "B'00000111'"),
    "address": ("INET", "'10.0.0.1'", "'10.0.0.2'"),
    "several": ("TEXT[]", "'{x,y}'", "'{y,x}'"),
    "yes": ("BOOLEAN", "true", "false"),
    "fixed": ("CHAR(10)", "'short'", "'shorter'"),
    "said": ("VARCHAR(60)", "'~'", "NULL"),
    "long_said": ("TEXT", "'漢字 😀'", "'漢字 😁'"),
    "raw": ("BYTEA", r"'\x00ff'", r"'\x00fe'"),
}
H2: Types = {
    "rate": ("NUMERIC(12,4)", "1.2341", "1.2349"),
    "deep": ("NUMERIC(38,12)", "-0.000000000001", "-0.000000000002"),
    "wide": ("NUMERIC(65,30)", f"{DIGITS}1", f"{DIGITS}2"),
    "tiny": ("TINYINT", "-7", "-8"),
    "large": ("BIGINT", "9223372036854775807", "9223372036854775806"),
    "single": ("REAL", "988.37", "988.38"),
    "cost": ("DOUBLE PRECISION", "12345678901234.56", "12345678901234.57"),
    "halves": ("DOUBLE PRECISION", "CAST('NaN' AS DOUBLE PRECISION)", "NULL"),
    "moment": ("TIMESTAMP(6)", "TIMESTAMP '2026-01-01 00:00:00.1'", "TIMESTAMP '2026-01-01 00:00:00.9'"),
    "finer": ("TIMESTAMP(9)", "TIMESTAMP '2026-01-01 00:00:00.123456789'", "TIMESTAMP '2026-01-01 00:00:00.123457789'"),
    "seen": ("TIMESTAMP(6) WITH TIME ZONE", "'2026-01-01 00:00:00-05:00'", "'2026-02-01 00:00:00-05:00'"),
    "born": ("DATE", "DATE '1960-02-29'", "DATE '1960-03-01'"),
    "a_time": ("TIME(6)", "TIME '23:15:00.5'", "TIME '23:15:00.6'"),
    "ident": ("UUID", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6f9619ff-8b86-d011-b42d-00c04fc964fe'"),
    "document": ("JSON", "JSON '{}'", """JSON '{"k":2}'"""),
    "choice": ("ENUM('Approved', 'Denied')", "'Approved'", "'Denied'"),
    "yes": ("BOOLEAN", "true", "false"),
    "fixed": ("CHAR(10)", "'short'", "'shorter'"),
    "said": ("VARCHAR(60)", "'~'", "NULL"),
    "long_said": ("CLOB", "'漢字 😀'", "'漢字 😁'"),
    "raw": ("VARBINARY(9)", "X'00ff'", "X'00fe'"),
    "fixed_raw": ("BINARY(4)", "X'01'", "X'02'"),
    "scan": ("BLOB", "X'c0ff'", "X'c0'"),
}
PRODUCTS: Mapping[str, tuple[Types, str | None]] = {  # types, and one of which source and Spark have no common text
    "mariadb": (MARIADB, "POINT"),
    "postgresql": (POSTGRESQL, "OID"),
    "h2": (H2, None),
}
FLOATS = {
    "mariadb": "single (float), cost (double)",
    "postgresql": "single (real), cost (double precision), halves (double precision)",
    "h2": "single (real), cost (double precision), halves (double precision)",
}


def bucket(number: int) -> int:
    return int(hashlib.md5(f"{number}\x1f".encode()).hexdigest()[:8], 16) % 256


def apart(count: int) -> list[int]:
    """Numbers of which each lies in a bucket of its own, so that one change cannot fetch another, nor the two rows that stay as they are."""
    found = {bucket(number): number for number in range(999, 0, -1)}
    return sorted(number for place, number in found.items() if place not in (bucket(1001), bucket(1002)))[:count]


@dataclass
class Source:
    """An empty database of a product, and the lakehouse that loads its table of notes."""

    mini: Mini
    table: str
    execute: Callable[..., object]


@pytest.fixture
def source(product: str, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest) -> Source:
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": PLAIN_CONTRACT})
    if product == "h2":
        made = Source(mini, "notes", lambda *statements: mini.sql(*statements, database="emr"))
        mini.connections = {"emr": {**mini.h2("emr"), "schemas": {"dbo": None}}}
    else:
        server: Server = request.getfixturevalue(f"{product}_server")
        server.make_database("seen")
        made = Source(mini, server.qualified("notes"), lambda *statements: server.execute(";\n".join(statements) + ";", "seen"))
        mini.connections = {"emr": connection_to(server, "seen", tmp_path)}
    mini.write()
    return made


def compared(mini: Mini) -> LoadLog:
    ended = mini.run(layers=("bronze",), reconcile=("hos-a.notes",))
    assert ended.code == 0, ended.said
    return ended.log("reconcile", "hosa_notes")


@pytest.mark.parametrize("product", PRODUCTS)
def test_I34_a_change_of_any_type_is_found_and_equal_tables_have_no_drift(product: str, source: Source) -> None:
    types, strange = PRODUCTS[product]
    mini, execute, table = source.mini, source.execute, source.table
    numbers = dict(zip(types, apart(len(types)), strict=True))
    declared = ", ".join(f"{name} {kind}" for name, (kind, _, _) in types.items())
    values = ", ".join(value for _, value, _ in types.values())
    rows = [f"({number}, 'x', '2026-01-01 00:00:00', {values})" for number in numbers.values()]
    rows += [f"(1001, NULL, '2026-01-01 00:00:00', {', '.join('NULL' for _ in types)})", f"(1002, 'last', '2026-01-05 00:00:00', {values})"]
    moment = "DATETIME(6)" if product == "mariadb" else "TIMESTAMP(6)"
    execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, content VARCHAR(20), changed {moment}, {declared})", f"INSERT INTO {table} VALUES {', '.join(rows)}")
    if strange:
        execute(f"ALTER TABLE {table} ADD COLUMN strange {strange}")
    first = mini.run(layers=("bronze",))
    assert first.code == 0, first.said

    equal = compared(mini)
    assert (equal.rows_read, equal.rows_written) == (0, 0), equal.message
    told = f"; not compared: strange ({strange.lower()})" if strange else ""
    told += f"; compared in hundredths: {FLOATS[product]}"
    assert equal.message == f"compared with the source: 0 missed, 0 changed without a new watermark, 0 deleted{told}"

    execute(*[f"UPDATE {table} SET {name} = {types[name][2]} WHERE id = {number}" for name, number in numbers.items()])
    found = compared(mini)
    changed = {number for (number,) in mini.rows("bronze.hosa_notes", "id", where="array_contains(_flags, 'reconciled')")}
    assert [name for name, number in numbers.items() if number not in changed] == []
    assert (found.rows_read, found.rows_written) == (len(types), len(types)), found.message

    again = compared(mini)
    assert (again.rows_read, again.rows_written) == (0, 0), again.message


def test_I34_one_deleted_row_reads_one_bucket_whatever_the_type_of_the_key(spark: SparkSession, tmp_path: Path, postgresql_server: Server) -> None:
    keys = {
        "idents": "md5(i::text)::uuid",
        "instants": "TIMESTAMPTZ '2020-01-01' + i * interval '1 hour'",
        "codes": "lpad(i::text, 9)::char(12)",
        "raws": "md5(i::text)::bytea",
    }
    postgresql_server.make_database("seen")
    for table, key in keys.items():
        # Many columns: some products' CONCAT takes no more than 100 texts.
        many = ", ".join(f"i AS c{n}" for n in range(110))
        query = f"SELECT {key} AS id, 'x' AS content, TIMESTAMP(6) '2026-01-01' AS changed, {many} FROM generate_series(1, 100) i"
        postgresql_server.execute(f"CREATE TABLE dbo.{table} AS {query};", "seen")
    contract = {**PLAIN_CONTRACT, "sources": [{**PLAIN_CONTRACT["sources"][0], "tables": list(keys)}]}
    mini = Mini(spark, tmp_path, [f"emr,hos-a,dbo.{table},Incremental,changed,1,hosa" for table in keys], own_contracts={"note": contract})
    mini.connections = {"emr": connection_to(postgresql_server, "seen", tmp_path)}
    mini.write()
    assert mini.run(layers=("bronze",)).code == 0
    for table, key in keys.items():
        postgresql_server.execute(f"DELETE FROM dbo.{table} WHERE id = (SELECT {key} FROM (SELECT 7 AS i) one);", "seen")

    ended = mini.run(layers=("bronze",), reconcile=tuple(f"hos-a.{table}" for table in keys))

    assert ended.code == 0, ended.said
    logs = {table: ended.log("reconcile", f"hosa_{table}") for table in keys}
    assert {table: log.rows_written for table, log in logs.items()} == dict.fromkeys(keys, 1)
    assert {table: log.rows_read for table, log in logs.items() if log.rows_read is None or log.rows_read > 5} == {}
