"""Landing folder, arrival and manifest of files. No Spark."""

import errno
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from files_landed import grows, later, put, touched

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceAuthError, SourceUnavailableError
from rcm_lakehouse.config.problems import escaped
from rcm_lakehouse.sources import files, files_landing
from rcm_lakehouse.sources.files import FileItem, arrived, look_twice, sha256_of
from rcm_lakehouse.sources.files_landing import fits, landed, unclaimed


def look(path: Path, now: datetime | None = None, **options: Any) -> FileItem:
    chosen = FileTableOptions(pattern="*", **options)
    return arrived(path, path.name, look_twice([path], chosen)[path], chosen, now or later())


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sleep", lambda seconds: None)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("claims.csv", "*.csv", True),
        ("claims/a.csv", "*.csv", False),
        ("claims/a.csv", "claims/*.csv", True),
        ("claims/2026/a.csv", "claims/*.csv", False),
        ("claims/2026/01/a.csv", "claims/**/*.csv", True),
        ("claims/a.csv", "claims/**/*.csv", True),
        ("hospital1_2026.csv", "hospital[12]_????.csv", True),
        ("hospital3_2026.csv", "hospital[12]_????.csv", False),
        ("CLAIMS.CSV", "*.csv", False),
    ],
)
def test_a_star_stays_within_a_folder_and_two_stars_do_not(name: str, pattern: str, expected: bool) -> None:
    assert fits(name, pattern) is expected


def test_F24_hidden_unfinished_and_companion_files_are_no_files_and_links_are_named(tmp_path: Path) -> None:
    landing, outside = tmp_path / "landing", put(tmp_path / "outside", "secret.csv")
    unfinished = (".c.csv", "d.csv.part", "e.csv.TMP", "f.csv.filepart", ".x/y.csv")
    for name in ("b.csv", "a.csv", "a.csv.done", "a.csv.manifest.json", "_SUCCESS", "_archive/old.csv", *unfinished):
        put(landing, name)
    (landing / "link.csv").symlink_to(outside)
    (landing / "folder").symlink_to(outside.parent)
    (landing / "dir.csv").mkdir()
    os.mkfifo(landing / "pipe.csv")
    found = landed(landing, "**/*")
    assert [path.name for path in found.files] == ["a.csv", "b.csv"]
    assert found.links == ("folder", "link.csv")
    assert landed(landing, "*.csv").links == ("link.csv",)
    assert outside.exists()


def test_files_are_taken_with_numbers_by_value_and_a_name_before_one_that_goes_on_behind_it(tmp_path: Path) -> None:
    ordered = [
        "2026/claims_2.csv",
        "2026/claims_10.csv",
        "claims.csv",
        "claims (2).csv",
        "claims-corrected.csv",
        "claims_9.csv",
        "Claims_10.csv",
        "claims_010.csv.gz",
        "claims_10b.csv",
        "claims_20260131.csv",
    ]
    for name in sorted(ordered):
        put(tmp_path, name)
    assert [path.relative_to(tmp_path).as_posix() for path in landed(tmp_path, "**/*").files] == ordered


def test_F24_a_missing_or_closed_folder_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailableError, match="landing folder nowhere: it does not exist"):
        landed(tmp_path / "nowhere", "*.csv")
    with pytest.raises(SourceUnavailableError, match=r"landing folder file.csv: it is no folder"):
        landed(put(tmp_path, "file.csv"), "*.csv")
    put(tmp_path, "landing/claims/a.csv")
    real = os.scandir

    def closed(folder: Any) -> Any:
        if Path(folder).name == "claims":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(files_landing.os, "scandir", closed)
    with pytest.raises(SourceAuthError, match="landing folder landing: claims may not be read by this account"):
        landed(tmp_path / "landing", "claims/*.csv")
    assert landed(tmp_path / "landing", "codes/*.csv").files == (), "a closed folder that cannot hold a file of the load is none of its business"
    assert unclaimed(tmp_path / "landing", []) == []


def test_Q29_files_that_no_pattern_takes_are_found(tmp_path: Path) -> None:
    for name in ("claims/hospital1.csv", "claims/hospital3.csv", "notes.txt", "claims/.hidden", "claims/x.part", "_archive/old.csv"):
        put(tmp_path, name)
    assert unclaimed(tmp_path, [(tmp_path, "claims/hospital[12].csv"), (tmp_path / "elsewhere", "*.txt")]) == ["claims/hospital3.csv", "notes.txt"]


def test_a_name_is_shown_in_one_line_of_marks_that_print() -> None:
    assert escaped("Zoë 1.csv") == "Zoë 1.csv"
    assert escaped(os.fsdecode(b"caf\xe9\x1b[2J\n\xe2\x80\xae.csv")) == "caf\\xe9\\x1b[2J\\n\\u202e.csv"


