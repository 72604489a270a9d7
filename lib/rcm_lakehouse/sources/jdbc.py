"""Reading relational sources through Spark JDBC: catalog, clock, probes and windows. No other driver, no own connection."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import IS_INSTANT
from rcm_lakehouse.bronze.windows import Kind, SourceClock, Window, as_text
from rcm_lakehouse.config.connections import JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.errors import SourceAuthError, SourceDataError
from rcm_lakehouse.config.secrets import resolve_all
from rcm_lakehouse.sources.catalog import Catalog, SourceColumn, SourceTable, catalog_of
from rcm_lakehouse.sources.dialects import DIALECTS, Dialect, jdbc_url
from rcm_lakehouse.sources.jdbc_errors import translated
from rcm_lakehouse.sources.partitions import predicates

EMPTIES = "_empties"
_DATES = ("date",)
_BLIND = (
    "open transactions cannot be seen by this account (it lacks {right}): windows end settle_seconds before now, and a transaction that commits "
    "later than that is met by the overlap or by reconciliation"
)
_DECIMALS = ("numeric", "decimal", "number")
_INTEGERS = ("int", "integer", "bigint", "smallint", "tinyint", "mediumint", *_DECIMALS)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database:
    """One relational connection, ready to ask."""

    spark: SparkSession
    name: str
    connection: JdbcConnection
    home: Path

    @property
    def dialect(self) -> Dialect:
        """How this product quotes, counts time and names its parts."""
        return DIALECTS[self.connection.dialect]

    def options(self, fetch_size: int | None = None) -> dict[str, str]:
        """Spark's JDBC options; the password is here and nowhere else."""
        secrets = {"user": self.connection.user, "password": self.connection.password}
        return {
            "url": jdbc_url(self.name, self.connection, self.home),
            "driver": self.dialect.driver,
            "fetchsize": str(fetch_size or self.connection.fetch_size),
            "queryTimeout": str(self.connection.query_timeout_seconds),
            **resolve_all(secrets, home=self.home),
        }

    def query(self, sql: str, doing: str) -> list[tuple[object, ...]]:
        """Rows of a small query; errors are those of the taxonomy."""
        try:
            return [tuple(row) for row in self.spark.read.format("jdbc").options(**self.options()).option("query", sql).load().collect()]
        except (Py4JJavaError, PySparkException) as error:
            raise translated(error, self.name, doing) from None

    def frame(self, subquery: str, doing: str, *, fetch_size: int | None, parts: Sequence[str]) -> DataFrame:
        """A lazy frame over `(subquery) t`; one connection a part. Errors of the first contact are those of the taxonomy."""
        table = f"({subquery}) t"
        options = self.options(fetch_size)
        try:
            if not parts:
                rows = self.spark.read.format("jdbc").options(**options).option("dbtable", table).load()
            else:
                url = options.pop("url")
                rows = self.spark.read.jdbc(url, table, predicates=list(parts), properties=options)
        except (Py4JJavaError, PySparkException) as error:
            raise translated(error, self.name, doing) from None
        # An expression drops what Spark keeps of a column: a table made as VARCHAR(20) would refuse longer text when the source allows it.
        return rows.select(*[F.coalesce(F.col(f"`{name}`")).alias(name) for name in rows.columns])


def read_catalog(database: Database, schemas: Sequence[str | None]) -> Catalog:
    """Tables and columns of the schemas that the work list names, in one query.

    A schema is mapped (or dropped) by the connection's `schemas`; without a mapping it is taken as it is.
    """
    dialect = database.dialect
    default = dialect.default_schema or database.connection.database or database.name
    wanted = sorted({(real_schema(database.connection, schema) or default).lower() for schema in schemas})
    places = ", ".join(_text_literal(schema) for schema in wanted)
    # Capitals and no quotes: H2 keeps this case, PostgreSQL folds it, the others do not mind.
    sql = (
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(NUMERIC_PRECISION, 0) AS DECIMAL_PRECISION, "
        "COALESCE(NUMERIC_SCALE, 0) AS DECIMAL_SCALE, ORDINAL_POSITION "
        f"FROM INFORMATION_SCHEMA.COLUMNS WHERE LOWER(TABLE_SCHEMA) IN ({places})"
    )
    rows = database.query(sql, f"reading the catalog of database '{database.connection.database or database.name}'")
    ordered = sorted(rows, key=lambda row: (str(row[0]), str(row[1]), int(str(row[6]))))
    return catalog_of(database.name, [row[:6] for row in ordered], default)


