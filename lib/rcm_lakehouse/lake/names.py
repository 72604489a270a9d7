"""Tables by schema and name in the session's catalog, registered from the folders of the lakehouse."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rcm_lakehouse.config.errors import ConfigError, RcmError
from rcm_lakehouse.config.load import load_settings
from rcm_lakehouse.config.places import LAYER_FOLDERS
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.session import get_session, silence_query_logs
from rcm_lakehouse.lake.table import Table, layer_table, sql_name
from rcm_lakehouse.lake.tables import Lake

HOME_CONF = "spark.rcm.home"

_log = logging.getLogger(__name__)


def open_lakehouse(home: Path, environment: str | None = None) -> SparkSession:
    """A session of our own making in which every table is known by name: `spark.table("silver.patient")`.

    `environment` is a block of `conf/lakehouse.yml`; None is that of RCM_ENV, else `local`. Tables made later by other processes
    are known after `register_all`. Raises ConfigError when the settings are wrong or Delta is missing.
    """
    settings = load_settings(home, environment or os.environ.get("RCM_ENV", "local"))
    spark = get_session(settings, home)
    register_all(spark, settings, home)
    return spark


def tables_on_disk(root: Path) -> list[Table]:
    """Every Delta table below the root: `bronze/hosa/patients` is bronze.hosa_patients, `gold/dim_date` is gold.dim_date."""
    found = []
    for layer in LAYER_FOLDERS:
        for folder in _delta_folders(root / layer):
            parts = folder.relative_to(root / layer).parts
            found.append(Table(layer, "_".join(parts).lower(), folder.relative_to(root).as_posix()))
    return found


def _delta_folders(top: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(top):
        if "_delta_log" in folders and Path(place) != top:
            yield Path(place)
            folders.clear()
        folders.sort()


def register_all(spark: SparkSession, settings: LakehouseSettings, home: Path) -> list[str]:
    """Make all tables of the lakehouse known by name to this session; returns the names. Needs no Spark job.

    A table whose log cannot be read is left out with a warning; a folder without a first commit is no table. On a catalog (Databricks) the
    tables and views are there already, made by the runs, and nothing is registered.
    """
    lake = Lake(spark, settings, home)
    if settings.catalog or not lake.is_local:
        return []
    for layer in LAYER_FOLDERS:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{getattr(settings.schemas, layer)}`")
    return [table.label for table in tables_on_disk(Path(lake.root)) if _register(lake, table)]


def _register(lake: Lake, table: Table) -> bool:
    try:
        known = lake.exists(table)
        if known and table.layer == "quarantine":
            create_rows_view(lake, table)
    except (PySparkException, RcmError) as error:
        _log.warning("%s at %s is not known by name: %s", table.label, table.path, _reason(error))
        return False
    return known


def create_rows_view(lake: Lake, table: Table) -> None:
    """Create `quarantine.<entity>_rows`: one row a bad row, with first and last seen, times seen and status.

    An open row whose key has a newer version or delete in silver is shown as superseded: a later delivery took its place. On a catalog a view
    that is there stays as it is, because a replaced one loses its grants.
    """
    history, deletes = layer_table("silver", table.name), layer_table("silver", f"{table.name}_tombstones")
    lake.spark.sql(rows_view_sql(lake.settings, table, has_silver=lake.exists(history) and lake.exists(deletes)))


def rows_view_sql(settings: LakehouseSettings, table: Table, *, has_silver: bool) -> str:
    """The statement that makes `quarantine.<entity>_rows`; `has_silver` when the entity's history and tombstones are there to compare with."""
    view = sql_name(settings, layer_table(table.layer, f"{table.name}_rows"))
    history, deletes = layer_table("silver", table.name), layer_table("silver", f"{table.name}_tombstones")
    rows = folded_sql(sql_name(settings, table))
    if has_silver:
        rows = _superseded_sql(rows, f"{table.name}_key", sql_name(settings, history), sql_name(settings, deletes))
    create = "CREATE VIEW IF NOT EXISTS" if settings.catalog else "CREATE OR REPLACE VIEW"
    return f"{create} {view} AS {rows}"


