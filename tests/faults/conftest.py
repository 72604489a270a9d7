"""A small lakehouse loaded once for each of two days, copied for each fault."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import Small, Wanted


@pytest.fixture(scope="session")
def first_loaded(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Day 1 of the small project, loaded cleanly."""
    small = Small(spark, tmp_path_factory.mktemp("first"))
    small.first_day()
    ended = small.run()
    assert ended.code == 0, ended.said
    return small


@pytest.fixture(scope="session")
def second_loaded(first_loaded: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Day 2 after it, loaded cleanly."""
    small = first_loaded.copied(tmp_path_factory.mktemp("second") / "home")
    small.second_day()
    ended = small.run(day=2)
    assert ended.code == 0, ended.said
    return small


@pytest.fixture(scope="session")
def wanted(second_loaded: Small) -> Wanted:
    """What one clean run of day 2 leaves."""
    return Wanted.of(second_loaded)


@pytest.fixture
def small(first_loaded: Small, tmp_path: Path) -> Small:
    """A copy of the lakehouse of day 1; day 2 is yet to come."""
    return first_loaded.copied(tmp_path / "home")


@pytest.fixture
def waiting(small: Small) -> Small:
    """The same, with the changes of day 2 at its sources."""
    small.second_day()
    return small


@pytest.fixture
def done(second_loaded: Small, tmp_path: Path) -> Small:
    """A copy of the lakehouse of day 2: nothing is left to do."""
    return second_loaded.copied(tmp_path / "home")
