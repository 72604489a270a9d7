"""What a file is to earlier deliveries.

Same name and hash: skipped. Same name, new hash: a correction. New name, known hash: a duplicate. A snapshot whose name is numbered
before that of the newest one: refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rcm_lakehouse.sources.files import FileItem
from rcm_lakehouse.sources.files_landing import is_numbered_before


@dataclass
class Ledger:
    """Deliveries that were committed: the batch of each content under each name, and when it was taken (ns).

    With `is_snapshot` each file is a whole table, so that only the newest one is what the table holds: an older one that
    comes again is news, or refused when its name says that it is older. One that was there already when it was taken, and is
    not archived yet, has not come again.
    """

    is_snapshot: bool = False
    batches: dict[tuple[str, str], int] = field(default_factory=dict)
    taken_ns: dict[tuple[str, str], int] = field(default_factory=dict)

    @staticmethod
    def of(rows: Iterable[Mapping[str, object]], *, is_snapshot: bool) -> "Ledger":
        """From rows of (hash, name, newest batch, microsecond it was taken)."""
        found = {(str(row["hash"]), str(row["name"])): row for row in rows}
        batches, taken = ({key: int(str(row[name])) for key, row in found.items()} for name in ("seq", "taken"))
        return Ledger(is_snapshot, batches, {key: 1_000 * micros for key, micros in taken.items()})

    def add(self, item: FileItem) -> None:
        """Note a file as the newest delivery of this run."""
        self.batches[(item.sha256, item.name)] = max(self.batches.values(), default=0) + 1

    def judged(self, item: FileItem) -> FileItem:
        """An arrived item as new, correction, duplicate, skipped or refused.

        What another name brought is no duplicate of a name that has held something else: only under its own name does a file correct its rows.
        """
        under = {name: seq for (digest, name), seq in self.batches.items() if digest == item.sha256}
        same_name = {digest: seq for (digest, name), seq in self.batches.items() if name == item.name}
        if self.is_snapshot and under and max(under.values()) < max(self.batches.values()):
            if item.look is not None and item.look.changed_ns <= self.taken_ns.get((item.sha256, item.name), 0):
                return replace(item, status="skipped", reason="it was loaded before, and a newer snapshot after it; it waited for the archive alone")
            under = {}
        if item.name in under and under[item.name] == max(same_name.values()):
            return replace(item, status="skipped", reason=self._stands("this content was loaded before under this name", item.name, item.sha256))
        if item.name in under:
            return replace(item, status="correction", reason="it returns to what it held before newer content of its name")
        if under and (self.is_snapshot or not same_name) and max(under.values()) > max(same_name.values(), default=0):
            known_as = max(under, key=lambda name: under[name])
            return replace(item, status="duplicate", reason=self._stands(f"its content was loaded before as {known_as}", known_as, item.sha256))
        newest = self._newest()
        if self.is_snapshot and is_numbered_before(item.name, newest):
            return replace(item, status="refused", reason=f"by its name it is an older snapshot than {newest}, which was taken already")
        return replace(item, status="correction" if same_name else "new")

    def _stands(self, told: str, name: str, digest: str) -> str:
        """Why a content that a name brought is not taken; where newer deliveries followed, that they stand, and how it is taken again."""
        taken = self.batches[(digest, name)]
        if taken == max(self.batches.values()):
            return told
        # Under its own name it is a repetition, unless that name has held something else since.
        is_past = any(other == name and seq > taken for (_, other), seq in self.batches.items())
        way = "under that name, which held newer content since" if is_past else "in other bytes (its rows in another order, other line ends)"
        return f"{told}, and what newer deliveries said, up to {self._newest()}, stays; it is taken again {way}"

    def _newest(self) -> str:
        """The name of the newest delivery; empty when there is none."""
        return max(self.batches, key=lambda delivery: self.batches[delivery], default=("", ""))[1]
