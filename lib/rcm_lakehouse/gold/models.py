"""Gold models in the order in which they can be built (pure)."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain

import sqlglot
from sqlglot import exp

from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.sql_files import tables_of


@lru_cache(maxsize=256)
def _read_by(sql: str) -> tuple[frozenset[str], frozenset[str]]:
    """Tables and parameters in a SELECT; every step of a run asks for them, and parsing takes longer than all else that is asked of a model."""
    tree = sqlglot.parse_one(sql, read="spark")
    return tables_of(tree), frozenset(str(node.name) for node in tree.find_all(exp.Placeholder))


def inputs_of(model: GoldModel) -> tuple[str, ...]:
    """Tables that the model reads, `silver.patient` or `gold.dim_patient`, sorted; names of its own WITH clauses are not among them."""
    return tuple(sorted(_read_by(model.sql)[0]))


def tied_entities(model: GoldModel) -> set[str]:
    """The silver entities whose rows and cents a model's must equal, whether it reads them or not."""
    return {source.split(".")[1] for source in model.ties_out.values()}


def followed_by(model: GoldModel) -> tuple[str, ...]:
    """Tables that the model is built after, and anew when they change: those it reads and those it ties out to, sorted."""
    return tuple(sorted({*inputs_of(model), *(f"silver.{entity}" for entity in tied_entities(model))}))


def models_read(model: GoldModel) -> tuple[str, ...]:
    """Names of the gold tables that the model reads itself, sorted."""
    return tuple(table.partition(".")[2] for table in inputs_of(model) if table.startswith("gold."))


def parameters_taken(models: Mapping[str, GoldModel]) -> dict[str, frozenset[str]]:
    """The parameters on which each model's rows depend (`as_of`): those in its SQL, and those of the models that it reads, at any distance."""
    taken: dict[str, frozenset[str]] = {}
    for model in chain.from_iterable(in_dependency_order(models)):
        taken[model.name] = _read_by(model.sql)[1].union(*[taken.get(name, frozenset()) for name in models_read(model)])
    return taken


def in_dependency_order(models: Mapping[str, GoldModel]) -> list[list[GoldModel]]:
    """Levels of models: each level reads only silver and earlier levels.

    Raises ValueError naming the models that read each other.
    """
    needs = {name: {*models_read(model)} & set(models) for name, model in models.items()}
    levels: list[list[GoldModel]] = []
    built: set[str] = set()
    while len(built) < len(models):
        level = sorted(name for name, wanted in needs.items() if name not in built and wanted <= built)
        if not level:
            raise ValueError(f"these models read each other: {', '.join(sorted(set(models) - built))}")
        levels.append([models[name] for name in level])
        built.update(level)
    return levels
