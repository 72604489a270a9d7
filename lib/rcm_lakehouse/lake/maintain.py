"""Upkeep of one table: small files into large ones, and files that no version of the last days needs removed."""

from pyspark.errors import PySparkException

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

SHORTEST_HOURS = 168
"""Readers and time travel may need files for this long; Delta's own default is the same."""


def check_retention(hours: int) -> None:
    """Raise ConfigError when files would be removed that a running reader or time travel may still need; nothing was removed."""
    if hours < SHORTEST_HOURS:
        raise ConfigError(
            f"--retention-hours {hours}: at least {SHORTEST_HOURS} (7 days) is needed, because a reader that runs now and time travel need the files "
            "of older versions. Nothing was removed."
        )


def optimize(lake: Lake, table: Table) -> tuple[int, int]:
    """Compact the table's small files in one commit; (files removed, files added), (0, 0) when there was nothing to do."""
    row = lake.spark.sql(f"OPTIMIZE {lake.sql_name(table)}").select("metrics.numFilesRemoved", "metrics.numFilesAdded").first()
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


def vacuum(lake: Lake, table: Table, hours: int, *, whole: bool = False) -> None:
    """Remove files that no version of the last `hours` hours needs.

    LITE reads the log alone; where the log no longer goes back far enough, or with `whole`, the folder is listed: that also removes
    files which a killed run wrote and never committed. Raises ConfigError for a retention that is too short.
    """
    check_retention(hours)
    name = lake.sql_name(table)
    if not whole:
        try:
            lake.spark.sql(f"VACUUM {name} LITE RETAIN {int(hours)} HOURS").collect()
            return
        except PySparkException as error:
            if error.getCondition() != "DELTA_CANNOT_VACUUM_LITE":
                raise
    lake.spark.sql(f"VACUUM {name} RETAIN {int(hours)} HOURS").collect()
