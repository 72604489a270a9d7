"""Forms of a SELECT in which a word before a bracket is no call: they are taken, and nothing that Spark would call is taken with them."""

from pathlib import Path

import pytest
from test_config_identifiers import SECOND, marked

from rcm_lakehouse.config.sql_guard import wrong_in_select

TAKEN = {
    "columns of a WITH": "WITH a(number) AS (SELECT npi FROM silver.visit) SELECT number FROM a",
    "columns of a second WITH": "WITH a AS (SELECT npi FROM silver.visit), `b` (number, one) AS (SELECT npi, 1 FROM a) SELECT number FROM b",
    "columns of a WITH in a WITH": "WITH a(x) AS (WITH b(y) AS (SELECT npi FROM silver.visit) SELECT y FROM b) SELECT x FROM a",
    "columns of a WITH over values": "WITH a(x) AS (VALUES (1), (2)), b(y) AS ((SELECT x FROM a)) SELECT y FROM b",
    "columns of a recursive WITH": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r",
    "columns of a subquery without AS": "SELECT q.number FROM (SELECT npi FROM silver.visit) q(number)",
    "columns of values without AS": "SELECT v.npi FROM silver.visit v JOIN VALUES ('1'), ('2') t(npi) ON t.npi = v.npi",
    "a pivot": "SELECT * FROM (SELECT npi, version FROM silver.visit) PIVOT (count(*) FOR version IN (1, 2))",
    "a pivot by two": "SELECT a FROM (SELECT npi, version, visit_key FROM silver.visit) PIVOT (max(npi) FOR (version, visit_key) IN ((1, 'x'))) p(a)",
    "an unpivot": "SELECT k, v FROM (SELECT npi, CAST(version AS STRING) AS version FROM silver.visit) UNPIVOT (v FOR k IN (npi, version))",
    "an unpivot with NULL": "SELECT k, v FROM (SELECT npi, patient_key FROM silver.visit) UNPIVOT INCLUDE NULLS (v FOR k IN (npi, patient_key)) u",
    "a lateral subquery": "SELECT v.npi, n FROM silver.visit v JOIN LATERAL (SELECT count(*) AS n FROM silver.patient p WHERE p.patient_key = v.patient_key) x",
    "a lateral subquery without JOIN": "SELECT n FROM silver.visit v, LATERAL (SELECT count(*) FROM silver.patient p WHERE p.patient_key = visit_key) x(n)",
    "a pivot of a table": "SELECT n FROM gold.billing b PIVOT (count(*) FOR data_source IN ('hos-a' AS n))",
    "brackets behind LIMIT alone": "SELECT npi FROM silver.visit WHERE npi = 'x' LIMIT (10)",
    "brackets behind LIMIT": "SELECT npi FROM silver.visit ORDER BY npi LIMIT (10) OFFSET (1 + 1)",
}
# case: (a SELECT, what is said of it)
REFUSED = {
    "a call under new names": ("SELECT evil(a, b) AS (c) FROM silver.visit", "there is no function 'evil' that SQL"),
    "a call under the name of a word": ("SELECT 1, evil(a, b) AS (select) FROM silver.visit", "there is no function 'evil' that SQL"),
    "a call beside a WITH": ("WITH a(x) AS (SELECT 1), b AS (SELECT evil(x) AS (y) FROM a) SELECT y FROM b", "there is no function 'evil' that SQL"),
    "a call behind LATERAL": ("SELECT 1 FROM silver.visit, LATERAL evil(npi) AS t(a)", "there is no function 'evil' that SQL"),
    "a call in a pivot": ("SELECT 1 FROM (SELECT 1 AS a) PIVOT (evil(a) FOR a IN (1))", "there is no function 'evil' that SQL"),
    "a call in a list of columns": ("SELECT 1 FROM (SELECT 1) q(evil(a))", "there is no function 'q' that SQL"),
    "a call behind a CASE": ("SELECT CASE (1) WHEN evil(a) THEN 1 END AS x", "there is no function 'evil' that SQL"),
    "a call where a table stands": ("SELECT 1 FROM (SELECT 1) t JOIN evil(a) AS (b)", "there is no function 'evil' that SQL"),
    "a call behind a number": ("SELECT 1.evil('a') AS x", "there is no function '1.evil' that SQL"),
    "a call by a word of a pivot": ("SELECT nulls(1) AS x", "there is no function 'nulls' that SQL"),
    "a call by a word of a limit": ("SELECT 1 + offset(1) AS x", "there is no function 'offset' that SQL"),
    "a table by a word of a pivot": ("SELECT 1 FROM pivot(1)", "there is no function 'pivot' that SQL"),
    "what reaches outside": ("SELECT 1 FROM silver.visit reflect(a, b)", "'reflect' may not be called here"),
    "an alias of a table without AS": ("SELECT v.a FROM silver.visit v(a)", "columns behind the alias of a table need AS: AS v(…)."),
    "an alias of a query without AS": ("WITH q AS (SELECT 1) SELECT v.a FROM q v(a)", "columns behind the alias of a table need AS: AS v(…)."),
}
# Direct identifiers through these forms.
CARRIED = {
    "columns of a WITH": "WITH a(k, n) AS (SELECT patient_key, first_name FROM silver.patient) SELECT n FROM a",
    "columns of a recursive WITH": "WITH RECURSIVE r(a, b) AS (SELECT '', first_name FROM silver.patient UNION ALL SELECT b, a FROM r) SELECT a FROM r",
    "a pivot": "SELECT a FROM (SELECT version, first_name FROM silver.patient) PIVOT (max(first_name) FOR version IN (1 AS a))",
    "a pivot under new names": "SELECT a FROM (SELECT version, first_name FROM silver.patient) PIVOT (max(first_name) FOR version IN (1)) p(a)",
    "an unpivot": "SELECT v FROM (SELECT npi, first_name FROM silver.patient JOIN silver.visit USING (patient_key)) UNPIVOT (v FOR k IN (npi, first_name))",
    "a lateral subquery": "SELECT n FROM silver.visit v JOIN LATERAL (SELECT first_name AS n FROM silver.patient p WHERE p.patient_key = v.patient_key)",
    "the query around a lateral one": "SELECT n FROM silver.patient p, LATERAL (SELECT upper(first_name) UNION ALL SELECT 'x') x(n)",
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_word_before_a_bracket_that_is_no_call_is_taken(case: str, tmp_path: Path) -> None:
    assert "second" in marked(tmp_path, TAKEN[case]).load().models


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_a_call_is_judged_as_one(case: str) -> None:
    select, says = REFUSED[case]
    assert [found.text for found in wrong_in_select(select) if found.text.startswith(says)]


@pytest.mark.parametrize("case", CARRIED)
def test_a_direct_identifier_is_followed_through_these_forms(case: str, tmp_path: Path) -> None:
    (mistake,) = marked(tmp_path, CARRIED[case]).mistakes()
    assert mistake.startswith(f"{SECOND}:5: ")
    assert "silver.patient.first_name" in mistake
