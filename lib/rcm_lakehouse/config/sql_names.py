"""Other names for the tables of a SELECT, each line left where it is."""

from collections.abc import Callable

import sqlglot
from sqlglot import exp


def with_names(sql: str, name_of: Callable[[str], str | None]) -> str:
    """The SELECT with the names that `name_of` gives for tables (`silver.patient`, lower case); None leaves a name as it is.

    A table without an alias gets its own name as one, for columns may be called by it; `silver.patient.ssn` becomes `patient.ssn`.
    """
    places = list[tuple[int, int, str]]()
    tree = sqlglot.parse_one(sql, read="spark")
    for table in tree.find_all(exp.Table):
        named = name_of(f"{table.db}.{table.name}".lower()) if table.db and not table.catalog else None
        if named is not None:
            text = named if table.alias else f"{named} AS `{table.name}`"
            places.append((table.args["db"].meta["start"], table.this.meta["end"], text))
    for column in tree.find_all(exp.Column):
        if column.db and name_of(f"{column.db}.{column.table}".lower()) is not None:
            places.append((column.args["db"].meta["start"], column.args["table"].meta["end"], f"`{column.table}`"))
    for start, end, text in sorted(places, reverse=True):
        sql = sql[:start] + text + sql[end + 1 :]
    return sql
