"""One text for a column's value, written by the source itself and again by Spark from what bronze holds, so that hashes can be compared.

Two values that a load would tell apart have two texts, but for floats, which are written in hundredths: they hold amounts, silver takes
them in cents, and no two products write their last digits alike. Years beyond 9999 may be written differently, and then rows are read for
nothing; years before 1 are written without their era.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, BooleanType, DataType, DateType, DecimalType, DoubleType, IntegralType, StringType, TimestampType

from rcm_lakehouse.sources.catalog import SourceColumn
from rcm_lakehouse.sources.dialects import Dialect

Kind = Literal["day", "time", "tick", "instant", "number", "float", "bool", "binary", "text"]
_INTEGERS = ("int", "integer", "bigint", "smallint", "mediumint", "tinyint")
_TEXTS = ("enum", "set", "name", "uniqueidentifier")
# Floats beyond, infinity and NaN have one text: they fit no amount, and wait in quarantine.
_LARGEST, _BEYOND = Decimal("1e29"), "*"
_DAY, _TIME = "yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss.SSSSSS"


@dataclass(frozen=True)
class Form:
    """How a column is written: its kind, and the type in which a load reads it."""

    kind: Kind
    read: DataType

    @property
    def scale(self) -> int:
        """Digits behind the point that the text has."""
        return self.read.scale if isinstance(self.read, DecimalType) else 0


def _hundredths(decimal: str, text: str) -> str:
    """SQL for a float in hundredths: by way of six digits, as Spark does it, so that a half is rounded alike."""
    return f"CASE WHEN {{c}} BETWEEN -1e29 AND 1e29 THEN {text.format(n=f'ROUND({decimal} * 100, 0)')} WHEN {{c}} IS NOT NULL THEN '{_BEYOND}' END"


def _bounded(text: str, last: str, first: str) -> str:
    """SQL for a day or time that may be infinite, in the words of what Spark reads then: the last one, or the first of its calendar."""
    return f"CASE WHEN {{c}} = 'infinity' THEN '{last}' WHEN {{c}} = '-infinity' THEN '{first}' ELSE to_char({text}) END"


_POSTGRES_TIME = "'YYYY-MM-DD HH24:MI:SS.US'", "9999-12-31 23:59:59.999000", "0001-01-03 00:00:00.000000"
_MYSQL_TIME = "DATE_FORMAT({c}, '%Y-%m-%d %H:%i:%s.%f')"
_MYSQL: Mapping[Kind, str] = {
    "day": "DATE_FORMAT({c}, '%Y-%m-%d')",
    "time": _MYSQL_TIME,
    # The session's zone is UTC.
    "instant": _MYSQL_TIME,
    # Without the zeros of ZEROFILL.
    "number": "CAST({c} + 0 AS CHAR)",
    "float": _hundredths("CAST({c} AS DECIMAL(38,6))", "CAST(CAST({n} AS DECIMAL(38,0)) AS CHAR)"),
    "binary": "MD5({c})",
    "text": "CONVERT({c} USING utf8mb4)",
}
# {c} is the column as a load reads it, {s} its digits behind the point.
_SQL: Mapping[str, Mapping[Kind, str]] = {
    "mariadb": _MYSQL,
    "mysql": _MYSQL,
    "postgresql": {
        "day": _bounded("{c}, 'YYYY-MM-DD'", "9999-12-31", "0001-01-03"),
        "time": _bounded(f"{{c}}, {_POSTGRES_TIME[0]}", *_POSTGRES_TIME[1:]),
        "instant": _bounded(f"{{c}} AT TIME ZONE 'UTC', {_POSTGRES_TIME[0]}", *_POSTGRES_TIME[1:]),
        "number": "CAST({c} AS text)",
        # By its shortest text: a float that is made numeric keeps 15 digits only.
        "float": _hundredths("CAST(CAST(CAST({c} AS text) AS numeric) AS numeric(38,6))", "CAST(CAST({n} AS numeric(38,0)) AS text)"),
        "bool": "CAST(CAST({c} AS int) AS text)",
        "binary": "MD5({c})",
        "text": "CAST({c} AS text)",
    },
    "h2": {
        "day": f"FORMATDATETIME({{c}}, '{_DAY}')",
        "time": f"FORMATDATETIME({{c}}, '{_TIME}')",
        "instant": f"FORMATDATETIME({{c}} AT TIME ZONE 'UTC', '{_TIME}')",
        "number": "CAST({c} AS VARCHAR)",
        "float": _hundredths("CAST(CAST({c} AS DECFLOAT) AS DECIMAL(38,6))", "CAST(CAST({n} AS DECIMAL(38,0)) AS VARCHAR)"),
        "bool": "CAST(CAST({c} AS INT) AS VARCHAR)",
        "binary": "LOWER(RAWTOHEX(HASH('MD5', {c})))",
        "text": "CAST({c} AS VARCHAR)",
    },
    "sqlserver": {
        "day": "CONVERT(nchar(10), {c}, 23)",
        "time": "LEFT(CONVERT(nvarchar(27), CAST({c} AS datetime2(7)), 121), 26)",
        # In thousandths, as its driver gives it: a datetime2 made of it has the three hundredths of a second.
        "tick": "CONVERT(nchar(23), CAST({c} AS datetime), 121) + '000'",
        "instant": "LEFT(CONVERT(nvarchar(27), CAST(SWITCHOFFSET({c}, '+00:00') AS datetime2(7)), 121), 26)",
        "number": "CONVERT(nvarchar(50), CAST({c} AS decimal(38,{s})))",
        "float": _hundredths("CAST({c} AS decimal(38,6))", "CONVERT(nvarchar(50), CAST({n} AS decimal(38,0)))"),
        "bool": "CONVERT(nvarchar(1), {c})",
        "binary": "LOWER(CONVERT(nvarchar(32), HASHBYTES('MD5', CAST({c} AS varbinary(max))), 2))",
        "text": "CAST({c} AS nvarchar(max))",
    },
}


def form_of(dialect: Dialect, column: SourceColumn) -> Form | None:
    """How this column is written; None for types of which source and Spark have no common text: arrays, shapes and other rare ones."""
    declared = column.data_type
    if dialect.is_read_as_text(declared, column.precision):
        return Form("text", StringType())
    if declared in dialect.float_types:
        return Form("float", DoubleType())
    if declared in dialect.zoned_types:
        return Form("instant", TimestampType())
    return _number(dialect, column) or _plain(dialect, declared)


def _number(dialect: Dialect, column: SourceColumn) -> Form | None:
    declared = column.data_type
    if declared in (*dialect.rowversion_types, *_INTEGERS) or (declared == "bit" and declared in dialect.casts):
        return Form("number", DecimalType(20, 0))
    if declared in ("numeric", "decimal"):
        return Form("number", DecimalType(column.precision, column.scale))
    if declared in ("money", "smallmoney"):
        return Form("number", DecimalType(19, 4 if dialect.name == "sqlserver" else 2))
    return None


def _plain(dialect: Dialect, declared: str) -> Form | None:
    if declared == "date":
        return Form("day", DateType())
    if declared.startswith(("timestamp", "datetime", "smalldatetime")):
        is_tick = dialect.name == "sqlserver" and not declared.startswith("datetime2")
        return Form("tick" if is_tick else "time", TimestampType())
    if declared in ("boolean", "bit"):
        return Form("bool", BooleanType())
    if declared in ("bytea", "image") or "binary" in declared or "blob" in declared:
        return Form("binary", BinaryType())
    return Form("text", StringType()) if declared in _TEXTS or "char" in declared or "text" in declared else None


def sql_text(dialect: Dialect, column: SourceColumn, form: Form) -> str:
    """SQL for the text of a column; NULL for NULL, and for a value that is none, which a load reads as NULL."""
    read = dialect.expression(column.name, column.data_type, column.precision)
    # A name may hold braces.
    return _SQL[dialect.name][form.kind].replace("{s}", str(form.scale)).replace("{c}", read)


def spark_text(value: Column, held: DataType, form: Form) -> Column:
    """The same text of bronze's value, of type `held`; NULL for NULL.

    Where bronze holds another type than the source has now, its value is written as the value that a load would have made it of; one
    that is made of none keeps its own text.
    """
    if held == form.read or (isinstance(held, IntegralType) and form.kind == "number" and form.scale == 0):
        return _written(value, form)
    text = value.cast("string")
    there = text.try_cast(form.read)
    return F.when(there.cast("string").try_cast(held).eqNullSafe(value), _written(there, form)).otherwise(text)


def _written(value: Column, form: Form) -> Column:
    if form.kind == "day":
        return F.date_format(value, _DAY)
    if form.kind in ("time", "tick", "instant"):
        return F.date_format(value, _TIME)
    if form.kind == "float":
        number = value.cast("string").try_cast("decimal(38,6)")
        hundredths = F.round(number * 100, 0).cast("decimal(38,0)").cast("string")
        return F.when(number.between(-_LARGEST, _LARGEST), hundredths).when(value.isNotNull(), F.lit(_BEYOND))
    if form.kind == "bool":
        return value.cast("int").cast("string")
    return F.md5(value) if form.kind == "binary" else value.cast("string")
