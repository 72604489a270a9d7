"""Verbs for named loads: full refresh, back-fill, reset of a watermark, reconciliation; through a database and the audit."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.pipeline.context import Backfill
from windows_kit import BRONZE, insert, project

CONTRACT = {
    "description": "a visit",
    "grain": "one visit of one hospital",
    "key": ["source_visit_id"],
    "sequence_by": ["source_modified_at"],
    "columns": [
        {"name": "source_visit_id", "type": "string", "description": "number"},
        {"name": "state", "type": "string", "description": "state"},
        {"name": "source_modified_at", "type": "timestamp", "tracked": False, "description": "time of the change"},
    ],
    "sources": [{"name": "emr", "tables": ["visits", "stays"], "columns": {"source_visit_id": "VisitID", "state": "State", "source_modified_at": "Changed"}}],
}
TABLE = "CREATE TABLE {name} (VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed {kind})"


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Two loads of twenty visits each: hospital A stamps a time, hospital B a day."""
    home = tmp_path_factory.mktemp("verbs")
    loads = ["hospital-a,hos-a,visits,Incremental,Changed,1,hosa", "hospital-b,hos-b,stays,Incremental,Changed,1,hosb"]
    made = Mini(spark, home, loads, own_contracts={"visit": CONTRACT})
    made.connections = {"hospital-a": made.h2("hospital-a"), "hospital-b": made.h2("hospital-b", time_zone="America/Chicago")}
    made.write()
    rows = [f"('V{n:02d}', 'open', TIMESTAMP '2026-01-{n:02d} 08:00:00')" for n in range(1, 21)]
    days = [f"('V{n:02d}', 'open', DATE '2026-01-{n:02d}')" for n in range(1, 21)]
    made.sql(TABLE.format(name="visits", kind="TIMESTAMP(6)"), f"INSERT INTO visits VALUES {', '.join(rows)}", database="hospital-a")
    made.sql(TABLE.format(name="stays", kind="DATE"), f"INSERT INTO stays VALUES {', '.join(days)}", database="hospital-b")
    first = made.run(now="2026-01-25T12:00:00Z")
    assert first.code == 0, first.said
    return made


def watermarks(mini: Mini, now: str) -> dict[str, str | None]:
    """The live watermark of both loads as a dry look at the next run's plan would have it."""
    ended = mini.run(now=now)
    assert ended.code == 0, ended.said
    return {target: ended.log("bronze", target).watermark_before for target in ("hosa_visits", "hosb_stays")}


def test_I34_a_row_deleted_at_the_source_is_closed_and_a_missed_one_is_loaded(mini: Mini) -> None:
    before = watermarks(mini, "2026-01-25T12:10:00Z")
    mini.sql(
        "DELETE FROM visits WHERE VisitID = 'V03'",
        # Entered late with an old stamp, beyond any overlap: no window will ever see it.
        "INSERT INTO visits VALUES ('V99', 'late', TIMESTAMP '2026-01-02 09:00:00')",
        # Changed without a new stamp.
        "UPDATE visits SET State = 'silent' WHERE VisitID = 'V05'",
        # Due with the next window, and no business of the comparison.
        "INSERT INTO visits VALUES ('V50', 'new', TIMESTAMP '2026-01-25 12:30:00')",
    )
    missed = mini.run(now="2026-01-25T12:20:00Z")
    assert missed.log("bronze", "hosa_visits").rows_written == 0, "an ordinary window cannot see them"
    found = mini.run(now="2026-01-25T12:20:00Z", reconcile=("hos-a.visits",))
    assert found.code == 0, found.said
    log = found.log("reconcile", "hosa_visits")
    assert log.message == "compared with the source: 1 missed, 1 changed without a new watermark, 1 deleted"
    assert log.rows_read == log.rows_written + log.rows_duplicate
    current = dict(mini.rows("silver.visit", "source_visit_id", "state", where="data_source = 'hos-a' AND is_current"))
    assert "V03" not in current
    assert (current["V99"], current["V05"], "V50" in current) == ("late", "silent", False)
    closed = mini.rows("silver.visit", "cast(effective_to AS string)", where="source_visit_id = 'V03' AND data_source = 'hos-a'")
    assert closed == [("2026-01-25 12:20:00",)], "closed when it was noticed"
    assert watermarks(mini, "2026-01-25T12:25:00Z") == before, "a comparison moves no watermark"
    again = mini.run(now="2026-01-25T12:26:00Z", reconcile=("hos-a.visits",))
    assert again.log("reconcile", "hosa_visits").rows_written == 0
    assert mini.run(now="2026-01-25T13:00:00Z").log("bronze", "hosa_visits").rows_written == 1, "V50 comes with its window"


