"""When each load was last compared with its source, and how that ended."""

from dataclasses import dataclass

from pyspark.sql import functions as F

from rcm_lakehouse.audit.state import DONE
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE
from rcm_lakehouse.lake.tables import Lake


@dataclass(frozen=True)
class LastReconciled:
    """The newest comparison of a table: its time in the source's clock (UTC text), and SUCCESS or HELD (its deletes wait for a word)."""

    at: str
    status: str


def last_reconciled(lake: Lake) -> dict[str, LastReconciled]:
    """Each bronze table's newest comparison, deletes held or not; tables never compared are absent."""
    logs = lake.read(LOAD_LOGS_TABLE).where((F.col("layer") == "reconcile") & F.col("status").isin(*DONE))
    newest = logs.groupBy("target").agg(F.max("window_high").alias("at"), F.max_by("status", F.struct("loaddate", "id")).alias("status"))
    return {row["target"]: LastReconciled(row["at"], row["status"]) for row in newest.collect()}
