"""Gold carries no direct identifier of a contract, however it gets there; what tells no one apart is left alone."""

from pathlib import Path

import pytest
from builders import ProjectFolder, real_project, small_project

PATIENT, VISIT, SECOND = "conf/cdm/patient.yml", "conf/cdm/visit.yml", "conf/gold/second.sql"
NAME, BORN, NUMBER = "silver.patient.first_name", "silver.patient.born", "silver.visit.source_visit_id"

# case: (a SELECT, its line and result columns with what each carries)
REFUSED = {
    "as it is": ("SELECT patient_key,\nfirst_name, born\nFROM silver.patient", [(2, "born", BORN), (2, "first_name", NAME)]),
    "of another entity": ("SELECT source_visit_id FROM silver.visit", [(1, "source_visit_id", NUMBER)]),
    "under another name, in any case": ("SELECT P.FIRST_NAME AS code FROM Silver.Patient p", [(1, "code", NAME)]),
    "by the table's name": ("SELECT silver.patient.first_name AS a, patient.born AS b FROM silver.patient", [(1, "a", NAME), (1, "b", BORN)]),
    "changed": ("SELECT upper(left(first_name, 3)) AS a, sha2(first_name, 256) AS b FROM silver.patient", [(1, "a", NAME), (1, "b", NAME)]),
    "of two": ("SELECT concat(first_name, ' ', born) AS a FROM silver.patient", [(1, "a", f"{BORN}, {NAME}")]),
    "the least of them": ("SELECT data_source, min(first_name) AS a, collect_set(born) AS b FROM silver.patient GROUP BY 1", [(1, "a", NAME), (1, "b", BORN)]),
    "in a CASE": ("SELECT CASE WHEN is_current THEN 'x' ELSE first_name END AS a, if(version > 1, born, NULL) AS b FROM silver.patient",
                  [(1, "a", NAME), (1, "b", BORN)]),
    "by a window": ("SELECT lag(first_name) OVER (PARTITION BY data_source ORDER BY version) AS a FROM silver.patient", [(1, "a", NAME)]),
    "the one that goes with the highest": ("SELECT max_by(first_name, version) AS a FROM silver.patient", [(1, "a", NAME)]),
    "all of them": ("SELECT * FROM silver.patient", [(1, "born", BORN), (1, "first_name", NAME), (1, "record_hash", f"{BORN}, {NAME}")]),
    "all but some": ("SELECT p.* EXCEPT (born) FROM silver.patient p JOIN silver.visit v USING (patient_key)",
                     [(1, "first_name", NAME), (1, "record_hash", f"{BORN}, {NAME}")]),
    "by the hash of a row": ("SELECT patient_key, substr(record_hash, 1, 9) AS h FROM silver.patient", [(1, "h", f"{BORN}, {NAME}")]),
    "through a WITH": ("WITH a AS (SELECT *, first_name AS n FROM silver.patient)\nSELECT k, m FROM (SELECT version, n FROM a) AS b(k, m)", [(2, "m", NAME)]),
    "through a join": ("SELECT v.npi, q.c FROM silver.visit v\nJOIN (SELECT trim(first_name) AS c FROM silver.patient) q ON true", [(1, "c", NAME)]),
    "without an alias in a join": ("SELECT npi, born AS b FROM silver.visit v JOIN silver.patient p ON v.patient_key = p.patient_key", [(1, "b", BORN)]),
    "in one part of a UNION": ("SELECT 'none' AS who\nUNION ALL\nSELECT first_name FROM silver.patient", [(3, "who", NAME)]),
    "in a UNION by name": ("SELECT 1 AS n, 'x' AS who UNION ALL BY NAME SELECT first_name AS who, 2 AS n FROM silver.patient", [(1, "who", NAME)]),
    "in a subquery": ("SELECT v.npi, (SELECT max(first_name) FROM silver.patient) AS a FROM silver.visit v", [(1, "a", NAME)]),
    "of the query around it": ("SELECT p.patient_key, (SELECT max(p.first_name || v.npi) FROM silver.visit v) AS a FROM silver.patient p", [(1, "a", NAME)]),
    "by a lateral alias": ("SELECT first_name AS a, lower(a) AS b FROM silver.patient", [(1, "a", NAME), (1, "b", NAME)]),
    "in a structure": ("WITH s AS (SELECT struct(first_name AS f, version AS v) AS e FROM silver.patient) SELECT s.e.f AS a, e.f AS b FROM s",
                       [(1, "a", NAME), (1, "b", NAME)]),
    "all of them in a structure": ("SELECT to_json(struct(p.*)) AS a FROM silver.patient p", [(1, "a", f"{BORN}, {NAME}")]),
    "behind a lateral view": ("SELECT part AS a FROM silver.patient LATERAL VIEW explode(split(first_name, '')) t AS part", [(1, "a", NAME)]),
    "in rows of its columns": ("SELECT stack(2, first_name, 'x') AS (a) FROM silver.patient", [(1, "a", NAME)]),
    "by a name that Spark makes up": ("SELECT q.col1 AS a FROM (SELECT inline(array(struct(first_name, 1))) FROM silver.patient) q", [(1, "a", NAME)]),
    "by the name of a field": ("WITH p AS (SELECT version, inline_outer(array(struct(first_name, born))) FROM silver.patient) SELECT version, born FROM p",
                               [(1, "born", f"{BORN}, {NAME}")]),
    "by the number of a column": ("WITH p AS (SELECT patient_key, stack(2, first_name, born) FROM silver.patient)\nSELECT patient_key, col0 AS code FROM p",
                                  [(2, "code", f"{BORN}, {NAME}")]),
    "by the number of a value": ("SELECT c0 AS code FROM (SELECT json_tuple(first_name, 'x') FROM silver.patient)", [(1, "code", NAME)]),
    "by the text of a call": ("SELECT `mask(first_name)` AS code FROM (SELECT mask(first_name) FROM silver.patient)", [(1, "code", NAME)]),
    "by the text of a call behind a literal": ("SELECT `coalesce(x, born)` AS a FROM (SELECT coalesce('x', born) FROM silver.patient)", [(1, "a", BORN)]),
    "by the text of a field": ("SELECT `max(struct(born)).born` AS a FROM (SELECT max(struct(born)).born FROM silver.patient)", [(1, "a", BORN)]),
    "beside rows of another width": (
        "SELECT b AS c FROM (SELECT inline(array(struct(1, 2 AS b))), 3 UNION ALL SELECT 1, inline(array(struct(born, 2))) FROM silver.patient)",
        [(1, "c", BORN)],
    ),
    "by a column that a join merges": (
        "SELECT npi AS n FROM silver.visit v RIGHT JOIN (SELECT inline(array(struct(first_name AS npi))) FROM silver.patient) q USING (npi)",
        [(1, "n", NAME)],
    ),
    "by a recursive WITH": ("WITH RECURSIVE r AS (SELECT first_name AS a, '' AS b FROM silver.patient UNION ALL SELECT b, a FROM r) SELECT b FROM r",
                            [(1, "b", NAME)]),
    "in another case": ("WITH Newest AS (SELECT first_name AS n FROM silver.patient)\nSELECT n FROM newest", [(2, "n", NAME)]),
    "by an alias in another case": ("WITH a AS (SELECT first_name AS N FROM silver.patient) SELECT X.n AS B FROM A x", [(1, "b", NAME)]),
    "as days": ("SELECT datediff(CAST(:as_of AS DATE), born) AS a, months_between(CAST(:as_of AS DATE), born) AS b FROM silver.patient",
                [(1, "a", BORN), (1, "b", BORN)]),
    "as days of a unit": ("SELECT timestampdiff(DAY, born, CAST(:as_of AS DATE)) AS a, datediff(MONTH, born, CAST(:as_of AS DATE)) AS b FROM silver.patient",
                          [(1, "a", BORN), (1, "b", BORN)]),
    "as an age with its fraction": ("SELECT floor(months_between(:as_of, born) / 12, 3) AS a, months_between(:as_of, born) / 12 AS b FROM silver.patient",
                                    [(1, "a", BORN), (1, "b", BORN)]),
    "as no whole years": ("SELECT floor(months_between(:as_of, born) / 0.1) AS a, floor(datediff(:as_of, born) / 365.25) AS b FROM silver.patient",
                          [(1, "a", BORN), (1, "b", BORN)]),
    "as the size of one value": ("SELECT size(split(first_name, '')) AS a, cardinality(split(first_name, '')) AS b FROM silver.patient",
                                 [(1, "a", NAME), (1, "b", NAME)]),
    "as years of days around it": ("SELECT year(date_add(born, 30)) AS a, floor(months_between(:as_of, date_add(born, 1)) / 12) AS b FROM silver.patient",
                                   [(1, "a", BORN), (1, "b", BORN)]),
}
# case: (a SELECT, what its columns may carry)
REFUSED_AS_A_WHOLE = {
    "a structure unfolded": ("WITH s AS (SELECT max(struct(first_name AS n)) AS newest FROM silver.patient) SELECT newest.* FROM s", NAME),
    "a structure of a source": ("SELECT t.c.* FROM (SELECT born, struct(first_name AS n) AS c FROM silver.patient) t", NAME),
    "a structure in a structure": ("SELECT r.inner.* FROM (SELECT struct(struct(first_name AS n) AS inner) AS r FROM silver.patient)", NAME),
    "a structure of a list": ("SELECT c[0].* FROM (SELECT array(struct(first_name AS n)) AS c FROM silver.patient)", NAME),
    "a structure of a lateral view": ("SELECT c.* FROM silver.patient p LATERAL VIEW explode(array(struct(p.first_name AS a))) t AS c", NAME),
    "queries without a name": ("SELECT a FROM (SELECT first_name AS a FROM silver.patient), (SELECT count(*) AS m FROM silver.visit)", NAME),
    "all of queries without a name": ("SELECT * FROM (SELECT * FROM silver.patient), (SELECT count(*) AS m FROM silver.visit)", f"{BORN}, {NAME}, {NUMBER}"),
    "an alias used twice": ("SELECT FIRST_NAME AS f FROM silver.patient a JOIN silver.visit a USING (patient_key)", NAME),
    "a table beside itself": ("SELECT first_name AS f FROM silver.patient LEFT SEMI JOIN silver.patient USING (patient_key)", NAME),
    "a lateral view named as the table": ("SELECT c FROM silver.patient LATERAL VIEW explode(array(first_name)) patient AS c", NAME),
    "a table in brackets": ("SELECT q.first_name AS f FROM (silver.patient) AS q", NAME),
    "a table in brackets under new names": ("SELECT q.a FROM (silver.patient) AS q(a, b, c)", f"{BORN}, {NAME}"),
    "a join in brackets": ("SELECT z.born AS b FROM (silver.patient p JOIN silver.visit v ON true) AS z", BORN),
    "all of a join in brackets": ("SELECT * FROM (silver.patient p JOIN silver.visit v ON true) AS z", f"{BORN}, {NAME}, {NUMBER}"),
}
TAKEN = {
    "a count": "SELECT count(*) AS n, count(DISTINCT first_name) AS names, count_if(born IS NULL) AS unborn FROM silver.patient",
    "a condition": "SELECT first_name IS NOT NULL AS named, born > DATE'2000-01-01' AND first_name <> 'x' AS young, isnull(born) AS b FROM silver.patient",
    "a condition by a call": "SELECT arrays_overlap(collect_set(first_name), array('x')) AS a, forall(collect_set(born), d -> d > DATE'2000-01-01') AS b, "
    "luhn_check(max(first_name)) AS c, equal_null(min(first_name), max(first_name)) AS d, is_valid_utf8(max(first_name)) AS e FROM silver.patient",
    "a count of what is collected": "SELECT size(collect_set(first_name)) AS a, cardinality(array_agg(born)) AS b, "
    "array_size(collect_set(born) FILTER (WHERE is_current)) AS c FROM silver.patient",
    "a year": "SELECT year(born) AS y, extract(YEAR FROM born) AS z FROM silver.patient",
    "an age": "SELECT CASE WHEN months_between(CAST(:as_of AS DATE), born) < 216 THEN 'child' ELSE 'other' END AS band, "
    "floor(months_between(CAST(:as_of AS DATE), born) / 12) AS age FROM silver.patient",
    "an age in whole years": "SELECT CAST(months_between(:as_of, born) / 12 AS INT) AS a, int(months_between(DATE'2026-01-31', p.born) / 12) AS b, "
    "bigint(months_between(:as_of, born) / 12) AS e, smallint(months_between(:as_of, born) / 12) AS f, "
    "timestampdiff(YEAR, born, CAST(:as_of AS DATE)) AS c, datediff(YEAR, born, CAST(:as_of AS DATE)) AS d FROM silver.patient p",
    "days compared": "SELECT datediff(CAST(:as_of AS DATE), born) < 6570 AS is_child FROM silver.patient",
    "what it decides": "SELECT p.patient_key, row_number() OVER (PARTITION BY born ORDER BY first_name) AS n, max_by(version, born) OVER () AS v "
    "FROM silver.patient p JOIN silver.visit v ON v.npi = p.first_name WHERE born < CAST(:as_of AS DATE) ORDER BY first_name",
    "the day of an event": "SELECT seen, max(seen) OVER () AS last FROM silver.visit UNION ALL SELECT * FROM (SELECT seen, seen FROM silver.visit)",
    "keys": "SELECT patient_key, visit_key, npi FROM silver.visit",
    "another column of that name": "SELECT q.first_name FROM (SELECT npi AS first_name FROM silver.visit) q JOIN silver.patient p USING (patient_key)",
    "beside a column without a name": "SELECT v.npi, version FROM silver.visit v, (SELECT max(first_name) FROM silver.patient) q",
    "counts of queries without a name": "SELECT n, m FROM (SELECT count(*) AS n FROM silver.patient), (SELECT count(*) AS m FROM silver.visit)",
    "queries without a name, joined": "SELECT data_source, n FROM (SELECT data_source, count(*) AS n FROM silver.patient GROUP BY 1) "
    "JOIN (SELECT data_source FROM silver.visit) USING (data_source)",
    "an alias used twice": "SELECT version FROM silver.patient a JOIN silver.visit a USING (patient_key)",
    "a lateral view named as the table": "SELECT c FROM silver.patient LATERAL VIEW explode(array(1, 2)) patient AS c",
    "brackets": "SELECT q.version FROM (silver.patient) AS q",
    "brackets without an alias": "SELECT p.version, count(*) AS n FROM (silver.patient p JOIN silver.visit v ON p.first_name = v.npi) GROUP BY 1",
    "a structure": "SELECT t.c.* FROM (SELECT patient_key, born, struct(version AS v) AS c FROM silver.patient) t",
    "beside what has no name": "SELECT q.version FROM (SELECT version, mask(first_name), coalesce('x', born), CAST(born AS STRING) FROM silver.patient) q",
    "only within": "WITH p AS (SELECT * FROM silver.patient) SELECT patient_key, version FROM p",
}


