"""When Delta compacts a table's small files on a laptop; on a cluster the platform decides."""

from pyspark.sql import SparkSession

COMPACT_EVERY = 20
_SETTING = "spark.databricks.delta.autoCompact"


def choose_compaction(spark: SparkSession, version: int) -> None:
    """Let Delta compact behind every twentieth commit of a table alone; `version` is that of the commit to come.

    Delta remembers within a process which tables it has compacted: left alone, every new process compacts each table at its first append.
    """
    spark.conf.set(f"{_SETTING}.enabled", str(version % COMPACT_EVERY == 0).lower())
    spark.conf.set(f"{_SETTING}.minNumFiles", "2")
