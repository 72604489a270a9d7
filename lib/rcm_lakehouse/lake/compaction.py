"""When Delta compacts a table's small files on a laptop; on a cluster the platform decides."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

COMPACT_EVERY = 20
# Their tables are made with Delta's automatic compaction; others are the maintenance job's.
COMPACTED_LAYERS = ("bronze", "audit")
_ENABLED, _FROM_FILES = "spark.databricks.delta.autoCompact.enabled", "spark.databricks.delta.autoCompact.minNumFiles"


@contextmanager
def compaction_behind(spark: SparkSession, version: int) -> Iterator[None]:
    """Let Delta compact behind every twentieth commit of a table alone; `version` is that of the commit within.

    Delta remembers within a process which tables it has compacted: left alone, every new process compacts each table at its first append.
    The settings end with the commit: a MERGE of the same session would follow them too.
    """
    spark.conf.set(_ENABLED, str(version % COMPACT_EVERY == 0).lower())
    spark.conf.set(_FROM_FILES, "2")
    try:
        yield
    finally:
        spark.conf.unset(_ENABLED)
        spark.conf.unset(_FROM_FILES)
