"""Visits (VisitID, State, Mark) read by their mark, and runs that end or do something else at a point of their load."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness import Mini
from loads_kit import incremental, visit_contract
from rcm_lakehouse.pipeline import bronze_step

BRONZE = ("bronze",)
VISITS = "(VisitID VARCHAR(20) PRIMARY KEY, State VARCHAR(20), Mark TIMESTAMP)"


class Killed(BaseException):
    """The end of a process, as far as a test can have it in its own."""


def at_point(wanted: str, do: Callable[[], object], label: str = "") -> Callable[..., None]:
    """A crash point that does something there instead."""

    def reached(point: str, where: str = "") -> None:
        if point == wanted and label in ("", where):
            do()

    return reached


def raising(error: BaseException) -> Callable[[], object]:
    def throw() -> object:
        raise error

    return throw


def killed_at(mini: Mini, monkeypatch: pytest.MonkeyPatch, point: str, *, now: str) -> None:
    """A run that ends without a word at a point of its bronze load."""
    with monkeypatch.context() as patch:
        patch.setattr(bronze_step, "crash_point", at_point(point, raising(Killed())))
        with pytest.raises(Killed):
            mini.run(now=now, layers=BRONZE)


def project(spark: SparkSession, home: Path, *loads: str, tables: tuple[str, ...] = ("visits",), **connection: object) -> Mini:
    mini = Mini(spark, home, list(loads or (incremental("visits"),)), own_contracts={"visit": visit_contract(tables)})
    mini.connections = {"hospital-a": mini.h2(**connection)}
    mini.write()
    mini.sql(*(f"CREATE TABLE {table} {VISITS}" for table in tables))
    return mini


def insert(key: str, mark: str, table: str = "visits", state: str = "open") -> str:
    return f"INSERT INTO {table} VALUES ('{key}', '{state}', '{mark}')"


def keys(mini: Mini, table: str = "visits") -> list[str]:
    return [key for (key,) in mini.rows(f"bronze.hosa_{table}", "VisitID")]
