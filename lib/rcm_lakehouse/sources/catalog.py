"""Tables and columns of a source as the database itself names them; names are met in any case, one that is met exactly before others."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.problems import did_you_mean

_FORBIDDEN = re.compile(r"[ ,;{}()\n\t=`]")


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

    def column(self, name: str, named_by: str = "") -> SourceColumn:
        """The column of this name, its own or that in bronze, in any case.

        Raises SourceDataError with the nearest name, and with what names it (`named_by`); nothing was read.
        """
        for column in self.columns:
            if name.lower() in (column.name.lower(), column.spelled(()).lower()):
                return column
        hint = did_you_mean(name, [column.name for column in self.columns])
        named = f", which {named_by} names" if named_by else ""
        raise SourceDataError(f"{self.schema}.{self.name}: there is no column '{name}'{named}.{hint} Nothing was read; its watermark is unchanged.")


@dataclass(frozen=True)
class Catalog:
    """All tables of the schemas that a connection's loads name; `default_schema` is meant where a load names none."""

    connection: str
    tables: Mapping[tuple[str, str], SourceTable]
    default_schema: str

    def table(self, schema: str | None, name: str) -> SourceTable:
        """The table of exactly this schema and name, else the one table that has them in another case.

        Raises SourceDataError with the nearest name, or with all that differ in case alone; nothing was read.
        """
        wanted = schema or self.default_schema
        alike = [place for place in self.tables if (place[0].lower(), place[1].lower()) == (wanted.lower(), name.lower())]
        found = [place for place in alike if place == (wanted, name)] or alike
        if len(found) == 1:
            return self.tables[found[0]]
        if found:
            told = ", ".join(sorted(".".join(place) for place in found))
            raise SourceDataError(
                f"connection '{self.connection}': '{wanted}.{name}' may be any of the tables {told}, whose names differ in case alone. Nothing was read. "
                "Spell tablename in load_config.csv (or the schema, in `schemas` of conf/connections.yml) as the database spells the one you mean."
            )
        names = sorted({table.lower() for place, table in self.tables if place.lower() == wanted.lower()})
        raise SourceDataError(
            f"connection '{self.connection}': there is no table '{wanted.lower()}.{name}' that this account may see."
            f"{did_you_mean(name, names)} Nothing was read. Check tablename in load_config.csv, `schemas` in conf/connections.yml and the grants."
        )


def catalog_of(connection: str, rows: Sequence[Sequence[object]], default_schema: str) -> Catalog:
    """A catalog from rows (schema, table, column, type, precision, scale) in column order."""
    columns: dict[tuple[str, str], list[SourceColumn]] = {}
    for schema, table, name, data_type, precision, scale in rows:
        place = (str(schema), str(table))
        columns.setdefault(place, []).append(SourceColumn(str(name), str(data_type).lower(), int(str(precision or 0)), int(str(scale or 0))))
    return Catalog(connection, {place: SourceTable(*place, tuple(found)) for place, found in columns.items()}, default_schema)
