"""One writer per lakehouse root: a lock the kernel frees when its holder dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from rcm_lakehouse.config.errors import LockHeldError

LOCK_FILE = ".lock"
HOLDER_FILE = ".lock.holder"


@contextmanager
def lakehouse_lock(root: str, run_id: str, purpose: str) -> Iterator[None]:
    """Hold the root's lock while the block runs; never waits.

    The lock guards one host. A root that is no local path (a cluster's volume or object store) is not locked here: there the
    platform's job scheduler must allow one run at a time.

    Raises LockHeldError naming the holder's run, process and host.
    """
    if "://" in root:
        yield
        return
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockHeldError(f"{root} is in use by {_holder(folder)}. Nothing was read or written. Wait for it to end, or end it.") from error
    try:
        _write_holder(folder, run_id, purpose)
        yield
    finally:
        (folder / HOLDER_FILE).unlink(missing_ok=True)
        lock.release()


def _write_holder(folder: Path, run_id: str, purpose: str) -> None:
    holder = {
        "run_id": run_id,
        "purpose": purpose,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    (folder / HOLDER_FILE).write_text(json.dumps(holder), encoding="utf-8")


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_FILE).read_text(encoding="utf-8"))
        return f"{holder['purpose']} {holder['run_id']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
