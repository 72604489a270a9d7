"""Rows about to be appended to a bronze table, flagged when their key was found deleted before or bears a later stamp in bronze."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.returned import MICROSECOND, after_deletes, with_returned
from rcm_lakehouse.bronze.windows import COUNTERS
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import JdbcPlan
from rcm_lakehouse.pipeline.jdbc_stage import mapped_key, spelled
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.silver.mapping import counted_from, deleted_from, in_utc


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
    return deleted_from(_own_time(kind, column, zone), high, zone, is_day=is_day)


def _own_time(kind: str, column: str, zone: str) -> Column:
    value = F.col(f"`{column}`").cast("timestamp")
    return value if kind == "timestamptz" else in_utc(value, F.col("_window_high"), zone)


def counts_from(ctx: RunContext, row: LoadRow, kind: str, column: str) -> Column:
    """The UTC time from which silver takes a row of the load to count: its own; when it was read, where the load does not know the times of its contracts."""
    high = F.col("_window_high")
    if not _tells_time(ctx, row, kind):
        return F.greatest(high, after_deletes())
    zone = ctx.project.connections[row.database].time_zone
    return F.greatest(counted_from(_own_time(kind, column, zone), high, zone, is_day=F.lit(kind == "date")), after_deletes())


def in_place_of(ctx: RunContext, row: LoadRow, kind: str, own: Column, known: Column) -> Column:
    """The UTC time from which a row counts that a comparison found in the place of another of its key; NULL where its own time says so already.

    `own` and `known` are counts_from of the two. The row is what the source has now: stamped earlier than the one that is no more (it was
    restored, or deleted and entered again) it would else be of the past. At equal time the later delivery wins. Where times are days it counts
    on the day of the known one, so that it does not outlast what is stamped with that day later.
    """
    if not any(_sequences(ctx, row)):
        return F.lit(None).cast("timestamp")
    after = known + F.expr(MICROSECOND)
    if not _tells_time(ctx, row, kind):
        return after
    return F.when(own < known, known if kind == "date" else after)


def _tells_time(ctx: RunContext, row: LoadRow, kind: str) -> bool:
    """True when the watermark is a time, and the one by which every contract that the load feeds orders changes, if it does."""
    return kind not in COUNTERS and all(source is None or source == str(row.watermark).lower() for source in _sequences(ctx, row))


def _sequences(ctx: RunContext, row: LoadRow) -> list[str | None]:
    """The source column, in lower case, by which each contract that the load feeds orders changes; None for one that has no such column."""
    fed = [(contract, ctx.project.mapping_of(contract, row)) for contract in ctx.project.contracts.values()]
    found = [mapping.columns.get(contract.sequence_by[0]) if contract.sequence_by else None for contract, mapping in fed if mapping]
    return [source if source is None else source.lower() for source in found]


def _is_sequence_everywhere(ctx: RunContext, row: LoadRow) -> bool:
    """True when every contract that the load feeds orders changes by its watermark."""
    return all(source == str(row.watermark).lower() for source in _sequences(ctx, row))
