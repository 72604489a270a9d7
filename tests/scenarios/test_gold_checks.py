"""What a model's header promises is judged when it is built: its totals, also of silver that it does not read itself, and its key."""


from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import full, visit_contract

pytestmark = pytest.mark.wide

HEADER = "/*\ngrain: one {key}\ndescription: Visits.\nkey: [{key}]\n{ties}*/\n"
VISITS = "SELECT visit_key, state, data_source FROM silver.visit WHERE is_current\n"
STATES = "SELECT state, count(*) AS visits FROM gold.visits GROUP BY state\n"


def model(mini: Mini, name: str, sql: str, *, key: str, ties: str | None = None) -> None:
    header = HEADER.format(key=key, ties=f"ties_out: {{{ties}}}\n" if ties else "")
    (mini.home / "conf" / "gold" / f"{name}.sql").write_text(header + sql)


def gold(mini: Mini, *only: str) -> Ended:
    return mini.run(now="2026-01-25T13:00:00Z", layers=("gold",), only=only)


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Three visits in two states, and two models that are right."""
    made = Mini(spark, tmp_path_factory.mktemp("checks"), [full("visits")], own_contracts={"visit": visit_contract(["visits"])})
    made.connections = {"hospital-a": made.h2()}
    made.write()
    model(made, "visits", VISITS, key="visit_key", ties="rows: silver.visit")
    model(made, "states", STATES, key="state", ties="rows: silver.visit")
    made.sql("CREATE TABLE visits (VisitID VARCHAR(9), State VARCHAR(9))", "INSERT INTO visits VALUES ('V1', 'open'), ('V2', 'open'), ('V3', 'closed')")
    return made


def test_a_model_ties_out_to_silver_that_it_does_not_read_also_when_it_is_built_alone(mini: Mini) -> None:
    assert mini.run(now="2026-01-25T12:00:00Z").code == 4
    ended = gold(mini, "states")
    assert ended.code == 4, ended.said
    assert ended.log("gold", "states").message == (
        "gold.states does not tie out to silver (tie_rows: silver 3, gold 2). The table was not replaced. See conf/gold/states.sql."
    )
    model(mini, "states", STATES, key="state")
    assert gold(mini, "states").code == 0
    assert mini.rows("gold.states", "state", "visits") == [("closed", 1), ("open", 2)]


def test_a_tie_out_that_is_added_to_a_model_that_was_built_is_judged_by_the_next_run(mini: Mini) -> None:
    assert gold(mini, "states").log("gold", "states").status == "NOOP"
    model(mini, "states", STATES, key="state", ties="rows: silver.visit")
    ended = gold(mini, "states")
    assert (ended.code, ended.log("gold", "states").status) == (4, "FAILED")


def test_a_model_in_which_two_rows_share_the_key_stops_and_keeps_its_table(mini: Mini) -> None:
    assert gold(mini, "visits").code == 0
    model(mini, "visits", VISITS, key="data_source, state", ties="rows: silver.visit")
    ended = gold(mini, "visits")
    assert ended.code == 4, ended.said
    assert ended.log("gold", "visits").message == (
        "gold.visits: 1 values of its key (data_source, state) are in several rows. The table was not replaced. See conf/gold/visits.sql."
    )
    assert len(mini.rows("gold.visits", "visit_key")) == 3


@pytest.mark.deep
def test_a_model_follows_the_entity_it_ties_out_to_though_it_does_not_read_it(spark: SparkSession, tmp_path: Path) -> None:
    own = {"visit": visit_contract(["visits"]), "stay": visit_contract(["stays"], after=["visit"])}
    made = Mini(spark, tmp_path, [full("visits"), full("stays")], own_contracts=own)
    made.connections = {"hospital-a": made.h2()}
    made.write()
    model(made, "visits", VISITS, key="visit_key", ties="rows: silver.stay")
    made.sql(*[f"CREATE TABLE {table} (VisitID VARCHAR(9), State VARCHAR(9))" for table in ("visits", "stays")])
    found = []
    for number, tables in enumerate((("visits", "stays"), ("stays",), ("visits",), ("visits", "stays"))):
        made.sql(*[f"INSERT INTO {table} VALUES ('V{number}', 'open')" for table in tables])
        ended = made.run(now=f"2026-01-2{number}T12:00:00Z")
        found.append((ended.code, ended.log("gold", "visits").status))
    assert found == [(0, "SUCCESS"), (4, "FAILED"), (0, "SUCCESS"), (0, "SUCCESS")]
