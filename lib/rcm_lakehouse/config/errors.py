"""The error taxonomy: one class for each next step a reader can take.

Every message says where, what was found, what was expected, what state is left and what to do. No message
carries a value of a patient, a secret or a row.
"""

import errno
import re
import traceback
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote


class RcmError(Exception):
    """Root of all errors this project raises on purpose."""

    kind: ClassVar[str] = "data"
    can_retry: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    # True once every try that can help was made: nobody tries again.
    gave_up: bool = False


class ConfigError(RcmError):
    """The configuration is wrong; nothing was read or written. Mend the named files."""

    kind = "config"
    exit_code = 2


class LockHeldError(RcmError):
    """Another run holds the lakehouse; nothing was read or written. Wait for it or end it."""

    kind = "conflict"
    exit_code = 3


class DataStopError(RcmError):
    """A data promise would be broken (threshold, conservation, tie-out, shrunken snapshot); the step was not committed."""

    kind = "data"
    exit_code = 4


class SourceDataError(RcmError):
    """What a source delivered cannot be taken (truncated file, unknown table or column); nothing of it was committed."""

    kind = "data"


class SourceUnavailableError(RcmError):
    """A source did not answer; its watermark is unchanged. A retry can help."""

    kind = "transient"
    can_retry = True


class SourceAuthError(RcmError):
    """A source refused the credentials; a retry cannot help. Mend the secret or the grants."""

    kind = "auth"


class CommitConflictError(RcmError):
    """Another writer committed first; the whole load must be computed again."""

    kind = "conflict"
    can_retry = True


class StorageFullError(RcmError):
    """A disk or a quota is full; nothing of the step was committed. Free space and run again."""

    kind = "storage"


class JavaEndedError(RcmError):
    """Spark's Java process was killed or ran out of memory; what was committed stays. Give it more memory, or less to do at once, and run again."""

    kind = "machine"
    # By another run: this one has no Java any more.
    can_retry = True
    gave_up = True

    def __init__(self) -> None:
        super().__init__(
            "Spark's Java process ended: it was killed, or ran out of memory (java.lang.OutOfMemoryError above). What was committed stays, and the "
            "next run knows it. Give it more memory (spark-submit --driver-memory 6g; 3g by default), a smaller fetch_size or fewer --threads, and run again."
        )


class TableStateError(RcmError):
    """A table is not what the state says or the step needs (dropped, replaced, newer format, of another day); nothing was written."""

    kind = "data"


_FULL = re.compile(r"no space left on device|file too large|disk quota exceeded|not enough space on the disk", re.IGNORECASE)


def is_storage_full(error: BaseException) -> bool:
    """True when an error, of Python or of the JVM, says that a disk, a quota or a limit on file sizes was reached."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return True
    return _FULL.search(str(error)) is not None


# What Spark and Hadoop say of a file that is gone, cut, or not as its checksum says, and the file's own name: no value of a row is among it.
_UNREADABLE = re.compile(r"FAILED_READ_FILE|is not a Parquet file|ChecksumException|FileNotFoundException|DELTA_FILE_NOT_FOUND")
_DATA_FILE = re.compile(r"(/[^\s\"'\[\]]+/)\.?(part-[\w.-]+\.parquet)")


def damaged_file(error: BaseException, root: str) -> tuple[str, str] | None:
    """(table's folder below `root`, file name) of the data file that an error of the JVM says cannot be read; None when it says no such thing."""
    text = str(error)
    named = _DATA_FILE.search(text) if _UNREADABLE.search(text) else None
    if named is None:
        return None
    base = Path(root).as_posix().rstrip("/") + "/"
    folder = unquote(named[1]).partition(base)[2].rstrip("/")
    return (folder, named[2]) if folder and not folder.startswith("_") else None


def raised_at(error: BaseException) -> str:
    """Where in this package an error arose, as ` at api_who.py:132`; empty when nothing of the package is in its trace. Never its text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "rcm_lakehouse" in frame.filename]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
