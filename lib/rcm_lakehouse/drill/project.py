"""The drill's own small project: two hospitals of made-up people, two days, every kind of load.

With bad rows, deletes, late changes, rows that come a day before what they refer to, and a file that is delivered again.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from rcm_lakehouse.config.errors import SourceUnavailableError
from rcm_lakehouse.demo.targets import Target, finish_script, start_script, write_script

HOSPITALS = ("hospital-a", "hospital-b")
# The clock of run and sources on each day: equal clocks give equal windows, so a run again can be compared row by row.
NOW = {1: "2026-03-02T12:00:00Z", 2: "2026-03-03T12:00:00Z"}
AS_OF = "2026-03-03"

_WORK_LIST = """\
database,datasource,tablename,loadtype,watermark,is_active,targetpath
hospital-a,hos-a,patients,Incremental,ModifiedDate,1,hosa
hospital-b,hos-b,patients,Incremental,ModifiedDate,1,hosb
hospital-a,hos-a,charges,Incremental,ModifiedDate,1,hosa
hospital-a,hos-a,departments,Full,,1,hosa
landing,hos-a,claims,Incremental,,1,hosa
"""

_SETTINGS = """\
default:
  retry: {attempts: 2, first_wait_seconds: 0.1, max_wait_seconds: 0.5}
  quality: {max_bad_share: 0.5}
local:
  root: lakehouse
  threads: 2
"""

_CONNECTIONS = """\
hospital-a: {type: jdbc, dialect: h2, database: db/hospital-a, user: sa, time_zone: America/New_York, settle_seconds: 0}
hospital-b: {type: jdbc, dialect: h2, database: db/hospital-b, user: sa, time_zone: America/Chicago, settle_seconds: 0}
landing:
  type: files
  path: landing
  archive: archive
  time_zone: America/New_York
  tables:
    hos-a.claims: {pattern: "claims*.csv"}
"""

CONTRACTS = {
    "patient": """\
entity: patient
description: A person as one hospital knows them.
grain: one patient of one hospital
key: [source_patient_id]
key_is_personal: true
sequence_by: [source_modified_at]
columns:
  - {name: source_patient_id, type: string, phi: direct, description: "the hospital's own number"}
  - {name: last_name, type: string, phi: direct, description: "family name"}
  - {name: birth_date, type: date, phi: direct, description: "day of birth"}
  - {name: source_modified_at, type: timestamp, tracked: false, description: "time of the change"}
sources:
  - name: emr
    tables: [patients]
    columns: {source_patient_id: PatientID, last_name: LastName, birth_date: DOB, source_modified_at: ModifiedDate}
rules:
  - {name: last_name_present, check: "last_name IS NOT NULL", columns: [last_name], message: "the last name is missing"}
""",
    "charge": """\
entity: charge
description: A charge.
grain: one charge of one hospital
key: [source_charge_id]
sequence_by: [source_modified_at]
after: [patient]
columns:
  - {name: source_charge_id, type: string, description: "the hospital's own number"}
  - {name: patient_key, type: string, key_of: patient, description: "patient who was charged"}
  - {name: charge_amount, type: "decimal(18,2)", description: "gross charge in US dollars"}
  - {name: source_modified_at, type: timestamp, tracked: false, description: "time of the change"}
sources:
  - name: emr
    tables: [charges]
    columns: {source_charge_id: ChargeID, patient_key: PatientID, charge_amount: Amount, source_modified_at: ModifiedDate}
    delete_when: "Voided = 1"
rules:
  - {name: patient_known, references: patient, columns: [patient_key], message: "the patient is not known in this hospital"}
  - {name: charge_not_negative, check: "charge_amount >= 0", columns: [charge_amount], message: "the charge is missing or negative"}
""",
    "department": """\
entity: department
description: A department, from the daily snapshot.
grain: one department of one hospital
key: [source_department_id]
columns:
  - {name: source_department_id, type: string, description: "the hospital's own code"}
  - {name: name, type: string, description: "name of the department"}
sources:
  - name: emr
    tables: [departments]
    columns: {source_department_id: DeptID, name: Name}
""",
    "claim": """\
entity: claim
description: A claim, from the files.
grain: one claim of one hospital
key: [source_claim_id]
sequence_by: [source_modified_at]
after: [patient, charge]
columns:
  - {name: source_claim_id, type: string, description: "the hospital's own number"}
  - {name: patient_key, type: string, key_of: patient, description: "patient of the claim"}
  - {name: claim_status, type: string, description: "state of the claim"}
  - {name: billed_amount, type: "decimal(18,2)", description: "amount claimed in US dollars"}
  - {name: source_modified_at, type: timestamp, tracked: false, description: "time of the change"}
