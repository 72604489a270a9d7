"""What a run does outside the hours of a source: loads wait, and a verb that needed the source is told as not done."""

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from rcm_lakehouse.pipeline import bronze_step, runner
from rcm_lakehouse.pipeline.context import Backfill
from windows_kit import BRONZE, at_point, insert, keys, project

pytestmark = pytest.mark.wide

NOON, NIGHT = "2026-01-11T12:00:00Z", "2026-01-11T21:00:00Z"
VERBS: dict[str, dict[str, object]] = {
    "--reconcile": {"reconcile": ("hos-a.visits",)},
    "--full-refresh": {"full_refresh": ("hos-a.visits",)},
    "--from/--to": {"backfill": Backfill(("hos-a.visits",), "2026-01-01", "2026-01-10")},
    "--approve-deletes": {"approve_deletes": ("hos-a.visits",)},
}


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """A hospital that is read at night, with one visit loaded and one that is new."""
    made = project(spark, tmp_path_factory.mktemp("hours"), load_hours="20:00-06:00")
    made.sql(insert("a", "2026-01-10 10:00:00"))
    assert made.run(now="2026-01-10T21:00:00Z", layers=BRONZE).code == 0
    made.sql(insert("b", "2026-01-11 10:00:00"))
    return made


def test_a_plain_load_outside_its_hours_waits_and_nothing_is_wrong(mini: Mini) -> None:
    ended = mini.run(now=NOON, layers=BRONZE)
    log = ended.log("bronze", "hosa_visits")
    assert (ended.code, log.status, log.message) == (0, "OUTSIDE_HOURS", "it is 12:00 in UTC; this source is read between 20:00 and 06:00")
    assert keys(mini) == ["a"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_outside_the_hours_of_its_source_is_told_as_not_done(verb: str, mini: Mini) -> None:
    ended = mini.run(now=NOON, layers=BRONZE, **VERBS[verb])
    told = f"{verb} hos-a.visits was not done: it is 12:00 in UTC; this source is read between 20:00 and 06:00. Run it again then."
    assert (ended.code, ended.log("bronze", "hosa_visits").status) == (1, "OUTSIDE_HOURS")
    assert f"bronze hos-a.visits: {told}" in ended.said
    assert [row.status for row in ended.logs if row.layer == "run"] == ["FAILED"]
    assert not [row for row in ended.logs if row.layer == "reconcile"]
    assert keys(mini) == ["a"]


def test_a_load_that_is_reached_after_the_hours_is_not_begun(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    later = at_point("P1", lambda: monkeypatch.setenv("RCM_TEST_NOW", "2026-01-11T06:00:01Z"))
    monkeypatch.setattr(runner, "crash_point", later)
    ended = mini.run(monkeypatch, now="2026-01-11T05:59:59Z", layers=BRONZE)
    log = ended.log("bronze", "hosa_visits")
    assert (ended.code, log.status, log.message) == (0, "OUTSIDE_HOURS", "it is 06:00 in UTC; this source is read between 20:00 and 06:00")
    assert keys(mini) == ["a"]


def test_the_same_verbs_are_done_in_the_hours(mini: Mini) -> None:
    assert [mini.run(now=NIGHT, layers=BRONZE, **given).code for given in VERBS.values()] == [0, 0, 0, 0]
    assert keys(mini) == ["a", "b"]


def test_a_comparison_that_is_reached_after_the_hours_is_told_as_not_done(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    mini.sql(insert("c", "2026-01-12 02:00:00"))
    monkeypatch.setattr(bronze_step, "crash_point", at_point("P6", lambda: monkeypatch.setenv("RCM_TEST_NOW", "2026-01-12T09:00:00Z")))
    ended = mini.run(monkeypatch, now="2026-01-12T05:59:59Z", layers=BRONZE, reconcile=("hos-a.visits",))
    log = ended.log("reconcile", "hosa_visits")
    told = "--reconcile hos-a.visits was not done: it is 09:00 in UTC; this source is read between 20:00 and 06:00. Run it again then."
    assert (ended.code, log.status, log.message) == (1, "OUTSIDE_HOURS", told)
    assert keys(mini) == ["a", "b", "c"]
