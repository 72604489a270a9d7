"""Rebuild a gold model when its inputs, its text or its parameters changed; judge the totals before the commit."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.config.errors import ConfigError, DataStopError
from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.gold.models import followed_by, inputs_of, tied_entities
from rcm_lakehouse.gold.parameters import parameters
from rcm_lakehouse.gold.tie_out import silver_totals_sql, tie_out_expressions
from rcm_lakehouse.lake.commits import was_put_back
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.memory import NO_STATISTICS, follow
from rcm_lakehouse.lake.table import Table, in_own_schemas, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.built_for import as_text, check_inputs, values_taken
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.identity import is_lost
from rcm_lakehouse.pipeline.model_check import unknown_name
from rcm_lakehouse.pipeline.put_back import put_back_in


def rebuild(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """Replace `gold.<model>` atomically; NOOP when nothing it is made of changed.

    Raises DataStopError when totals do not tie out to silver, ConfigError when the SQL names what is not there, TableStateError when a gold
    table that it reads is of another day or another parameter; the table is then unchanged.
    """
    model = ctx.project.models[step.label]
    table = layer_table("gold", model.name)
    broken = sorted(name for name in step.needs if name in done and done[name].failed)
    unfed = sorted(f"silver.{name}" for name in tied_entities(model) if f"silver:{name}" in done and done[f"silver:{name}"].facts.get("is_unfed"))
    if broken or unfed:
        # Facts of a table that never took a row would be figures of zero.
        cause = f"{', '.join(broken)} did not end well" if broken else f"{', '.join(unfed)} never had a row, for loads that feed it did not end well"
        message = f"not rebuilt because {cause}; the table is as it was"
        row = ctx.log("gold", tablename=model.name, target=table.label, status="SKIPPED_UPSTREAM", message=message)
        return Outcome("SKIPPED_UPSTREAM", (row,))
    # Before the fingerprint: what was built of two days by an earlier release would be found as it should be for ever.
    check_inputs(ctx.project, ctx.options, lake, ctx.state.last_done, model.name, [name.removeprefix("gold:") for name in done])
    values = parameters(ctx.project.settings.gold, ctx.options.as_of)
    built_for = as_text(values_taken(ctx.project, ctx.options, model.name))
    fingerprint = _fingerprint(ctx, lake, model, values, done)
    last = ctx.state.last_done.get(table.label)
    exists = lake.exists(table)
    is_known = bool(exists and last and last.table_id == lake.table_id(table))
    is_older = is_known and last is not None and last.table_version is not None and was_put_back(lake, table, last.table_version)
    if is_known and last and last.fingerprint == fingerprint and not is_older:
        row = ctx.log("gold", tablename=model.name, target=table.label, status="NOOP", fingerprint=fingerprint, table_id=last.table_id, parameters=built_for)
        row.table_version = last.table_version
        return Outcome("NOOP", (row,), {"fingerprint": fingerprint})
    # A model holds nothing of its own: a lost table is built anew, but not without a word.
    lost = [f"{table.label} was dropped or replaced by another table since the last run; it is built anew"] if is_lost(ctx, lake, table) else []
    lost += [f"{table.label} was put back as it was before; it is built anew"] if is_older else []
    return _replace(ctx, lake, model, table, values, {"fingerprint": fingerprint, "parameters": built_for}, lost)


def _replace(
    ctx: RunContext, lake: Lake, model: GoldModel, table: Table, values: Mapping[str, object], marks: Mapping[str, str], warnings: list[str]
) -> Outcome:
    try:
        result = lake.spark.sql(in_own_schemas(lake.settings, model.sql), args=dict(values))
    except AnalysisException as error:
        problem = unknown_name(model, error, _columns_read(lake, model))
        raise (ConfigError(f"{problem} The table was not replaced.") if problem else error) from None
    is_new = lake.ensure(table, result.schema, properties=NO_STATISTICS)
    counted = Counted(result, F.count(F.lit(1)).alias("rows_built"), *tie_out_expressions(model))
    staged_at = f"{lake.scratch(ctx.run_id)}/gold/{model.name}"
    # Staged first: totals are known before the commit, and the commit takes immutable files.
    staged = lake.staged(staged_at, counted.rows)
    found = counted.counts(staged)
    _check_key(staged, model)
    if model.ties_out:
        _check_totals(lake, model, found)
    rows = int(found["rows_built"])
    row = ctx.log(
        "gold",
        tablename=model.name,
        target=table.label,
        numberofrowscopied=rows,
        rows_written=rows,
        **marks,
        table_id=lake.table_id(table),
        warnings=warnings,
    )
    if not is_new:
        # Tables of earlier releases keep statistics of days and keys; what is built now has none.
        follow(lake, table, NO_STATISTICS)
    crash_point("P12", model.name)
    metadata = {"run_id": ctx.run_id, "fingerprint": marks["fingerprint"], **riding([row])}
    row.table_version = lake.replace(table, staged, metadata=metadata).version
    crash_point("P13", model.name)
    return Outcome("SUCCESS", (row,), {"fingerprint": marks["fingerprint"]})


def _columns_read(lake: Lake, model: GoldModel) -> list[str]:
    """The columns of the tables that a model reads."""
    tables = [layer_table(layer, name) for layer, _, name in (found.partition(".") for found in inputs_of(model))]
    return [column for table in tables if lake.exists(table) for column in lake.read(table).columns]


def _check_key(staged: DataFrame, model: GoldModel) -> None:
    """Two rows of one key would double each row that joins them. NULLs are equal here."""
    if not model.key:
        return
    keys = staged.groupBy(*[F.col(f"`{name}`") for name in model.key]).agg(F.count(F.lit(1)).alias("_rows"))
    found = keys.where("_rows > 1").agg(F.count(F.lit(1)).alias("keys")).first()
    if found is not None and found["keys"]:
        told = f"{found['keys']} values of its key ({', '.join(model.key)}) are in several rows"
        raise DataStopError(f"gold.{model.name}: {told}. The table was not replaced. See {model.file}.")


def _check_totals(lake: Lake, model: GoldModel, found: Mapping[str, object]) -> None:
    for entity in tied_entities(model):
        # By name it is known to this session once it was asked for; the model itself need not read it.
        lake.exists(layer_table("silver", entity))
    expected = lake.spark.sql(in_own_schemas(lake.settings, silver_totals_sql(model))).first()
    wanted = expected.asDict() if expected is not None else {}
    apart = [name for name, value in wanted.items() if Decimal(str(value or 0)) != Decimal(str(found.get(name) or 0))]
    if apart:
        told = "; ".join(f"{name}: silver {wanted[name]}, gold {found.get(name)}" for name in apart)
        raise DataStopError(f"gold.{model.name} does not tie out to silver ({told}). The table was not replaced. See {model.file}.")


def _fingerprint(ctx: RunContext, lake: Lake, model: GoldModel, values: Mapping[str, object], done: Mapping[str, Outcome]) -> str:
    inputs = {name: _state_of(ctx, lake, name, done) for name in followed_by(model)}
    # What is checked of a table when it is built belongs to it: a tie-out that was added is judged by the next run.
    checks = [list(model.key), model.ties_out]
    text = json.dumps([model.sql, checks, {key: str(value) for key, value in values.items()}, inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _state_of(ctx: RunContext, lake: Lake, name: str, done: Mapping[str, Outcome]) -> str:
    layer, _, short = name.partition(".")
    outcome = done.get(f"{layer}:{short}")
    table = layer_table(layer, short)
    if not lake.exists(table):
        return "absent"
    last = ctx.state.last_done.get(table.label)
    if layer == "gold":
        return str(outcome.facts.get("fingerprint")) if outcome else str(last.fingerprint if last else lake.head_version(table))
    table_id = lake.table_id(table)
    # Commits without rows (a contract remembered, compaction) make no other version of what silver's last step left.
    known = last.table_version if last is not None and last.table_id == table_id else None
    version = outcome.facts.get("version", known) if outcome else known
    # Behind a table that was put back the same versions come again, with other rows.
    again = last.consumed.get(put_back_in(table), "") if last is not None and last.table_id == table_id else ""
    return f"{table_id}@{version if version is not None else lake.head_version(table)}{again and f'+{again}'}"


def kpi_frame(lake: Lake) -> DataFrame:
    """`gold.kpi_summary` as of its newest rebuild."""
    return lake.read(layer_table("gold", "kpi_summary"))