sources:
  - name: file
    tables: [claims]
    columns: {source_claim_id: ClaimID, patient_key: PatientID, claim_status: ClaimStatus, billed_amount: ClaimAmount, source_modified_at: ModifiedDate}
rules:
  - {name: patient_known, references: patient, columns: [patient_key], message: "the patient is not known in this hospital"}
""",
}

MODELS = {
    "dim_patient": """\
/*
grain: one version of one patient of one hospital
description: Patients without anything that names a person.
key: [patient_sk]
*/
SELECT patient_sk, patient_key, data_source, year(birth_date) AS birth_year, version, effective_from AS valid_from, effective_to AS valid_to, is_current
FROM silver.patient
""",
    "fact_charges": """\
/*
grain: one current charge of one hospital
description: Charges with the patient's current version.
key: [charge_key]
measures:
  charge_amount: gross charge, US dollars
ties_out:
  rows: silver.charge
  charge_amount: silver.charge.charge_amount
*/
SELECT c.charge_key, c.data_source, coalesce(p.patient_sk, '-1') AS patient_sk, c.charge_amount, CAST(:as_of AS DATE) AS as_of_date
FROM silver.charge c
LEFT JOIN gold.dim_patient p ON p.patient_key = c.patient_key AND p.is_current
WHERE c.is_current
""",
}

_PATIENTS, _CHARGES, _CLAIMS = 40, 90, 30


def write_project(home: Path) -> None:
    """Write the configuration of the drill's project below `home`."""
    texts = {"load_config.csv": _WORK_LIST, "conf/lakehouse.yml": _SETTINGS, "conf/connections.yml": _CONNECTIONS}
    texts |= {f"conf/cdm/{name}.yml": text for name, text in CONTRACTS.items()}
    texts |= {f"conf/gold/{name}.sql": text for name, text in MODELS.items()}
    for name, text in texts.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for folder in ("db", "landing"):
        (home / folder).mkdir(exist_ok=True)


def bring_day(home: Path, day: int) -> None:
    """Let a day happen at the sources: rows in both databases, a claims file in the landing folder.

    Raises SourceUnavailableError when a database refuses its script.
    """
    with tempfile.TemporaryDirectory() as folder:
        started: list[tuple[str, subprocess.Popen[str]]] = []
        for name, statements in zip(HOSPITALS, SCRIPTS[day], strict=True):
            script = Path(folder) / f"{name}.sql"
            write_script(statements, script)
            started.append((name, start_script(Target(), script, home / "db" / name, "")))
        failures: list[SourceUnavailableError] = [error for name, process in started if (error := finish_script(Target(), process, name))]
    if failures:
        raise failures[0]
    # A file is as old as the day's clock says: one from the future would still be arriving.
    arrived = datetime.fromisoformat(NOW[day].replace("Z", "+00:00")).timestamp() - 7200
    for name, rows in _FILES[day].items():
        arrived += 600
        claims = home / "landing" / name
        claims.write_text("\n".join([_HEADER, *rows, ""]), encoding="utf-8")
        os.utime(claims, (arrived, arrived))


def _insert(table: str, rows: Iterable[Sequence[object]]) -> str:
    values = ", ".join("(" + ", ".join("NULL" if value is None else f"'{value}'" for value in row) + ")" for row in rows)
    return f"INSERT INTO {table} VALUES {values}"


def _first_a() -> list[str]:
    patients: list[Sequence[object]] = [(f"P{n:03d}", f"Family {n}", f"19{50 + n}-01-15", f"2026-02-{1 + n % 28:02d}") for n in range(_PATIENTS)]
    patients += [("P900", None, "1980-01-01", "2026-03-01")]
    charges = [(f"C{n:03d}", f"P{n % _PATIENTS:03d}", f"{100 + n}.25", 0, f"2026-02-{1 + n % 28:02d}") for n in range(_CHARGES)]
    # An orphan, a negative amount, a void of a charge that is not there yet, and a charge of a patient who comes with the second day.
    charges += [("C900", "P999", "10.00", 0, "2026-02-20"), ("C901", "P001", "-5.00", 0, "2026-02-20"), ("C902", "P001", "5.00", 1, "2026-02-21")]
    charges += [("C910", "P101", "12.50", 0, "2026-02-22")]
    return [
        "CREATE TABLE patients (PatientID VARCHAR(20) PRIMARY KEY, LastName VARCHAR(60), DOB DATE, ModifiedDate DATE)",
        "CREATE TABLE charges (ChargeID VARCHAR(20) PRIMARY KEY, PatientID VARCHAR(20), Amount DECIMAL(18,2), Voided INT, ModifiedDate DATE)",
        "CREATE TABLE departments (DeptID VARCHAR(20) PRIMARY KEY, Name VARCHAR(60))",
        _insert("patients", patients),
        _insert("charges", charges),
        _insert("departments", [(f"D{n}", f"Department {n}") for n in range(8)]),
    ]


