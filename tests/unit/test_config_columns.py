"""Columns that gold names are judged before anything is read, where they can only be columns of a table that is known."""

from pathlib import Path

import pytest
from builders import ProjectFolder, real_project, small_project

BILLING, SECOND = "conf/gold/billing.sql", "conf/gold/second.sql"


def with_model(home: Path, select: str, *header: str) -> ProjectFolder:
    return small_project(home).write(SECOND, "\n".join(["/*", "grain: g", "description: d", *header, "*/", select, ""]))


# case: (a SELECT, the text in whose line the mistake is, what is said)
WRONG = {
    "a column of silver": (
        "SELECT p.patient_key,\n p.frist_name FROM silver.patient p",
        "frist",
        "it names column 'p.frist_name', which silver.patient does not have. Did you mean 'first_name'?",
    ),
    "without alias": (
        "SELECT patient_key\nFROM silver.patient WHERE is_curent",
        "is_curent",
        "it names column 'is_curent', which silver.patient does not have.",
    ),
    "by the table's own name": ("SELECT patient.frist_name FROM silver.patient", "frist", "it names column 'patient.frist_name', which silver.patient does"),
    "in any case": ("SELECT P.FRIST_NAME FROM silver.patient p", "FRIST", "it names column 'P.FRIST_NAME', which silver.patient does not have."),
    "in a join": (
        "SELECT p.patient_key FROM silver.patient p\nJOIN silver.visit v ON v.patient_kee = p.patient_key",
        "kee",
        "it names column 'v.patient_kee', which silver.visit does not have. Did you mean 'patient_key'?",
    ),
    "of a gold table": (
        "SELECT b.namless FROM gold.billing b",
        "namless",
        "it names column 'b.namless', which gold.billing does not have. Did you mean 'nameless'?",
    ),
    "behind a WITH": (
        "WITH p AS (SELECT *, 1 AS one FROM silver.patient)\nSELECT p.one, p.two FROM p",
        "p.two",
        "it names column 'p.two', which the query 'p' does not give.",
    ),
    "inside a WITH": (
        "WITH p AS (\n SELECT frist_name FROM silver.patient)\nSELECT p.frist_name FROM p",
        "SELECT frist_name",
        "it names column 'frist_name', which silver.patient does not have.",
    ),
    "inside a WITH, and right outside": (
        "WITH p AS (\n SELECT frist_name FROM silver.patient)\nSELECT p.first_name FROM p",
        "SELECT frist_name",
        "it names column 'frist_name', which silver.patient does not have.",
    ),
    "behind a UNION": (
        "SELECT u.b FROM (SELECT first_name AS a FROM silver.patient UNION ALL SELECT npi AS b FROM silver.visit) u",
        "u.b",
        "it names column 'u.b', which the query 'u' does not give.",
    ),
    "in the second part of a UNION": (
        "SELECT patient_key FROM silver.patient\nUNION ALL\nSELECT pateint_key FROM silver.visit",
        "pateint",
        "it names column 'pateint_key', which silver.visit does not have.",
    ),
    "of an outer query": (
        "SELECT p.patient_key FROM silver.patient p\nWHERE EXISTS (SELECT 1 FROM silver.visit v WHERE v.patient_key = p.patient_kye)",
        "kye",
        "it names column 'p.patient_kye', which silver.patient does not have.",
    ),
    "inside a lambda's call": (
        "SELECT transform(p.dq_flgs, x -> upper(x)) AS f FROM silver.patient p",
        "flgs",
        "it names column 'p.dq_flgs', which silver.patient does not have. Did you mean 'dq_flags'?",
    ),
}

