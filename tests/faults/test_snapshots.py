"""Snapshots that shrank: an empty one is refused, a short one has its deletes held until a person approves them."""

from faulted import Small


def test_F33_an_empty_snapshot_is_refused_and_changes_nothing(small: Small) -> None:
    before = small.all_rows()
    small.sql("DELETE FROM departments")
    ended = small.run()
    assert ended.code == 4
    log = next(row for row in ended.logs if row.layer == "bronze" and row.status == "FAILED")
    assert log.error_class == "DataStopError"
    assert "the snapshot is empty but the last one had 8 rows" in (log.message or "")
    assert small.all_rows() == before


def test_F33_a_snapshot_short_of_most_keys_is_held_and_applied_when_approved(small: Small) -> None:
    small.sql("DELETE FROM departments WHERE DeptID > 'D2'")
    held = small.run()
    assert held.code == 4
    assert held.log("silver", "department").status == "HELD"
    assert len(small.rows("silver.department", "department_key", where="is_current")) == 8
    approved = small.run(approve_deletes=("hos-a.departments",))
    assert approved.code == 0, approved.said
    assert len(small.rows("silver.department", "department_key", where="is_current")) == 3
    assert small.audit_faults() == []
