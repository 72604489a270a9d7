"""Arrival of files: what is not whole waits or is refused, whole files of the same run are loaded, and mended ones are taken by the next run."""

import gzip
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from files_bills import archive_of, bill, bills, bills_project, landing_of, load_of, says, silver_ids
from harness import Ended, Mini
from rcm_lakehouse.sources import files

# As Python reads the name caf\xe9.csv in Latin-1.
BAD_NAME = os.fsdecode(b"h/caf\xe9.csv")
MARKED = "h/x\\x1b[2J\\nFAKE SUCCESS.csv"
WHOLE = bills(*[bill(number) for number in range(200)])
OPTIONS = {
    "a": {"stable_seconds": 30},
    "b": {"arrival": "marker"},
    "c": {"arrival": "manifest"},
    "d": {"pattern": "d/*.csv"},
    "f": {},
    "h": {},
}


@dataclass
class Runs:
    """The lakehouse after two runs; between them senders mended what was wrong."""

    mini: Mini
    first: Ended
    first_landing: list[str]
    first_silver: dict[str, list[str]]
    second: Ended


@pytest.fixture(scope="module")
def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("arrival")
    mini = bills_project(spark, home, OPTIONS)
    mini.connections = {**mini.connections, "gone": {**mini.connections["landing"], "path": "nowhere", "tables": {"hos-g.bills": {"pattern": "*.csv"}}}}
    mini.loads = [*mini.loads, load_of("g", "gone")]
    mini.write()
    growing = _land_first(mini)
    with pytest.MonkeyPatch.context() as patch:
        # The pause between the two looks is when a slow writer goes on; it keeps the file's time.
        patch.setattr(files, "sleep", lambda seconds: _go_on(growing))
        first = mini.run(now="2031-01-01T00:00:00Z")
    after = landing_of(mini), {letter: silver_ids(mini, letter) for letter in OPTIONS}
    _land_second(mini)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sleep", lambda seconds: None)
        second = mini.run(now="2031-01-01T06:00:00Z")
    return Runs(mini, first, after[0], after[1], second)


