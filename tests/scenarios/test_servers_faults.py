"""Faults of real servers (F12 to F20): what a run leaves behind, and what the next one does. Bronze alone, where sources end."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.sources.jdbc import Database, read_clock
from servers import PLAIN_CONTRACT, MariaDbServer, Server, connection_to
from servers_notes import UTC_NOW, Notes

pytestmark = pytest.mark.wide

BEGIN = {"mariadb": "START TRANSACTION", "postgresql": "BEGIN"}
# Begin, prepare, and commit from elsewhere.
TWO_PHASES = {
    "mariadb": ("XA START 'posting'", "XA END 'posting'; XA PREPARE 'posting'", "XA COMMIT 'posting';"),
    "postgresql": ("BEGIN", "PREPARE TRANSACTION 'posting'", "COMMIT PREPARED 'posting';"),
}


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The session's server of each product, running again after a test that stopped it."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    yield found
    if found.process is None or found.process.poll() is not None:
        found.start()
    found.thaw()


def of_notes(ended: Ended) -> LoadLog:
    """The audit row of the one bronze load."""
    (row,) = [row for row in ended.logs if row.layer == "bronze"]
    return row


@pytest.mark.slow
def test_F12_F16_sources_that_cannot_be_read_fail_alone_and_tell_no_secret(
    server: Server, spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed_port = unused.getsockname()[1]
    wrong = "wrong-password-canary"
    server.make_database("notes")
    server.execute(f"CREATE TABLE {server.qualified('notes')} (id INT PRIMARY KEY, content VARCHAR(9), changed DATE);", "notes")
    server.execute(f"INSERT INTO {server.qualified('notes')} VALUES (1, 'kept', '2024-01-01');", "notes")
    names = ("sound", "closed", "refused", "nowhere")
    mini = Mini(spark, tmp_path, [f"{name},hos-{name},dbo.notes,Incremental,changed,1,{name}" for name in names], own_contracts={"note": PLAIN_CONTRACT})
    mini.connections = {
        "sound": connection_to(server, "notes", tmp_path),
        "closed": {**connection_to(server, "notes", tmp_path), "port": closed_port},
        "refused": connection_to(server, "notes", tmp_path, user="rcm_nobody", password=wrong),
        "nowhere": connection_to(server, "no_such_database", tmp_path),
    }
    mini.write()

    ended = mini.run(layers=("bronze",))

    assert ended.code == 1
    assert ended.log("bronze", "sound_notes").status == "SUCCESS"
    assert mini.rows("bronze.sound_notes", "id", "content") == [(1, "kept")]
    failed = {row.data_source: (row.status, row.error_class, row.is_retryable) for row in ended.logs if row.status == "FAILED" and row.layer == "bronze"}
    assert failed == {
        "hos-closed": ("FAILED", "SourceUnavailableError", True),
        "hos-refused": ("FAILED", "SourceAuthError", False),
        "hos-nowhere": ("FAILED", "SourceDataError", False),
    }
    tried_again = [record.getMessage() for record in caplog.records if "is repeated" in record.getMessage()]
    assert tried_again == ["connection 'closed': try 1 failed and is repeated"]
    told = ended.said + caplog.text + "".join(capfd.readouterr()) + repr(ended.logs)
    assert not [secret for secret in (wrong, server.password) if secret in told]
    assert "kept" not in told


def test_F13_a_server_killed_in_mid_read_leaves_no_commit_and_the_next_run_equals_a_clean_one(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    notes = Notes(server, spark, tmp_path)
    notes.add(1, 5)
    first = notes.run()
    commits = notes.mini.commits("bronze.hosa_notes")
    notes.add(6, 2000)
    notes.view(slow=True)
    with notes.while_read(server.kill):
        broken = notes.run()
    log = of_notes(broken)
    assert (broken.code, log.status, log.error_class, log.attempt) == (1, "FAILED", "SourceUnavailableError", 2)
    assert notes.mini.commits("bronze.hosa_notes") == commits
    server.start()
    notes.view()
    again = notes.run()
    assert again.code == 0, again.said
    assert of_notes(again).watermark_before == of_notes(first).watermark_after
    assert notes.in_bronze() == notes.in_source()


def test_F14_a_server_restarted_between_parts_is_read_again_in_the_same_window(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    table = {"partition_column": "id", "partitions": 4}
    notes = Notes(server, spark, tmp_path, table=table, retry={"attempts": 8, "first_wait_seconds": 1, "max_wait_seconds": 4})
    notes.add(1, 1600)
    notes.view(slow=True)

    def restart() -> None:
        server.kill()
        notes_late = f"INSERT INTO {server.qualified('base')} VALUES (9999, 'late', {UTC_NOW[server.kind]});"
        server.start()
        server.execute(notes_late, "notes")

    with notes.while_read(restart):
        ended = notes.run()
    log = of_notes(ended)
    assert (ended.code, log.status, log.rows_written) == (0, "SUCCESS", 1600), ended.said
    assert log.attempt > 1
    assert [number for number, _ in notes.in_bronze()] == list(range(1, 1601))
    notes.view()
    assert notes.run().code == 0
    assert notes.in_bronze() == notes.in_source()


@pytest.mark.slow
def test_F15_a_server_that_hangs_is_given_up_within_its_limits(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    notes = Notes(server, spark, tmp_path, connection={"connect_timeout_seconds": 2, "query_timeout_seconds": 3})
    notes.add(1, 2000)
    server.freeze()
    hung_before = notes.run()
    server.thaw()
    notes.view(slow=True)
    with notes.while_read(server.freeze):
        hung_within = notes.run()
    server.thaw()
    for ended in (hung_before, hung_within):
        row = of_notes(ended)
        assert (row.status, row.error_class, row.is_retryable) == ("FAILED", "SourceUnavailableError", True), ended.said
        assert "did not answer" in ended.said
    notes.view()
    assert notes.run().code == 0
    assert notes.in_bronze() == notes.in_source()


def test_F17_a_transaction_seen_to_be_open_holds_the_window_until_it_commits(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    # No overlap: only the window's end can save the late row.
    notes = Notes(server, spark, tmp_path, table={"overlap_seconds": 0})
    notes.add(1, 2)
    assert of_notes(notes.run()).rows_written == 2
    with server.session("notes") as late:
        late.execute(f"{BEGIN[server.kind]}; INSERT INTO {server.qualified('base')} VALUES (3, 'early time, late commit', {UTC_NOW[server.kind]})")
        notes.add(4, 5)
        held = notes.run()
        assert of_notes(held).rows_written == 0
        assert of_notes(held).warnings == []
        late.execute("COMMIT")
    ended = notes.run()
    assert of_notes(ended).rows_written == 3
    assert notes.in_bronze() == notes.in_source()


@pytest.mark.deep
def test_F17_a_transaction_prepared_to_be_committed_by_another_session_holds_the_window(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    """Two-phase commit: once prepared the transaction belongs to no session any more."""
    notes = Notes(server, spark, tmp_path, table={"overlap_seconds": 0})
    notes.add(1, 2)
    assert of_notes(notes.run()).rows_written == 2
    begin, prepare, commit = TWO_PHASES[server.kind]
    with server.session("notes") as posting:
        posting.execute(f"{begin}; INSERT INTO {server.qualified('base')} VALUES (3, 'early time, late commit', {UTC_NOW[server.kind]})")
        time.sleep(0.5)
        posting.execute(prepare)
    notes.add(4, 5)
    held = of_notes(notes.run())
    assert (held.rows_written, held.warnings) == (0, [])
    notes.sql(commit)
    ended = notes.run()
    assert of_notes(ended).rows_written == 3
    assert notes.in_bronze() == notes.in_source()


@pytest.mark.deep
def test_F17_an_idle_transaction_holds_the_window_no_longer_than_max_stall_and_its_late_row_is_met_by_the_overlap(
    server: Server, spark: SparkSession, tmp_path: Path
) -> None:
    notes = Notes(server, spark, tmp_path, connection={"max_stall_seconds": 1})
    notes.add(1, 2)
    assert of_notes(notes.run()).rows_written == 2
    with server.session("notes") as idle:
        idle.execute(f"{BEGIN[server.kind]}; INSERT INTO {server.qualified('base')} VALUES (3, 'early time, late commit', {UTC_NOW[server.kind]})")
        time.sleep(2.5)
        notes.add(4, 5)
        passed = notes.run()
        assert of_notes(passed).rows_written == 2
        (warning,) = of_notes(passed).warnings
        assert warning.startswith("a transaction has been open for 0 minutes, longer than max_stall")
        idle.execute("COMMIT")
    ended = notes.run()
    assert (of_notes(ended).rows_written, of_notes(ended).rows_duplicate) == (1, 4)
    assert notes.in_bronze() == notes.in_source()


@pytest.mark.deep
def test_F17_a_forgotten_transaction_does_not_end_the_waiting_for_a_younger_one(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    # No overlap: only the window's end can save the younger transaction's row.
    notes = Notes(server, spark, tmp_path, table={"overlap_seconds": 0}, connection={"max_stall_seconds": 15})
    notes.add(1, 2)
    assert of_notes(notes.run()).rows_written == 2
    insert = f"{BEGIN[server.kind]}; INSERT INTO {server.qualified('base')} VALUES"
    with server.session("notes") as forgotten, server.session("notes") as posting:
        forgotten.execute(f"{insert} (99, 'never committed', {UTC_NOW[server.kind]})")
        time.sleep(15.5)
        posting.execute(f"{insert} (3, 'early time, late commit', {UTC_NOW[server.kind]})")
        notes.add(4, 5)
        held = of_notes(notes.run())
        (warning,) = held.warnings
        assert warning.startswith("a transaction has been open for 0 minutes, longer than max_stall")
        assert warning.endswith("it waits for a younger one, open for 0 minutes")
        assert held.rows_written == 0
        posting.execute("COMMIT")
        assert of_notes(notes.run()).rows_written == 3
    assert notes.in_bronze() == notes.in_source()


@pytest.mark.deep
def test_F18_rows_updated_while_parts_are_read_reach_bronze_at_last_and_no_key_is_lost(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    notes = Notes(server, spark, tmp_path, table={"partition_column": "id", "partitions": 3})
    notes.add(1, 300)
    notes.view(slow=True)
    base, now = server.qualified("base"), UTC_NOW[server.kind]

    def move_rows() -> None:
        for remainder in (0, 1, 2):
            server.execute(f"UPDATE {base} SET content = CONCAT('moved ', id), changed = {now} WHERE id % 7 = {remainder};", "notes")

    with notes.while_read(move_rows):
        assert notes.run().code == 0
    notes.view()
    assert notes.run().code == 0
    newest: dict[int, str] = {}
    for number, content, _ in sorted(notes.mini.rows("bronze.hosa_notes", "id", "content", "_batch_seq"), key=lambda row: int(row[2])):
        newest[int(number)] = str(content)
    assert sorted(newest.items()) == notes.in_source()


def test_F19_the_servers_zone_does_not_shift_its_clock_or_its_oldest_transaction(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with MariaDbServer() as server:
        monkeypatch.setenv("TZ", "UTC")
        server.make_database("notes")
        server.execute("CREATE TABLE notes (id INT); SET GLOBAL time_zone = 'SYSTEM';", "notes")
        assert int(server.execute("SELECT ROUND(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW()) / 60);")) in (-5, -4)
        connection = JdbcConnection(**connection_to(server, "notes", tmp_path))
        before = server.execute("SELECT UTC_TIMESTAMP(6);").strip()
        with server.session("notes") as session:
            session.execute("START TRANSACTION; INSERT INTO notes VALUES (1)")
            after = server.execute("SELECT UTC_TIMESTAMP(6);").strip()
            clock = read_clock(Database(spark, "emr", connection, tmp_path))
    # A transaction's start has whole seconds, rounded down.
    assert before[:19] <= str(clock.oldest_transaction) <= after
    assert str(clock.now) >= after


@pytest.mark.deep
def test_F20_a_restored_backup_never_lowers_the_watermark(server: Server, spark: SparkSession, tmp_path: Path) -> None:
    notes = Notes(server, spark, tmp_path)
    old = {"mariadb": "UTC_TIMESTAMP(6) - INTERVAL 2 DAY", "postgresql": "clock_timestamp() AT TIME ZONE 'UTC' - interval '2 days'"}[server.kind]
    notes.add(1, 3, changed=old)
    notes.add(4, 5)
    reached = of_notes(notes.run()).watermark_after
    notes.sql(f"DELETE FROM {server.qualified('base')} WHERE id > 3;")
    restored = notes.run()
    log = of_notes(restored)
    assert (restored.code, log.rows_read, log.watermark_after) == (0, 0, reached)
    notes.add(6, 6)
    assert of_notes(notes.run()).rows_written == 1
