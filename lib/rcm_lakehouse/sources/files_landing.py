"""What lies in a landing folder: files that fit a pattern, links that are left alone, files that nobody takes."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rcm_lakehouse.config.errors import SourceAuthError, SourceUnavailableError
from rcm_lakehouse.config.problems import escaped

ARCHIVE = "_archive"
MARKER = "_SUCCESS"
DONE = ".done"
MANIFEST = ".manifest.json"
# What programs name a file while they write it.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload")
_NUMBER = re.compile(r"([0-9]+)")
_YEAR, _MONTH, _DAY, _GAP = "(?:19|20)[0-9]{2}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])", "[^a-z0-9]"
_ENDS = f"(?=(?:{_YEAR}|[0-9]{{2}})(?![0-9]))"
# What stands behind a whole date in its own part of the name, or the time of day that the next part begins with.
_TIME = "[^a-su-z/]*(?:/[0-2][0-9][0-5][0-9](?:[0-5][0-9])?(?![0-9]))?"
# Dates in names. `first` begins with its year, and what follows a whole one is its time; of any other date this is what stands before the year.
_DATE = re.compile(
    rf"""(?<![0-9])(?:
    (?P<first>{_YEAR}(?:(?:0[1-9]|1[0-2])[0-3][0-9]{_TIME}|(?P<gap>{_GAP}){_MONTH}(?P=gap){_DAY}(?![0-9]){_TIME}|{_GAP}?q?{_MONTH}(?=/)))
    |(?:{_MONTH}{_DAY}|{_DAY}{_MONTH}|{_MONTH})(?={_YEAR}(?:[0-9]{{4}}|[0-9]{{6}})?(?![0-9]))   # 12312026, 122026, 12312026235959
    |(?=[0-9]{{6}}(?![0-9]))(?:{_MONTH}{_DAY}|{_DAY}{_MONTH})(?=[0-9]{{2}}(?![0-9]))            # 123126
    |{_DAY}{_GAP}{_DAY}{_GAP}{_ENDS}                                                            # 12-31-2026, 31.12.26
    |{_DAY}{_GAP}?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*{_GAP}?{_ENDS}       # 31Dec2026, 31-December-26
    |(?:[1-4]q{_GAP}?|(?<=q)[1-4]{_GAP}){_ENDS}                                                 # 4Q2026, Q4_26
    |[0-9]{{1,2}}{_GAP}(?={_YEAR}(?![0-9]))(?!{_YEAR}(?P<next>{_GAP}){_MONTH}(?P=next){_DAY})   # 12_2026, 12/2026; not 12_2026-12-31
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_AS_LETTERS = str.maketrans("0123456789", "abcdefghij")


@dataclass(frozen=True)
class Landed:
    """Files in the order they are taken in, and the names of links that fit as well: a link is never followed."""

    files: tuple[Path, ...] = ()
    links: tuple[str, ...] = ()


def fits(name: str, pattern: str) -> bool:
    """True when a name relative to the landing folder (with /) fits a glob; `*` stays within a folder, `**` is any folders."""
    return _fits(name.split("/"), pattern.split("/"))


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _leads(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """True when files below this folder can fit."""
    if not parts or not pattern or pattern[0] == "**":
        return bool(pattern)
    return len(pattern) > 1 and fnmatchcase(parts[0], pattern[0]) and _leads(parts[1:], pattern[1:])


def landed(landing: Path, pattern: str) -> Landed:
    """Files below the landing folder that fit; the archive, hidden and unfinished files, markers and manifests are none.

    Raises SourceUnavailableError when the folder is not there, SourceAuthError when it may not be read; nothing was read.
    """
    if not landing.is_dir():
        found = "it is no folder" if landing.exists() else "it does not exist"
        raise SourceUnavailableError(f"landing folder {landing.name}: {found}. Nothing was read. Make it, or mend `path` in conf/connections.yml.")
    files: list[Path] = []
    links: list[str] = []
    try:
        for entry in _entries(landing, landing, pattern.split("/")):
            name = Path(entry.path).relative_to(landing).as_posix()
            if entry.is_symlink():
                links += [name] if fits(name, pattern) or _leads(name.split("/"), pattern.split("/")) else []
            elif entry.is_file(follow_symlinks=False) and fits(name, pattern):
                files.append(Path(entry.path))
    except PermissionError as error:
        folder = escaped(Path(str(error.filename)).name if error.filename else landing.name)
        raise SourceAuthError(
            f"landing folder {landing.name}: {folder} may not be read by this account. Nothing was read; no file was touched. Grant it reading, "
            "writing and searching of the folder."
        ) from None
    return Landed(tuple(sorted(files, key=in_order)), tuple(sorted(links)))


def in_order(path: Path) -> tuple[list[list[str | int]], str]:
    """Sort key of the order in which files are taken: by folder and name, numbers by value, a name before one that goes on behind it.

    So `claims.csv`, `claims_9.csv`, `claims_10.csv`; case does not count. The name is part of the delivery and the same in every run;
    times of files change when they are copied or put back, and would then give other tables.
    """
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return [_by_value(part) for part in (*path.parent.parts, plain.stem, path.name)], str(path)


def is_numbered_before(name: str, other: str) -> bool:
    """True when the first thing in which two names differ is a number, and it is the lower one: `codes_2.csv` before `codes_3-late.csv`.

    False for names that differ in words, or in the day, month or quarter of a date that ends with its year: their order is not that of time. So it is
    for six digits that can be such a date (013127): they tell the order of names that differ in the last two alone.
    """
    mine_told, others_told = (in_order(Path(_DATE.sub(_as_told, each)))[0] for each in (name, other))
    folders = zip(mine_told, others_told, strict=False)
    differing = next(((mine, others) for mine, others in folders if mine != others), ([], []))
    first = next(((mine, others) for mine, others in zip(*differing, strict=False) if mine != others), ("", ""))
    return isinstance(first[0], int) and isinstance(first[1], int) and first[0] < first[1]


def _as_told(date: re.Match[str]) -> str:
    return date[0] if date["first"] else date[0].translate(_AS_LETTERS)


def _by_value(name: str) -> list[str | int]:
    return [int(part) if at % 2 else part.lower() for at, part in enumerate(_NUMBER.split(name))]


def unclaimed(landing: Path, takers: Collection[tuple[Path, str]]) -> list[str]:
    """Names of files in a landing folder that fit no (folder, pattern) pair; folders that may not be read are passed over."""
    found = []
    for entry in _entries(landing, landing, ["**"], skip_closed=True):
        path = Path(entry.path)
        if entry.is_file(follow_symlinks=False) and not any(taken(path, *taker) for taker in takers):
            found.append(path.relative_to(landing).as_posix())
    return sorted(found)


def taken(path: Path, landing: Path, pattern: str) -> bool:
    """True when a file lies below the folder and fits the pattern."""
    return path.is_relative_to(landing) and fits(path.relative_to(landing).as_posix(), pattern)


def _entries(folder: Path, landing: Path, pattern: Sequence[str], *, skip_closed: bool = False) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as scan:
            entries = list(scan)
    except FileNotFoundError:
        return
    except PermissionError:
        if skip_closed:
            return
        raise
    for entry in entries:
        if entry.name.startswith(".") or entry.name in (ARCHIVE, MARKER):
            continue
        if entry.is_dir(follow_symlinks=False):
            below = Path(entry.path)
            if _leads(below.relative_to(landing).parts, pattern):
                yield from _entries(below, landing, pattern, skip_closed=skip_closed)
        elif not entry.name.lower().endswith((*_UNFINISHED, DONE, MANIFEST)):
            yield entry
