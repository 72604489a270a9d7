"""Rows about to be appended to a bronze table, flagged when their key was found deleted before."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.returned import after_deletes, with_returned
from rcm_lakehouse.bronze.windows import COUNTERS
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import JdbcPlan
from rcm_lakehouse.pipeline.jdbc_stage import mapped_key, spelled
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.silver.mapping import deleted_from


def with_returns(ctx: RunContext, lake: Lake, row: LoadRow, plan: JdbcPlan, rows: DataFrame) -> DataFrame:
    """The rows of a batch that is to be appended, those of keys with a delete in bronze flagged `returned:<time>`.

    Loads without a watermark or a key are never reconciled, so they have no deletes.
    """
    connection = ctx.project.connections[row.database]
    bronze = lake.read(bronze_table(row))
    known = {name.lower() for name in bronze.columns}
    key = mapped_key(ctx, row, jdbc_options(connection, row).key) if isinstance(connection, JdbcConnection) else []
    if plan.window is None or not key or any(name.lower() not in known for name in key):
        return rows
    column = spelled(bronze.schema, row.watermark)
    return with_returned(rows, bronze, [spelled(bronze.schema, name) for name in key], _deleted_at(ctx, row, plan.window.kind, column))


def _deleted_at(ctx: RunContext, row: LoadRow, kind: str, column: str) -> Column:
    """When silver takes a delete row to have happened, or a little later: its own time, and when it was noticed."""
    zone = ctx.project.connections[row.database].time_zone
    high = F.col("_window_high")
    if kind in COUNTERS:
        return F.greatest(high, after_deletes())
    is_day = kind == "date" and _is_sequence_everywhere(ctx, row)
    value = F.col(f"`{column}`").cast("timestamp")
    own = value if kind == "timestamptz" else F.to_utc_timestamp(value, zone)
    return deleted_from(own, high, zone, is_day=is_day)


def _is_sequence_everywhere(ctx: RunContext, row: LoadRow) -> bool:
    """True when every contract that the load feeds orders changes by its watermark."""
    contracts = [(contract, ctx.project.mapping_of(contract, row)) for contract in ctx.project.contracts.values()]
    sources = [mapping.columns.get(contract.sequence_by[0]) if contract.sequence_by else None for contract, mapping in contracts if mapping]
    return all(source is not None and source.lower() == str(row.watermark).lower() for source in sources)