@pytest.mark.wide
def test_I34_a_row_that_comes_back_after_its_delete_is_current_again(mini: Mini) -> None:
    mini.sql("DELETE FROM stays WHERE VisitID = 'V04'", database="hospital-b")
    assert mini.run(now="2026-01-26T18:00:00Z", reconcile=("hos-b.stays",)).code == 0
    assert mini.rows("silver.visit", "source_visit_id", where="source_visit_id = 'V04' AND data_source = 'hos-b' AND is_current") == []
    mini.sql("INSERT INTO stays VALUES ('V04', 'open', DATE '2026-01-26')", database="hospital-b")
    assert mini.run(now="2026-01-26T19:00:00Z").code == 0
    assert mini.rows("silver.visit", "state", where="source_visit_id = 'V04' AND data_source = 'hos-b' AND is_current") == [("open",)]


@pytest.mark.wide
def test_deletes_above_the_guard_are_held_until_they_are_approved(mini: Mini) -> None:
    mini.sql("DELETE FROM stays WHERE VisitID IN ('V06', 'V07', 'V08', 'V09', 'V10', 'V11')", database="hospital-b")
    held = mini.run(now="2026-01-27T18:00:00Z", reconcile=("hos-b.stays",))
    assert held.code == 4
    assert held.log("reconcile", "hosb_stays").status == "HELD"
    gone = "source_visit_id BETWEEN 'V06' AND 'V11' AND data_source = 'hos-b' AND is_current"
    assert len(mini.rows("silver.visit", "state", where=gone)) == 6
    approved = mini.run(now="2026-01-27T18:10:00Z", reconcile=("hos-b.stays",), approve_deletes=("hos-b.stays",))
    assert approved.code == 0, approved.said
    assert mini.rows("silver.visit", "state", where=gone) == []


@pytest.mark.wide
def test_a_daily_comparison_runs_once_a_day_by_itself(mini: Mini) -> None:
    mini.connections = {**mini.connections, "hospital-b": mini.h2("hospital-b", time_zone="America/Chicago", tables={"stays": {"reconcile": "daily"}})}
    mini.write()
    due = [mini.run(now=f"2026-01-{day}T18:00:00Z").logs for day in ("29", "29", "30")]
    assert [len([row for row in logs if row.layer == "reconcile"]) for logs in due] == [1, 0, 1]


def test_I15_X05_a_backfill_leaves_no_gap_moves_no_watermark_and_twice_is_once(mini: Mini) -> None:
    before = watermarks(mini, "2026-01-30T18:00:00Z")
    mini.sql(*[f"INSERT INTO visits VALUES ('W{n}', 'old', TIMESTAMP '2025-12-{n} 00:00:00')" for n in (10, 20, 31)])
    mini.sql("INSERT INTO visits VALUES ('W00', 'old', TIMESTAMP '2026-01-01 00:00:00')", "INSERT INTO visits VALUES ('WN', 'none', NULL)")
    mini.connections = {**mini.connections, "hospital-a": mini.h2("hospital-a", tables={"visits": {"null_watermark": "exclude"}})}
    mini.write()
    parts = [("2025-12-10", "2025-12-20"), ("2025-12-20", "2026-01-01"), ("2025-12-10", "2026-01-01")]
    written = []
    for low, high in parts:
        ended = mini.run(now="2026-01-30T18:10:00Z", backfill=Backfill(("hos-a.visits",), low, high))
        assert ended.code == 0, ended.said
        written.append(ended.log("bronze", "hosa_visits").rows_written)
    assert written == [1, 2, 0], "the bound belongs to the second half, and twice is once"
    assert mini.rows("silver.visit", "source_visit_id", where="source_visit_id LIKE 'W%'") == [("W10",), ("W20",), ("W31",)]
    assert watermarks(mini, "2026-01-30T18:20:00Z") == before


@pytest.mark.deep
def test_I11_a_backfill_ends_where_its_load_ends_now_and_leaves_later_rows_to_their_windows(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE).code == 0
    mini.sql(insert("missed", "2026-01-08 10:00:00"), insert("ahead", "2026-01-10 13:30:00"), insert("far", "2027-01-10 13:30:00"))
    wanted = Backfill(("hos-a.visits",), "2026-01-01", "2030-01-01")
    planned = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, dry_run=True, backfill=wanted).said
    cut = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, backfill=wanted)
    assert cut.code == 0, cut.said
    log = cut.log("bronze", "hosa_visits")
    told = "--to 2030-01-01 00:00:00.000000 lies beyond what a load reads now: the back-fill ends at 2026-01-10 12:00:00.000000"
    assert [note.split(",")[0] for note in log.warnings] == [told]
    assert f"  bronze hos-a.visits: {told}" in planned
    assert (log.window_high, log.rows_read, log.rows_written) == ("2026-01-10 12:00:00.000000", 2, 1)
    later = mini.run(now="2026-01-10T14:00:00Z", layers=BRONZE).log("bronze", "hosa_visits")
    assert (later.rows_written, later.watermark_after) == (2, "2026-01-10 13:30:00.000000")
    flags = mini.rows("bronze.hosa_visits", "VisitID", "_flags")
    assert flags == [("a", None), ("ahead", None), ("far", ["future_watermark"]), ("missed", ["backfill"])]
    ahead = Backfill(("hos-a.visits",), "2026-02-01", "2026-03-01")
    with pytest.raises(ConfigError, match=r"hos-a\.visits is read to 2026-01-10 14:10:00\.000000 now.*Nothing was read or written"):
        mini.run(now="2026-01-10T14:10:00Z", layers=BRONZE, backfill=ahead)


