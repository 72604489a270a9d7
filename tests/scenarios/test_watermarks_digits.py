"""Watermarks that are text of digits, on every product: other text is a missing watermark, by the same policy, and is lost nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import counts, failure, incremental, visit_contract
from servers import Server, connection_to

pytestmark = pytest.mark.deep

BRONZE = ("bronze",)
TABLE = "(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(20), Mark VARCHAR(60))"
OPTIONS = {
    "visits_include": {"null_watermark": "include", "partition_column": "Mark", "partitions": 2},
    "visits_exclude": {"null_watermark": "exclude"},
    "visits_fail": {"null_watermark": "fail"},
    "visits_never": {"null_watermark": "include"},
}
POLICIES = ("visits_include", "visits_exclude", "visits_fail")
NO_DIGITS = {"words": "'N/A'", "empty": "''", "blanks": "'  '", "fraction": "'103.7'", "power": "'1e3'", "sign": "'-'", "long": f"'{'9' * 40}'", "none": "NULL"}
Execute = Callable[..., object]


def started(product: str, spark: SparkSession, home: Path, request: pytest.FixtureRequest) -> tuple[Mini, Execute]:
    """Three tables of three visits, loaded, with a watermark of 100, and one that never had a number; and what runs statements in their database."""
    mini = Mini(spark, home, [incremental(table, database="emr") for table in OPTIONS], own_contracts={"visit": visit_contract(list(OPTIONS))})
    tables = {table: {"overlap_seconds": 2, **options} for table, options in OPTIONS.items()}
    execute: Execute
    if product == "h2":
        mini.connections = {"emr": mini.h2("emr", tables=tables)}

        def execute(*statements: str) -> None:
            mini.sql(*statements, database="emr")

    else:
        server: Server = request.getfixturevalue(f"{product}_server")
        server.make_database("digits")
        mini.connections = {"emr": connection_to(server, "digits", home, tables=tables)}

        def execute(*statements: str) -> None:
            server.execute("".join(f"{statement};\n" for statement in statements), "digits")

    mini.write()
    execute(f"CREATE TABLE visits_never {TABLE}", "INSERT INTO visits_never VALUES ('a', 'open', 'N/A')")
    for table in POLICIES:
        execute(f"CREATE TABLE {table} {TABLE}", f"INSERT INTO {table} VALUES ('a', 'open', '9'), ('b', 'open', '10'), ('c', 'open', '0100')")
    first = mini.run(layers=BRONZE)
    assert first.code == 0, first.said
    assert [first.log("bronze", f"hosa_{table}").watermark_after for table in OPTIONS] == ["100", "100", "100", None]
    return mini, execute


@pytest.mark.parametrize("product", ["h2", "mariadb", "postgresql"])
def test_I17_I08_text_that_holds_no_digits_is_a_missing_watermark(product: str, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    mini, execute = started(product, spark, tmp_path, request)
    values = {**NO_DIGITS, "next": "'101'", "padded": "' 102 '", "below": "'-5'"}
    for table in POLICIES:
        execute(*[f"INSERT INTO {table} VALUES ('{key}', 'open', {mark})" for key, mark in values.items()])

    second = mini.run(layers=BRONZE)

    assert f"{len(NO_DIGITS)} rows have no Mark of digits. Nothing was committed" in failure(second, "visits_fail")
    assert counts(second, "visits_never") == (1, 0, 1, 0, 0)
    assert counts(second, "visits_include") == (11, 10, 1, 0, 0)
    assert counts(second, "visits_exclude") == (11, 2, 1, 8, 0)
    assert {second.log("bronze", f"hosa_visits_{policy}").watermark_after for policy in ("include", "exclude")} == {"102"}
    flagged = mini.rows("bronze.hosa_visits_include", "VisitID", "_flags", where="_flags IS NOT NULL")
    assert flagged == [(key, ["null_watermark"]) for key in sorted(NO_DIGITS)]
    assert mini.rows("bronze.hosa_visits_exclude", "VisitID") == [(key,) for key in ("a", "b", "c", "next", "padded")]

    execute("UPDATE visits_include SET State = 'closed' WHERE VisitID = 'words'", "UPDATE visits_include SET Mark = '103' WHERE VisitID = 'empty'")
    execute("UPDATE visits_fail SET Mark = '103' WHERE VisitID NOT IN ('a', 'b', 'c', 'next', 'padded', 'below')")
    third = mini.run(layers=BRONZE)
    assert third.code == 0, third.said
    assert counts(third, "visits_include")[:2] == (11, 2)
    assert counts(third, "visits_fail")[:2] == (11, 10)
    assert counts(third, "visits_exclude")[:4] == (11, 0, 3, 8)

    compared = mini.run(layers=BRONZE, reconcile=("hos-a.visits_include", "hos-a.visits_exclude"))
    assert compared.code == 0, compared.said
    told = {compared.log("reconcile", f"hosa_visits_{policy}").message for policy in ("include", "exclude")}
    assert told == {"compared with the source: 1 missed, 0 changed without a new watermark, 0 deleted"}, "the one below every window"
    again = mini.run(layers=BRONZE, reconcile=("hos-a.visits_include", "hos-a.visits_exclude"))
    assert [log.rows_read for log in again.logs if log.layer == "reconcile"] == [0, 0], "what no load takes makes no bucket differ"
