"""The one place that makes a Spark session, or adopts the cluster's."""

import logging
import os
import time
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext, accumulators
from pyspark.sql import SparkSession

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.jvm_names import remember_names
from rcm_lakehouse.lake.names_hook import paused

# What the installed conf/spark/spark-defaults.conf says too: a session made by plain Python behaves the same.
LOCAL_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Delta's parser hides named parameters from the newer way of binding them.
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
    "spark.sql.debug.maxToStringFields": "1000",
    # Else every function of a column asks the JVM for its session first: a quarter of all calls.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.maxMetadataStringLength": "100",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.schema.typeCheck.enabled": "true",
    "spark.scheduler.mode": "FAIR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.eventLog.enabled": "false",
    "spark.driver.memory": "3g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -Dh2.bindAddress=127.0.0.1 -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
    "-XX:OnOutOfMemoryError='kill -9 %p' -XX:+ExitOnOutOfMemoryError",
    "spark.sql.redaction.options.regex": "(?i)url|password|token|secret|dbtable|query",
    "spark.redaction.regex": "(?i)secret|password|passwd|pwd|token|access[.]?key|sas",
}
_QUICK_COMPILER = "-XX:TieredStopAtLevel=1 "
# Small tables: compiling a query takes longer than running it. For steps alone: Spark's own catalog calls need compiled plans.
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
# PySpark writes every failed query with its error's text to stderr; the text may quote a row.
_LOUD_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


def on_cluster() -> bool:
    """True on Databricks or with a remote (Connect) session, where the platform owns the session."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or "SPARK_REMOTE" in os.environ


def check_place(settings: LakehouseSettings) -> None:
    """Raise ConfigError when the environment names a catalog and this Spark is no Databricks; nothing is made yet."""
    if settings.catalog and not on_cluster():
        raise ConfigError(
            f"The environment '{settings.environment}' keeps its tables in the catalog '{settings.catalog}' of a Databricks workspace, and this Spark is none. "
            "Nothing was read or written. Run the job there, or leave --env and RCM_ENV out."
        )


def silence_query_logs() -> None:
    """Keep PySpark from writing failed queries to stderr; the exception that the caller gets says the same."""
    for name in _LOUD_LOGGERS:
        logging.getLogger(name).disabled = True


def silence_bridge() -> None:
    """Keep the bridge to the JVM from writing traces when the JVM dies: for jobs, which tell of it in their own words."""
    logging.getLogger().addFilter(_is_not_of_the_bridge)
    for server in (accumulators.AccumulatorTCPServer, accumulators.AccumulatorUnixServer):
        server.handle_error = _say_nothing  # type: ignore[assignment]


def _is_not_of_the_bridge(record: logging.LogRecord) -> bool:
    """False for what the bridge to the JVM writes under the root's name."""
    return "py4j" not in record.pathname


def _say_nothing(server: object, request: object, address: object) -> None:
    """In place of the trace that `socketserver` writes when the other end is gone."""


def get_session(settings: LakehouseSettings, home: Path, *, is_long: bool = False) -> SparkSession:
    """A session with Delta, in UTC; on a cluster the session that is there.

    `is_long`: a process of many runs, which gains from the JVM's slower compiler; a single run ends before it would.
    Raises ConfigError when Delta is missing, the JVM's clock is not UTC or a catalog is named outside Databricks; nothing was read or written.
    """
    check_place(settings)
    os.environ["TZ"] = "UTC"
    time.tzset()
    silence_query_logs()
    if on_cluster():
        spark = SparkSession.builder.getOrCreate()
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        if settings.catalog:
            spark.sql(f"USE CATALOG `{settings.catalog}`")
        return spark
    builder = SparkSession.builder.master(os.environ.get("RCM_MASTER", "local[*]")).appName("rcm-lakehouse")
    for key, value in LOCAL_CONF.items():
        builder = builder.config(key, value.replace(_QUICK_COMPILER, "") if is_long else value)
    with paused():
        spark = builder.config("spark.sql.warehouse.dir", str((home / settings.root).resolve() / "_warehouse")).getOrCreate()
    _check(spark)
    remember_names(spark)
    return spark


def step_session(spark: SparkSession, settings: LakehouseSettings) -> SparkSession:
    """A session of its own for a step: own SQL settings and temporary names, the same tables; on a laptop it does not compile plans."""
    session = spark.newSession()
    if not on_cluster() and not settings.compile_plans:
        for key, value in _INTERPRETED.items():
            session.conf.set(key, value)
    return session


def is_java_gone() -> bool:
    """True when this process had a Java process that answers no more: it was killed, or ended for want of memory. Always false on a cluster."""
    gateway: Any = SparkContext._gateway
    if gateway is None or on_cluster():
        return False
    try:
        gateway.jvm.java.lang.System.nanoTime()
    except (Py4JError, OSError):
        return True
    return False


def _check(spark: SparkSession) -> None:
    if "DeltaCatalog" not in (spark.conf.get("spark.sql.catalog.spark_catalog") or ""):
        raise ConfigError("This Spark session has no Delta catalog. Run `make install`, activate .venv and start the job again.")
    zone = spark.sql("SELECT java_method('java.lang.System', 'getProperty', 'user.timezone') AS zone").first()
    if zone is None or zone["zone"] not in ("UTC", "Etc/UTC", "GMT"):
        raise ConfigError(
            "The JVM does not run in UTC, so times and watermarks read over JDBC would shift. Run `make install` (it installs "
            "conf/spark/spark-defaults.conf) or start spark-submit with --driver-java-options -Duser.timezone=UTC."
        )
