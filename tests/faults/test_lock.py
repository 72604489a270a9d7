"""One writer a root: the second run is refused at once and told who holds it; a dead holder's lock is free."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import Small
from rcm_lakehouse.config.errors import LockHeldError
from rcm_lakehouse.lake.lock import HOLDER_FILE, lakehouse_lock
from rcm_lakehouse.pipeline import door, maintenance_door

_HOLD = """
import sys, time
from rcm_lakehouse.lake.lock import lakehouse_lock
with lakehouse_lock(sys.argv[1], "20260101T000000Z-abcdef", "run_pipeline"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock of `lakehouse`."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path / "lakehouse")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_F07_X06_a_second_run_of_one_root_is_refused_at_once_with_the_holder_named(
    spark: SparkSession, tmp_path: Path, holder: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str]
) -> None:
    small = Small(spark, tmp_path)
    small.first_day()
    assert door.main(["--home", str(tmp_path)]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert f"run_pipeline 20260101T000000Z-abcdef (process {holder.pid} on " in told
    assert "Nothing was read or written. Wait for it to end, or end it." in told
    assert maintenance_door.main(["--home", str(tmp_path)]) == 3
    assert sorted(path.name for path in (tmp_path / "lakehouse").iterdir()) == [".lock", HOLDER_FILE]


def test_F09_a_lock_whose_holder_was_killed_is_free_whatever_its_file_says(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    root = tmp_path / "lakehouse"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    # The file is still there, and its number may be that of a process which lives now.
    told = json.loads((root / HOLDER_FILE).read_text())
    (root / HOLDER_FILE).write_text(json.dumps({**told, "pid": os.getpid()}))
    with lakehouse_lock(str(root), "20260102T000000Z-abcdef", "run_pipeline"):
        assert json.loads((root / HOLDER_FILE).read_text())["run_id"] == "20260102T000000Z-abcdef"
    assert not (root / HOLDER_FILE).exists()


def test_F07_two_roots_are_two_locks_and_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lakehouse_lock(str(tmp_path / "a"), "r1", "x"), lakehouse_lock(str(tmp_path / "b"), "r2", "x"):
        raise ZeroDivisionError
    root = str(tmp_path / "a")
    with lakehouse_lock(root, "r3", "x"), pytest.raises(LockHeldError, match="is in use by x r3"), lakehouse_lock(root, "r4", "x"):
        pass


def test_F07_a_root_on_a_remote_scheme_is_not_locked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with lakehouse_lock("s3://bucket/lakehouse", "r1", "x"), lakehouse_lock("s3://bucket/lakehouse", "r2", "x"):
        assert list(tmp_path.iterdir()) == []