# What looks like a mistake and is none, or cannot be known.
RIGHT = {
    "every added column": "SELECT patient_key, patient_sk, data_source, effective_from, effective_to, is_current, version, dq_flags, record_hash, "
    "_repeated_at, _source_table, _load_id, _batch_seq, _ingested_at FROM silver.patient",
    "any case and backticks": "SELECT P.`FIRST_NAME` FROM Silver.Patient AS p",
    "a lateral alias": "SELECT billed_amount * 2 AS twice, twice + 1 AS more FROM silver.patient",
    "an alias in ORDER BY and HAVING": "SELECT data_source AS d, count(*) AS n FROM silver.patient GROUP BY d HAVING n > 1 ORDER BY n",
    "lambdas": "SELECT transform(dq_flags, flag -> upper(flag)) AS f, aggregate(dq_flags, 0, (total, flag) -> total + 1) AS g FROM silver.patient",
    "a field of a structure": "WITH v AS (SELECT patient_key, max_by(struct(npi, version), version) AS entry FROM silver.visit GROUP BY patient_key) "
    "SELECT v.entry.npi, entry.version FROM v",
    "a field of a structure in ORDER BY": "WITH v AS (SELECT patient_key, max_by(struct(npi), version) AS entry FROM silver.visit GROUP BY patient_key) "
    "SELECT entry.npi FROM v ORDER BY npi",
    "a field of a structure named like an alias": "WITH v AS (SELECT patient_key, struct(npi) AS p FROM silver.visit) "
    "SELECT p.npi FROM v JOIN silver.patient p ON p.patient_key = v.patient_key",
    "a lateral view": "SELECT p.patient_key, f.flag, flag FROM silver.patient p LATERAL VIEW explode(p.dq_flags) f AS flag",
    "a generator with names": "SELECT kind, n FROM (SELECT stack(2, 'a', 1, 'b', 2) AS (kind, n) FROM silver.patient)",
    "a generator without a name": "SELECT x.col FROM (SELECT explode(dq_flags) FROM silver.patient) x",
    "names of an inner query": "SELECT q.a, q.b FROM (SELECT patient_key, data_source FROM silver.patient) AS q(a, b)",
    "a recursive WITH": "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT n.i FROM n",
    "two sources": "SELECT unheard_of FROM silver.patient p CROSS JOIN silver.visit v",
    "a subquery that may mean the outer one": "SELECT p.patient_key FROM silver.patient p WHERE p.data_source IN (SELECT first_name FROM silver.visit)",
    "all but some": "SELECT q.first_name FROM (SELECT * EXCEPT (first_name) FROM silver.patient) q",
    "a name that Spark makes up": "SELECT q.`count(1)`, q.whatever FROM (SELECT count(*) FROM silver.patient) q",
    "units of time": "SELECT timestampdiff(DAY, effective_from, effective_to) AS d, dateadd(MONTH, 1, effective_from) AS m, "
    "extract(YEAR FROM effective_from) AS y, date_diff(HOUR, effective_from, effective_to) AS h FROM silver.patient",
    "all columns": "SELECT data_source, count(*) AS n FROM silver.patient GROUP BY ALL",
    "a window with a name": "SELECT patient_key, row_number() OVER w AS n FROM silver.patient WINDOW w AS (PARTITION BY data_source ORDER BY effective_from)",
    "grouping sets": "SELECT coalesce(data_source, 'all') AS data_source, count(*) AS n FROM silver.patient GROUP BY GROUPING SETS ((data_source), ())",
    "parameters": "SELECT patient_key FROM silver.patient WHERE effective_from < CAST(:as_of AS DATE)",
    "a table by schema and name": "SELECT silver.patient.patient_key FROM silver.patient",
    "a join by name": "SELECT * FROM silver.patient JOIN gold.billing USING (data_source)",
    "values": "SELECT v.a FROM VALUES (1, 2) AS v(a, b)",
    "the file of a row": "SELECT patient_key, _metadata.row_index FROM silver.patient",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_column_that_is_not_there_is_named_with_its_line(case: str, tmp_path: Path) -> None:
    select, marked, says = WRONG[case]
    folder = with_model(tmp_path, select)
    (mistake,) = folder.mistakes()
    assert mistake.startswith(f"{SECOND}:{folder.line(SECOND, marked)}: {says}")


@pytest.mark.parametrize("case", RIGHT)
def test_what_may_be_there_is_left_to_the_run(case: str, tmp_path: Path) -> None:
    assert "second" in with_model(tmp_path, RIGHT[case]).load().models


def test_a_column_that_is_misspelled_where_it_is_made_is_one_mistake(tmp_path: Path) -> None:
    folder = with_model(tmp_path, "WITH p AS (SELECT frist_name FROM silver.patient)\nSELECT p.first_name FROM p", "key: [first_name]")
    folder.write("conf/gold/third.sql", "/*\ngrain: g\ndescription: d\n*/\nSELECT s.first_name FROM gold.second s\n")
    assert [mistake.partition(": ")[0] for mistake in folder.mistakes()] == [f"{SECOND}:6"]


def test_a_column_that_the_header_promises_is_not_missed_elsewhere(tmp_path: Path) -> None:
    folder = with_model(tmp_path, "SELECT b.billed_amount, b.nameless FROM gold.billing b").edit(BILLING, "AS billed_amount", "AS biled_amount")
    assert [mistake.partition(", which")[0] for mistake in folder.mistakes()] == [
        f"{BILLING}:5: measures names 'billed_amount'",
        f"{BILLING}:6: ties_out names 'billed_amount'",
    ]


def test_columns_behind_a_star_are_followed_into_the_header(tmp_path: Path) -> None:
    folder = with_model(tmp_path, "SELECT *, 1 AS one FROM silver.patient", "key: [patient_kye]")
    assert folder.mistakes() == [f"{SECOND}:4: key names 'patient_kye', which the SELECT does not give. Did you mean 'patient_key'?"]


def test_columns_of_a_contract_that_cannot_be_read_may_be_any(tmp_path: Path) -> None:
    folder = with_model(tmp_path, "SELECT p.unheard_of FROM silver.patient p").edit("conf/cdm/patient.yml", "entity: patient", "entity: 'patient")
    assert [mistake.partition(":")[0] for mistake in folder.mistakes()] == ["conf/cdm/patient.yml"]


def test_a_monitor_that_names_a_column_which_silver_or_gold_does_not_have_is_refused(tmp_path: Path) -> None:
    text = "/*\ntitle: T\nrow: r\nseverity: warn\n*/\nSELECT count(*) AS n, max(b.as_of_dat) AS d\nFROM gold.billing b\n"
    folder = small_project(tmp_path).write("conf/monitor/bills.sql", text)
    (mistake,) = folder.mistakes()
    assert mistake == "conf/monitor/bills.sql:6: it names column 'b.as_of_dat', which gold.billing does not have. Did you mean 'as_of_date'?"


def test_the_columns_of_every_gold_table_of_the_repository_are_known(tmp_path: Path) -> None:
    folder = real_project(tmp_path)
    names = sorted(folder.load().models)
    for name in names:
        folder.write(f"conf/gold/x_{name}.sql", f"/*\ngrain: g\ndescription: d\n*/\nSELECT t.no_such_column FROM gold.{name} t\n")
    assert [mistake.partition(".sql:5: ")[0] for mistake in folder.mistakes()] == [f"conf/gold/x_{name}" for name in names]
