"""A model is built of tables of its own day alone: built for another one than what it reads, it is refused and shows no figures."""


import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import full, visit_contract
from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE

pytestmark = pytest.mark.deep

HEADER = "/*\ngrain: one {key}\ndescription: d\nkey: [{key}]\n*/\n"
KPIS = """\
SELECT p.data_source, s.state AS kpi, CAST(s.visits AS DECIMAL(18, 6)) AS value, 'visits' AS unit, CAST(:as_of AS DATE) AS as_of_date, s.counted_on
FROM gold.states s JOIN gold.places p ON p.data_source = s.data_source"""
MODELS = {
    "visits": ("visit_key", "SELECT visit_key, state, data_source, CAST(:as_of AS DATE) AS as_of_date FROM silver.visit WHERE is_current"),
    # It takes no parameter itself: what it reads does.
    "states": ("state", "SELECT state, max(data_source) AS data_source, count(*) AS visits, max(as_of_date) AS counted_on FROM gold.visits GROUP BY state"),
    "places": ("data_source", "SELECT DISTINCT data_source FROM silver.visit"),
    "kpi_summary": ("kpi", KPIS),
}
OCTOBER, NOVEMBER = "2025-10-31", "2025-11-30"
ALL = "kpi_summary,states,visits"


def gold(mini: Mini, as_of: str, *only: str, dry_run: bool = False) -> Ended:
    return mini.run(now="2026-01-25T13:00:00Z", as_of=as_of, layers=("gold",), only=only, dry_run=dry_run)


def days(mini: Mini) -> list[tuple[str, str]]:
    return mini.rows("gold.kpi_summary", "string(as_of_date)", "string(counted_on)")


def refusal(model: str, wanted: str, read: str, found: str, named: str) -> str:
    return (
        f"gold.{model} is not built for as_of {wanted}: gold.{read}, which it reads, was built for {found}. Its figures would be of neither. "
        f"gold.{model} is as it was. Build them in one run: spark-submit jobs/run_pipeline.py --only {named} --as-of {wanted}, or the same without --only."
    )


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Two visits and the models, all built as of the end of November."""
    made = Mini(spark, tmp_path_factory.mktemp("days"), [full("visits")], own_contracts={"visit": visit_contract(["visits"])})
    made.connections = {"hospital-a": made.h2()}
    made.write()
    for name, (key, sql) in MODELS.items():
        (made.home / "conf" / "gold" / f"{name}.sql").write_text(f"{HEADER.format(key=key)}{sql}\n")
    made.sql("CREATE TABLE visits (VisitID VARCHAR(9), State VARCHAR(9))", "INSERT INTO visits VALUES ('V1', 'open'), ('V2', 'open')")
    assert made.run(now="2026-01-25T12:00:00Z", as_of=NOVEMBER).code == 0
    return made


def test_a_model_built_alone_for_another_day_than_what_it_reads_is_refused_and_shows_no_figures(mini: Mini) -> None:
    before = mini.commits("gold.kpi_summary")
    says = refusal("kpi_summary", OCTOBER, "states", f"as_of {NOVEMBER}", ALL)
    planned = gold(mini, OCTOBER, "kpi_summary", dry_run=True)
    assert (planned.code, [line for line in planned.said.splitlines() if line.startswith("gold.")]) == (1, [says])
    ended = gold(mini, OCTOBER, "kpi_summary")
    row = ended.log("gold", "kpi_summary")
    assert (ended.code, row.status, row.message) == (1, "FAILED", says)
    assert "KPIs as of" not in ended.said
    assert "No KPIs are shown" in ended.said
    assert (mini.commits("gold.kpi_summary"), days(mini)) == (before, [(NOVEMBER, NOVEMBER)])
    # Of its inputs' own day it is as it should be, alone too.
    assert gold(mini, NOVEMBER, "kpi_summary").log("gold", "kpi_summary").status == "NOOP"


def test_models_named_together_are_built_for_their_day_and_what_is_left_behind_is_refused_until_it_follows(mini: Mini) -> None:
    named = gold(mini, OCTOBER, *ALL.split(","))
    assert (named.code, "KPIs as of 2025-10-31" in named.said, days(mini)) == (0, True, [(OCTOBER, OCTOBER)])
    behind = gold(mini, NOVEMBER, "visits")
    assert behind.code == 0
    assert "Left as they are until the next run without it: gold:states, gold:kpi_summary." in behind.said
    # The states are of October still, whatever their own inputs have become.
    assert gold(mini, OCTOBER, "kpi_summary").log("gold", "kpi_summary").status == "NOOP"
    ended = gold(mini, NOVEMBER, "kpi_summary")
    assert (ended.code, ended.log("gold", "kpi_summary").message) == (
        1,
        refusal("kpi_summary", NOVEMBER, "states", f"as_of {OCTOBER}", "kpi_summary,states"),
    )
    whole = gold(mini, NOVEMBER)
    assert (whole.code, days(mini)) == (0, [(NOVEMBER, NOVEMBER)])


def test_a_table_of_a_day_that_no_audit_row_tells_is_of_another_day_until_a_run_has_looked_at_it(mini: Mini) -> None:
    gold(mini, NOVEMBER)
    # As an earlier release left it.
    mini.lake.replace(LOAD_LOGS_TABLE, mini.frame("audit.load_logs").drop("parameters"), metadata={})
    ended = gold(mini, NOVEMBER, "kpi_summary")
    assert (ended.code, ended.log("gold", "kpi_summary").message) == (1, refusal("kpi_summary", NOVEMBER, "states", "an unknown as_of", ALL))
    whole = gold(mini, NOVEMBER)
    assert (whole.code, whole.log("gold", "states").status) == (0, "NOOP")
    assert gold(mini, NOVEMBER, "kpi_summary").code == 0
