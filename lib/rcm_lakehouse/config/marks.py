"""Columns of a contract that carry a direct identifier under another name, without being marked: gold and its checks follow marks alone."""

from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.carried import Given, Output, given_by
from rcm_lakehouse.config.contracts import Contract, SourceMapping

Place = tuple[object, ...]


def unmarked(contract: Contract) -> Iterator[tuple[str, Place]]:
    """(what is wrong, where in the contract's file) of columns marked `phi: none` that are derived from, or mapped beside, a direct identifier.

    A year, a whole age, a count or a condition tells no identifier; a key is hashed. `phi: quasi` says that somebody has thought about the column.
    """
    direct = {name.lower(): frozenset({name}) for name in contract.direct_identifiers}
    plain = {column.name for column in contract.columns if column.phi == "none" and column.key_of is None}
    for number, column in enumerate(contract.columns):
        if column.derive is not None and column.name in plain:
            yield from _told(f"column '{column.name}'", _carried(column.derive, direct), ("columns", number))
    for number, mapping in enumerate(contract.sources):
        marks = _marks(mapping, contract.direct_identifiers)
        for name, source in mapping.columns.items():
            if name in plain:
                carried = _carried(source[1:], marks) if source.startswith("=") else marks.get(source.lower(), frozenset())
                yield from _told(f"mapping '{mapping.name}': '{name}'", carried, ("sources", number, "columns", name))


def _marks(mapping: SourceMapping, direct: frozenset[str]) -> dict[str, frozenset[str]]:
    """Source columns in lower case, by the direct identifiers that are taken from them alone; of an expression over several none is known to be one."""
    found: dict[str, frozenset[str]] = {}
    for name, source in mapping.columns.items():
        names = _names(source[1:]) if source.startswith("=") else {source.lower()}
        if name in direct and len(names) == 1:
            (only,) = names
            found[only] = found.get(only, frozenset()) | {name}
    return found


def _names(text: str) -> set[str]:
    tree = _select(text)
    return {column.name.lower() for column in tree.find_all(exp.Column)} if tree is not None else set()


def _carried(text: str, marks: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The marks that an expression tells."""
    tree = _select(text)
    outputs = tuple(Output(name, origins) for name, origins in marks.items())
    return given_by(tree, lambda _: Given(outputs)).all_origins if tree is not None else frozenset()


def _select(text: str) -> exp.Query | None:
    """A SELECT of the expression; None for one that cannot be read, which is told elsewhere."""
    try:
        tree = sqlglot.parse_one(f"SELECT {text} AS value FROM delivered", read="spark")
    except (SqlglotError, RecursionError):
        return None
    return tree if isinstance(tree, exp.Query) else None


def _told(what: str, carried: frozenset[str], place: Place) -> Iterator[tuple[str, Place]]:
    if carried:
        names = ", ".join(f"'{name}'" for name in sorted(carried))
        way = "Mark it phi: direct, or phi: quasi where it names nobody."
        yield f"{what} carries {names}, by contract a direct identifier (phi: direct), and is marked none: gold could show it. {way}", place
