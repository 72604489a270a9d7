"""Gold models and expressions of contracts judged by Spark over empty tables, before anything is read: what only its analyser can tell.

`config.checks_columns` names most mistakes without Spark, together with all others of the configuration; here is the rest: aliases of no
table, names that could be of several tables, columns of subqueries, unions of unequal width, calls that no function takes.
"""

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import sqlglot
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import DataType, NullType, NumericType, StructField, StructType
from sqlglot import exp

from rcm_lakehouse.audit.state import AuditState
from rcm_lakehouse.config.checks_columns import Judged, judged
from rcm_lakehouse.config.models import GoldModel, line_of
from rcm_lakehouse.config.problems import Problem, did_you_mean, raise_problems
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.sql_files import read_sql_file
from rcm_lakehouse.config.sql_names import with_names
from rcm_lakehouse.gold.models import in_dependency_order, inputs_of
from rcm_lakehouse.gold.parameters import parameters
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.contract_check import contract_problems, plain_words
from rcm_lakehouse.pipeline.plan import feeding
from rcm_lakehouse.silver.schema import silver_schema

_UNKNOWN = {"UNRESOLVED_COLUMN": "column", "FIELD_NOT_FOUND": "field", "UNRESOLVED_ROUTINE": "function"}
# What stands for a table has no files; how a pivot takes an alias is not judged.
_UNJUDGED = re.compile(r"\b(_metadata|PIVOT|UNPIVOT)\b", re.IGNORECASE)
# Delta takes no name with one of these.
_UNFIT = re.compile(r"[ ,;{}()\n\t=]")


def check_by_spark(lake: Lake, project: Project, options: RunOptions, state: AuditState | None = None) -> None:
    """Raise ConfigError with every model, `check` and `derive` that Spark would refuse, each with its file and line; no table is read or made.

    What was all built, or found as it should be, with this very configuration (`state`) is not judged again. Of a refused model the names of
    its columns count, not their types; where these names are not known either, a model that reads it is not judged.
    """
    fed = [entity for entity in project.contracts if any(row.is_active for row in feeding(project, entity))]
    tables = [*(f"silver.{entity}" for entity in fed), *(f"gold.{name}" for name in project.models)]
    if state is not None and all(_was_built(state, table, project.config_hash) for table in tables):
        return
    spark = lake.for_thread().spark
    problems = list(chain.from_iterable(contract_problems(spark, project.home, contract) for contract in project.contracts.values()))
    raise_problems([*problems, *_model_problems(spark, project, parameters(project.settings.gold, options.as_of))])


def _model_problems(spark: SparkSession, project: Project, values: Mapping[str, object]) -> list[Problem]:
    problems = list[Problem]()
    with _Views(spark) as views:
        for entity, contract in project.contracts.items():
            views.add(f"silver.{entity}", silver_schema(contract))
        for model in chain.from_iterable(in_dependency_order(project.models)):
            inputs = inputs_of(model)
            if not views.schemas.keys() >= set(inputs) or _UNJUDGED.search(model.sql):
                continue
            found = _judged(views, model, values, [column for table in inputs for column in views.schemas[table].names])
            if isinstance(found, Problem):
                problems.append(found)
            else:
                problems += _wrong_ties(project.home, model, found, views.schemas)
            given = _names_given(model, views.schemas) if isinstance(found, Problem) else found
            if given is not None:
                views.add(f"gold.{model.name}", given)
    return problems


def _was_built(state: AuditState, table: str, config_hash: str) -> bool:
    last = state.last_done.get(table)
    return last is not None and last.config_hash == config_hash


def _names_given(model: GoldModel, schemas: Mapping[str, StructType]) -> StructType | None:
    """The columns of a model that is refused, of no type, so that they fit everywhere; None when their names cannot be told."""
    names = {table: frozenset(name.lower() for name in schema.names) for table, schema in schemas.items()}
    tree = sqlglot.parse_one(model.sql, read="spark")
    found = judged(tree, names.get) if isinstance(tree, exp.Query) else Judged()
    if not found.outputs or not found.is_all:
        return None
    return StructType([StructField(name, NullType()) for name in sorted(found.outputs)])


