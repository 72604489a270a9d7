"""What an error of Spark says of a value that an expression of the configuration cannot take: which expression, and never the value."""

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import (
    AnalysisException,
    ArithmeticException,
    ArrayIndexOutOfBoundsException,
    DateTimeException,
    IllegalArgumentException,
    NumberFormatException,
    PySparkException,
    QueryContext,
    QueryContextType,
    SparkRuntimeException,
    SparkUpgradeException,
)

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.models import GoldModel

# Spark's errors that are of a value, in Python and in the text of those that it hands over as Java's.
_OF_A_VALUE = (
    *(NumberFormatException, ArithmeticException, DateTimeException, ArrayIndexOutOfBoundsException),
    *(IllegalArgumentException, SparkRuntimeException, SparkUpgradeException),
)
_OF_A_VALUE_IN_JAVA = re.compile(r"MALFORMED_RECORD_IN_PARSING|java\.util\.regex\.PatternSyntaxException|java\.time\.\w*DateTime\w*Exception")
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)
# Functions that take any value, casts (of which Spark quotes the text), and words that are none.
_TAKES_ALL = frozenset(
    "and array between by case cast coalesce concat concat_ws contains else endswith exists greatest if ifnull in initcap isnotnull isnull least length like "
    "lower ltrim not nullif nvl on or rlike rtrim startswith then trim upper when".split()
)


def raised_by(contract: Contract, error: Exception) -> list[str] | None:
    """The expressions of a contract of which an error says that a value cannot be computed (`rule 'paid_in_range'`); None when it says no such thing.

    Mostly Spark quotes the part of the expression that failed. It stands in the configuration, so the names are told of all that hold it, and no
    value is. Where it quotes none, all are told that call a function which may be the one.
    """
    quoted = [context.fragment() for context in _quotes(error)]
    if not quoted and not _is_of_a_value(error):
        return None
    texts = [(f"rule '{rule.name}'", rule.check) for rule in contract.rules]
    texts += [(f"column '{column.name}', derive", column.derive) for column in contract.columns]
    for mapping in contract.sources:
        name = f"mapping '{mapping.name}'"
        texts += [(f"{name}, '{column}'", source[1:]) for column, source in mapping.columns.items() if source.startswith("=")]
        texts += [(f"{name}, where", mapping.where), (f"{name}, delete_when", mapping.delete_when)]
    if quoted:
        return [told for told, text in texts if text is not None and any(part in text or part.startswith(f"try_cast(({text}) AS ") for part in quoted)] or None
    return [told for told, text in texts if text is not None and _may_fail(text)] or None


def _quotes(error: Exception) -> list[QueryContext]:
    """The parts of SQL that an error says cannot be computed; empty for any other error."""
    if not isinstance(error, PySparkException) or isinstance(error, AnalysisException):
        return []
    return [context for context in error.getQueryContext() or [] if context.contextType() == QueryContextType.SQL]


def _is_of_a_value(error: Exception) -> bool:
    """True when an error says that a function or cast cannot take a value."""
    if isinstance(error, Py4JJavaError):
        return _OF_A_VALUE_IN_JAVA.search(str(error)) is not None
    return isinstance(error, _OF_A_VALUE) and error.getCondition() not in (None, "INTERNAL_ERROR")


def _may_fail(text: str) -> bool:
    """True for an expression with a function that may be one which cannot take a value."""
    return any(name.lower() not in _TAKES_ALL and not name.lower().startswith("try_") for name in _CALL.findall(text))


def place_in(model: GoldModel, error: Exception) -> str | None:
    """Where in a model an error says that a value cannot be computed: `conf/gold/visits.sql:7`, or the file alone; None for any other error."""
    quotes = [context for context in _quotes(error) if context.fragment() in model.sql]
    if quotes:
        found = re.search(r"line (\d+)", quotes[0].summary())
        return f"{model.file}:{model.first_line + (int(found[1]) - 1 if found else 0)}"
    return f"the SELECT of {model.file}" if not _quotes(error) and _is_of_a_value(error) else None
