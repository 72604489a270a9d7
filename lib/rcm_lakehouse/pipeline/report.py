"""What the closing tables and the dry run show, read from the lake."""

from collections.abc import Iterable

from rcm_lakehouse.config.project import Project
from rcm_lakehouse.gold.models import inputs_of
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.plan import feeding


def read_kpis(lake: Lake) -> list[tuple[object, ...]]:
    """Rows (data_source, kpi, value, unit) of `gold.kpi_summary` in its own order; empty before the first rebuild."""
    table = layer_table("gold", "kpi_summary")
    if not lake.exists(table):
        return []
    rows = lake.read(table).select("data_source", "kpi", "value", "unit").orderBy("kpi", "data_source").collect()
    return [tuple(row) for row in rows]


def plan_rows(project: Project, steps: Iterable[Step], frozen: Frozen, options: RunOptions) -> list[tuple[str, ...]]:
    """One line a step: what it reads, its watermark, the window that would be read, and what it writes."""
    lines: list[tuple[str, ...]] = []
    for step in steps:
        if options.reset_watermark and step.name == f"bronze:{options.reset_watermark[0]}":
            before = frozen.resets[step.label].before if step.label in frozen.resets else None
            lines.append((step.name, "nothing", before or "none yet", "", options.reset_watermark[1], "the watermark"))
        elif step.layer == "reconcile" and step.label in frozen.outside:
            lines.append((step.name, *frozen.described(step.label)))
        elif step.layer == "reconcile":
            row = frozen.rows[step.label]
            lines.append((step.name, f"sums of {row.tablename}, rows where they differ", "", "", "", f"bronze.{row.bronze_table}"))
        elif step.layer == "bronze":
            lines.append((step.name, *frozen.described(step.label)))
        elif step.layer == "silver" and options.replay:
            lines.append((step.name, f"open rows of quarantine.{step.label}", "", "", "", f"silver.{step.label}"))
        elif step.layer == "silver":
            sources = ", ".join(f"bronze.{row.bronze_table}" for row in feeding(project, step.label) if row.is_active)
            lines.append((step.name, sources, "", "what silver has not taken", "newest batch", f"silver.{step.label}"))
        else:
            inputs = ", ".join(inputs_of(project.models[step.label]))
            lines.append((step.name, inputs, "", "", "", f"gold.{step.label}"))
    return lines
