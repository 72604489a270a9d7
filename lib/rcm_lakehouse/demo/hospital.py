"""A hospital on day 1 and what day 2 does to it, as plain rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from rcm_lakehouse.demo import activity as visits
from rcm_lakehouse.demo import canary, claims, people
from rcm_lakehouse.demo.activity import Activity
from rcm_lakehouse.demo.claims import Claim
from rcm_lakehouse.demo.making import Making
from rcm_lakehouse.demo.tables import TABLES, Row, Table


@dataclass(frozen=True)
class Hospital:
    """Rows of each table by key, and the claims of the first file. Not to be changed: makings are shared."""

    making: Making
    tables: Mapping[str, Mapping[str, Row]]
    claims: Sequence[Claim]
    silent_patients: int
    next_encounter: int
    next_transaction: int

    def table(self, name: str) -> Table:
        """The definition of one table."""
        return TABLES[self.making.hospital][name]

    @property
    def active_patients(self) -> list[Row]:
        """Patients who may visit: good records."""
        rows = list(self.tables["patients"].values())
        bad = {canary.PATIENT_ID, canary.BAD_PATIENT_ID, canary.BAD_CAST_PATIENT_ID}
        first_name, key = self.table("patients").names[1], self.table("patients").key
        return [row for row in rows if row[first_name] != "NULL" and row[key] not in bad]


@dataclass
class Changes:
    """What day 2 does: whole new rows, whole changed rows and removed keys by table, and the claims it delivers."""

    inserted: dict[str, list[Row]] = field(default_factory=dict)
    updated: dict[str, list[Row]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    claims_left_out: list[Claim] = field(default_factory=list)


@lru_cache(maxsize=8)
def first_day(hospital: str, seed: int, size: str, today: date) -> Hospital:
    """The hospital as day 1 makes it. Answers are kept, since the writer and the truth ask for the same ones."""
    making = Making(hospital, seed, size, today)
    patients, silent = people.patients(making)
    active = patients[:-silent]
    activity = visits.first_activity(making, active)
    if hospital == "hos-a":
        patients.append(_with_canary(making, activity))
    filed = claims.claims_of(making, activity.transactions, active, 1, making.first_day, "claims")
    if hospital == "hos-a":
        filed.append(_canary_claim(making, patients[-1], activity.transactions[-1], len(filed) + 1))
    rows = {
        "departments": people.departments(),
        "providers": people.providers(making),
        "patients": patients,
        "encounters": activity.encounters,
        "transactions": activity.transactions,
    }
    return Hospital(
        making,
        {name: {str(row[TABLES[hospital][name].key]): row for row in found} for name, found in rows.items()},
        claims.with_bad_values(filed, len(filed) + 1),
        silent,
        activity.next_encounter,
        activity.next_transaction,
    )


def _with_canary(making: Making, activity: Activity) -> Row:
    """Add an encounter and a transaction of the canary to the activity; their own record."""
    rng = making.chance("canary activity")
    person = people.canary_patient(making)
    day = making.first_day.replace(day=1)
    visit = visits.encounter(rng, making, activity.next_encounter, person, day, making.first_day)
    visit |= {"PatientID": canary.PATIENT_ID, "EncounterDate": day}
    charge = visits.transaction(rng, making, activity.next_transaction, visit, day, making.first_day)
    activity.encounters.append(visit)
    activity.transactions.append(charge)
    activity.next_encounter += 1
    activity.next_transaction += 1
    return person


def _canary_claim(making: Making, person: Row, charge: Row, number: int) -> Claim:
    for attempt in range(50):
        found = claims.claims_of(making, [charge], [person], number, making.first_day, f"canary claim {attempt}")
        if len(found) == 1 and found[0]["PatientID"] == canary.PATIENT_ID:
            return found[0]
    raise AssertionError("no making gives the canary a claim")
