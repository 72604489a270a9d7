"""Which mapping and which options a row of the work list has."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rcm_lakehouse.config.connections import JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.validated import Sound
from rcm_lakehouse.config.worklist import LoadRow

Options = TypeVar("Options")


def mapping_for(contract: Contract, row: LoadRow) -> SourceMapping | None:
    """The mapping by which `row` feeds `contract`; a hospital's own mapping goes before the general one; None: it does not."""
    fitting = [mapping for mapping in contract.sources if row.source_table in mapping.tables]
    own = [mapping for mapping in fitting if row.datasource in mapping.data_sources]
    return next(iter(own or [mapping for mapping in fitting if not mapping.data_sources]), None)


def table_options(tables: Mapping[str, Options], row: LoadRow) -> Options | None:
    """A connection's options for a row: by `datasource.table`, then by the bare name, any case; None when there are none."""
    by_name = {name.lower(): options for name, options in tables.items()}
    return by_name.get(row.label) or by_name.get(row.source_table)


def options_may_differ(connection: Sound[Any], row: LoadRow) -> bool:
    """True when a mistake left out of a connection what says, or may say, how a row is loaded."""
    names, lost = (row.label, row.source_table), connection.lost
    given = [name for name in connection.value.tables if name.lower() in names]
    return any(lost.may_name(name, "tables") for name in names) or any(lost.at("tables", name) for name in given)


def jdbc_options(connection: JdbcConnection, row: LoadRow) -> JdbcTableOptions:
    """A relational connection's options for a row, as `table_options` finds them; the defaults when there are none."""
    return table_options(connection.tables, row) or JdbcTableOptions()


def given_key(connection: object, row: LoadRow) -> tuple[str, ...]:
    """The source columns that conf/connections.yml says identify a row of a load; none where the contract's mapping is to tell them."""
    return jdbc_options(connection, row).key if isinstance(connection, JdbcConnection) else ()


def comparison_period(connection: object, row: LoadRow) -> str:
    """How often a load is compared with its source (`daily`, `weekly`, `never`); what is no relational database never is."""
    return jdbc_options(connection, row).reconcile if isinstance(connection, JdbcConnection) else "never"


def key_of_table(row: LoadRow, contracts: Mapping[str, Contract]) -> Sequence[str]:
    """Source columns that identify a row of a table: the key of the contract that is named after it, else of the only one it feeds.

    Empty when there is no such contract, or its key is taken from an expression.
    """
    fed = [(contract, mapping) for contract in contracts.values() if (mapping := mapping_for(contract, row)) is not None]
    named = [(contract, mapping) for contract, mapping in fed if contract.entity.replace("_", "") in row.source_table.replace("_", "")]
    for contract, mapping in named or (fed if len(fed) == 1 else []):
        sources = [mapping.columns.get(name, "=") for name in contract.key]
        if all(not source.startswith("=") for source in sources):
            return sources
    return ()
