"""Other loads from files: whose pattern a file fits too, who loaded the same content, and files that nobody takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcm_lakehouse.config.connections import FilesConnection, FileTableOptions
from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.config.matching import table_options
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.sources.files import FileItem, sha256_of
from rcm_lakehouse.sources.files_landing import ARCHIVE, landed, taken, unclaimed

# What is said of a file that has nothing to load.
EMPTY = "it has no record; it counts as delivered and goes to the archive (zero_rows: allow)"
_MOST_NAMES = 5


@dataclass(frozen=True)
class Place:
    """Where a load finds its files and where they go."""

    row: LoadRow
    landing: Path
    pattern: str
    archive: Path


def place_of(project: Project, row: LoadRow, connection: FilesConnection, options: FileTableOptions) -> Place:
    """The folders of a load, links resolved."""
    landing = (project.home / connection.path).resolve()
    base = (project.home / connection.archive).resolve() if connection.archive else landing / ARCHIVE
    return Place(row, landing, options.pattern, base / row.label)


def active_places(project: Project) -> list[Place]:
    """The places of all active loads from files, in the order of the work list."""
    found = []
    for row in project.active_loads:
        connection = project.connections[row.database]
        if isinstance(connection, FilesConnection):
            options = table_options(connection.tables, row)
            found += [place_of(project, row, connection, options)] if options else []
    return found


def rivals(path: Path, own: Place, places: Iterable[Place]) -> list[str]:
    """Other active loads whose pattern takes this very file, too."""
    return [place.row.label for place in places if place.row.label != own.row.label and taken(path, place.landing, place.pattern)]


def loaded_elsewhere(items: Sequence[FileItem], own: Place, places: Iterable[Place]) -> dict[str, list[str]]:
    """By hash, loads of the same table of other hospitals that have the same content, in their landing folder or archive."""
    found: dict[str, list[str]] = {}
    for place in places:
        if place.row.source_table != own.row.source_table or place.row.datasource == own.row.datasource:
            continue
        # The landing folder first: a file that is moved meanwhile is then seen in the archive.
        hashes = _landing_hashes(place, {item.look.size for item in items if item.look}) | _archived_hashes(place.archive)
        for item in items:
            if item.sha256 in hashes:
                found.setdefault(item.sha256, []).append(place.row.label)
    return found


def _landing_hashes(place: Place, sizes: set[int]) -> set[str]:
    hashes = set()
    try:
        files = landed(place.landing, place.pattern).files
    except RcmError:
        return set()
    for path in files:
        try:
            if path.stat().st_size in sizes:
                hashes.add(sha256_of(path))
        except OSError:
            continue
    return hashes


def _archived_hashes(archive: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in archive.rglob("*-*")} if archive.is_dir() else set()


def told_malformed(malformed: Mapping[str, int]) -> str:
    """What to say of a file's malformed lines, by reason; empty when there are none."""
    counted = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(malformed.items()))
    return counted and f"{sum(malformed.values())} malformed lines go to quarantine ({counted})"


def strangers(project: Project, landing: Path) -> list[str]:
    """What to say of files in a landing folder that no pattern of conf/connections.yml takes: files of an unknown hospital, or misnamed ones."""
    takers = [
        ((project.home / connection.path).resolve(), options.pattern)
        for connection in project.connections.values()
        if isinstance(connection, FilesConnection)
        for options in connection.tables.values()
    ]
    names = unclaimed(landing, takers)
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
    taken_by_none = "no load takes this file; it stays" if len(names) == 1 else "no load takes these files; they stay"
    return [f"{shown}: {taken_by_none} in the landing folder, unread"] if names else []
