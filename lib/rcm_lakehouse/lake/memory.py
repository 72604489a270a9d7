"""What a table remembers, as table properties.

The configuration that made it, from which none may drift; the contract of the last run, of which another is told once; whether a comparison changed it.
"""

import json
from collections.abc import Mapping

from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

WATERMARK = "rcm.watermarkColumn"
COMPARED = "rcm.wasCompared"
CONTRACT = "rcm.contract"
CONTRACT_PARTS = "rcm.contractParts"
# Delta's own: the columns whose minimum and maximum its log keeps, and of how many it does so by itself.
STATISTICS = "delta.dataSkippingStatsColumns"
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}


def recall(lake: Lake, table: Table) -> Mapping[str, str]:
    """All properties of an existing table; no Spark job."""
    return lake.properties(table)


def remember(lake: Lake, table: Table, name: str, value: str) -> None:
    """Set one property in a commit of its own."""
    lake.spark.sql(f"ALTER TABLE {lake.sql_name(table)} SET TBLPROPERTIES ({_quoted(name)} = {_quoted(value)})")


def follow(lake: Lake, table: Table, properties: Mapping[str, str]) -> None:
    """Let an existing table have these properties, in a commit for each that is otherwise; none when all are as they should be."""
    known = recall(lake, table)
    for name, value in properties.items():
        if known.get(name) != value:
            remember(lake, table, name, value)


def as_property(value: object) -> str:
    """A value as the text of a property: JSON with sorted keys, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
