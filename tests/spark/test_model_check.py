"""Gold models and expressions of contracts that only Spark's analyser can judge are refused before anything is read; what it takes is left alone."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import full, visit_contract
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.pipeline import model_check

pytestmark = pytest.mark.wide

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

UNFIT = "due to data type mismatch:"
# name: (the column's type, how it is derived, what is said of it)
WRONG_DERIVES = {
    "less_a_list": ("decimal(18,2)", "charge_amount - array(1)", f'derive: Cannot resolve "(charge_amount - array(1))" {UNFIT}'),
    "a_list": ("decimal(18,2)", "array(charge_amount)", "derive gives array<decimal(18,2)>, which cannot be made the column's decimal(18,2)."),
    "keyed": ("string", "concat(visit_key, state)", "derive: A column, variable, or function parameter with name `visit_key` cannot be resolved."),
}
# name: (the rule, what is said)
WRONG_CHECKS = {
    "amount": ({"check": "charge_amount"}, "expected a condition, which is true or false; the check gives decimal(18,2)."),
    "text": ({"check": "state", "null_passes": True}, "expected a condition, which is true or false; the check gives string."),
    "day": ({"check": "charge_amount < date_add(service_date, 1)"}, f'Cannot resolve "(charge_amount < date_add(service_date, 1))" {UNFIT}'),
    "once": ({"check": "charge_amount", "unique": ["state"]}, "expected a condition, which is true or false; the check gives decimal(18,2)."),
}
RIGHT_DERIVES = {"half_amount": ("decimal(18,2)", "charge_amount / 2"), "of_text": ("decimal(18,2)", "coalesce(state, 'none')")}
RIGHT_CHECKS = {
    "derived": {"check": "half_amount <= charge_amount OR of_text > 0", "severity": "warn", "null_passes": True},
    "key_known": {"check": "visit_key IS NOT NULL AND data_source <> 'x'", "severity": "warn"},
    "once_only": {"check": "charge_amount > 0", "unique": ["state"], "severity": "warn"},
}

FAILFAST = "from_json(state, 'a INT', map('mode', 'FAILFAST')) IS NOT NULL"


def visit_with(derives: dict[str, tuple[str, str]], rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The contract of `visit` with an amount, a day and these derived columns and rules."""
    contract = visit_contract(["visits"])
    given = [{"name": "charge_amount", "type": "decimal(18,2)"}, {"name": "service_date", "type": "date"}]
    derived = [{"name": name, "type": kind, "derive": text} for name, (kind, text) in derives.items()]
    columns = {**contract["sources"][0]["columns"], "charge_amount": "= 1.5", "service_date": "= NULL"}
    sources = [{**contract["sources"][0], "columns": columns}]
    listed = [{"name": name, **rule} for name, rule in rules.items()]
    # What is made of the mapped columns may stand before them.
    return {**contract, "columns": [*derived, *contract["columns"], *given], "sources": sources, "rules": listed}


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


@pytest.mark.deep
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


