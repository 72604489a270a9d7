"""Day 2 of a hospital: updates, new rows, late rows, bad rows, a provider changed and one removed, and claims corrected or new.

Changes carry the day before the making. Late rows carry one to two days less than the highest watermark of day 1, so an overlap of
three days meets them. Bad rows are new rows or updates of patients; a good transaction never turns bad, so control sums tie out.
"""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

from rcm_lakehouse.demo import activity as visits
from rcm_lakehouse.demo import canary, claims, people
from rcm_lakehouse.demo.activity import Activity
from rcm_lakehouse.demo.hospital import Changes, Hospital, first_day
from rcm_lakehouse.demo.making import Making, cents_of, day_of, dollars
from rcm_lakehouse.demo.quirks import NULL_BATCH, share
from rcm_lakehouse.demo.tables import Row, Value

ORDINARY_UPDATES = 0.02
NEW_PATIENTS = 0.01
NEW_TRANSACTIONS = 0.015
PAYMENTS = 0.15
LATE_ROWS = 4


@lru_cache(maxsize=8)
def second_day(hospital: str, seed: int, size: str, today: date) -> tuple[Hospital, Changes]:
    """Day 1 of a hospital and what day 2 does to it."""
    before = first_day(hospital, seed, size, today)
    changes = Changes()
    _patients(before, changes)
    _activity(before, changes)
    _providers(before, changes)
    _claims(before, changes)
    return before, changes


def highest_day(hospital: Hospital, table: str) -> date:
    """The day of the highest watermark of a table on day 1."""
    column = hospital.table(table).watermark
    assert column is not None
    return max(day_of(row[column]) for row in hospital.tables[table].values())


def _late(hospital: Hospital, table: str, rng: random.Random) -> Value:
    return hospital.making.moment(rng, highest_day(hospital, table) - timedelta(days=rng.randint(1, 2)))


def _patients(hospital: Hospital, changes: Changes) -> None:
    making, table = hospital.making, hospital.table("patients")
    rng = making.chance("day 2 patients")
    old_enough = highest_day(hospital, "patients") - timedelta(days=3)
    calm = [row for row in hospital.active_patients if day_of(row[str(table.watermark)]) < old_enough]
    ordinary = round(making.patients * ORDINARY_UPDATES)
    chosen = rng.sample(calm, NULL_BATCH + ordinary + LATE_ROWS)
    updated = []
    for place, row in enumerate(chosen):
        is_late = place >= NULL_BATCH + ordinary
        moment = _late(hospital, "patients", rng) if is_late else making.moment(rng, making.second_day)
        change: Row = {"Address": people.address(rng, making), "PhoneNumber": people.phone(rng, making), str(table.watermark): moment}
        if place < NULL_BATCH * share("update_first_name_null_text"):
            change[table.names[1]] = "NULL"
        updated.append({**row, **change})
    if making.hospital == "hos-a":
        updated.append(_changed_canary(hospital))
    changes.updated["patients"] = updated
    count = max(3, round(making.patients * NEW_PATIENTS))
    new = [people.patient(rng, making, making.patients + 1 + place, making.second_day) for place in range(count)]
    changes.inserted["patients"] = [*new[:-1], {**new[-1], table.names[1]: "NULL"}]


def _changed_canary(hospital: Hospital) -> Row:
    change: Row = {"PhoneNumber": canary.CHANGED_PHONE, "Address": canary.CHANGED_ADDRESS, "ModifiedDate": hospital.making.second_day}
    return {**hospital.tables["patients"][canary.PATIENT_ID], **change}


