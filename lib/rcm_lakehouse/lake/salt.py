"""The one random salt of a lakehouse, which makes pseudonyms of personal keys.

It lies beside silver in a table of one row and reaches a query as a column, so that no plan, log or statistic shows it.
Losing it severs new rows from old keys: back it up with silver.
"""

import secrets

from pyspark.sql import DataFrame
from pyspark.sql.types import StringType, StructField, StructType

from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake

SALT_COLUMN = "_salt"
SALT_TABLE = layer_table("silver", "_salt")
_SCHEMA = StructType([StructField(SALT_COLUMN, StringType())])


def ensure_salt(lake: Lake) -> None:
    """Make the salt on first use; 256 random bits, never changed afterwards."""
    lake.ensure(SALT_TABLE, _SCHEMA, properties={"delta.dataSkippingNumIndexedCols": "0"})
    # A process killed between the two commits leaves the table without its row: joined to it, every row would vanish.
    if not lake.moved_past(SALT_TABLE, 0):
        rows = lake.spark.createDataFrame([(secrets.token_hex(32),)], _SCHEMA)
        lake.append(SALT_TABLE, rows, metadata={"kind": "salt"}, txn=("salt", 1))


def with_salt(lake: Lake, rows: DataFrame) -> DataFrame:
    """Add the salt as the column `_salt` to every row."""
    return rows.crossJoin(lake.read(SALT_TABLE))
