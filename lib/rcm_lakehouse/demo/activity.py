"""Encounters and transactions: visits of patients, what they are charged, and what has been paid of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from rcm_lakehouse.demo import codes
from rcm_lakehouse.demo.making import HISTORY_DAYS, Making, dollars
from rcm_lakehouse.demo.names import DEPARTMENTS
from rcm_lakehouse.demo.people import PROVIDERS, birth_date, patient_id
from rcm_lakehouse.demo.quirks import share
from rcm_lakehouse.demo.tables import TABLES, Row

_ENCOUNTER_TYPES = ("Inpatient", "Outpatient", "Emergency", "Telemedicine", "Routine Checkup")
_TYPE_WEIGHTS = (12, 45, 15, 10, 18)
_MEDIAN_CENTS = {"Inpatient": 96_000, "Outpatient": 36_000, "Emergency": 69_000, "Telemedicine": 11_500, "Routine Checkup": 16_500}
_VISIT_TYPES = {"Emergency": ("Emergency",), "Routine Checkup": ("Routine", "Follow-up"), "Telemedicine": ("Consultation", "Follow-up")}
_AMOUNT_TYPES = {"Medicare": "Medicare", "Medicaid": "Medicaid", "Self-Pay": "Self-pay", "Commercial": "Insurance"}
_NO_ONE = 888_000
UNPAID_EVERY = 61
"""Each so many-th transaction is never paid: what ages past 90 days. Counted, not drawn, so that few rows give a steady share."""
PART_PAID = 0.05


@dataclass
class Activity:
    """Rows of encounters and transactions, and the numbers that the next rows take."""

    encounters: list[Row] = field(default_factory=list)
    transactions: list[Row] = field(default_factory=list)
    next_encounter: int = 1
    next_transaction: int = 1


def provider_of_fact(rng: random.Random, making: Making) -> str:
    """How facts name providers: `PROV0133`, mostly a number that the provider table does not have."""
    known = PROVIDERS[making.hospital]
    number = rng.randint(known + 20, 499) if rng.random() < share("provider_not_in_table") else rng.randint(1, known - 3)
    return f"PROV{number:04d}"


def department_of_fact(rng: random.Random) -> str:
    """One of the twenty departments."""
    return f"DEPT{rng.randint(1, len(DEPARTMENTS)):03d}"


def orphan_id(rng: random.Random) -> str:
    """The id of a patient who does not exist."""
    return patient_id(_NO_ONE + rng.randint(1, 900))


def first_activity(making: Making, patients: Sequence[Row]) -> Activity:
    """All encounters and transactions of day 1, spread evenly over the history."""
    rng = making.chance("activity")
    activity = Activity()
    count = making.transactions
    for place in range(count):
        back = HISTORY_DAYS * (1 - (place + rng.random()) / count)
        add_transaction(rng, making, activity, patients, making.first_day - timedelta(days=int(back)), making.first_day)
    return activity


def add_transaction(rng: random.Random, making: Making, activity: Activity, patients: Sequence[Row], served: date, as_of: date) -> None:
    """One more transaction as known on `as_of`, of the last encounter or of a new one."""
    if not activity.encounters or rng.random() < 0.6:
        activity.encounters.append(encounter(rng, making, activity.next_encounter, _someone(rng, patients), served, as_of))
        activity.next_encounter += 1
    visit = activity.encounters[-1]
    row = transaction(rng, making, activity.next_transaction, visit, served, as_of)
    draw = rng.random()
    if draw < share("orphan_transaction"):
        row["PatientID"] = orphan_id(rng)
    elif draw < share("orphan_transaction") + share("patient_differs_from_encounter") or str(row["PatientID"]) > patient_id(_NO_ONE):
        row["PatientID"] = _key(making, _someone(rng, patients))
    activity.transactions.append(row)
    activity.next_transaction += 1


def _someone(rng: random.Random, patients: Sequence[Row]) -> Row:
    # Squaring makes some patients come often and many seldom.
    return patients[int(len(patients) * rng.random() ** 1.8)]


def _key(making: Making, row: Row) -> str:
    return str(row[TABLES[making.hospital]["patients"].key])


def encounter(rng: random.Random, making: Making, number: int, person: Row, day: date, as_of: date) -> Row:
    """An encounter on or shortly before `day`; a few are dated before birth, and a few name no patient who exists."""
    happened = day - timedelta(days=rng.choice((0, 0, 0, 1, 2)))
    if rng.random() < share("encounter_before_birth"):
        happened = birth_date(person) - timedelta(days=rng.randint(1, 300))
    modified = min(as_of, day + timedelta(days=rng.randint(0, 20)))
    return {
        "EncounterID": f"ENC{number:06d}",
        "PatientID": orphan_id(rng) if rng.random() < share("orphan_encounter") else _key(making, person),
        "EncounterDate": happened,
        "EncounterType": rng.choices(_ENCOUNTER_TYPES, _TYPE_WEIGHTS)[0],
        "ProviderID": provider_of_fact(rng, making),
        "DepartmentID": department_of_fact(rng),
        "ProcedureCode": codes.procedure_code(rng),
        "InsertedDate": _inserted(rng, modified, min(day, modified)),
        "ModifiedDate": making.moment(rng, modified),
    }


def _inserted(rng: random.Random, modified: date, usual: date) -> date:
    return modified + timedelta(days=rng.randint(1, 60)) if rng.random() < share("modified_before_inserted") else usual


def transaction(rng: random.Random, making: Making, number: int, visit: Row, served: date, as_of: date) -> Row:
    """A charge of an encounter with what has been paid of it by `as_of`."""
    kind = str(visit["EncounterType"])
    cents = min(max(round(_MEDIAN_CENTS[kind] * rng.lognormvariate(0, 0.45)), 1_500), 2_400_000)
    business = line_of_business(str(visit["PatientID"]))
    entered = min(as_of, served + timedelta(days=rng.choice((0, 0, 1, 1, 2, 3, 5))))
    lag = round(rng.triangular(3, 72, 16))
    is_paid = number % UNPAID_EVERY != 0 and served + timedelta(days=lag) <= as_of
    paid_on = served + timedelta(days=lag) if is_paid else None
    modified = max(entered, paid_on or entered)
    if paid_on and rng.random() < share("paid_before_service"):
        paid_on = served - timedelta(days=rng.randint(1, 25))
    is_medicaid, is_medicare = business == "Medicaid", business == "Medicare"
    return {
        "TransactionID": f"TRANS{number:06d}",
        "EncounterID": visit["EncounterID"],
        "PatientID": visit["PatientID"],
        "ProviderID": visit["ProviderID"],
        "DeptID": visit["DepartmentID"],
        "VisitDate": served - timedelta(days=rng.choice((0, 0, 1))),
        "ServiceDate": served,
        "PaidDate": paid_on,
        "VisitType": rng.choice(_VISIT_TYPES.get(kind, ("Routine", "Follow-up", "Consultation"))),
        "Amount": dollars(-cents if rng.random() < share("negative_amount") else cents),
        "AmountType": "Co-pay" if rng.random() < 0.08 else _AMOUNT_TYPES[business],
        "PaidAmount": dollars(paid_cents(rng, cents) if is_paid else 0),
        "ClaimID": f"CLAIM{rng.randint(500_000, 999_999)}",
        "PayorID": f"PAYOR{1_000 + 37 * rng.randint(1, 24)}",
        "ProcedureCode": codes.procedure_code(rng),
        "ICDCode": codes.icd_code(rng),
        "LineOfBusiness": business,
        "MedicaidID": f"MEDI{rng.randint(10_000, 99_999)}" if is_medicaid else None,
        "MedicareID": f"MCARE{rng.randint(10_000, 99_999)}" if is_medicare else None,
        "InsertDate": _inserted(rng, modified, entered),
        "ModifiedDate": making.moment(rng, modified),
    }


def paid_cents(rng: random.Random, cents: int) -> int:
    """What comes in when a charge is paid: mostly all of it, sometimes a part, now and then more than was billed."""
    draw = rng.random()
    if draw < share("paid_above_billed"):
        return round(cents * rng.uniform(1.02, 1.35))
    if draw < share("paid_above_billed") + PART_PAID:
        return round(cents * rng.uniform(0.6, 0.95))
    return cents


def line_of_business(patient: str) -> str:
    """A patient's line of business: always the same for the same id."""
    place = sum(map(ord, patient)) * 37 % 100
    return "Commercial" if place < 46 else "Medicare" if place < 76 else "Medicaid" if place < 93 else "Self-Pay"
