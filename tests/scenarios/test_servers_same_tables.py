"""Two hospitals on H2, MariaDB and PostgreSQL, day 1 and day 2: the same tables row by row, and the source's own rows and cents.

One lakehouse a product, all with one salt (personal keys are made from it) and one frozen clock; every layer is kept after each day and compared.
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from harness import PROJECT
from rcm_lakehouse.bronze.lineage import VOLATILE
from rcm_lakehouse.demo.make import make_demo
from rcm_lakehouse.demo.tables import DATABASES, HOSPITALS
from rcm_lakehouse.demo.targets import Target
from rcm_lakehouse.demo.truth import TableTruth, truth
from rcm_lakehouse.lake.names import folded_sql
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.runner import run_pipeline
from servers import Server, connection_to

SEED, SIZE, TODAY = 7, "tiny", date(2026, 3, 10)
PRODUCTS = ("h2", "mariadb", "postgresql")
CLOCKS = {1: "2026-03-10T18:00:00Z", 2: "2026-03-11T18:00:00Z"}
AMOUNTS = ("data_source", "transaction_key", "charge_amount", "paid_amount")
Sums = dict[str, TableTruth]

pytestmark = pytest.mark.timeout(1800)  # three products, two days: six runs of the whole pipeline


@dataclass
class Lakehouse:
    """The lakehouse of one product: its sources, its runs, and what its tables held after each day."""

    spark: SparkSession
    home: Path
    server: Server | None
    rows: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    sums: dict[int, dict[str, Sums]] = field(default_factory=dict)

    def prepare(self, salt: Path | None) -> None:
        shutil.copytree(PROJECT / "conf", self.home / "conf")
        shutil.copy(PROJECT / "load_config.csv", self.home)
        if salt is not None:
            shutil.copytree(salt, self.home / "lakehouse" / "silver" / "_salt")
        if self.server is None:
            return
        place = self.home / "conf" / "connections.yml"
        connections = yaml.safe_load(place.read_text())
        for database in DATABASES.values():
            kept = {key: connections[database][key] for key in ("time_zone", "tables") if key in connections[database]}
            connections[database] = {**connection_to(self.server, database, self.home), **kept}
        place.write_text(yaml.safe_dump(connections))

    def live_through(self, day: int) -> None:
        make_demo(self.home, day=day, size=SIZE, seed=SEED, target=self.server.target if self.server else Target(), today=TODAY)
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RCM_TEST_NOW", CLOCKS[day])
            ended = run_pipeline(self.home, "local", RunOptions(as_of=TODAY, threads=2), Console(file=said, width=200))
        assert ended.code == 0, said.getvalue()
        self.rows[day] = {f"{layer}.{name}": content(self.read(layer, name)) for layer in ("silver", "quarantine", "gold") for name in self.tables(layer)}
        current = self.read("silver", "transaction").where("is_current")
        self.sums[day] = {
            "bronze": self.bronze_sums(),
            "silver": sums(current.select(*AMOUNTS, "effective_from")),
            "silver and quarantine": sums(current.select(*AMOUNTS, "effective_from").union(self.waiting())),
            "gold": sums(self.read("gold", "fact_transactions").select(*AMOUNTS, F.lit(0))),
        }

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
    """Lakehouses by product, as far as they were asked for."""
    return {}


@pytest.fixture
def lakehouse(
    product: str, made: dict[str, Lakehouse], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Lakehouse:
    """The lakehouse of a product after both days, made when it is first asked for; that of H2 comes before all others."""
    for name in dict.fromkeys(("h2", product)):
        if name not in made:
            server = None if name == "h2" else request.getfixturevalue(f"{name}_server")
            made[name] = Lakehouse(spark, tmp_path_factory.mktemp(name), server)
            made[name].prepare(None if name == "h2" else made["h2"].home / "lakehouse" / "silver" / "_salt")
            made[name].live_through(1)
            made[name].live_through(2)
    return made[product]


@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("product", PRODUCTS)
def test_rows_and_cents_tie_out_from_the_source_to_gold(product: str, day: int, lakehouse: Lakehouse) -> None:
    held = truth(SEED, SIZE, TODAY, day)
    source = {code: held[code]["transactions"] for code in HOSPITALS}
    layers = lakehouse.sums[day]
    assert layers["bronze"] == source
    assert layers["silver and quarantine"] == source
    assert layers["gold"] == layers["silver"]


@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("product", ["mariadb", "postgresql"])
def test_a_server_gives_the_tables_that_the_embedded_database_gives(product: str, day: int, lakehouse: Lakehouse, made: dict[str, Lakehouse]) -> None:
    expected, found = made["h2"].rows[day], lakehouse.rows[day]
    assert sum(map(len, expected.values())) > 4_000
    assert list(found) == list(expected)
    differing = {name: [one for one in zip(expected[name], found[name], strict=False) if one[0] != one[1]][:2] for name in expected}
    assert {name: rows for name, rows in differing.items() if rows} == {}
    assert {name: len(rows) for name, rows in found.items()} == {name: len(rows) for name, rows in expected.items()}


@pytest.mark.parametrize("product", ["mariadb", "postgresql"])
def test_the_source_itself_holds_what_bronze_holds(product: str, lakehouse: Lakehouse) -> None:
    assert lakehouse.server is not None
    wide = {"mariadb": "DECIMAL(30,12)", "postgresql": "numeric"}[product]
    table = {"mariadb": "transactions", "postgresql": "dbo.transactions"}[product]
    amounts = ", ".join(f"CAST(SUM(ROUND(CAST({name} AS {wide}), 2)) * 100 AS DECIMAL(30,0))" for name in ("Amount", "PaidAmount"))
    asked: Sums = {}
    for code, database in DATABASES.items():
        count, charge, paid = map(int, lakehouse.server.execute(f"SELECT COUNT(*), {amounts} FROM {table};", database).split())
        asked[code] = TableTruth(rows=count, charge_cents=charge, paid_cents=paid)
    assert asked == lakehouse.sums[2]["bronze"]
