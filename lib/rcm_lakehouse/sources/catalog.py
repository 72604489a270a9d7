"""Tables and columns of a source as the database itself names them; names are met in any case."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.problems import did_you_mean

_FORBIDDEN = re.compile(r"[ ,;{}()\n\t=]")


@dataclass(frozen=True)
class SourceColumn:
    """A column: its real name, its declared type in lower case, its decimal precision (0 when it has none) and scale."""

    name: str
    data_type: str
    precision: int = 0
    scale: int = 0

    def spelled(self, names: Iterable[str]) -> str:
        """Its name in bronze: as one of `names` spells it, else its own with blanks and signs that no table may have as underscores."""
        plain = _FORBIDDEN.sub("_", self.name)
        return next((name for name in names if name.lower() == plain.lower()), plain)


@dataclass(frozen=True)
class SourceTable:
    """A table or view: real schema and name, columns in order."""

    schema: str
    name: str
    columns: tuple[SourceColumn, ...]

    def column(self, name: str) -> SourceColumn:
        """The column of this name, in any case.

        Raises SourceDataError with the nearest name; nothing was read.
        """
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        hint = did_you_mean(name, [column.name for column in self.columns])
        raise SourceDataError(f"{self.schema}.{self.name}: there is no column '{name}'.{hint} Nothing was read; its watermark is unchanged.")


@dataclass(frozen=True)
class Catalog:
    """All tables of the schemas that a connection's loads name; `default_schema` is meant where a load names none."""

    connection: str
    tables: Mapping[tuple[str, str], SourceTable]
    default_schema: str

    def table(self, schema: str | None, name: str) -> SourceTable:
        """The table of this schema and name, in any case.

        Raises SourceDataError with the nearest name; nothing was read.
        """
        wanted = (schema or self.default_schema).lower()
        found = self.tables.get((wanted, name.lower()))
        if found is None:
            names = sorted({table for place, table in self.tables if place == wanted})
            raise SourceDataError(
                f"connection '{self.connection}': there is no table '{wanted}.{name}' that this account may see."
                f"{did_you_mean(name, names)} Nothing was read. Check tablename in load_config.csv, `schemas` in conf/connections.yml and the grants."
            )
        return found


def catalog_of(connection: str, rows: Sequence[Sequence[object]], default_schema: str) -> Catalog:
    """A catalog from rows (schema, table, column, type, precision, scale) in column order."""
    columns: dict[tuple[str, str], list[SourceColumn]] = {}
    for schema, table, name, data_type, precision, scale in rows:
        place = (str(schema), str(table))
        columns.setdefault(place, []).append(SourceColumn(str(name), str(data_type).lower(), int(str(precision or 0)), int(str(scale or 0))))
    tables = {(schema.lower(), table.lower()): SourceTable(schema, table, tuple(found)) for (schema, table), found in columns.items()}
    return Catalog(connection, tables, default_schema)
