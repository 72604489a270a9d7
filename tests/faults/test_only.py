"""`--only` runs what it names and nothing else, and says what it left behind; the next run takes it."""

from datetime import date

import pytest

from faulted import Small
from harness import PROJECT
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.plan import left_behind, steps_of

LEFT = "--only ran what it names alone. Left as they are until the next run without it: "

KPIS = """\
/*
grain: one KPI of one hospital
description: One sum, to see when it is rebuilt.
key: [data_source, kpi]
*/
SELECT data_source, 'charges' AS kpi, sum(charge_amount) AS value, 'usd' AS unit FROM gold.fact_charges GROUP BY data_source
"""


def lines_of(said: str, start: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(start)]


@pytest.mark.deep
def test_a_run_that_rebuilds_no_kpis_shows_none_and_names_what_it_left_behind(waiting: Small) -> None:
    (waiting.home / "conf" / "gold" / "kpi_summary.sql").write_text(KPIS)
    planned = waiting.run(day=2, only=("hos-a.patients",), dry_run=True)
    before = waiting.commits("gold.kpi_summary")
    loaded = waiting.run(day=2, only=("hos-a.patients",))
    assert (loaded.code, [row.layer for row in loaded.logs if row.layer != "run"]) == (0, ["bronze"])
    merged = waiting.run(day=2, only=("patient",))
    assert (merged.code, {row.layer for row in merged.logs if row.layer != "run"}) == (0, {"silver"})
    for ended, start in ((planned, LEFT.replace("ran", "would run", 1)), (loaded, LEFT)):
        assert lines_of(ended.said, start)[0].startswith(f"{start}silver:patient, ")
    assert lines_of(merged.said, LEFT)[0].startswith(f"{LEFT}silver:charge, ")
    for ended in (loaded, merged):
        assert "KPIs as of" not in ended.said
        assert lines_of(ended.said, "No KPIs are shown: gold.kpi_summary was not rebuilt")
    assert waiting.commits("gold.kpi_summary") == before
    whole = waiting.run(day=2)
    assert (whole.code, lines_of(whole.said, LEFT), "No KPIs" in whole.said) == (0, [], False)
    assert "KPIs as of" in whole.said
    assert waiting.commits("gold.kpi_summary") > before


def test_what_is_left_behind_is_named_whatever_the_alphabet_says_of_who_comes_first() -> None:
    project = load_project(PROJECT)
    early = project.models["kpi_summary"].model_copy(update={"name": "a_sum", "sql": "SELECT sum(value) AS value FROM gold.kpi_summary"})
    project = project.model_copy(update={"models": {"a_sum": early, **project.models}})

    def left(only: str) -> list[str]:
        options = RunOptions(as_of=date(2026, 1, 31), only=(only,))
        return left_behind(project, options, steps_of(project, options))

    found = left("hos-a.patients")
    assert [name for name in found if name.startswith("silver:")] == ["silver:patient", "silver:encounter", "silver:transaction", "silver:claim"]
    assert found[-2:] == ["gold:kpi_summary", "gold:a_sum"]
    assert left("dim_patient") == ["gold:fact_claims", "gold:fact_encounters", "gold:fact_transactions", "gold:kpi_summary", "gold:a_sum"]
    assert left("a_sum") == []
