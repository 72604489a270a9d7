"""What the source has now is current after a comparison: keys spelled with other blanks, rows whose stamp went back."""


import pytest
from pyspark.sql import SparkSession

from harness import SETTINGS, Ended, Mini
from loads_kit import incremental, make_silver_anew, visit_contract

pytestmark = pytest.mark.deep

CHANGED = {"name": "source_modified_at", "type": "timestamp", "tracked": False}
# Table: type of its time of change; `counts` is loaded by a counter, the others by that time.
KINDS = {"visits": "TIMESTAMP(6)", "stays": "DATE", "counts": "TIMESTAMP(6)"}
LABELS = tuple(f"hos-a.{table}" for table in KINDS)


@pytest.fixture(scope="module")
def mini(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Twenty rows each of three tables, loaded; their zone is America/Chicago."""
    own = {}
    for table in KINDS:
        made = visit_contract([table], sequence_by=["source_modified_at"])
        columns = {"source_visit_id": "VisitID", "state": "State", "source_modified_at": "Changed"}
        own[table[:-1]] = {**made, "columns": [*made["columns"], CHANGED], "sources": [{"name": "emr", "tables": [table], "columns": columns}]}
    loads = [incremental(table, "Mark" if table == "counts" else "Changed") for table in KINDS]
    made = Mini(spark, tmp_path_factory.mktemp("present"), loads, own_contracts=own)
    made.connections = {"hospital-a": made.h2(time_zone="America/Chicago", tables={"counts": {"overlap_seconds": 0}})}
    # Many of few rows go at once.
    made.settings = {**SETTINGS, "default": {**SETTINGS["default"], "quality": {"max_delete_share": 0.5}}}
    made.write()
    for table, kind in KINDS.items():
        rows = ", ".join(f"('V{n:02d}', 'open', CAST(TIMESTAMP '2026-01-{n:02d} 08:00:00' AS {kind}), {n})" for n in range(1, 21))
        columns_of = f"(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(60), Changed {kind}, Mark BIGINT)"
        made.sql(f"CREATE TABLE {table} {columns_of}", f"INSERT INTO {table} VALUES {rows}")
    assert made.run(now="2026-01-25T12:00:00Z").code == 0
    return made


def everywhere(mini: Mini, *statements: str) -> None:
    """Statements for each table."""
    mini.sql(*[statement.format(table=table, kind=kind) for table, kind in KINDS.items() for statement in statements])


def reconciled(mini: Mini, now: str) -> Ended:
    ended = mini.run(now=now, reconcile=LABELS)
    assert ended.code == 0, ended.said
    for table in KINDS:
        logs = [log for log in ended.logs if log.layer == "silver" and log.tablename == table and log.rows_read]
        for log in logs:
            parts = (log.rows_written, log.rows_unchanged, log.rows_duplicate, log.rows_quarantined, log.rows_dropped)
            assert log.rows_read == sum(count or 0 for count in parts)
    return ended


def current(mini: Mini, key: str) -> dict[str, list[str]]:
    """The current states of a key in each of the tables."""
    return {table: [row[0] for row in mini.rows(f"silver.{table[:-1]}", "state", where=f"source_visit_id = '{key}' AND is_current")] for table in KINDS}


def all_are(*states: str) -> dict[str, list[str]]:
    return {table: list(states) for table in KINDS}


def test_I34_a_key_rewritten_with_blanks_is_not_deleted_and_a_twin_that_goes_takes_nothing_with_it(mini: Mini) -> None:
    everywhere(mini, "INSERT INTO {table} SELECT 'V03 ', State, Changed, Mark FROM {table} WHERE VisitID = 'V03'")
    reconciled(mini, "2026-01-25T13:00:00Z")
    everywhere(
        mini,
        "UPDATE {table} SET VisitID = 'V01 ', State = 'blank' WHERE VisitID = 'V01'",
        "UPDATE {table} SET VisitID = ' V02' WHERE VisitID = 'V02'",
        "DELETE FROM {table} WHERE VisitID = 'V03 '",
        "DELETE FROM {table} WHERE VisitID = 'V04'",
        # Another row, an older one, in another spelling.
        "DELETE FROM {table} WHERE VisitID = 'V09'",
        "INSERT INTO {table} VALUES ('V09\u00a0', 'older', CAST(TIMESTAMP '2025-12-01 08:00:00' AS {kind}), 9)",
    )
    ended = reconciled(mini, "2026-01-25T14:00:00Z")
    assert [current(mini, key) for key in ("V01", "V02", "V03", "V04")] == [all_are("blank"), all_are("open"), all_are("open"), all_are()]
    assert current(mini, "V09") == all_are("older")
    log = ended.log("silver", "visit")
    assert (log.rows_dropped, log.warnings) == (4, ["4 keys were found deleted that the source still has, spelled with other blanks: they stay as they are"])
    everywhere(mini, "UPDATE {table} SET VisitID = 'V01' WHERE VisitID = 'V01 '")
    reconciled(mini, "2026-01-25T15:00:00Z")
    assert current(mini, "V01") == all_are("blank")


def test_I34_a_rewritten_key_that_is_deleted_is_closed_and_may_come_back_in_its_first_spelling(mini: Mini) -> None:
    everywhere(mini, "DELETE FROM {table} WHERE VisitID = ' V02'")
    reconciled(mini, "2026-01-25T16:00:00Z")
    assert current(mini, "V02") == all_are()
    everywhere(mini, "INSERT INTO {table} VALUES ('V02', 'back', CAST(TIMESTAMP '2026-01-02 08:00:00' AS {kind}), 2)")
    reconciled(mini, "2026-01-25T17:00:00Z")
    assert current(mini, "V02") == all_are("back")


def test_I34_a_row_whose_stamp_went_back_is_current_with_what_the_source_has_now(mini: Mini) -> None:
    everywhere(
        mini,
        "UPDATE {table} SET State = 'restored', Changed = CAST(TIMESTAMP '2025-12-01 08:00:00' AS {kind}) WHERE VisitID = 'V05'",
        "DELETE FROM {table} WHERE VisitID = 'V06'",
        "INSERT INTO {table} VALUES ('V06', 'entered again', CAST(TIMESTAMP '2025-12-01 08:00:00' AS {kind}), 6)",
    )
    ended = reconciled(mini, "2026-01-25T18:00:00Z")
    assert ended.log("reconcile", "hosa_visits").message == "compared with the source: 0 missed, 2 changed without a new watermark, 0 deleted"
    assert (current(mini, "V05"), current(mini, "V06")) == (all_are("restored"), all_are("entered again"))
    assert mini.rows("silver.visit", "state", "is_current", where="source_visit_id = 'V05'") == [("open", False), ("restored", True)], "both are history"
    versions = mini.rows("silver.visit", "state", "string(effective_from)", where="source_visit_id = 'V05'")
    assert versions == [("open", "2026-01-05 14:00:00"), ("restored", "2026-01-05 14:00:00.000001")]
    again = reconciled(mini, "2026-01-25T19:00:00Z")
    assert [log.rows_written for log in again.logs if log.layer == "reconcile"] == [0] * len(KINDS)


def test_I34_a_restored_row_goes_on_by_its_stamps_and_may_be_restored_once_more(mini: Mini) -> None:
    # The days: stamped with the very day of the row in whose place the restored one came.
    stamps = {"visits": "2026-01-25 13:30:00", "stays": "2026-01-25 00:00:00", "counts": "2026-01-25 13:30:00"}
    mini.sql(
        *[
            f"UPDATE {table} SET State = 'changed', Changed = CAST(TIMESTAMP '{stamps[table]}' AS {kind}), Mark = 98 WHERE VisitID = 'V05'"
            for table, kind in KINDS.items()
        ],
        # What bears the watermark itself is met by each window.
        "UPDATE counts SET Mark = 99 WHERE VisitID = 'V20'",
    )
    assert mini.run(now="2026-01-25T20:00:00Z").code == 0
    assert current(mini, "V05") == all_are("changed")
    everywhere(mini, "UPDATE {table} SET State = 'restored', Changed = CAST(TIMESTAMP '2025-12-02 08:00:00' AS {kind}) WHERE VisitID = 'V05'")
    reconciled(mini, "2026-01-25T21:00:00Z")
    assert current(mini, "V05") == all_are("restored")
    everywhere(mini, "UPDATE {table} SET State = 'once more', Changed = CAST(TIMESTAMP '2025-12-01 08:00:00' AS {kind}) WHERE VisitID = 'V05'")
    reconciled(mini, "2026-01-25T22:00:00Z")
    assert current(mini, "V05") == all_are("once more")
    mini.sql("UPDATE stays SET State = 'that day', Changed = DATE '2026-01-25' WHERE VisitID = 'V05'")
    assert mini.run(now="2026-01-25T22:30:00Z").code == 0
    assert current(mini, "V05")["stays"] == ["that day"], "a day has many moments: the later delivery wins"


def test_I34_a_restored_copy_that_a_load_has_met_before_is_found_by_the_comparison(mini: Mini) -> None:
    restore = "UPDATE {table} SET State = 'copy', Changed = CAST(TIMESTAMP '2025-12-05 08:00:00' AS {kind}), Mark = 1 WHERE VisitID = 'V07'"
    everywhere(mini, restore)
    assert mini.run(now="2026-01-26T10:00:00Z", full_refresh=LABELS).code == 0
    assert current(mini, "V07") == all_are("open"), "a load takes a stamp as it is"
    ended = reconciled(mini, "2026-01-26T11:00:00Z")
    assert current(mini, "V07") == all_are("copy"), ended.said
    again = reconciled(mini, "2026-01-26T12:00:00Z")
    assert [log.rows_written for log in again.logs if log.layer == "reconcile"] == [0] * len(KINDS)


def test_I34_a_day_on_which_a_row_was_restored_and_deleted_ends_without_it(mini: Mini) -> None:
    mini.sql("UPDATE stays SET State = 'today', Changed = DATE '2026-01-26' WHERE VisitID = 'V08'")
    assert mini.run(now="2026-01-26T13:00:00Z").code == 0
    mini.sql("UPDATE stays SET State = 'copy', Changed = DATE '2025-12-05' WHERE VisitID = 'V08'")
    reconciled(mini, "2026-01-26T14:00:00Z")
    assert current(mini, "V08")["stays"] == ["copy"]
    mini.sql("DELETE FROM stays WHERE VisitID = 'V08'")
    reconciled(mini, "2026-01-26T15:00:00Z")
    assert current(mini, "V08")["stays"] == []
    mini.sql("INSERT INTO stays VALUES ('V08', 'again', DATE '2026-01-26', 8)")
    assert mini.run(now="2026-01-26T16:00:00Z").code == 0
    assert current(mini, "V08")["stays"] == ["again"]


def test_I34_a_restore_that_is_undone_is_current_again_at_once_and_an_equal_counter_hides_nothing(mini: Mini) -> None:
    restore = "UPDATE {table} SET State = '%s', Changed = CAST(TIMESTAMP '2025-12-05 08:00:00' AS {kind}), Mark = 1 WHERE VisitID IN (%s)"
    everywhere(mini, restore % ("copy", "'V10', 'V11'"), restore % ("open", "'V12'"))
    mini.sql("UPDATE counts SET State = 'copy', Mark = 5 WHERE VisitID = 'V20'")
    reconciled(mini, "2026-01-26T17:00:00Z")
    assert [current(mini, key) for key in ("V10", "V11", "V12")] == [all_are("copy"), all_are("copy"), all_are("open")]
    mini.sql("UPDATE counts SET State = 'open', Mark = 99 WHERE VisitID = 'V20'")
    assert mini.run(now="2026-01-26T18:00:00Z").code == 0
    assert current(mini, "V20")["counts"] == ["open"], "the row of the window is not the newest that bronze has of its key"
    undo = "UPDATE {table} SET State = '%s', Changed = CAST(TIMESTAMP '2026-01-%s 08:00:00' AS {kind}), Mark = %s WHERE VisitID = 'V%s'"
    everywhere(mini, *[undo % (state, day, day, day) for state, day in (("open", 10), ("c", 11), ("c", 12))])
    # Only what orders its changes goes back.
    mini.sql("UPDATE counts SET State = 'copy', Changed = TIMESTAMP '2025-12-05 08:00:00' WHERE VisitID = 'V13'")
    assert mini.run(now="2026-01-26T19:00:00Z", full_refresh=LABELS).code == 0
    assert (current(mini, "V10"), current(mini, "V11")) == (all_are("open"), all_are("c")), "what is read after a comparison comes after what that found"
    reconciled(mini, "2026-01-26T20:00:00Z")
    assert (current(mini, "V10"), current(mini, "V11"), current(mini, "V12")) == (all_are("open"), all_are("c"), all_are("c"))
    assert current(mini, "V13") == {**all_are("open"), "counts": ["copy"]}
    again = reconciled(mini, "2026-01-26T21:00:00Z")
    assert [log.rows_written for log in again.logs if log.layer == "reconcile"] == [0] * len(KINDS)


def test_I34_silver_made_anew_from_bronze_is_the_same_after_all_this(mini: Mini) -> None:
    before = {table: mini.rows(f"silver.{table[:-1]}", "source_visit_id", "state", where="is_current") for table in KINDS}
    make_silver_anew(mini, [table[:-1] for table in KINDS], "2026-01-27T12:00:00Z")
    assert {table: mini.rows(f"silver.{table[:-1]}", "source_visit_id", "state", where="is_current") for table in KINDS} == before
    assert all(len(rows) == 19 for rows in before.values()), "V04 alone is gone"
