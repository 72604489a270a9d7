"""Parts of a partitioned read: every row in exactly one part, rows without a value in the first."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from rcm_lakehouse.bronze.windows import Kind, as_text
from rcm_lakehouse.config.connections import JdbcTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.catalog import SourceColumn, SourceTable
from rcm_lakehouse.sources.dialects import Dialect

if TYPE_CHECKING:
    from rcm_lakehouse.sources.jdbc import Database


def predicates(
    database: "Database", table: SourceTable, options: JdbcTableOptions, where: str, names: Sequence[str]
) -> list[str]:
    """One SQL predicate a part over the columns of the subquery; bounds are found by one MIN/MAX query over the window.

    Numbers, days and times are cut into half-open ranges whose first and last are open-ended, so rows outside the bounds are
    still read; text is dealt out by a hash. The first part has the rows without a value too. Fewer distinct values than parts give fewer
    parts, and never more parts than the connection has connections.
    """
    if options.partition_column is None:
        raise SourceDataError(f"{table.schema}.{table.name}: partitions is {options.partitions} but partition_column is not given.")
    count = min(options.partitions, database.connection.max_connections)
    column = table.column(options.partition_column, "partition_column in conf/connections.yml")
    quoted = database.dialect.quoted(column.spelled(names))
    kind = _kind(database.dialect, column)
    if count == 1:
        return []
    if kind is None:
        return buckets(database.dialect, quoted, count)
    own = database.dialect.quoted(column.name)
    place = f"{database.dialect.quoted(table.schema)}.{database.dialect.quoted(table.name)}"
    low, high = database.query(f"SELECT MIN({own}) AS lo, MAX({own}) AS hi FROM {place}{where}", "finding partition bounds")[0]
    return ranges(database.dialect, quoted, kind, cut_points(low, high, count))


def _kind(dialect: Dialect, column: SourceColumn) -> Kind | None:
    declared = column.data_type
    if declared == "date":
        return "date"
    if declared in dialect.rowversion_types:
        return None
    if declared in dialect.zoned_types:
        return "timestamptz"
    if declared.startswith(("timestamp", "datetime")):
        return "timestamp"
    if declared in ("numeric", "decimal"):
        # Others are read as text, which has no order by size.
        return "int" if 1 <= column.precision <= 38 else None
    return "int" if declared in ("int", "integer", "bigint", "smallint", "tinyint", "mediumint") else None


def cut_points(low: object, high: object, parts: int) -> list[str]:
    """At most `parts - 1` distinct inner cut points between two bounds, as canonical text in rising order."""
    if low is None or high is None:
        return []
    if isinstance(low, datetime) and isinstance(high, datetime):
        span = high - low
        found = [as_text(low + span * part / parts) for part in range(1, parts)]
    elif isinstance(low, date) and isinstance(high, date):
        found = [as_text(low + timedelta(days=(high - low).days * part // parts)) for part in range(1, parts)]
    else:
        # A decimal's zero may come as 0E-9.
        first, last = int(Decimal(str(low))), int(Decimal(str(high)))
        found = [str(first + (last - first) * part // parts) for part in range(1, parts)]
    return list(dict.fromkeys(found))


def buckets(dialect: Dialect, quoted: str, count: int) -> list[str]:
    """Parts by a hash of the column; the first has the rows without a value, which some products give a hash too."""
    bucket = dialect.bucket.format(column=quoted, count=count)
    return [f"({bucket} = 0 OR {quoted} IS NULL)", *(f"({bucket} = {part} AND {quoted} IS NOT NULL)" for part in range(1, count))]


def ranges(dialect: Dialect, quoted: str, kind: Kind, cuts: Sequence[str]) -> list[str]:
    """Half-open ranges between the cuts, open at both ends; the first has the rows without a value too. No cut: no parts."""
    if not cuts:
        return []
    literals = [dialect.literal(kind, cut) for cut in cuts]
    inner = [f"{quoted} >= {one} AND {quoted} < {other}" for one, other in pairwise(literals)]
    return [f"({quoted} < {literals[0]} OR {quoted} IS NULL)", *inner, f"{quoted} >= {literals[-1]}"]
