"""Tables by schema and name in the session's catalog, registered from the folders of the lakehouse."""

from pathlib import Path

from pyspark.sql import SparkSession

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.tables import Lake, Table

LAYERS = ("bronze", "silver", "quarantine", "gold", "audit")


def tables_on_disk(root: Path) -> list[Table]:
    """Every Delta table below the root: `bronze/hosa/patients` is bronze.hosa_patients, `gold/dim_date` is gold.dim_date."""
    found = []
    for layer in LAYERS:
        for log in sorted((root / layer).rglob("_delta_log")):
            parts = log.parent.relative_to(root / layer).parts
            found.append(Table(layer, "_".join(parts).lower(), log.parent.relative_to(root).as_posix()))
    return found


def register_all(spark: SparkSession, settings: LakehouseSettings, home: Path) -> list[str]:
    """Make all tables of the lakehouse known by name to this session; returns the names. Needs no Spark job.

    On a catalog (Databricks) the tables are there already and nothing is registered.
    """
    lake = Lake(spark, settings, home)
    if settings.catalog or not lake.is_local:
        return []
    tables = tables_on_disk(Path(lake.root))
    for layer in LAYERS:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{getattr(settings.schemas, layer)}`")
    for table in tables:
        lake.exists(table)
    return [table.label for table in tables]
