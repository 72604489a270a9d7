"""Cleaners: text in, text out, as Spark expressions (pure; importable without a session). NULL in gives NULL out."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

Cleaner = Callable[[Column], Column]

NULL_TEXTS = ("", "null", "n/a", "-", "--")
# What programs write for a missing value. People are named so: Nan is a given name, None a family name.
NULL_VALUES = (*NULL_TEXTS, "nan", "none")
NUMERALS = ("II", "III", "IV")
_EXTENSION = r"extension|extn|ext|ex|x|#"
_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY "
    "DC AS GU MP PR VI FM MH PW AA AE AP"
)
# At the end of an address, the country behind them or not.
_STATE_AND_ZIP = (
    rf"(?i)\b({'|'.join(_STATES.split())})[\s,]+(\d{{5}})(?:-?\d{{4}})?[\s,]*(?:(?<=[\s,])(?:U\.?S\.?(?:A\.?)?|United States(?: of America)?))?\s*$"
)


def null_text(text: Column) -> Column:
    """Trimmed text; a text that says there is nothing (`NULL`, `N/A`, empty) is NULL. Applied to text columns that identify nothing."""
    return _unless(text, NULL_TEXTS)


def null_value(text: Column) -> Column:
    """Trimmed text of a number, a day, a flag, a key or a payer: NULL as `null_text` has it, and for `nan` and `none`."""
    return _unless(text, NULL_VALUES)


def _unless(text: Column, nothing: Sequence[str]) -> Column:
    trimmed = F.trim(F.regexp_replace(text, r"[\s\u00a0]+", " "))
    return F.when(~F.lower(trimmed).isin(*nothing), trimmed)


def proper_name(text: Column) -> Column:
    """A name in proper case: O'Brien, McDonald, Smith-Jones, Smith III, St Mary's. Mixed case from the source is kept."""
    cased = F.initcap(F.lower(text))
    # Mc needs three letters behind it: Mch is no McH.
    parts = F.regexp_replace(F.regexp_replace(cased, r"(-|['’](?!s\b))", "$1 "), r"\bMc(?=[a-z]{3})", "Mc ")
    joined = F.regexp_replace(F.initcap(parts), r"([-'’]) ", "$1")
    named = F.regexp_replace(joined, r"\bMc ", "Mc")
    numbered = reduce(lambda name, numeral: F.regexp_replace(name, rf"(?<= )(?i:{numeral})\b", numeral), NUMERALS, named)
    is_one_case = (text == F.upper(text)) | (text == F.lower(text))
    return F.when(is_one_case, numbered).otherwise(text)


def phone_e164(text: Column) -> Column:
    """A North American number as +1NXXNXXXXXX without extension; anything else, also a number of another country (`+65 …`), is NULL."""
    # A mark stands behind a digit of the number: neither the x of Fax nor the # of `Tel # 212…` is one.
    number = F.regexp_replace(F.lower(text), rf"(\d\D*?)(?<![a-z])(?:{_EXTENSION})(?![a-z]).*$", "$1")
    found = F.regexp_replace(F.regexp_replace(number, r"\D", ""), r"^(001|1)(?=\d{10}$)", "")
    is_abroad = text.rlike(r"^\D*\+\D*[02-9]")
    return F.when(found.rlike(r"^[2-9]\d{2}[2-9]\d{6}$") & ~is_abroad, F.concat(F.lit("+1"), found))


def phone_ext(text: Column) -> Column:
    """The extension of a number (`x12`, `ext: 12`, `;ext=12`, `extn 12`, `#12`), up to eight digits only; NULL without one."""
    found = F.regexp_extract(F.lower(text), rf"\d\D*?(?<![a-z])(?:{_EXTENSION})[\s.:=]*(\d{{1,8}})\s*\)?\s*$", 1)
    return F.when(found != "", found)


def email(text: Column) -> Column:
    """An address of the form local@domain.tld, domain in lower case; anything else is NULL."""
    local, domain = F.regexp_extract(text, r"^([^@\s]+)@", 1), F.lower(F.regexp_extract(text, r"@([^@\s]+)$", 1))
    return F.when(text.rlike(r"^[^@\s]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$"), F.concat(local, F.lit("@"), domain))


def gender(text: Column) -> Column:
    """FHIR administrative gender: male, female, other or unknown; a text outside the list is unknown."""
    code = F.lower(text)
    return (
        F.when(text.isNull(), None)
        .when(code.isin("m", "male", "1"), "male")
        .when(code.isin("f", "female", "2"), "female")
        .when(code.isin("o", "other", "x", "nonbinary", "non-binary"), "other")
        .otherwise("unknown")
    )


def lower_code(text: Column) -> Column:
    """A code in lower case with underscores for blanks and hyphens: `Routine Checkup` is routine_checkup."""
    return F.regexp_replace(F.lower(text), r"[\s-]+", "_")


def upper_code(text: Column) -> Column:
    """A code in upper case without blanks."""
    return F.upper(F.regexp_replace(text, r"\s+", ""))


def icd10(text: Column) -> Column:
    """An ICD code in upper case without its dot."""
    return F.upper(F.regexp_replace(text, r"[\s.]", ""))


def cpt(text: Column) -> Column:
    """A procedure code of five characters; zeros that an integer column lost are put back."""
    code = F.upper(F.regexp_replace(F.regexp_replace(text, r"\.0+$", ""), r"\s+", ""))
    return F.when(code.rlike(r"^\d{1,4}$"), F.lpad(code, 5, "0")).otherwise(code)


def digits(text: Column) -> Column:
    """The digits of a text; a fraction of zeros, which a number column may add, is dropped. NULL when there are none."""
    found = F.regexp_replace(F.regexp_replace(text, r"\.0+$", ""), r"\D", "")
    return F.when(found != "", found)


def ssn(text: Column) -> Column:
    """Nine digits as 123-45-6789; anything else is NULL."""
    found = F.regexp_replace(text, r"\D", "")
    dashed = F.concat_ws("-", F.substring(found, 1, 3), F.substring(found, 4, 2), F.substring(found, 6, 4))
    return F.when(found.rlike(r"^\d{9}$"), dashed)


def state_of_address(text: Column) -> Column:
    """The two-letter state before the ZIP code at the end of an address (military ones too); NULL where no state and ZIP code end it."""
    found = F.regexp_extract(text, _STATE_AND_ZIP, 1)
    return F.when(found != "", F.upper(found))


def zip5_of_address(text: Column) -> Column:
    """The five digits of the ZIP code behind the state at the end of an address; digits behind anything else are none (`France 75001`)."""
    found = F.regexp_extract(text, _STATE_AND_ZIP, 2)
    return F.when(found != "", found)


def zip3_of_address(text: Column) -> Column:
    """The first three digits of the ZIP code at the end of an address."""
    return F.substring(zip5_of_address(text), 1, 3)


def city_of_address(text: Column) -> Column:
    """The part before state and ZIP code; NULL for military post offices, which have none."""
    found = F.trim(F.regexp_extract(text, rf",\s*([^,]+?)(?:\s*,)?\s*{_STATE_AND_ZIP}", 1))
    return F.when(found != "", found)


def payer_name(text: Column) -> Column:
    """A payer's name for comparison: lower case, letters and digits only; NULL when nothing is left."""
    found = F.regexp_replace(F.lower(text), r"[^a-z0-9]", "")
    return F.when(found != "", found)


CLEANERS: Mapping[str, Cleaner] = {
    cleaner.__name__: cleaner
    for cleaner in (
        null_text,
        proper_name,
        phone_e164,
        phone_ext,
        email,
        gender,
        lower_code,
        upper_code,
        icd10,
        cpt,
        digits,
        ssn,
        state_of_address,
        zip5_of_address,
        zip3_of_address,
        city_of_address,
        payer_name,
    )
}
