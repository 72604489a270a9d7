"""An environment whose schemas are called otherwise: gold, tie-outs and monitors read its own tables."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import PLAIN, done, of, rows
from loads_kit import full, visit_contract
from rcm_lakehouse.pipeline.status import read_status

pytestmark = pytest.mark.wide

SCHEMAS = {"bronze": "raw", "silver": "cdm", "quarantine": "waiting", "gold": "marts", "audit": "told"}
MODEL = """/*
grain: one bed
description: Beds.
key: [bed_key]
ties_out: {rows: silver.bed}
*/
SELECT bed_key, silver.bed.state FROM silver.bed WHERE is_current
"""
MONITORS = {
    "beds": "SELECT b.state, count(*) AS n FROM gold.beds b JOIN bronze.hosa_beds r ON r._batch_seq > 0 GROUP BY 1",
    "events": "SELECT status, count(*) AS n FROM quarantine.bed_rows GROUP BY 1",
    "runs": "SELECT count(*) AS n FROM audit.load_logs",
}
EACH = """/*
title: Keys
row: one key
severity: info
for_each: entity
parameters: {entity: {meaning: the entity}}
*/
SELECT :entity AS entity, count(IDENTIFIER(:entity || '_key')) AS n FROM IDENTIFIER('silver.' || :entity)
"""


def test_gold_tie_outs_and_monitors_read_the_tables_of_their_own_environment(spark: SparkSession, tmp_path: Path) -> None:
    rule = {"name": "known", "check": "state <> 'bad'", "columns": ["state"]}
    mini = of(spark, tmp_path, [full("beds")], {"bed": visit_contract(["beds"], rules=[rule])}, share=0.9)
    mini.settings = {**mini.settings, "local": {**mini.settings["local"], "schemas": SCHEMAS}}
    mini.write()
    (tmp_path / "conf" / "gold" / "beds.sql").write_text(MODEL)
    (tmp_path / "conf" / "monitor").mkdir()
    for name, select in MONITORS.items():
        (tmp_path / "conf" / "monitor" / f"{name}.sql").write_text(f"/*\ntitle: {name}\nrow: a row\nseverity: info\n*/\n{select}\n")
    (tmp_path / "conf" / "monitor" / "keys.sql").write_text(EACH)
    mini.sql(f"CREATE TABLE beds {PLAIN}", rows("beds", range(5)), "INSERT INTO beds VALUES ('V9', 'bad')")
    ended = done(mini.run(now="2026-01-11T06:00:00Z"))
    assert ended.log("gold", "beds").rows_written == 5
    assert mini.spark.table("marts.beds").count() == 5

    status = read_status(tmp_path, "local", (), datetime.now(timezone.utc))
    assert [found.failure or found.not_run for found in status.found] == [None] * 4
    rows_of = {found.monitor.name: found.rows for found in status.found}
    assert rows_of["beds"] == [("a", 30)], "five beds beside six rows of bronze"
    assert rows_of["events"] == [("open", 1)]
    assert rows_of["keys"] == [("bed", 5)]
    assert rows_of["runs"][0][0] > 0
