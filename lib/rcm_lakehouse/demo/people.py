"""Made-up patients, providers and departments.

SSNs are random numbers from areas 800 to 899, which were never issued while these people were born, and a few from 900 to 999, which are
invalid. Phones are in the fictional 555-01xx range. Providers' NPIs fail the check digit, except a few that begin with 20 (none is issued).
"""

import random
from datetime import date, timedelta

from rcm_lakehouse.demo import canary
from rcm_lakehouse.demo import names as n
from rcm_lakehouse.demo.making import Making
from rcm_lakehouse.demo.quirks import share
from rcm_lakehouse.demo.tables import TABLES, Row, Value

PROVIDERS = {"hos-a": 40, "hos-b": 46}
PREFIX = {"hos-a": "H1-", "hos-b": "H2-"}
_GENDERS = ("Female", "Female", "Female", "Male", "Male", "Male", "F", "M")


def departments() -> list[Row]:
    """The twenty departments; the same ids and names in both hospitals."""
    return [{"DeptID": f"DEPT{number:03d}", "Name": name} for number, name in enumerate(n.DEPARTMENTS, 1)]


def providers(making: Making) -> list[Row]:
    """Providers `H1-PROV0001` and so on, with the NPI quirks in exact shares."""
    rng = making.chance("providers")
    count = PROVIDERS[making.hospital]
    kinds = [kind for kind in ("npi_valid", "npi_lost_digit", "npi_beyond_int32") for _ in range(round(share(kind) * count))]
    kinds += ["plain"] * (count - len(kinds))
    rng.shuffle(kinds)
    rows: list[Row] = []
    for number, kind in enumerate(kinds, 1):
        rows.append(
            {
                "ProviderID": f"{PREFIX[making.hospital]}PROV{number:04d}",
                "FirstName": rng.choice(n.FIRST_NAMES[rng.choice(("Female", "Male"))]),
                "LastName": rng.choice(n.LAST_NAMES),
                "Specialization": rng.choice(n.DEPARTMENTS),
                "DeptID": f"DEPT{rng.randint(1, len(n.DEPARTMENTS)):03d}",
                "NPI": _npi(rng, kind),
            }
        )
    return rows


def _npi(rng: random.Random, kind: str) -> int:
    if kind == "npi_lost_digit":
        return rng.randint(100_000_000, 999_999_999)
    first = {"npi_valid": "20", "npi_beyond_int32": str(rng.randint(3, 9)), "plain": "1"}[kind]
    stem = first + "".join(str(rng.randint(0, 9)) for _ in range(9 - len(first)))
    right = check_digit(stem)
    return int(f"{stem}{right if kind == 'npi_valid' else (right + rng.randint(1, 9)) % 10}")


