"""Rows of our own making reach a frame as they are, whatever stands in their texts, and a wrong one is refused."""

from datetime import date, datetime, timezone
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, BooleanType, DateType, DoubleType, LongType, StringType, StructField, StructType, TimestampType

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.tables import Lake

SCHEMA = StructType(
    [
        StructField("text", StringType()),
        StructField("at", TimestampType()),
        StructField("count", LongType()),
        StructField("seconds", DoubleType()),
        StructField("is_it", BooleanType()),
        StructField("words", ArrayType(StringType())),
        StructField("days", ArrayType(DateType())),
    ]
)


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, LakehouseSettings(environment="local", root="lakehouse"), tmp_path).for_thread()


def test_made_rows_are_as_they_were_to_the_microsecond_and_the_last_digit(lake: Lake) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    text = 'a "quoted" \\d\n\u00e9 \U0001f3e5 :hospital: $1'
    row = {"text": text, "at": at, "count": 2**53 + 1, "seconds": 1.25, "is_it": True, "words": ["a", "b'c"], "days": [date(2026, 1, 1)]}
    before_1970 = {"text": "", "at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)}
    # What Python makes of a file name that is no UTF-8.
    odd = {"text": "x\udcff"}
    found = [made.asDict() for made in lake.made([row, before_1970, odd, {}], SCHEMA).collect()]
    nothing = dict.fromkeys(SCHEMA.names)
    assert found == [
        {**row, "at": at.replace(tzinfo=None)},
        {**nothing, "text": "", "at": datetime(1969, 12, 31, 23, 59, 59, 999999)},
        {**nothing, "text": "x?"},
        nothing,
    ]


def test_a_made_row_that_does_not_fit_is_refused_and_not_made_null(lake: Lake) -> None:
    with pytest.raises(Py4JJavaError, match="MALFORMED_RECORD"):
        lake.made([{"count": "many"}], SCHEMA).collect()
