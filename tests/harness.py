"""A small lakehouse of a test: its configuration, its embedded source databases and landing folder, its runs and its tables."""

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.config.embedded import h2_url
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.context import RunOptions
from rcm_lakehouse.pipeline.runner import run_pipeline

PROJECT = Path(__file__).resolve().parent.parent
HEADER = "database,datasource,tablename,loadtype,watermark,is_active,targetpath"
SETTINGS: dict[str, Any] = {
    "default": {"retry": {"attempts": 2, "first_wait_seconds": 0.01, "max_wait_seconds": 0.05}},
    "local": {"root": "lakehouse", "threads": 2},
}
H2: dict[str, Any] = {"type": "jdbc", "dialect": "h2", "user": "sa", "time_zone": "UTC", "settle_seconds": 0}


@dataclass(frozen=True)
class Ended:
    """A run of the pipeline: exit code, audit rows and everything it said."""

    code: int
    run_id: str
    logs: tuple[LoadLog, ...]
    said: str

    def log(self, layer: str, target: str, data_source: str | None = None) -> LoadLog:
        """The one audit row of a step: `log("bronze", "hosa_patients")`, `log("silver", "patient", "hos-a")`."""
        found = [
            row
            for row in self.logs
            if row.layer == layer and (row.target or "").rpartition(".")[2] == target and data_source in (None, row.data_source)
        ]
        assert len(found) == 1, f"{len(found)} audit rows for {layer} {target} {data_source or ''}: {[row.target for row in self.logs]}"
        return found[0]


@dataclass
class Mini:
    """A project folder of its own with the real contracts and models (or a part of them), run through the public path.

    `tables` of a connection and other keys are given as conf/connections.yml has them. Databases are H2 files, reached in the
    session's own JVM, so that a statement costs milliseconds.
    """

    spark: SparkSession
    home: Path
    loads: Sequence[str]
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contracts: Sequence[str] = ()
    models: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    own_contracts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.write()

    def write(self) -> None:
        """Write the configuration anew, after `loads`, `connections` or the others were changed."""
        conf = self.home / "conf"
        shutil.rmtree(conf, ignore_errors=True)
        (conf / "cdm").mkdir(parents=True)
        (conf / "gold").mkdir()
        for name in self.contracts:
            shutil.copy(PROJECT / "conf" / "cdm" / f"{name}.yml", conf / "cdm")
        for name, contract in self.own_contracts.items():
            (conf / "cdm" / f"{name}.yml").write_text(yaml.safe_dump({"entity": name, **contract}, sort_keys=False))
        for name in self.models:
            shutil.copy(PROJECT / "conf" / "gold" / f"{name}.sql", conf / "gold")
        self.write_settings()
        (conf / "connections.yml").write_text(yaml.safe_dump({name: dict(values) for name, values in self.connections.items()}))
        (self.home / "load_config.csv").write_text("\n".join([HEADER, *self.loads]) + "\n")

    def write_settings(self) -> None:
        """Write `settings` alone anew."""
        (self.home / "conf" / "lakehouse.yml").write_text(yaml.safe_dump(dict(self.settings)))

    def sql(self, *statements: str, database: str = "hospital-a") -> None:
        """Statements to an embedded database, which is made when it does not exist; one transaction."""
        self.connect(database, statements)

    def connect(self, database: str, statements: Iterable[str], *, commit: bool = True, user: str = "sa", password: str = "") -> Any:
        """Run statements in a connection; with commit=False the open connection is returned, and its transaction with it."""
        url = h2_url(self.home / "db" / database)
        # The driver is found by its class: DriverManager does not show it to callers from the bridge.
        jvm = self.spark._jvm
        assert jvm is not None
        properties = jvm.java.util.Properties()
        properties.setProperty("user", user)
        properties.setProperty("password", password)
        connection = jvm.org.h2.Driver().connect(url, properties)
        connection.setAutoCommit(False)
        for statement in statements:
            connection.createStatement().execute(statement)
        if not commit:
            return connection
        connection.commit()
        connection.close()
        return None

    def h2(self, database: str = "hospital-a", **values: Any) -> dict[str, Any]:
        """A connection entry for an embedded database of this project."""
        return {**H2, "database": f"db/{database}", **values}

    def land(self, name: str, content: str | bytes, folder: str = "landing") -> Path:
        """Put a file into the landing folder."""
        path = self.home / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, monkeypatch: pytest.MonkeyPatch | None = None, *, now: str | None = None, as_of: str = "2026-01-31", **options: Any) -> Ended:
        """One run of the whole pipeline in this process; `now` (ISO 8601, UTC) freezes the clock of run and sources."""
        said = io.StringIO()
        chosen = RunOptions(as_of=date.fromisoformat(as_of), **{"threads": 2, **options})
        console = Console(file=said, width=200, emoji=False)
        with pytest.MonkeyPatch.context() as patch:
            if now is not None:
                (monkeypatch or patch).setenv("RCM_TEST_NOW", now)
            ended = run_pipeline(self.home, "local", chosen, console)
        return Ended(ended.code, ended.run_id, ended.logs, said.getvalue())

    @property
    def lake(self) -> Lake:
        """The lakehouse as the session sees it now."""
        return Lake(self.spark, load_project(self.home, "local").settings, self.home)

    def frame(self, name: str) -> DataFrame:
        """All rows of a table by its name: `silver.patient`, `bronze.hosa_patients`."""
        layer, _, short = name.partition(".")
        table = layer_table(layer, short)
        if layer == "bronze":
            rows = {row.bronze_table: row.bronze_path for row in load_project(self.home, "local").loads}
            table = Table("bronze", short, rows[short])
        lake = self.lake
        assert lake.exists(table), f"{name} does not exist"
        return lake.read(table)

    def rows(self, name: str, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of a table as sorted tuples of the named columns."""
        found = self.frame(name).where(where).selectExpr(*columns).collect()
        return sorted((tuple(row) for row in found), key=repr)

    def commits(self, name: str) -> int:
        """Commits in the log of a table, its creation included."""
        layer, _, short = name.partition(".")
        folder = self.home / "lakehouse" / (layer if layer != "bronze" else "bronze")
        if layer == "bronze":
            paths = {row.bronze_table: row.bronze_path for row in load_project(self.home, "local").loads}
            log = self.home / "lakehouse" / paths[short] / "_delta_log"
        else:
            log = folder / short / "_delta_log"
        return len(list(log.glob("*.json")))


def snapshot(mini: Mini, names: Iterable[str], volatile: Iterable[str]) -> dict[str, list[str]]:
    """Every row of tables as sorted JSON without volatile columns, for comparing two lakehouses row by row."""
    left_out = set(volatile)
    found = {}
    for name in names:
        rows = mini.frame(name)
        kept = [column for column in rows.columns if column not in left_out]
        found[name] = sorted(json.dumps(row.asDict(recursive=True), sort_keys=True, default=str) for row in rows.select(*kept).collect())
    return found
