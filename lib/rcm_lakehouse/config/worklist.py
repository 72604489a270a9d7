"""`load_config.csv`: one row a source table, exactly seven columns."""

from typing import Literal

from rcm_lakehouse.config.settings import Frozen

COLUMNS = ("database", "datasource", "tablename", "loadtype", "watermark", "is_active", "targetpath")


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
        """Table name within the bronze schema: `hosa_patients`."""
        return "_".join([*self.targetpath.strip("/").split("/"), self.source_table]).lower()

    @property
    def bronze_path(self) -> str:
        """Folder below the root: `bronze/hosa/patients`."""
        return "/".join(["bronze", *self.targetpath.strip("/").split("/"), self.source_table]).lower()

    @property
    def label(self) -> str:
        """How the load is named to people and in `--only`: `hos-a.patients`."""
        return f"{self.datasource}.{self.source_table}"
