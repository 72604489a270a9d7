"""A reset of a watermark goes back and never forward, and needs nothing of its source; through a database and the audit."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import incremental
from rcm_lakehouse.config.errors import ConfigError
from windows_kit import BRONZE, insert, keys, project

pytestmark = pytest.mark.wide


def refusal(mini: Mini, now: str, load: str, value: str, *, dry_run: bool) -> str:
    """What a run says that refuses a reset as a mistake of its caller, before it wrote anything."""
    before = (mini.commits(f"bronze.{load.replace('hos-a.', 'hosa_')}"), mini.commits("audit.runs"), mini.commits("audit.load_logs"))
    with pytest.raises(ConfigError) as refused:
        mini.run(now=now, reset_watermark=(load, value), dry_run=dry_run)
    assert refused.value.exit_code == 2
    assert (mini.commits(f"bronze.{load.replace('hos-a.', 'hosa_')}"), mini.commits("audit.runs"), mini.commits("audit.load_logs")) == before
    return str(refused.value)


def reset_to(mini: Mini, now: str, value: str) -> Ended:
    ended = mini.run(now=now, reset_watermark=("hos-a.visits", value))
    assert (ended.code, ended.log("bronze", "hosa_visits").status) == (0, "RESET"), ended.said
    return ended


def test_a_reset_forward_is_refused_in_a_dry_run_too_and_no_row_is_skipped(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, incremental("visits"), incremental("stays", "Number"), tables=("visits", "stays"))
    mini.sql("ALTER TABLE stays ADD COLUMN Number BIGINT", insert("a", "2026-01-10 10:00:00"), "INSERT INTO stays VALUES ('s', 'open', NULL, 9)")
    assert mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE).code == 0
    values = {"2026-01-10 10:00:00.000001": "hos-a.visits", "2062-01-10": "hos-a.visits", "9999-12-31 23:59:59.999999": "hos-a.visits", "10": "hos-a.stays"}
    for value, load in values.items():
        for is_dry in (True, False):
            said = refusal(mini, "2026-01-10T11:10:00Z", load, value, dry_run=is_dry)
            stands = "the watermark of hos-a.stays is 9." if load == "hos-a.stays" else "the watermark of hos-a.visits is 2026-01-10 10:00:00.000000."
            assert stands in said
            assert "A reset goes back, never forward: rows between that and" in said
    mini.sql(insert("b", "2026-01-10 11:05:00"))
    read = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    assert read.log("bronze", "hosa_visits").rows_written == 1
    assert read.log("bronze", "hosa_visits").warnings == []
    assert keys(mini) == ["a", "b"]
    same = reset_to(mini, "2026-01-10T12:10:00Z", "2026-01-10 11:05:00").log("bronze", "hosa_visits")
    assert (same.watermark_before, same.watermark_after) == ("2026-01-10 11:05:00.000000",) * 2


def test_a_reset_without_a_watermark_goes_no_further_than_bronze_has_read(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path)
    mini.sql(insert("a", "2026-01-09 10:00:00"), insert("b", "2026-01-10 10:00:00"), insert("far", "2031-01-01 00:00:00"))
    assert mini.run(now="2026-01-10T11:00:00Z", layers=BRONZE).code == 0
    reset_to(mini, "2026-01-10T11:10:00Z", "beginning")
    said = refusal(mini, "2026-01-10T11:20:00Z", "hos-a.visits", "2026-01-10 10:30:00", dry_run=True)
    # The row far ahead was read once and proves nothing.
    assert "hos-a.visits has no watermark now, and the highest value in bronze is 2026-01-10 10:00:00.000000. A reset goes back" in said
    back = reset_to(mini, "2026-01-10T11:30:00Z", "2026-01-09 12:00:00").log("bronze", "hosa_visits")
    assert (back.watermark_before, back.watermark_after) == (None, "2026-01-09 12:00:00.000000")


def test_a_reset_asks_nothing_of_a_source_that_is_away_or_outside_its_hours(spark: SparkSession, tmp_path: Path) -> None:
    mini = project(spark, tmp_path, load_hours="20:00-06:00")
    mini.sql(insert("a", "2026-01-09 10:00:00"), insert("b", "2026-01-10 10:00:00"))
    assert mini.run(now="2026-01-10T21:00:00Z", layers=BRONZE).code == 0
    mini.sql("ALTER TABLE visits RENAME TO gone")
    dry = mini.run(now="2026-01-11T11:00:00Z", reset_watermark=("hos-a.visits", "2026-01-09"), dry_run=True)
    assert "outside load hours" not in dry.said
    log = reset_to(mini, "2026-01-11T11:00:00Z", "2026-01-09").log("bronze", "hosa_visits")
    assert (log.watermark_before, log.watermark_after) == ("2026-01-10 10:00:00.000000", "2026-01-09 00:00:00.000000")
    mini.sql("ALTER TABLE gone RENAME TO visits", insert("c", "2026-01-09 10:30:00"))
    after = mini.run(now="2026-01-11T21:00:00Z", layers=BRONZE).log("bronze", "hosa_visits")
    assert (after.watermark_before, after.rows_written, after.rows_duplicate) == ("2026-01-09 00:00:00.000000", 1, 2)
