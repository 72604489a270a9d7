"""Two hospitals on H2, MariaDB and PostgreSQL, day 1 and day 2: the same tables row by row, and the source's own rows and cents.

Lakehouses with one salt (personal keys are made from it) and one frozen clock; silver and quarantine are kept after each day, gold after day 2, and
compared. The ordinary suite has one hospital on MariaDB and the other on PostgreSQL; `make soak` has both on each.
"""

import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from harness import PROJECT
from rcm_lakehouse.bronze.lineage import VOLATILE
from rcm_lakehouse.config.load import load_settings
from rcm_lakehouse.demo.make import make_demo
from rcm_lakehouse.demo.tables import DATABASES, HOSPITALS
from rcm_lakehouse.demo.targets import Target
from rcm_lakehouse.demo.truth import TableTruth, truth
from rcm_lakehouse.lake.names import folded_sql, register_all
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.runner import run_pipeline
from servers import Server, connection_to

SEED, SIZE, TODAY = 7, "tiny", date(2026, 3, 10)
PLACES = {  # case: where hospital A and hospital B are
    "embedded": ("h2", "h2"),
    "one on each server": ("mariadb", "postgresql"),
    "both on MariaDB": ("mariadb", "mariadb"),
    "both on PostgreSQL": ("postgresql", "postgresql"),
}
SERVED = [
    "one on each server",
    pytest.param("both on MariaDB", marks=pytest.mark.slow),
    pytest.param("both on PostgreSQL", marks=pytest.mark.slow),
]
CLOCKS = {1: "2026-03-10T18:00:00Z", 2: "2026-03-11T18:00:00Z"}
AMOUNTS = ("data_source", "transaction_key", "charge_amount", "paid_amount")
Sums = dict[str, TableTruth]

pytestmark = [pytest.mark.wide, pytest.mark.timeout(1800)]  # two lakehouses, two days: four runs of the pipeline


@dataclass
class Lakehouse:
    """A lakehouse, where its hospitals are, its runs, and what its tables held after each day."""

    spark: SparkSession
    home: Path
    servers: dict[str, Server]
    rows: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    sums: dict[int, dict[str, Sums]] = field(default_factory=dict)

    def prepare(self, salt: Path | None) -> None:
        shutil.copytree(PROJECT / "conf", self.home / "conf")
        shutil.copy(PROJECT / "load_config.csv", self.home)
        if salt is not None:
            shutil.copytree(salt, self.home / "lakehouse" / "silver" / "_salt")
        place = self.home / "conf" / "connections.yml"
        connections = yaml.safe_load(place.read_text())
        for code, server in self.servers.items():
            database = DATABASES[code]
            kept = {key: connections[database][key] for key in ("time_zone", "tables") if key in connections[database]}
            # The end of a snapshot's window is its versions' start: it settles as long here as there.
            settle = connections[database].get("settle_seconds", 60)
            connections[database] = {**connection_to(server, database, self.home), "settle_seconds": settle, **kept}
        place.write_text(yaml.safe_dump(connections))

    def make(self, day: int) -> None:
        """Both hospitals on each of the lakehouse's servers; the files that are landed are those of the first making."""
        targets = dict.fromkeys(server.target for server in self.servers.values()) or {Target(): None}
        for number, target in enumerate(targets):
            home = self.home if number == 0 else self.home / f"other{number}"
            make_demo(home, day=day, size=SIZE, seed=SEED, target=target, today=TODAY)
        # Landed before the frozen clock's time: a file of its future would be taken for one that is still being written.
        landed = datetime.fromisoformat(CLOCKS[day].replace("Z", "+00:00")).timestamp() - 3600
        for path in (self.home / "lakehouse" / "demo" / "landing").rglob("*.csv"):
            os.utime(path, (landed, landed))

    def live_through(self, day: int) -> None:
        self.make(day)
        layers = ("bronze", "silver") if day == 1 else ("bronze", "silver", "gold")
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RCM_TEST_NOW", CLOCKS[day])
            ended = run_pipeline(self.home, "local", RunOptions(as_of=TODAY, threads=2, layers=layers), Console(file=said, width=200))
        assert ended.code == 0, said.getvalue()
        assert "WAITING" not in said.getvalue()
        self.rows[day] = {f"{layer}.{name}": content(self.read(layer, name)) for layer in ("quarantine", *layers[1:]) for name in self.tables(layer)}
        current = self.read("silver", "transaction").where("is_current")
        self.sums[day] = {
            "bronze": self.bronze_sums(),
            "silver": sums(current.select(*AMOUNTS, "effective_from")),
            "silver and quarantine": sums(current.select(*AMOUNTS, "effective_from").union(self.waiting())),
        }
        if day == 2:
            self.sums[day]["gold"] = sums(self.read("gold", "fact_transactions").select(*AMOUNTS, F.lit(0)))

    def tables(self, layer: str) -> Iterator[str]:
        for path in sorted((self.home / "lakehouse" / layer).iterdir()):
            if (path / "_delta_log").is_dir() and path.name != "_salt":
                yield path.name

    def read(self, layer: str, name: str) -> DataFrame:
        return self.spark.read.format("delta").load(str(self.home / "lakehouse" / layer / name))

    def bronze_sums(self) -> Sums:
        """The newest bronze row of each transaction."""
        found: Sums = {}
        for code in HOSPITALS:
            rows = self.read(f"bronze/{code.replace('-', '')}", "transactions")
            found |= sums(rows.select(F.lit(code), "TransactionID", "Amount", "PaidAmount", "_batch_seq"))
        return found

    def waiting(self) -> DataFrame:
        """Transactions in open quarantine, with the amounts of their raw rows."""
        events = self.home / "lakehouse" / "quarantine" / "transaction"
        open_rows = self.spark.sql(f"SELECT * FROM ({folded_sql(f'delta.`{events}`')}) WHERE status = 'open'")
        raw = [F.get_json_object("raw_row", f"$.{name}").cast("double") for name in ("Amount", "PaidAmount")]
        return open_rows.select("data_source", "entity_key", *raw, "sequence_at")


