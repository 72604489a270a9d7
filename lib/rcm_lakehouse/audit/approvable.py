"""Deletes that wait for a word: how a warning names the way out, and whether the newest judgement left some waiting."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.state import DONE
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE
from rcm_lakehouse.lake.tables import Lake


def way_out(load: str) -> str:
    """The option that applies the deletes of a load (hos-a.providers), as warnings name it."""
    return f"run again with --approve-deletes {load}"


def awaits_approval(lake: Lake, target: str, load: str, batch_seq: int) -> bool:
    """True when the newest judgement of this batch of a load by a silver table (silver.provider) left deletes out and named the way out."""
    newest = _judgements(lake, target, load).where(F.col("batch_seq") == batch_seq).agg(_newest("warnings")).collect()[0]["warnings"]
    return any(text.endswith(way_out(load)) for text in newest or ())


def is_held(lake: Lake, target: str, load: str) -> bool:
    """True when the newest judgement of a load by a silver table held its deletes. One query."""
    return bool(_judgements(lake, target, load).agg(_newest("status")).collect()[0]["status"] == "HELD")


def _judgements(lake: Lake, target: str, load: str) -> DataFrame:
    """Rows of the audit for what a silver table took of a load."""
    data_source, _, table = load.partition(".")
    logs = lake.read(LOAD_LOGS_TABLE).where((F.col("layer") == "silver") & (F.col("target") == target) & F.col("status").isin(*DONE))
    return logs.where((F.col("data_source") == data_source) & (F.col("tablename") == table))


def _newest(name: str) -> Column:
    return F.max_by(name, F.struct("loaddate", "id")).alias(name)
