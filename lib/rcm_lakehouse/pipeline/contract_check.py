"""Expressions of contracts judged by Spark over empty frames of their columns, before anything is read: types that do not fit.

`config.checks_contracts` names what needs no types. Mappings, `where` and `delete_when` speak of columns whose types only the source knows.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import BooleanType, DataType, NullType, StringType, StructField, StructType

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.problems import Problem
from rcm_lakehouse.config.yaml_lines import read_yaml
from rcm_lakehouse.quality.judge import condition, stated
from rcm_lakehouse.silver.mapping import derived, derived_value
from rcm_lakehouse.silver.schema import as_data_type

Part = TypeVar("Part")
_CONDITION = (BooleanType, NullType)


def contract_problems(spark: SparkSession, home: Path, contract: Contract) -> list[Problem]:
    """Every `derive` and `check` of a contract that Spark would refuse, or whose result does not fit, with file and line; no Spark job."""
    if _is_all_right(spark, contract):
        return []
    file = f"conf/cdm/{contract.entity}.yml"
    found = [*_wrong_derives(spark, contract), *_wrong_checks(spark, contract)]
    document = read_yaml(home, file, []) if found else None
    return [Problem(file, 0 if document is None else document.line(*place), text) for place, text in found]


def _is_all_right(spark: SparkSession, contract: Contract) -> bool:
    """True when Spark takes all of them as they are: two questions, where one after another takes seconds for all contracts."""
    rules = [rule for rule in contract.rules if rule.check is not None]
    try:
        _mapped(spark, contract).select("*", *[derived_value(column) for column in contract.columns if column.derive is not None])
        values = [stated(rule).alias(f"_{number}") for number, rule in enumerate(rules)]
        found = _judged(spark, contract).select("*", *[condition(rule) for rule in rules], *values).schema
    except (AnalysisException, ParseException):
        return False
    return all(isinstance(found[f"_{number}"].dataType, _CONDITION) for number in range(len(rules)))


def _wrong_derives(spark: SparkSession, contract: Contract) -> Iterator[tuple[tuple[str, int], str]]:
    plain = _mapped(spark, contract)
    for number, column in enumerate(contract.columns):
        if column.derive is None:
            continue
        kind = _type_of(plain, derived, column)
        if isinstance(kind, str):
            yield ("columns", number), f"column '{column.name}', derive: {kind}"
        elif isinstance(_type_of(plain, derived_value, column), str):
            told = f"derive gives {kind.simpleString()}, which cannot be made the column's {column.type}."
            yield ("columns", number), f"column '{column.name}': {told}"


def _wrong_checks(spark: SparkSession, contract: Contract) -> Iterator[tuple[tuple[str, int], str]]:
    whole = _judged(spark, contract)
    for number, rule in enumerate(contract.rules):
        if rule.check is None:
            continue
        kind = _type_of(whole, stated, rule)
        if isinstance(kind, DataType) and not isinstance(kind, _CONDITION):
            told = f"expected a condition, which is true or false; the check gives {kind.simpleString()}."
            yield ("rules", number), f"rule '{rule.name}': {told}"
            continue
        wrong = kind if isinstance(kind, str) else _type_of(whole, condition, rule)
        if isinstance(wrong, str):
            yield ("rules", number), f"rule '{rule.name}': {wrong}"


def _mapped(spark: SparkSession, contract: Contract) -> DataFrame:
    """The columns that a derived one is made of: none sees another, and the key is made behind them."""
    return _empty(spark, contract, [column.name for column in contract.columns if column.derive is None])


def _judged(spark: SparkSession, contract: Contract) -> DataFrame:
    """The columns of which a check speaks."""
    return _empty(spark, contract, [contract.key_column, *[column.name for column in contract.columns]])


def _empty(spark: SparkSession, contract: Contract, names: list[str]) -> DataFrame:
    types = {column.name: as_data_type(column.type) for column in contract.columns}
    return spark.createDataFrame([], StructType([StructField(name, types.get(name, StringType())) for name in ["data_source", *names]]))


def _type_of(rows: DataFrame, value_of: Callable[[Part], Column], part: Part) -> DataType | str:
    """The type of a column's or rule's expression beside the columns it speaks of, or what Spark says against it."""
    try:
        return rows.select("*", value_of(part).alias("_judged")).schema["_judged"].dataType
    except (AnalysisException, ParseException) as error:
        return plain_words(error)


def plain_words(error: PySparkException) -> str:
    """Spark's message without its plan and its code."""
    return re.sub(r"^\[[A-Z_.]+\]\s*", "", str(error).strip().partition(" SQLSTATE:")[0].splitlines()[0])
