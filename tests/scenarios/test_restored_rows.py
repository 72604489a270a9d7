"""A row that is put back as it was: what bronze has of its key last decides, wherever in time that lies."""

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import counts, incremental, visit_contract
from rcm_lakehouse.pipeline.context import Backfill

pytestmark = pytest.mark.deep

KINDS = {"visits": "TIMESTAMP(6)", "stays": "DATE", "calls": "TIMESTAMP(6) WITH TIME ZONE"}
LABELS = tuple(f"hos-a.{table}" for table in KINDS)


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Three tables whose newest rows lie in the overlap of every later window; a version's time is that of its window."""
    own = {table.removesuffix("s"): visit_contract([table]) for table in KINDS}
    made = Mini(spark, tmp_path_factory.mktemp("restored"), [incremental(table, "Changed") for table in KINDS], own_contracts=own)
    made.connections = {"hospital-a": made.h2(time_zone="America/Chicago")}
    made.write()
    made.sql(*[f"CREATE TABLE {table} (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Changed {kind})" for table, kind in KINDS.items()])
    assert made.run(now="2026-01-20T11:00:00Z").code == 0
    everywhere(made, "INSERT INTO {table} SELECT 'V' || x, 'first', CAST(TIMESTAMP '2026-01-20 08:00:00' AS {kind}) FROM system_range(1, 4)")
    assert made.run(now="2026-01-22T12:00:00Z").code == 0
    return made


def everywhere(mini: Mini, statement: str) -> None:
    mini.sql(*[statement.format(table=table, kind=kind) for table, kind in KINDS.items()])


def stamped(mini: Mini, key: str, state: str, day: str) -> None:
    everywhere(mini, f"UPDATE {{table}} SET State = '{state}', Changed = CAST(TIMESTAMP '{day} 08:00:00' AS {{kind}}) WHERE VisitID = '{key}'")


def current(mini: Mini, key: str) -> dict[str, list[str]]:
    return {table: [state for (state,) in mini.rows(f"silver.{table[:-1]}", "state", where=f"source_visit_id = '{key}' AND is_current")] for table in KINDS}


def everywhere_is(state: str) -> dict[str, list[str]]:
    return {table: [state] for table in KINDS}


def test_I33_a_row_that_a_backfill_or_a_comparison_changed_and_that_is_put_back_is_news(mini: Mini) -> None:
    stamped(mini, "V1", "second", "2026-01-10")
    filled = mini.run(now="2026-01-22T13:00:00Z", backfill=Backfill(LABELS, "2026-01-09", "2026-01-12"))
    assert filled.code == 0, filled.said
    stamped(mini, "V2", "second", "2026-01-10")
    compared = mini.run(now="2026-01-22T14:00:00Z", reconcile=LABELS)
    assert compared.code == 0, compared.said
    assert (current(mini, "V1"), current(mini, "V2")) == (everywhere_is("second"), everywhere_is("second"))
    for key in ("V1", "V2"):
        stamped(mini, key, "first", "2026-01-20")
    restored = mini.run(now="2026-01-22T15:00:00Z")
    assert restored.code == 0, restored.said
    assert (current(mini, "V1"), current(mini, "V2")) == (everywhere_is("first"), everywhere_is("first"))
    again = mini.run(now="2026-01-22T16:00:00Z")
    assert {table: counts(again, table)[:3] for table in KINDS} == dict.fromkeys(KINDS, (4, 0, 4)), "read again, and known"
