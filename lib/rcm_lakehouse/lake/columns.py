"""Columns of an existing table made wider or added, each in a commit without rows."""

from collections.abc import Mapping

from pyspark.sql.types import DataType, StructField

from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake


def widen_columns(lake: Lake, table: Table, types: Mapping[str, DataType]) -> None:
    """Give columns wider types; no file is rewritten. The table has `delta.enableTypeWidening`."""
    for name, kind in types.items():
        lake.spark.sql(f"ALTER TABLE {lake.sql_name(table)} ALTER COLUMN `{name}` TYPE {kind.simpleString()}")


def add_columns(lake: Lake, table: Table, fields: list[StructField]) -> None:
    """Add columns, NULL in every row that is there."""
    if fields:
        listed = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in fields)
        lake.spark.sql(f"ALTER TABLE {lake.sql_name(table)} ADD COLUMNS ({listed})")
