"""Small files are compacted behind every twentieth commit of bronze and audit tables, and by nothing else."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StructField, StructType

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake import compaction
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake

pytestmark = pytest.mark.wide

NUMBER = StructType([StructField("number", LongType())])


@pytest.mark.parametrize(("layer", "properties", "compacted"), [("bronze", {"delta.autoOptimize.autoCompact": "true"}, 1), ("quarantine", {}, 0)])
def test_a_table_is_compacted_when_its_turn_comes_and_the_next_writer_of_the_session_is_not_told(
    layer: str, properties: dict[str, str], compacted: int, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY", 3)
    lake = Lake(spark, LakehouseSettings(environment="local", root="lakehouse"), tmp_path).for_thread()
    table = layer_table(layer, "numbers")
    lake.ensure(table, NUMBER, properties=properties)
    for number in range(4):  # versions 1 to 4; behind 3 a compaction
        lake.append(table, lake.made([{"number": number}], NUMBER), metadata={"run_id": "r"})
    history = lake.spark.sql(f"DESCRIBE HISTORY {lake.sql_name(table)}").where("operation = 'OPTIMIZE'").count()
    assert history == compacted
    assert sorted(row["number"] for row in lake.read(table).collect()) == [0, 1, 2, 3]
    assert lake.spark.conf.get("spark.databricks.delta.autoCompact.enabled", None) is None
