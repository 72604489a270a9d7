"""conf/cdm and conf/gold: names that are not there, SQL that does not parse, circles; found before anything is read."""

from pathlib import Path

import pytest
from builders import small_project

PATIENT, VISIT, MODEL = "conf/cdm/patient.yml", "conf/cdm/visit.yml", "conf/gold/billing.sql"
SECOND = """\
/*
grain: one hospital
description: A second model.
*/
SELECT data_source, nameless FROM gold.billing
"""

# case: (file, what stands there, what a mistaken hand writes, the text in whose line the mistake is, what it says)
WRONG = {
    "Q08 rule on a missing column": (
        PATIENT,
        "billed_amount >= 0",
        "bill_amount >= 0",
        "bill_amount",
        "rule 'billed_not_negative' names column 'bill_amount', which the contract does not have. Did you mean 'billed_amount'?",
    ),
    "Q08 message of a missing column": (
        PATIENT,
        'NULL", columns: [first_name]',
        'NULL", columns: [last_name]',
        "first_name_present",
        "rule 'first_name_present' names column 'last_name', which the contract does not have. Did you mean 'has_name'?",
    ),
    "Q08 uniqueness of a missing column": (
        PATIENT,
        'check: "billed_amount >= 0", columns: [billed_amount]',
        "unique: [mrn]",
        "billed_not_negative",
        "rule 'billed_not_negative' names column 'mrn', which the contract does not have.",
    ),
    "patterns of a number": (
        PATIENT,
        "name: billed_amount, type: \"decimal(18,2)\"",
        "name: billed_amount, type: \"decimal(18,2)\", formats: [yyyyMMdd]",
        "formats: ",
        "column 'billed_amount': formats are patterns of dates and times, and its type is decimal(18,2).",
    ),
    "Q08 derived from a missing column": (
        PATIENT,
        'derive: "first_name',
        'derive: "frist_name',
        "frist_name",
        "column 'has_name' names column 'frist_name', which the contract does not have. Did you mean 'first_name'?",
    ),
    "Q09 syntax error in a rule": (
        PATIENT,
        "billed_amount >= 0",
        "billed_amount >= ",
        "not_negative",
        "rule 'billed_not_negative': this is no SQL expression: near 'billed_amount >=' (character 15) a value is missing.",
    ),
    "Q09 an operator too much in a rule": (
        PATIENT,
        "billed_amount >= 0",
        "billed_amount >== 0",
        "not_negative",
        "rule 'billed_not_negative': this is no SQL expression: near 'billed_amount >==' (character 17) a value is missing.",
    ),
    "Q09 two values in a row": (
        PATIENT,
        "billed_amount >= 0",
        "billed_amount >= 0 0",
        "not_negative",
        "rule 'billed_not_negative': this is no SQL expression: near 'billed_amount >= 0 0' (character 20) an operator or the end is expected.",
    ),
    "Q09 bracket not closed": (
        PATIENT,
        "billed_amount >= 0",
        "(billed_amount >= 0",
        "not_negative",
        "rule 'billed_not_negative': this is no SQL expression: near '(billed_amount >= 0' (character 19) ) is expected.",
    ),
    "Q09 quote not closed": (PATIENT, "billed_amount >= 0", "first_name > 'x", "not_negative", "rule 'billed_not_negative': this is no SQL: a quote"),
    "Q09 rule name twice": (PATIENT, "name: billed_not_negative", "name: first_name_present", "billed_amount >=", "rule 'first_name_present' is given twice."),
    "Q09 empty check": (PATIENT, "billed_amount >= 0", " ", "not_negative", "rule 'billed_not_negative': the SQL is empty."),
    "Q09 rule of no kind": (
        PATIENT,
        'check: "billed_amount >= 0", ',
        "",
        "not_negative",
        "rule 'billed_not_negative' has none of check, references, unique.",
    ),
    "Q09 an entity whose quarantine would have no name": (PATIENT, "entity: patient", 'entity: ""', "entity", "entity is no snake_case name"),
    "rule of two kinds": (
        VISIT,
        "references: patient, columns",
        'references: patient, check: "npi IS NOT NULL", columns',
        "patient_known",
        "rule 'patient_known' has references and check or unique; make two rules of it.",
    ),
    "rule named like no name": (
        PATIENT,
        "name: billed_not_negative",
        "name: billed.not-negative",
        "billed.not",
        "rule 'billed.not-negative' is no snake_case name.",
    ),
    "severity misspelled": (
        PATIENT,
        "- {name: billed_not_negative,",
        "- {name: billed_not_negative, severity: eror,",
        "eror",
        "rules.1.severity: expected one of error, warn, drop, fail. Did you mean 'error'?",
    ),
    "function misspelled": (
        PATIENT,
        "billed_amount >= 0",
        "roun(billed_amount) >= 0",
        "roun(",
        "rule 'billed_not_negative': there is no function 'roun' that SQL in the configuration may call. Did you mean 'round'?",
    ),
    "aggregate in a rule": (PATIENT, "billed_amount >= 0", "sum(billed_amount) >= 0", "sum(", "rule 'billed_not_negative': 'sum' may not be called here"),
    "cleaner misspelled": (
        PATIENT,
        "clean: proper_name",
        "clean: propper_name",
        "propper",
        "column 'first_name': there is no cleaner 'propper_name'. Did you mean 'proper_name'?",
    ),
    "type misspelled": (PATIENT, "decimal(18,2)", "decimal(40,2)", "decimal", "column 'billed_amount': type 'decimal(40,2)' is not one of string, date"),
    "more scale than digits": (PATIENT, "decimal(18,2)", "decimal(2,3)", "decimal", "column 'billed_amount': type 'decimal(2,3)' is not one of string"),
    "column twice": (PATIENT, "- {name: has_name,", "- {name: first_name, type: string}\n  - {name: has_name,", None, "column 'first_name' is given twice."),
    "column of the lakehouse": (VISIT, "- {name: npi,", "- {name: version, type: int}\n  - {name: npi,", "version", "column 'version' is a name the lakehouse"),
    "column in capitals": (VISIT, "- {name: npi,", "- {name: Npi2, type: int}\n  - {name: npi,", "Npi2", "column 'Npi2' is no snake_case name."),
    "derived from what is derived": (
        PATIENT,
        "- {name: source_modified_at",
        '- {name: is_new, type: boolean, derive: "NOT has_name"}\n  - {name: source_modified_at',
        "is_new",
        "column 'is_new' names column 'has_name', which is derived itself; write out what it is made of.",
    ),
    "mapped and derived": (
        PATIENT,
        "billed_amount: Billed",
        "has_name: Named",
        "has_name: Named",
        "mapping 'emr': 'has_name' is derived and cannot be mapped.",
    ),
    "mapping of a missing column": (VISIT, "npi: NPI", "npo: NPI", "npo: NPI", "mapping 'emr' names column 'npo', which the contract does not have. Did you"),
    "mapping without the key": (VISIT, "source_visit_id: VisitID, ", "", "- name: emr", "mapping 'emr' does not map the key column 'source_visit_id'."),
    "two mappings of one table": (
        VISIT,
        "rules:",
        "  - {name: again, tables: [claims], columns: {source_visit_id: ID}}\nrules:",
        "again",
        "mappings 'emr' and 'again' both take table 'claims' of every hospital; one must be chosen.",
    ),
    "deletes marked and left out": (
        PATIENT,
        'where: "PatientID IS NOT NULL"',
        'delete_when: "Gone = 1"\n    deletes: ignore',
        "deletes",
        "mapping 'emr': delete_when marks deletes that `deletes: ignore` leaves out; keep one of them.",
    ),
    "deletes misspelled": (
        PATIENT,
        'where: "PatientID IS NOT NULL"',
        "deletes: ignor",
        "deletes",
        "sources.0.deletes: expected one of take, ignore. Did you mean 'ignore'?",
    ),
    "table in capitals": (VISIT, "[visits, claims]", "[visits, claims, Claims]", "Claims", "mapping 'emr': 'Claims' is no table name without schema in lower"),
    "sequence by an amount": (
        PATIENT,
        "sequence_by: [source_modified_at]",
        "sequence_by: [billed_amount]",
        "sequence_by",
        "sequence_by begins with 'billed_amount' of type decimal(18,2); expected the time of the change",
    ),
    "empty key": (PATIENT, "key: [source_patient_id]", "key: []", "key:", "key is empty; expected the columns that, with the hospital, name one thing."),
    "reference without after": (
        VISIT,
        "after: [patient]\n",
        "",
        "patient_known",
        "rule 'patient_known': 'patient' must be named in `after`, so that it is merged first.",
    ),
    "after an entity that is not there": (VISIT, "after: [patient]", "after: [patient, payr]", "after", "after: there is no entity 'payr'."),
    "key of an entity that is not there": (
        VISIT,
        "key_of: patient",
        "key_of: patent",
        "key_of",
        "column 'patient_key': there is no entity 'patent'. Did you mean 'patient'?",
    ),
    "entity under another file's name": (VISIT, "entity: visit", "entity: encounter", "entity", "entity 'encounter' is not the file's name 'visit'."),
    "unknown key": (VISIT, "grain:", "grian: one\ngrain:", "grian", "grian: this key is not known. Did you mean 'grain'?"),
    "model: unknown table": (
        MODEL,
        "silver.patient WHERE",
        "silver.patent WHERE",
        "silver.patent WHERE",
        "it reads 'silver.patent', which does not exist. Did you mean 'silver.patient'?",
    ),
    "model: unknown parameter": (
        MODEL,
        ":as_of",
        ":asof",
        ":asof",
        "there is no parameter ':asof'; there are as_of, revenue_window_days, ageing_basis, fiscal_year_start_month. Did you mean 'as_of'?",
    ),
    "model: two statements": (
        MODEL,
        "GROUP BY data_source",
        "GROUP BY data_source; SELECT 1",
        "; SELECT 1",
        "a semicolon: one expression or one SELECT, nothing after it.",
    ),
    "model: no SELECT": (MODEL, "SELECT data_source", "SELCT data_source", "SELCT", "the SQL does not parse near ','."),
    "model: no header": (MODEL, "/*\n", "--\n", "--", "expected a leading comment /* … */ with grain, description and key."),
    "model: header without grain": (MODEL, "grain: one hospital\n", "", "/*", "grain: this key is required and missing."),
    "model: unknown key in the header": (MODEL, "key: [", "keys: [", "keys", "keys: this key is not known. Did you mean 'key'?"),
    "model: a key that the file gives": (MODEL, "key: [", "sql: SELECT 1\nkey: [", "sql:", "sql: this key is not known; the file itself gives it."),
    "model: key that is no output": (
        MODEL,
        "key: [data_source]",
        "key: [data_sorce]",
        "data_sorce",
        "key names 'data_sorce', which the SELECT does not give. Did you mean 'data_source'?",
    ),
    "model: measure that is no output": (MODEL, "measures: {billed_amount", "measures: {paid_amount", "measures", "measures names 'paid_amount', which"),
    "model: ties out to a missing column": (
        MODEL,
        "silver.patient.billed_amount",
        "silver.patient.paid_amount",
        "ties_out",
        "ties_out: billed_amount names 'silver.patient.paid_amount', which does not exist; expected silver.<entity>.<column>. Did you mean 'silver.patient.b",
    ),
    "model: rows tie out to a column": (
        MODEL,
        "ties_out: {billed_amount:",
        "ties_out: {rows:",
        "ties_out",
        "ties_out: rows names 'silver.patient.billed_amount', which does not exist; expected silver.<entity>.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_by_file_and_line(case: str, tmp_path: Path) -> None:
    file, old, new, marked, says = WRONG[case]
    folder = small_project(tmp_path).edit(file, old, new)
    here = [mistake for mistake in folder.mistakes() if mistake.startswith(f"{file}:")]
    place = f"{file}:{folder.line(file, marked)}" if marked else file
    assert any(mistake.startswith(place) and f": {says}" in mistake for mistake in here), here
