"""Landing folders: which files are new, which are corrections, duplicates, still arriving or to be refused; and the archive.

A file is known by the hash of its content. Same name and hash: skipped. Same name, new hash: a correction. New name, known
hash: a duplicate. A file leaves the landing folder only after its rows are committed.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError, SourceUnavailableError

Status = Literal["new", "correction", "duplicate", "skipped", "waiting", "refused"]
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileItem:
    """One file of a landing folder and what is to become of it; `sha256` is empty while it is waiting."""

    path: Path
    status: Status
    sha256: str = ""
    reason: str = ""
    manifest_rows: int | None = None

    @property
    def name(self) -> str:
        """The file's name without folder."""
        return self.path.name


@dataclass(frozen=True)
class Ledger:
    """Files that were committed before: name by hash, and all names."""

    name_by_hash: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Names under which some content was committed."""
        return frozenset(self.name_by_hash.values())


def candidates(landing: Path, pattern: str) -> list[Path]:
    """Files below the landing folder that fit the pattern, in name order; links out of the folder are left alone.

    Raises SourceUnavailableError when the folder does not exist.
    """
    if not landing.is_dir():
        raise SourceUnavailableError(f"landing folder {landing.name}: it does not exist. Nothing was read. Make it, or mend `path` in conf/connections.yml.")
    inside = landing.resolve()
    found = []
    for path in sorted(landing.glob(pattern)):
        real = path.resolve()
        if real.is_file() and real.is_relative_to(inside) and "_archive" not in path.relative_to(landing).parts:
            found.append(path)
    return [path for path in found if not path.name.endswith((".done", ".part", ".tmp", ".manifest.json")) and path.name != "_SUCCESS"]


def plan_files(landing: Path, options: FileTableOptions, ledger: Ledger, archive: Path) -> list[FileItem]:
    """What becomes of each file that fits; the content is hashed, not parsed."""
    archived = archived_hashes(archive)
    items: list[FileItem] = []
    seen = dict(ledger.name_by_hash)
    for path in candidates(landing, options.pattern):
        item = _judge(path, options, seen, archived)
        if item.status in ("new", "correction"):
            seen[item.sha256] = item.name
        items.append(item)
    return items


def _judge(path: Path, options: FileTableOptions, known: Mapping[str, str], archived: Mapping[str, str]) -> FileItem:
    waiting = _still_arriving(path, options)
    if waiting:
        return FileItem(path, "waiting", reason=waiting)
    digest = sha256_of(path)
    rows: int | None = None
    if options.arrival == "manifest":
        manifest = _manifest(path)
        if manifest.get("sha256") not in (None, digest):
            return FileItem(path, "refused", digest, "its content is not what the manifest's sha256 says")
        counted = manifest.get("rows")
        if counted is not None and not isinstance(counted, int):
            return FileItem(path, "refused", digest, "its manifest's rows is no number")
        rows = counted
    names = {**archived, **known}
    if digest in names:
        same = names[digest] == path.name
        reason = "this content was loaded before" if same else f"its content was loaded before as {names[digest]}"
        return FileItem(path, "skipped" if same else "duplicate", digest, reason)
    is_correction = path.name in frozenset(names.values())
    return FileItem(path, "correction" if is_correction else "new", digest, manifest_rows=rows)


def _still_arriving(path: Path, options: FileTableOptions) -> str:
    if options.arrival == "marker" and not (path.with_name(path.name + ".done").exists() or (path.parent / "_SUCCESS").exists()):
        return f"waiting for {path.name}.done or _SUCCESS"
    if options.arrival == "manifest" and not path.with_name(path.name + ".manifest.json").exists():
        return f"waiting for {path.name}.manifest.json"
    if options.stable_seconds:
        age = time.time() - path.stat().st_mtime
        if age < options.stable_seconds:
            return f"it changed {age:.0f} s ago; it must rest for {options.stable_seconds:g} s"
    return ""


def _manifest(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.with_name(path.name + ".manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SourceDataError(f"{path.name}.manifest.json: it is no JSON object with `rows` and `sha256`. The file was not loaded.") from None
    return found if isinstance(found, dict) else {}


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def archived_hashes(archive: Path) -> dict[str, str]:
    """Names by hash of files in the archive, so that a file without a single good row is known as well."""
    found = {}
    for path in sorted(archive.glob("*-*")) if archive.is_dir() else ():
        digest, _, name = path.name.partition("-")
        if len(digest) == 64:
            found[digest] = name
    return found


def archive_file(item: FileItem, archive: Path) -> None:
    """Move a file to `<archive>/<sha256>-<name>`; one that is there already is only removed from the landing folder."""
    archive.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = archive / f"{item.sha256}-{item.name}"
    if target.exists():
        item.path.unlink()
    else:
        item.path.replace(target)
    for suffix in (".done", ".manifest.json"):
        item.path.with_name(item.path.name + suffix).unlink(missing_ok=True)
