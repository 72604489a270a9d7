"""What goes to the archive after the commit, and what comes from there again when the table was put back as it was before."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.pipeline.context import utc_now
from rcm_lakehouse.pipeline.files_others import Place
from rcm_lakehouse.sources.files import FileItem, Look, archive_file, archived_path, sha256_of
from rcm_lakehouse.sources.files_archive import KEPT, Batch, Held, Loaded, agrees, lacking, listed, others_took, remember, take_back


@dataclass
class Archived:
    """The archive of one load.

    `head` is the newest batch that the table had when the run began, 0 for none, and `digest` the hash of its file; `held` asks the table for its batches, a
    Spark job; `is_unknown` is true of a load that the audit does not know.
    """

    place: Place
    head: int
    digest: str | None
    held: Callable[[], set[Held]]
    is_unknown: bool
    table_id: str = ""
    items: list[tuple[FileItem, Batch]] = field(default_factory=list)
    entries: list[Loaded] = field(default_factory=list)
    again: list[Loaded] = field(default_factory=list)

    def come_back(self, table_id: str, *, is_snapshot: bool) -> tuple[list[FileItem], list[str]]:
        """Files to be taken from the archive again, in the order in which they were taken, and what to say.

        Those that the archive's list knows of batches which the table with this id does not have: it was put back from a backup, or restored. Where the
        newest batches agree: no Spark job. One whose writer went on after it was loaded is put back into the landing folder instead.
        """
        self.table_id, archive = table_id, self.place.archive
        try:
            entries = self.entries = listed(archive)
        except ValueError as error:
            return [], [str(error)]
        notes = take_back(entries, archive, self.place.landing, is_snapshot=is_snapshot)
        if not agrees(entries, table_id, self.head, self.digest):
            held = self.held()
            # A try before this one may have committed what the run began without.
            self.head = max([self.head, *(seq for seq, _, _ in held)])
            self.again = lacking(entries, table_id, held)
        found = [self._again(entry) for entry in self.again]
        if self.again and self.again[0].batch.follows > self.head:
            behind = f"of batches {self.head + 1} to {self.again[0].batch.follows} its list does not know the files"
            old = f"they were taken more than {KEPT.days} days ago, or before a list that was lost"
            way = "look for them in the archive, and have their rows delivered under names of their own"
            notes.append(f"the table was put back to batch {self.head}; {behind}: {old}; {way}")
        # Of a load that has another targetpath now silver has what the table before it took.
        others = others_took(entries, archive, table_id) if self.is_unknown and not self.head else 0
        if others and not self.held():
            notes.append(f"the table is new; another took {others} files of its archive: move those that are wanted to the landing folder under their names")
        return [item for item, _ in found if item], [*notes, *(words for _, words in found if words)]

    def _again(self, entry: Loaded) -> tuple[FileItem | None, str]:
        path, found = entry.path(self.place.archive), f"{entry.name}: the table was put back and lacks it (batch {entry.batch.seq}); "
        try:
            item = FileItem(path, entry.name, "arrived", Look.at(path), sha256_of(path), is_archived=True)
        except OSError:
            # One that changed is in the landing folder already.
            is_back = (self.place.landing / entry.name).exists()
            return None, "" if is_back else f"{found}it is not in the archive any more: {self._way(entry)}"
        if item.sha256 != entry.sha256:
            return None, f"{found}in the archive it is no more what was loaded: {self._way(entry)}"
        return item, f"{found}it is taken again from the archive"

    def _way(self, entry: Loaded) -> str:
        """How the rows of a file come again; under its own name it would correct what the name's later deliveries said."""
        later = [other for other in self.entries if other.name == entry.name and (other.at, other.batch.seq) > (entry.at, entry.batch.seq)]
        if not any(other.batch.table_id == self.table_id for other in later):
            return "have it delivered again"
        return f"a later {entry.name} is taken; if rows that only the earlier one had are wanted, have them delivered under a name of their own"

    def note(self, item: FileItem, seq: int = 0) -> None:
        """A file that is to be put away, and as which batch the table has it: 0 for a repetition under another name and one without a record."""
        self.items.append((item, Batch(self.table_id, seq, min(self.head, seq - 1)) if seq else Batch()))
        self.head = max(self.head, seq)

    def put_away(self) -> list[str]:
        """Move what was noted; what cannot be moved is known by its content and tried again by the next run. What to say."""
        told: list[str] = []
        archive, items = self.place.archive, [item for item, _ in self.items]
        try:
            if items:
                remember(self.items, archive, utc_now(), self.again)
        except OSError as error:
            return [_not_archived(item, error) for item in items]
        for item in items:
            crash_point("P7", self.place.row.label)
            try:
                is_there = item.path == archived_path(item.name, item.sha256, archive)
                if not is_there and not archive_file(item, archive):
                    told.append(f"{item.name}: another delivery took its place meanwhile; the next run takes it")
            except OSError as error:
                told.append(_not_archived(item, error))
        return told


def _not_archived(item: FileItem, error: OSError) -> str:
    return f"{item.name}: loaded, but not archived ({error.strerror}); the next run tries again"
