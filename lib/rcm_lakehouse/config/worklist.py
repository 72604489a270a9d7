"""`load_config.csv`: one row a source table, exactly seven columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rcm_lakehouse.config.settings import Frozen

COLUMNS = ("database", "datasource", "tablename", "loadtype", "watermark", "is_active", "targetpath")


def bronze_name(folders: Iterable[str]) -> str:
    """The name of a bronze table by its folders below bronze (`hosa`, `patients`: `hosa_patients`); catalogs take no hyphen in one, so it is an underscore."""
    return "_".join(folders).lower().replace("-", "_")


class LoadRow(Frozen):
    """One checked row of the work list; names are derived here so that they cannot drift."""

    line: int
    database: str
    datasource: str
    tablename: str
    loadtype: Literal["Full", "Incremental"]
    watermark: str | None
    is_active: bool
    targetpath: str

    @property
    def source_schema(self) -> str | None:
        """The schema prefix of `tablename` (`dbo`), None without one."""
        return self.tablename.rpartition(".")[0] or None

    @property
    def source_table(self) -> str:
        """The table's name without schema, in lower case (`patients`)."""
        return self.tablename.rpartition(".")[2].lower()

    @property
    def bronze_table(self) -> str:
        """Table name within the bronze schema: `hosa_patients`; see `bronze_name`."""
        return bronze_name([*self.targetpath.strip("/").split("/"), self.source_table])

    @property
    def bronze_path(self) -> str:
        """Folder below the root: `bronze/hosa/patients`."""
        return "/".join(["bronze", *self.targetpath.strip("/").split("/"), self.source_table]).lower()

    @property
    def label(self) -> str:
        """How the load is named to people and in `--only`: `hos-a.patients`."""
        return f"{self.datasource}.{self.source_table}"


@dataclass(frozen=True)
class ReadRow:
    """A row as it was read: `wrong` names the cells that say nothing, whatever stands in their place."""

    row: LoadRow
    wrong: frozenset[str] = frozenset()
    is_whole: bool = True

    def has(self, *cells: str) -> bool:
        """True when all of these cells can be judged."""
        return not self.wrong & {*cells}


@dataclass(frozen=True)
class WorkList:
    """The work list as far as it can be read: its rows, and the cells of lines that are no rows. `is_read`: nothing behind them is hidden."""

    rows: tuple[ReadRow, ...] = ()
    strays: tuple[tuple[str, ...], ...] = ()
    is_read: bool = True

    @property
    def loads(self) -> tuple[LoadRow, ...]:
        """The rows without a mistake, in file order."""
        return tuple(read.row for read in self.rows if read.is_whole)

    def may_load(self, data_source: str, table: str | None) -> bool:
        """True when a row loads this table (None: any) of a data source, or may once its mistakes are mended."""
        in_rows = any(
            (read.row.datasource == data_source or not read.has("datasource"))
            and (table is None or read.row.source_table == table or not read.has("tablename"))
            for read in self.rows
        )
        in_strays = any(data_source in cells and (table is None or table in _last_parts(cells)) for cells in self.strays)
        return in_rows or in_strays or not self.is_read

    def may_make(self, bronze_table: str) -> bool:
        """True when a row makes this table of bronze, or may once its mistakes are mended."""
        in_rows = any(
            read.row.bronze_table == bronze_table
            or not read.has("tablename")
            or (not read.has("targetpath") and bronze_table.endswith(f"_{read.row.source_table}"))
            for read in self.rows
        )
        in_strays = any(bronze_table.endswith(f"_{table}") for cells in self.strays for table in _last_parts(cells))
        return in_rows or in_strays or not self.is_read


def _last_parts(cells: tuple[str, ...]) -> list[str]:
    return [cell.rpartition(".")[2].lower() for cell in cells if cell]
