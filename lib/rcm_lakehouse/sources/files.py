"""Files of a landing folder: whether each has arrived whole, and the archive.

A file is known by the hash of its content. It leaves the landing folder only after its rows are committed.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from time import sleep
from typing import Literal

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.sources.files_landing import DONE, MANIFEST, MARKER

Status = Literal["arrived", "new", "correction", "duplicate", "skipped", "waiting", "refused"]
# Longest pause between the two looks at a folder: long enough to see a writer at work, short beside any load.
LOOK_SECONDS = 1.0
_CHUNK = 1 << 20
_LONGEST_MANIFEST = 1 << 20
# Bytes of a name that file systems take, and of the extensions that a cut name keeps.
_LONGEST_NAME = 255
_LONGEST_END = 32


@dataclass(frozen=True)
class Look:
    """What the file system said of a file at one moment; two equal looks mean that nobody wrote in between."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @staticmethod
    def at(path: Path) -> "Look":
        """Look now. Raises OSError when the file is gone or may not be seen."""
        found = path.stat()
        return Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    def rested_seconds(self, now: datetime) -> float:
        """Seconds since the last change. A copying program may set the time of modification, nobody sets that of the change."""
        moment = now.timestamp() * 1e9
        changes = [at for at in (self.modified_ns, self.changed_ns) if at <= moment] or [self.changed_ns]
        return (moment - max(changes)) / 1e9


@dataclass(frozen=True)
class FileItem:
    """One file and what is to become of it; `name` is relative to the landing folder, `sha256` is empty while it is waiting.

    `is_archived`: it lies in the archive, and is taken again from there.
    """

    path: Path
    name: str
    status: Status
    look: Look | None = None
    sha256: str = ""
    reason: str = ""
    manifest_rows: int | None = None
    is_hash_verified: bool = False
    is_archived: bool = False

    @property
    def is_unchanged(self) -> bool:
        """True when the file is still what was hashed."""
        try:
            return Look.at(self.path) == self.look
        except OSError:
            return False


def look_twice(paths: Sequence[Path], options: FileTableOptions) -> dict[Path, Look | None]:
    """First looks, None for a file that vanished; when `stable_seconds` is set a pause follows, so that the second look shows a writer."""
    looks: dict[Path, Look | None] = {}
    for path in paths:
        try:
            looks[path] = Look.at(path)
        except OSError:
            looks[path] = None
    if options.stable_seconds and paths:
        sleep(min(options.stable_seconds, LOOK_SECONDS))
    return looks


def arrived(path: Path, name: str, first: Look | None, options: FileTableOptions, now: datetime) -> FileItem:
    """The file at the second look: arrived, with its hash, waiting, with what for, or refused by its manifest."""
    item = FileItem(path, name, "arrived", first)
    if not _is_text(name):
        return replace(item, status="refused", reason="its name has bytes that are not UTF-8, so no table can hold it, and it needs another")
    try:
        reason = "it vanished while the folder was read" if first is None else _waits_for(path, first, options, now)
        if reason:
            return replace(item, status="waiting", reason=reason)
        item = replace(item, sha256=sha256_of(path))
        if not item.is_unchanged:
            return replace(item, status="waiting", sha256="", reason="it changed while it was read")
    except FileNotFoundError:
        return replace(item, status="waiting", reason="it vanished while the folder was read")
    except OSError as error:
        return replace(item, status="refused", reason=f"it cannot be read: {error.strerror}")
    return _agreeing(item) if options.arrival == "manifest" else item


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _waits_for(path: Path, first: Look, options: FileTableOptions, now: datetime) -> str:
    if Look.at(path) != first:
        return "it changed while the folder was read"
    if options.arrival == "manifest":
        beside = path.with_name(path.name + MANIFEST)
        given = _modified(beside)
        if given is None:
            return f"for {path.name}{MANIFEST}"
        # The count that an earlier delivery left behind may happen to be that of a file half written; a hash cannot.
        if given < first.modified_ns and _has_rows_alone(_manifest(beside)):
            return f"for a {path.name}{MANIFEST} that is not older than the file or has a sha256"
    if options.arrival == "marker":
        markers = [at for at in (_modified(path.with_name(path.name + DONE)), _modified(path.parent / MARKER)) if at is not None]
        if not markers:
            return f"for {path.name}{DONE} or {MARKER}"
        # A marker that an earlier delivery left behind says nothing of this file.
        if max(markers) < first.modified_ns:
            return f"for a {path.name}{DONE} or {MARKER} that is not older than the file"
    rested = first.rested_seconds(now)
    return f"it changed {max(rested, 0):.0f} s ago; it must rest for {options.stable_seconds:g} s" if rested < options.stable_seconds else ""


