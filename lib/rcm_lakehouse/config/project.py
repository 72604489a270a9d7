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

    def mapping_of(self, contract: Contract, row: LoadRow) -> SourceMapping | None:
        """The mapping by which `row` feeds `contract`; a hospital's own mapping goes before the general one; None: it does not."""
        return mapping_for(contract, row)
