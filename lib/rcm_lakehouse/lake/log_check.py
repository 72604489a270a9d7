"""A table's Delta log on a local disk, looked at before it is opened: whole, torn, or never begun.

After a power loss the last files may be empty or cut. An empty commit file would be read as a commit that changed nothing, so
the rows it held would be missing without a word: it is refused here.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from rcm_lakehouse.config.errors import TableStateError

_COMMIT = re.compile(r"^(\d{20})\.json$")
_CHECKPOINT = re.compile(r"^(\d{20})\.checkpoint.*\.parquet$")
_PARQUET_END = b"PAR1"
_FILES = "Files must be files, and readable to who runs this."


def has_begun(folder: Path, label: str) -> bool:
    """True when the folder holds a table; False when nothing was ever committed there.

    A process killed while it made the table leaves an empty log; the table is then made again.

    Raises TableStateError when the log is torn, has a gap, cannot be read, or holds no commit although there are data files; nothing was changed.
    """
    try:
        return _has_begun(folder, label)
    except OSError as error:
        raise _refused(label, _unreadable(folder, error), _FILES) from error


def _has_begun(folder: Path, label: str) -> bool:
    log = folder / "_delta_log"
    if not log.is_dir():
        return False
    commits, checkpoints = _versions(log)
    if not commits and not checkpoints:
        if any(folder.rglob("*.parquet")):
            raise _refused(label, "its log holds no commit, but there are data files", "Put `_delta_log` back from a backup, or move the folder away.")
        return False
    _check_commits(log, commits, checkpoints, label)
    _check_checkpoint(log, checkpoints, label)
    return True


def forget_unbegun(folder: Path, label: str) -> None:
    """Take away the log of a table that was never committed: Delta makes no table in a folder that holds anything.

    Only what a process leaves that dies while it makes a table is taken: empty folders and Delta's own unfinished files.

    Raises TableStateError when the folder or its log holds anything else, is a file, cannot be read, or is torn; nothing was changed.
    """
    if has_begun(folder, label):
        return
    try:
        _check_unbegun(folder, label)
    except OSError as error:
        raise _refused(label, _unreadable(folder, error), _FILES) from error
    if (folder / "_delta_log").is_dir():
        shutil.rmtree(folder / "_delta_log")


def _check_unbegun(folder: Path, label: str) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise _refused(label, "a file stands where its folder belongs", "Move the file away; if it took the place of the table, put that back from a backup.")
    log = folder / "_delta_log"
    if log.exists() and not log.is_dir():
        raise _refused(label, "its `_delta_log` is a file", "Put the folder of that name back from a backup, or move the table's folder away.")
    others = sorted(path.name for path in folder.iterdir() if path != log)
    if others:
        raise _refused(label, f"its folder holds {others[0]} but no Delta log", "Put `_delta_log` back from a backup, or move the folder away.")
    strange = sorted(path.name for path in log.rglob("*") if path.is_file() and not path.name.startswith("."))
    if strange:
        raise _refused(label, f"its log holds {strange[0]} but no commit", "Put `_delta_log` back from a backup, or move the folder away.")


def newest_version(folder: Path) -> int | None:
    """The highest version in a table's log; None when there is none."""
    log = folder / "_delta_log"
    commits, checkpoints = _versions(log) if log.is_dir() else ([], [])
    return max([*commits, *checkpoints], default=None)


def version_with(folder: Path, after: int, metadata: str) -> int:
    """The version after `after` whose commit carries this `userMetadata`; -1 when there is none."""
    return next((version for version, told in told_from(folder, after + 1) if told.get("userMetadata") == metadata), -1)


def told_from(folder: Path, first: int) -> Iterator[tuple[int, dict[str, object]]]:
    """(version, commitInfo) of the commits from `first` on that the log still has, in order."""
    log = folder / "_delta_log"
    for version in _versions(log)[0]:
        if version >= first:
            lines = (log / f"{version:020d}.json").read_text(encoding="utf-8").splitlines()
            yield from ((version, json.loads(line)["commitInfo"]) for line in lines if line.startswith('{"commitInfo"'))


def _versions(log: Path) -> tuple[list[int], list[int]]:
    names = [path.name for path in log.iterdir()]
    commits = sorted(int(found[1]) for name in names if (found := _COMMIT.match(name)))
    checkpoints = sorted({int(found[1]) for name in names if (found := _CHECKPOINT.match(name))})
    return commits, checkpoints


def _check_commits(log: Path, commits: list[int], checkpoints: list[int], label: str) -> None:
    first = checkpoints[-1] + 1 if checkpoints else 0
    expected = range(first, (commits[-1] if commits else first - 1) + 1)
    missing = sorted(set(expected) - set(commits))
    if missing:
        raise _refused(label, f"version {missing[0]} is missing from its log", f"Put {missing[0]:020d}.json back from a backup.")
    if not commits:
        return
    newest = log / f"{commits[-1]:020d}.json"
    lines = newest.read_bytes().splitlines()
    if not lines or not _is_json(lines[-1]) or not _is_json(lines[0]):
        raise _refused(
            label,
            f"its newest commit {newest.name} is torn, as after a power loss or a full disk",
            f"Move {newest.name} and .{newest.name}.crc out of _delta_log: the table is then as before that commit; the next run loads its rows again.",
        )


def _check_checkpoint(log: Path, checkpoints: list[int], label: str) -> None:
    hint = log / "_last_checkpoint"
    if hint.exists() and not _is_json(hint.read_bytes()):
        raise _refused(label, "_delta_log/_last_checkpoint is torn", "Delete it and ._last_checkpoint.crc: Delta finds the checkpoint by itself.")
    if checkpoints:
        for path in log.glob(f"{checkpoints[-1]:020d}.checkpoint*.parquet"):
            with path.open("rb") as stream:
                stream.seek(max(path.stat().st_size - len(_PARQUET_END), 0))
                whole = stream.read() == _PARQUET_END
            if not whole:
                raise _refused(label, f"its checkpoint {path.name} is torn", f"Move {path.name} out of _delta_log: the commits before it say the same.")


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unreadable(folder: Path, error: OSError) -> str:
    """What could not be read and why, without the place of the lakehouse."""
    path = Path(str(error.filename or folder))
    name = path.relative_to(folder).as_posix() if path != folder and path.is_relative_to(folder) else "its folder"
    return f"{name} cannot be read ({error.strerror or type(error).__name__})"


def _refused(label: str, found: str, repair: str) -> TableStateError:
    return TableStateError(f"{label}: {found}. Nothing was read from it or written to it. {repair}")
