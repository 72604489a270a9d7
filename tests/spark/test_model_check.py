"""Gold models that only Spark's analyser can judge are refused before anything is read; what it takes is left alone."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import full, visit_contract
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.pipeline import model_check

HEADER = "/*\ngrain: g\ndescription: d\n*/\n"
# name: (a SELECT, the line of the file that is named, what is said)
WRONG = {
    "alias": ("SELECT z.visit_key FROM silver.visit v", 5, "it names the column 'z.visit_key', which is not there: 'z' is no table of the query that has it."),
    "qualified": ("SELECT\nsilver.visit.stat FROM silver.visit", 6, "it names the column 'visit.stat', which is not there. Did you mean 'state'?"),
    "subquery": ("SELECT state FROM silver.visit\nWHERE state IN (SELECT nosuch FROM silver.visit)", 6, "it names the column 'nosuch', which is not there."),
    "ordered": ("SELECT state FROM silver.visit UNION ALL SELECT state FROM silver.visit\nORDER BY nosuch", 6, "it names the column 'nosuch', which"),
    "lateral": ("SELECT x FROM silver.visit\nLATERAL VIEW explode(array(nosuch)) t AS x", 6, "it names the column 'nosuch', which is not there."),
    "joined": ("SELECT v.state FROM silver.visit v JOIN silver.visit w USING (nosuch)", 5, "USING column `nosuch` cannot be resolved on the left side"),
    "ambiguous": ("SELECT state\nFROM silver.visit v JOIN silver.visit w ON v.visit_key = w.visit_key", 5, "Reference `state` is ambiguous, could be:"),
    "uneven": ("SELECT state FROM silver.visit UNION ALL SELECT state, 1 FROM silver.visit", 5, "UNION can only be performed on inputs with"),
    "ungrouped": ("SELECT state, count(*) AS n FROM silver.visit", 5, "The query does not include a GROUP BY clause."),
    "types": ("SELECT effective_from + 1 AS x FROM silver.visit", 5, 'Cannot resolve "(effective_from + 1)" due to data type mismatch:'),
    "day": ("SELECT state FROM silver.visit\nWHERE effective_from > DATE'2026-13-01'", 6, "The value of the typed literal \"DATE\" is invalid"),
    "doubled": ("SELECT state, upper(state) AS state FROM silver.visit", 5, "the SELECT gives two columns 'state'; name one otherwise with AS."),
    "nameless": ("SELECT count(*) FROM silver.visit", 5, "the result's column 'count(1)' has a name that a table cannot have; name it with AS."),
}
RIGHT = {
    "own_name": "SELECT visit.state FROM silver.visit",
    "whole_name": "SELECT silver.visit.state AS state, Visit.visit_key FROM Silver.Visit WHERE silver.visit.is_current",
    "of_files": "SELECT state, _metadata.file_name AS name FROM silver.visit",
    "with_names": "WITH visit AS (SELECT * FROM silver.visit WHERE effective_from < CAST(:as_of AS DATE))\n"
    "SELECT v.state, 'silver.visit' AS told FROM visit v -- silver.visit",
    "of_gold": "SELECT o.state, own_name.state AS second FROM gold.own_name JOIN gold.whole_name o ON o.state = own_name.state",
    "outer": "SELECT v.state FROM silver.visit v WHERE EXISTS (SELECT 1 FROM gold.own_name n WHERE n.state = v.state)",
}
# Reads a refused model; its own mistake is told in the same round, and what follows from the other's is none.
AFTER = "SELECT a.visit_key + 1 AS one, count(*) AS n\nFROM gold.alias a JOIN gold.own_name n ON nn.state = a.visit_key GROUP BY ALL"


@pytest.fixture
def mini(spark: SparkSession, tmp_path: Path) -> Mini:
    mini = Mini(spark, tmp_path, [full("visits")], own_contracts={"visit": visit_contract(["visits"])})
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql("CREATE TABLE visits (VisitID VARCHAR(20), State VARCHAR(20))", "INSERT INTO visits VALUES ('v1', 'open')")
    return mini


def write(mini: Mini, models: dict[str, str]) -> None:
    for name, select in models.items():
        (mini.home / "conf" / "gold" / f"{name}.sql").write_text(f"{HEADER}{select}\n")


def test_every_model_that_spark_would_refuse_is_told_at_once_and_nothing_is_read(mini: Mini) -> None:
    write(mini, {**RIGHT, **{name: text for name, (text, _, _) in WRONG.items()}, "after": AFTER})
    for options in ({"dry_run": True}, {}):
        with pytest.raises(ConfigError) as refused:
            mini.run(**options)
        title, *mistakes = str(refused.value).splitlines()
        assert title == f"{len(WRONG) + 1} mistakes in the configuration; nothing was read or written:"
        wanted = {name: f"conf/gold/{name}.sql:{line}: {says}" for name, (_, line, says) in WRONG.items()}
        wanted["after"] = "conf/gold/after.sql:6: it names the column 'nn.state', which is not there: 'nn' is no table of the query that has it."
        for mistake in mistakes:
            name = mistake.removeprefix("conf/gold/").partition(".")[0]
            assert mistake.startswith(wanted.pop(name)), mistake
        assert wanted == {}
    assert not (mini.home / "lakehouse" / "bronze").exists()


def test_models_that_spark_takes_are_built_and_judged_again_only_when_the_configuration_changed(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mini, RIGHT)
    first = mini.run()
    assert first.code == 0, first.said
    assert {row.tablename: row.status for row in first.logs if row.layer == "gold"} == dict.fromkeys(RIGHT, "SUCCESS")
    assert {row[0] for row in mini.rows("gold.whole_name", "state")} == {"open"}
    judged: list[str] = []
    whole = model_check._judged
    monkeypatch.setattr(model_check, "_judged", lambda views, model, *rest: judged.append(model.name) or whole(views, model, *rest))
    assert mini.run().code == 0
    assert judged == []
    write(mini, {"own_name": "SELECT visit.state, 1 AS one FROM silver.visit"})
    assert mini.run().code == 0
    assert set(judged) == set(RIGHT) - {"of_files"}
