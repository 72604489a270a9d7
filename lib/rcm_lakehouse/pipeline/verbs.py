"""Verbs that a person gives for named loads: full refresh, back-fill, reset of a watermark. Each is audited and can be tried dry."""

from collections.abc import Iterable
from dataclasses import replace

from rcm_lakehouse.bronze.windows import Kind, Window, canonical, compare
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.memory import WATERMARK, recall
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.bronze_state import BronzeState, Reset, highest_read
from rcm_lakehouse.pipeline.context import APPROVAL, Backfill, RunOptions
from rcm_lakehouse.pipeline.freeze import Frozen, JdbcPlan, is_windowed, watermark_of
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.pipeline.source_checks import watermark_drift

BACKFILL_FLAG = "backfill"
BEGINNING = "beginning"
_UNTOUCHED = "Nothing was read or written."
# What a column of bronze is as a watermark; any other type is a number.
_KINDS: dict[str, Kind] = {"date": "date", "timestamp": "timestamp", "timestamp_ntz": "timestamp", "string": "digits"}


def check_verbs(project: Project, options: RunOptions) -> None:
    """Raise ConfigError for a verb on a load that does not exist or cannot take it, or that other options leave out; nothing was read or written."""
    loads = {row.label: row for row in project.active_loads}
    # Of what bronze has of a load that is switched off a snapshot may be held.
    every = {**loads, **{row.label: row for row in project.switched_off}}
    problems = [problem for verb, name in options.verbs for problem in _problems(project, every if verb == APPROVAL else loads, verb, name)]
    problems += [problem for verb, name in options.verbs if name in loads for problem in _left_out(project, options, verb, loads[name])]
    problems += [*_beside_reset(options), *_beside_backfill(options)]
    beside = [name for name in options.only if name in loads and name not in options.verb_loads] if options.verb_loads else []
    if beside:
        read = ", ".join(options.verb_loads)
        text = f"--only: {', '.join(beside)} is not read here: a verb reads the loads it names alone ({read}). Name it to the verb, or leave it out of --only."
        problems.append(text)
    tables = _tables(project)
    for name in options.accept_lost:
        if name not in tables:
            problems.append(f"--accept-lost: '{name}' is no table of this lakehouse.{did_you_mean(name, tables)} Name it as silver.patient.")
    if problems:
        raise ConfigError("\n".join([*problems, _UNTOUCHED]))


def _tables(project: Project) -> list[str]:
    """Every table of the layers that the configuration makes."""
    bronze = [f"bronze.{row.bronze_table}" for row in project.loads]
    silver = [name for entity in project.contracts for name in (f"silver.{entity}", f"silver.{entity}_tombstones", f"quarantine.{entity}")]
    return [*bronze, *silver, *(f"gold.{model}" for model in project.models)]


def _problems(project: Project, loads: dict[str, LoadRow], verb: str, name: str) -> Iterable[str]:
    row = loads.get(name)
    if row is None:
        yield f"{verb}: '{name}' is no active load.{did_you_mean(name, loads)} There are: {', '.join(loads)}."
    elif verb == APPROVAL:
        if row.loadtype == "Incremental" and not isinstance(project.connections[row.database], JdbcConnection):
            yield f"{verb}: '{name}' has no deletes to approve: only full loads and comparisons with a database find any."
    elif not isinstance(project.connections[row.database], JdbcConnection):
        yield f"{verb}: '{name}' is not read from a database. Files are known by their content: deliver the file again under its name to correct it."
    elif verb in ("--from/--to", "--reset-watermark") and not is_windowed(project, row):
        yield f"{verb}: '{name}' is loaded in full and has no watermark."
    elif verb == "--reconcile" and not is_windowed(project, row):
        yield f"{verb}: '{name}' is loaded in full: every load of it finds deleted and missed rows, and takes what is there by its own stamps."


def _left_out(project: Project, options: RunOptions, verb: str, row: LoadRow) -> Iterable[str]:
    """A verb that would do nothing and say so nowhere, because the run leaves out what it acts on."""
    name = row.label
    if verb == APPROVAL:
        fed = {contract.entity for contract in project.contracts.values() if project.mapping_of(contract, row)}
        if options.only and not {name, *fed} & {*options.only}:
            yield f"{verb}: '{name}' would have no effect, because --only leaves it out. Name it there too, or leave --only out."
        if not {"bronze", "silver"} & set(options.layers):
            yield f"{verb}: '{name}' would have no effect, because --layers leaves out bronze and silver."
    elif "bronze" not in options.layers:
        yield f"{verb}: '{name}' would not be read, because --layers leaves out bronze."
    elif options.only and name not in options.only:
        yield f"{verb}: '{name}' would not be read, because --only leaves it out. Name it there too, or leave --only out."


def _beside_reset(options: RunOptions) -> Iterable[str]:
    """What else is asked of a load that is reset: it would not be done, and nothing would say so."""
    for name, _ in [options.reset_watermark] if options.reset_watermark else []:
        others = [verb for verb, load in options.verbs if load == name and verb != "--reset-watermark"]
        if others:
            yield f"--reset-watermark: '{name}' is named by {', '.join(others)} too, but a reset reads nothing of its source. Give them one after the other."


