"""What stands in the logs of silver and gold of the columns' values: times and lineage, no day of a person and no number of a hospital."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import full, visit_contract

pytestmark = pytest.mark.wide

LINEAGE = {"_source_table", "_load_id", "_batch_seq"}
# Files of which the log says too much would be found by any of these.
SEEN = ("hos-a|", "TRANS", "1931", "2026-01-07", "4711.50")
HEADER = "/*\ngrain: one visit\ndescription: d\nkey: [visit_key, version]\n*/\n"
VISITS = "SELECT visit_key, version, service_date, CAST(charge_amount AS DECIMAL({digits})) AS charge_amount, data_source FROM silver.visit\n"


@pytest.fixture
def mini(spark: SparkSession, tmp_path: Path) -> Mini:
    """Visits with a day that names a person, and a fact of them."""
    contract = visit_contract(["visits"])
    contract["columns"] += [{"name": "service_date", "type": "date", "phi": "direct"}, {"name": "charge_amount", "type": "decimal(18,2)"}]
    contract["columns"][0]["phi"] = "direct"
    contract["sources"][0]["columns"].update({"service_date": "ServiceDate", "charge_amount": "Amount"})
    made = Mini(spark, tmp_path, [full("visits")], own_contracts={"visit": contract})
    made.connections = {"hospital-a": made.h2()}
    made.write()
    write_model(made, "38, 6")
    made.sql("CREATE TABLE visits (VisitID VARCHAR(20), State VARCHAR(20), ServiceDate DATE, Amount DECIMAL(18,2))")
    made.sql(*[f"INSERT INTO visits VALUES ('TRANS{n:06d}', 'open', '1931-01-07', 4711.50)" for n in range(10)])
    return made


def write_model(mini: Mini, digits: str) -> None:
    (mini.home / "conf" / "gold" / "visits.sql").write_text(HEADER + VISITS.format(digits=digits))


def statistics(mini: Mini, name: str, since: int = 0) -> list[dict[str, Any]]:
    """What the log of a table says of each file that was added from this commit on."""
    logs = sorted((mini.home / "lakehouse" / name.replace(".", "/") / "_delta_log").glob("*.json"))[since:]
    actions = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    return [json.loads(action["add"]["stats"]) for action in actions if "add" in action]


def columns(found: list[dict[str, Any]]) -> set[str]:
    assert found, "files were added"
    assert all(statistic["numRecords"] for statistic in found)
    return {name for statistic in found for kind in ("minValues", "maxValues", "nullCount") for name in statistic.get(kind, {})}


def test_logs_keep_no_least_and_greatest_value_of_a_day_a_key_or_an_amount_and_tables_of_earlier_releases_follow(mini: Mini) -> None:
    assert mini.run(now="2026-01-20T12:00:00Z").code == 0
    mini.sql("DELETE FROM visits WHERE VisitID = 'TRANS000009'")
    assert mini.run(now="2026-01-21T12:00:00Z").code == 0
    assert columns(statistics(mini, "silver.visit")) == {"effective_from", "effective_to", *LINEAGE}
    assert columns(statistics(mini, "silver.visit_tombstones")) == {"deleted_at", *LINEAGE}
    assert columns(statistics(mini, "gold.visits")) == set()
    told = [json.dumps(statistic) for name in ("silver.visit", "silver.visit_tombstones", "gold.visits") for statistic in statistics(mini, name)]
    assert {text for text in SEEN if any(text in statistic for statistic in told)} == set()

    # As an earlier release left them.
    mini.spark.sql("ALTER TABLE gold.visits UNSET TBLPROPERTIES ('delta.dataSkippingNumIndexedCols')")
    before = {name: mini.commits(name) for name in ("silver.visit", "gold.visits")}
    assert mini.run(now="2026-01-22T12:00:00Z").log("gold", "visits").status == "NOOP"
    assert {name: mini.commits(name) for name in before} == before
    for name in ("silver.visit", "silver.visit_tombstones"):
        mini.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'visit_key')")
    since = {name: mini.commits(name) for name in ("silver.visit", "silver.visit_tombstones", "gold.visits")}
    write_model(mini, "18, 2")
    mini.sql("DELETE FROM visits WHERE VisitID = 'TRANS000008'", "INSERT INTO visits VALUES ('TRANS000010', 'open', '1931-01-08', 1)")
    ended = mini.run(now="2026-01-23T12:00:00Z")
    assert (ended.code, ended.log("gold", "visits").status) == (0, "SUCCESS")
    assert dict(mini.frame("gold.visits").dtypes)["charge_amount"] == "decimal(18,2)"
    found = {name: columns(statistics(mini, name, count)) for name, count in since.items()}
    assert found == {"silver.visit": {"effective_from", "effective_to", *LINEAGE}, "silver.visit_tombstones": {"deleted_at", *LINEAGE}, "gold.visits": set()}