def test_X11_a_full_refresh_reads_one_table_whole_and_leaves_the_others_alone(mini: Mini) -> None:
    before = watermarks(mini, "2026-01-30T19:00:00Z")
    commits = mini.commits("bronze.hosb_stays")
    ended = mini.run(now="2026-01-30T19:10:00Z", full_refresh=("hos-a.visits",))
    assert ended.code == 0, ended.said
    assert [row.target for row in ended.logs if row.layer == "bronze"] == ["bronze.hosa_visits"]
    log = ended.log("bronze", "hosa_visits")
    # W00 lies before every window so far; the row without a stamp is left out by its policy.
    assert (log.rows_written, log.rows_dropped, log.rows_read) == (1, 1, log.rows_duplicate + 2)
    assert mini.commits("bronze.hosb_stays") == commits
    assert watermarks(mini, "2026-01-30T19:20:00Z") == before


@pytest.mark.wide
def test_a_reset_is_audited_reads_nothing_and_the_next_run_starts_there(mini: Mini) -> None:
    reset = mini.run(now="2026-01-30T20:00:00Z", reset_watermark=("hos-a.visits", "2026-01-10 00:00:00"))
    assert reset.code == 0, reset.said
    log = reset.log("bronze", "hosa_visits")
    assert (log.status, log.watermark_after, log.rows_read) == ("RESET", "2026-01-10 00:00:00.000000", None)
    after = mini.run(now="2026-01-30T20:10:00Z").log("bronze", "hosa_visits")
    assert after.watermark_before == "2026-01-10 00:00:00.000000"
    assert (after.rows_written, after.rows_duplicate > 5) == (0, True), "rows known are dropped, not doubled"
    beginning = mini.run(now="2026-01-30T20:20:00Z", reset_watermark=("hos-a.visits", "beginning"))
    assert beginning.log("bronze", "hosa_visits").watermark_after is None
    assert mini.run(now="2026-01-30T20:30:00Z").log("bronze", "hosa_visits").window_low is None


def test_verbs_refuse_what_they_cannot_do_before_anything_is_read(mini: Mini) -> None:
    cases = {
        "full refresh of an unknown load": ({"full_refresh": ("hos-a.visit",)}, "Did you mean 'hos-a.visits'"),
        "reset to a value of another kind": ({"reset_watermark": ("hos-b.stays", "yesterday")}, "expected a day like 2026-01-31"),
        "back-fill of an empty range": ({"backfill": Backfill(("hos-b.stays",), "2026-01-02", "2026-01-02")}, "is not before"),
    }
    for case, (options, expected) in cases.items():
        commits = mini.commits("bronze.hosa_visits"), mini.commits("bronze.hosb_stays")
        try:
            ended = mini.run(now="2026-01-30T21:00:00Z", **options)  # type: ignore[arg-type]
            said, code = ended.said, ended.code
        except ConfigError as error:
            said, code = str(error), error.exit_code
        assert expected in said.replace("\n", " "), f"{case}: {said}"
        assert code != 0, case
        assert (mini.commits("bronze.hosa_visits"), mini.commits("bronze.hosb_stays")) == commits, case


@pytest.mark.wide
def test_a_dry_run_of_a_verb_shows_the_plan_and_changes_nothing(mini: Mini, tmp_path: Path) -> None:
    commits = mini.commits("bronze.hosa_visits")
    said = mini.run(now="2026-01-30T21:10:00Z", dry_run=True, backfill=Backfill(("hos-a.visits",), "2025-01-01", "2025-02-01")).said
    assert "2025-01-01 00:00:00.000000" in said
    assert "2025-02-01 00:00:00.000000" in said
    assert "stays" not in said.replace("bronze.hosb_stays", "").replace("bronze:hos-b.stays", "") or "bronze:hos-b.stays" not in said
    reset = mini.run(now="2026-01-30T21:10:00Z", dry_run=True, reset_watermark=("hos-a.visits", "beginning")).said
    assert "beginning" in reset
    assert mini.commits("bronze.hosa_visits") == commits