def _beside_backfill(options: RunOptions) -> Iterable[str]:
    """A comparison asks for what the load's own window has taken, and a back-fill takes its place: all beyond its end would be told as not yet due."""
    for name in options.backfill.loads if options.backfill else ():
        if name in options.reconcile:
            yield f"--reconcile: '{name}' is named by --from/--to too, whose range would stand for what its loads have read. Give them one after the other."


def apply_verbs(lake: Lake, frozen: Frozen, options: RunOptions) -> None:
    """Change the frozen plans of the named loads.

    A full refresh reads the whole table again; what bronze has already is dropped and counted, and the watermark is never lowered. A
    back-fill reads [low, high) without overlap, rows without a value left out, and marks its rows so that they move no watermark. It ends where
    the load's own window ends now, with a warning: rows stamped later would be known when their window comes, and move no watermark then. A
    reset is planned by what bronze has; its source is not asked.

    Raises ConfigError when a bound or the value of a reset is no value of the watermark's kind, for a back-fill that would hold no value, and
    for a reset that would go forward.
    """
    for name in options.full_refresh:
        plan = frozen.jdbc.get(name)
        if plan is not None and plan.window is not None:
            frozen.jdbc[name] = replace(plan, window=plan.window.model_copy(update={"low": None}))
    for name in options.backfill.loads if options.backfill else ():
        plan = frozen.jdbc.get(name)
        if plan is not None and options.backfill is not None:
            frozen.jdbc[name] = _backfilled(plan, options.backfill)
    if options.reset_watermark:
        name, value = options.reset_watermark
        row = frozen.rows[name]
        state = frozen.state_of(row)
        if name not in frozen.refused and state.batch_seq > 0:
            frozen.resets[name] = _reset(lake, row, state, value)


def _backfilled(plan: JdbcPlan, wanted: Backfill) -> JdbcPlan:
    assert plan.window is not None
    kind = plan.window.kind
    low, high = (_checked(kind, plan.row, verb, text) for verb, text in (("--from", wanted.low), ("--to", wanted.high)))
    if compare(kind, low, high) >= 0:
        raise ConfigError(f"--from {low} is not before --to {high}. {_UNTOUCHED}")
    present = plan.rest_high or plan.window.high or high
    if compare(kind, low, present) >= 0:
        raise ConfigError(f"--from {low}: {plan.row.label} is read to {present} now, and what is stamped later comes with its window. {_UNTOUCHED}")
    told = f"--to {high} lies beyond what a load reads now: the back-fill ends at {present}, and what is stamped later comes with its window"
    is_cut = compare(kind, high, present) > 0
    window = Window(kind=kind, low=low, high=present if is_cut else high, takes_null=False)
    return replace(plan, window=window, warnings=(*plan.warnings, *([told] if is_cut else [])), flag=BACKFILL_FLAG)


def _reset(lake: Lake, row: LoadRow, state: BronzeState, value: str) -> Reset:
    """The reset of a load that has rows.

    A watermark is never raised by hand, for what lies between would not be read. A table without one (set to the beginning before, or read
    by another column until now) takes no value above the highest that bronze has. Raises ConfigError then; nothing was read or written.
    """
    assert row.watermark is not None
    table, column = bronze_table(row), row.watermark.lower()
    types = {field.name.lower(): field.dataType.simpleString() for field in lake.read(table).schema}
    kind = _KINDS.get(types.get(column, ""), "int")
    remembered = recall(lake, table).get(WATERMARK)
    drift = watermark_drift(row, remembered)
    if drift is not None and not remembered:
        raise ConfigError(f"--reset-watermark: {drift}")
    before = None if drift else watermark_of(kind, state)
    if value.lower() == BEGINNING:
        return Reset(before, None)
    most = before or highest_read(lake, table, column)
    if most is None:
        told = f"--reset-watermark: bronze has no value of {row.watermark} of {row.label}, so '{BEGINNING}' alone fits."
        raise ConfigError(f"{told} {_UNTOUCHED}")
    most, after = canonical(kind, most), _checked(kind, row, "--reset-watermark", value)
    if compare(kind, after, most) > 0:
        stands = f"the watermark of {row.label} is {most}" if before else f"{row.label} has no watermark now, and the highest value in bronze is {most}"
        raise ConfigError(
            f"--reset-watermark: {stands}. A reset goes back, never forward: rows between that and {after} would not be read. {_UNTOUCHED} "
            "Give a value that is not above it; only loads move a watermark forward. To leave rows out, load a view that has the others."
        )
    return Reset(before, after)


def _checked(kind: Kind, row: LoadRow, verb: str, text: str) -> str:
    """A value of the watermark's kind as canonical text.

    Raises ConfigError when it is none; nothing was read or written.
    """
    try:
        return canonical(kind, text)
    except ValueError:
        expected = {"date": "a day like 2026-01-31", "int": "an integer", "digits": "an integer"}.get(kind, "a time like 2026-01-31 08:30:00")
        told = f"{verb}: the value is no {kind} watermark of {row.label}; expected {expected}."
        raise ConfigError(f"{told} {_UNTOUCHED}") from None
