"""A named reset of a watermark: one control row in bronze that carries the new state, and an audit row that says so."""

from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import LINEAGE
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.memory import WATERMARK, remember
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.bronze_state import BronzeState
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.pipeline.verbs import BEGINNING, checked_value


def reset(ctx: RunContext, lake: Lake, label: str, value: str, frozen: Frozen, state: BronzeState) -> Outcome:
    """Set the watermark of a load to a value, or to the beginning; nothing is read. The next run reads from there.

    Rows that bronze has already are dropped as duplicates then, so a reset loses and doubles nothing. Raises SourceDataError
    when the table has no row yet, ConfigError when the value is none of the watermark's kind; the watermark is unchanged.
    """
    row, plan = frozen.rows[label], frozen.jdbc[label]
    if state.batch_seq == 0:
        raise SourceDataError(f"--reset-watermark: {label} has loaded no row yet, so there is no watermark to reset. Nothing was written.")
    after = None if value.lower() == BEGINNING else checked_value(plan, "--reset-watermark", value)
    seq = state.batch_seq + 1
    own = {
        "_load_id": F.lit(frozen.load_ids[label]),
        "_batch_seq": F.lit(seq).cast("bigint"),
        "_window_high": F.lit(plan.window_high).cast("timestamp"),
        "_watermark_before": F.lit(after).cast("string"),
        "_change_type": F.lit("watermark"),
        "_ingested_at": F.current_timestamp(),
    }
    control = lake.spark.range(1).select(*[own.get(column.name, F.lit(None).cast(column.dataType)).alias(column.name) for column in LINEAGE])
    log = _log(ctx, row, frozen, plan.watermark_before, after)
    log.batch_seq, log.table_id = seq, lake.table_id(bronze_table(row))
    metadata = {"load_id": log.load_id, "batch_seq": seq, "watermark": after, "kind": "reset", **riding([log])}
    log.table_version = lake.append(bronze_table(row), control, metadata=metadata, txn=(label, seq)).version
    ctx.keep(f"bronze:{label}", [log])
    # After the control row: a crash in between leaves the load refused, never going on from another column's value.
    remember(lake, bronze_table(row), WATERMARK, (row.watermark or "").lower())
    return Outcome("RESET", (log,), {"batch_seq": seq, "rows": 0})


def _log(ctx: RunContext, row: LoadRow, frozen: Frozen, before: str | None, after: str | None) -> LoadLog:
    return ctx.log(
        "bronze",
        data_source=row.datasource,
        tablename=row.source_table,
        target=bronze_table(row).label,
        status="RESET",
        load_id=frozen.load_ids[row.label],
        watermarkcolumnname=row.watermark,
        watermark_before=before,
        watermark_after=after,
        message=f"watermark reset from {before or BEGINNING} to {after or BEGINNING} by --reset-watermark",
    )
