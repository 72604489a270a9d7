"""A small lakehouse loaded once, copied for each fault."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from faulted import Small


@pytest.fixture(scope="session")
def loaded(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Day 1 of the small project, loaded cleanly."""
    small = Small(spark, tmp_path_factory.mktemp("loaded"))
    small.first_day()
    ended = small.run()
    assert ended.code == 0, ended.said
    return small


@pytest.fixture
def small(loaded: Small, tmp_path: Path) -> Small:
    """A copy of the loaded lakehouse with its sources."""
    return loaded.copied(tmp_path / "home")
