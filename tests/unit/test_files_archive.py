"""Ledger and archive of files. No Spark."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from files_landed import delivered, grows, later, put, touched

from rcm_lakehouse.sources import files
from rcm_lakehouse.sources.files import FileItem, archive_file, archived_path, sha256_of
from rcm_lakehouse.sources.files_archive import Batch, Loaded, lacking, listed, others_took, remember, take_back
from rcm_lakehouse.sources.files_landing import is_numbered_before, landed
from rcm_lakehouse.sources.files_ledger import Ledger


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sleep", lambda seconds: None)


def test_I23_the_ledger_tells_repetition_correction_and_duplicate_apart() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "b.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    assert ledger.judged(delivered("a.csv", "h1")).status == "skipped"
    assert ledger.judged(delivered("a.csv", "h9")).status == "correction"
    assert ledger.judged(delivered("c.csv", "h9")).status == "new"
    assert ledger.judged(delivered("2026/a.csv", "h9")).status == "new", "a name in another folder is another name"
    assert ledger.judged(delivered("b.csv", "h1")).status == "correction", "what another file said before is news of this one"
    assert ledger.judged(delivered("a.csv", "h2")).status == "correction", "said since by another: only under its own name does it correct its rows"
    copied = ledger.judged(delivered("c.csv", "h2"))
    assert (copied.status, copied.reason) == ("duplicate", "its content was loaded before as b.csv")
    ledger.add(delivered("c.csv", "h3"))
    assert ledger.judged(delivered("d.csv", "h3")).reason == "its content was loaded before as c.csv"


def test_a_duplicate_of_what_newer_deliveries_followed_tells_that_they_stay_and_how_it_is_taken_again() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "1.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "2.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    first = ledger.judged(delivered("3.csv", "h1"))
    stays = "its content was loaded before as 1.csv, and what newer deliveries said, up to 2.csv, stays; it is taken again "
    assert (first.status, first.reason) == ("duplicate", f"{stays}in other bytes (its rows in another order, other line ends)")
    own = ledger.judged(delivered("1.csv", "h1"))
    assert own.status == "skipped", "its own old name does not bring it back"
    assert own.reason == first.reason.replace("its content was loaded before as 1.csv", "this content was loaded before under this name")
    assert ledger.judged(delivered("3.csv", "h1 in another order")).status == "new"
    ledger.add(delivered("1.csv", "h3"))
    second = ledger.judged(delivered("3.csv", "h1"))
    stays = stays.replace("2.csv", "1.csv")
    assert (second.status, second.reason) == ("duplicate", f"{stays}under that name, which held newer content since")
    assert ledger.judged(delivered("1.csv", "h1")).status == "correction"


def test_I23_a_name_that_returns_to_older_content_is_a_correction_and_none_that_is_resent() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "a.csv", "seq": 2, "taken": 20}], is_snapshot=False)
    assert ledger.judged(delivered("a.csv", "h2")).status == "skipped"
    assert ledger.judged(delivered("a.csv", "h1")).status == "correction"


def test_I28_a_snapshot_is_known_only_while_it_is_the_newest() -> None:
    ledger = Ledger.of([{"hash": "h1", "name": "a.csv", "seq": 1, "taken": 10}, {"hash": "h2", "name": "b.csv", "seq": 2, "taken": 20}], is_snapshot=True)
    assert ledger.judged(delivered("b.csv", "h2")).status == "skipped"
    assert ledger.judged(delivered("c.csv", "h2")).status == "duplicate"
    assert ledger.judged(delivered("a.csv", "h1")).status == "correction"
    assert ledger.judged(delivered("d.csv", "h1")).status == "new"
    left = replace(delivered("a.csv", "h1"), look=files.Look(1, 1, 10_000, 1))
    assert ledger.judged(left).status == "skipped", "it was there when it was taken and waits for the archive"
    assert ledger.judged(replace(left, look=files.Look(1, 1, 10_001, 1))).status == "correction", "it came again"


def test_N07_a_snapshot_numbered_before_the_newest_is_refused_with_both_names() -> None:
    rows = [{"hash": "h1", "name": "2026/s1.csv", "seq": 1, "taken": 10}, {"hash": "h3", "name": "2026/s10.csv", "seq": 2, "taken": 20}]
    ledger = Ledger.of(rows, is_snapshot=True)
    for name in ("2026/s2.csv", "2026/s2.csv.gz", "2026/s2-late.csv", "2026/s1.csv", "2025/t11.csv"):
        for digest in ("h1", "h2"):
            older = ledger.judged(delivered(name, digest))
            assert (older.status, older.reason) == ("refused", "by its name it is an older snapshot than 2026/s10.csv, which was taken already"), name
    taken = {"2026/s10.csv": "correction", "2026/s11.csv": "new", "2027/s1.csv": "new", "2026/r1.csv": "new", "s2.csv": "new"}
    assert {name: ledger.judged(delivered(name, "h2")).status for name in taken} == taken
    left = replace(delivered("2026/s1.csv", "h1"), look=files.Look(1, 1, 10_000, 1))
    assert ledger.judged(left).status == "skipped", "a run ended before it was archived"
    assert ledger.judged(delivered("2026/s2.csv", "h3")).status == "duplicate", "what it says is what stands"
    adding = replace(ledger, is_snapshot=False)
    assert adding.judged(delivered("2026/s2.csv", "h2")).status == "new", "files of an incremental load add to one another"


NUMBERED = {
    ("bills_2026-01-31_2000.csv", "bills_2026-02-01_2000.csv"): True,
    ("bills_20260131_101920.csv", "bills_20260201_060000.csv"): True,  # one name and another: whether the first is numbered before
    ("codes_20261231.csv", "codes_20270101.csv"): True,
    ("codes_2026-12-31.csv", "codes_2027-01-01.csv"): True,
    ("codes_2026_12_31_0600.csv", "codes_2026_12_31_1800.csv"): True,
    ("codes_12312026.csv", "codes_01012027.csv"): False,
    ("codes_01012026.csv", "codes_12312026.csv"): False,
    ("codes_01-01-2026.csv", "codes_12.31.2026.csv"): False,
    ("codes_jan.csv", "codes_feb.csv"): False,
    ("codes.csv", "codes_2.csv"): False,
    ("codes_2.csv", "codes.csv"): False,
    ("2/codes.csv", "10/codes.csv"): True,
    ("a/codes_1.csv", "b/codes_2.csv"): False,
    ("codes_2.csv", "codes_2.csv"): False,
    # A number before a date that begins with its year, and a time behind it.
    ("icd10_2026-01-31.csv", "icd10_2026-02-28.csv"): True,
    ("icd10_2025_12.csv", "icd10_2026_1.csv"): True,
    ("hospital12_2025-12-31.csv", "hospital12_2026-01-31.csv"): True,
    ("site-03_2026-01-31_codes.csv", "site-03_2026-02-28_codes.csv"): True,
    ("batch_12_2026-01-31.csv", "batch_13_2026-02-28.csv"): True,
    ("codes_20260131T101959.csv", "codes_20260228T060000.csv"): True,
    ("codes_20260131T101959.csv", "codes_20260131T112005Z.csv"): True,
    ("codes_2026-01-31T060000.csv", "codes_2026-02-28T112005.csv"): True,
    ("2026-01-31/101920.csv", "2026-01-31/112005.csv"): True,
    ("2026-01-31/codes10_2026.csv", "2026-02-28/codes10_2026.csv"): True,
    # Folders of a year, a month, a day or a quarter, and the year in the name again.
    ("2026/01/2026-01-31.csv", "2026/02/2026-02-28.csv"): True,
    ("2026/01/2026_codes.csv", "2026/02/2026_codes.csv"): True,
    ("2026-01/2026_codes.csv", "2026-02/2026_codes.csv"): True,
    ("2026/01/30/2026_codes.csv", "2026/01/31/2026_codes.csv"): True,
    ("2026Q1/2026_codes.csv", "2026Q2/2026_codes.csv"): True,
    ("codes_202512.csv", "codes_202601.csv"): True,
    ("codes_2025_2026.csv", "codes_2026_2027.csv"): True,
    # Day, month or quarter before the year.
    ("codes_013127.csv", "codes_123126.csv"): False,
    ("codes_012027.csv", "codes_122026.csv"): False,
    ("codes_01012027235959.csv", "codes_12312026235959.csv"): False,
    ("codes_01-31-27.csv", "codes_12-31-26.csv"): False,
    ("codes_1-31-27.csv", "codes_9-30-26.csv"): False,
    ("codes_31.01.27.csv", "codes_31.12.26.csv"): False,
    ("codes_01_2027.csv", "codes_12_2026.csv"): False,
    ("codes_Q1_2027.csv", "codes_Q4_2026.csv"): False,
    ("codes_Q1_27.csv", "codes_Q4_26.csv"): False,
    ("codes_1Q2027.csv", "codes_4Q2026.csv"): False,
    ("codes_01Jan2027.csv", "codes_31Dec2026.csv"): False,
    ("codes_1_Jan_2027.csv", "codes_31_Dec_2026.csv"): False,
    ("codes_Jan_15_2027.csv", "codes_Jan_31_2026.csv"): False,
    ("01/2027/codes.csv", "12/2026/codes.csv"): False,
    ("2026/28-02-2026.csv", "2026/31-01-2026.csv"): False,
    # The time behind a date ends with its folder.
    ("2026-02-01/01022026.csv", "2026-02-01/31012026.csv"): False,
    ("2026/01/01012026.csv", "2026/01/12312025.csv"): False,
    ("icd_2026_01-31-2027.csv", "icd_2026_12-31-2026.csv"): False,
    # They differ in the year alone.
    ("codes_12312025.csv", "codes_12312026.csv"): True,
    ("codes_31Dec25.csv", "codes_31Dec26.csv"): True,
    # Six digits: a counter where they can be no date, in doubt where they can.
    ("codes_000123.csv", "codes_000124.csv"): True,
    ("codes_123456.csv", "codes_123457.csv"): True,
    ("codes_010203.csv", "codes_010204.csv"): True,
    ("codes_010299.csv", "codes_010300.csv"): False,
    ("codes_260131.csv", "codes_260228.csv"): False,
}


def test_names_are_in_the_order_of_their_numbers_where_that_is_the_order_of_time() -> None:
    assert {names: is_numbered_before(*names) for names in NUMBERED} == NUMBERED


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
    assert [(entry.name, entry.batch.seq) for entry in lacking(listed(archive), "t", 0)] == [("a.csv", 1), ("b.csv", 2), ("a.csv", 3)]
    assert [entry.name for entry in lacking(listed(archive), "t", 1)] == ["b.csv", "a.csv"]
    assert lacking(listed(archive), "t", 3) == []
    assert (others_took(listed(archive), archive, "t"), others_took(listed(archive), archive, "another")) == (1, 2)
    again = lacking(listed(archive), "t", 1)
    archived(tmp_path, "b.csv", days=2, batches=[Batch("t", 12, 3)], again=again)
    assert [entry.batch.seq for entry in lacking(listed(archive), "t", 0)] == [1, 3, 12], "what is noted anew is struck off where it stood"
    archived(tmp_path, "c.csv", days=92, batches=[Batch("t", 13, 12)])
    assert [entry.batch.seq for entry in lacking(listed(archive), "t", 0)] == [3, 12, 13], "the first was taken more than 92 days before"