class _Views:
    """Empty temporary views that stand for tables of the lakehouse; gone afterwards."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.schemas: dict[str, StructType] = {}

    def __enter__(self) -> "_Views":
        return self

    def __exit__(self, *error: object) -> None:
        for table in self.schemas:
            self.spark.catalog.dropTempView(_stand_in(table))

    def add(self, table: str, schema: StructType) -> None:
        """Let a view with these columns stand for `silver.patient`."""
        self.spark.createDataFrame([], schema).createOrReplaceTempView(_stand_in(table))
        self.schemas[table] = schema

    def text_of(self, sql: str) -> str:
        """The SELECT with these views for tables; every line stays where it is."""
        return with_names(sql, lambda table: _stand_in(table) if table in self.schemas else None)


def _stand_in(table: str) -> str:
    return f"rcm_check__{table.replace('.', '__')}"


def _judged(views: _Views, model: GoldModel, values: Mapping[str, object], columns: list[str]) -> StructType | Problem:
    """What a model gives, or what is wrong with it."""
    try:
        schema = views.spark.sql(views.text_of(model.sql), args=dict(values)).schema
    except (AnalysisException, ParseException) as error:
        name = unknown_name(model, error, columns)
        return name or Problem(model.file, _line_of(model, error), _words(error))
    names = [name.lower() for name in schema.names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return Problem(model.file, line_of(model.sql, model.first_line, twice), f"the SELECT gives two columns '{twice}'; name one otherwise with AS.")
    unfit = next((name for name in names if _UNFIT.search(name)), None)
    if unfit is not None:
        return Problem(model.file, model.first_line, f"the result's column '{unfit}' has a name that a table cannot have; name it with AS.")
    return schema


def _wrong_ties(home: Path, model: GoldModel, given: StructType, schemas: Mapping[str, StructType]) -> list[Problem]:
    """Totals that cannot be taken, since a column of the result or of silver is no number; the header's own line is named."""
    wrong = list[tuple[str, str]]()
    for name, target in model.ties_out.items():
        table, _, column = target.rpartition(".")
        sides = [(f"column '{name}' of the result", _type_in(given, name)), (target, _type_in(schemas.get(table), column))] if name != "rows" else []
        told = next(((what, kind) for what, kind in sides if kind is not None and not isinstance(kind, NumericType | NullType)), None)
        if told is not None:
            wrong.append((name, f"ties_out: {told[0]} is {told[1].simpleString()}; expected a number, whose total can be compared."))
    source = read_sql_file(home / model.file, model.file, (), "", []) if wrong else None
    header = None if source is None else source.header
    return [Problem(model.file, 1 if header is None else header.line("ties_out", name), text) for name, text in wrong]


def _type_in(schema: StructType | None, name: str) -> DataType | None:
    return next((field.dataType for field in schema or () if field.name.lower() == name.lower()), None)


def unknown_name(model: GoldModel, error: PySparkException, columns: list[str]) -> Problem | None:
    """The name in a model that Spark does not find, with its line and the nearest of `columns`; None for any other error."""
    what = _UNKNOWN.get(str(error.getCondition()).partition(".")[0])
    told = error.getMessageParameters() or {}
    name = _plain(str(told.get("objectName") or told.get("fieldName") or told.get("routineName") or "").replace("`", ""))
    if what is None or not name:
        return None
    alias, _, short = name.rpartition(".")
    proposed = re.findall(r"`([^`]+)`(?:,|$)", str(told.get("proposal") or told.get("suggestion") or ""))
    known = [*proposed, *columns] if what == "column" else proposed
    if what == "column" and short.lower() in {column.lower() for column in known} and alias:
        told_of = f"the {what} '{name}', which is not there: '{alias}' is no table of the query that has it."
    else:
        told_of = f"the {what} '{name}', which is not there.{did_you_mean(short, known)}"
    return Problem(model.file, _line_of(model, error, short), f"it names {told_of}")


def _line_of(model: GoldModel, error: PySparkException, words: str = "") -> int:
    """The line in the file on which Spark found the mistake; where it does not say so, that on which `words` first stand."""
    contexts = error.getQueryContext()
    found = re.search(r"line (\d+)", contexts[0].summary()) if contexts else None
    return model.first_line + int(found[1]) - 1 if found else line_of(model.sql, model.first_line, words)


def _words(error: PySparkException) -> str:
    """Spark's message without its plan, its code and the names of the stand-ins."""
    return _plain(plain_words(error))


def _plain(text: str) -> str:
    return re.sub(r"`?rcm_check__(silver|gold)__(\w+)`?", r"\1.\2", text)