def marked(home: Path, select: str) -> ProjectFolder:
    """The small project with a person's name and birth date, a visit's number and day marked as direct identifiers, and a model."""
    folder = small_project(home).write(SECOND, f"/*\ngrain: g\ndescription: d\n*/\n{select}\n")
    folder.edit(PATIENT, "clean: proper_name}", "clean: proper_name, phi: direct}\n  - {name: born, type: date, phi: direct}")
    folder.edit(PATIENT, "key: [source_patient_id]", "key: [source_patient_id]\nkey_is_personal: true")
    return folder.edit(VISIT, "source_visit_id, type: string}", "source_visit_id, type: string, phi: direct}\n  - {name: seen, type: date, phi: direct}")


@pytest.mark.parametrize("case", REFUSED)
def test_a_column_that_carries_a_direct_identifier_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    select, expected = REFUSED[case]
    advice = "by contract a direct identifier (phi: direct), which gold may not hold. Leave it out, or give a count, a condition or an age in whole years."
    told = [f"{SECOND}:{4 + line}: the result's column '{name}' carries {origins}, {advice}" for line, name, origins in expected]
    assert marked(tmp_path, select).mistakes() == sorted(told)


@pytest.mark.parametrize("case", REFUSED_AS_A_WHOLE)
def test_a_result_of_which_any_column_may_carry_one_is_refused(case: str, tmp_path: Path) -> None:
    select, origins = REFUSED_AS_A_WHOLE[case]
    text = f"the result carries {origins}, by contract direct identifiers (phi: direct), which gold may not hold. Leave them out."
    assert marked(tmp_path, select).mistakes() == [f"{SECOND}:5: {text}"]