def sums(rows: DataFrame) -> Sums:
    """Rows and cents by hospital of (hospital, key, charge, payment, order): the last row of each key, each amount rounded half up."""
    newest = rows.toDF("hospital", "key", "charge", "paid", "at").groupBy("hospital", "key").agg(F.max_by(F.struct("charge", "paid"), "at").alias("last"))
    amounts = [F.sum(F.round(F.col(f"last.{name}").cast("string").cast("decimal(38,12)"), 2) * 100).cast("bigint") for name in ("charge", "paid")]
    found = newest.groupBy("hospital").agg(F.count(F.lit(1)), *amounts).collect()
    return {hospital: TableTruth(rows=count, charge_cents=charge, paid_cents=paid) for hospital, count, charge, paid in found}


def content(rows: DataFrame) -> list[str]:
    """Every row of a table as sorted JSON, without volatile columns."""
    kept = rows.select(*[name for name in rows.columns if name not in VOLATILE])
    return sorted(json.dumps(row.asDict(recursive=True), sort_keys=True, default=str) for row in kept.collect())


@pytest.fixture(scope="module")
def made() -> dict[str, Lakehouse]:
    """Lakehouses by case, as far as they were asked for."""
    return {}


@pytest.fixture
def lakehouse(
    places: str, made: dict[str, Lakehouse], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Lakehouse:
    """The lakehouse of a case after both days, made when it is first asked for; the embedded one comes before all others."""
    for case in dict.fromkeys(("embedded", places)):
        if case not in made:
            products = dict(zip(HOSPITALS, PLACES[case], strict=True))
            servers = {code: request.getfixturevalue(f"{product}_server") for code, product in products.items() if product != "h2"}
            made[case] = Lakehouse(spark, tmp_path_factory.mktemp("lakehouse"), servers)
            made[case].prepare(made["embedded"].home / "lakehouse" / "silver" / "_salt" if case != "embedded" else None)
            made[case].live_through(1)
            made[case].live_through(2)
    return made[places]


@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("places", ["embedded", *SERVED])
def test_rows_and_cents_tie_out_from_the_source_to_gold(places: str, day: int, lakehouse: Lakehouse) -> None:
    held = truth(SEED, SIZE, TODAY, day)
    source = {code: held[code]["transactions"] for code in HOSPITALS}
    layers = lakehouse.sums[day]
    assert layers["bronze"] == source
    assert layers["silver and quarantine"] == source
    assert day == 1 or layers["gold"] == layers["silver"]


@pytest.mark.parametrize("places", ["embedded"])
def test_the_query_of_the_readme_ties_out_to_what_the_sources_hold(places: str, lakehouse: Lakehouse) -> None:
    held = truth(SEED, SIZE, TODAY, 2)
    query = re.search(r"<!-- tie-out -->\s*```sql\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert query is not None
    register_all(lakehouse.spark, load_settings(lakehouse.home, "local"), lakehouse.home)
    rows = lakehouse.spark.sql(query[1]).collect()
    assert lakehouse.spark.table("quarantine.transaction_rows").where("status = 'open'").count() > 0, "what waits is part of the sums"
    found = {(row[0], row[1]): TableTruth(rows=row[2], charge_cents=int(row[3] * 100), paid_cents=int(row[4] * 100)) for row in rows}
    layers = ("bronze", "silver + quarantine", "gold + quarantine")
    assert found == {(layer, code): held[code]["transactions"] for layer in layers for code in HOSPITALS}
    assert [row["without_an_amount"] for row in rows] == [0] * len(rows), "the sums leave nothing out"


@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("places", SERVED)
def test_a_server_gives_the_tables_that_the_embedded_database_gives(places: str, day: int, lakehouse: Lakehouse, made: dict[str, Lakehouse]) -> None:
    expected, found = made["embedded"].rows[day], lakehouse.rows[day]
    assert sum(map(len, expected.values())) > 1_500
    assert list(found) == list(expected)
    differing = {name: [one for one in zip(expected[name], found[name], strict=False) if one[0] != one[1]][:2] for name in expected}
    assert {name: rows for name, rows in differing.items() if rows} == {}
    assert {name: len(rows) for name, rows in found.items()} == {name: len(rows) for name, rows in expected.items()}


@pytest.mark.parametrize("places", SERVED)
def test_the_source_itself_holds_what_bronze_holds(places: str, lakehouse: Lakehouse) -> None:
    asked: Sums = {}
    for code, server in lakehouse.servers.items():
        wide, table = {"mariadb": ("DECIMAL(30,12)", "transactions"), "postgresql": ("numeric", "dbo.transactions")}[server.kind]
        amounts = ", ".join(f"CAST(SUM(ROUND(CAST({name} AS {wide}), 2)) * 100 AS DECIMAL(30,0))" for name in ("Amount", "PaidAmount"))
        count, charge, paid = map(int, server.execute(f"SELECT COUNT(*), {amounts} FROM {table};", DATABASES[code]).split())
        asked[code] = TableTruth(rows=count, charge_cents=charge, paid_cents=paid)
    assert asked == lakehouse.sums[2]["bronze"]
