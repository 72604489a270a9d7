"""When a load is compared with its source: asked for by name, approved after it was held, or once its period has passed."""

from datetime import datetime, timedelta

from rcm_lakehouse.audit.reconciled import last_reconciled
from rcm_lakehouse.config.matching import comparison_period
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import JdbcPlan

# A little less than the period, so that a run that starts some minutes earlier than yesterday's still reconciles.
_PERIODS = {"daily": timedelta(hours=20), "weekly": timedelta(days=6, hours=12)}


def is_due(ctx: RunContext, lake: Lake, row: LoadRow, plan: JdbcPlan) -> bool:
    """True when this run compares the load; the plan's window ends at the source's own time. Asks the audit for the last comparison."""
    if row.label in ctx.options.reconcile:
        return True
    period = comparison_period(ctx.project.connections[row.database], row)
    is_approved = row.label in ctx.options.approve_deletes
    if period == "never" and not is_approved:
        return False
    last = last_reconciled(lake).get(f"bronze.{row.bronze_table}")
    if is_approved and last is not None and last.status == "HELD":
        return True
    if period == "never":
        return False
    return last is None or datetime.fromisoformat(plan.window_high) - datetime.fromisoformat(last.at) >= _PERIODS[period]
