"""For which parameters a gold table was built: a model is made of tables that were built for those of its own run, and of no others."""

import json
from collections.abc import Collection, Mapping

from rcm_lakehouse.audit.state import LastDone
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.gold.models import models_read, parameters_taken
from rcm_lakehouse.gold.parameters import parameters
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunOptions


def values_taken(project: Project, options: RunOptions, model: str) -> dict[str, str]:
    """The run's values of the parameters on which a model's rows depend, itself or through what it reads."""
    values = parameters(project.settings.gold, options.as_of)
    return {name: str(values[name]) for name in sorted(parameters_taken(project.models)[model])}


def as_text(values: Mapping[str, str]) -> str:
    """The values as `audit.load_logs` keeps them."""
    return json.dumps(values, sort_keys=True)


def check_inputs(
    project: Project, options: RunOptions, lake: Lake, known: Mapping[str, LastDone], model: str, in_run: Collection[str]
) -> None:
    """Raise TableStateError when a gold table that a model reads was built for other parameters than the run's, or for none that are known.

    Tables of the models `in_run` are the run's own; of the others the newest finished step tells (`known`, by table label). The values that
    a table was built for hold for all that it was made of, so what it reads itself need not be asked. Nothing was written.
    """
    others = _others(project, options, lake, known, model, in_run)
    if not others:
        return
    wanted = values_taken(project, options, model)
    told = "; ".join(f"gold.{name}, which it reads, was built for {found}" for name, found in others.items())
    named = ",".join(sorted({*options.only, model, *_to_be_built(project, options, lake, known, model, in_run)}))
    raise TableStateError(
        f"gold.{model} is not built for {_told(wanted)}: {told}. Its figures would be of neither. gold.{model} is as it was. Build them in one run: "
        f"spark-submit jobs/run_pipeline.py --only {named} --as-of {options.as_of}, or the same without --only."
    )


def refused_models(project: Project, options: RunOptions, lake: Lake, known: Mapping[str, LastDone], models: Collection[str]) -> list[str]:
    """What `check_inputs` will say of the models of a run, before anything is built."""
    told = []
    for model in models:
        try:
            check_inputs(project, options, lake, known, model, models)
        except TableStateError as error:
            told.append(str(error))
    return told


def _others(
    project: Project, options: RunOptions, lake: Lake, known: Mapping[str, LastDone], model: str, in_run: Collection[str]
) -> dict[str, str]:
    """Models read whose tables are not of this run's values, with what they were built for in words."""
    found = dict[str, str]()
    for name in models_read(project.models[model]):
        table = layer_table("gold", name)
        if name not in project.models or name in in_run or not lake.exists(table):
            continue
        wanted = values_taken(project, options, name)
        last = known.get(table.label)
        # A table that another program replaced is of no known day, whatever the audit has of the one before it.
        kept = last.parameters if last is not None and last.table_id == lake.table_id(table) else None
        apart = [key for key in wanted if kept is None or kept.get(key) != wanted[key]]
        if apart:
            found[name] = f"an unknown {', '.join(apart)}" if kept is None else _told({key: kept.get(key, "unknown") for key in apart})
    return found


def _to_be_built(
    project: Project, options: RunOptions, lake: Lake, known: Mapping[str, LastDone], model: str, in_run: Collection[str]
) -> set[str]:
    """Models that have to be built with this one, those that these read in turn among them."""
    found = set[str]()
    waiting = [model]
    while waiting:
        for name in _others(project, options, lake, known, waiting.pop(), in_run):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _told(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