def real_schema(connection: JdbcConnection, schema: str | None) -> str | None:
    """The schema to ask for: mapped, dropped (None) or as given."""
    if schema is None:
        return None
    mapped = {name.lower(): real for name, real in connection.schemas.items()}
    return mapped.get(schema.lower(), schema)


def _text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def read_clock(database: Database) -> SourceClock:
    """The database's own now (UTC) and its oldest open transactions, where the account may see transactions."""
    try:
        row = database.query(database.dialect.clock_sql.format(max_stall=database.connection.max_stall_seconds), "asking its clock")[0]
    except (SourceAuthError, SourceDataError):
        row = database.query(database.dialect.blind_clock_sql, "asking its clock")[0]
    now, oldest, young, sees = row
    may_see = int(str(sees)) == 1
    return SourceClock(
        now=_naive(now) or datetime.now(timezone.utc).replace(tzinfo=None),
        oldest_transaction=_naive(oldest) if may_see else None,
        oldest_young_transaction=_naive(young) if may_see else None,
        sees_transactions=may_see,
        refusal=None if may_see or database.dialect.transactions_right is None else _BLIND.format(right=database.dialect.transactions_right),
    )


def _naive(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=None)


def kind_of_column(dialect: Dialect, column: SourceColumn, table: SourceTable) -> Kind:
    """The watermark kind of a source column by its declared type.

    Raises SourceDataError for a type that cannot order changes.
    """
    declared = column.data_type
    if declared in _DATES:
        return "date"
    if declared in dialect.rowversion_types:
        return "int"
    if declared in dialect.zoned_types:
        return "timestamptz"
    if declared.startswith(("timestamp", "datetime", "smalldatetime")):
        return "timestamp"
    if declared in _INTEGERS and column.scale == 0 and (declared not in _DECIMALS or 1 <= column.precision <= 38):
        return "int"
    if "char" in declared or "text" in declared:
        return "digits"
    raise SourceDataError(
        f"{table.schema}.{table.name}: column '{column.name}' of type {declared} cannot be a watermark. Expected a date, a time, an integer "
        "(a decimal of at most 38 digits without scale is one) or text of digits. Nothing was read. Name another column in load_config.csv."
    )


def highest_value(database: Database, table: SourceTable, column: SourceColumn, kind: Kind) -> str | None:
    """The greatest watermark in the table as text, None when there is none; asked only for kinds without a clock."""
    value = database.dialect.comparable(column.name, column.data_type, kind)
    sql = f"SELECT MAX({value}) AS highest FROM {qualified(database.dialect, table)}"
    is_empty = database.dialect.is_empty(column.name, column.data_type)
    if kind != "digits" and is_empty is not None:
        sql += f" WHERE NOT ({is_empty})"
    if column.data_type in database.dialect.rowversion_types:
        # Below the oldest open transaction's first rowversion everything is committed.
        sql = "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) - 1 AS highest"
    found = database.query(sql, f"finding the greatest {column.name}")[0][0]
    return None if found is None else str(int(str(found).split(".")[0]))


def highest_time(database: Database, table: SourceTable, column: SourceColumn, window: Window) -> str | None:
    """The greatest day or time in the table as text, values far in the future left out; None when there is none."""
    value = database.dialect.quoted(column.name)
    sql = f"SELECT MAX({value}) AS highest FROM {qualified(database.dialect, table)}"
    if window.future_from is not None:
        sql += f" WHERE {value} < {database.dialect.literal(window.kind, window.future_from)}"
    found = database.query(sql, f"finding the greatest {column.name}")[0][0]
    return None if found is None else as_text(found)


def qualified(dialect: Dialect, table: SourceTable) -> str:
    """Schema and table, quoted."""
    return f"{dialect.quoted(table.schema)}.{dialect.quoted(table.name)}"


