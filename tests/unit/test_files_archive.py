"""The archive of files. No Spark."""

import errno
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from files_landed import grows, later, put, touched

from rcm_lakehouse.sources import files
from rcm_lakehouse.sources.files import FileItem, archive_file, archived_path, sha256_of
from rcm_lakehouse.sources.files_archive import Batch, Loaded, agrees, lacking, listed, others_took, remember, take_back
from rcm_lakehouse.sources.files_landing import landed


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sleep", lambda seconds: None)


def test_the_archive_keeps_folders_name_and_hash_and_drops_marker_and_manifest(tmp_path: Path) -> None:
    landing, archive = tmp_path / "landing", tmp_path / "archive"
    path = put(landing, "2026/a.csv")
    for suffix in (".done", ".manifest.json"):
        put(landing, f"2026/a.csv{suffix}")
    item = FileItem(path, "2026/a.csv", "new", files.Look.at(path), sha256_of(path))
    assert archive_file(item, archive)
    assert [name.relative_to(tmp_path).as_posix() for name in tmp_path.rglob("*") if name.is_file()] == [f"archive/2026/{item.sha256}-a.csv"]
    put(landing, "2026/a.csv")
    again = FileItem(path, "2026/a.csv", "skipped", files.Look.at(path), item.sha256)
    assert archive_file(again, archive), "one that is there already is only taken away"
    assert len([name for name in tmp_path.rglob("*") if name.is_file()]) == 1


LONG_NAMES = {  # name as it was landed: start and end of what the archive calls it behind the hash
    "c" * 185 + ".csv": ("c" * 179 + "~", "~.csv"),
    "c" * 251 + ".csv": ("c" * 179 + "~", "~.csv"),
    "claims." + "c" * 230 + ".csv.gz": ("claims.ccc", "c~.csv.gz"),
    "\u00e9" * 120 + ".csv": ("\u00e9" * 89 + "~", "~.csv"),
    "c" * 50 + "." + "x" * 190: ("c" * 50 + ".xxx", "x~"),
    "c" * 180 + ".csv": ("c" * 180 + ".csv", "c.csv"),
}


def test_a_name_too_long_for_the_archive_keeps_its_start_its_extensions_and_the_hash(tmp_path: Path) -> None:
    for name, (start, end) in LONG_NAMES.items():
        path = put(tmp_path, f"landing/2026/{name}", f"a\n{name}\n")
        item = FileItem(path, f"2026/{name}", "new", files.Look.at(path), sha256_of(path))
        assert archive_file(item, tmp_path / "archive"), name
        kept = archived_path(item.name, item.sha256, tmp_path / "archive")
        assert kept.read_text() == f"a\n{name}\n"
        digest, _, rest = kept.name.partition("-")
        assert (digest, rest.startswith(start), rest.endswith(end)) == (item.sha256, True, True), kept.name
    assert list((tmp_path / "landing/2026").iterdir()) == []
    assert len(list((tmp_path / "archive/2026").iterdir())) == len(LONG_NAMES)


def test_a_delivery_that_takes_the_place_of_a_loaded_file_stays_in_the_landing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "landing/a.csv")
    item = FileItem(path, "a.csv", "new", files.Look.at(path), sha256_of(path))
    newer = put(tmp_path, "incoming.csv", "a\nnewer\n")
    newer.replace(path)
    assert not archive_file(item, tmp_path / "archive")
    assert path.read_text() == "a\nnewer\n"
    # The same between the look and the move.
    monkeypatch.setattr(FileItem, "is_unchanged", True)
    assert not archive_file(item, tmp_path / "archive")
    assert path.read_text() == "a\nnewer\n"
    assert [found for found in (tmp_path / "archive").rglob("*") if found.is_file()] == []


def test_an_archive_on_another_file_system_gets_a_whole_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "landing/a.csv")
    item = FileItem(path, "a.csv", "new", files.Look.at(path), sha256_of(path))
    real = Path.replace

    def crossing(self: Path, target: Path) -> Path:
        if self == path:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", crossing)
    assert archive_file(item, tmp_path / "archive")
    assert archived_path(item.name, item.sha256, tmp_path / "archive").read_text() == "a\n1\n"
    assert not path.exists()


