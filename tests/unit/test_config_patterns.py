"""Patterns of days and times in a contract: what reads other days than are meant, or none, is refused before anything is read."""

from pathlib import Path

import pytest
from builders import small_project

from rcm_lakehouse.config.date_patterns import wrong_in_pattern
from rcm_lakehouse.silver.casts import DATE_FORMATS, TIME_FORMATS

PATIENT = "conf/cdm/patient.yml"
RIGHT = (
    *DATE_FORMATS,
    *TIME_FORMATS,
    "MM/dd/yyyy",
    "d.M.yy",
    "yyyyDDD",
    "dd LLL yyyy",
    "yyyyMMddHHmmss",
    "yyyy-MM-dd'T'HH:mm:ss[.SSS]",
    "M/d/yyyy h:mm a",
    "'of the' d'th' MMMM, yyyy G",
    "yyyy-MM-dd''HH",
    "yyyy-MM-dd[ HH:mm]",
    "yyyy-MM-dd [HH:mm]",
    "d MMM yyyy 'at' H:mm",
    "yyyyMMdd HHmmssSSS",
    "yyMMddHHmmssSSS",
    "yyMMdd[HHmmss]",
    "yyyyMMddHHmmssS",
    "yyyyMMMd",
    "[yyyyMMdd][yyyy-MM-dd]",
)
WRONG = {
    "mm/dd/yyyy": "it has no month: M is the month, m the minute",
    "YYYY-mm-DD hh": "'YYYY' reads nothing there. The year is y",
    "uuuu-MM-dd": "'uuuu' reads nothing there. The year is y",
    "MM/DD/yyyy": "D is the day of the year; the day of the month is d",
    "MM/dd": "it has no year (y)",
    "dd/yyyy": "it has no month (M)",
    "yyyy-MM": "it has no day (d)",
    "yyyy-MM-dd HH:MM": "M is the month, m the minute",
    "yyyymmddHHMM": "M is the month, m the minute",
    "dd.mm.yyyy HH.MM": "M is the month, m the minute",
    "yyyy-mm-dd HH:mm:MM": "M is the month, m the minute",
    "MM/dd/yyyy HH:mm a": "a (AM, PM) goes with h",
    "yyyy-MM-dd HH:mm VV": "'VV' reads nothing there. The zone of a time is `time_zone` of its connection",
    "yyyy-MM-dd'T'HH:mm:ssXXX": "'XXX' reads nothing there. The zone of a time is",
    "yyyy-MM-dd hh:mm": "h and K count to twelve and need a",
    "yyyy-MM-dd mm": "it has a part of a time without an hour (H); M is the month, m the minute",
    "yyyy-MM-dd HH:ss": "it has a smaller part of a time without m",
    "yyyy-MM-dd HH:mm.SSS": "it has a smaller part of a time without s",
    "yyyy-MM-ddTHH:mm": "'T' reads nothing there. A letter that stands for itself is in single quotes: 'T'",
    "EEE, d MMM yyyy": "'EEE' reads nothing there. Weeks, weekdays and quarters name no day",
    "yyyy-ww-e": "'ww' reads nothing there. Weeks",
    "yyyy-MM-dd HH:mm:ss.n": "'n' reads nothing there. Fractions of a second are S",
    "yyyy-MM-dd HH:mm:ss.SSSSSSSSSS": "'SSSSSSSSSS' is too long",
    "yyyy-MMMMM-dd": "'MMMMM' is too long",
    "yyyyyyy-MM-dd": "'yyyyyyy' is too long",
    "yyyy-MM-ddd": "'ddd' is too long",
    "yyyy-MM-dd'T": "a quote is not closed",
    "yyyy-MM-dd[ HH": "the brackets [ ] of a part that may be missing do not match",
    "yyyy-MM-dd] HH[": "the brackets [ ] of a part that may be missing do not match",
    "yyyy-MM-dd#": "'#' may not stand there",
    "yyyy-MM-dd  HH:mm": "there are blanks in a row or at an end",
    " M/d/yyyy": "there are blanks in a row or at an end",
    "M/d/yyyy ": "there are blanks in a row or at an end",
    "M/d/yyyy 'at ' HH:mm": "there are blanks in a row or at an end",
    "yyyy-MM-dd\tHH:mm": "there are blanks in a row or at an end",
    "yyyy-MM-dd\u00a0HH:mm": "there are blanks in a row or at an end",
    "yyyyMMddHHmmssSSS": "'yyyy' takes the digits of 'SSS' too",
    "yyyyMMdd[HHmmss]": "'yyyy' takes the digits of 'HH' too",
    "yyyyMMd": "'yyyy' takes the digits of 'd' too",
    "Mddyyyy": "'M' takes the digits of 'yyyy' too",
    "day": "it has no month (M)",
    "": "it has no year (y)",
}


@pytest.mark.parametrize("pattern", RIGHT)
def test_a_pattern_that_reads_days_is_taken(pattern: str) -> None:
    assert wrong_in_pattern(pattern) is None


@pytest.mark.parametrize("pattern", WRONG)
def test_a_pattern_that_reads_none_or_others_is_told(pattern: str) -> None:
    assert str(wrong_in_pattern(pattern)).startswith(WRONG[pattern])


def test_it_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    many = 'formats: ["yyyy-MM-dd",\n      "mm/dd/yyyy"]'
    folder = small_project(tmp_path).edit(PATIENT, "type: timestamp, tracked: false", f"type: timestamp, {many}")
    (mistake,) = folder.mistakes()
    says = "column 'source_modified_at', formats: in 'mm/dd/yyyy' it has no month: M is the month, m the minute."
    assert mistake == f"{PATIENT}:{folder.line(PATIENT, 'mm/dd/yyyy')}: {says} Expected a pattern like yyyy-MM-dd HH:mm:ss."
