"""What a source table must have before a row of it is read: no column named like ours, every column that a contract cannot do without."""

from collections.abc import Collection, Iterator

import sqlglot
from sqlglot import exp

from rcm_lakehouse.bronze.lineage import RESERVED
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.errors import SourceDataError, TableStateError
from rcm_lakehouse.config.problems import SPELLING, did_you_mean, nearest
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.sources.catalog import SourceTable


def check_names(row: LoadRow, table: SourceTable) -> None:
    """Raise SourceDataError when the source has a column of a name that the lakehouse writes itself; nothing was read."""
    taken = sorted(column.name for column in table.columns if column.name.lower() in RESERVED)
    if taken:
        raise SourceDataError(
            f"{row.label}: the source has a column named {', '.join(taken)}, a name that the lakehouse writes itself. Nothing was read; its "
            "watermark is unchanged. Offer a view that names it otherwise, and load the view."
        )


def check_columns(project: Project, row: LoadRow, table: SourceTable, delivered: Collection[str], given_up: Collection[str]) -> list[str]:
    """Warnings for mapped columns that the source does not have.

    Refused is a missing column that makes a key or a sequence, that an expression reads, or whose total gold ties out to; one that bronze
    has from earlier loads (`delivered`); and one that looks misspelled, because the source has an unmapped column of nearly its name: values
    would silently become NULL. The last two are let pass when `gone_columns` names them (`given_up`). Any other is NULL.
    Raises SourceDataError; nothing was read.
    """
    found = {column.spelled(()).lower() for column in table.columns}
    warnings = []
    for contract in project.contracts.values():
        mapping = project.mapping_of(contract, row)
        wanted = list(wanted_columns(contract, mapping, signed_columns(project, contract))) if mapping else []
        taken = {source.lower() for source, _, _ in wanted}
        for source, silver, is_required in wanted:
            if source.lower() in found:
                continue
            free = [name for name in (column.spelled(()) for column in table.columns) if name.lower() not in taken]
            hint, is_misspelled = did_you_mean(source, free), nearest(source, free, likeness=SPELLING) is not None
            place = f"{row.label}: the source has no column '{source}', which conf/cdm/{contract.entity}.yml takes for '{silver}'.{hint}"
            refused = "Nothing was read; its watermark is unchanged."
            if is_required:
                raise SourceDataError(f"{place} A row means nothing without it. {refused} Mend the mapping or the source.")
            if source.lower() not in given_up and (source.lower() in delivered or is_misspelled):
                why = "Earlier loads had it: its" if source.lower() in delivered else "Its"
                raise SourceDataError(
                    f"{place} {why} values would become NULL in every row that is read. {refused} Mend the mapping or the source, or name it in "
                    "gone_columns of this table in conf/connections.yml if the source does not have it."
                )
            warnings.append(f"{place} It is NULL.")
    return warnings


def signed_columns(project: Project, contract: Contract) -> frozenset[str]:
    """Columns of the contract whose totals a gold model ties out to."""
    targets = (target.split(".") for model in project.models.values() for target in model.ties_out.values())
    return frozenset(parts[2] for parts in targets if len(parts) == 3 and parts[:2] == ["silver", contract.entity])


def wanted_columns(contract: Contract, mapping: SourceMapping, signed: Collection[str]) -> Iterator[tuple[str, str, bool]]:
    """(source column, what it is for, required) of one mapping; required are keys, the sequence, what is `signed`, and what an expression reads."""
    required = {*contract.key, *contract.sequence_by[:1], *signed}
    for silver, source in mapping.columns.items():
        if source.startswith("="):
            yield from ((name, silver, True) for name in _columns_of(source[1:]))
        else:
            yield source, silver, silver in required
    for purpose in ("where", "delete_when"):
        text = getattr(mapping, purpose)
        if text is not None:
            yield from ((name, purpose, True) for name in _columns_of(text))


def _columns_of(text: str) -> list[str]:
    names = [column.name for column in sqlglot.parse_one(text, read="spark").find_all(exp.Column)]
    return [name for name in dict.fromkeys(names) if name.lower() not in RESERVED]


def watermark_drift(row: LoadRow, remembered: str | None) -> TableStateError | None:
    """Why the watermark that bronze carries cannot be gone on from: it came from another column. None: it can.

    `remembered` is the column that made the table, empty for full loads, None when the table does not say.
    """
    now = (row.watermark or "").lower() if row.loadtype == "Incremental" else ""
    if remembered is None or remembered == now:
        return None
    was = f"was loaded by the watermark column '{remembered}'" if remembered else "was loaded in full"
    wanted = f"load_config.csv (line {row.line}) names '{row.watermark}'" if now else f"load_config.csv (line {row.line}) says Full"
    if remembered and now:
        way = f"Put it back, or say from where the new column is to be read: --reset-watermark {row.label} beginning (rows that bronze has are dropped)."
    else:
        # Snapshots and rows side by side: what a snapshot lacked would be there again.
        way = f"Put it back, or give the {'incremental' if now else 'full'} load a targetpath of its own, which it fills from the beginning."
    return TableStateError(f"bronze.{row.bronze_table} {was} and {wanted}: its watermark says nothing about that. Nothing was read; it is unchanged. {way}")
