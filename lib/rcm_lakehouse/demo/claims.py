"""Claims as the monthly files carry them: text in every column, most transactions with one claim, some with several, many with none."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from rcm_lakehouse.demo.activity import orphan_id, provider_of_fact
from rcm_lakehouse.demo.making import Making, cents_of, day_of
from rcm_lakehouse.demo.quirks import share
from rcm_lakehouse.demo.tables import CLAIM_COLUMNS, TABLES, Row

Claim = dict[str, str]

_PRIVATE = ("BlueCross", "Aetna", "UnitedHealthcare")
_PAYER_TYPES = {"Medicare": "Government", "Medicaid": "Government", "Self-Pay": "Self-pay"}
FIRST_DENIED = 0.07
REJECTED = 0.035


def claim_key(number: int) -> str:
    """The id of a claim; transactions name other numbers, so theirs never match."""
    return f"CLAIM{number:06d}"


def dollars_text(cents: int) -> str:
    """Cents as the files spell money: `2082.51`."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def claims_of(making: Making, transactions: Iterable[Row], patients: Sequence[Row], first: int, as_of: date, part: str) -> list[Claim]:
    """Claims of transactions as known on `as_of`, numbered from `first`."""
    rng = making.chance(part)
    key = TABLES[making.hospital]["patients"].key
    people = [str(row[key]) for row in patients]
    found: list[Claim] = []
    for transaction in transactions:
        for is_last, is_alone in _submissions(rng):
            found.append(_claim(rng, making, transaction, first + len(found), people, as_of, is_last=is_last, is_alone=is_alone))
    return found


def _submissions(rng: random.Random) -> list[tuple[bool, bool]]:
    if rng.random() < share("without_claim"):
        return []
    if rng.random() >= share("several_claims"):
        return [(True, True)]
    count = rng.choice((2, 2, 2, 3))
    return [(place == count - 1, False) for place in range(count)]


def _claim(
    rng: random.Random, making: Making, transaction: Row, number: int, people: Sequence[str], as_of: date, *, is_last: bool, is_alone: bool
) -> Claim:
    served = day_of(transaction["ServiceDate"])
    sent = min(as_of, served + timedelta(days=rng.randint(1, 12) + (0 if is_alone or not is_last else 21)))
    status = _status(rng, transaction, is_last=is_last, is_alone=is_alone)
    if rng.random() < share("claim_before_service"):
        sent = served - timedelta(days=rng.randint(1, 15))
    billed = max(cents_of(transaction["Amount"]), 1_000)
    shares = [round(billed * rng.uniform(0, part)) for part in (0.06, 0.05, 0.03)]
    patient, draw = str(transaction["PatientID"]), rng.random()
    # Claims of orphan transactions name no one already.
    own_orphans = share("orphan_claim") - share("orphan_transaction")
    if draw < own_orphans:
        patient = orphan_id(rng)
    elif draw < own_orphans + share("claim_patient_differs"):
        patient = rng.choice(people)
    business = str(transaction["LineOfBusiness"])
    values = (
        *(claim_key(number), str(transaction["TransactionID"]), patient, str(transaction["EncounterID"]), provider_of_fact(rng, making)),
        *(str(transaction["DeptID"]), served.isoformat(), sent.isoformat()),
        business if business in ("Medicare", "Medicaid") else rng.choice(_PRIVATE),
        *(dollars_text(billed), dollars_text(_paid(rng, status, billed, billed - sum(shares))), status, _PAYER_TYPES.get(business, "Private")),
        *(dollars_text(part) for part in shares),
        sent.isoformat(),
        min(as_of, max(sent, served) + timedelta(days=rng.randint(0, 40))).isoformat(),
    )
    return dict(zip(CLAIM_COLUMNS, values, strict=True))


def _status(rng: random.Random, transaction: Row, *, is_last: bool, is_alone: bool) -> str:
    draw = rng.random()
    if not is_last and draw < 0.5:
        return "Denied"
    denied = FIRST_DENIED if is_alone else FIRST_DENIED / 2
    if draw < denied:
        return "Denied"
    if draw < denied + REJECTED:
        return "Rejected"
    if transaction["PaidDate"] is None:
        return rng.choice(("Pending", "Pending", "Pending", "Approved", "Approved"))
    return "Paid" if draw < 0.93 else "Approved"


def _paid(rng: random.Random, status: str, billed: int, expected: int) -> int:
    if status == "Denied":
        return round(billed * rng.uniform(0.1, 0.6)) if rng.random() < share("denied_with_payment") else 0
    if status != "Paid":
        return 0
    return round(billed * rng.uniform(1.02, 1.3)) if rng.random() < share("paid_above_billed") else expected


def with_bad_values(claims: Sequence[Claim], first: int) -> list[Claim]:
    """The claims and three more that break: a service date that does not exist, an amount that is no number, a negative amount."""
    model = claims[0]
    broken = ({"ServiceDate": "2026-02-30"}, {"ClaimAmount": "one thousand"}, {"ClaimAmount": "-25.00"})
    return [*claims, *({**model, **change, "ClaimID": claim_key(first + place)} for place, change in enumerate(broken))]


def corrected(making: Making, claims: Sequence[Claim]) -> tuple[list[Claim], list[Claim], list[Claim]]:
    """(changed, unchanged, left out) claims of a correction on day 2: some pending claims are paid or denied, two are left out.

    Changed claims carry the day of the correction as ModifiedDate.
    """
    rng = making.chance("correction")
    changed: list[Claim] = []
    unchanged: list[Claim] = []
    for claim in claims:
        is_open = claim["ClaimStatus"] in ("Pending", "Approved")
        (changed if is_open and rng.random() < 0.15 else unchanged).append(claim)
    day = making.second_day.isoformat()
    decided = [{**claim, **_decision(rng, claim), "ModifiedDate": day} for claim in changed]
    places = {len(unchanged) // 3, 2 * len(unchanged) // 3}
    kept = [claim for place, claim in enumerate(unchanged) if place not in places]
    return decided, kept, [claim for place, claim in enumerate(unchanged) if place in places]


def _decision(rng: random.Random, claim: Mapping[str, str]) -> Claim:
    if rng.random() < 0.15:
        return {"ClaimStatus": "Denied"}
    billed, patient = text_cents(claim["ClaimAmount"]) or 0, sum(text_cents(claim[name]) or 0 for name in ("Deductible", "Coinsurance", "Copay"))
    return {"ClaimStatus": "Paid", "PaidAmount": dollars_text(billed - patient)}


def text_cents(text: str) -> int | None:
    """The cents of an amount's text; None when it is no number."""
    try:
        return round(float(text) * 100)
    except ValueError:
        return None


def malformed_lines(claim: Claim) -> list[str]:
    """Two lines that do not fit the header: one with too few fields, one with too many."""
    return [",".join([claim["ClaimID"].replace("CLAIM", "CLAIMX"), *list(claim.values())[1:5]]), ",".join([*claim.values(), "extra", "fields"])]
