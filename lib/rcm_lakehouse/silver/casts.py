"""Text to types without an error and without a silent NULL (pure)."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

# As many digits of a second as there are, up to nine.
_OF_DAY = "H:mm[:ss[.SSSSSSSSS]]"
_DAY_AND_TIME = (
    f"yyyy-M-d[ {_OF_DAY}]",
    f"yyyy-M-d'T'{_OF_DAY}",
    f"yyyy/M/d[ {_OF_DAY}]",
    f"M/d/yyyy[ {_OF_DAY}]",
    "M/d/yyyy h:mm[:ss] a",
    "yyyyMMdd",
)
DATE_FORMATS = (*_DAY_AND_TIME, "dd-MMM-yyyy")
TIME_FORMATS = _DAY_AND_TIME
# A comma stands between thousands or it is another country's decimal point; a blank stands beside the sign or the dollar alone.
_MONEY = r"^[-+]?\s*\$?\s*[-+]?\s*([1-9]\d{0,2}(,\d{3})+|\d+|(?=\.\d))(\.\d*)?([eE][-+]?\d{1,3})?$"


# What SQL and its readers share: Spark counts on beyond these years, Python does not.
_FIRST, _LAST = "0001-01-01", "9999-12-31"


def as_text(value: Column, source_type: str) -> Column:
    """A value of a source type as text: a whole number has no fraction and no exponent, whatever type holds it, so that its digits and keys are the same."""
    if source_type.startswith("decimal") and not source_type.endswith(",0)"):
        return F.regexp_replace(value.cast("string"), r"\.0+$", "")
    if source_type not in ("double", "float"):
        return value.cast("string")
    is_whole = (value == F.floor(value)) & (F.abs(value) < F.lit(1e18))
    return F.when(is_whole, value.try_cast("decimal(38,0)").cast("string")).otherwise(value.cast("string"))


def is_number(source_type: str) -> bool:
    """True for a source type of numbers, in Spark's words (`bigint`, `decimal(8,0)`)."""
    return source_type in ("tinyint", "smallint", "int", "bigint", "float", "double") or source_type.startswith("decimal")


def typed(value: Column, source_type: str, wanted: str, formats: Sequence[str]) -> Column:
    """A value of a source type as the wanted type; NULL when it does not fit (the caller tells that from a NULL it was given).

    Money is rounded half up to the scale, once and per row, from floats (their shortest decimal form), text and other decimals alike; text may have a
    dollar sign, commas between thousands, parentheses for a minus and an exponent, and fits in no other form (`1.234,56`, `12,34`, `100 200`).
    A whole number has no fraction. Days and times from text follow the first pattern that fits, a day from text with a time of day is that day;
    those outside the years 1 to 9999 are none. A number is a day or a time by its digits alone (20260131), as text of them is: it counts no seconds.
    """
    if wanted in ("date", "timestamp"):
        text = as_text(value, source_type) if is_number(source_type) else value if source_type == "string" else None
        at = value if text is None else _first_fit(text, formats or (DATE_FORMATS if wanted == "date" else TIME_FORMATS))
        return _of_this_calendar(at.cast(wanted))
    if source_type == wanted:
        return value
    if wanted.startswith("decimal"):
        return _decimal(value, source_type, wanted)
    if wanted in ("int", "bigint"):
        # Nineteen digits each side of the point: any bigint, and a fraction that a double of it would not show.
        number = value.try_cast("decimal(38,19)")
        return F.when(number == F.floor(number), number).try_cast(wanted)
    return value.try_cast(wanted)


def _decimal(value: Column, source_type: str, wanted: str) -> Column:
    """Each cast to a decimal rounds: there is one alone."""
    if source_type in ("double", "float"):
        # Through text: its shortest decimal form is what people see in the source.
        return value.cast("double").cast("string").try_cast(wanted)
    if source_type == "string":
        signed = F.regexp_replace(F.trim(value), r"^\((.*)\)$", "-$1")
        return F.when(signed.rlike(_MONEY), F.regexp_replace(signed, r"[$,\s]", "")).try_cast(wanted)
    return value.try_cast(wanted)


def _of_this_calendar(at: Column) -> Column:
    return F.when(at.cast("date").between(F.lit(_FIRST).cast("date"), F.lit(_LAST).cast("date")), at)


def _first_fit(value: Column, formats: Sequence[str]) -> Column:
    return F.coalesce(*[F.try_to_timestamp(value, F.lit(pattern)) for pattern in formats])