def _activity(hospital: Hospital, changes: Changes) -> None:
    making = hospital.making
    rng = making.chance("day 2 activity")
    known = [*hospital.active_patients, *changes.inserted["patients"][:-1]]
    activity = Activity(next_encounter=hospital.next_encounter, next_transaction=hospital.next_transaction)
    for _ in range(round(making.transactions * NEW_TRANSACTIONS)):
        visits.add_transaction(rng, making, activity, known, making.second_day - timedelta(days=rng.choice((0, 0, 0, 1, 2))), making.second_day)
    _stamp(making, rng, activity.encounters, making.second_day)
    _stamp(making, rng, activity.transactions, making.second_day)
    for row in activity.transactions[:LATE_ROWS]:
        row["ModifiedDate"] = _late(hospital, "transactions", rng)
    for row in activity.encounters[:LATE_ROWS]:
        row["ModifiedDate"] = _late(hospital, "encounters", rng)
    activity.transactions[-1]["PatientID"] = visits.orphan_id(rng)
    activity.transactions[-2]["Amount"] = dollars(-4_200)
    changes.inserted["encounters"] = activity.encounters
    changes.inserted["transactions"] = activity.transactions
    changes.updated["transactions"] = _payments(hospital, rng)
    changes.updated["encounters"] = _moved(hospital, rng)


def _stamp(making: Making, rng: random.Random, rows: Sequence[Row], day: date) -> None:
    for row in rows:
        row["ModifiedDate"] = making.moment(rng, day)


def _payments(hospital: Hospital, rng: random.Random) -> list[Row]:
    """Payments that came in: open transactions of some age are paid; the last few are written late."""
    making = hospital.making
    due = making.first_day - timedelta(days=35)
    waiting = [
        row
        for row in hospital.tables["transactions"].values()
        if row["PaidDate"] is None and cents_of(row["Amount"]) > 0 and due - timedelta(days=50) < day_of(row["ServiceDate"]) < due
    ]
    chosen = rng.sample(waiting, min(len(waiting), max(10, round(len(waiting) * PAYMENTS))))
    calm = highest_day(hospital, "transactions") - timedelta(days=3)
    paid = []
    for place, row in enumerate(chosen):
        is_late = place >= len(chosen) - LATE_ROWS and day_of(row["ModifiedDate"]) < calm
        moment = _late(hospital, "transactions", rng) if is_late else making.moment(rng, making.second_day)
        change: Row = {"PaidAmount": dollars(cents_of(row["Amount"])), "PaidDate": day_of(moment), "ModifiedDate": moment}
        paid.append({**row, **change})
    return paid


def _moved(hospital: Hospital, rng: random.Random) -> list[Row]:
    """Encounters whose department was put right."""
    making = hospital.making
    rows = rng.sample(list(hospital.tables["encounters"].values())[:-1], max(5, round(making.transactions * 0.003)))
    return [{**row, "DepartmentID": visits.department_of_fact(rng), "ModifiedDate": making.moment(rng, making.second_day)} for row in rows]


def _providers(hospital: Hospital, changes: Changes) -> None:
    """One provider changes specialty and department; the last one leaves. Departments stay as they are."""
    rows = list(hospital.tables["providers"].values())
    changed = dict(rows[2])
    changed["Specialization"] = "Geriatrics"
    changed["DeptID"] = "DEPT001" if changed["DeptID"] != "DEPT001" else "DEPT002"
    changes.updated["providers"] = [changed]
    changes.removed["providers"] = [str(rows[-1]["ProviderID"])]


def _claims(hospital: Hospital, changes: Changes) -> None:
    """Hospital A delivers its file again, corrected, under the same name; hospital B delivers changes and new claims in a second file."""
    making = hospital.making
    first = len(hospital.claims) + 1
    new = claims.claims_of(making, changes.inserted["transactions"][:-2], hospital.active_patients, first, making.second_day, "day 2 claims")
    for claim in new:
        claim["ModifiedDate"] = making.second_day.isoformat()
    changed, unchanged, left_out = claims.corrected(making, hospital.claims)
    if making.hospital == "hos-a":
        by_id = {claim["ClaimID"]: claim for claim in [*unchanged, *changed]}
        changes.claims = [by_id[claim["ClaimID"]] for claim in hospital.claims if claim["ClaimID"] in by_id] + new
        changes.claims_left_out = left_out
    else:
        changes.claims = [*changed, *new]
