"""Contracts and models that name one another: columns, circles, files of another ending, and what is sound."""

from pathlib import Path

import pytest
from builders import real_project, small_project

PATIENT, VISIT, MODEL = "conf/cdm/patient.yml", "conf/cdm/visit.yml", "conf/gold/billing.sql"
SECOND = """\
/*
grain: one hospital
description: A second model.
*/
SELECT data_source, nameless FROM gold.billing
"""


def test_Q08_a_rule_on_a_missing_column_of_the_real_contracts_is_found_before_the_run(tmp_path: Path) -> None:
    folder = real_project(tmp_path).edit("conf/cdm/claim.yml", "paid_amount <= billed_amount", "paid_amount <= bill_amount")
    (mistake,) = folder.mistakes()
    assert mistake == (
        f"conf/cdm/claim.yml:{folder.line('conf/cdm/claim.yml', 'bill_amount')}: rule 'paid_le_billed' names column 'bill_amount', "
        "which the contract does not have. Did you mean 'billed_amount'?"
    )


def test_entities_that_wait_for_each_other_are_all_named(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(PATIENT, "sequence_by", "after: [visit]\nsequence_by")
    assert folder.mistakes() == [
        f"{PATIENT}:5: 'patient' waits for itself through `after`.",
        f"{VISIT}:5: 'visit' waits for itself through `after`.",
    ]


def test_models_that_read_each_other_are_all_named(tmp_path: Path) -> None:
    folder = small_project(tmp_path).write("conf/gold/second.sql", SECOND)
    assert set(folder.load().models) == {"billing", "second"}
    folder.edit(MODEL, "FROM silver.patient", "FROM silver.patient LEFT JOIN gold.second USING (data_source)")
    assert folder.mistakes() == [
        f"{MODEL}:9: 'billing' reads itself through other models.",
        "conf/gold/second.sql:5: 'second' reads itself through other models.",
    ]


def test_a_model_that_cannot_be_read_makes_no_mistake_in_those_that_read_it(tmp_path: Path) -> None:
    folder = small_project(tmp_path).write("conf/gold/second.sql", SECOND).edit(MODEL, "grain: one hospital\n", "")
    assert folder.mistakes() == [f"{MODEL}:1: grain: this key is required and missing."]


def test_a_file_whose_ending_is_another_is_told_and_what_it_states_is_not_missed(tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    for file, other in ((PATIENT, "conf/cdm/patient.yaml"), (MODEL, "conf/gold/billing.SQL"), (VISIT, "conf/cdm/visit.yml.txt")):
        (folder.home / file).rename(folder.home / other)
    folder.write("conf/cdm/notes.txt", "").write("conf/gold/.billing.sql.swp", "").write("conf/monitor/late.Sql", "")
    folder.write("conf/monitor/feeds.yaml", "hos-a.patients: {max_age_days: 1}\n").write("conf/monitor/notes.yaml", "")
    assert folder.mistakes() == [
        "conf/cdm/patient.yaml: this file is not read, for its name does not end in .yml. Name it patient.yml.",
        "conf/cdm/visit.yml.txt: this file is not read, for its name does not end in .yml. Name it visit.yml.",
        "conf/gold/billing.SQL: this file is not read, for its name does not end in .sql. Name it billing.sql.",
        "conf/monitor/feeds.yaml: this file is not read, for its name does not end in .yml. Name it feeds.yml.",
        "conf/monitor/late.Sql: this file is not read, for its name does not end in .sql. Name it late.sql.",
    ]
    (folder.home / "conf/cdm/visit.yml.txt").rename(folder.home / VISIT)
    still = ["conf/cdm/patient.yaml", "conf/gold/billing.SQL", "conf/monitor/feeds.yaml", "conf/monitor/late.Sql"]
    assert [mistake.partition(": ")[0] for mistake in folder.mistakes()] == still


@pytest.mark.parametrize(
    "check",
    [
        "first_name IS NOT DISTINCT FROM 'x'",
        "extract(YEAR FROM source_modified_at) > 1900 AND trim(BOTH '0' FROM first_name) <> ''",
        "billed_amount BETWEEN (0) AND (10) OR first_name IN ('a', 'it''s; -- /* ${x', 'é') OR NOT (has_name)".replace("${x", "{x"),
        "CASE WHEN has_name THEN (billed_amount > 0) ELSE (billed_amount = 0) END",
        "exists(split(first_name, ' '), part -> part = 'x') AND first_name RLIKE '^[A-Z][a-z]+$'",
        "CAST(billed_amount AS DECIMAL(10, 2)) = billed_amount AND source_modified_at >= TIMESTAMP'1900-01-01 00:00:00' - INTERVAL 3 DAYS",
        "data_source = 'hos-a' AND patient_key IS NOT NULL AND left(first_name, 1) = upper(left(first_name, 1))",
    ],
)
def test_an_honest_rule_is_accepted(check: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(PATIENT, '"billed_amount >= 0"', f'"{check}"')
    assert folder.load().contracts["patient"].rules[1].check == check


def test_the_repositorys_own_configuration_is_sound(tmp_path: Path) -> None:
    project = real_project(tmp_path).load()
    assert len(project.active_loads) >= 13
    assert {"patient", "encounter", "transaction", "claim"} <= set(project.contracts)
    assert {"dim_patient", "fact_transactions", "kpi_summary"} <= set(project.models)