def _superseded_sql(folded: str, key: str, history: str, deletes: str) -> str:
    # At equal time (a day is one time) the later delivery of the same table is the newer one.
    return f"""
        WITH folded AS ({folded}),
        times AS (
          SELECT {key} AS entity_key, coalesce(array_max(_repeated_at), effective_from) AS at, _source_table, _batch_seq FROM {history}
          UNION ALL SELECT {key}, deleted_at, _source_table, _batch_seq FROM {deletes}
        ),
        newest AS (
          SELECT entity_key, max(struct(at, _batch_seq, _source_table)) AS last FROM times
          WHERE entity_key IN (SELECT entity_key FROM folded WHERE status = 'open') GROUP BY entity_key
        )
        SELECT f.* EXCEPT (status, last_load_id, last_batch_seq, row_hash),
               CASE WHEN f.status = 'open' AND (
                 n.last.at > f.sequence_at
                 OR (coalesce(n.last.at = f.sequence_at, true) AND n.last._source_table = f.source_table AND n.last._batch_seq > f.last_batch_seq)
               ) THEN 'superseded' ELSE f.status END AS status,
               f.last_load_id, f.last_batch_seq, f.row_hash
        FROM folded AS f LEFT JOIN newest AS n ON n.entity_key = f.entity_key"""


def folded_sql(table: str) -> str:
    """SQL that folds the events of a quarantine table to one row a bad row.

    Its status is that of the last event that closed it; `open` without one, or when it was seen again after it.
    """
    return f"""
        SELECT quarantine_id, any_value(data_source) AS data_source, any_value(_source_table) AS source_table,
               max(entity_key) AS entity_key, max(sequence_at) AS sequence_at, max_by(reasons, seen_at) AS reasons,
               max(raw_row) AS raw_row, min(seen_at) AS first_seen_at, max(seen_at) AS last_seen_at,
               count_if(event = 'seen') AS seen_count, count_if(event IN ('retried', 'replayed', 'superseded')) AS attempts,
               CASE WHEN max(seen_at) FILTER (WHERE event = 'seen') > max(seen_at) FILTER (WHERE event IN ('replayed', 'superseded', 'rejected'))
                    THEN 'open'
                    ELSE coalesce(max_by(event, seen_at) FILTER (WHERE event IN ('replayed', 'superseded', 'rejected')), 'open') END AS status,
               max_by(_load_id, struct(seen_at, _batch_seq)) AS last_load_id, max_by(_batch_seq, struct(seen_at, _batch_seq)) AS last_batch_seq,
               max_by(_row_hash, struct(seen_at, _batch_seq)) AS row_hash
        FROM {table} GROUP BY quarantine_id"""


def name_for_readers(spark: SparkSession) -> None:
    """Register all tables in a session that is not ours, if the installed profile says which project it belongs to.

    It never raises: a session without our tables is still its owner's session. One line on stderr says what was wrong.
    """
    home = None
    try:
        home = os.environ.get("RCM_HOME") or spark.conf.get(HOME_CONF, None)
        if home is None:
            return
        silence_query_logs()
        settings = load_settings(Path(home), os.environ.get("RCM_ENV", "local"))
        if not register_all(spark, settings, Path(home)) and settings.catalog is None:
            raise ConfigError(f"there is none below {settings.root} yet. The first run makes them.")
    except (RcmError, PySparkException, Py4JError, OSError, ValueError) as error:
        sys.stderr.write(f"The tables of the lakehouse in {home} are not known by name in this session: {_reason(error)}\n")


def _reason(error: Exception) -> str:
    """One line: our own words whole, of others' errors the name alone, for their text may quote a row."""
    if isinstance(error, RcmError):
        return " ".join(str(error).split())[:400]
    return (error.getCondition() if isinstance(error, PySparkException) else None) or type(error).__name__
