"""The accounts of docs/grants on real servers: they read what the work list names and nothing else; what a run costs the source."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from harness import PROJECT, Ended, Mini
from rcm_lakehouse.demo.make import make_demo
from rcm_lakehouse.demo.tables import TABLES
from rcm_lakehouse.demo.truth import truth
from servers import Server, connection_to
from servers_notes import Notes

GRANTS = PROJECT / "docs" / "grants"
READER, PASSWORD = "rcm_reader", "reader-password-canary"
TODAY = date(2026, 3, 10)
ENTITIES = ("department", "provider", "patient", "encounter", "transaction", "payer")


@dataclass(frozen=True)
class Script:
    """A grant script: what every account needs, and the optional right."""

    needed: str
    optional: str


def script(product: str, database: str) -> Script:
    text = (GRANTS / f"{product}.sql").read_text(encoding="utf-8").replace("CHANGE-ME", PASSWORD).replace("hospital_a", database)
    needed, mark, optional = text.partition("-- Optional:")
    assert mark
    return Script(needed, mark + optional)


@pytest.fixture(params=["mariadb", "postgresql"])
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Both hospitals of the demo on a server, and a table that no one granted; the reader is gone afterwards."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    make_demo(tmp_path, day=1, size="tiny", target=server.target, today=TODAY)
    server.execute(f"CREATE TABLE {server.qualified('salaries')} (id INT PRIMARY KEY);", "hospital-a")
    yield server
    drop = {"mariadb": f"DROP USER IF EXISTS '{READER}'@'%';", "postgresql": f"DROP OWNED BY {READER}; DROP ROLE {READER};"}[server.kind]
    server.execute(drop, "hospital-a")


@pytest.mark.slow
def test_the_granted_account_loads_the_work_list_end_to_end_and_can_do_nothing_else(
    hospital: Server, spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grants = script(hospital.kind, "hospital-a")
    hospital.execute(grants.needed, "hospital-a")
    loads = [
        f"hospital-a,hos-a,dbo.{table.name},{'Incremental' if table.watermark else 'Full'},{table.watermark or ''},1,hosa" for table in TABLES["hos-a"].values()
    ]
    mini = Mini(spark, tmp_path, loads, contracts=ENTITIES)
    mini.connections = {"hospital-a": connection_to(hospital, "hospital-a", tmp_path, user=READER, password=PASSWORD)}
    mini.write()

    first = mini.run(layers=("bronze", "silver"))

    assert first.code == 0, first.said
    held = truth(size="tiny", today=TODAY)["hos-a"]
    assert {name: first.log("bronze", f"hosa_{name}").rows_written for name in TABLES["hos-a"]} == {name: held[name]["rows"] for name in TABLES["hos-a"]}
    right = {"mariadb": "PROCESS", "postgresql": "pg_read_all_stats"}[hospital.kind]
    blind = [text for row in first.logs for text in row.warnings if "open transactions cannot be seen" in text]
    assert len(blind) == 1
    assert f"(it lacks {right})" in blind[0]
    reader = hospital.as_account(READER, PASSWORD)
    for refused in (
        f"SELECT * FROM {hospital.qualified('salaries')};",
        f"DELETE FROM {hospital.qualified('departments')};",
        f"UPDATE {hospital.qualified('patients')} SET {'FirstName' if hospital.kind == 'mariadb' else 'firstname'} = 'x';",
    ):
        with pytest.raises(subprocess.CalledProcessError):
            reader.execute(refused, "hospital-a")

    hospital.execute(grants.optional, "hospital-a")
    again = mini.run(layers=("bronze",))

    assert again.code == 0, again.said
    assert [text for row in again.logs for text in row.warnings] == []
    assert PASSWORD not in first.said + again.said + caplog.text + repr(first.logs) + repr(again.logs)


def test_every_grant_script_names_the_tables_of_the_work_list_and_gives_reading_alone() -> None:
    for product in ("mariadb", "postgresql", "sqlserver", "h2"):
        text = (GRANTS / f"{product}.sql").read_text(encoding="utf-8")
        statements = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        for table in TABLES["hos-a"]:
            assert table in statements, (product, table)
        given = {word for found in re.findall(r"GRANT (.+?) (?:ON|TO) ", statements) for word in [found.split(" ON ")[0]]}
        assert given <= {"SELECT", "CONNECT", "USAGE", "PROCESS", "pg_read_all_stats", "VIEW SERVER STATE"}, (product, given)


@pytest.mark.slow
def test_the_account_of_h2_reads_and_can_do_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["hospital-a,hos-a,dbo.departments,Full,,1,hosa"], contracts=["department"])
    columns = "DeptID VARCHAR(20) PRIMARY KEY, Name VARCHAR(60)"
    mini.sql("CREATE SCHEMA dbo", *(f"CREATE TABLE dbo.{table} ({columns})" for table in (*TABLES["hos-a"], "salaries")))
    mini.sql("INSERT INTO dbo.departments VALUES ('D1', 'Cardiology')")
    text = (GRANTS / "h2.sql").read_text(encoding="utf-8").replace("CHANGE-ME", PASSWORD)
    mini.sql(*(statement for statement in text.split(";") if "GRANT" in statement or "CREATE" in statement))
    (tmp_path / "secret").write_text(PASSWORD)
    mini.connections = {"hospital-a": mini.h2(user=READER, password="file:secret")}
    mini.write()
    ended = mini.run(layers=("bronze",))
    assert (ended.code, ended.log("bronze", "hosa_departments").rows_written) == (0, 1), ended.said
    for refused in ("SELECT * FROM dbo.salaries", "DELETE FROM dbo.departments", "CREATE TABLE dbo.own (id INT)"):
        with pytest.raises(Py4JJavaError, match=r"Not enough rights|Admin rights"):
            mini.connect("hospital-a", [refused], user=READER, password=PASSWORD)


ROWS_READ = {
    "mariadb": "SELECT COALESCE(SUM(ROWS_READ), 0) FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = 'notes' AND TABLE_NAME = 'base';",
    "postgresql": "SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'base';",
}


@pytest.mark.parametrize("product", ["mariadb", "postgresql"])
@pytest.mark.slow
def test_an_incremental_load_costs_the_source_the_rows_of_its_window_and_not_those_of_its_table(
    product: str, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"{product}_server")
    notes = Notes(server, spark, tmp_path, table={"overlap_seconds": 0})
    old = {"mariadb": "UTC_TIMESTAMP(6) - INTERVAL id SECOND", "postgresql": "clock_timestamp() AT TIME ZONE 'UTC' - id * interval '1 second'"}[product]
    many = {"mariadb": "SELECT seq AS id FROM seq_10000_to_29999", "postgresql": "SELECT generate_series(10000, 29999) AS id"}[product]
    base = server.qualified("base")
    notes.sql(f"INSERT INTO {base} SELECT id, CONCAT('old ', id), {old} FROM ({many}) many; ANALYZE {'TABLE ' if product == 'mariadb' else ''}{base};")
    if product == "mariadb":
        server.execute("SET GLOBAL userstat = 1;")
    assert written(notes.run()) == 20_000
    notes.add(1, 10)
    for new in (10, 0):
        before = rows_read(notes)
        assert written(notes.run()) == new
        assert rows_read(notes) - before <= 25


def written(ended: Ended) -> int | None:
    (row,) = [row for row in ended.logs if row.layer == "bronze"]
    return row.rows_written


def rows_read(notes: Notes) -> int:
    """Rows that the server has read of the table so far, for whomever; a session's counts are there when it has ended."""
    if notes.server.kind == "postgresql":
        notes.sql("SELECT pg_stat_force_next_flush();")
    return int(notes.sql(ROWS_READ[notes.server.kind]))
