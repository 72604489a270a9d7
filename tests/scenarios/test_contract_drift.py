"""A silver table remembers the contract that made it: what would break its history is refused, what does not is followed."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import incremental
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.lake.table import layer_table

CONTRACT: dict[str, Any] = {
    "description": "A visit.",
    "grain": "one visit of one hospital",
    "key": ["source_visit_id"],
    "sequence_by": ["changed_at"],
    "columns": [
        {"name": "source_visit_id", "type": "string"},
        {"name": "state", "type": "string"},
        {"name": "note", "type": "string", "tracked": False},
        {"name": "changed_at", "type": "timestamp", "tracked": False},
        {"name": "seen_at", "type": "timestamp", "tracked": False},
        {"name": "seen_date", "type": "date", "tracked": False},
    ],
    "sources": [
        {
            "name": "emr",
            "tables": ["visits"],
            "columns": {
                "source_visit_id": "VisitID",
                "state": "State",
                "note": "Note",
                "changed_at": "Mark",
                "seen_at": "Mark",
                "seen_date": "=to_date(Mark)",
            },
        }
    ],
}


@dataclass
class Made:
    mini: Mini
    commits: int

    def silver(self, change: Callable[[dict[str, Any]], Any]) -> Ended:
        """Silver alone, under a changed contract."""
        contract = copy.deepcopy(CONTRACT)
        change(contract)
        self.mini.own_contracts = {"visit": contract}
        self.mini.write()
        return self.mini.run(layers=("silver",))

    def refused(self, change: Callable[[dict[str, Any]], Any]) -> str:
        """The message of a refused merge; the table has no new commit."""
        ended = self.silver(change)
        log = ended.log("silver", "visit")
        assert (ended.code, log.status, log.error_class) == (1, "FAILED", "TableStateError"), ended.said
        assert self.mini.commits("silver.visit") == self.commits
        return str(log.message)


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Made:
    mini = Mini(spark, tmp_path_factory.mktemp("contract"), [incremental("visits")], own_contracts={"visit": CONTRACT})
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql(
        "CREATE TABLE visits (VisitID VARCHAR(20), State VARCHAR(20), Note VARCHAR(20), Mark TIMESTAMP)",
        "INSERT INTO visits VALUES ('v1', 'open', 'n', '2026-01-10 11:00:00')",
    )
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=("bronze", "silver"))
    assert ended.code == 0, ended.said
    return Made(mini, mini.commits("silver.visit"))


def column(contract: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in contract["columns"] if found["name"] == name)


def test_D05_another_key_is_refused(made: Made) -> None:
    told = made.refused(lambda contract: contract.update(key=["source_visit_id", "state"]))
    assert told.startswith("KEY_DRIFT: silver.visit was made with key source_visit_id; conf/cdm/visit.yml now says source_visit_id, state.")
    assert "KEY_DRIFT" in made.refused(lambda contract: contract.update(key_is_personal=True))


def test_D06_another_kind_of_history_is_refused(made: Made, spark: SparkSession) -> None:
    table = made.mini.lake.sql_name(layer_table("silver", "visit"))
    with pytest.raises(ConfigError, match="history"):
        made.silver(lambda contract: contract.update(history="scd1"))
    kept = next(row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {table}").collect() if row["key"] == "rcm.contract")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('rcm.contract' = '{kept.replace('scd2', 'scd1')}')")
    made.commits += 1
    told = made.refused(lambda contract: None)
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('rcm.contract' = '{kept}')")
    made.commits += 1
    assert told.startswith("HISTORY_DRIFT: silver.visit was made with history scd1; conf/cdm/visit.yml now says scd2.")


def test_D07_another_type_of_sequence_is_refused_and_another_column_of_the_same_type_is_not(made: Made) -> None:
    assert "SEQUENCE_DRIFT" in made.refused(lambda contract: contract.update(sequence_by=["seen_date"]))
    assert "SEQUENCE_DRIFT" in made.refused(lambda contract: contract.update(sequence_by=[]))
    assert made.silver(lambda contract: contract.update(sequence_by=["seen_at"])).code == 0
    assert made.silver(lambda contract: contract["sources"][0]["columns"].update(changed_at="=date_trunc('DAY', Mark)")).code == 0
    assert made.mini.commits("silver.visit") == made.commits


def test_D08_another_set_of_tracked_columns_is_refused_and_another_order_is_not(made: Made) -> None:
    assert "TRACKED_DRIFT" in made.refused(lambda contract: column(contract, "state").update(tracked=False))
    assert "TRACKED_DRIFT" in made.refused(lambda contract: column(contract, "note").update(tracked=True))
    assert made.silver(lambda contract: contract["columns"].reverse()).code == 0
    assert made.mini.commits("silver.visit") == made.commits


def test_another_type_of_a_column_is_refused(made: Made) -> None:
    told = made.refused(lambda contract: column(contract, "note").update(type="int"))
    assert told.startswith("TYPE_DRIFT: silver.visit was made with column 'note' as string; conf/cdm/visit.yml now says int.")


def test_a_new_column_is_added_and_makes_no_version(made: Made) -> None:
    ended = made.silver(lambda contract: contract["columns"].append({"name": "ward", "type": "string"}))
    assert ended.code == 0, ended.said
    assert made.mini.rows("silver.visit", "source_visit_id", "ward", "version") == [("v1", None, 1)]
    made.commits = made.mini.commits("silver.visit")


def test_D05_a_table_moved_away_is_built_anew_from_bronze_under_the_new_contract(made: Made) -> None:
    contract = copy.deepcopy(CONTRACT)
    contract["key"] = ["source_visit_id", "state"]
    made.mini.own_contracts = {"visit": contract}
    made.mini.write()
    for folder in ("silver/visit", "silver/visit_tombstones", "quarantine/visit"):
        shutil.move(made.mini.home / "lakehouse" / folder, made.mini.home / f"away_{folder.replace('/', '_')}")
    ended = made.mini.run(layers=("silver",), accept_lost=("silver.visit",))
    assert ended.code == 0, ended.said
    assert made.mini.rows("silver.visit", "visit_key", "state") == [("hos-a|v1|open", "open")]
