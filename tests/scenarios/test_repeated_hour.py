"""Local stamps of the hour that comes twice: what is read later happened later, in whichever pass of the hour it looks to lie."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import incremental, visit_contract

pytestmark = pytest.mark.deep

# Hospital: (zone, database). New York's clocks went back by an hour on 2026-11-01, Lord Howe's by half of one on 2026-04-05.
ZONES = {"hos-a": ("America/New_York", "hospital-a"), "hos-b": ("Australia/Lord_Howe", "hospital-b")}
# Stamp, state, time of reading (UTC) and what the stamp means (UTC).
NEW_YORK = [
    ("2026-11-01 01:50:00", "first pass", "2026-11-01T05:55:00Z", "2026-11-01 05:50:00"),
    ("2026-11-01 01:10:00", "second pass", "2026-11-01T06:15:00Z", "2026-11-01 06:10:00"),
    ("2026-11-01 02:05:00", "after it", "2026-11-01T07:10:00Z", "2026-11-01 07:05:00"),
]
LORD_HOWE = [
    ("2026-04-05 01:50:00", "first pass", "2026-04-04T14:55:00Z", "2026-04-04 14:50:00"),
    ("2026-04-05 01:40:00", "second pass", "2026-04-04T15:15:00Z", "2026-04-04 15:10:00"),
    ("2026-04-05 02:05:00", "after it", "2026-04-04T15:40:00Z", "2026-04-04 15:35:00"),
]
# As the years go.
STEPS = [*(("hos-b", *step) for step in LORD_HOWE), *(("hos-a", *step) for step in NEW_YORK)]


def test_I13_in_the_hour_that_comes_twice_the_row_read_later_is_current(spark: SparkSession, tmp_path: Path) -> None:
    changed = {"name": "source_modified_at", "type": "timestamp", "tracked": False}
    made = visit_contract(["visits"], sequence_by=["source_modified_at"])
    columns = {"source_visit_id": "VisitID", "state": "State", "source_modified_at": "Changed"}
    own = {**made, "columns": [*made["columns"], changed], "sources": [{"name": "emr", "tables": ["visits"], "columns": columns}]}
    loads = [incremental("visits", "Changed", database, source) for source, (_, database) in ZONES.items()]
    mini = Mini(spark, tmp_path, loads, own_contracts={"visit": own})
    mini.connections = {database: mini.h2(database, time_zone=zone) for zone, database in ZONES.values()}
    mini.write()
    for _, database in ZONES.values():
        insert = "INSERT INTO visits VALUES ('V1', 'before', TIMESTAMP '2026-01-05 08:00:00')"
        mini.sql("CREATE TABLE visits (VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed TIMESTAMP)", insert, database=database)
    assert mini.run(now="2026-01-25T12:00:00Z").code == 0
    for source, stamp, state, now, _ in STEPS:
        mini.sql(f"UPDATE visits SET State = '{state}', Changed = TIMESTAMP '{stamp}'", database=ZONES[source][1])
        ended = mini.run(now=now)
        assert ended.code == 0, ended.said
        assert ended.log("bronze", f"{source.replace('-', '')}_visits").rows_written == 1, (source, state)
        current = mini.rows("silver.visit", "state", where=f"data_source = '{source}' AND is_current")
        assert current == [(state,)], (source, state)
    for source, steps in (("hos-a", NEW_YORK), ("hos-b", LORD_HOWE)):
        versions = mini.rows("silver.visit", "string(effective_from)", "state", where=f"data_source = '{source}' AND state <> 'before'")
        assert versions == [(meant, state) for _, state, _, meant in steps]
