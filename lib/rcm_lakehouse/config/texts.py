"""Configuration files as text: regular files, UTF-8 with or without a byte order mark, of a size that people write."""

from pathlib import Path

from rcm_lakehouse.config.problems import Problem

MAX_BYTES = 1_000_000


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
