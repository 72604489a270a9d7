"""What a table remembers, as table properties.

The configuration that made it, from which none may drift; the contract of the last run, of which another is told once; whether a comparison changed it, and
whether rows of it were stamped ahead of their reading.
"""

import json
from collections.abc import Mapping

from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

_OWN, _HEX = "rcm.", "x:"
WATERMARK = "rcm.watermarkColumn"
COMPARED = "rcm.wasCompared"
AHEAD = "rcm.hasRowsAhead"
CONTRACT = "rcm.contract"
CONTRACT_PARTS = "rcm.contractParts"
# Delta's own: the columns whose minimum and maximum its log keeps, and of how many it does so by itself.
STATISTICS = "delta.dataSkippingStatsColumns"
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}


def recall(lake: Lake, table: Table) -> Mapping[str, str]:
    """All properties of an existing table, what it remembers as it was given; no Spark job. What cannot be read is not remembered."""
    found = {name: _as_given(value) if name.startswith(_OWN) else value for name, value in lake.properties(table).items()}
    return {name: value for name, value in found.items() if value is not None}


def remember(lake: Lake, table: Table, name: str, value: str) -> None:
    """Set one property of ours in a commit of its own."""
    _set(lake, table, name, as_memory(value))


def as_memory(value: str) -> str:
    """A text as a property keeps it, in hexadecimal: Spark shows none that looks like a secret, as the name of a column `query_url` does."""
    return _HEX + value.encode().hex()


def _as_given(value: str) -> str | None:
    """The text of a property; one of an earlier release stands there as it was, and is None where Spark does not show it."""
    if not value.startswith(_HEX):
        return None if "(redacted)" in value else value
    return bytes.fromhex(value.removeprefix(_HEX)).decode()


def _set(lake: Lake, table: Table, name: str, value: str) -> None:
    lake.spark.sql(f"ALTER TABLE {lake.sql_name(table)} SET TBLPROPERTIES ({_quoted(name)} = {_quoted(value)})")


def follow(lake: Lake, table: Table, properties: Mapping[str, str]) -> None:
    """Let an existing table have these properties of Delta, in a commit for each that is otherwise; none when all are as they should be."""
    known = recall(lake, table)
    for name, value in properties.items():
        if known.get(name) != value:
            _set(lake, table, name, value)


def as_property(value: object) -> str:
    """A value as the text of a property: JSON with sorted keys, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
