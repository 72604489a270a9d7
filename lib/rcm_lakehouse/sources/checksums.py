"""Bucketed checksums of a table, computed by the source itself and again over bronze, so that only buckets that differ are read.

A row's text joins its columns in a form that every product writes alike: days and times to the second, numbers in hundredths,
text as it is. Where two products still write a value differently a bucket is read for nothing; a difference is never missed
for that reason. What is missed: two rows whose 32-bit checksums make up for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.connections import JdbcTableOptions
from rcm_lakehouse.sources.catalog import SourceColumn, SourceTable
from rcm_lakehouse.sources.dialects import Dialect
from rcm_lakehouse.sources.jdbc import Database, qualified, read_table

BUCKETS = 256
Form = Literal["day", "time", "number", "text"]
_NULL, _BETWEEN = "~", "|"
# What lies beyond, infinity and NaN count as NULL on both sides: they fit no amount, and wait in quarantine.
_LARGEST = Decimal("1e29")


@dataclass(frozen=True)
class Checksums:
    """How one product writes the forms and hashes a text to a number from 0 to 2^32 - 1."""

    day: str
    time: str
    number: str
    text: str
    joined: str
    hashed: str


# A day that is none (0000-00-00) is read as NULL.
_MYSQL = Checksums(
    "IF(DAY({c}) = 0 OR MONTH({c}) = 0, NULL, DATE_FORMAT({c}, '%Y-%m-%d'))",
    "IF(DAY({c}) = 0 OR MONTH({c}) = 0, NULL, DATE_FORMAT({c}, '%Y-%m-%d %H:%i:%s'))",
    "CASE WHEN {c} BETWEEN -1e29 AND 1e29 THEN CAST(CAST(ROUND({c} * 100, 0) AS DECIMAL(38,0)) AS CHAR) END",
    "CONVERT({c} USING utf8mb4)",
    "CONCAT({parts})",
    "CAST(CONV(LEFT(MD5({t}), 8), 16, 10) AS UNSIGNED)",
)
_BY_DIALECT = {
    "mariadb": _MYSQL,
    "mysql": _MYSQL,
    "postgresql": Checksums(
        "to_char({c}, 'YYYY-MM-DD')",
        "to_char({c}, 'YYYY-MM-DD HH24:MI:SS')",
        "CASE WHEN {c} BETWEEN -1e29 AND 1e29 THEN CAST(CAST(ROUND(CAST({c} AS numeric) * 100, 0) AS numeric(38,0)) AS text) END",
        "CAST({c} AS text)",
        "CONCAT({parts})",
        "CAST(CAST('x' || SUBSTR(MD5({t}), 1, 8) AS bit(32)) AS bigint)",
    ),
    "h2": Checksums(
        "FORMATDATETIME({c}, 'yyyy-MM-dd')",
        "FORMATDATETIME({c}, 'yyyy-MM-dd HH:mm:ss')",
        "CASE WHEN {c} BETWEEN -1e29 AND 1e29 THEN CAST(CAST(ROUND(CAST({c} AS DECFLOAT) * 100, 0) AS DECIMAL(38,0)) AS VARCHAR) END",
        "CAST({c} AS VARCHAR)",
        "CONCAT({parts})",
        "(CAST(SUBSTRING(HASH('MD5', {t}), 1, 4) AS INT) + CASE WHEN CAST(SUBSTRING(HASH('MD5', {t}), 1, 4) AS INT) < 0 THEN 4294967296 ELSE 0 END)",
    ),
    "sqlserver": Checksums(
        "CONVERT(char(10), {c}, 23)",
        "CONVERT(char(19), {c}, 120)",
        "CASE WHEN {c} BETWEEN -1e29 AND 1e29 THEN CAST(CAST(ROUND({c} * 100, 0) AS decimal(38,0)) AS varchar(40)) END",
        "CAST({c} AS varchar(max))",
        "CONCAT({parts})",
        "(CAST(CAST(SUBSTRING(HASHBYTES('MD5', {t}), 1, 4) AS binary(4)) AS bigint))",
    ),
}


def form_of(dialect: Dialect, column: SourceColumn) -> Form | None:
    """The form in which a column enters the checksum; None for types that products write too differently (zoned times, binary, documents)."""
    declared = column.data_type
    if declared in dialect.text_types or declared in dialect.zoned_types or "binary" in declared or "blob" in declared:
        return None
    if declared == "date":
        return "day"
    if declared.startswith(("timestamp", "datetime", "smalldatetime")):
        return "time"
    if declared in (*dialect.float_types, "int", "integer", "bigint", "smallint", "mediumint", "numeric", "decimal", "number"):
        return "number"
    return "text" if "char" in declared or "text" in declared else None


def sums_sql(dialect: Dialect, table: SourceTable, key: Sequence[str], left_out: str | None = None) -> str:
    """SQL for (bucket, rows, sum of row checksums) of every row with a whole key; the source reads its table once.

    `left_out` is a condition of rows that no load takes.
    """
    ways = _BY_DIALECT[dialect.name]
    wanted = _whole_key_sql(dialect, table, key) + (f" AND NOT ({left_out})" if left_out else "")
    inner = (
        f"SELECT {bucket_sql(dialect, table, key)} AS bucket, {_hash_sql(ways, dialect, list(table.columns))} AS checksum "
        f"FROM {qualified(dialect, table)} WHERE {wanted}"
    )
    return f"SELECT bucket, COUNT(*) AS row_count, SUM(checksum) AS checksums FROM ({inner}) sums GROUP BY bucket"


def _whole_key_sql(dialect: Dialect, table: SourceTable, key: Sequence[str]) -> str:
    return " AND ".join(f"{dialect.quoted(table.column(name).name)} IS NOT NULL" for name in key)


def bucket_sql(dialect: Dialect, table: SourceTable, key: Sequence[str]) -> str:
    """SQL for a row's bucket, 0 to 255, from its key."""
    ways = _BY_DIALECT[dialect.name]
    hashed = _hash_sql(ways, dialect, [table.column(name) for name in key])
    return f"({hashed} % {BUCKETS})" if dialect.name == "sqlserver" else f"MOD({hashed}, {BUCKETS})"


