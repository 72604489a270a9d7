"""What the sources hold after a day, counted from the generator's own rows: the other side of every tie-out."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import TypedDict

from rcm_lakehouse.demo.changes import second_day
from rcm_lakehouse.demo.claims import Claim, text_cents
from rcm_lakehouse.demo.codes import procedure_rows
from rcm_lakehouse.demo.hospital import Changes, Hospital, first_day
from rcm_lakehouse.demo.making import sum_cents
from rcm_lakehouse.demo.quirks import BAD_CLAIM_LINES
from rcm_lakehouse.demo.tables import HOSPITALS, Row


class TableTruth(TypedDict, total=False):
    """Rows of one table; money in integer cents, each row rounded half up; `malformed_lines` of files are not among `rows`."""

    rows: int
    charge_cents: int
    paid_cents: int
    malformed_lines: int


def hospital_rows(hospital: str, seed: int, size: str, today: date, day: int) -> dict[str, dict[str, Row]]:
    """Every database row of a hospital by table and key, as the source holds it after `day`."""
    if day == 1:
        return {name: dict(rows) for name, rows in first_day(hospital, seed, size, today).tables.items()}
    before, changes = second_day(hospital, seed, size, today)
    return after(before, changes)


def after(before: Hospital, changes: Changes) -> dict[str, dict[str, Row]]:
    """The tables of a hospital with the changes applied."""
    tables = {name: dict(rows) for name, rows in before.tables.items()}
    for change in (changes.updated, changes.inserted):
        for name, rows in change.items():
            tables[name].update((str(row[before.table(name).key]), row) for row in rows)
    for name, keys in changes.removed.items():
        for key in keys:
            del tables[name][key]
    return tables


def claim_rows(hospital: str, seed: int, size: str, today: date, day: int) -> dict[str, Claim]:
    """The newest well-formed line of each claim over all files delivered until `day`; a claim left out of a correction stays."""
    before = first_day(hospital, seed, size, today)
    found = {claim["ClaimID"]: claim for claim in before.claims}
    if day == 2:
        found.update((claim["ClaimID"], claim) for claim in second_day(hospital, seed, size, today)[1].claims)
    return found


def truth(seed: int = 7, size: str = "small", today: date | None = None, day: int = 1) -> dict[str, dict[str, TableTruth]]:
    """By data source and table: rows and control sums of what the sources hold after `day`.

    Bad rows are counted: silver's current rows plus open quarantine must come to these numbers. `network` has the procedure codes.
    """
    today = today or utc_today()
    found: dict[str, dict[str, TableTruth]] = {}
    for hospital in HOSPITALS:
        tables = hospital_rows(hospital, seed, size, today, day)
        counted: dict[str, TableTruth] = {name: {"rows": len(rows)} for name, rows in tables.items()}
        charges = list(tables["transactions"].values())
        counted["transactions"] |= {"charge_cents": sum_cents(charges, "Amount"), "paid_cents": sum_cents(charges, "PaidAmount")}
        counted["claims"] = _claims_truth(claim_rows(hospital, seed, size, today, day).values())
        found[hospital] = counted
    found["network"] = {"procedure_codes": {"rows": len(procedure_rows())}}
    return found


def _claims_truth(claims: Iterable[Claim]) -> TableTruth:
    rows = list(claims)
    return {
        "rows": len(rows),
        "charge_cents": sum(text_cents(row["ClaimAmount"]) or 0 for row in rows),
        "paid_cents": sum(text_cents(row["PaidAmount"]) or 0 for row in rows),
        "malformed_lines": BAD_CLAIM_LINES["short"] + BAD_CLAIM_LINES["long"],
    }


def status_counts(hospital: str, seed: int, size: str, today: date, day: int) -> Counter[str]:
    """Claims by status after `day`."""
    return Counter(claim["ClaimStatus"] for claim in claim_rows(hospital, seed, size, today, day).values())


def utc_today() -> date:
    """The day of making by default: today in UTC."""
    return datetime.now(timezone.utc).date()