@pytest.mark.parametrize("case", TAKEN)
def test_what_tells_no_one_apart_is_taken(case: str, tmp_path: Path) -> None:
    assert "second" in marked(tmp_path, TAKEN[case]).load().models


NAMELESS = "SELECT n, m FROM (SELECT count(*) AS n FROM silver.patient), (SELECT count(*) AS m FROM silver.visit)"


RENAMED = "WITH q(a, b) AS (SELECT data_source, version FROM silver.patient) SELECT a, n FROM q, audit.runs AS r(n)"


@pytest.mark.parametrize("select", [NAMELESS, RENAMED])
def test_a_monitor_over_queries_without_a_name_or_under_new_names_is_taken(select: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path).write("conf/monitor/counts.sql", f"/*\ntitle: T\nrow: r\nseverity: warn\n*/\n{select}\n")
    assert "counts" in folder.load().monitors


def test_a_mistake_within_a_query_without_a_name_is_still_told(tmp_path: Path) -> None:
    (mistake,) = marked(tmp_path, NAMELESS.replace("count(*) AS m", "max(visit_kye) AS m")).mistakes()
    assert mistake.startswith(f"{SECOND}:5: it names column 'visit_kye', which silver.visit does not have.")


def test_a_model_that_reads_a_refused_one_is_no_second_mistake(tmp_path: Path) -> None:
    folder = marked(tmp_path, "SELECT first_name FROM silver.patient")
    folder.write("conf/gold/third.sql", "/*\ngrain: g\ndescription: d\n*/\nSELECT * FROM gold.second\n")
    assert [mistake.partition(": ")[0] for mistake in folder.mistakes()] == [f"{SECOND}:5"]


