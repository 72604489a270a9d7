"""What the archive of a load knows: how each file was when it was loaded, so that one whose writer went on is seen and loaded again.

Moving a file does not stop a writer that has it open. The list `.loaded.json` in the archive holds size and time of each file as it
was loaded; the next run compares them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rcm_lakehouse.sources.files import FileItem, archived_path, sha256_of

LIST = ".loaded.json"
# A writer that pauses longer than this and one run is not seen any more; without an end the list would grow for ever.
WATCHED = timedelta(days=7)


@dataclass(frozen=True)
class Loaded:
    """A file as it was loaded, and when (seconds since 1970)."""

    name: str
    sha256: str
    size: int
    modified_ns: int
    at: float

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


def _listed(archive: Path) -> list[Loaded]:
    try:
        found = json.loads((archive / LIST).read_text(encoding="utf-8"))
        return [Loaded(str(row["name"]), str(row["sha256"]), int(row["size"]), int(row["modified_ns"]), float(row["at"])) for row in found]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def remember(items: Sequence[FileItem], archive: Path, now: datetime) -> None:
    """Note how files were loaded, before they are moved; those noted more than `WATCHED` ago are struck off.

    Raises OSError when the list cannot be written; it is then what it was.
    """
    fresh = [Loaded(item.name, item.sha256, item.look.size, item.look.modified_ns, now.timestamp()) for item in items if item.look]
    again = {(entry.sha256, entry.name) for entry in fresh}
    first = (now - WATCHED).timestamp()
    kept = [entry for entry in _listed(archive) if entry.at >= first and (entry.sha256, entry.name) not in again]
    archive.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = archive / f"{LIST}.part"
    part.write_text(json.dumps([asdict(entry) for entry in (*kept, *fresh)]), encoding="utf-8")
    part.replace(archive / LIST)


def take_back(archive: Path, landing: Path, *, is_snapshot: bool) -> list[str]:
    """Put files that changed after they were loaded back into the landing folder, under their names; what to say of each.

    One that a newer delivery (of its name; of a snapshot, any) has overtaken stays in the archive, for its rows would come after
    newer ones. Nothing is overwritten.
    """
    listed = _listed(archive) if landing.is_dir() else []
    told = []
    for number, entry in enumerate(listed, 1):
        size = entry.size_if_changed(archive)
        if size is not None:
            is_overtaken = any(is_snapshot or later.name == entry.name for later in listed[number:])
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
