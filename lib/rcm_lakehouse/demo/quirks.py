"""How often each quirk of a real hospital's copy is made: the one table that the generator draws from and the tests measure.

Shares are fractions of the rows named in `of`. Numbers 1 to 9 are the nine quirks of real copies; 0 marks rows that
are meant to break an error rule, so that quarantine has work on both days without stopping an entity.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirk:
    """A quirk: its number, the share of rows that have it, and which rows are counted."""

    number: int
    share: float
    of: str


QUIRKS: dict[str, Quirk] = {
    "id_in_both_hospitals": Quirk(1, 1.00, "ids of hospital B that hospital A uses too, for someone or something else"),
    "middle_name_null_text": Quirk(2, 0.03, "patients whose middle name is the text NULL"),
    "first_name_null_text": Quirk(2, 0.006, "patients of day 1 whose first name is the text NULL; they have no activity"),
    "update_first_name_null_text": Quirk(2, 0.50, "the 30 patients a hospital that day 2 updates in one batch"),
    "provider_not_in_table": Quirk(3, 0.92, "encounters, transactions and claims, after taking the prefix H1- or H2- off the table's ids"),
    "npi_beyond_int32": Quirk(4, 0.75, "providers"),
    "npi_lost_digit": Quirk(4, 0.10, "providers; nine digits"),
    "npi_valid": Quirk(4, 0.05, "providers; right form and right check digit"),
    "patient_differs_from_encounter": Quirk(5, 0.06, "transactions"),
    "claim_patient_differs": Quirk(5, 0.04, "claims, from their transaction's patient"),
    "without_claim": Quirk(5, 0.30, "transactions"),
    "several_claims": Quirk(5, 0.12, "transactions with a claim; two or three"),
    "claim_id_matches": Quirk(5, 0.00, "transactions whose ClaimID is a claim's id"),
    "paid_before_service": Quirk(6, 0.03, "transactions with a payment"),
    "claim_before_service": Quirk(6, 0.02, "claims"),
    "modified_before_inserted": Quirk(6, 0.05, "encounters and transactions"),
    "encounter_before_birth": Quirk(6, 0.005, "encounters"),
    "paid_above_billed": Quirk(7, 0.03, "transactions with a payment, and paid claims"),
    "denied_with_payment": Quirk(7, 0.08, "denied claims"),
    "phone_extension": Quirk(8, 0.40, "phones"),
    "phone_truncated": Quirk(8, 0.03, "phones; three to five digits"),
    "military_address": Quirk(8, 0.03, "addresses; the others all have commas"),
    "ssn_invalid": Quirk(8, 0.02, "patients; area 900 to 999"),
    "birth_date_us_format": Quirk(8, 0.15, "patients of hospital B, whose DOB is text; the others are ISO"),
    "icd_header": Quirk(9, 0.40, "transactions whose ICD code is a header, not billable"),
    "procedure_not_listed": Quirk(9, 0.20, "encounters and transactions whose procedure code is not in the list"),
    "orphan_encounter": Quirk(0, 0.002, "encounters of a patient who does not exist"),
    "orphan_transaction": Quirk(0, 0.002, "transactions of a patient who does not exist"),
    "negative_amount": Quirk(0, 0.001, "transactions with a charge below zero"),
    "orphan_claim": Quirk(0, 0.005, "claims of a patient who does not exist, those of orphan transactions among them"),
}

NULL_BATCH = 30
"""Patients a hospital whose records one batch of day 2 updates."""

BAD_CLAIM_LINES = {"short": 1, "long": 1, "bad_date": 1, "bad_amount": 1, "negative_amount": 1}
"""Lines of each hospital's first claims file that cannot be taken: too few fields, too many, and three bad values."""


def share(name: str) -> float:
    """The share of a quirk by its name."""
    return QUIRKS[name].share
