"""Is a table the one that earlier runs wrote to? A table that was dropped or put in place of another is never taken for an empty one."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from rcm_lakehouse.audit.state import AuditState, KnownTable
from rcm_lakehouse.config.connections import AnyConnection, FilesConnection
from rcm_lakehouse.config.errors import TableStateError
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunContext, RunOptions
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table

_ANEW = {
    "bronze": "it is then loaded anew from its source; rows that only bronze still had are gone",
    "silver": "it is then built anew from bronze",
}

# Of files, which are not in their source any more.
_FROM_FILES = "it is then filled from the landing folder: move its files from the archive back to there first"
_AGAIN = "its files since are taken again from the archive"

_log = logging.getLogger(__name__)


def refuse_lost_loads(
    lake: Lake, state: AuditState, options: RunOptions, frozen: Frozen, connections: Mapping[str, AnyConnection]
) -> None:
    """Refuse every planned load whose bronze table is not the one the audit knows; the other loads go on.

    A table whose loss was accepted, or that was put back as it was some batches ago, goes on counting batches where it had come to:
    silver has taken those numbers, and would take new rows under them for old ones.
    """
    for label, row in frozen.rows.items():
        table = bronze_table(row)
        known = state.tables.get(table.label)
        if label in frozen.refused or known is None:
            continue
        found = frozen.state_of(row)
        is_files = isinstance(connections.get(row.database), FilesConnection)
        error = _lost(lake, table, known, _FROM_FILES if is_files else None) or _of_another_load(state, row, table)
        if error is not None and table.label not in options.accept_lost:
            frozen.refused[label] = error
        elif found.batch_seq < known.batch_seq:
            of_files = _AGAIN if error is None else "move its files from the archive back to the landing folder, silver has their rows"
            way = of_files if is_files else "what is missing is read again"
            _log.warning("%s has come to batch %s, the audit knows batch %s: %s", table.label, found.batch_seq, known.batch_seq, way)
            frozen.states[label] = replace(found, batch_seq=known.batch_seq, lacks=known.batch_seq - found.batch_seq)


def _of_another_load(state: AuditState, row: LoadRow, table: Table) -> TableStateError | None:
    """Why a load may not go on in a table that other loads alone filled: it would take their watermark for its own, and their keys for deleted ones."""
    owners = sorted(name for name, tables in state.targets.items() if table.label in tables)
    if not owners or row.label in owners:
        return None
    return TableStateError(
        f"{table.label} at {table.path} holds what {', '.join(owners)} loaded, and load_config.csv (line {row.line}) gives it to {row.label}. Nothing was "
        f"read; it is unchanged. Give {row.label} a targetpath of its own, which it fills from the beginning, or put the row back as it was."
    )


def check_known(ctx: RunContext, lake: Lake, table: Table) -> None:
    """Raise TableStateError when the table is not the one the audit knows and its loss was not accepted; nothing was written."""
    known = ctx.state.tables.get(table.label)
    error = None if known is None else _lost(lake, table, known)
    if error is not None and table.label not in ctx.options.accept_lost:
        raise error


def is_lost(ctx: RunContext, lake: Lake, table: Table) -> bool:
    """True when the audit knows the table but it is gone or another one."""
    known = ctx.state.tables.get(table.label)
    return known is not None and _lost(lake, table, known) is not None


def _lost(lake: Lake, table: Table, known: KnownTable, anew: str | None = None) -> TableStateError | None:
    found = lake.table_id(table) if lake.exists(table) else None
    if found == known.table_id:
        return None
    where = f"{table.label} at {table.path}"
    if found is None:
        return TableStateError(
            f"{where} is gone, but earlier runs wrote to it. Nothing was written. Put the folder back from a backup. If it is lost for good, run "
            f"again with --accept-lost {table.label}: {anew or _ANEW.get(table.layer, 'it is then made anew')}."
        )
    return TableStateError(
        f"{where} is another table than the one that earlier runs wrote to. Nothing was written. Put the right folder back. If this one is to be "
        f"used from now on, run again with --accept-lost {table.label}."
    )
