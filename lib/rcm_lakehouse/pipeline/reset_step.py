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
from rcm_lakehouse.pipeline.bronze_state import BronzeState, Reset
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.pipeline.verbs import BEGINNING


def reset(ctx: RunContext, lake: Lake, label: str, frozen: Frozen, state: BronzeState) -> Outcome:
    """Set the watermark of a load back to the planned value; the source is not asked, whatever the hour. The next run reads from there.

    Rows that bronze has already are dropped as duplicates then; since a reset never goes forward, it loses and doubles nothing. Raises
    SourceDataError when the table has no row yet; nothing was written.
    """
    row, planned = frozen.rows[label], frozen.resets.get(label)
    if planned is None:
        raise SourceDataError(f"--reset-watermark: {label} has loaded no row yet, so there is no watermark to reset. Nothing was written.")
    seq = state.batch_seq + 1
    own = {
        "_load_id": F.lit(frozen.load_ids[label]),
        "_batch_seq": F.lit(seq).cast("bigint"),
        # Nothing was read, so what was read ends where it did.
        "_window_high": F.lit(state.window_high).cast("timestamp"),
        "_watermark_before": F.lit(planned.after).cast("string"),
        "_change_type": F.lit("watermark"),
        "_ingested_at": F.current_timestamp(),
    }
    control = lake.spark.range(1).select(*[own.get(column.name, F.lit(None).cast(column.dataType)).alias(column.name) for column in LINEAGE])
    log = _log(ctx, row, frozen, planned)
    log.batch_seq, log.table_id = seq, lake.table_id(bronze_table(row))
    metadata = {"load_id": log.load_id, "batch_seq": seq, "watermark": planned.after, "kind": "reset", **riding([log])}
    log.table_version = lake.append(bronze_table(row), control, metadata=metadata, txn=(label, seq)).version
    ctx.keep(f"bronze:{label}", [log])
    # After the control row: a crash in between leaves the load refused, never going on from another column's value.
    remember(lake, bronze_table(row), WATERMARK, (row.watermark or "").lower())
    return Outcome("RESET", (log,), {"batch_seq": seq, "rows": 0})


def _log(ctx: RunContext, row: LoadRow, frozen: Frozen, planned: Reset) -> LoadLog:
    return ctx.log(
        "bronze",
        data_source=row.datasource,
        tablename=row.source_table,
        target=bronze_table(row).label,
        status="RESET",
        load_id=frozen.load_ids[row.label],
        watermarkcolumnname=row.watermark,
        watermark_before=planned.before,
        watermark_after=planned.after,
        message=f"watermark reset from {planned.before or BEGINNING} to {planned.after or BEGINNING} by --reset-watermark",
    )
