"""Rows that come back after a reconciliation closed them: they are current again, whatever stamp they bear."""


import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import incremental, make_silver_anew, visit_contract

pytestmark = pytest.mark.deep

CHANGED = {"name": "source_modified_at", "type": "timestamp", "tracked": False}
KINDS = {"visits": "TIMESTAMP(6)", "stays": "DATE", "calls": "TIMESTAMP(6) WITH TIME ZONE"}
HALF_PAST = {"visits": "12:30:00", "stays": "12:30:00", "calls": "18:30:00"}
LABELS = tuple(f"hos-a.{table}" for table in KINDS)


def contract(table: str) -> dict[str, object]:
    made = visit_contract([table], sequence_by=["source_modified_at"])
    columns = {"source_visit_id": "VisitID", "state": "State", "source_modified_at": "Changed"}
    return {**made, "columns": [*made["columns"], CHANGED], "sources": [{"name": "emr", "tables": [table], "columns": columns}]}


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Twenty rows each of three tables, stamped with a local time, a day and an instant; their zone is America/Chicago."""
    loads = [incremental(table, "Changed") for table in KINDS]
    own = {table.removesuffix("s"): contract(table) for table in KINDS}
    made = Mini(spark, tmp_path_factory.mktemp("returned"), loads, own_contracts=own)
    made.connections = {"hospital-a": made.h2(time_zone="America/Chicago")}
    made.write()
    for table, kind in KINDS.items():
        rows = ", ".join(f"('V{n:02d}', 'open', CAST(TIMESTAMP '2026-01-{n:02d} 08:00:00' AS {kind}))" for n in range(1, 21))
        made.sql(f"CREATE TABLE {table} (VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed {kind})", f"INSERT INTO {table} VALUES {rows}")
    assert made.run(now="2026-01-25T12:00:00Z").code == 0
    return made


def current(mini: Mini, key: str) -> dict[str, list[str]]:
    """The current states of a key in each of the three tables."""
    return {table: [state for (state,) in mini.rows(f"silver.{table[:-1]}", "state", where=f"source_visit_id = '{key}' AND is_current")] for table in KINDS}


def everywhere(mini: Mini, statement: str) -> None:
    """A statement for each table; `{half_past}` is 18:30 UTC as the table writes it."""
    mini.sql(*[statement.format(table=table, kind=kind, half_past=HALF_PAST[table]) for table, kind in KINDS.items()])


def reconcile(mini: Mini, now: str) -> None:
    ended = mini.run(now=now, reconcile=LABELS)
    assert ended.code == 0, ended.said


def test_I34_a_row_restored_with_its_old_stamp_is_current_again(mini: Mini) -> None:
    everywhere(mini, "DELETE FROM {table} WHERE VisitID = 'V03'")
    reconcile(mini, "2026-01-25T18:00:00Z")
    assert current(mini, "V03") == {"visits": [], "stays": [], "calls": []}
    first = mini.rows("silver.call", "effective_from < effective_to", where="source_visit_id = 'V03'")
    assert first == [(True,)], "what was there is history, of instants too"

    everywhere(mini, "INSERT INTO {table} VALUES ('V03', 'restored', CAST(TIMESTAMP '2026-01-03 08:00:00' AS {kind}))")
    reconcile(mini, "2026-01-25T19:00:00Z")
    assert current(mini, "V03") == {"visits": ["restored"], "stays": ["restored"], "calls": ["restored"]}
    assert mini.rows("silver.visit", "string(effective_from)", where="source_visit_id = 'V03' AND is_current") == [("2026-01-25 18:00:00.000001",)]

    # Changed since: later than the delete, and before the comparison that found it back.
    everywhere(mini, "UPDATE {table} SET State = 'changed', Changed = CAST(TIMESTAMP '2026-01-25 {half_past}' AS {kind}) WHERE VisitID = 'V03'")
    assert mini.run(now="2026-01-25T19:10:00Z").code == 0
    assert current(mini, "V03") == {"visits": ["changed"], "stays": ["changed"], "calls": ["changed"]}


def test_I34_a_row_that_is_deleted_again_is_closed_again(mini: Mini) -> None:
    stamp = "CAST(TIMESTAMP '2026-01-26 06:00:00' AS {kind})"
    everywhere(mini, f"UPDATE {{table}} SET State = 'today', Changed = {stamp} WHERE VisitID = 'V04'")
    assert mini.run(now="2026-01-26T18:00:00Z").code == 0
    everywhere(mini, "DELETE FROM {table} WHERE VisitID = 'V04'")
    reconcile(mini, "2026-01-26T19:00:00Z")
    # A stamp below every overlap: no window sees it.
    everywhere(mini, "INSERT INTO {table} VALUES ('V04', 'back', CAST(TIMESTAMP '2026-01-04 06:00:00' AS {kind}))")
    reconcile(mini, "2026-01-26T20:00:00Z")
    assert current(mini, "V04") == {"visits": ["back"], "stays": ["back"], "calls": ["back"]}
    everywhere(mini, "DELETE FROM {table} WHERE VisitID = 'V04'")
    reconcile(mini, "2026-01-26T21:00:00Z")
    assert current(mini, "V04") == {"visits": [], "stays": [], "calls": []}


def test_I34_a_row_entered_again_with_the_stamp_of_its_first_time_is_current_by_its_window(mini: Mini) -> None:
    insert = "INSERT INTO {table} VALUES ('V60', '%s', CAST(TIMESTAMP '2026-01-26 20:00:00' AS {kind}))"
    everywhere(mini, insert % "entered")
    assert mini.run(now="2026-01-27T02:30:00Z").code == 0
    everywhere(mini, "DELETE FROM {table} WHERE VisitID = 'V60'")
    reconcile(mini, "2026-01-27T03:00:00Z")
    assert current(mini, "V60") == {"visits": [], "stays": [], "calls": []}
    for minute, state in ((10, "again"), (20, "changed")):
        everywhere(mini, "DELETE FROM {table} WHERE VisitID = 'V60'")
        everywhere(mini, insert % state)
        assert mini.run(now=f"2026-01-27T03:{minute}:00Z").code == 0
        assert current(mini, "V60") == {"visits": [state], "stays": [state], "calls": [state]}
        # What a lost audit does not get back when Delta has removed the commits of its comparisons.
        mini.frame("audit.load_logs")
        mini.spark.sql("DELETE FROM audit.load_logs WHERE layer = 'reconcile'")


def test_I34_silver_made_anew_from_bronze_is_the_same(mini: Mini) -> None:
    columns = ("source_visit_id", "state", "effective_from", "effective_to", "is_current")
    before = {table: mini.rows(f"silver.{table[:-1]}", *columns) for table in KINDS}
    make_silver_anew(mini, [table[:-1] for table in KINDS], "2026-01-27T12:00:00Z")
    assert {table: mini.rows(f"silver.{table[:-1]}", *columns) for table in KINDS} == before
