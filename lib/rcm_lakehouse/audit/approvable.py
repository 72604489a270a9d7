"""Deletes that wait for a word: how a warning names the way out, and whether the newest judgement left some waiting."""

from pyspark.sql import functions as F

from rcm_lakehouse.audit.state import DONE
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE
from rcm_lakehouse.lake.tables import Lake


def way_out(load: str) -> str:
    """The option that applies the deletes of a load (hos-a.providers), as warnings name it."""
    return f"run again with --approve-deletes {load}"


def awaits_approval(lake: Lake, target: str, load: str, batch_seq: int) -> bool:
    """True when the newest judgement of this batch of a load by a silver table (silver.provider) left deletes out and named the way out."""
    data_source, _, table = load.partition(".")
    logs = lake.read(LOAD_LOGS_TABLE).where((F.col("layer") == "silver") & (F.col("target") == target) & F.col("status").isin(*DONE))
    own = logs.where((F.col("data_source") == data_source) & (F.col("tablename") == table) & (F.col("batch_seq") == batch_seq))
    newest = own.agg(F.max_by("warnings", F.struct("loaddate", "id")).alias("warnings")).collect()[0]["warnings"]
    return any(text.endswith(way_out(load)) for text in newest or ())


def is_held(lake: Lake, layer: str, target: str, load: str) -> bool:
    """True when the deletes of a load were held when it was last judged by a step of that layer and target (reconcile, bronze.hosa_visits). One query."""
    data_source, _, table = load.partition(".")
    logs = lake.read(LOAD_LOGS_TABLE).where((F.col("layer") == layer) & (F.col("target") == target) & F.col("status").isin(*DONE))
    own = logs.where((F.col("data_source") == data_source) & (F.col("tablename") == table))
    return bool(own.agg(F.max_by("status", F.struct("loaddate", "id")).alias("status")).collect()[0]["status"] == "HELD")
