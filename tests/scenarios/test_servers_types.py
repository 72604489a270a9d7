"""What real servers hold and what bronze holds after one load: a table of trap types on each product, compared value by value."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from servers import PLAIN_CONTRACT, Server, connection_to

pytestmark = pytest.mark.wide

at = dt.datetime.fromisoformat
WIDE = "12345678901234567890123456789012345.000000000000000000000000000001"
BARE = "12345678901234567890123.1234567890123456789012345"

MARIADB_TRAPS = {  # column: (declared type, value as SQL, value in bronze)
    "id": ("INT PRIMARY KEY", "1", 1),
    "tiny": ("TINYINT(1)", "2", 2),
    "bits": ("BIT(8)", "b'00000101'", 5),
    "flag": ("BIT(1)", "b'1'", 1),
    "a_year": ("YEAR", "2024", "2024"),
    "a_time": ("TIME", "'31:15:00'", "31:15:00"),
    "wide": ("DECIMAL(65,30)", f"'{WIDE}'", WIDE),
    "money": ("DECIMAL(18,2)", "'988.37'", Decimal("988.37")),
    "large": ("BIGINT UNSIGNED", "18446744073709551615", Decimal(18446744073709551615)),
    "whole": ("INT UNSIGNED", "4294967295", 4294967295),
    "document": ("JSON", """'{"a": "é"}'""", '{"a": "é"}'),
    "choice": ("ENUM('Approved', 'Denied')", "'Denied'", "Denied"),
    "fixed": ("CHAR(10)", "'short'", "short"),
    "several": ("SET('x', 'y', 'z')", "'x,z'", "x,z"),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", "'Müller'", "Müller"),
    "bare_day": ("DATE", "'2024-02-29'", dt.date(2024, 2, 29)),
    "single": ("FLOAT", "988.37", 988.3699951171875),
    "at_second": ("DATETIME(0)", "'2024-03-10 02:30:00'", at("2024-03-10 02:30:00")),
    "instant": ("TIMESTAMP(6) NULL", "'2024-07-01 12:00:00.000001'", at("2024-07-01 12:00:00.000001")),
    "changed": ("DATETIME(6)", "'2024-03-10 02:30:00.123456'", at("2024-03-10 02:30:00.123456")),
}
POSTGRESQL_TRAPS = {
    "id": ("INT PRIMARY KEY", "1", 1),
    "Mixed Case": ("TEXT", "'kept'", "kept"),  # Delta takes no blank in a name
    "MixedCase": ("TEXT", "'kept too'", "kept too"),
    "bare_numeric": ("NUMERIC", f"'{BARE}'", BARE),
    "wide": ("NUMERIC(60,25)", f"'{BARE}'", BARE),
    "amount": ("NUMERIC(18,2)", "'988.37'", Decimal("988.37")),
    "price": ("MONEY", "'$1,234.56'", Decimal("1234.56")),
    "instant": ("TIMESTAMPTZ", "'2024-07-01 08:00:00.000001-04'", at("2024-07-01 12:00:00.000001")),
    "without_end": ("TIMESTAMP", "'infinity'", at("9999-12-31 23:59:59.999000")),
    "last_day": ("DATE", "'infinity'", dt.date(9999, 12, 31)),
    "ident": ("UUID", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    "document": ("JSONB", f"""'{{"text": "{"x" * 300}"}}'""", f'{{"text": "{"x" * 300}"}}'),
    "a_time": ("TIME", "'23:15:00.5'", "23:15:00.5"),
    "bits": ("BIT(8)", "B'00000101'", "00000101"),
    "single": ("REAL", "988.37", 988.3699951171875),
    "fixed": ("CHAR(10)", "'short'", "short"),
    "yes": ("BOOLEAN", "true", True),
    "changed": ("TIMESTAMP(6)", "'2024-03-10 02:30:00.123456'", at("2024-03-10 02:30:00.123456")),
}
TRAPS: Mapping[str, Mapping[str, Sequence[Any]]] = {"mariadb": MARIADB_TRAPS, "postgresql": POSTGRESQL_TRAPS}


@pytest.mark.parametrize("product", ["mariadb", "postgresql"])
def test_every_type_of_a_source_reaches_bronze_with_its_value(product: str, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(f"{product}_server")
    traps = TRAPS[product]
    quoted = {name: f"`{name}`" if product == "mariadb" else f'"{name}"' for name in traps}
    columns = ", ".join(f"{quoted[name]} {declared}" for name, (declared, _, _) in traps.items())
    table = f"{server.qualified('Traps')}"
    server.make_database("types")
    server.execute(f"CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES ({', '.join(value for _, value, _ in traps.values())});", "types")
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.traps,Incremental,changed,1,hosa"], own_contracts={"note": PLAIN_CONTRACT})
    mini.connections = {"emr": connection_to(server, "types", tmp_path)}
    mini.write()

    ended = mini.run(layers=("bronze",))

    assert ended.code == 0, ended.said
    (row,) = mini.frame("bronze.hosa_traps").collect()
    assert {name: row[name.replace(" ", "_")] for name in traps} == {name: expected for name, (_, _, expected) in traps.items()}
    assert ended.log("bronze", "hosa_traps").watermark_after == "2024-03-10 02:30:00.123456"


@pytest.mark.deep
@pytest.mark.parametrize("product", ["mariadb", "postgresql"])
def test_instants_keep_their_order_through_the_hour_that_the_local_clock_repeats(
    product: str, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"{product}_server")
    table = server.qualified("notes")
    declared, zone = {"mariadb": ("TIMESTAMP(6) NULL", ""), "postgresql": ("TIMESTAMPTZ", "+00")}[product]
    server.make_database("types")
    server.execute(
        f"CREATE TABLE {table} (id INT PRIMARY KEY, content VARCHAR(9), changed {declared}); INSERT INTO {table} VALUES "
        f"(1, 'daylight', '2024-11-03 05:30:00{zone}'), (2, 'standard', '2024-11-03 06:30:00{zone}');",
        "types",
    )
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": PLAIN_CONTRACT})
    mini.connections = {"emr": connection_to(server, "types", tmp_path, time_zone="America/New_York")}
    mini.write()

    ended = mini.run(layers=("bronze", "silver"))

    assert ended.code == 0, ended.said
    local = at("2024-11-03 01:30:00")
    assert mini.rows("silver.note", "content", "effective_from", "changed_at") == [
        ("daylight", at("2024-11-03 05:30:00"), local),
        ("standard", at("2024-11-03 06:30:00"), local),
    ]
    assert ended.log("bronze", "hosa_notes").watermark_after == "2024-11-03 06:30:00.000000"


def test_days_that_are_none_wait_in_quarantine_and_are_no_missing_value(spark: SparkSession, tmp_path: Path, mariadb_server: Server) -> None:
    mariadb_server.make_database("types")
    insert = "SET sql_mode = 'ALLOW_INVALID_DATES'; INSERT INTO notes VALUES"
    mariadb_server.execute("CREATE TABLE notes (id INT PRIMARY KEY, content VARCHAR(20), changed DATETIME(6), born DATE);", "types")
    mariadb_server.execute(
        f"{insert} (1, 'sound', '2024-01-01', '1960-02-29'), (2, 'no day', '2024-01-02', '0000-00-00'), (3, 'no month', '2024-01-03', '1960-00-15'), "
        "(7, 'no such day', '2024-01-03 10:00', '2023-02-29'), (8, 'no such day', '2024-01-03 10:00', '2023-04-31'), (4, 'no birth date', '2024-01-04', NULL);",
        "types",
    )
    born = {"name": "born", "type": "date", "description": "a day"}
    contract = {**PLAIN_CONTRACT, "columns": [*PLAIN_CONTRACT["columns"], born]}
    contract["sources"] = [{**PLAIN_CONTRACT["sources"][0], "columns": {**PLAIN_CONTRACT["sources"][0]["columns"], "born": "born"}}]
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": contract})
    mini.connections = {"emr": connection_to(mariadb_server, "types", tmp_path, tables={"notes": {"null_watermark": "exclude"}})}
    mini.write()

    first = mini.run(layers=("bronze", "silver"))

    assert first.code == 0, first.said
    assert mini.rows("silver.note", "content", "born") == [("no birth date", None), ("sound", dt.date(1960, 2, 29))]
    assert mini.rows("quarantine.note", "entity_key", "reasons.columns") == [(f"hos-a|{number}", ["born"]) for number in (2, 3, 7, 8)]
    assert first.log("bronze", "hosa_notes").watermark_after == "2024-01-04 00:00:00.000000"

    mariadb_server.execute(f"{insert} (5, 'no time', '0000-00-00 00:00:00', NULL), (6, 'sound', '2024-01-05', NULL);", "types")
    second = mini.run(layers=("bronze",)).log("bronze", "hosa_notes")
    assert (second.rows_written, second.rows_dropped) == (1, 1)

    # Mended without a new time, a missing day is another than a day that is none: a comparison finds it, and so does a full refresh.
    mariadb_server.execute("UPDATE notes SET born = NULL WHERE id = 2;", "types")
    compared = mini.run(layers=("bronze", "silver"), reconcile=("hos-a.notes",))
    told = compared.log("reconcile", "hosa_notes").message
    assert told is not None
    assert told.startswith("compared with the source: 0 missed, 1 changed without a new watermark, 0 deleted"), told
    mariadb_server.execute("UPDATE notes SET born = NULL WHERE id = 3;", "types")
    refreshed = mini.run(layers=("bronze", "silver"), full_refresh=("hos-a.notes",))
    assert refreshed.log("bronze", "hosa_notes").rows_written == 1
    assert mini.rows("silver.note", "note_key", "born", where="is_current AND note_key IN ('hos-a|2', 'hos-a|3')") == [("hos-a|2", None), ("hos-a|3", None)]


@pytest.mark.deep
def test_a_real_time_of_long_ago_is_loaded_once_and_a_time_that_is_none_is_met_each_time(spark: SparkSession, tmp_path: Path, mariadb_server: Server) -> None:
    mariadb_server.make_database("types")
    mariadb_server.execute("CREATE TABLE notes (id INT PRIMARY KEY, content VARCHAR(20), changed DATETIME(6));", "types")
    rows = "(1, 'sound', '2024-01-01'), (2, 'long ago', '0001-01-01'), (3, 'older than any', '0999-12-31 23:59:59'), (4, 'no time', '0000-00-00')"
    mariadb_server.execute(f"SET sql_mode = 'ALLOW_INVALID_DATES'; INSERT INTO notes VALUES {rows};", "types")
    mini = Mini(spark, tmp_path, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": PLAIN_CONTRACT})
    mini.connections = {"emr": connection_to(mariadb_server, "types", tmp_path, tables={"notes": {"null_watermark": "exclude"}})}
    mini.write()
    logs = [mini.run(layers=("bronze",)).log("bronze", "hosa_notes") for _ in range(3)]
    assert [(log.rows_read, log.rows_written, log.rows_duplicate, log.rows_dropped) for log in logs] == [(4, 3, 0, 1), (2, 0, 1, 1), (2, 0, 1, 1)]
    assert mini.commits("bronze.hosa_notes") == 2
    flags = mini.rows("bronze.hosa_notes", "id", "CAST(changed AS STRING)", "_flags", where="id <> 1")
    assert flags == [(2, "0001-01-01 00:00:00", None), (3, "0999-12-31 23:59:59", None)]


def test_F31_a_number_that_is_none_waits_in_quarantine_alone(spark: SparkSession, tmp_path: Path, postgresql_server: Server) -> None:
    """PostgreSQL's decimals may hold NaN, which neither its driver nor Spark's decimals take; a counter of changes may hold it too."""
    postgresql_server.make_database("types")
    odd = '"its ""fee\'s""`"'
    columns = f"id INT PRIMARY KEY, content VARCHAR(20), changed NUMERIC(9,0), fee NUMERIC(12,2), share NUMERIC, {odd} NUMERIC(5,1), until DATE"
    postgresql_server.execute(f"CREATE TABLE notes ({columns});", "types")
    sound = "(1, 'sound', 1, 1.50, 0.125, 'NaN', 'infinity')"
    rows = f"{sound}, (2, 'no fee', 2, 'NaN', 1, 2, NULL), (3, 'no share', 3, 1, 'NaN', 2, NULL), (4, 'no change', 'NaN', 2, 3, 2, NULL)"
    postgresql_server.execute(f"INSERT INTO notes VALUES {rows};", "types")
    numbers = {"fee": "decimal(18,2)", "share": "decimal(18,4)"}
    contract = {
        **PLAIN_CONTRACT,
        "sequence_by": [],
        "columns": [*PLAIN_CONTRACT["columns"], *({"name": name, "type": type_, "description": "a number"} for name, type_ in numbers.items())],
    }
    plain = PLAIN_CONTRACT["sources"][0]
    # A counter of changes is no time.
    own = {name: source for name, source in plain["columns"].items() if source != "changed"}
    contract["sources"] = [{**plain, "columns": {**own, **{name: name for name in numbers}}}]
    mini = Mini(spark, tmp_path, ["emr,hos-a,notes,Incremental,changed,1,hosa"], own_contracts={"note": contract})
    mini.connections = {"emr": connection_to(postgresql_server, "types", tmp_path, tables={"notes": {"null_watermark": "exclude"}})}
    mini.write()

    ended = mini.run(layers=("bronze", "silver"))

    assert ended.code == 0, ended.said
    log = ended.log("bronze", "hosa_notes")
    assert (log.rows_read, log.rows_written, log.rows_dropped, log.watermark_after) == (4, 3, 1, "3")
    assert mini.rows("silver.note", "content", "CAST(fee AS STRING)", "CAST(share AS STRING)") == [("sound", "1.50", "0.1250")]
    assert mini.rows("quarantine.note", "entity_key", "reasons.columns") == [("hos-a|2", ["fee"]), ("hos-a|3", ["share"])]
    assert mini.frame("bronze.hosa_notes").schema["fee"].dataType.simpleString() == "decimal(12,2)"
    assert mini.rows("bronze.hosa_notes", "_flags", "until", where="id = 1") == [(['not_a_number:its_"fee\'s"_', "infinite:until"], dt.date(9999, 12, 31))]
    postgresql_server.execute("INSERT INTO notes VALUES (5, 'later', 4, 3, 3, 3, '-infinity');", "types")
    later = mini.run(layers=("bronze",)).log("bronze", "hosa_notes")
    assert (later.rows_written, later.watermark_after) == (1, "4")
    assert mini.rows("bronze.hosa_notes", "_flags", where="id = 5") == [(["infinite:until"],)]
