"""The KPIs that finance signs, through gold, against figures computed by hand."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from harness import Ended, Mini
from kpis_expected import BUCKETS, NOW, THEN, expected
from kpis_hospitals import EARLIER, TODAY, changes, hospitals

# fact: its own key, an amount of it, and the key of one of its days.
FACTS = {
    "fact_transactions": ("transaction_key", "charge_amount", "service_date_key"),
    "fact_encounters": ("encounter_key", "charge_amount", "encounter_date_key"),
    "fact_claims": ("claim_key", "billed_amount", "service_date_key"),
}
BALANCES = {"ar_debit_balance", "ar_credit_balance"}


@pytest.fixture(scope="module")
def signed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mini, dict[tuple[str, str], Any], Ended]:
    """The first day as of an earlier one, whose KPIs are kept; then the second day as of today, with a model that does not tie out."""
    mini = hospitals(spark, tmp_path_factory.mktemp("kpis"))
    first = mini.run(now="2026-01-15T06:00:00Z", as_of=str(EARLIER))
    assert first.code == 0, first.said
    before = kpis(mini)
    mini.sql(*changes(), database="clinics")
    return mini, before, mini.run(now="2026-01-31T12:00:00Z", as_of=str(TODAY))


def kpis(mini: Mini) -> dict[tuple[str, str], tuple[Decimal, Decimal, Decimal | None]]:
    rows = mini.frame("gold.kpi_summary").select("kpi", "data_source", "numerator", "denominator", "value").collect()
    found = {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
    assert len(found) == len(rows), "one row a KPI and hospital"
    return found


def test_every_kpi_of_every_hospital_is_what_was_computed_by_hand(signed: tuple[Mini, Any, Ended]) -> None:
    mini, _, _ = signed
    assert kpis(mini) == expected(NOW)
    # As docs/kpis.md says.
    types = dict(mini.frame("gold.kpi_summary").dtypes)
    assert [types[name] for name in ("numerator", "denominator", "value")] == ["decimal(18,2)", "decimal(22,6)", "decimal(18,6)"]


def test_the_figures_of_a_past_day_leave_out_what_came_later(signed: tuple[Mini, Any, Ended]) -> None:
    _, before, _ = signed
    assert {key: figures for key, figures in before.items() if key[0] in THEN} == expected(THEN)
    assert {hospital for _, hospital in before} == {"hos-a", "hos-b", "hos-c", "hos-d", "all"}


def test_all_is_the_sum_over_the_hospitals(signed: tuple[Mini, Any, Ended]) -> None:
    for found in (kpis(signed[0]), signed[1]):
        for kpi in NOW:
            parts = [figures for (name, hospital), figures in found.items() if name == kpi and hospital != "all"]
            whole = found[kpi, "all"]
            assert whole[0] == sum(part[0] for part in parts), kpi
            assert kpi in BALANCES or whole[1] == sum(part[1] for part in parts), kpi


def test_buckets_begin_and_end_with_their_days_and_add_up_to_the_debit(signed: tuple[Mini, Any, Ended]) -> None:
    rows = signed[0].frame("gold.fact_transactions").groupBy("data_source", "ageing_bucket").agg({"ar_debit_amount": "sum"}).collect()
    found: dict[str, dict[str, Decimal]] = {}
    for hospital, bucket, total in rows:
        found.setdefault(hospital, {})[bucket] = total
    assert found == {hospital: {bucket: Decimal(total) for bucket, total in buckets.items()} for hospital, buckets in BUCKETS.items()}
    edges = signed[0].rows("gold.fact_transactions", "days_outstanding", "ageing_bucket", where="data_source = 'hos-c'")
    assert dict(edges) == {
        0: "0-30",
        30: "0-30",
        31: "31-60",
        60: "31-60",
        61: "61-90",
        90: "61-90",
        91: "91-120",
        120: "91-120",
        121: ">120",
    }


def test_a_negative_charge_waits_in_quarantine_and_is_in_no_kpi(signed: tuple[Mini, Any, Ended]) -> None:
    held = signed[0].rows("quarantine.transaction", "entity_key", "reasons.rule[0]", where="event = 'seen'")
    assert held == [("hos-d|negative charge", "charge_not_negative")]


def joined(mini: Mini, fact: str, key: str, dimension: str, sk: str, column: str) -> dict[str, Any]:
    """What each fact's version of a dimension says."""
    facts, members = mini.frame(f"gold.{fact}"), mini.frame(f"gold.{dimension}")
    rows = facts.join(members.select(sk, column), sk, how="left").selectExpr(f"substring_index({key}, '|', -1)", column).collect()
    assert len(rows) == facts.count(), "one version a fact"
    return {row[0]: row[1] for row in rows}