def _go_on(path: Path) -> None:
    times = path.stat()
    with path.open("a") as stream:
        stream.write(bill(2) + "\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _manifest(content: str, **changes: object) -> str:
    return json.dumps({"rows": content.count("\n") - 1, "sha256": hashlib.sha256(content.encode()).hexdigest(), **changes})


def _land_first(mini: Mini) -> Path:
    growing = mini.land("a/growing.csv", bills(bill(1)))
    mini.land("a/resting.csv", bills(bill(9)))
    mini.land("b/marked.csv", bills(bill(1)))
    mini.land("b/marked.csv.done", "")
    mini.land("b/unmarked.csv", bills(bill(2)))
    for number, (name, changes) in enumerate({"right": {}, "wrong_count": {"rows": 7, "sha256": None}, "wrong_hash": {"sha256": "00"}}.items()):
        content = bills(bill(number), bill(f"{number}x"))
        mini.land(f"c/{name}.csv", content)
        mini.land(f"c/{name}.csv.manifest.json", _manifest(content, **changes))
    mini.land("c/no_manifest.csv", bills(bill(7)))
    mini.land("c/broken_manifest.csv", bills(bill(8)))
    mini.land("c/broken_manifest.csv.manifest.json", '{"rows": 1')
    for name in ("writing.csv.part", ".hidden.csv", "notes.txt"):
        mini.land(f"d/{name}", bills(bill("never")))
    mini.land("d/sound.csv", bills(bill(1)))
    outside = mini.land("secret.csv", bills(bill("outside")), folder="outside")
    (mini.home / "landing/d/link.csv").symlink_to(outside)
    whole = gzip.compress(WHOLE.encode())
    mini.land("f/1_cut.csv.gz", whole[: len(whole) // 2])
    mini.land("f/2_cut_in_a_line.csv", bills(bill("cut1"), bill("cut2"))[:-12])
    mini.land("f/3_cut_in_the_last_value.csv", bills(bill("cut3"))[:-3])
    mini.land("f/4_sound.csv", bills(bill(1)))
    mini.land("f/5_wrong_encoding.csv", bills(bill(2, note="Zoë")).encode("latin-1"))
    mini.land("h/good.csv", bills(bill(1)))
    mini.land("h/x\x1b[2J\nFAKE SUCCESS.csv", bills(bill(3)) + "\n")
    mini.land(BAD_NAME, bills(bill(2)))
    mini.land("stray_" + Path(BAD_NAME).name, "no load takes it")
    return growing


def _land_second(mini: Mini) -> None:
    mini.land("b/unmarked.csv.done", "")
    content = bills(bill(7))
    mini.land("c/no_manifest.csv.manifest.json", _manifest(content))
    mini.land("f/1_cut.csv.gz", gzip.compress(WHOLE.encode()))
    for name in ("2_cut_in_a_line.csv", "3_cut_in_the_last_value.csv", "5_wrong_encoding.csv"):
        (mini.home / "landing/f" / name).unlink()
    (mini.home / "landing" / BAD_NAME).rename(mini.home / "landing/h/café.csv")
    mini.land("nowhere.csv", bills(bill(1)), folder="nowhere")


def test_I24_a_file_that_grows_between_two_looks_waits_and_a_resting_one_is_loaded(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosa_bills")
    assert (log.status, log.rows_written, log.watermark_after) == ("SUCCESS", 1, "a/resting.csv")
    assert says(log.warnings, "a/growing.csv: waiting, it changed while the folder was read, there since ")
    assert runs.first_silver["a"] == ["B9"]
    assert "a/growing.csv" in runs.first_landing
    assert silver_ids(runs.mini, "a") == ["B1", "B2", "B9"], "the next run takes it whole"


def test_I24_without_its_done_marker_a_file_waits(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosb_bills")
    assert (log.status, log.rows_written) == ("SUCCESS", 1)
    assert says(log.warnings, "b/unmarked.csv: waiting, for unmarked.csv.done or _SUCCESS")
    assert runs.first_silver["b"] == ["B1"]
    assert [name for name in runs.first_landing if name.startswith("b/")] == ["b/unmarked.csv"], "the marker of a loaded file is gone with it"
    assert silver_ids(runs.mini, "b") == ["B1", "B2"]
    assert archive_of(runs.mini, "b") == ["marked.csv", "unmarked.csv"]


def test_F24_a_manifest_that_is_wrong_or_broken_refuses_its_file_and_a_missing_one_makes_it_wait(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosc_bills")
    assert (log.status, log.rows_read, log.rows_written, log.error_class) == ("FAILED", 2, 2, "SourceDataError")
    assert log.message is not None
    assert "c/wrong_count.csv: it has 2 records but its manifest says 7." in log.message
    assert "c/wrong_hash.csv: its content is not what the sha256 of its manifest says." in log.message
    assert "c/broken_manifest.csv: its manifest is no JSON object with `rows` or `sha256`." in log.message
    assert says(log.warnings, "c/no_manifest.csv: waiting, for no_manifest.csv.manifest.json")
    assert runs.first_silver["c"] == ["B0", "B0x"]
    assert "c/right.csv" not in runs.first_landing
    for name in ("wrong_count.csv", "wrong_hash.csv", "broken_manifest.csv", "no_manifest.csv"):
        assert f"c/{name}" in runs.first_landing
    assert silver_ids(runs.mini, "c") == ["B0", "B0x", "B7"]


def test_F24_unfinished_and_hidden_files_are_left_alone_and_a_link_out_of_the_folder_is_named(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosd_bills")
    assert (log.status, log.rows_written) == ("SUCCESS", 1)
    assert says(log.warnings, "d/link.csv: a link, not a file; it is left alone")
    assert silver_ids(runs.mini, "d") == ["B1"]
    assert {"d/.hidden.csv", "d/writing.csv.part", "d/notes.txt"} <= set(landing_of(runs.mini))
    assert (runs.mini.home / "outside/secret.csv").exists()


def test_F25_F26_F29_cut_and_undecodable_files_are_refused_whole_and_the_sound_one_of_the_load_reaches_silver(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosf_bills")
    assert (log.status, log.rows_written) == ("FAILED", 1)
    assert log.message is not None
    assert "f/1_cut.csv.gz: its gzip stream is cut or broken." in log.message
    assert "f/2_cut_in_a_line.csv: its last line has no line end, so it may be cut inside its last value." in log.message
    assert "f/3_cut_in_the_last_value.csv: its last line has no line end" in log.message
    assert "f/5_wrong_encoding.csv: it holds bytes that are not utf-8." in log.message
    assert "Zo" not in log.message
    assert runs.first_silver["f"] == ["B1"]
    assert {name.partition("/")[2] for name in runs.first_landing if name.startswith("f/")} == {
        "1_cut.csv.gz",
        "2_cut_in_a_line.csv",
        "3_cut_in_the_last_value.csv",
        "5_wrong_encoding.csv",
    }
    files_in_bronze = runs.mini.frame("bronze.hosf_bills").select("_source_file").distinct().collect()
    assert sorted(row[0] for row in files_in_bronze) == ["f/1_cut.csv.gz", "f/4_sound.csv"]
    second = runs.second.log("bronze", "hosf_bills")
    assert (second.status, second.rows_written) == ("SUCCESS", 200)


def test_F24_a_file_whose_name_is_not_utf8_is_refused_alone_and_named(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosh_bills")
    assert (log.status, log.rows_written, log.watermark_after, log.error_class) == ("FAILED", 2, f"h/good.csv, {MARKED}", "SourceDataError")
    assert log.message is not None
    assert log.message.startswith("h/caf\\xe9.csv: its name has bytes that are not UTF-8")
    assert runs.first_silver["h"] == ["B1", "B3"]
    assert BAD_NAME in runs.first_landing
    assert says(runs.first.log("bronze", "hosa_bills").warnings, "stray_caf\\xe9.csv")
    assert silver_ids(runs.mini, "h") == ["B1", "B2", "B3"], "under another name it is taken"


def test_F24_control_marks_of_a_name_reach_neither_the_terminal_nor_the_audit(runs: Runs) -> None:
    log = runs.first.log("bronze", "hosh_bills")
    assert f"{MARKED}: 1 blank lines were passed over" in log.warnings
    assert f"hos-h.bills: {MARKED}: 1 blank lines were passed over" in runs.first.said
    assert "\x1b" not in runs.first.said + str(log.watermark_after)
    assert not [line for line in runs.first.said.splitlines() if line.startswith("FAKE")]
    names = runs.mini.frame("bronze.hosh_bills").where("_source_file LIKE '%FAKE%'").select("_source_file").collect()
    assert [row[0] for row in names] == ["h/x\x1b[2J\nFAKE SUCCESS.csv"], "the rows keep the true name"


def test_a_landing_folder_that_is_not_there_fails_its_own_load_alone(runs: Runs) -> None:
    row = next(log for log in runs.first.logs if log.layer == "bronze" and log.data_source == "hos-g")
    assert (row.status, row.error_class, row.is_retryable) == ("FAILED", "SourceUnavailableError", True)
    assert row.message is not None
    assert "landing folder nowhere: it does not exist. Nothing was read." in row.message
    assert runs.first.code == 1
    assert runs.second.log("bronze", "hosg_bills").status == "SUCCESS"
    assert silver_ids(runs.mini, "g") == ["B1"]


@pytest.mark.wide
def test_I24_a_load_with_nothing_but_waiting_files_is_no_delivery(spark: SparkSession, tmp_path: Path) -> None:
    mini = bills_project(spark, tmp_path, {"a": {"arrival": "marker"}})
    mini.land("a/1.csv", bills(bill(1)))
    never = mini.run(now="2031-01-01T00:00:00Z").log("bronze", "hosa_bills")
    assert (never.status, never.rows_read, never.watermark_after) == ("WAITING", 0, None)
    assert never.message is not None
    assert "the feed's clock keeps running. No row was ever loaded." in never.message
    mini.land("a/1.csv.done", "")
    assert mini.run(now="2031-01-02T00:00:00Z").log("bronze", "hosa_bills").status == "SUCCESS"
    mini.land("a/2.csv", bills(bill(2)))
    commits = mini.commits("bronze.hosa_bills")
    late = mini.run(now="2031-01-03T00:00:00Z")
    log = late.log("bronze", "hosa_bills")
    assert (late.code, log.status, log.rows_read) == (0, "WAITING", 0)
    assert log.message is not None
    assert "1 files have not arrived whole" in log.message
    assert "The newest rows were loaded at 2031-01-02 00:00:00Z." in log.message
    assert mini.commits("bronze.hosa_bills") == commits
    (tmp_path / "landing/a/2.csv").unlink()
    assert mini.run(now="2031-01-04T00:00:00Z").log("bronze", "hosa_bills").status == "NOOP"
