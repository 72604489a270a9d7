"""Gold models in the order in which they can be built (pure)."""

from collections.abc import Mapping

import sqlglot

from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.sql_files import tables_of


def inputs_of(model: GoldModel) -> tuple[str, ...]:
    """Tables that the model reads, `silver.patient` or `gold.dim_patient`, sorted; names of its own WITH clauses are not among them."""
    return tuple(sorted(tables_of(sqlglot.parse_one(model.sql, read="spark"))))


def tied_entities(model: GoldModel) -> set[str]:
    """The silver entities whose rows and cents a model's must equal, whether it reads them or not."""
    return {source.split(".")[1] for source in model.ties_out.values()}


def followed_by(model: GoldModel) -> tuple[str, ...]:
    """Tables that the model is built after, and anew when they change: those it reads and those it ties out to, sorted."""
    return tuple(sorted({*inputs_of(model), *(f"silver.{entity}" for entity in tied_entities(model))}))


def in_dependency_order(models: Mapping[str, GoldModel]) -> list[list[GoldModel]]:
    """Levels of models: each level reads only silver and earlier levels.

    Raises ValueError naming the models that read each other.
    """
    needs = {name: {table.partition(".")[2] for table in inputs_of(model) if table.startswith("gold.")} & set(models) for name, model in models.items()}
    levels: list[list[GoldModel]] = []
    built: set[str] = set()
    while len(built) < len(models):
        level = sorted(name for name, wanted in needs.items() if name not in built and wanted <= built)
        if not level:
            raise ValueError(f"these models read each other: {', '.join(sorted(set(models) - built))}")
        levels.append([models[name] for name in level])
        built.update(level)
    return levels