def _hash_sql(ways: Checksums, dialect: Dialect, columns: Sequence[SourceColumn]) -> str:
    parts = []
    for column in columns:
        form = form_of(dialect, column)
        if form is not None:
            text = getattr(ways, form).format(c=dialect.quoted(column.name))
            parts.append(f"COALESCE({text}, '{_NULL}')")
    joined = f", '{_BETWEEN}', ".join([*parts, "''"])
    return ways.hashed.format(t=ways.joined.format(parts=joined))


def bronze_sums(rows: DataFrame, dialect: Dialect, table: SourceTable, key: Sequence[str]) -> DataFrame:
    """The same (bucket, row_count, checksums) over bronze rows, one a key."""
    spelled = {name.lower(): name for name in rows.columns}
    row_checksum = _hash(rows, dialect, list(table.columns), spelled)
    bucketed = with_bucket(rows, dialect, table, key).withColumn("_checksum", row_checksum)
    return bucketed.groupBy("_bucket").agg(F.count(F.lit(1)).alias("row_count"), F.sum("_checksum").alias("checksums"))


def with_bucket(rows: DataFrame, dialect: Dialect, table: SourceTable, key: Sequence[str]) -> DataFrame:
    """Add `_bucket`, the same number that the source computes."""
    spelled = {name.lower(): name for name in rows.columns}
    hashed = _hash(rows, dialect, [table.column(name) for name in key], spelled)
    return rows.withColumn("_bucket", F.pmod(hashed, F.lit(BUCKETS)).cast("int"))


def _hash(rows: DataFrame, dialect: Dialect, columns: Sequence[SourceColumn], spelled: dict[str, str]) -> Column:
    parts = []
    for column in columns:
        form = form_of(dialect, column)
        if form is not None:
            name = spelled.get(column.name.lower())
            value = _form(F.col(f"`{name}`"), form) if name else F.lit(None).cast("string")
            parts += [F.coalesce(value, F.lit(_NULL)), F.lit(_BETWEEN)]
    return F.conv(F.substring(F.md5(F.concat(*parts, F.lit(""))), 1, 8), 16, 10).cast("bigint")


def _form(value: Column, form: Form) -> Column:
    if form == "day":
        return F.date_format(value.cast("timestamp"), "yyyy-MM-dd")
    if form == "time":
        return F.date_format(value.cast("timestamp"), "yyyy-MM-dd HH:mm:ss")
    if form == "number":
        number = value.cast("string").try_cast("decimal(38,6)")
        return F.when(number.between(-_LARGEST, _LARGEST), F.round(number * 100, 0).cast("decimal(38,0)").cast("string"))
    return value.cast("string")


def source_sums(database: Database, table: SourceTable, key: Sequence[str], left_out: str | None = None) -> dict[int, tuple[int, int]]:
    """(rows, checksum) by bucket as the source has them now, rows that meet `left_out` apart; one query."""
    rows = database.query(sums_sql(database.dialect, table, key, left_out), f"summing {table.schema}.{table.name}")
    return {_whole(bucket): (_whole(count), _whole(checksums)) for bucket, count, checksums in rows}


def _whole(value: object) -> int:
    return int(str(value).split(".")[0])


def read_buckets(
    database: Database, table: SourceTable, key: Sequence[str], buckets: Sequence[int], names: Sequence[str], options: JdbcTableOptions
) -> DataFrame:
    """All source rows whose key is whole and lies in these buckets (lazy), read as a load reads them, by one connection."""
    listed = ", ".join(str(bucket) for bucket in sorted(buckets))
    wanted = f"{_whole_key_sql(database.dialect, table, key)} AND {bucket_sql(database.dialect, table, key)} IN ({listed})"
    return read_table(database, table, options=options.model_copy(update={"partitions": 1}), names=names, condition=wanted)