def projection(dialect: Dialect, table: SourceTable, names: Sequence[str]) -> str:
    """The SELECT list: every column by name, with the casts that Spark's reading needs, in the preferred spelling.

    Floats are read as doubles (a FLOAT is rounded to cents only later, per row), decimals beyond 38 digits and types without a
    Spark twin as text.
    """
    spelled = [column.spelled(names) for column in table.columns]
    lowered = [name.lower() for name in spelled]
    twice = sorted(column.name for column, name in zip(table.columns, lowered, strict=True) if lowered.count(name) > 1)
    if twice:
        raise SourceDataError(
            f"{table.schema}.{table.name}: the columns {', '.join(twice)} have one name in any case, blanks and other signs that no table may have taken as "
            "underscores, so they cannot be told apart. Nothing was read. Give load_config.csv a view of the table that names them apart."
        )
    return ", ".join(
        f"{dialect.expression(column.name, column.data_type, column.precision)} AS {dialect.quoted(name)}"
        for column, name in zip(table.columns, spelled, strict=True)
    )


def window_predicate(dialect: Dialect, column: SourceColumn, window: Window) -> str:
    """SQL that is true for rows of the window, rows far in the future and rows without a watermark (`Dialect.missing`)."""
    value = dialect.comparable(column.name, column.data_type, window.kind)
    bounds = []
    if window.low is not None:
        bounds.append(f"{value} >= {dialect.literal(window.kind, window.low)}")
    if window.high is not None:
        bounds.append(f"{value} < {dialect.literal(window.kind, window.high)}")
    parts = [f"({' AND '.join(bounds)})"] if bounds else ["1 = 1"]
    if window.future_from is not None:
        parts.append(f"{value} >= {dialect.literal(window.kind, window.future_from)}")
    if window.takes_null:
        parts.append(dialect.missing(column.name, column.data_type, window.kind))
    return f"({' OR '.join(parts)})"


def read_table(
    database: Database,
    table: SourceTable,
    *,
    watermark: SourceColumn | None = None,
    window: Window | None = None,
    options: JdbcTableOptions | None = None,
    names: Sequence[str] = (),
    condition: str | None = None,
) -> DataFrame:
    """A lazy frame of the table's rows, of one window of them or of those that meet an SQL condition; the filter is part of the query that the source runs.

    Fields of instants say so in their metadata. `_empties`, where a table may hold values without a twin in Spark, has their flags.
    With `partitions` above 1 each part is its own connection and snapshot: rows that move between parts fall into the next
    window. Memory is bounded by the fetch size.
    """
    chosen = options or JdbcTableOptions()
    wanted = condition if watermark is None or window is None else window_predicate(database.dialect, watermark, window)
    where = f" WHERE {wanted}" if wanted else ""
    empties = _empties(database.dialect, table, names)
    sql = f"SELECT {projection(database.dialect, table, names)}{empties} FROM {qualified(database.dialect, table)}{where}"
    parts = predicates(database, table, chosen, where, names) if chosen.partitions > 1 else []
    rows = database.frame(sql, f"reading {table.schema}.{table.name}", fetch_size=chosen.fetch_size, parts=parts)
    for column in table.columns:
        if column.data_type in database.dialect.zoned_types:
            rows = rows.withMetadata(column.spelled(names), {IS_INSTANT: True})
    return rows


def _empties(dialect: Dialect, table: SourceTable, names: Sequence[str]) -> str:
    columns = {column.name: column.spelled(names) for column in table.columns}
    found = dialect.flags_of_empties(columns, {column.name: column.data_type for column in table.columns})
    return "" if found is None else f", {found} AS {dialect.quoted(EMPTIES)}"


def flags_of_empties(rows: DataFrame) -> Column | None:
    """`zero_date:`, `not_a_number:` and `infinite:` with the column for each such value of a row, from the column `_empties`; None where there is none."""
    return F.filter(F.split(EMPTIES, ","), lambda flag: flag != "") if EMPTIES in rows.columns else None


def has_rows(database: Database, table: SourceTable, watermark: SourceColumn | None, window: Window | None) -> bool:
    """True when the table (or the window) has any row; reads at most one."""
    where = "" if watermark is None or window is None else f" WHERE {window_predicate(database.dialect, watermark, window)}"
    # EXISTS lets every product stop at the first row.
    sql = f"SELECT CASE WHEN EXISTS (SELECT 1 FROM {qualified(database.dialect, table)}{where}) THEN 1 ELSE 0 END AS found"
    return int(str(database.query(sql, f"probing {table.schema}.{table.name}")[0][0])) == 1