@pytest.mark.parametrize("writer", [grows, touched])
def test_I24_a_file_whose_size_or_time_moves_between_two_looks_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Callable[[Path], None]) -> None:
    path = put(tmp_path, "a.csv")
    monkeypatch.setattr(files, "sleep", lambda seconds: writer(path))
    item = look(path, stable_seconds=5)
    assert (item.status, item.reason, item.sha256) == ("waiting", "it changed while the folder was read", "")
    monkeypatch.undo()
    assert look(path, stable_seconds=5).status == "arrived"


def test_I24_a_file_waits_until_it_has_rested_whatever_time_its_writer_gave_it(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv")
    os.utime(path, (1, 1))
    now = datetime.now(timezone.utc)
    assert "it must rest for 600 s" in look(path, now, stable_seconds=600).reason, "an old time of modification hides no fresh change"
    assert look(path, now + timedelta(seconds=601), stable_seconds=600).status == "arrived"
    far = (now + timedelta(days=10)).timestamp()
    os.utime(path, (far, far))
    assert look(path, now + timedelta(seconds=601), stable_seconds=600).status == "arrived", "a time in the future holds nothing up for ever"


def test_I24_a_file_that_changes_while_it_is_hashed_or_vanishes_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "a.csv")
    monkeypatch.setattr(files, "sha256_of", lambda given: (grows(given), "0")[1])
    assert look(path).reason == "it changed while it was read"
    monkeypatch.setattr(files, "sha256_of", lambda given: (given.unlink(), sha256_of(given))[1])
    assert look(path).reason == "it vanished while the folder was read"
    assert look(path).reason == "it vanished while the folder was read"


def test_I24_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "a.csv")

    def closed(given: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(given))

    monkeypatch.setattr(files, "sha256_of", closed)
    assert (look(path).status, look(path).reason) == ("refused", "it cannot be read: Permission denied")


def test_I24_a_marker_counts_when_it_is_not_older_than_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv")
    assert look(path, arrival="marker").reason == "for a.csv.done or _SUCCESS"
    done = put(tmp_path, "a.csv.done", "")
    os.utime(done, ns=(1, path.stat().st_mtime_ns - 1))
    assert look(path, arrival="marker").reason == "for a a.csv.done or _SUCCESS that is not older than the file"
    put(tmp_path, "_SUCCESS", "")
    os.utime(tmp_path / "_SUCCESS", ns=(1, path.stat().st_mtime_ns))
    assert look(path, arrival="marker").status == "arrived"


@pytest.mark.parametrize(
    ("manifest", "status", "says"),
    [
        (None, "waiting", "for a.csv.manifest.json"),
        ("{", "refused", "is no JSON object"),
        ("[1]", "refused", "is no JSON object"),
        ("{}", "refused", "is no JSON object with `rows` or `sha256`"),
        ('{"note": 1}', "refused", "is no JSON object with `rows` or `sha256`"),
        ("[" * 100_000, "refused", "is no JSON object"),
        ('{"rows": "1"}', "refused", "are no number"),
        ('{"rows": true}', "refused", "are no number"),
        ('{"rows": -1}', "refused", "are no number"),
        ('{"rows": 1, "sha256": "00"}', "refused", "is not what the sha256 of its manifest says"),
        ('{"sha256": 7}', "refused", "is not what the sha256 of its manifest says"),
        ('\ufeff{"rows": 1}', "arrived", ""),
    ],
)
def test_F24_a_manifest_must_be_there_sound_and_right(tmp_path: Path, manifest: str | None, status: str, says: str) -> None:
    path = put(tmp_path, "a.csv")
    if manifest is not None:
        put(tmp_path, "a.csv.manifest.json", manifest)
    item = look(path, arrival="manifest")
    assert item.status == status
    assert says in item.reason


def test_F24_a_manifest_of_rows_alone_counts_when_it_is_not_older_than_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv")

    def with_manifest(content: str, older_by: int) -> FileItem:
        beside = put(tmp_path, "a.csv.manifest.json", content)
        os.utime(beside, ns=(1, path.stat().st_mtime_ns - older_by))
        return look(path, arrival="manifest")

    left = with_manifest('{"rows": 1}', 1)
    assert (left.status, left.reason) == ("waiting", "for a a.csv.manifest.json that is not older than the file or has a sha256")
    assert with_manifest('{"rows": 1}', 0).status == "arrived"
    assert with_manifest(f'{{"rows": 1, "sha256": "{sha256_of(path)}"}}', 1).status == "arrived", "a hash is of this content alone"
    assert with_manifest("{", 1).status == "refused"


def test_F24_a_manifest_gives_rows_and_a_verified_hash(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv")
    put(tmp_path, "a.csv.manifest.json", f'{{"rows": 1, "sha256": "{sha256_of(path).upper()}"}}')
    item = look(path, arrival="manifest")
    assert (item.status, item.manifest_rows, item.is_hash_verified) == ("arrived", 1, True)
