"""An API load of a run whose clock was put back: its answers come after those that bronze has."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from api_clients import connection
from harness import Mini
from rcm_lakehouse.demo.api_server import ApiServer
from rcm_lakehouse.pipeline.api_step import CLOCK_BEHIND

pytestmark = pytest.mark.deep

AHEAD, BEHIND, STILL_BEHIND = "2026-01-06T06:00:00Z", "2026-01-05T06:00:00Z", "2026-01-05T07:00:00Z"


def test_a_snapshot_of_a_clock_that_was_put_back_replaces_the_one_before(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["nlm,network,ref_icd10cm,Full,,1,network"], contracts=["ref_icd10cm"])
    mini.settings = {**mini.settings, "local": {**mini.settings["local"], "quality": {"max_delete_share": 0.9}}}
    with ApiServer() as server:
        tables = {"ref_icd10cm": {"queries": [{"terms": "E"}], "max_age_days": 0}}
        mini.connections = {"nlm": connection(server, "nlm_icd10cm", tables=tables).model_dump(mode="json", exclude_defaults=True)}
        mini.write()
        codes = [("E11", "Made-up group"), ("E11.8", "Made-up condition")]
        server.codes = codes
        assert mini.run(now=AHEAD).code == 0

        server.codes = [("E11", "Made-up group, reworded")]
        behind = mini.run(now=BEHIND)
        server.codes = codes
        again = mini.run(now=STILL_BEHIND)

    assert (behind.code, again.code) == (0, 0), behind.said + again.said
    for ended in (behind, again):
        (warning,) = [note for note in ended.log("bronze", "network_ref_icd10cm").warnings if note.startswith(CLOCK_BEHIND)]
        assert "2026-01-06T06:00:00Z" in warning
    assert mini.rows("silver.ref_icd10cm", "code", "description", where="is_current") == [("E11", "Made-up group"), ("E118", "Made-up condition")]
    assert mini.rows("silver.ref_icd10cm", "description", "is_current", where="code = 'E11' AND version = 2") == [("Made-up group, reworded", False)]
