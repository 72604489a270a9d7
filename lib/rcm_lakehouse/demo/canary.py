"""A made-up person whose values occur nowhere else, so that a leak can be searched for.

They are a good patient of hospital A on day 1 with an encounter, a transaction and a claim; day 2 changes them. A second record of
hospital A breaks a rule (first name NULL), and one of hospital B has a birth date that will not cast.
"""

from datetime import date

PATIENT_ID = "HOSP1-777001"
BAD_PATIENT_ID = "HOSP1-777002"
BAD_CAST_PATIENT_ID = "HOSP1-777003"
FIRST_NAME = "Zquillabeth"
LAST_NAME = "Xanthorwick"
MIDDLE_NAME = "Quvexa"
SSN = "817-46-2953"
BIRTH_DATE = date(1947, 2, 13)
PHONE = "(646) 555-0177x98231"
PHONE_DIGITS = "6465550177"
STREET = "90817 Vexmoor Quillon Lane"
ADDRESS = f"{STREET}, Yttersby, NY 10007"
BAD_CAST_BIRTH_DATE = "1947-02-31"

CHANGED_PHONE = "(646) 555-0178x98232"
CHANGED_PHONE_DIGITS = "6465550178"
CHANGED_STREET = "70813 Jorvik Quillon Court"
CHANGED_ADDRESS = f"{CHANGED_STREET}, Yttersby, NY 10007"

NEEDLES: tuple[str, ...] = (
    FIRST_NAME,
    LAST_NAME,
    MIDDLE_NAME,
    SSN,
    SSN.replace("-", ""),
    BIRTH_DATE.isoformat(),
    BAD_CAST_BIRTH_DATE,
    PHONE,
    PHONE_DIGITS,
    CHANGED_PHONE,
    CHANGED_PHONE_DIGITS,
    STREET,
    CHANGED_STREET,
    PATIENT_ID,
    BAD_PATIENT_ID,
    BAD_CAST_PATIENT_ID,
)
"""What no log, error, audit row, plan, statistic, report or gold table may hold (letters in any case)."""
