"""When each load was last compared with its source."""

from pyspark.sql import functions as F

from rcm_lakehouse.audit.state import DONE
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE
from rcm_lakehouse.lake.tables import Lake


def last_reconciled(lake: Lake) -> dict[str, str]:
    """The time of each bronze table's newest comparison in its source's clock (UTC text), deletes held or not; tables never compared are absent."""
    logs = lake.read(LOAD_LOGS_TABLE).where((F.col("layer") == "reconcile") & F.col("status").isin(*DONE))
    return {row["target"]: row["at"] for row in logs.groupBy("target").agg(F.max("window_high").alias("at")).collect()}