def test_facts_join_the_version_of_the_service_day_and_else_unknown(signed: tuple[Mini, Any, Ended]) -> None:
    mini = signed[0]
    states = joined(mini, "fact_encounters", "encounter_key", "dim_patient", "patient_sk", "state")
    ahead_and_none = {"far": "MA", "last": "MA", "E0": "unknown"}
    ages_ago = {"E100": "NY", "first": "unknown"}  # the first version counts as valid since 1600
    assert states == {"E99": "NY", "before": "NY", "after": "MA", "E30": "MA"} | ahead_and_none | ages_ago, "it holds from the day of the change on"
    wards = joined(mini, "fact_transactions", "transaction_key", "dim_department", "department_sk", "department_name")
    assert {key: wards[key] for key in ("A0", "A30", "A100", "B10", "C0", "undated")} == {
        "A0": "Heart Centre",
        "A30": "Cardiology",
        "A100": "Cardiology",  # before the first snapshot: the first version counts as valid since ever
        "B10": "unknown",
        "C0": "unknown",
        "undated": "unknown",
    }
    people = joined(mini, "fact_transactions", "transaction_key", "dim_patient", "patient_sk", "state")
    assert (people["A99"], people["A30"], people["B10"], people["undated"]) == ("NY", "MA", "NY", "unknown")
    visits = mini.rows("gold.fact_encounters", "encounter_key", "transaction_count", "charge_amount", where="transaction_count > 0")
    assert visits == [(f"hos-a|E{days}", 1, Decimal(charge)) for days, charge in ((0, 600000), (100, 500000), (30, 100000), (99, 300000))]


def test_every_fact_meets_each_of_its_days_by_key_and_no_row_and_no_cent_is_lost(signed: tuple[Mini, Any, Ended]) -> None:
    mini = signed[0]
    calendar = mini.frame("gold.dim_date").select("date_key", "date")
    for fact, (_, amount, _) in FACTS.items():
        rows = mini.frame(f"gold.{fact}")
        held = rows.select(F.count(F.lit(1)), F.sum(amount)).first()
        days = [column.name for column in rows.schema if column.dataType == DateType()]
        assert days, fact
        for day in days:
            met = rows.join(calendar, rows[f"{day}_key"] == calendar["date_key"])
            assert met.select(F.count(F.lit(1)), F.sum(amount)).first() == held, (fact, day)
            assert met.where(f"NOT {day} <=> date").count() == 0, (fact, day)


def test_days_of_1949_and_2099_and_no_day_at_all_have_their_keys(signed: tuple[Mini, Any, Ended]) -> None:
    mini = signed[0]
    keys = {fact: dict(mini.rows(f"gold.{fact}", f"substring_index({key}, '|', -1)", day)) for fact, (key, _, day) in FACTS.items()}
    assert {key: keys["fact_encounters"][key] for key in ("first", "E100", "E30", "far", "last", "E0")} == {
        "first": 10103,  # so H2's driver tells the first day of the year 1
        "E100": 19490305,
        "E30": 20260101,
        "far": 20991231,
        "last": 99991231,
        "E0": -1,
    }
    assert {key: keys["fact_transactions"][key] for key in ("long ago", "far ahead", "undated")} == {"long ago": 19490305, "far ahead": 20990630, "undated": -1}
    assert [keys["fact_claims"][key] for key in ("2", "5", "3")] == [19490305, 20990630, -1]


