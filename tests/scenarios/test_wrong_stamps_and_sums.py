"""Stamps that lie ahead, and amounts that are none or are written as another country writes them."""

import pytest
from pyspark.sql import SparkSession

from harness import Ended, Mini
from loads_kit import incremental, visit_contract
from rcm_lakehouse.quality.judge import FUTURE

pytestmark = pytest.mark.deep

AMOUNTS = {  # as delivered: what it means, None for what fits no amount
    "1234.5": "1234.50",
    "$1,234,567.89": "1234567.89",
    " (1,000.005) ": "-1000.01",
    "-$ 5": "-5.00",
    "$-5": "-5.00",
    "+.5": "0.50",
    "12.": "12.00",
    "1.5E3": "1500.00",
    "1234,56": None,
    "1.234,56": None,
    "12,34,5": None,
    "1,2345": None,
    "100 200": None,
    "1,234 567": None,
    "$": None,
    ".": None,
    "--5": None,
    "5-": None,
}
# Both fail when a source is asked for hundredths of them.
NO_SUMS = ("CAST('NaN' AS DOUBLE PRECISION)", "CAST('-Infinity' AS DOUBLE PRECISION)", "1e300")


def insert(key: str, state: str, amount: str, cost: str, mark: str) -> str:
    return f"INSERT INTO visits VALUES ('{key}', '{state}', '{amount}', {cost}, TIMESTAMP '{mark}')"


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mini, list[Ended]]:
    """Four runs: all rows; one row stamped far ahead, one beside it truly; the first corrected with a true stamp; a comparison."""
    contract = visit_contract(["visits"], sequence_by=["changed_at"])
    contract["columns"] += [{"name": name, "type": "decimal(18,2)"} for name in ("amount", "cost")]
    contract["columns"].append({"name": "changed_at", "type": "timestamp", "tracked": False})
    contract["sources"][0]["columns"].update(amount="Amount", cost="Cost", changed_at="Mark")
    mini = Mini(spark, tmp_path_factory.mktemp("stamps"), [incremental("visits")], own_contracts={"visit": contract})
    mini.connections = {"hospital-a": mini.h2()}
    mini.write()
    mini.sql(
        "CREATE TABLE visits (VisitID VARCHAR(20), State VARCHAR(60), Amount VARCHAR(40), Cost DOUBLE PRECISION, Mark TIMESTAMP(6))",
        *[insert(f"amount {text}", "open", text, "1.0", "2026-01-20 08:00:00") for text in AMOUNTS],
        *[insert(f"cost {cost[:8]}".replace("'", ""), "open", "1", cost, "2026-01-20 08:00:00") for cost in NO_SUMS],
        *[insert(key, "open", "1", "1.005", "2026-01-20 08:00:00") for key in ("ahead", "beside", "missed")],
    )
    runs = [mini.run(now="2026-01-25T12:00:00Z")]
    mini.sql(
        "UPDATE visits SET State = 'wrong', Mark = TIMESTAMP '2026-02-25 08:00:00' WHERE VisitID = 'ahead'",
        "UPDATE visits SET State = 'right', Mark = TIMESTAMP '2026-01-25 11:00:00' WHERE VisitID = 'beside'",
    )
    runs.append(mini.run(now="2026-01-25T14:00:00Z"))
    mini.sql("UPDATE visits SET State = 'corrected', Mark = TIMESTAMP '2026-01-25 15:00:00' WHERE VisitID = 'ahead'")
    runs.append(mini.run(now="2026-01-25T16:00:00Z"))
    mini.sql("UPDATE visits SET Amount = '2' WHERE VisitID = 'missed'")
    runs.append(mini.run(now="2026-01-25T18:00:00Z", reconcile=("hos-a.visits",)))
    for ended in runs:
        assert ended.code == 0, ended.said
    return mini, runs


def test_amounts_that_another_country_would_read_otherwise_wait_in_quarantine(told: tuple[Mini, list[Ended]]) -> None:
    mini, _ = told
    found = mini.rows("silver.visit", "substr(source_visit_id, 8)", "CAST(amount AS STRING)", where="source_visit_id LIKE 'amount%' AND is_current")
    assert dict(found) == {text.strip() if text.endswith(" ") else text: wanted for text, wanted in AMOUNTS.items() if wanted is not None}
    waiting = mini.rows("quarantine.visit", "get_json_object(raw_row, '$.Amount')", "reasons.rule", where="entity_key LIKE '%amount%'")
    assert dict(waiting) == {text: ["cast:amount"] for text, wanted in AMOUNTS.items() if wanted is None}


def test_a_row_stamped_ahead_counts_from_its_reading_and_what_corrects_it_wins(told: tuple[Mini, list[Ended]]) -> None:
    mini, runs = told
    versions = mini.rows("silver.visit", "version", "state", "CAST(effective_from AS STRING)", "is_current", "dq_flags", where="source_visit_id = 'ahead'")
    read = runs[1].log("bronze", "hosa_visits").window_high
    assert read is not None
    assert sorted(versions) == [
        (1, "open", "2026-01-20 08:00:00", False, []),
        (2, "wrong", read.rstrip("0").rstrip("."), False, [FUTURE]),
        (3, "corrected", "2026-01-25 15:00:00", True, []),
    ]
    assert mini.rows("silver.visit", "state", "dq_flags", where="source_visit_id = 'beside' AND is_current") == [("right", [])]
    warned = [[note for note in ended.log("silver", "visit").warnings if "ahead of their reading" in note] for ended in runs[:3]]
    assert [len(notes) for notes in warned] == [0, 1, 0]
    assert warned[1][0].startswith("1 rows are stamped")


def test_I34_values_that_are_no_sums_do_not_stop_a_comparison(told: tuple[Mini, list[Ended]]) -> None:
    mini, runs = told
    assert mini.rows("quarantine.visit", "reasons.rule", where="entity_key LIKE '%cost%'") == [(["cast:cost"],)] * len(NO_SUMS)
    told = "compared with the source: 0 missed, 1 changed without a new watermark, 0 deleted; compared in hundredths: Cost (double precision)"
    assert runs[3].log("reconcile", "hosa_visits").message == told
    assert mini.rows("silver.visit", "CAST(amount AS STRING)", where="source_visit_id = 'missed' AND is_current") == [("2.00",)]
