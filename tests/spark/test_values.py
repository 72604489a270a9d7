"""Texts and numbers as types and as cleaned values, one by one, as Spark computes them."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from rcm_lakehouse.silver.casts import as_text, typed
from rcm_lakehouse.silver.cleaning import CLEANERS

MONEY = "decimal(18,2)"
# A value in its own type: to the cent, rounded once.
FLOATS = {4.714999999999999: "4.71", 1.265: "1.27", 4.715: "4.72", 1.005: "1.01", -0.005: "-0.01", -0.004: "0.00", 1e-13: "0.00", 9999999.996: "10000000.00"}
NO_MONEY = [float("nan"), float("inf"), 1e16, -1e300]
TEXTS = {
    "1.0049999999999999": "1.00",
    "1.2649999999999999": "1.26",
    "1.265": "1.27",
    "(1.005)": "-1.01",
    "$1,234.5678": "1234.57",
    "1.5e3": "1500.00",
    "1e-400": "0.00",
    "1.999999999999999999999999999999999999999999": "2.00",
    "9999999999999999.994999": "9999999999999999.99",
    "9999999999999999.995": None,
    "1e400": None,
    "NaN": None,
    "1.234,56": None,
    "0,234": None,
    "01,234": None,
    "1,234": "1234.00",
}
# Numbers of a float column as text: what keys and codes are made of.
PLAIN = {1.0: "1", 1234567890.0: "1234567890", 12345678.0: "12345678", -3.0: "-3", 0.5: "0.5", 1e15: "1000000000000000"}
DECIMALS = {"1.0049999999999999": "1.00", "1.2650000000000000": "1.27", "99999999999999999.0000000000000000": None}
WHOLE = {
    "41": "41", "5.0": "5", "1e3": "1000", "9007199254740993": "9007199254740993",
    **dict.fromkeys(["9007199254740993.5", "1.00000000000000001", "1.5", "many"]),
}
DAYS = {
    **dict.fromkeys(
        [
            "1980-01-03", "1980-1-3", "1980/01/03", "1980-01-03T00:00:00", "1980-01-03 00:00:00.0000000", "1980-01-03 23:59", "1980-01-03T23:59:59.999",
            "1/3/1980", "01/03/1980", "1/3/1980 0:00", "1/3/1980 12:00:00 AM", "19800103", "03-Jan-1980",
        ],
        "1980-01-03",
    ),
    **dict.fromkeys(
        ["1980-02-30", "02/30/1980", "13/12/1980", "1/3/80", "1980-01-03T25:00:00", "1980-01-0310:00", "1980-01-03Z", "0000-00-00", "+12026-01-01", "Jan"]
    ),
}
TIMES = {
    "2026-01-03T04:05:06.1234567": "2026-01-03 04:05:06.123456",
    "2026-01-03 04:05:06.5": "2026-01-03 04:05:06.5",
    "2026-1-3 4:05": "2026-01-03 04:05:00",
    "1/3/2026 4:05": "2026-01-03 04:05:00",
    "1/3/2026 4:05:06 PM": "2026-01-03 16:05:06",
    "2026-01-03": "2026-01-03 00:00:00",
    "2026-01-03 24:05": None,
}
# Numbers as days and times, by their digits; what counts seconds or days is none.
NUMBERED = {20260131: "2026-01-31", 19800103: "1980-01-03", **dict.fromkeys([20260231, 1769817600, 20484, 0, -20260131])}
STAMPED = {20260131040506: "2026-01-31 04:05:06", 20260131: None, 1769817600: None}
PHONES = {  # as delivered: number, extension
    "212-555-1234": ("+12125551234", None),
    "+1 (212) 555-1234": ("+12125551234", None),
    "tel:+1-212-555-1234": ("+12125551234", None),
    "001-212-555-1234x0047": ("+12125551234", "0047"),
    "(212) 555-1234 x 12": ("+12125551234", "12"),
    "212-555-1234 ext: 55": ("+12125551234", "55"),
    "212-555-1234;ext=7": ("+12125551234", "7"),
    "212-555-1234 extn 5": ("+12125551234", "5"),
    "212-555-1234 (extension 5)": ("+12125551234", "5"),
    "212.555.1234 #9": ("+12125551234", "9"),
    "Fax 212-555-1234": ("+12125551234", None),
    "Fax # 212-555-1234": ("+12125551234", None),
    "212-555-1234 fax": ("+12125551234", None),
    "212-555-1234 ext.": ("+12125551234", None),
    "+65 6225 1234": (None, None),
    "(+47) 21 55 51 234": (None, None),
    "+65 6225 1234 x8": (None, "8"),
    "0065 6225 1234": (None, None),
    "011 65 6225 1234": (None, None),
    "555-1234": (None, None),
}
ADDRESSES = {  # as delivered: city, state, ZIP code
    "1 Main St, Troy, NY 12180": ("Troy", "NY", "12180"),
    "1 Main St, Troy, ny 12180-1234": ("Troy", "NY", "12180"),
    "1 Main St, Troy, NY 12180, USA": ("Troy", "NY", "12180"),
    "1 Main St, Troy, NY 121801234 U.S.A.": ("Troy", "NY", "12180"),
    "1 Main St, Troy, NY, 12180, United States": ("Troy", "NY", "12180"),
    "1 Main, St. Paul, MN, 55101": ("St. Paul", "MN", "55101"),
    "1 Main, St. Paul MN 55101": ("St. Paul", "MN", "55101"),
    "Unit 1 Box 5, DPO AP 96123": ("DPO", "AP", "96123"),
    "Troy NY 12180": (None, "NY", "12180"),
    "12 Rue, Paris, France 75001": (None, None, None),
    "12 Rue, Paris, FR 75001": (None, None, None),
    "Box 12180": (None, None, None),
}


def each(spark: SparkSession, kind: str, values: Mapping[Any, Any], *found: Callable[[Column], Column]) -> dict[Any, Any]:
    """What is made of each value, itself of a type, as text; a single result stands alone."""
    rows = [(number, Decimal(value) if kind.startswith("decimal") else value) for number, value in enumerate(values)]
    made = spark.createDataFrame(rows, f"at INT, value {kind}").select("at", *[one(F.col("value")).cast("string") for one in found]).collect()
    keys = list(values)
    return {keys[row[0]]: row[1] if len(found) == 1 else tuple(row[1:]) for row in made}


def as_type(kind: str, wanted: str, *formats: str) -> Callable[[Column], Column]:
    return lambda value: typed(value, kind, wanted, formats)


@pytest.mark.parametrize(("kind", "values"), [("double", FLOATS), ("string", TEXTS), ("decimal(38,16)", DECIMALS)])
def test_money_is_rounded_half_up_once(spark: SparkSession, kind: str, values: dict[Any, str | None]) -> None:
    assert each(spark, kind, values, as_type(kind, MONEY)) == values


def test_what_is_no_amount_or_too_large_does_not_fit(spark: SparkSession) -> None:
    assert list(each(spark, "double", dict.fromkeys(NO_MONEY), as_type("double", MONEY)).values()) == [None] * len(NO_MONEY)


def test_a_whole_number_has_no_fraction_however_small(spark: SparkSession) -> None:
    assert each(spark, "string", WHOLE, as_type("string", "bigint")) == WHOLE
    floats = {3.0: "3", 3.5: None, 1e18: "1000000000000000000", 1e19: None, float("nan"): None}
    assert list(each(spark, "double", floats, as_type("double", "bigint")).values()) == list(floats.values())


def test_days_and_times_are_taken_in_every_plain_form_and_impossible_ones_are_none(spark: SparkSession) -> None:
    assert each(spark, "string", DAYS, as_type("string", "date")) == DAYS
    assert each(spark, "string", TIMES, as_type("string", "timestamp")) == TIMES


@pytest.mark.parametrize("kind", ["int", "bigint", "double", "decimal(18,0)"])
def test_a_number_is_a_day_by_its_digits_and_counts_no_seconds(spark: SparkSession, kind: str) -> None:
    numbers = {float(number) if kind == "double" else number: day for number, day in NUMBERED.items()}
    found = each(spark, kind, numbers, as_type(kind, "date"), as_type(kind, "timestamp"), as_type(kind, "timestamp", "yyyy-MM-dd", "yyyyMMdd"))
    assert found == {number: (day, day and f"{day} 00:00:00", day and f"{day} 00:00:00") for number, day in numbers.items()}


def test_a_number_is_a_time_by_the_first_pattern_that_its_digits_fit(spark: SparkSession) -> None:
    assert each(spark, "bigint", STAMPED, as_type("bigint", "timestamp", "yyyyMMddHHmmss")) == STAMPED
    assert each(spark, "int", {1312026: None, 12312026: "2026-12-31"}, as_type("int", "date", "MMddyyyy")) == {1312026: None, 12312026: "2026-12-31"}


def test_a_phone_number_of_north_america_and_its_extension(spark: SparkSession) -> None:
    assert each(spark, "string", PHONES, CLEANERS["phone_e164"], CLEANERS["phone_ext"]) == PHONES


def test_city_state_and_zip_code_at_the_end_of_an_address(spark: SparkSession) -> None:
    cleaners = [CLEANERS[f"{name}_of_address"] for name in ("city", "state", "zip5")]
    assert each(spark, "string", ADDRESSES, *cleaners) == ADDRESSES


def test_a_whole_number_of_a_float_column_is_text_without_fraction_and_exponent(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(value,) for value in PLAIN], "value double")
    found = {row["value"]: row["text"] for row in rows.withColumn("text", as_text(F.col("value"), "double")).collect()}
    assert found == PLAIN
