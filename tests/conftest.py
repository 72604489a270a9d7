"""One Spark session for the whole suite, and real database servers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.session import get_session, step_session
from servers import mariadb_server, postgresql_server  # noqa: F401  (fixtures)

# Equal code gives equal examples: a red run can be repeated.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The product's own local session, with two cores."""
    os.environ.setdefault("RCM_MASTER", "local[2]")
    scratch: Path = tmp_path_factory.mktemp("spark")
    settings = LakehouseSettings(environment="local")
    session = get_session(settings, scratch)
    session.sparkContext.setLogLevel("ERROR")
    yield step_session(session, settings)
    session.stop()
