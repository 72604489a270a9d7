"""The demo's rows: quirks in their stated shares, keys that hold, and numbers that look like a hospital's."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

import pytest

from rcm_lakehouse.demo import canary
from rcm_lakehouse.demo.changes import highest_day, second_day
from rcm_lakehouse.demo.claims import text_cents
from rcm_lakehouse.demo.codes import HEADER_ICD, is_listed
from rcm_lakehouse.demo.hospital import Hospital, first_day
from rcm_lakehouse.demo.making import cents_of, day_of, dollars
from rcm_lakehouse.demo.people import PREFIX, birth_date, check_digit
from rcm_lakehouse.demo.quirks import NULL_BATCH, QUIRKS
from rcm_lakehouse.demo.tables import HOSPITALS, TABLES, Row
from rcm_lakehouse.demo.truth import claim_rows, hospital_rows, truth

TODAY = date(2026, 11, 23)
SEED = 7
Outcomes = list[bool]


def share_of(rows: Iterable[object], has: Callable[..., bool]) -> Outcomes:
    return [has(row) for row in rows]


def late_payment(row: Row) -> bool:
    return day_of(row["PaidDate"]) < day_of(row["ServiceDate"])


def modified_before(row: Row) -> bool:
    inserted = row["InsertDate"] if "InsertDate" in row else row["InsertedDate"]
    return day_of(row["ModifiedDate"]) < day_of(inserted)


def people_quirks(hospital: Hospital) -> dict[str, Outcomes]:
    people = list(hospital.tables["patients"].values())[: hospital.making.patients]
    names = hospital.table("patients").names
    phones = [str(row["PhoneNumber"]) for row in people]
    in_b = people if hospital.making.hospital == "hos-b" else []
    npis = [str(row["NPI"]) for row in hospital.tables["providers"].values()]
    return {
        "middle_name_null_text": share_of(people, lambda row: row[names[3]] == "NULL"),
        "first_name_null_text": share_of(people, lambda row: row[names[1]] == "NULL"),
        "phone_extension": share_of(phones, lambda phone: "x" in phone),
        "phone_truncated": share_of(phones, lambda phone: len(phone) <= 5),
        "military_address": share_of(people, lambda row: re.search(r" A[EPA] \d{5}$", str(row["Address"])) is not None),
        "ssn_invalid": share_of(people, lambda row: str(row["SSN"]).startswith("9")),
        "birth_date_us_format": share_of(in_b, lambda row: "/" in row["DOB"]),
        "npi_beyond_int32": share_of(npis, lambda npi: int(npi) > 2**31 - 1),
        "npi_lost_digit": share_of(npis, lambda npi: len(npi) == 9),
        "npi_valid": share_of(npis, lambda npi: re.match(r"[12]\d{9}$", npi) is not None and check_digit(npi[:9]) == int(npi[9])),
    }


def activity_quirks(hospital: Hospital) -> dict[str, Outcomes]:
    tables, key = hospital.tables, hospital.table("patients").key
    people, visits, charges = tables["patients"], list(tables["encounters"].values()), list(tables["transactions"].values())
    paid = [row for row in charges if row["PaidDate"] is not None]
    known = {str(name).removeprefix(PREFIX[hospital.making.hospital]) for name in tables["providers"]}
    facts: list[Row] = [*visits, *charges]
    with_person = [row for row in visits if row["PatientID"] in people]
    resolvable = [row for row in charges if row["PatientID"] in people and tables["encounters"][str(row["EncounterID"])]["PatientID"] in people]
    claim_ids = {claim["ClaimID"] for claim in hospital.claims}
    assert key in next(iter(people.values()))
    return {
        "provider_not_in_table": share_of([*facts, *hospital.claims], lambda row: row["ProviderID"] not in known),
        "patient_differs_from_encounter": share_of(
            resolvable, lambda row: row["PatientID"] != tables["encounters"][str(row["EncounterID"])]["PatientID"]
        ),
        "claim_id_matches": share_of(charges, lambda row: row["ClaimID"] in claim_ids),
        "paid_before_service": share_of(paid, late_payment),
        "modified_before_inserted": share_of(facts, modified_before),
        "encounter_before_birth": share_of(with_person, lambda row: row["EncounterDate"] < birth_date(people[str(row["PatientID"])])),
        "paid_above_billed": share_of([row for row in paid if cents_of(row["Amount"]) > 0], lambda row: row["PaidAmount"] > row["Amount"]),
        "icd_header": share_of(charges, lambda row: row["ICDCode"] in HEADER_ICD),
        "procedure_not_listed": share_of(facts, lambda row: not is_listed(row["ProcedureCode"])),
        "orphan_encounter": share_of(visits, lambda row: row["PatientID"] not in people),
        "orphan_transaction": share_of(charges, lambda row: row["PatientID"] not in people),
        "negative_amount": share_of(charges, lambda row: cents_of(row["Amount"]) < 0),
    }


def claim_quirks(hospital: Hospital) -> dict[str, Outcomes]:
    people, charges = hospital.tables["patients"], hospital.tables["transactions"]
    claims = [claim for claim in hospital.claims if claim["ServiceDate"] != "2026-02-30"]
    claimed = Counter(claim["TransactionID"] for claim in claims)
    known = [claim for claim in claims if claim["PatientID"] in people]
    return {
        "claim_patient_differs": share_of(known, lambda claim: claim["PatientID"] != charges[claim["TransactionID"]]["PatientID"]),
        "without_claim": share_of(charges, lambda key: key not in claimed),
        "several_claims": share_of(claimed.values(), lambda count: count > 1),
        "claim_before_service": share_of(claims, lambda claim: claim["ClaimDate"] < claim["ServiceDate"]),
        "denied_with_payment": share_of((c for c in claims if c["ClaimStatus"] == "Denied"), lambda c: (text_cents(c["PaidAmount"]) or 0) > 0),
        "orphan_claim": share_of(claims, lambda claim: claim["PatientID"] not in people),
    }


def test_every_quirk_has_its_stated_share_at_base_size() -> None:
    found: dict[str, Outcomes] = {}
    for code in HOSPITALS:
        hospital = first_day(code, SEED, "base", TODAY)
        for part in (people_quirks(hospital), activity_quirks(hospital), claim_quirks(hospital)):
            for name, outcomes in part.items():
                found.setdefault(name, []).extend(outcomes)
    untested = {"id_in_both_hospitals", "update_first_name_null_text"}  # have tests of their own
    assert set(found) == set(QUIRKS) - untested
    beyond = {}
    for name, outcomes in found.items():
        wanted, measured = QUIRKS[name].share, sum(outcomes) / len(outcomes)
        tolerance = 4 * (wanted * (1 - wanted) / len(outcomes)) ** 0.5 + 0.1 * wanted
        if abs(measured - wanted) > tolerance:
            beyond[name] = (wanted, round(measured, 4))
    assert beyond == {}


def test_every_id_of_hospital_b_is_someone_elses_in_hospital_a() -> None:
    both = [first_day(code, SEED, "small", TODAY) for code in HOSPITALS]
    for table in ("patients", "encounters", "transactions"):
        a, b = (hospital.tables[table] for hospital in both)
        shared = [key for key in b if key in a]
        assert len(shared) >= len(b) - 1, table  # the canary's own record apart
        assert all(list(a[key].values())[1:] != list(b[key].values())[1:] for key in shared), table
    a_claims, b_claims = ({claim["ClaimID"]: claim for claim in hospital.claims} for hospital in both)
    assert set(b_claims) <= set(a_claims) or set(a_claims) <= set(b_claims)
    assert all(str(key).startswith("HOSP1-") for key in both[1].tables["patients"])


@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("seed", [7, 11])
def test_key_figures_look_like_a_hospitals(day: int, seed: int) -> None:
    outside = {}
    for size in ("small", "base"):
        together: list[Row] = []
        for code in HOSPITALS:
            charges = list(hospital_rows(code, seed, size, TODAY, day)["transactions"].values())
            together += charges
            figures = key_figures(charges)
            statuses = Counter(claim["ClaimStatus"] for claim in claim_rows(code, seed, size, TODAY, day).values())
            figures["denied"] = statuses["Denied"] / sum(statuses.values())
            outside |= {(size, code, name): value for name, value in figures.items() if not in_band(name, value)}
        outside |= {(size, "all", name): value for name, value in key_figures(together).items() if not in_band(name, value)}
    assert outside == {}


BANDS = {"ar_over_90": (0.15, 0.35), "gross_days": (35, 60), "gross_collection": (0.80, 0.97), "denied": (0.08, 0.15)}


def in_band(name: str, value: float) -> bool:
    low, high = BANDS[name]
    return low <= value <= high


def key_figures(charges: Iterable[Row]) -> dict[str, float]:
    """A/R over 90 days, gross days in A/R and gross collection rate as of TODAY, ages by service date, debit balances only."""
    rows = [(cents_of(row["Amount"]), cents_of(row["PaidAmount"]), (TODAY - day_of(row["ServiceDate"])).days) for row in charges]
    debits = [(max(charge - paid, 0), age) for charge, paid, age in rows]
    receivable = sum(debit for debit, _ in debits)
    return {
        "ar_over_90": sum(debit for debit, age in debits if age > 90) / receivable,
        "gross_days": receivable / (sum(charge for charge, _, age in rows if age < 90) / 90),
        "gross_collection": sum(paid for _, paid, _ in rows) / sum(charge for charge, _, _ in rows),
    }


@pytest.mark.parametrize("code", HOSPITALS)
def test_watermarks_of_both_days_lie_before_the_making_in_local_time(code: str) -> None:
    # Midnight of the making day in UTC is six in the evening of the day before in Chicago.
    midnight = datetime.combine(TODAY - timedelta(days=1), datetime.min.time())
    latest = {1: midnight, 2: midnight.replace(hour=12)}
    kinds = {"hos-a": date, "hos-b": datetime}
    for day in (1, 2):
        for name, rows in hospital_rows(code, SEED, "small", TODAY, day).items():
            column = TABLES[code][name].watermark
            values = [row[column] for row in rows.values()] if column else []
            assert all(type(value) is kinds[code] for value in values)
            moments = [value if isinstance(value, datetime) else datetime.combine(day_of(value), datetime.min.time()) for value in values]
            assert all(moment < latest[day] for moment in moments), (name, day)


@pytest.mark.parametrize("code", HOSPITALS)
def test_day_two_updates_inserts_removes_and_comes_late(code: str) -> None:
    before, changes = second_day(code, SEED, "small", TODAY)
    first_name = before.table("patients").names[1]
    good_before = {key for key, row in before.tables["patients"].items() if row[first_name] != "NULL"}
    spoiled = [row for row in changes.updated["patients"] if row[first_name] == "NULL"]
    assert len(spoiled) == NULL_BATCH * QUIRKS["update_first_name_null_text"].share
    assert all(row[before.table("patients").key] in good_before for row in spoiled)
    for table in ("patients", "encounters", "transactions"):
        key, column = before.table(table).key, str(before.table(table).watermark)
        rows = [*changes.inserted[table], *changes.updated[table]]
        assert len({row[key] for row in rows}) == len(rows)
        assert not {row[key] for row in changes.inserted[table]} & set(before.tables[table])
        assert {row[key] for row in changes.updated[table]} <= set(before.tables[table])
        top = highest_day(before, table)
        late = [day_of(row[column]) for row in rows if day_of(row[column]) < TODAY - timedelta(days=1)]
        assert late, f"no late row in {table}"
        assert all(top - timedelta(days=3) < day < top for day in late)
        moved_back = [row for row in changes.updated[table] if row[column] <= before.tables[table][str(row[key])][column]]  # type: ignore[operator]
        assert moved_back == []
    assert len(changes.updated["providers"]) == len(changes.removed["providers"]) == 1
    assert "departments" not in {**changes.updated, **changes.inserted, **changes.removed}


def test_bad_rows_stay_far_below_a_fifth_of_each_entitys_batch() -> None:
    for size in ("small", "base"):
        for code in HOSPITALS:
            before, changes = second_day(code, SEED, size, TODAY)
            first_name = before.table("patients").names[1]
            batches = [list(before.tables["patients"].values()), [*changes.updated["patients"], *changes.inserted["patients"]]]
            for batch in batches:
                bad = sum(row[first_name] == "NULL" for row in batch)
                assert bad <= 0.2 * len(batch) or len(batch) < 200, (size, code)


def test_the_canary_is_good_then_changed_and_has_bad_records_in_both_hospitals() -> None:
    before, changes = second_day("hos-a", SEED, "small", TODAY)
    person = before.tables["patients"][canary.PATIENT_ID]
    assert (person["FirstName"], person["SSN"], person["DOB"], person["PhoneNumber"]) == (
        canary.FIRST_NAME,
        canary.SSN,
        canary.BIRTH_DATE,
        canary.PHONE,
    )
    assert before.tables["patients"][canary.BAD_PATIENT_ID]["FirstName"] == "NULL"
    (changed,) = (row for row in changes.updated["patients"] if row["PatientID"] == canary.PATIENT_ID)
    assert (changed["PhoneNumber"], changed["Address"]) == (canary.CHANGED_PHONE, canary.CHANGED_ADDRESS)
    for table in ("encounters", "transactions"):
        assert any(row["PatientID"] == canary.PATIENT_ID for row in before.tables[table].values())
    assert any(claim["PatientID"] == canary.PATIENT_ID for claim in before.claims)
    in_b = first_day("hos-b", SEED, "small", TODAY).tables["patients"]
    assert in_b[canary.BAD_CAST_PATIENT_ID]["DOB"] == canary.BAD_CAST_BIRTH_DATE
    assert canary.PATIENT_ID not in in_b


def test_sizes_are_what_they_are_called() -> None:
    counted = {size: truth(SEED, size, TODAY) for size in ("small", "base")}
    for size, (patients, transactions) in {"small": (1_000, 5_000), "base": (10_000, 50_000)}.items():
        assert sum(counted[size][code]["patients"]["rows"] for code in HOSPITALS) == patients + 3  # the canary's three records
        assert sum(counted[size][code]["transactions"]["rows"] for code in HOSPITALS) == transactions + 1


def test_equal_seeds_give_equal_rows_and_other_seeds_other_rows() -> None:
    first = first_day("hos-b", 3, "small", TODAY)
    first_day.cache_clear()
    again, other = first_day("hos-b", 3, "small", TODAY), first_day("hos-b", 4, "small", TODAY)
    assert (first.tables, first.claims) == (again.tables, again.claims)
    assert first.tables["transactions"] != other.tables["transactions"]


def test_a_float_column_holds_the_same_cents_that_were_meant() -> None:
    assert dollars(98_837) == 988.3699951171875
    assert [cents_of(dollars(cents)) for cents in range(1_000, 2_400_000, 997)] == list(range(1_000, 2_400_000, 997))
