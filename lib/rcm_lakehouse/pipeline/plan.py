"""Which steps a run has, and what each waits for (pure)."""

from collections.abc import Iterable
from dataclasses import replace

from rcm_lakehouse.config.connections import ApiConnection, JdbcConnection
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.matching import comparison_period, table_options
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.gold.models import followed_by
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.freeze import is_windowed
from rcm_lakehouse.pipeline.graph import Step, in_order


def steps_of(project: Project, options: RunOptions) -> list[Step]:
    """Every step that the options ask for, each with the names of the steps it needs.

    Raises ConfigError when `--only` names something that does not exist, or something that `--layers` leaves out.
    """
    named = options.verb_loads
    steps = [Step("bronze", row.label, _needs_of_load(project, row)) for row in project.active_loads if not named or row.label in named]
    steps += [Step("reconcile", row.label, frozenset({f"bronze:{row.label}"})) for row in reconciled_loads(project, options)]
    steps += [Step("silver", entity, _needs_of_entity(project, entity)) for entity in project.contracts]
    steps += [
        Step("gold", model.name, frozenset(name.replace(".", ":", 1) for name in followed_by(model))) for model in project.models.values()
    ]
    # A replay takes entities; the models follow by themselves.
    if options.replay:
        check_names(options.only, project.contracts, "entity whose quarantine can be replayed")
    else:
        check_names(options.only, {step.label for step in steps}, "active load, entity or model")
    layers = {*options.layers, *(["reconcile"] if "bronze" in options.layers else [])}
    _check_layers(steps, layers, options)
    return [step for step in steps if step.layer in layers and (not options.only or step.label in options.only)]


def _check_layers(steps: Iterable[Step], layers: set[str], options: RunOptions) -> None:
    """A name of which no step would run would be all good for ever."""
    if options.replay:
        return
    of_name: dict[str, list[str]] = {name: [] for name in options.only}
    for step in steps:
        if step.label in of_name:
            of_name[step.label].append(step.layer)
    left = {name: found[0] for name, found in of_name.items() if found and not layers & {*found}}
    idle = [f"--only: '{name}' would not run, because --layers leaves out {layer}." for name, layer in left.items()]
    if idle:
        raise ConfigError("\n".join([*idle, "Nothing was read or written."]))


def left_behind(project: Project, options: RunOptions, steps: Iterable[Step]) -> list[str]:
    """Names of the steps that `--only` left out though they take what `steps` bring, at first or second hand; empty without `--only`.

    They stand in the order of the data.
    """
    if not options.only:
        return []
    chosen = {step.name for step in steps}
    behind = dict[str, None]()
    # A plan names entities and models by the alphabet: without the order one would be asked before what it follows.
    for step in in_order(steps_of(project, replace(options, only=()))):
        if step.name not in chosen and step.needs & (chosen | behind.keys()):
            behind[step.name] = None
    return list(behind)


def reconciled_loads(project: Project, options: RunOptions) -> list[LoadRow]:
    """Loads that are compared with their source: those that `--reconcile` names; without a verb those whose connection says daily or weekly.

    A load whose deletes are approved is among them too: what is held may come from a comparison that a verb asked for.
    """
    if options.verb_loads:
        return [row for row in project.active_loads if row.label in options.reconcile]
    found = []
    for row in project.active_loads:
        connection = project.connections[row.database]
        if not isinstance(connection, JdbcConnection) or not is_windowed(project, row):
            continue
        if row.label in options.approve_deletes or comparison_period(connection, row) != "never":
            found.append(row)
    return found


def _needs_of_load(project: Project, row: LoadRow) -> frozenset[str]:
    """A load that looks up ids waits for the entity that has them, so that those of this run are asked for already."""
    connection = project.connections[row.database]
    options = table_options(connection.tables, row) if isinstance(connection, ApiConnection) else None
    return frozenset({f"silver:{options.ids_from.partition('.')[0]}"}) if options is not None and options.ids_from else frozenset()


def _needs_of_entity(project: Project, entity: str) -> frozenset[str]:
    contract = project.contracts[entity]
    loads = [f"{layer}:{row.label}" for layer in ("bronze", "reconcile") for row in feeding(project, entity)]
    return frozenset([*loads, *(f"silver:{other}" for other in contract.after)])


def feeding(project: Project, entity: str) -> list[LoadRow]:
    """Loads whose rows become rows of the entity; of one that is switched off bronze may have rows that silver has not."""
    contract = project.contracts[entity]
    return [row for row in (*project.active_loads, *project.switched_off) if project.mapping_of(contract, row) is not None]


def upstream_loads(project: Project, entity: str, row: LoadRow) -> set[str]:
    """Names of the bronze steps on which rows of one load depend as rows of the entity: the load itself, and its hospital's loads of what it refers to.

    Another load of the same entity is none of them: payers of charges do not wait for a claims file that was refused.
    """
    seen: set[str] = set()
    waiting = list(project.contracts[entity].after)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(project.contracts[name].after)
    referred = {f"bronze:{other.label}" for name in seen for other in feeding(project, name) if other.datasource == row.datasource}
    return referred | {f"bronze:{row.label}"}


def check_names(only: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise ConfigError for a name of `--only` that is not known; `what` says what there is."""
    names = sorted(known)
    unknown = [f"--only: '{name}' is no {what}.{did_you_mean(name, names)}" for name in only if name not in names]
    if unknown:
        raise ConfigError("\n".join([*unknown, f"There are: {', '.join(names)}."]))
