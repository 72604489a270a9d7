"""A table's place and its name in SQL."""

from dataclasses import dataclass
from pathlib import Path

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.sql_names import with_names
from rcm_lakehouse.config.worklist import bronze_name


@dataclass(frozen=True)
class Table:
    """A table's place: its layer, its name within the layer's schema and its folder below the root."""

    layer: str
    name: str
    path: str

    @property
    def label(self) -> str:
        """How the table is named to people and in lineage columns: `silver.patient`."""
        return f"{self.layer}.{self.name}"


def layer_table(layer: str, name: str) -> Table:
    """A table whose folder is `<layer>/<name>` (every layer but bronze)."""
    return Table(layer, name, f"{layer}/{name}")


def bronze_by_label(root: str, label: str, folder: str, *, has_catalog: bool) -> Table | None:
    """The bronze table of this label (`bronze.hosa_patients`), whose folder's last part is `folder`; None where there is no such folder.

    Which folders made the name is looked up on the disk; a catalog needs none.
    """
    layer, _, name = label.partition(".")
    if has_catalog:
        return Table(layer, name, "")
    for log in sorted(Path(root, layer).glob(f"**/{folder}/_delta_log")):
        parts = log.parent.relative_to(root).parts
        if bronze_name(parts[1:]) == name:
            return Table(layer, name, "/".join(parts))
    return None


def sql_name(settings: LakehouseSettings, table: Table) -> str:
    """The quoted name for SQL: `silver`.`patient`, with the catalog in front where there is one."""
    schema = getattr(settings.schemas, table.layer)
    parts = [settings.catalog, schema, table.name] if settings.catalog else [schema, table.name]
    return ".".join(f"`{part}`" for part in parts)


def in_own_schemas(settings: LakehouseSettings, sql: str) -> str:
    """A SELECT over `layer.table` with the names that these settings give the tables: their schemas, and the catalog in front.

    The text as it is where each schema is called as its layer and there is no catalog.
    """
    schemas = settings.schemas.model_dump()
    if not settings.catalog and all(layer == schema for layer, schema in schemas.items()):
        return sql

    def named(table: str) -> str | None:
        layer, _, name = table.partition(".")
        return sql_name(settings, Table(layer, name, "")) if layer in schemas else None

    return with_names(sql, named)


def register_sql(settings: LakehouseSettings, table: Table, location: str) -> str:
    """The statement that makes a folder with a Delta log known by name; where the name is known it changes nothing."""
    place = location.replace("\\", "\\\\").replace("'", "\\'")
    return f"CREATE TABLE IF NOT EXISTS {sql_name(settings, table)} USING delta LOCATION '{place}'"
