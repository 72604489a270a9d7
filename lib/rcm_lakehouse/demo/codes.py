"""Made-up procedure codes with made-up descriptions, and ICD-10-CM codes (free) of which some are headers."""

import random

from rcm_lakehouse.demo.quirks import share
from rcm_lakehouse.demo.tables import PROCEDURE_COLUMNS

_LISTED: tuple[int, ...] = (*range(123, 223, 20), *range(10_003, 70_000, 613))
_SIDES = ("left side", "right side", "both sides", "no side")
_CATEGORIES = ("Made-up surgery", "Made-up imaging ", "Made-up laboratory", "Made-up medicine  ")
_STATUSES = ("No change", "No Change ", "Added", "added")

BILLABLE_ICD: tuple[str, ...] = (
    *("I10", "E11.9", "J06.9", "M54.50", "R07.9", "N39.0", "K21.9", "F41.1", "E78.5", "J45.909"),
    *("R10.9", "S93.401A", "Z00.00", "E03.9", "G43.909", "M25.561", "R51.9", "J18.9", "I48.91", "L03.90"),
)
HEADER_ICD: tuple[str, ...] = ("E11", "J45", "M54.5", "I25.1", "R10", "F41", "S93.40", "G43.9", "M25.56", "I48")
"""Categories and subcategories of the classification: valid names, not valid for billing."""


def procedure_code(rng: random.Random) -> int:
    """A procedure code as the EMR stores it, an integer (leading zeros are lost); a share of them is not in the list."""
    return rng.randint(70_000, 79_999) if rng.random() < share("procedure_not_listed") else rng.choice(_LISTED)


def icd_code(rng: random.Random) -> str:
    """An ICD-10-CM code, often a header."""
    return rng.choice(HEADER_ICD if rng.random() < share("icd_header") else BILLABLE_ICD)


def procedure_rows() -> list[dict[str, str]]:
    """The procedure code list as its file has it: trailing blanks, commas in descriptions, each status spelled in two ways."""
    listed = [f"{code:05d}" for code in _LISTED] + [f"{585 + 7 * place:04d}{letter}" for place in range(8) for letter in "TF"]
    rows = []
    for number, code in enumerate(listed, 1):
        description = f"Made-up procedure {number}, {_SIDES[number % len(_SIDES)]}" + ("  " if number % 9 == 0 else "")
        values = (_CATEGORIES[number % len(_CATEGORIES)], code, description, _STATUSES[number % 7 % len(_STATUSES)])
        rows.append(dict(zip(PROCEDURE_COLUMNS, values, strict=True)))
    return rows


def is_listed(code: object) -> bool:
    """Whether an EMR's integer code is in the list."""
    return code in _LISTED