def check_digit(stem: str) -> int:
    """The tenth digit of an NPI of nine given digits: Luhn over 80840 and the stem."""
    total = 0
    for place, digit in enumerate(reversed("80840" + stem)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return -total % 10


def patient_id(number: int) -> str:
    """The id of a patient; hospital B uses the prefix HOSP1- too."""
    return f"HOSP1-{number:06d}"


def phone(rng: random.Random, making: Making) -> str:
    """A fictional number in one of many spellings."""
    area, line = rng.choice(n.AREA_CODES[making.hospital]), f"01{rng.randint(0, 99):02d}"
    if rng.random() < share("phone_truncated"):
        return f"555{line}"[: rng.randint(3, 5)]
    spelling = rng.choice(("{a}-555-{l}", "({a})555-{l}", "{a}.555.{l}", "{a}555{l}", "+1-{a}-555-{l}", "001-{a}-555-{l}", "({a}) 555-{l}"))
    extension = f"x{rng.randint(1, 99_999):0{rng.randint(3, 5)}d}" if rng.random() < share("phone_extension") / (1 - share("phone_truncated")) else ""
    return spelling.format(a=area, l=line) + extension


def address(rng: random.Random, making: Making) -> str:
    """A made-up address with commas, or a military post office."""
    if rng.random() < share("military_address"):
        box = rng.choice(("PSC {a}, Box {b}, APO AE 09{c}", "Unit {a} Box {b}, DPO AP 96{c}", "USNS Emberlight, FPO AA 34{c}"))
        return box.format(a=rng.randint(1000, 9999), b=rng.randint(100, 9999), c=f"{rng.randint(0, 999):03d}")
    state, zip_start = rng.choice(n.STATES[making.hospital])
    unit = rng.choice(n.UNITS).format(n=rng.randint(1, 940))
    return f"{rng.randint(1, 98_999)} {rng.choice(n.STREETS)}{unit}, {rng.choice(n.TOWNS)}, {state} {zip_start}{rng.randint(0, 9999):04d}"


def _ssn(rng: random.Random) -> str:
    area = rng.randint(900, 999) if rng.random() < share("ssn_invalid") else rng.randint(800, 899)
    return f"{area}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"


def patient(rng: random.Random, making: Making, number: int, modified: date) -> Row:
    """One patient in the columns of their hospital."""
    gender = rng.choice(_GENDERS)
    first_names = n.FIRST_NAMES["Female" if gender.startswith("F") else "Male"]
    age_days = round(rng.triangular(0, 95, 58) * 365.25)
    values = (
        patient_id(number),
        rng.choice(first_names),
        rng.choice(n.LAST_NAMES),
        "NULL" if rng.random() < share("middle_name_null_text") else rng.choice("ABCDEFGHIJKLMNOPRSTVW"),
        _ssn(rng),
        phone(rng, making),
        gender,
        _birth_date(rng, making, making.first_day - timedelta(days=age_days + 30)),
        address(rng, making),
        making.moment(rng, modified),
    )
    return in_columns(making, values)


def in_columns(making: Making, values: tuple[Value, ...]) -> Row:
    """Values in the order of the patients table under that hospital's column names."""
    return dict(zip(TABLES[making.hospital]["patients"].names, values, strict=True))


def _birth_date(rng: random.Random, making: Making, born: date) -> Value:
    if making.hospital == "hos-a":
        return born
    return f"{born.month}/{born.day}/{born.year}" if rng.random() < share("birth_date_us_format") else born.isoformat()


def patients(making: Making) -> tuple[list[Row], int]:
    """Patients of day 1 and how many of them, at the list's end, are silent: records without any activity.

    The silent ones are those whose first name is the text NULL and the canary's bad record.
    """
    rng = making.chance("patients")
    first_name = TABLES[making.hospital]["patients"].names[1]
    silent = round(share("first_name_null_text") * making.patients)
    rows = []
    for number in range(1, making.patients + 1):
        row = patient(rng, making, number, making.first_day - timedelta(days=int(900 * rng.random() ** 1.5)))
        rows.append({**row, first_name: "NULL"} if number > making.patients - silent else row)
    bad = _canary_bad(making)
    return [*rows, bad], silent + 1


def canary_patient(making: Making) -> Row:
    """The canary's good record of day 1 (hospital A)."""
    names = (canary.FIRST_NAME, canary.LAST_NAME, canary.MIDDLE_NAME, canary.SSN, canary.PHONE)
    modified = making.first_day - timedelta(days=100)
    return in_columns(making, (canary.PATIENT_ID, *names, "Female", canary.BIRTH_DATE, canary.ADDRESS, modified))


def _canary_bad(making: Making) -> Row:
    in_a = making.hospital == "hos-a"
    key = canary.BAD_PATIENT_ID if in_a else canary.BAD_CAST_PATIENT_ID
    names = ("NULL" if in_a else canary.FIRST_NAME, canary.LAST_NAME, canary.MIDDLE_NAME, canary.SSN, canary.PHONE)
    born = canary.BIRTH_DATE if in_a else canary.BAD_CAST_BIRTH_DATE
    modified = making.moment(making.chance("canary"), making.first_day - timedelta(days=90))
    return in_columns(making, (key, *names, "Female", born, canary.ADDRESS, modified))


def birth_date(row: Row) -> date:
    """The birth date of a patient's row, whatever its spelling."""
    born = row["DOB"]
    if isinstance(born, date):
        return born
    text = str(born)
    if "/" not in text:
        return date.fromisoformat(text)
    month, day, year = text.split("/")
    return date(int(year), int(month), int(day))
