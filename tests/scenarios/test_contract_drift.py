"""A silver table remembers its contract: what would break its history is refused, what does not is followed, and told once."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import incremental
from rcm_lakehouse.audit.writer import AuditSpool
from rcm_lakehouse.config.errors import ConfigError, TableStateError
from rcm_lakehouse.lake import memory
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake

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

    def followed(self, change: Callable[[dict[str, Any]], Any]) -> str:
        """The warning about a contract that is followed; history is as it was, and the one commit is that the table remembers what was told."""
        before = self.mini.rows("silver.visit", "*")
        ended = self.silver(change)
        log = ended.log("silver", "visit")
        assert (ended.code, log.status, self.mini.rows("silver.visit", "*")) == (0, "NOOP", before), ended.said
        assert self.mini.commits("silver.visit") - self.commits == len(log.warnings)
        assert all(warning in ended.said for warning in log.warnings)
        self.commits = self.mini.commits("silver.visit")
        return "; ".join(log.warnings)


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


def otherwise_mapped(contract: dict[str, Any]) -> None:
    contract["sources"][0]["columns"].update(changed_at="=date_trunc('DAY', Mark)")


def with_ward(contract: dict[str, Any]) -> None:
    """A new column whose source column was there all along, another cleaner, a rule that what silver holds breaks."""
    contract["columns"].append({"name": "ward", "type": "string", "tracked": False})
    contract["sources"][0]["columns"].update(ward="Note")
    column(contract, "state").update(clean="upper_code")
    contract["rules"] = [{"name": "url_closed", "check": "state = 'CLOSED'", "columns": ["state"]}]


def test_D05_another_key_is_refused(made: Made) -> None:
    told = made.refused(lambda contract: contract.update(key=["source_visit_id", "state"]))
    assert told.startswith("KEY_DRIFT: silver.visit was made with key source_visit_id; conf/cdm/visit.yml now says source_visit_id, state.")
    assert "KEY_DRIFT" in made.refused(lambda contract: contract.update(key_is_personal=True))


def test_D06_another_kind_of_history_is_refused(made: Made) -> None:
    lake, table = made.mini.lake, layer_table("silver", "visit")
    assert lake.exists(table)
    with pytest.raises(ConfigError, match="history"):
        made.silver(lambda contract: contract.update(history="scd1"))
    kept = memory.recall(lake, table)[memory.CONTRACT]
    memory.remember(lake, table, memory.CONTRACT, kept.replace("scd2", "scd1"))
    made.commits += 1
    told = made.refused(lambda contract: None)
    memory.remember(lake, table, memory.CONTRACT, kept)
    made.commits += 1
    assert told.startswith("HISTORY_DRIFT: silver.visit was made with history scd1; conf/cdm/visit.yml now says scd2.")


def test_D07_another_type_of_sequence_is_refused_and_another_column_of_the_same_type_is_not(made: Made) -> None:
    assert "SEQUENCE_DRIFT" in made.refused(lambda contract: contract.update(sequence_by=["seen_date"]))
    assert "SEQUENCE_DRIFT" in made.refused(lambda contract: contract.update(sequence_by=[]))
    assert ": sequence_by changed. It holds" in made.followed(lambda contract: contract.update(sequence_by=["seen_at"]))
    assert ": mapping 'emr' changed; sequence_by changed. It holds" in made.followed(otherwise_mapped)


def test_D08_another_set_of_tracked_columns_is_refused_and_another_order_is_not(made: Made) -> None:
    assert "TRACKED_DRIFT" in made.refused(lambda contract: column(contract, "state").update(tracked=False))
    assert "TRACKED_DRIFT" in made.refused(lambda contract: column(contract, "note").update(tracked=True))
    made.followed(lambda contract: None)
    assert made.followed(lambda contract: contract["columns"].reverse()) == ""


@pytest.mark.wide
def test_another_type_of_a_column_is_refused(made: Made) -> None:
    told = made.refused(lambda contract: column(contract, "note").update(type="int"))
    assert told.startswith("TYPE_DRIFT: silver.visit was made with column 'note' as string; conf/cdm/visit.yml now says int.")


@pytest.mark.wide
def test_a_new_column_is_added_and_makes_no_version_and_what_changed_is_told_until_the_audit_has_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.followed(lambda contract: None)
    with monkeypatch.context() as patch:
        patch.setattr(AuditSpool, "flush", _refused)
        untold = made.silver(with_ward)
    told = made.silver(with_ward)
    assert made.mini.rows("silver.visit", "source_visit_id", "state", "ward", "version") == [("v1", "open", None, 1)]
    what = "columns added: ward; columns changed: state; rules added: url_closed; mapping 'emr' changed"
    anew = "move the folders silver/visit, silver/visit_tombstones and quarantine/visit away and run again with --accept-lost silver.visit"
    for ended in (untold, told):
        [warning] = ended.log("silver", "visit").warnings
        assert warning.startswith(f"conf/cdm/visit.yml is another contract than in the run before: {what}. It holds for rows that come from now on; ")
        assert anew in warning
        assert warning in ended.said
    assert (untold.code, told.code) == (1, 0)
    made.commits = made.mini.commits("silver.visit")
    assert made.followed(with_ward) == ""


@pytest.mark.wide
def test_a_changed_contract_is_told_beside_the_rows_it_takes_and_a_table_of_an_earlier_release_is_silent(made: Made, spark: SparkSession) -> None:
    made.silver(with_ward)
    spark.sql(f"ALTER TABLE {made.mini.lake.sql_name(layer_table('silver', 'visit'))} UNSET TBLPROPERTIES ('rcm.contractParts')")
    silent = made.silver(lambda contract: None).log("silver", "visit")
    assert (silent.status, silent.warnings) == ("NOOP", [])
    made.mini.sql("INSERT INTO visits VALUES ('v2', 'closed', 'n', '2026-01-11 11:00:00')")
    contract = copy.deepcopy(CONTRACT)
    with_ward(contract)
    made.mini.own_contracts = {"visit": contract}
    made.mini.write()
    ended = made.mini.run(now="2026-01-11T12:00:00Z", layers=("bronze", "silver"))
    log = ended.log("silver", "visit")
    assert (ended.code, log.status, log.rows_written) == (0, "SUCCESS", 1), ended.said
    assert ["columns added: ward; columns changed: state; rules added: url_closed; mapping 'emr' changed" in text for text in log.warnings] == [True]
    assert made.mini.rows("silver.visit", "source_visit_id", "state", "ward") == [("v1", "open", None), ("v2", "CLOSED", "n")]
    made.commits = made.mini.commits("silver.visit")
    assert made.followed(with_ward) == ""


@pytest.mark.wide
def test_a_table_that_never_took_a_row_follows_its_contract_without_a_word_and_keeps_its_first_version(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [incremental("visits")], own_contracts={"visit": CONTRACT})
    made = Made(mini, 1)
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    assert mini.run(layers=("silver",)).code == 0
    assert made.followed(otherwise_mapped) == ""
    assert made.followed(lambda contract: None) == ""
    assert mini.commits("silver.visit") == 1


def _refused(spool: AuditSpool, lake: Lake) -> None:
    raise TableStateError("audit.load_logs cannot be written")


@pytest.mark.wide
def test_D05_a_table_moved_away_is_built_anew_from_bronze_under_the_new_contract(made: Made) -> None:
    contract = copy.deepcopy(CONTRACT)
    contract["key"] = ["source_visit_id", "state"]
    made.mini.own_contracts = {"visit": contract}
    made.mini.write()
    for folder in ("silver/visit", "silver/visit_tombstones", "quarantine/visit"):
        shutil.move(made.mini.home / "lakehouse" / folder, made.mini.home / f"away_{folder.replace('/', '_')}")
    ended = made.mini.run(layers=("silver",), accept_lost=("silver.visit",))
    assert ended.code == 0, ended.said
    assert made.mini.rows("silver.visit", "visit_key", "state") == [("hos-a|v1|open", "open"), ("hos-a|v2|closed", "closed")]