def test_the_repositorys_own_patients_are_guarded(tmp_path: Path) -> None:
    folder = real_project(tmp_path).edit("conf/gold/dim_patient.sql", "coalesce(state, 'unknown')", "coalesce(zip5, 'unknown')")
    (mistake,) = folder.mistakes()
    line = folder.line("conf/gold/dim_patient.sql", "zip5")
    assert mistake.startswith(f"conf/gold/dim_patient.sql:{line}: the result's column 'state' carries silver.patient.zip5, by contract a direct identifier")


TELL_NOTHING = (
    "  - {name: is_new, type: boolean, derive: \"born > DATE'2020-01-01'\"}\n  - {name: year, type: int, derive: year(born)}\n"
    "  - {name: age, type: int, derive: \"floor(months_between(DATE'2026-01-01', born) / 12)\"}\n"
)
# case: (what is put after the columns of the contract, what is put after those of its mapping, the line's mark, what is told; None: taken)
BESIDE = {
    "derived": ("  - {name: initial, type: string, derive: \"left(first_name, 1)\"}\n", "", "name: initial", "column 'initial' carries 'first_name'"),
    "derived from a day": ("  - {name: age, type: int, derive: \"datediff(DATE'2026-01-01', born)\"}\n", "", "name: age", "column 'age' carries 'born'"),
    "the same column again": ("  - {name: called, type: string}\n", ", called: FIRSTNAME", "called: F", "mapping 'emr': 'called' carries 'first_name'"),
    "an expression over it": ("  - {name: code, type: string}\n", ", code: \"=md5(FirstName)\"", "code: ", "mapping 'emr': 'code' carries 'first_name'"),
    "a condition, a year, a whole age": (
        TELL_NOTHING,
        "", "", None),
    "marked": ("  - {name: initial, type: string, phi: quasi, derive: \"left(first_name, 1)\"}\n  - {name: called, type: string, phi: direct}\n",
               ", called: FirstName", "", None),
}  # fmt: skip


@pytest.mark.parametrize("case", BESIDE)
def test_a_column_made_of_a_direct_identifier_is_marked_too(case: str, tmp_path: Path) -> None:
    columns, mapped, mark, told = BESIDE[case]
    last, folder = "{name: born, type: date, phi: direct}\n", marked(tmp_path, "SELECT version FROM silver.patient")
    folder.edit(PATIENT, last, f"{last}{columns}")
    folder.edit(PATIENT, "source_modified_at: ModifiedDate}", f"source_modified_at: ModifiedDate{mapped}}}")
    if told is None:
        assert "patient" in folder.load().contracts
    else:
        way = "by contract a direct identifier (phi: direct), and is marked none: gold could show it. Mark it phi: direct, or phi: quasi where it names nobody."
        assert folder.mistakes() == [f"{PATIENT}:{folder.line(PATIENT, mark)}: {told}, {way}"]