@pytest.mark.deep
def test_expressions_of_contracts_that_do_not_fit_are_told_with_the_models_and_judged_again_only_when_the_configuration_changed(
    mini: Mini, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**RIGHT_DERIVES, **{name: (kind, text) for name, (kind, text, _) in WRONG_DERIVES.items()}}
    mini.own_contracts = {"visit": visit_with(wrong, {**{name: rule for name, (rule, _) in WRONG_CHECKS.items()}, **RIGHT_CHECKS})}
    mini.write()
    write(mini, {"alias": WRONG["alias"][0]})
    with pytest.raises(ConfigError) as refused:
        mini.run()
    title, *mistakes = str(refused.value).splitlines()
    lines = (mini.home / "conf" / "cdm" / "visit.yml").read_text().splitlines()
    wanted = [(f"name: {name}", f"column '{name}'", says) for name, (_, _, says) in WRONG_DERIVES.items()]
    wanted += [(f"name: {name}", f"rule '{name}'", says) for name, (_, says) in WRONG_CHECKS.items()]
    assert title == f"{len(wanted) + 1} mistakes in the configuration; nothing was read or written:"
    for mistake, (named, what, says) in zip(mistakes, wanted, strict=False):
        line = next(number for number, text in enumerate(lines, 1) if text.endswith(named))
        assert mistake.startswith(f"conf/cdm/visit.yml:{line}: {what}"), mistake
        assert says in mistake
    assert mistakes[-1].startswith("conf/gold/alias.sql:5: ")
    assert not (mini.home / "lakehouse" / "bronze").exists()
    mini.own_contracts = {"visit": visit_with(RIGHT_DERIVES, RIGHT_CHECKS)}
    mini.write()
    assert mini.run().code == 0
    judged: list[str] = []
    monkeypatch.setattr(model_check, "contract_problems", lambda spark, home, contract: judged.append(contract.entity) or [])
    assert (mini.run().code, judged) == (0, [])
    mini.own_contracts = {"visit": visit_with(RIGHT_DERIVES, {})}
    mini.write()
    assert (mini.run().code, judged) == (0, ["visit"])
    # What only values can tell is told by the names of the expressions, and by no value.
    mini.own_contracts = {"visit": visit_with(RIGHT_DERIVES, {"coded": {"check": "cast(state as int) > 0"}, "other": {"check": "state <> 'x'"}})}
    mini.write()
    mini.sql("INSERT INTO visits VALUES ('v2', 'secret')")
    ended = mini.run()
    message = str(ended.log("silver", "visit").message)
    assert ended.code == 1
    assert message.startswith("silver:visit: rule 'coded' of conf/cdm/visit.yml cannot be computed for a value of some row (NumberFormatException:CAST_")
    assert "; the table is as it was. Let it give NULL there" in message
    assert "secret" not in ended.said
    others = {"named": {"check": "state <> concat('a', 'b')", "severity": "warn"}}
    # Of a derived column Spark quotes what surrounds it, of functions it quotes nothing.
    for derive, rules, delete_when, says in (
        ("CAST(state AS INT)", {}, None, "column 'coded', derive of conf/cdm/visit.yml cannot be computed for a value of some row (NumberFormat"),
        ("length(state)", others, "to_date(State, 'yyyy') IS NOT NULL", "mapping 'emr', delete_when of conf/cdm/visit.yml cannot be computed for a value of"),
        ("length(state)", {"json": {"check": FAILFAST}, **others}, None, "rule 'json' of conf/cdm/visit.yml cannot be computed for a value of some row (Py4J"),
    ):
        contract = visit_with({**RIGHT_DERIVES, "coded": ("int", derive)}, rules)
        contract["sources"] = [{**contract["sources"][0], "delete_when": delete_when}]
        mini.own_contracts = {"visit": contract}
        mini.write()
        ended = mini.run()
        assert str(ended.log("silver", "visit").message).startswith(f"silver:visit: {says}"), ended.said
        assert (ended.code, "secret" in ended.said) == (1, False)
    # So it is in gold.
    sized = ("decimal(18,2)", "length(state)")
    mini.own_contracts = {"visit": visit_with({**RIGHT_DERIVES, "of_text": sized, "coded": ("int", "length(state)")}, {})}
    mini.write()
    write(mini, {"alias": "SELECT\n  state,\n  CAST(state AS INT) AS code FROM silver.visit", "of_json": f"SELECT {FAILFAST} AS is_json FROM silver.visit"})
    ended = mini.run()
    assert (ended.code, "secret" in ended.said, ended.log("silver", "visit").rows_written) == (1, False, 2)
    for name, place in (("alias", "conf/gold/alias.sql:7"), ("of_json", "the SELECT of conf/gold/of_json.sql")):
        message = str(ended.log("gold", name).message)
        assert message.startswith(f"gold:{name}: {place} cannot be computed for a value of some row ("), message
        assert "; the table is as it was. Let it give NULL there (try_cast" in message


def test_a_total_of_what_is_no_number_is_told_with_its_line_and_nothing_is_read(mini: Mini) -> None:
    mini.own_contracts = {"visit": visit_with({}, {})}
    mini.write()
    amount = "silver.visit.charge_amount"
    for name, select, tie in (
        ("of_text", "SELECT state AS total FROM silver.visit", amount),
        ("to_text", "SELECT version AS total FROM silver.visit", "silver.visit.state"),
        ("of_numbers", "SELECT version AS total, NULL AS nothing FROM silver.visit", f"{amount}\n  nothing: {amount}"),
    ):
        header = f"/*\ngrain: g\ndescription: d\nties_out:\n  rows: silver.visit\n  total: {tie}\n*/\n"
        (mini.home / "conf" / "gold" / f"{name}.sql").write_text(header + select)
    with pytest.raises(ConfigError) as refused:
        mini.run()
    assert str(refused.value).splitlines()[1:] == [
        "conf/gold/of_text.sql:6: ties_out: column 'total' of the result is string; expected a number, whose total can be compared.",
        "conf/gold/to_text.sql:6: ties_out: silver.visit.state is string; expected a number, whose total can be compared.",
    ]
    assert not (mini.home / "lakehouse" / "bronze").exists()
