"""Replaying the quarantine: judged by today's rules, merged once, in its place in time, and told in the quarantine and the audit."""

import copy
import errno
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from faulted import dying
from harness import Mini
from rcm_lakehouse.lake.names import register_all
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Commit, Lake
from rcm_lakehouse.pipeline import history as history_module
from wards import REPLAY, VISIT, WARD

pytestmark = pytest.mark.wide


@pytest.fixture(scope="module")
def waiting(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Two days loaded; five visits wait. Then the rule of states was widened."""
    loads = ["emr,hos-a,wards,Full,,1,hosa", "emr,hos-a,visits,Incremental,Changed,1,hosa"]
    mini = Mini(spark, tmp_path_factory.mktemp("replay"), loads, own_contracts={"ward": WARD, "visit": VISIT})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr")}
    mini.write()
    mini.sql(
        "CREATE TABLE wards (WardID VARCHAR(9) PRIMARY KEY)",
        "CREATE TABLE visits (Seq INT PRIMARY KEY, VisitID VARCHAR(9), State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO wards VALUES ('W1')",
        "INSERT INTO visits VALUES (1, 'GOOD', 'open', '1.00', 'W1', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (2, 'RULE', 'held', '2.00', 'W1', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (3, 'OLD', 'held', '3.00', 'W1', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (4, 'CAST', 'open', 'much', 'W1', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (5, 'WARD', 'open', '5.00', 'W2', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (6, 'LATER', 'open', '6.00', 'W1', TIMESTAMP '2026-01-01 08:00:00')",
        "INSERT INTO visits VALUES (7, 'LATER', 'held', '6.50', 'W1', TIMESTAMP '2026-01-01 09:00:00')",
        database="emr",
    )
    assert mini.run(now="2026-01-02T06:00:00Z").code == 0
    mini.sql(
        "INSERT INTO wards VALUES ('W2')",
        "INSERT INTO visits VALUES (8, 'OLD', 'closed', '3.00', 'W1', TIMESTAMP '2026-01-02 08:00:00')",
        database="emr",
    )
    assert mini.run(now="2026-01-03T06:00:00Z").code == 0
    assert {row[0]: row[1] for row in folded(mini)} == WAITING
    contract = copy.deepcopy(VISIT)
    contract["rules"][0] |= {"check": "state IN ('open', 'closed', 'held')", "version": 2}
    mini.own_contracts = {"ward": WARD, "visit": contract}
    mini.write()
    return mini


def folded(mini: Mini) -> list[tuple[Any, ...]]:
    """The quarantine's rows: visit, status, times seen, attempts, rules."""
    register_all(mini.spark, mini.lake.settings, mini.home)
    rows = mini.spark.table("quarantine.visit_rows")
    found = rows.selectExpr("get_json_object(raw_row, '$.VisitID')", "status", "seen_count", "attempts", "array_join(reasons.rule, ',')").collect()
    return sorted(tuple(row) for row in found)


def history(mini: Mini) -> list[tuple[Any, ...]]:
    columns = ("source_visit_id", "state", "CAST(amount AS STRING)", "date_format(effective_from, 'dd HH')", "is_current")
    return mini.rows("silver.visit", *columns)


# What waited for its ward was taken by the run that brought it.
WAITING = {**dict.fromkeys(("RULE", "CAST", "LATER"), "open"), "OLD": "superseded", "WARD": "replayed"}
MERGED = [
    ("GOOD", "open", "1.00", "01 08", True),
    ("LATER", "held", "6.50", "01 09", True),
    ("LATER", "open", "6.00", "01 08", False),
    ("OLD", "closed", "3.00", "02 08", True),
    ("OLD", "held", "3.00", "01 08", False),
    ("RULE", "held", "2.00", "01 08", True),
    ("WARD", "open", "5.00", "01 08", True),
]


def test_Q15_Q16_Q17_Q18_Q19_Q30_replay_merges_what_passes_today_once_and_in_its_place(waiting: Mini) -> None:
    before = waiting.commits("bronze.hosa_visits")
    dry = waiting.run(now="2026-01-03T07:00:00Z", dry_run=True, **REPLAY)
    assert (dry.code, "open rows of quarantine.visit" in dry.said) == (0, True)
    with dying(history_module, "P10", "visit"):
        assert waiting.run(now="2026-01-03T07:00:00Z", **REPLAY).code == 1
    assert history(waiting) == MERGED
    assert {row[0]: row[1] for row in folded(waiting)} == WAITING
    ended = waiting.run(now="2026-01-03T08:00:00Z", **REPLAY)
    assert ended.code == 0, ended.said
    log = ended.log("silver", "visit")
    assert (log.rows_read, log.rows_written, log.rows_unchanged, log.rows_quarantined) == (3, 0, 3, None)
    assert log.warnings[0] == "4 quarantined rows judged again: 3 pass, 1 stay"
    assert any("1 quarantined rows are superseded" in note for note in log.warnings)
    assert history(waiting) == MERGED
    assert folded(waiting) == [
        ("CAST", "open", 1, 1, "cast:amount"),
        ("LATER", "replayed", 1, 1, ""),
        ("OLD", "superseded", 1, 1, ""),
        ("RULE", "replayed", 1, 1, ""),
        ("WARD", "replayed", 1, 1, ""),
    ]
    again = waiting.run(now="2026-01-03T09:00:00Z", **REPLAY)
    log = again.log("silver", "visit")
    assert (log.status, log.rows_read, log.warnings) == ("NOOP", None, ["1 quarantined rows judged again: 0 pass, 1 stay"])
    assert folded(waiting)[0] == ("CAST", "open", 1, 2, "cast:amount")
    assert history(waiting) == MERGED
    assert waiting.commits("bronze.hosa_visits") == before
    usual = waiting.run(now="2026-01-04T06:00:00Z")
    assert (usual.code, usual.log("silver", "visit").status) == (0, "NOOP")


FACTS = """/*
grain: one visit
description: visits
key: [visit_key]
measures: {amount: dollars}
ties_out: {rows: silver.visit, amount: silver.visit.amount}
*/
SELECT visit_key, amount FROM silver.visit WHERE is_current
"""


@pytest.mark.deep
def test_what_a_replay_merged_is_in_the_audit_and_in_gold_though_the_quarantine_could_not_be_told(spark: SparkSession, tmp_path: Path) -> None:
    contract = {**copy.deepcopy(VISIT), "after": [], "rules": [copy.deepcopy(VISIT["rules"][0])]}
    mini = Mini(spark, tmp_path, ["emr,hos-a,visits,Incremental,Changed,1,hosa"], own_contracts={"ward": WARD, "visit": contract})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    mini.connections = {"emr": mini.h2("emr")}
    write_with_facts(mini)
    mini.sql(
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO visits VALUES ('GOOD', 'open', '1.00', 'W1', TIMESTAMP '2026-01-01 05:00:00')",
        "INSERT INTO visits VALUES ('RULE', 'held', '2.00', 'W1', TIMESTAMP '2026-01-01 05:00:00')",
        database="emr",
    )
    assert mini.run(now="2026-01-01T06:00:00Z").code == 0
    contract["rules"][0] |= {"check": "state IN ('open', 'closed', 'held')", "version": 2}
    write_with_facts(mini)
    append = Lake.append

    def full_disk(self: Lake, table: Table, rows: DataFrame, **values: Any) -> Commit:
        if values["metadata"].get("kind") == "replay":
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, table, rows, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "append", full_disk)
        failed = mini.run(now="2026-01-02T06:00:00Z", **REPLAY)
    assert failed.code == 1
    merged, refused = (log for log in failed.logs if log.target == "silver.visit")
    assert (merged.status, merged.rows_written, merged.table_version) == ("SUCCESS", 1, mini.lake.head_version(Table("silver", "visit", "silver/visit")))
    assert (refused.status, refused.error_class) == ("FAILED", "StorageFullError")
    assert "What this step had committed before has rows of its own" in (refused.message or "")
    assert "Nothing of this step" not in (refused.message or "")
    usual = mini.run(now="2026-01-03T06:00:00Z")
    assert (usual.code, usual.log("silver", "visit").status, usual.log("gold", "fact_visits").status) == (0, "NOOP", "SUCCESS")
    assert mini.rows("gold.fact_visits", "CAST(amount AS STRING)") == [("1.00",), ("2.00",)]


def write_with_facts(mini: Mini) -> None:
    """The configuration with a gold model of visits."""
    mini.write()
    (mini.home / "conf" / "gold" / "fact_visits.sql").write_text(FACTS)
