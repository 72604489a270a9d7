"""Real database servers on loopback, started by the suite in a folder of their own and stopped by their own process id.

As fixtures (`mariadb_server`, `postgresql_server`, one of each a session) or as context managers where a test kills and restarts one:

    with MariaDbServer() as server:
        server.kill()     # SIGKILL to the server and its workers
        server.start()    # same data, same port
        server.freeze()   # hangs until server.thaw()
"""

import os
import shutil
import signal
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server_life import MissingServerError, Server

PLAIN_CONTRACT: Mapping[str, Any] = {
    "description": "A row of a table made for a test.",
    "grain": "one row of one source",
    "key": ["row_id"],
    "sequence_by": ["changed_at"],
    "columns": [
        {"name": "row_id", "type": "string", "description": "the row's number"},
        {"name": "content", "type": "string", "description": "what the row says"},
        {"name": "changed_at", "type": "timestamp", "tracked": False, "description": "time of the change"},
    ],
    "sources": [{"name": "emr", "tables": ["traps", "notes"], "columns": {"row_id": "id", "content": "content", "changed_at": "changed"}}],
    "rules": [],
}
"""A contract for the tables `traps` and `notes` with the columns id, content and changed."""


class MariaDbServer(Server):
    """MariaDB with small buffers and its clock in UTC."""

    kind = "mariadb"
    account = "mysql"
    binaries = ("mariadbd", "mariadb-install-db", "mariadb")
    prompt_output = ("--unbuffered",)

    def _prepare(self, folder: Path) -> None:
        owner = [f"--user={self.account}"] if self._as_account() else []
        small = ["--skip-test-db", "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M"]
        self._run([self.paths["mariadb-install-db"], "--no-defaults", f"--datadir={folder}/data", *owner, *small])
        grant = f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{self.password}'; GRANT ALL ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;"
        script = folder / "owner.sql"
        script.write_text(grant.replace("; ", ";\n") + "\nDROP USER IF EXISTS 'root'@'localhost';\n", encoding="utf-8")

    def _command(self, folder: Path) -> list[str]:
        network = [f"--port={self.port}", f"--bind-address={self.host}", "--skip-name-resolve", f"--socket={folder}/s", f"--pid-file={folder}/pid"]
        small = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
        start = ["--default-time-zone=+00:00", f"--init-file={folder}/owner.sql"]
        return [self.paths["mariadbd"], "--no-defaults", f"--datadir={folder}/data", *network, *small, *start]

    def client(self, database: str | None = None) -> tuple[list[str], Mapping[str, str]]:
        """The `mariadb` client in batch mode."""
        place = ["--protocol=tcp", f"--host={self.host}", f"--port={self.port}", f"--user={self.user}"]
        plain = ["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        return [self.paths["mariadb"], *plain, *place, *([database] if database else [])], {"MYSQL_PWD": self.password}

    def make_database(self, name: str) -> None:
        """An empty database."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}` CHARACTER SET utf8mb4;")

    def qualified(self, table: str) -> str:
        """The table in back quotes."""
        return f"`{table}`"


class PostgresServer(Server):
    """PostgreSQL with synchronous writes off and its clock in UTC."""

    kind = "postgresql"
    account = "postgres"
    binaries = ("postgres", "initdb", "psql")
    places = (*(str(place) for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), *Server.places)

    def _prepare(self, folder: Path) -> None:
        password = folder / "pw"
        password.write_text(self.password + "\n", encoding="utf-8")
        if self._as_account():
            shutil.chown(password, self.account, self.account)
        password.chmod(0o600)
        plain = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync"]
        self._run([self.paths["initdb"], f"--pgdata={folder}/data", f"--username={self.user}", f"--pwfile={password}", *plain])
        password.unlink()

    def _command(self, folder: Path) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_prepared_transactions": "4",
        }
        return [self.paths["postgres"], "-D", f"{folder}/data", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]

    def client(self, database: str | None = None) -> tuple[list[str], Mapping[str, str]]:
        """The `psql` client, unaligned."""
        place = [f"--host={self.host}", f"--port={self.port}", f"--username={self.user}", f"--dbname={database or 'postgres'}", "--no-password"]
        plain = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t", "--set=ON_ERROR_STOP=1"]
        return [self.paths["psql"], *plain, *place], {"PGPASSWORD": self.password, "PGCLIENTENCODING": "UTF8"}

    def make_database(self, name: str) -> None:
        """An empty database with the schema dbo."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);\nCREATE DATABASE "{name}";')
        self.execute("CREATE SCHEMA dbo;", name)

    def qualified(self, table: str) -> str:
        """The table in schema dbo."""
        return f'dbo."{table}"'

    def stop(self) -> None:
        """End in order without waiting for clients; data stay."""
        self._end(signal.SIGINT, whole_group=False)


def connection_to(server: Server, database: str, home: Path, *, user: str | None = None, password: str | None = None, **values: Any) -> dict[str, Any]:
    """An entry of conf/connections.yml for a server's database; the password lies in a file of the project.

    Waits are short and nothing is settled, so that a row is read by the run after it.
    """
    reference = f"secret_{server.kind}_{user or server.user}"
    (home / reference).write_text((password or server.password) + "\n", encoding="utf-8")
    place = {"host": server.host, "port": server.port, "database": database, "schemas": {"dbo": None} if server.kind == "mariadb" else {}}
    account = {"user": user or server.user, "password": f"file:{reference}"}
    waits = {"settle_seconds": 0, "connect_timeout_seconds": 5, "query_timeout_seconds": 60}
    return {"type": "jdbc", "dialect": server.kind, "time_zone": "UTC", **place, **account, **waits, **values}


def started(server_class: type[Server]) -> Iterator[Server]:
    """A running server for a fixture. Without its binaries: a failure in CI, elsewhere a skip with a warning."""
    try:
        server = server_class()
    except MissingServerError as missing:
        text = f"REAL SERVER NOT TESTED: {missing}. Install Debian's mariadb-server and postgresql to run these tests."
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        warnings.warn(text, stacklevel=1)
        pytest.skip(text)
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """One MariaDB for the session; tests use databases of their own names or make the demo anew."""
    yield from started(MariaDbServer)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """One PostgreSQL for the session; tests use databases of their own names or make the demo anew."""
    yield from started(PostgresServer)
