"""Bucketed checksums of a table, computed by the source itself and again over bronze, so that only buckets that differ are read.

A row's text joins the texts of its columns, which every product writes alike (`sources.forms`): a difference is missed only where
two floats have equal hundredths, where a column's type has no such text, where two rows' 32-bit checksums make up for each other, and where
text holds the control characters that stand for NULL, for a value that is none and between columns. What is written differently all the same
is read for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import has_flag
from rcm_lakehouse.config.connections import JdbcTableOptions
from rcm_lakehouse.sources.catalog import SourceColumn, SourceTable
from rcm_lakehouse.sources.dialects import Dialect
from rcm_lakehouse.sources.forms import form_of, spark_text, sql_text
from rcm_lakehouse.sources.jdbc import Database, qualified, read_table

BUCKETS = 256
# Control characters, which no text is meant to hold: with signs that texts do hold, a NULL and a text would look alike, and neighbours too.
_NULL, _BETWEEN = "\x1e", "\x1f"
# Follows the text of a value that is none (`Dialect.empties`): it is read as NULL or as a twin, and is neither.
_NONE = "\x1d"


@dataclass(frozen=True)
class Hashing:
    """How one product joins texts and hashes them to a number from 0 to 2^32 - 1, and in which encoding its MD5 takes them."""

    hashed: str
    # Not CONCAT where there is a sign: PostgreSQL's takes 100 texts at most, SQL Server's 254.
    joint: str = " || "
    encoding: str = "UTF-8"


_MYSQL = Hashing("CAST(CONV(LEFT(MD5(CONCAT({t})), 8), 16, 10) AS UNSIGNED)", joint=", ")
_BY_DIALECT = {
    "mariadb": _MYSQL,
    "mysql": _MYSQL,
    # Text of a database in another encoding is hashed in UTF-8 too.
    "postgresql": Hashing("CAST(CAST('x' || SUBSTR(MD5(CONVERT_TO({t}, 'UTF8')), 1, 8) AS bit(32)) AS bigint)"),
    "h2": Hashing(
        "(CAST(SUBSTRING(HASH('MD5', {t}), 1, 4) AS INT) + CASE WHEN CAST(SUBSTRING(HASH('MD5', {t}), 1, 4) AS INT) < 0 THEN 4294967296 ELSE 0 END)"
    ),
    # All texts are nvarchar there: varchar would lose what its code page does not have.
    "sqlserver": Hashing("(CAST(CAST(SUBSTRING(HASHBYTES('MD5', {t}), 1, 4) AS binary(4)) AS bigint))", joint=" + ", encoding="UTF-16LE"),
}


def limits(dialect: Dialect, table: SourceTable) -> str:
    """What a comparison of this table does not see, in words that follow a sentence: columns left out and floats; empty where it sees all."""
    forms = {f"{column.name} ({column.data_type})": form_of(dialect, column) for column in table.columns}
    left_out = [name for name, form in forms.items() if form is None]
    floats = [name for name, form in forms.items() if form is not None and form.kind == "float"]
    told = {"not compared": left_out, "compared in hundredths": floats}
    return "".join(f"; {how}: {', '.join(names)}" for how, names in told.items() if names)


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


def _hash_sql(ways: Hashing, dialect: Dialect, columns: Sequence[SourceColumn]) -> str:
    parts = []
    for column in columns:
        form = form_of(dialect, column)
        if form is not None:
            parts += [f"COALESCE({sql_text(dialect, column, form)}, '{_NULL}')", f"'{_BETWEEN}'"]
            is_empty = dialect.is_empty(column.name, column.data_type)
            parts += [f"CASE WHEN {is_empty} THEN '{_NONE}' ELSE '' END"] if is_empty else []
    return ways.hashed.format(t=ways.joint.join(parts or ["''"]))


def bronze_sums(rows: DataFrame, dialect: Dialect, table: SourceTable, key: Sequence[str]) -> DataFrame:
    """The same (bucket, row_count, checksums) over bronze rows, one a key."""
    bucketed = with_bucket(rows, dialect, table, key).withColumn("_checksum", _hash(rows, dialect, list(table.columns)))
    return bucketed.groupBy("_bucket").agg(F.count(F.lit(1)).alias("row_count"), F.sum("_checksum").alias("checksums"))


def with_bucket(rows: DataFrame, dialect: Dialect, table: SourceTable, key: Sequence[str]) -> DataFrame:
    """Add `_bucket`, the same number that the source computes."""
    hashed = _hash(rows, dialect, [table.column(name) for name in key])
    return rows.withColumn("_bucket", F.pmod(hashed, F.lit(BUCKETS)).cast("int"))


def _hash(rows: DataFrame, dialect: Dialect, columns: Sequence[SourceColumn]) -> Column:
    held = {field.name: field.dataType for field in rows.schema}
    parts = []
    for column in columns:
        form = form_of(dialect, column)
        if form is not None:
            name = column.spelled(held)
            # A column that bronze does not have yet is NULL in all its rows.
            value = spark_text(F.col(f"`{name}`"), held[name], form) if name in held else F.lit(None).cast("string")
            parts += [F.coalesce(value, F.lit(_NULL)), F.lit(_BETWEEN)]
            empty = dialect.empties.get(column.data_type)
            if empty is not None:
                parts.append(F.when(has_flag(f"{empty.flag}{name}"), F.lit(_NONE)).otherwise(F.lit("")))
    joined = F.encode(F.concat(*parts, F.lit("")), _BY_DIALECT[dialect.name].encoding)
    return F.conv(F.substring(F.md5(joined), 1, 8), 16, 10).cast("bigint")


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
