"""Reads in parts: every row in exactly one part, rows that move between parts, and no more connections than a source allows."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import counts, failure, full, incremental, visit_contract
from rcm_lakehouse.sources import partitions

BRONZE = ("bronze",)
PARTS = {  # table: (partition column, parts)
    "visits_number": ("Number", 4),
    "visits_day": ("OnDay", 3),
    "visits_moment": ("Moment", 4),
    "visits_zoned": ("Zoned", 3),
    "visits_text": ("Text", 4),
    "visits_few": ("Few", 4),
    "visits_same": ("Same", 4),
    "visits_share": ("Share", 4),
    "visits_cut": ("Number", 4),
}
COLUMNS = (
    "VisitID VARCHAR(20), State VARCHAR(20), Mark TIMESTAMP, Number INT, OnDay DATE, Moment TIMESTAMP(9), Zoned TIMESTAMP WITH TIME ZONE, "
    "Text VARCHAR(20), Few INT, Same INT, Share DECIMAL(20,9)"
)
FILL = (
    "INSERT INTO {table} SELECT 'v' || X, 'open', TIMESTAMP '2026-01-10 10:00:00', NULLIF(X, 7), DATEADD('DAY', MOD(X, 40), DATE '2025-12-01'), "
    "DATEADD('SECOND', X * 977, TIMESTAMP '2026-01-01 00:00:00.123456789'), DATEADD('MINUTE', X, TIMESTAMP WITH TIME ZONE '2026-01-01 00:00:00-05:00'), "
    "NULLIF('t' || MOD(X, 9), 't3'), MOD(X, 2), 5, (X - 1) * 0.125 FROM SYSTEM_RANGE(1, 200)"
)
BLANK = "INSERT INTO {table} (VisitID, State, Mark) VALUES ('blank', 'open', '2026-01-10 10:00:00')"


@dataclass
class Story:
    mini: Mini
    first: Ended
    narrow: Ended


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    mini = Mini(spark, tmp_path_factory.mktemp("parts"), [incremental(table) for table in PARTS], own_contracts={"visit": visit_contract(list(PARTS))})
    options = {table: {"partition_column": column, "partitions": parts} for table, (column, parts) in PARTS.items()}
    mini.connections = {"hospital-a": mini.h2(tables=options)}
    mini.write()
    for table in PARTS:
        mini.sql(f"CREATE TABLE {table} ({COLUMNS})", FILL.format(table=table), BLANK.format(table=table))
    with pytest.MonkeyPatch.context() as patch:
        first = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, only=tuple(f"hos-a.{table}" for table in PARTS if table != "visits_cut"))
        # Bounds as they were before most of the rows came.
        patch.setattr(partitions, "cut_points", lambda low, high, parts: ["90", "100", "110"])
        narrow = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, only=("hos-a.visits_cut",))
    return Story(mini, first, narrow)


@pytest.mark.parametrize("table", [table for table in PARTS if table != "visits_cut"])
def test_I19_I21_every_row_is_read_exactly_once(story: Story, table: str) -> None:
    assert story.first.code == 0, story.first.said
    assert counts(story.first, table)[:3] == (201, 201, 0)
    keys = [key for (key,) in story.mini.rows(f"bronze.hosa_{table}", "VisitID")]
    assert sorted(keys) == sorted(["blank", *(f"v{number}" for number in range(1, 201))])


def test_I19_rows_without_a_value_in_the_partition_column_are_read_exactly_once(story: Story) -> None:
    blank = story.mini.rows("bronze.hosa_visits_number", "VisitID", where="Number IS NULL")
    assert blank == [("blank",), ("v7",)]


def test_I20_rows_outside_of_the_bounds_are_read_too(story: Story) -> None:
    assert counts(story.narrow, "visits_cut")[:3] == (201, 201, 0)
    assert len(set(story.mini.rows("bronze.hosa_visits_cut", "VisitID"))) == 201


def test_I22_F18_a_row_that_moves_between_parts_while_they_are_read_is_neither_lost_nor_current_twice(spark: SparkSession, tmp_path: Path) -> None:
    contract = visit_contract(["visits"])
    contract["columns"].append({"name": "changed_at", "type": "timestamp", "tracked": False})
    contract["sources"][0]["columns"]["changed_at"] = "Mark"
    contract["sequence_by"] = ["changed_at"]
    mini = Mini(spark, tmp_path, [incremental("visits")], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2(tables={"visits": {"partition_column": "Bed", "partitions": 4}})}
    mini.write()
    mini.sql(
        "CREATE TABLE visits (VisitID INT PRIMARY KEY, State INT, Mark TIMESTAMP, Bed INT)",
        "INSERT INTO visits SELECT X, 0, DATEADD('HOUR', -1, CURRENT_TIMESTAMP), X FROM SYSTEM_RANGE(1, 400)",
    )
    stop = Event()

    def move_beds() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            mini.sql(f"UPDATE visits SET Bed = MOD(Bed + 131, 400), State = {number}, Mark = CURRENT_TIMESTAMP WHERE MOD(VisitID, 3) = {number % 3}")

    writer = Thread(target=move_beds)
    writer.start()
    try:
        during = [mini.run(layers=("bronze", "silver")) for _ in range(2)]
    finally:
        stop.set()
        writer.join()
    after = mini.run(layers=("bronze", "silver"))
    assert [ended.code for ended in (*during, after)] == [0, 0, 0]
    source = dict(_rows(mini, "SELECT VisitID, State FROM visits"))
    current = mini.rows("silver.visit", "source_visit_id", "state", where="is_current")
    assert len(current) == len(source) == 400
    assert {int(key): int(state) for key, state in current} == source


def _rows(mini: Mini, sql: str) -> list[tuple[int, int]]:
    connection: Any = mini.connect("hospital-a", [], commit=False)
    found = connection.createStatement().executeQuery(sql)
    rows = []
    while found.next():
        rows.append((found.getInt(1), found.getInt(2)))
    connection.close()
    return rows


@pytest.mark.wide
def test_a_full_load_in_parts_needs_a_column_of_the_key(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, [full("visits_moving"), full("visits_fixed")], own_contracts={"visit": visit_contract(["visits_moving", "visits_fixed"])})
    options = {"visits_moving": {"partition_column": "Bed", "partitions": 2}, "visits_fixed": {"partition_column": "VisitID", "partitions": 2}}
    mini.connections = {"hospital-a": mini.h2(tables=options)}
    mini.write()
    for table in options:
        mini.sql(f"CREATE TABLE {table} (VisitID VARCHAR(20), State VARCHAR(20), Bed INT)", f"INSERT INTO {table} VALUES ('a', 'open', 1), ('b', 'open', 2)")
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE)
    assert "would be missed and taken for deleted" in failure(ended, "visits_moving")
    assert counts(ended, "visits_fixed")[:2] == (2, 2)


@pytest.mark.wide
def test_a_source_never_has_more_connections_than_it_allows(spark: SparkSession, tmp_path: Path) -> None:
    tables = [f"visits_{number}" for number in range(6)]
    mini = Mini(spark, tmp_path, [incremental(table) for table in tables], own_contracts={"visit": visit_contract(tables)})
    options = {table: {"key": ["VisitID"], "partition_column": "Number", "partitions": 2} for table in tables[:3]}
    mini.connections = {"hospital-a": mini.h2(max_connections=1, tables=options)}
    mini.write()
    # Each row tells how many sessions the database had when it was read.
    sessions = "(SELECT COUNT(*) FROM INFORMATION_SCHEMA.SESSIONS)"
    mini.sql(*(f"CREATE VIEW {table} AS SELECT X AS VisitID, 'open' AS State, X AS Number, TIMESTAMP '2026-01-10 10:00:00' AS Mark, {sessions} AS Open "
               "FROM SYSTEM_RANGE(1, 3000)" for table in tables))
    ended = mini.run(now="2026-01-10T12:00:00Z", layers=BRONZE, threads=4)
    assert ended.code == 0, ended.said
    most = max(row["most"] for table in tables for row in mini.frame(f"bronze.hosa_{table}").selectExpr("max(Open) AS most").collect())
    assert most == 1, "reads in parts too, and four loads at a time"
    assert {counts(ended, table)[1] for table in tables} == {3000}
