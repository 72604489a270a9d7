"""Deliveries that cannot be right: an empty or shrunken snapshot, a batch that is mostly bad. They stop before they harm a good row."""

import json

import pytest

from faulted import Small

pytestmark = pytest.mark.wide


def test_F33_an_empty_snapshot_is_refused_and_changes_nothing(small: Small) -> None:
    before = small.all_rows()
    small.sql("DELETE FROM departments")
    ended = small.run()
    assert ended.code == 4
    log = next(row for row in ended.logs if row.layer == "bronze" and row.status == "FAILED")
    assert log.error_class == "DataStopError"
    assert "the snapshot is empty but the last one had 8 rows" in (log.message or "")
    assert small.all_rows() == before


def test_F33_N04_a_snapshot_short_of_most_keys_is_held_and_applied_when_approved(small: Small) -> None:
    small.sql("DELETE FROM departments WHERE DeptID > 'D2'")
    held = small.run()
    assert held.code == 4
    assert held.log("silver", "department").status == "HELD"
    assert len(small.rows("silver.department", "department_key", where="is_current")) == 8
    approved = small.run(approve_deletes=("hos-a.departments",))
    assert approved.code == 0, approved.said
    assert "silver:department: HELD" in held.said
    assert held.log("silver", "department").message is None
    assert approved.log("silver", "department").message == "5 of 8 current keys are absent from the snapshot and closed, by --approve-deletes"
    (told,) = small.rows("audit.runs", "arguments", where=f"run_id = '{approved.run_id}'")
    assert told == ("layers=bronze,silver,gold only= approve_deletes=hos-a.departments",)
    assert len(small.rows("silver.department", "department_key", where="is_current")) == 3
    assert small.audit_faults() == []


def test_a_snapshot_touches_the_changed_rows_of_silver_alone(done: Small) -> None:
    logs = sorted(done.place("silver/department/_delta_log").glob("*.json"))
    metrics = [json.loads(line)["commitInfo"]["operationMetrics"] for line in logs[-1].read_text().splitlines() if "commitInfo" in line]
    assert [(m["numTargetRowsUpdated"], m["numTargetRowsInserted"]) for m in metrics] == [("2", "1")], "one is renamed, one is gone, six stay"


def test_F32_a_batch_that_is_mostly_bad_stops_before_silver_and_gold_and_is_taken_once_the_limit_allows_it(waiting: Small) -> None:
    before = waiting.all_rows()
    waiting.sql("UPDATE charges SET Amount = -1, ModifiedDate = '2026-03-02' WHERE ChargeID > 'C030'")
    limits = {"max_bad_share": 0.2, "min_batch_rows": 10}
    waiting.settings = {**waiting.settings, "default": {**waiting.settings["default"], "quality": limits}}
    waiting.write()
    stopped = waiting.run(day=2)
    assert stopped.code == 4
    log = stopped.log("silver", "charge")
    assert (log.status, log.error_class) == ("FAILED", "DataStopError")
    assert "more than max_bad_share 20%" in (log.message or "")
    assert (stopped.log("bronze", "hosa_charges").rows_written or 0) > 50
    assert stopped.log("gold", "fact_charges").status == "SKIPPED_UPSTREAM"
    kept = ("silver.charge", "silver.charge_tombstones", "quarantine.charge", "gold.fact_charges")
    assert {name: waiting.all_rows()[name] for name in kept} == {name: before[name] for name in kept}
    waiting.settings = {**waiting.settings, "default": {**waiting.settings["default"], "quality": {**limits, "max_bad_share": 1}}}
    waiting.write()
    taken = waiting.run(day=2)
    assert taken.code == 0, taken.said
    merged, released = (row for row in taken.logs if row.target == "silver.charge")
    assert merged.rows_quarantined == log_of_bad(waiting)
    assert released.warnings == ["1 rows that waited in quarantine for what they refer to are taken"], "a charge of day 1 for a patient of day 2"
    assert waiting.audit_faults() == []


def log_of_bad(small: Small) -> int:
    """Bad charges of the second delivery, each seen once."""
    return len(small.rows("quarantine.charge", "quarantine_id", where="_batch_seq = 2 AND event = 'seen'"))
