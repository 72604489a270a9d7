"""What the archive of a load knows: how each file was when it was loaded and as which batch of which table.

Moving a file does not stop a writer that has it open: the list `.loaded.json` in the archive holds size and time of each file as it
was loaded, the next run compares them, and one whose writer went on is loaded again. A table that was put back as it was before lacks
what the list says it took since: that is loaded again from the archive.
"""

import json
import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rcm_lakehouse.sources.files import FileItem, archived_path, sha256_of

LIST = ".loaded.json"
# A writer that pauses longer than this and one run is not seen any more.
WATCHED = timedelta(days=7)
# How old a backup may be so that what came since is known; without an end the list would grow for ever.
KEPT = timedelta(days=92)


# A batch that a bronze table has: its number, the file's name and hash.
Held = tuple[int, str, str]


@dataclass(frozen=True)
class Batch:
    """As which batch of a bronze table a file was loaded: the table's id, the batch's number and that of the batch before it there."""

    table_id: str = ""
    seq: int = 0
    follows: int = 0


@dataclass(frozen=True)
class Loaded:
    """A file as it was loaded, when (seconds since 1970), and as which batch; number 0 for one that was a repetition or had no record."""

    name: str
    sha256: str
    size: int
    modified_ns: int
    at: float
    batch: Batch = Batch()

    def path(self, archive: Path) -> Path:
        """Where it was put."""
        return archived_path(self.name, self.sha256, archive)

    def size_if_changed(self, archive: Path) -> int | None:
        """Its size now when it holds something else than was loaded; None when it does not, or is no longer there."""
        path = self.path(archive)
        try:
            now = path.stat()
            is_same = (now.st_size, now.st_mtime_ns) == (self.size, self.modified_ns)
            # A time that a copy or a backup changed is no other content.
            return None if is_same or (now.st_size == self.size and sha256_of(path) == self.sha256) else now.st_size
        except OSError:
            return None


def listed(archive: Path) -> list[Loaded]:
    """The archive's list, oldest first; empty where there is none.

    Raises ValueError, which says where and what to do, when there is one that cannot be read.
    """
    path = archive / LIST
    try:
        return [_entry(row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reason = "it is no list of files"
    told = "which files came after a backup that is put back, and which changed after they were loaded, is not known: put a good copy in its place"
    raise ValueError(f"{path}, the list of what was loaded, cannot be read ({reason}); {told}, or let the next file begin a new one") from None


def _entry(row: Mapping[str, object]) -> Loaded:
    size, modified, at = (str(row[name]) for name in ("size", "modified_ns", "at"))
    batch = row.get("batch")
    found = Batch(str(batch["table_id"]), int(batch["seq"]), int(batch["follows"])) if isinstance(batch, dict) else Batch()
    return Loaded(str(row["name"]), str(row["sha256"]), int(size), int(modified), float(at), found)


def remember(items: Sequence[tuple[FileItem, Batch]], archive: Path, now: datetime, again: Sequence[Loaded] = ()) -> None:
    """Note how files were loaded, before they are moved, and as which batch; those noted more than `KEPT` ago are struck off.

    So are the entries in `again` whose file is noted now. A list that cannot be read is kept beside the new one, as `.loaded.json.unreadable`.
    Raises OSError when the list cannot be written; it is then what it was.
    """
    fresh = [Loaded(item.name, item.sha256, item.look.size, item.look.modified_ns, now.timestamp(), batch) for item, batch in items if item.look]
    here = {(entry.sha256, entry.name) for entry in fresh}
    gone = {(entry.sha256, entry.name, entry.batch) for entry in (*fresh, *(old for old in again if (old.sha256, old.name) in here))}
    first = (now - KEPT).timestamp()
    archive.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        kept = [entry for entry in listed(archive) if entry.at >= first and (entry.sha256, entry.name, entry.batch) not in gone]
    except ValueError:
        kept = []
        (archive / LIST).replace(archive / f"{LIST}.unreadable")
    part = archive / f"{LIST}.part"
    part.write_text(json.dumps([asdict(entry) for entry in (*kept, *fresh)]), encoding="utf-8")
    part.replace(archive / LIST)


def agrees(entries: Sequence[Loaded], table_id: str, head: int, digest: str | None) -> bool:
    """True when the list and a table with this id have one past.

    The table's newest batch is the list's newest, in number and content; no number is two files; none lies between a batch and the one before it. Else the
    table was put back, or the list was, or a file could not be taken again. A list that knows no batch of the table agrees.
    """
    known = {(entry.batch.seq, entry.name, entry.sha256) for entry in entries if entry.batch.table_id == table_id and entry.batch.seq}
    numbers = {seq for seq, _, _ in known}
    steps = {(entry.batch.follows, entry.batch.seq) for entry in entries if entry.batch.table_id == table_id}
    is_one = len(numbers) == len(known) and not any(follows < seq < number for follows, number in steps for seq in numbers)
    return not known or (is_one and max(numbers) == head and [sha256 for seq, _, sha256 in known if seq == head] == [digest])


def lacking(entries: Sequence[Loaded], table_id: str, held: Container[Held]) -> list[Loaded]:
    """Of the list the files that a table with this id took and has not, in the order of their numbers; `held` are its batches."""
    taken = [entry for entry in entries if entry.batch.table_id == table_id and entry.batch.seq]
    found = [entry for entry in taken if (entry.batch.seq, entry.name, entry.sha256) not in held]
    return sorted(found, key=lambda entry: (entry.batch.seq, entry.at))


def others_took(entries: Sequence[Loaded], archive: Path, table_id: str) -> int:
    """Of the list how many files, still in the archive, another table than the one with this id took."""
    paths = {entry.path(archive) for entry in entries if entry.batch.seq and entry.batch.table_id != table_id}
    return sum(path.is_file() for path in paths)


def take_back(entries: Sequence[Loaded], archive: Path, landing: Path, *, is_snapshot: bool) -> list[str]:
    """Put files of the list that changed after they were loaded back into the landing folder, under their names; what to say of each.

    Looked at are those of the run that loaded last and of `WATCHED` before it. One that a newer delivery (of its name; of a snapshot, any) has
    overtaken stays in the archive, for its rows would come after newer ones. Nothing is overwritten.
    """
    first = max((entry.at for entry in entries), default=0.0) - WATCHED.total_seconds()
    # Of a content that came again under its name the newest delivery.
    newest = {(entry.sha256, entry.name): entry for entry in entries if entry.at >= first} if landing.is_dir() else {}
    watched = sorted(newest.values(), key=lambda entry: entry.at)
    told = []
    for number, entry in enumerate(watched, 1):
        size = entry.size_if_changed(archive)
        if size is not None:
            is_overtaken = any(is_snapshot or later.name == entry.name for later in watched[number:])
            found = f"{entry.name}: it was changed after it was loaded ({entry.size} bytes then, {size} now); "
            told.append(found + _taken_back(entry.path(archive), landing / entry.name, is_overtaken=is_overtaken))
    return told


def _taken_back(path: Path, target: Path, *, is_overtaken: bool) -> str:
    """What became of it, for the end of a sentence."""
    try:
        if not is_overtaken:
            target.parent.mkdir(parents=True, exist_ok=True)
            # A move would take the place of a file that arrives at this moment; a link does not.
            os.link(path, target)
            path.unlink()
            return "it is back in the landing folder and is taken again"
    except FileExistsError:
        pass
    except OSError as error:
        return f"it could not be put back ({error.strerror}): move {path.name} from the archive to the landing folder under its own name"
    return f"something newer has come since, so it stays in the archive as {path.name}; if its rows are wanted, have them delivered under a name of their own"