def _has_rows_alone(manifest: Mapping[str, object]) -> bool:
    return manifest.get("rows") is not None and manifest.get("sha256") is None


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _agreeing(item: FileItem) -> FileItem:
    """The item when its manifest is sound and agrees with the content, else refused."""
    manifest = _manifest(item.path.with_name(item.path.name + MANIFEST))
    rows, digest = manifest.get("rows"), manifest.get("sha256")
    wrong = ""
    if not manifest or (rows is None and digest is None):
        wrong = "its manifest is no JSON object with `rows` or `sha256`"
    elif rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 0):
        wrong = "the rows of its manifest are no number"
    elif digest is not None and (not isinstance(digest, str) or digest.strip().lower() != item.sha256):
        wrong = "its content is not what the sha256 of its manifest says"
    if wrong:
        return replace(item, status="refused", reason=wrong)
    return replace(item, manifest_rows=rows if isinstance(rows, int) else None, is_hash_verified=digest is not None)


def _manifest(path: Path) -> dict[str, object]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            found = json.loads(stream.read(_LONGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def archived_path(name: str, sha256: str, archive: Path) -> Path:
    """Where a file goes: `<archive>/<folders>/<sha256>-<name>`; of a name too long for that, the start, `~` and the extensions."""
    room = _LONGEST_NAME - len(_part_of(f"{sha256}-"))
    return archive / Path(name).parent / f"{sha256}-{_fitting(Path(name).name, room)}"


def _fitting(name: str, room: int) -> str:
    """The name, cut to so many bytes; the bronze table and the audit keep all of it."""
    if len(os.fsencode(name)) <= room:
        return name
    end = next((end for end in ("".join(Path(name).suffixes[-2:]), Path(name).suffix) if len(os.fsencode(end)) <= _LONGEST_END), "")
    return f"{os.fsencode(name)[: room - 1 - len(os.fsencode(end))].decode('utf-8', 'ignore')}~{end}"


def _part_of(name: str) -> str:
    return f".{name}.part"


def archive_file(item: FileItem, archive: Path) -> bool:
    """Move a file and drop its marker and manifest; False when another delivery has taken its place meanwhile, which stays.

    Raises OSError when it fails; the file then stays, and the next run knows its content and tries again.
    """
    if not item.is_unchanged:
        return False
    target = archived_path(item.name, item.sha256, archive)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(_part_of(target.name))
    if not _moved(item, part):
        return False
    part.replace(target)
    for beside in (item.path.name + DONE, item.path.name + MANIFEST):
        if len(os.fsencode(beside)) <= _LONGEST_NAME:
            item.path.with_name(beside).unlink(missing_ok=True)
    return True


def _moved(item: FileItem, part: Path) -> bool:
    """Move the file, and back again when it turns out to be another than was loaded."""
    try:
        item.path.replace(part)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: copied beside, so that the archive never shows half a file.
        try:
            shutil.copy2(item.path, part)
            if item.is_unchanged:
                item.path.unlink()
                return True
        except OSError:
            # No copy is left of a file that stays: whoever takes it away would not know of one.
            part.unlink(missing_ok=True)
            raise
        part.unlink()
        return False
    found = Look.at(part)
    if item.look is not None and (found.inode, found.size, found.modified_ns) == (item.look.inode, item.look.size, item.look.modified_ns):
        return True
    part.replace(item.path)
    return False


def utc_text(nanoseconds: int) -> str:
    """A file's time as UTC text to the second."""
    return f"{datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc):%Y-%m-%d %H:%M:%S}Z"
