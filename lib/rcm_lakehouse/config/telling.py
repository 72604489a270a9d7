"""Expressions that do not tell the value of the columns they are made of: a count, a condition, a year of a day and an age in whole years.

A number of days or months between two times tells the day itself when the other one is known, so only its comparison tells nothing.
"""

from sqlglot import exp

_TELLS_NO_VALUE = (
    *(exp.Predicate, exp.Connector, exp.Not, exp.Contains, exp.StartsWith, exp.EndsWith, exp.LogicalAnd, exp.LogicalOr),
    *(exp.Count, exp.CountIf, exp.ApproxDistinct),
)
_BY_NAME = ("isnull", "isnotnull", "every", "some", "regexp")
_WHOLE = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)


def tells_no_value(node: exp.Expr) -> bool:
    """True when the value of an expression tells none of its columns."""
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _BY_NAME
    return isinstance(node, _TELLS_NO_VALUE) or _is_year(node) or _is_age(node)


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
    years = node.this.unnest() if is_whole else None
    if not isinstance(years, exp.Div) or years.expression != exp.Literal.number(12):
        return False
    months = years.this.unnest()
    return isinstance(months, exp.MonthsBetween) and _is_bare(months.this) and _is_bare(months.expression)


def _is_bare(node: exp.Expr) -> bool:
    """A column as it is, or what names none: a parameter, a literal, a cast of these."""
    while isinstance(node, exp.TsOrDsToDate | exp.Paren):
        node = node.this
    return isinstance(node, exp.Column) or node.find(exp.Column, exp.Query) is None
