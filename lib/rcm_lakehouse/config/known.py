"""What the contracts know, and what they may know once their mistakes are mended."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.validated import Sound


@dataclass(frozen=True)
class Contracts:
    """The contracts of a project by entity, as far as each is sound; `unread` names those whose files say nothing that can be read.

    Every `may_…` is True when the answer is yes, or may be yes once the mistakes that are reported anyway are mended.
    """

    sound: Mapping[str, Sound[Contract]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    @property
    def values(self) -> dict[str, Contract]:
        """The contracts without what was left out of them."""
        return {name: sound.value for name, sound in self.sound.items()}

    @property
    def entities(self) -> frozenset[str]:
        """Names of all contracts, read or not."""
        return frozenset(self.sound) | self.unread

    @property
    def tables(self) -> frozenset[str]:
        """Source tables that a mapping takes."""
        return frozenset(table for contract in self.values.values() for mapping in contract.sources for table in mapping.tables)

    def may_take(self, table: str) -> bool:
        """A mapping takes this source table."""
        lost = any(sound.lost.may_name(table, "sources", by="tables") for sound in self.sound.values())
        return table in self.tables or bool(self.unread) or lost

    def may_give_key(self, table: str) -> bool:
        """A key or a mapping with a mistake could say what identifies a row of this source table."""
        unclear = (sound for sound in self.sound.values() if _is_unclear(sound))
        return bool(self.unread) or any(_takes(sound, table) or sound.lost.may_name(table, "sources", by="tables") for sound in unclear)

    def may_have(self, entity: str, column: str) -> bool:
        """The contract of this entity has the column."""
        if entity not in self.sound:
            return entity in self.unread
        sound = self.sound[entity]
        return column in {item.name for item in sound.value.columns} or sound.lost.may_name(column, "columns")

    def columns_of(self, entity: str) -> frozenset[str] | None:
        """Every column of `silver.<entity>`, in lower case, those included that were left out of the contract; None when they are not known."""
        if entity not in self.sound:
            return None
        sound = self.sound[entity]
        lost = sound.lost.names("columns")
        return None if lost is None else lost | {name.lower() for name in sound.value.table_columns}


def _is_unclear(sound: Sound[Contract]) -> bool:
    """True when parts of the key or of the mappings were left out, or a mapping lacks a column of the key."""
    contract = sound.value
    return sound.lost.at("key") or sound.lost.at("sources") or any({*contract.key} - {*mapping.columns} for mapping in contract.sources)


def _takes(sound: Sound[Contract], table: str) -> bool:
    return any(table in mapping.tables for mapping in sound.value.sources)
