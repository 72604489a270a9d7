"""Configuration files as text: regular files, UTF-8 with or without a byte order mark, of a size that people write."""

from pathlib import Path

from rcm_lakehouse.config.problems import Problem

MAX_BYTES = 1_000_000
# Other endings that people and editors give to a file of one.
_ALIKE = {".yml": (".yml", ".yaml", ".yml.txt", ".yaml.txt"), ".sql": (".sql", ".sql.txt")}


def files_of(home: Path, folder: str, ending: str, problems: list[Problem], name: str = "*") -> tuple[list[Path], frozenset[str]]:
    """The files of a folder with an ending (`.yml`), sorted, and the names, without it, of those that are misnamed; each of these is noted.

    `name`: the one file that is asked for, without its ending.
    """
    misnamed: set[str] = set()
    for path in sorted((home / folder).glob(f"{name}.*")):
        alike = [other for other in _ALIKE[ending] if path.name.lower().endswith(other)]
        if alike and not path.name.endswith(ending) and not path.name.startswith("."):
            stem = path.name[: -len(max(alike, key=len))]
            misnamed.add(stem)
            problems.append(Problem(f"{folder}/{path.name}", 0, f"this file is not read, for its name does not end in {ending}. Name it {stem}{ending}."))
    # Names with a dot in front are an editor's or a system's.
    return sorted(path for path in (home / folder).glob(f"{name}{ending}") if not path.name.startswith(".")), frozenset(misnamed)


def read_text(path: Path, file: str, problems: list[Problem]) -> str | None:
    """The text of a file; None after noting why it cannot be read. Nothing of the content is quoted."""
    try:
        if path.exists() and not path.is_file():
            problems.append(Problem(file, 0, "the file cannot be read: it is no regular file."))
            return None
        if path.stat().st_size > MAX_BYTES:
            problems.append(Problem(file, 0, f"the file is larger than {MAX_BYTES:,} bytes; a configuration file is not."))
            return None
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problems.append(Problem(file, 0, "the file cannot be read: it is not UTF-8."))
    except OSError as error:
        problems.append(Problem(file, 0, f"the file cannot be read: {error.strerror}."))
    return None
