"""Contracts: mistakes of form and of meaning are told together; what is left out for one makes no second mistake elsewhere."""

from pathlib import Path

import pytest
from builders import Edit, Mistake, untold_in_one_round

LAKEHOUSE, CONNECTIONS, WORK_LIST = "conf/lakehouse.yml", "conf/connections.yml", "load_config.csv"
PATIENT, VISIT, MODEL = "conf/cdm/patient.yml", "conf/cdm/visit.yml", "conf/gold/billing.sql"
FEEDS, MONITOR = "conf/monitor/feeds.yml", "conf/monitor/runs.sql"

# case: (what is written, everything that is said)
ONE_ROUND: dict[str, tuple[list[Edit], list[Mistake]]] = {
    "a contract without grain is judged": (
        [(PATIENT, "grain: one patient of one hospital\n", ""), (PATIENT, "clean: proper_name", "clean: propper_name")],
        [(PATIENT, "entity", "grain: this key is required and missing."), (PATIENT, "propper", "column 'first_name': there is no cleaner 'propper_name'.")],
    ),
    "a misspelled key is read as the known one": (
        [(PATIENT, 'check: "billed_amount >= 0"', 'chekc: "bill_amount >= 0"')],
        [
            (PATIENT, "chekc", "rules.1.chekc: this key is not known. Did you mean 'check'?"),
            (PATIENT, "chekc", "rule 'billed_not_negative' names column 'bill_amount', which the contract does not have. Did you mean 'billed_amount'?"),
        ],
    ),
    "a misspelled required key is told once": (
        [(PATIENT, "columns:\n", "colums:\n"), (PATIENT, "billed_amount >= 0", "bill_amount >= 0")],
        [
            (PATIENT, "colums", "colums: this key is not known. Did you mean 'columns'?"),
            (PATIENT, "bill_amount", "rule 'billed_not_negative' names column 'bill_amount'"),
        ],
    ),
    "a misspelled key in a misspelled block": (
        [(PATIENT, "rules:\n", "ruels:\n"), (PATIENT, "name: first_name_present", "nmae: first_name_present"), (PATIENT, "[billed_amount]", "[billd_amount]")],
        [
            (PATIENT, "ruels", "ruels: this key is not known. Did you mean 'rules'?"),
            (PATIENT, "nmae", "ruels.0.nmae: this key is not known. Did you mean 'name'?"),
            (PATIENT, "billd", "rule 'billed_not_negative' names column 'billd_amount'"),
        ],
    ),
    "a key that is like no other takes the place of none": (
        [(PATIENT, 'check: "billed_amount >= 0"', 'xyz: "billed_amount >= 0"')],
        [(PATIENT, "xyz", "rules.1.xyz: this key is not known.")],
    ),
    "a key that is like no other may have been meant for an optional one": (
        [
            (VISIT, "after:", "xyz:"),
            (CONNECTIONS, "path: landing\n", "path: landing\n  xyz: 1\n"),
            (CONNECTIONS, "  tables:\n    claims", "  zyx:\n    claims"),
        ],
        [(VISIT, "xyz", "xyz: this key"), (CONNECTIONS, "xyz", "landing.xyz: this key"), (CONNECTIONS, "zyx", "landing.zyx: this key")],
    ),
    "a misspelled word is read as the known one": (
        [(VISIT, "patient_known, references: patient", "patient_known, severity: eror, references: patint")],
        [
            (VISIT, "eror", "rules.0.severity: expected one of error, warn, drop, fail. Did you mean 'error'?"),
            (VISIT, "eror", "rule 'patient_known' references entity 'patint' by one column; both must exist. Did you mean 'patient'?"),
        ],
    ),
    "a column that is left out is not missed by rules, mappings, derived columns and gold": (
        [(PATIENT, "{name: first_name, type: string, clean: proper_name}", "{name: first_name, type: [string]}"), (PATIENT, '"decimal(18,2)"', "decimal")],
        [
            (PATIENT, "type: [string]", "columns.1.type: expected a text."),
            (PATIENT, "type: decimal", "column 'billed_amount': type 'decimal' is not one of"),
        ],
    ),
    "lines behind an entry that is left out are right": (
        [
            (PATIENT, "{name: source_patient_id, type: string}", "{name: source_patient_id}"),
            (PATIENT, "name: has_name, type: boolean", "name: has_name, type: bolean"),
        ],
        [
            (PATIENT, "{name: source_patient_id}", "columns.0.type: this key is required and missing."),
            (PATIENT, "bolean", "column 'has_name': type 'bolean' is not one of"),
        ],
    ),
    "a column without a name may be any": (
        [(PATIENT, "{name: first_name, type: string", "{type: string")],
        [(PATIENT, "{type: string", "columns.1.name: this key is required and missing.")],
    ),
    "a mapping that is left out may be what takes its tables": (
        [(VISIT, "  - name: emr\n    tables: [visits, claims]", "  - name: [emr]\n    tables: [visits, claims]"), (WORK_LIST, "dbo.patients", "dbo.patiens")],
        [
            (VISIT, "name: [emr]", "sources.0.name: expected a text."),
            (WORK_LIST, "dbo.patiens", "tablename 'dbo.patiens' is taken by no mapping in conf/cdm. Did you mean 'patients'?"),
        ],
    ),
    "tables that cannot be read may be any": (
        [(VISIT, "tables: [visits, claims]", "tables: 5")],
        [(VISIT, "tables: 5", "sources.0.tables: expected a list.")],
    ),
    "a key that cannot be read is not empty": ([(VISIT, "key: [source_visit_id]", "key: 7")], [(VISIT, "key: 7", "key: expected a list.")]),
    "after that cannot be read may name anything": ([(VISIT, "after: [patient]", "after: {patient: 1}")], [(VISIT, "after", "after: expected a list.")]),
    "a mapped column that cannot be read is mapped": (
        [(VISIT, "source_visit_id: VisitID", "source_visit_id: [VisitID]"), (VISIT, "npi: NPI", "npo: NPI")],
        [
            (VISIT, "[VisitID]", "sources.0.columns.source_visit_id: expected a text."),
            (VISIT, "npo", "mapping 'emr' names column 'npo', which the contract does not have. Did you mean 'npi'?"),
        ],
    ),
    "a misspelled key column is one mistake": (
        [(VISIT, "columns: {source_visit_id: VisitID", "columns: {source_visti_id: VisitID")],
        [(VISIT, "visti", "mapping 'emr' names column 'source_visti_id', which the contract does not have. Did you mean 'source_visit_id'?")],
    ),
    "data sources that cannot be read make no second mapping of a table": (
        [(VISIT, "rules:", "  - {name: own, tables: [claims], data_sources: hos-a, columns: {source_visit_id: ID}}\nrules:")],
        [(VISIT, "name: own", "sources.1.data_sources: expected a list.")],
    ),
    "a contract under another name is known by that of its file": (
        [(PATIENT, "entity: patient", "entity: pateint")],
        [(PATIENT, "pateint", "entity 'pateint' is not the file's name 'patient'.")],
    ),
}


@pytest.mark.parametrize("case", ONE_ROUND)
def test_form_and_meaning_of_contracts_are_judged_in_one_round(case: str, tmp_path: Path) -> None:
    edits, expected = ONE_ROUND[case]
    assert untold_in_one_round(tmp_path, edits, expected) == []