def test_an_archive_on_another_file_system_keeps_no_copy_of_a_file_that_cannot_be_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "landing/a.csv")
    item = FileItem(path, "a.csv", "new", files.Look.at(path), sha256_of(path))

    def crossing(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    real = Path.unlink

    def refused(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise OSError(errno.EROFS, "Read-only file system")
        real(self, missing_ok)

    monkeypatch.setattr(Path, "replace", crossing)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OSError, match="Read-only"):
        archive_file(item, tmp_path / "archive")
    assert path.exists()
    assert [found for found in (tmp_path / "archive").rglob("*") if found.is_file()] == []


def archived(folder: Path, *names: str, days: int = 0, batches: Sequence[Batch] = (), again: Sequence[Loaded] = ()) -> list[Path]:
    """Files that were loaded in this order, so many days later, and moved to the archive, and where they are there."""
    items = [FileItem(path, name, "new", files.Look.at(path), sha256_of(path)) for name in names for path in [put(folder, f"landing/{name}", f"a\n{name}\n")]]
    remember([(item, batches[i] if batches else Batch()) for i, item in enumerate(items)], folder / "archive", later() + timedelta(days=days), again)
    for item in items:
        assert archive_file(item, folder / "archive")
    return [archived_path(item.name, item.sha256, folder / "archive") for item in items]


def test_F24_a_file_that_changed_in_the_archive_goes_back_and_no_other(tmp_path: Path) -> None:
    first, _, rewritten, touched_file = archived(tmp_path, "2026/a.csv", "b.csv", "c.csv", "d.csv")
    archived(tmp_path, "e.csv")
    landing, archive = tmp_path / "landing", tmp_path / "archive"
    assert take_back(listed(archive), archive, landing, is_snapshot=False) == []
    grows(first)
    rewritten.write_text("a\nC.csv\n")
    touched(rewritten)
    touched(touched_file)
    assert take_back(listed(archive), archive, tmp_path / "nowhere", is_snapshot=False) == []
    back = "it is back in the landing folder and is taken again"
    expected = [
        f"2026/a.csv: it was changed after it was loaded (13 bytes then, 15 now); {back}",
        f"c.csv: it was changed after it was loaded (8 bytes then, 8 now); {back}",
    ]
    assert take_back(listed(archive), archive, landing, is_snapshot=False) == expected
    assert [path.relative_to(landing).as_posix() for path in landed(landing, "**/*").files] == ["2026/a.csv", "c.csv"]
    assert (landing / "2026/a.csv").read_text() == "a\n2026/a.csv\n2\n"
    assert not first.exists()
    assert take_back(listed(archive), archive, landing, is_snapshot=False) == []


def test_F24_a_file_that_changed_in_the_archive_never_takes_the_place_of_something_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = archived(tmp_path, "a.csv", "b.csv")
    landing, archive = tmp_path / "landing", tmp_path / "archive"
    grows(first)
    told = take_back(listed(archive), archive, landing, is_snapshot=True)
    assert len(told) == 1
    assert told[0].endswith(f"so it stays in the archive as {first.name}; if its rows are wanted, have them delivered under a name of their own")
    newer = put(landing, "a.csv", "a\nnewer\n")
    assert "something newer has come since" in take_back(listed(archive), archive, landing, is_snapshot=False)[0]
    assert (newer.read_text(), first.exists()) == ("a\nnewer\n", True)
    grows(second)
    (landing / "a.csv").unlink()

    def closed(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", closed)
        told = take_back(listed(archive), archive, landing, is_snapshot=False)
    assert f"(Operation not permitted): move {first.name} from the archive to the landing folder under its own name" in told[0]
    assert len(take_back(listed(archive), archive, landing, is_snapshot=True)) == 2, "the newest snapshot goes back, the one before it does not"
    assert [path.name for path in landed(landing, "*").files] == ["b.csv"]


def test_F24_a_week_after_it_was_loaded_a_file_is_not_looked_at_any_more_and_a_broken_list_is_begun_anew(tmp_path: Path) -> None:
    landing, archive = tmp_path / "landing", tmp_path / "archive"
    (path,) = archived(tmp_path, "a.csv")
    grows(path)
    archived(tmp_path, "b.csv", days=8)
    assert take_back(listed(archive), archive, landing, is_snapshot=False) == []
    for broken in ("[{}", "[{}]", "[[]]", "7", "null"):
        put(archive, ".loaded.json", broken)
        with pytest.raises(ValueError, match=r"\.loaded\.json, the list of what was loaded, cannot be read .* let the next file begin a new one"):
            listed(archive)
    (other,) = archived(tmp_path, "b.csv")
    assert (archive / ".loaded.json.unreadable").exists()
    grows(other)
    assert len(take_back(listed(archive), archive, landing, is_snapshot=False)) == 1


def test_F37_the_list_tells_which_files_a_table_took_behind_a_batch_for_a_quarter_of_a_year(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archived(tmp_path, "a.csv", "b.csv", batches=[Batch("t", 1, 0), Batch("t", 2, 1)])
    archived(tmp_path, "other.csv", "empty.csv", days=1, batches=[Batch("another", 9, 8), Batch()])
    # As what it was before: the same content a second time, in between another one of its name.
    archived(tmp_path, "a.csv", days=1, batches=[Batch("t", 3, 2)])
    every = held_of(archive)
    assert [(entry.name, entry.batch.seq) for entry in lacking(listed(archive), "t", set())] == [("a.csv", 1), ("b.csv", 2), ("a.csv", 3)]
    of_first = {batch for batch in every if batch[0] == 1}
    assert [entry.name for entry in lacking(listed(archive), "t", of_first)] == ["b.csv", "a.csv"]
    assert lacking(listed(archive), "t", every) == []
    assert (others_took(listed(archive), archive, "t"), others_took(listed(archive), archive, "another")) == (1, 2)
    again = lacking(listed(archive), "t", of_first)
    archived(tmp_path, "b.csv", days=2, batches=[Batch("t", 12, 3)], again=again)
    assert [entry.batch.seq for entry in lacking(listed(archive), "t", set())] == [1, 3, 12], "what is noted anew is struck off where it stood"
    archived(tmp_path, "c.csv", days=92, batches=[Batch("t", 13, 12)])
    assert [entry.batch.seq for entry in lacking(listed(archive), "t", set())] == [3, 12, 13], "the first was taken more than 92 days before"


def held_of(archive: Path) -> set[tuple[int, str, str]]:
    """What a table has that took all that the list of an archive says."""
    return {(entry.batch.seq, entry.name, entry.sha256) for entry in listed(archive) if entry.batch.seq}


def test_F37_a_list_agrees_with_its_table_only_when_they_have_one_past() -> None:
    def entry(name: str, seq: int, follows: int) -> Loaded:
        return Loaded(f"{name}.csv", name, 1, 1, 0.0, Batch("t", seq, follows))

    one = [entry("a", 1, 0), entry("b", 2, 1), entry("c", 3, 2)]
    told = {
        "its newest is the table's": agrees(one, "t", 3, "c"),
        "nothing is known of the table": agrees(one, "another", 7, "x"),
        "a repetition is noted once more": agrees([*one, one[1]], "t", 3, "c"),
        "put back to an older batch": agrees(one, "t", 2, "b"),
        "the table went on without the list": agrees(one, "t", 4, "d"),
        "another file has the number": agrees(one, "t", 3, "d"),
        "two files have a number": agrees([*one, entry("x", 2, 1)], "t", 3, "c"),
        "one was not taken again": agrees([entry("a", 1, 0), entry("x", 2, 1), entry("y", 12, 1)], "t", 12, "y"),
    }
    assert [words for words, is_true in told.items() if is_true] == list(told)[:3]
