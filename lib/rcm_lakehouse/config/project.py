"""Everything a run needs to know, read and checked at once."""

from pathlib import Path

from rcm_lakehouse.config.connections import ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.feeds import ExpectedFeed
from rcm_lakehouse.config.matching import mapping_for
from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.monitors import Monitor
from rcm_lakehouse.config.settings import Frozen, LakehouseSettings
from rcm_lakehouse.config.worklist import LoadRow


class Project(Frozen):
    """A validated configuration; `config_hash` names it in the audit."""

    home: Path
    settings: LakehouseSettings
    loads: tuple[LoadRow, ...]
    connections: dict[str, JdbcConnection | FilesConnection | ApiConnection]
    contracts: dict[str, Contract]
    models: dict[str, GoldModel]
    config_hash: str
    monitors: dict[str, Monitor] = {}
    feeds: tuple[ExpectedFeed, ...] = ()

    @property
    def active_loads(self) -> tuple[LoadRow, ...]:
        """Rows with is_active 1, in file order."""
        return tuple(row for row in self.loads if row.is_active)

    @property
    def switched_off(self) -> tuple[LoadRow, ...]:
        """Loads with is_active 0, one row each (the last), that no active row is or makes the table of: nothing is read, what bronze has of them is taken."""
        active = {row.label for row in self.active_loads} | {row.bronze_table for row in self.active_loads}
        rows = {row.label: row for row in self.loads if not row.is_active and row.database in self.connections}
        return tuple(row for row in rows.values() if not active & {row.label, row.bronze_table})

    def mapping_of(self, contract: Contract, row: LoadRow) -> SourceMapping | None:
        """The mapping by which `row` feeds `contract`; a hospital's own mapping goes before the general one; None: it does not."""
        return mapping_for(contract, row)
