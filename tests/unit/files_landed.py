"""Files of a landing folder, for the tests of files without Spark."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rcm_lakehouse.sources.files import FileItem


def later() -> datetime:
    """An hour from now, whenever the suite comes to the test: nothing that was just written still has to rest."""
    return datetime.now(timezone.utc) + timedelta(hours=1)


def put(folder: Path, name: str, content: str = "a\n1\n") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def grows(path: Path) -> None:
    times = path.stat()
    path.write_text(path.read_text() + "2\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def touched(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def delivered(name: str, digest: str) -> FileItem:
    return FileItem(Path(name), name, "arrived", None, digest)