def _second_a() -> list[str]:
    return [
        "UPDATE patients SET LastName = LastName || ' b', ModifiedDate = '2026-03-02' WHERE PatientID < 'P010'",
        # Late: entered today with a day that the overlap still reaches.
        _insert("patients", [("P100", "Family 100", "1990-05-05", "2026-02-27"), ("P101", "Family 101", "1990-05-06", "2026-03-02")]),
        "UPDATE patients SET LastName = 'Family 900', ModifiedDate = '2026-03-02' WHERE PatientID = 'P900'",
        "UPDATE charges SET Amount = Amount + 1, ModifiedDate = '2026-03-02' WHERE ChargeID < 'C010'",
        "UPDATE charges SET Voided = 1, ModifiedDate = '2026-03-02' WHERE ChargeID BETWEEN 'C020' AND 'C022'",
        _insert("charges", [("C100", "P100", "77.00", 0, "2026-03-02"), ("C903", "P998", "1.00", 0, "2026-03-02")]),
        "DELETE FROM departments WHERE DeptID = 'D7'",
        "UPDATE departments SET Name = 'Department three' WHERE DeptID = 'D3'",
    ]


def _first_b() -> list[str]:
    patients = [(f"P{n:03d}", f"Name {n}", f"19{50 + n}-06-15", f"2026-02-{1 + n % 28:02d} 08:30:00.123") for n in range(_PATIENTS)]
    return [
        "CREATE TABLE patients (PatientID VARCHAR(20) PRIMARY KEY, LastName VARCHAR(60), DOB VARCHAR(20), ModifiedDate TIMESTAMP(3))",
        _insert("patients", patients),
    ]


def _second_b() -> list[str]:
    return [
        "UPDATE patients SET LastName = LastName || ' b', ModifiedDate = '2026-03-02 09:00:00.5' WHERE PatientID < 'P005'",
        "UPDATE patients SET DOB = 'not a day', ModifiedDate = '2026-03-02 09:30:00' WHERE PatientID = 'P006'",
        _insert("patients", [("P200", "Name 200", "1991-01-01", "2026-03-02 10:00:00")]),
    ]


SCRIPTS = {1: (_first_a(), _first_b()), 2: (_second_a(), _second_b())}


_HEADER = "ClaimID,PatientID,ClaimStatus,ClaimAmount,ModifiedDate"


def _pending(number: int, *, amount: str | None = None, day: str | None = None) -> str:
    return f"K{number:03d},P{number % _PATIENTS:03d},Pending,{amount or f'{50 + number}.00'},{day or f'2026-02-{1 + number % 28:02d}'}"


def _first_claims() -> list[str]:
    # An orphan, a line cut short, and claims of patients who come with the second day.
    return [*map(_pending, range(_CLAIMS)), "K900,P997,Pending,1.00,2026-02-20", "K901,P001,Pending", *_WAITING]


def _corrected_claims() -> list[str]:
    """The first file again: K009 says another amount with an older day, K010 a later day, K011 is absent, K012 gone wrong, K900 and K901 put right."""
    corrected = {9: _pending(9, amount="59.50", day="2026-01-31"), 10: _pending(10, day="2026-02-28"), 12: _pending(12).replace("P012", "P996")}
    rows = [corrected.get(number, _pending(number)) for number in range(_CLAIMS) if number != 11]
    return [*rows, "K900,P007,Pending,1.00,2026-02-20", "K901,P001,Pending,3.00,2026-02-20", *_WAITING]


def _second_claims() -> list[str]:
    rows = [f"K{number:03d},P{number % _PATIENTS:03d},Paid,{50 + number}.00,2026-03-02" for number in range(8)]
    return [*rows, "K100,P100,Pending,9.00,2026-03-02", "K902,P001,Denied,abc,2026-03-02"]


_WAITING = ["K910,P100,Pending,4.00,2026-02-21", "K911,P101,Pending,6.00,2026-02-21"]
_FILES = {
    1: {"claims_1.csv": _first_claims(), "claims_3.csv": ["K950,P101,Pending,8.00,2026-02-23", _pending(31), _pending(32)]},
    2: {"claims_2.csv": _second_claims(), "claims_1.csv": _corrected_claims()},
}
