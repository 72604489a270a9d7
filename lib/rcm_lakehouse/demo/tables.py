"""The tables of a hospital's database as its systems have them: names, columns, declared types, keys and watermarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

Value = str | int | float | date | datetime | None
Row = dict[str, Value]

HOSPITALS: tuple[str, ...] = ("hos-a", "hos-b")
DATABASES: Mapping[str, str] = {"hos-a": "hospital-a", "hos-b": "hospital-b"}


@dataclass(frozen=True)
class Table:
    """A source table: columns as (name, type); types are VARCHAR(n), DATE, MOMENT (day and time), INT, BIGINT, FLOAT."""

    name: str
    columns: tuple[tuple[str, str], ...]
    watermark: str | None = None

    @property
    def key(self) -> str:
        """The primary key: the first column."""
        return self.columns[0][0]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(name for name, _ in self.columns)


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (part.strip().rsplit(" ", 1) for part in text.split(","))
    types = {"id": "VARCHAR(20)", "name": "VARCHAR(60)", "text": "VARCHAR(200)"}
    return tuple((name, types.get(kind, kind)) for name, kind in pairs)


_DEPARTMENTS = Table("departments", _columns("DeptID id, Name name"))
_PROVIDERS = Table("providers", _columns("ProviderID id, FirstName name, LastName name, Specialization name, DeptID id, NPI BIGINT"))
_PATIENTS_A = Table(
    "patients",
    _columns(
        "PatientID id, FirstName name, LastName name, MiddleName name, SSN id, PhoneNumber name, Gender id, DOB DATE, Address text, ModifiedDate DATE"
    ),
    "ModifiedDate",
)
_PATIENTS_B = Table(
    "patients",
    _columns("ID id, F_Name name, L_Name name, M_Name name, SSN id, PhoneNumber name, Gender id, DOB id, Address text, Updated_Date MOMENT"),
    "Updated_Date",
)
_ENCOUNTERS = (
    "EncounterID id, PatientID id, EncounterDate DATE, EncounterType id, ProviderID id, DepartmentID id, ProcedureCode INT, InsertedDate DATE, "
    "ModifiedDate {moment}"
)
_TRANSACTIONS = (
    "TransactionID id, EncounterID id, PatientID id, ProviderID id, DeptID id, VisitDate DATE, ServiceDate DATE, PaidDate DATE, VisitType id, "
    "Amount FLOAT, AmountType id, PaidAmount FLOAT, ClaimID id, PayorID id, ProcedureCode INT, ICDCode id, LineOfBusiness id, MedicaidID id, "
    "MedicareID id, InsertDate DATE, ModifiedDate {moment}"
)


def _hospital(patients: Table, moment: str) -> dict[str, Table]:
    encounters = Table("encounters", _columns(_ENCOUNTERS.format(moment=moment)), "ModifiedDate")
    transactions = Table("transactions", _columns(_TRANSACTIONS.format(moment=moment)), "ModifiedDate")
    return {table.name: table for table in (_DEPARTMENTS, _PROVIDERS, patients, encounters, transactions)}


TABLES: Mapping[str, Mapping[str, Table]] = {"hos-a": _hospital(_PATIENTS_A, "DATE"), "hos-b": _hospital(_PATIENTS_B, "MOMENT")}
"""Tables of each hospital in an order in which a row's parents come first."""

CLAIM_COLUMNS: tuple[str, ...] = (
    *("ClaimID", "TransactionID", "PatientID", "EncounterID", "ProviderID", "DeptID", "ServiceDate", "ClaimDate", "PayorID"),
    *("ClaimAmount", "PaidAmount", "ClaimStatus", "PayorType", "Deductible", "Coinsurance", "Copay", "InsertDate", "ModifiedDate"),
)
CLAIM_FILES: Mapping[str, str] = {"hos-a": "hospital1_claim_data.csv", "hos-b": "hospital2_claim_data.csv"}
PROCEDURE_COLUMNS: tuple[str, ...] = ("Procedure Code Category", "CPT Codes", "Procedure Code Descriptions", "Code Status")
