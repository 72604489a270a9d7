"""Monitors that compare silver and gold, over tables that do not fit each other."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from harness import PROJECT, Mini
from monitors_days import TUESDAY
from monitors_kit import GOLD, judged, named, put_monitors, write
from rcm_lakehouse.audit.writer import ensure_audit

pytestmark = pytest.mark.wide

SKS = "patient_sk provider_sk department_sk payer_sk procedure_code_sk".split()
DIMENSIONS = {"patient": "patient", "provider": "provider", "department": "department", "payer": "payer", "procedure": "procedure_code"}
FACTS = {
    "fact_transactions": ("transaction_key", 5, "charge_amount"),
    "fact_encounters": ("encounter_key", 3, None),
    "fact_claims": ("claim_key", 4, "billed_amount"),
}
AS_OF = date(2026, 1, 31)
DAYS = {
    "fact_transactions": [f"{day}_date_key" for day in ("visit", "service", "paid", "ageing", "as_of")],
    "fact_encounters": ["encounter_date_key"],
    "fact_claims": ["service_date_key", "claim_date_key"],
}


def schema(text: str) -> StructType:
    return StructType.fromDDL(text)


@pytest.fixture(scope="module")
def marts(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """Tables of silver and gold with the columns that monitors compare: two of everything, all in order."""
    loads = ["hospital-a,hos-a,departments,Full,,1,hosa"]
    contracts, models = (sorted(path.stem for path in (PROJECT / "conf").glob(kind)) for kind in ("cdm/*.yml", "gold/*.sql"))
    mini = Mini(spark, tmp_path_factory.mktemp("marts"), loads, contracts=contracts, models=models)
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    put_monitors(mini, {}, with_gold=True)
    ensure_audit(mini.lake)
    for short, entity in DIMENSIONS.items():
        keys = [{f"{entity}_key": f"k{number}", f"{entity}_sk": f"s{number}"} for number in (1, 2)]
        write(mini, "silver", entity, schema(f"{entity}_key STRING"), keys)
        unknown = {f"{entity}_key": "-1", f"{entity}_sk": "-1"}
        write(mini, "gold", f"dim_{short}", schema(f"{entity}_key STRING, {entity}_sk STRING"), [*keys, unknown])
    write(mini, "gold", "kpi_summary", schema("as_of_date DATE"), [{"as_of_date": AS_OF}])
    write(mini, "gold", "dim_date", schema("date_key INT"), [{"date_key": -1}, {"date_key": 20260101}])
    for fact, (key, links, _) in FACTS.items():
        days = dict.fromkeys(DAYS[fact], 20260101)
        rows = [{key: f"f{number}", **dict.fromkeys(SKS[:links], f"s{number}"), **days, "amount": number} for number in (1, 2)]
        fact_rows(mini, "gold", fact, rows)
    for entity, fact in (("transaction", "fact_transactions"), ("claim", "fact_claims")):
        fact_rows(mini, "silver", fact, [{"amount": number, "is_current": True} for number in (1, 2)], name=entity)
    return mini


def fact_rows(mini: Mini, layer: str, fact: str, rows: Sequence[Mapping[str, Any]], name: str | None = None) -> None:
    key, links, amount = FACTS[fact]
    amounts = [amount, "paid_amount"] if amount else []
    columns = ["is_current BOOLEAN"]
    if layer == "gold":
        columns = [*(f"{column} STRING" for column in (key, *SKS[:links])), *(f"{column} INT" for column in DAYS[fact]), "as_of_date DATE"]
        rows = [{"as_of_date": AS_OF, **row} for row in rows]
    ddl = ", ".join([*columns, *(f"{column} DECIMAL(18,2)" for column in amounts)])
    write(mini, layer, name or fact, schema(ddl), [{**row, **dict.fromkeys(amounts, Decimal(row["amount"]))} for row in rows])


def test_A05_A06_A07_silver_and_gold_are_compared_by_key_version_and_cent(marts: Mini) -> None:
    # A key that the dimension lacks, a fact that is there twice, a version that is there twice, a fact whose version is gone, one whose day is.
    write(marts, "silver", "payer", schema("payer_key STRING"), [{"payer_key": "k3"}])
    write(marts, "gold", "dim_provider", schema("provider_key STRING, provider_sk STRING"), [{"provider_key": "k1", "provider_sk": "s1"}])
    days = {"service_date_key": -1, "claim_date_key": 19490305}
    fact_rows(marts, "gold", "fact_claims", [{"claim_key": "f2", **dict.fromkeys(SKS[:4], "s2"), "department_sk": "gone", **days, "amount": 3}])
    assert judged(marts, TUESDAY, "facts_and_kpis")["facts_and_kpis"] == []
    write(marts, "gold", "kpi_summary", schema("as_of_date DATE"), [{"as_of_date": date(2025, 12, 31)}])
    found = judged(marts, TUESDAY, *GOLD)
    assert named(found["facts_and_kpis"], "gold_table", "as_of_date") == [
        ("gold.fact_transactions", AS_OF),
        ("gold.kpi_summary", date(2025, 12, 31)),
        ("gold.kpi_summary", AS_OF),
    ]
    assert found["keys_in_dimensions"] == [{"dimension": "gold.dim_payer", "keys_missing": 1, "keys_too_many": 0}]
    assert named(found["facts_and_dimensions"], "fact", "dimension", "link", "facts_with_none", "facts_with_several") == [
        ("gold.fact_claims", "gold.dim_date", "claim_date_key", 1, 0),
        ("gold.fact_claims", "gold.dim_department", "department_sk", 1, 0),
        ("gold.fact_claims", "gold.dim_provider", "provider_sk", 0, 1),
        ("gold.fact_claims", "itself", None, 0, 1),
        ("gold.fact_encounters", "gold.dim_provider", "provider_sk", 0, 1),
        ("gold.fact_transactions", "gold.dim_provider", "provider_sk", 0, 1),
    ]
    assert [(row["fact"], row["total"], float(row["in_silver"]), float(row["in_gold"])) for row in found["totals_tie_out"]] == [
        ("gold.fact_claims", "billed", 3.0, 6.0),
        ("gold.fact_claims", "paid", 3.0, 6.0),
        ("gold.fact_claims", "rows", 2.0, 3.0),
    ]