def test_the_calendar_has_its_range_the_days_of_silver_and_both_members_once(signed: tuple[Mini, Any, Ended]) -> None:
    mini = signed[0]
    rows = mini.frame("gold.dim_date").collect()
    found = {row["date_key"]: row for row in rows}
    assert len(rows) == len(found)
    outside = sorted(key for key in found if not 20170101 <= key <= 20271231)
    assert outside == [-2, -1, 10103, 19490305, 20990630, 20991231, 99991231], "also a day that a correction has moved"
    assert len(found) - len(outside) == (date(2028, 1, 1) - date(2017, 1, 1)).days
    assert all(row["date"] is not None and row["date_key"] == int(row["date"].strftime("%Y%m%d")) for row in rows if row["date_key"] > 0)
    assert all(row["date"].isocalendar() == (row["iso_year"], row["iso_week"], row["iso_weekday"]) for row in rows if row["date_key"] > 0)
    assert (found[20170101]["iso_year"], found[20181231]["iso_year"]) == (2016, 2019)
    assert [found[key]["year_month"] for key in (10103, 99991231)] == ["0001-01", "9999-12"]
    for key in (-1, -2):
        member = found[key].asDict()
        assert {name: value for name, value in member.items() if value is not None} == {
            "date_key": key,
            "is_weekend": False,
            "is_month_end": False,
            "year_month": "unknown",
        }


def test_a_procedure_is_that_of_the_own_list_then_the_networks_then_the_first_others(signed: tuple[Mini, Any, Ended]) -> None:
    found = joined(signed[0], "fact_transactions", "transaction_key", "dim_procedure", "procedure_code_sk", "category")
    assert {key: found[key] for key in ("A0", "A30", "B10", "B95", "C0", "C30", "tomorrow", "undated")} == {
        "A0": "newer",
        "A30": "own",
        "B10": "other",
        "B95": "network",
        "C0": "network",
        "C30": "a",
        "tomorrow": "unknown",
        "undated": "unknown",
    }


def test_a_model_that_does_not_tie_out_stops_with_exit_4_and_keeps_its_table(signed: tuple[Mini, Any, Ended]) -> None:
    mini, _, second = signed
    assert second.code == 4, second.said
    log = second.log("gold", "fact_short")
    assert log.status == "FAILED"
    assert "gold.fact_short does not tie out to silver (tie_rows: silver 13, gold 12). The table was not replaced." in str(log.message)
    assert mini.frame("gold.fact_short").count() == 11, "the claims of the first day"
    assert second.log("gold", "fact_claims").rows_written == 13, "the other models are built"


def test_the_kpis_are_not_built_alone_for_another_day_than_their_facts(signed: tuple[Mini, Any, Ended]) -> None:
    mini = signed[0]
    before = kpis(mini)
    ended = mini.run(now="2026-01-31T12:30:00Z", as_of=str(EARLIER), layers=("gold",), only=("kpi_summary",))
    row = ended.log("gold", "kpi_summary")
    assert (ended.code, row.status, "KPIs as of" in ended.said) == (1, "FAILED", False)
    message = str(row.message)
    assert f"gold.fact_transactions, which it reads, was built for ageing_basis service, as_of {TODAY}" not in message, "what is as it should be is not told"
    assert f"gold.fact_transactions, which it reads, was built for as_of {TODAY}" in message
    assert f"--only dim_patient,dim_provider,fact_claims,fact_transactions,kpi_summary --as-of {EARLIER}" in message
    assert kpis(mini) == before


@pytest.mark.deep
def test_days_in_ar_are_rounded_once_whatever_the_window(signed: tuple[Mini, Any, Ended]) -> None:
    """The last of this module: it builds gold anew with a window over which daily charges have no end of digits."""
    mini = signed[0]
    mini.settings = {**mini.settings, "default": {**mini.settings["default"], "gold": {"revenue_window_days": 97}}}
    mini.write_settings()
    mini.run(now="2026-01-31T13:00:00Z", as_of=str(TODAY), layers=("gold",))
    charges = mini.rows("gold.fact_transactions", "data_source", "charge_amount", where=f"service_date BETWEEN date_sub(DATE '{TODAY}', 96) AND DATE '{TODAY}'")
    debits = mini.rows("gold.fact_transactions", "data_source", "ar_debit_amount")
    found = kpis(mini)
    for hospital in ("hos-a", "hos-b", "hos-c", "all"):
        base, debit = (sum(amount for name, amount in rows if hospital in (name, "all")) for rows in (charges, debits))
        _, denominator, value = found["gross_days_in_ar", hospital]
        assert denominator == (base / 97).quantize(Decimal("0.000001"), ROUND_HALF_UP), hospital
        assert value == (debit * 97 / base).quantize(Decimal("0.000001"), ROUND_HALF_UP), hospital
