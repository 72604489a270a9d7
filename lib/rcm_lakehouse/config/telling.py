"""Expressions that do not tell the value of the columns they are made of: a count, a condition, a year of a day and an age in whole years.

A number of days or months between two times tells the day itself when the other one is known, so only its comparison tells nothing.
"""

from sqlglot import exp

_TELLS_NO_VALUE = (
    *(exp.Predicate, exp.Connector, exp.Not, exp.Contains, exp.StartsWith, exp.EndsWith, exp.LogicalAnd, exp.LogicalOr),
    *(exp.EqualNull, exp.IsNan, exp.MapContainsKey),
    *(exp.Count, exp.CountIf, exp.ApproxDistinct),
)
# The same by the names of calls that have no class of their own.
_BY_NAME = frozenset("arrays_overlap every forall is_valid_utf8 is_variant_null isnotnull isnull luhn_check regexp some".split())
_WHOLE = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_WHOLE_BY_NAME = ("tinyint", "smallint", "bigint")


def tells_no_value(node: exp.Expr) -> bool:
    """True when the value of an expression tells none of its columns."""
    if _called(node, *_BY_NAME) is not None:
        return True
    return isinstance(node, _TELLS_NO_VALUE) or _is_size(node) or _is_year(node) or _is_age(node)


def _called(node: exp.Expr, *names: str) -> exp.Expr | None:
    """The first value of a call to one of these functions, which have no class of their own."""
    return next(iter(node.expressions), None) if isinstance(node, exp.Anonymous) and node.name.lower() in names else None


def _is_size(node: exp.Expr) -> bool:
    """The size of what is collected of many rows is their count; that of one value tells of it."""
    collected = node.this if isinstance(node, exp.ArraySize) else _called(node, "cardinality")
    while isinstance(collected, exp.Filter | exp.Window | exp.Paren):
        collected = collected.this
    return isinstance(collected, exp.ArrayAgg | exp.ArrayUniqueAgg)


def _is_year(node: exp.Expr) -> bool:
    """The year of a column; of what is computed it may tell more, day by day."""
    if isinstance(node, exp.Year):
        return _is_bare(node.this)
    return isinstance(node, exp.Extract) and node.name.lower() == "year" and _is_bare(node.expression)


def _is_age(node: exp.Expr) -> bool:
    """Whole years between two times: by the unit YEAR, or a twelfth of the months without its fraction."""
    if isinstance(node, exp.DateDiff | exp.TimestampDiff):
        return node.text("unit").upper() == "YEAR" and _is_bare(node.this) and _is_bare(node.expression)
    is_floor = isinstance(node, exp.Floor) and node.args.get("decimals") is None
    is_whole = is_floor or (isinstance(node, exp.Cast) and node.to.this in _WHOLE)
    whole = node.this if is_whole else _called(node, *_WHOLE_BY_NAME)
    years = whole.unnest() if whole is not None else None
    if not isinstance(years, exp.Div) or years.expression != exp.Literal.number(12):
        return False
    months = years.this.unnest()
    return isinstance(months, exp.MonthsBetween) and _is_bare(months.this) and _is_bare(months.expression)


def _is_bare(node: exp.Expr) -> bool:
    """A column as it is, or what names none: a parameter, a literal, a cast of these."""
    while isinstance(node, exp.TsOrDsToDate | exp.Paren):
        node = node.this
    return isinstance(node, exp.Column) or node.find(exp.Column, exp.Query) is None
