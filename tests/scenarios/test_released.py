"""Rows that came before what they refer to: the run after it has come takes them."""

import copy
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from beds_kit import done
from faulted import dying
from harness import Mini
from rcm_lakehouse.pipeline import history as history_module
from wards import REPLAY, VISIT, WARD, statuses

pytestmark = pytest.mark.wide

LOADS = ["emr,hos-a,wards,Full,,1,hosa", "emr,hos-a,visits,Incremental,Changed,1,hosa"]


def visit(number: int, state: str, ward: str, hour: int) -> str:
    return f"INSERT INTO visits VALUES ('V{number}', '{state}', '{number}.00', '{ward}', TIMESTAMP '2026-01-01 0{hour}:00:00')"


def test_a_row_that_came_before_what_it_refers_to_is_taken_by_the_run_after_it(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, LOADS, own_contracts={"ward": WARD, "visit": VISIT})
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "quality": {"max_bad_share": 1.0}}}
    # The wards are read at night, the visits at any time.
    mini.connections = {"emr": mini.h2("emr"), "night": mini.h2("emr", load_hours="20:00-06:00")}
    mini.loads = [LOADS[0].replace("emr,", "night,"), LOADS[1]]
    mini.write()
    mini.sql(
        "CREATE TABLE wards (WardID VARCHAR(9) PRIMARY KEY)",
        "CREATE TABLE visits (VisitID VARCHAR(9) PRIMARY KEY, State VARCHAR(9), Amount VARCHAR(9), WardID VARCHAR(9), Changed TIMESTAMP)",
        "INSERT INTO wards VALUES ('W1')",
        visit(1, "open", "W1", 1),
        database="emr",
    )
    done(mini.run(now="2026-01-02T05:00:00Z"))
    mini.sql(
        "INSERT INTO wards VALUES ('W2'), ('W3')",
        *[visit(2, "open", "W2", 2), visit(3, "open", "W9", 2), visit(4, "none", "W2", 2), visit(5, "open", "W3", 2)],
        "UPDATE visits SET Changed = TIMESTAMP '2026-01-02 10:00:00' WHERE VisitID <> 'V1'",
        database="emr",
    )
    day = done(mini.run(now="2026-01-02T12:00:00Z"))
    assert (day.log("bronze", "hosa_wards").status, statuses(mini, "visit")) == ("OUTSIDE_HOURS", {"open": 4})
    # A newer state of V5 is bad for another reason: the older one is no less waited for.
    mini.sql("UPDATE visits SET State = 'none', Changed = TIMESTAMP '2026-01-02 13:00:00' WHERE VisitID = 'V5'", database="emr")
    done(mini.run(now="2026-01-02T14:00:00Z"))

    with dying(history_module, "P10", "visit"):
        assert mini.run(now="2026-01-02T21:00:00Z").code == 1
    night = done(mini.run(now="2026-01-02T22:00:00Z"))
    taken = mini.rows("silver.visit", "source_visit_id", "state", where="is_current")
    assert taken == [("V1", "open"), ("V2", "open"), ("V5", "open")]
    log = night.log("silver", "visit")
    assert (log.status, log.rows_read, log.warnings) == ("SUCCESS", 2, ["2 rows that waited in quarantine for what they refer to are taken"])
    # V3 names a ward that is not, V4 and the newer V5 break another rule.
    assert statuses(mini, "visit") == {"open": 3, "replayed": 2}
    before = (mini.commits("quarantine.visit"), mini.commits("silver.visit"))
    assert done(mini.run(now="2026-01-02T23:00:00Z")).log("silver", "visit").status == "NOOP"
    mini.sql("INSERT INTO wards VALUES ('W4')", database="emr")
    assert done(mini.run(now="2026-01-02T23:10:00Z")).log("silver", "visit").status == "NOOP"
    assert before == (mini.commits("quarantine.visit"), mini.commits("silver.visit")), "who goes on waiting is not told each day"
    # Under another mapping what waits may be another row: that is a person's to say.
    changed = copy.deepcopy(VISIT)
    changed["sources"][0]["columns"]["amount"] = "Charge"
    mini.own_contracts = {"ward": WARD, "visit": changed}
    mini.write()
    mini.sql("ALTER TABLE visits ADD Charge VARCHAR(9)", "INSERT INTO wards VALUES ('W9')", database="emr")
    ended = done(mini.run(now="2026-01-02T23:20:00Z"))
    told = [words for words in ended.log("silver", "visit").warnings if "jobs/replay_quarantine.py" in words]
    assert (ended.log("silver", "visit").status, told[0].startswith("1 rows wait for what they refer to")) == ("NOOP", True)
    ended = mini.run(now="2026-01-02T23:30:00Z")
    assert statuses(mini, "visit") == {"open": 3, "replayed": 2}, "V3 has its ward now, and goes on waiting"
    assert ended.log("silver", "visit").status == "NOOP"
    done(mini.run(now="2026-01-02T23:40:00Z", **REPLAY))
    assert statuses(mini, "visit") == {"open": 2, "replayed": 3}
