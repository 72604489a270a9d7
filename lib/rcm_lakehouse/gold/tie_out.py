"""Rows and cents of a fact must equal those of the current silver rows it is made of (pure)."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from rcm_lakehouse.config.models import GoldModel


def tie_out_expressions(model: GoldModel) -> list[Column]:
    """Aggregates of the built rows, one a tied column: sums in dollars and cents, `rows` as a count."""
    columns = []
    for name in model.ties_out:
        found = F.count(F.lit(1)) if name == "rows" else F.coalesce(F.sum(F.col(name)), F.lit(0).cast("decimal(38,2)"))
        columns.append(found.alias(f"tie_{name}"))
    return columns


def silver_totals_sql(model: GoldModel) -> str:
    """SQL for the same aggregates over the current rows of silver, under the same names."""
    parts = []
    for name, source in model.ties_out.items():
        _, entity, *column = source.split(".")
        total = "count(*)" if name == "rows" else f"coalesce(sum({column[0]}), 0)"
        parts.append(f"(SELECT {total} FROM silver.{entity} WHERE is_current) AS tie_{name}")
    return f"SELECT {', '.join(parts)}"
