"""A table of notes on a real server and the small lakehouse that reads it; and acts on the server while it is read."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from harness import SETTINGS, Ended, Mini
from servers import PLAIN_CONTRACT, Server, connection_to

MOMENT = {"mariadb": "DATETIME(6)", "postgresql": "TIMESTAMP(6)"}
UTC_NOW = {"mariadb": "UTC_TIMESTAMP(6)", "postgresql": "clock_timestamp() AT TIME ZONE 'UTC'"}
SLOW = {"mariadb": "SLEEP(0.01 + id * 0) = 0", "postgresql": "(SELECT 1 FROM pg_sleep(0.01 + id * 0)) = 1"}
BEING_READ = {
    "mariadb": "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%notes%' AND id <> CONNECTION_ID() AND time_ms > 700;",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%notes%' AND pid <> pg_backend_pid() "
    "AND clock_timestamp() - xact_start > interval '0.7 seconds';",
}


@dataclass
class Notes:
    """Notes (id, content, changed) behind a view that can be made slow, read by one incremental load."""

    server: Server
    spark: SparkSession
    home: Path
    table: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)
    retry: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind, base = self.server.kind, self.server.qualified("base")
        self.server.make_database("notes")
        columns = f"id INT PRIMARY KEY, content VARCHAR(200), changed {MOMENT[kind]}"
        self.sql(f"CREATE TABLE {base} ({columns}); CREATE INDEX base_changed ON {base} (changed);")
        self.view()
        settings = {**SETTINGS, "default": {**SETTINGS["default"], "retry": {**SETTINGS["default"]["retry"], **self.retry}}}
        self.mini = Mini(self.spark, self.home, ["emr,hos-a,dbo.notes,Incremental,changed,1,hosa"], own_contracts={"note": PLAIN_CONTRACT}, settings=settings)
        options = {"key": ["id"], "fetch_size": 20, **self.table}
        self.mini.connections = {"emr": connection_to(self.server, "notes", self.home, **{"tables": {"notes": options}, **self.connection})}
        self.mini.write()

    def sql(self, statements: str) -> str:
        return self.server.execute(statements, "notes")

    def view(self, *, slow: bool = False) -> None:
        """The view that is read; slow takes a hundredth of a second a row."""
        where = SLOW[self.server.kind] if slow else "1 = 1"
        self.sql(f"CREATE OR REPLACE VIEW {self.server.qualified('notes')} AS SELECT id, content, changed FROM {self.server.qualified('base')} WHERE {where};")

    def add(self, first: int, last: int, changed: str | None = None) -> None:
        """Rows of these ids, changed now or at an SQL expression."""
        at = changed or UTC_NOW[self.server.kind]
        rows = ", ".join(f"({number}, '{'x' * 150} {number}', {at})" for number in range(first, last + 1))
        self.sql(f"INSERT INTO {self.server.qualified('base')} VALUES {rows};")

    def run(self, **options: Any) -> Ended:
        """One run of bronze alone."""
        return self.mini.run(layers=("bronze",), **options)

    def in_source(self) -> list[tuple[int, str]]:
        """(id, content) of all rows of the table."""
        lines = self.sql(f"SELECT id, content FROM {self.server.qualified('base')};").splitlines()
        return sorted((int(number), content) for number, content in (line.split("\t") for line in lines))

    def in_bronze(self) -> list[tuple[int, str]]:
        """(id, content) of all rows of bronze: a row read twice is there twice."""
        return sorted(self.mini.rows("bronze.hosa_notes", "id", "content"))

    @contextmanager
    def while_read(self, act: Any) -> Iterator[None]:
        """Do something to the server once a query has been reading the notes for most of a second."""
        failures: list[BaseException] = []
        over = threading.Event()

        def watch() -> None:
            try:
                while not over.is_set():
                    if int(self.server.execute(BEING_READ[self.server.kind])) > 0:
                        act()
                        return
                    time.sleep(0.05)
                failures.append(AssertionError("the notes were never seen being read"))
            except BaseException as error:  # noqa: BLE001  # told to the test below
                failures.append(error)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not failures, failures
