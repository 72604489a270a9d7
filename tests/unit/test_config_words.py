"""What was expected is said in words of the project, whatever was found; what was found is not shown, for it may be a secret."""

from pathlib import Path

import pytest
from builders import small_project, watched_project

LAKEHOUSE, CONNECTIONS, VISIT = "conf/lakehouse.yml", "conf/connections.yml", "conf/cdm/visit.yml"
FEEDS, MONITOR = "conf/monitor/feeds.yml", "conf/monitor/runs.sql"

# case: (file, what stands there, what is written, what is expected in words, after the key)
WORDS = {
    "a text for a whole number": (LAKEHOUSE, "threads: 2", "threads: {0}", "expected a whole number from 1 to 64."),
    "a broken number for a whole one": (LAKEHOUSE, "threads: 2", "threads: 2.5", "expected a whole number from 1 to 64."),
    "yes for a whole number": (LAKEHOUSE, "threads: 2", "threads: yes", "expected a whole number from 1 to 64."),
    "nothing for a whole number": (LAKEHOUSE, "threads: 2", "threads:", "expected a whole number from 1 to 64."),
    "a list for a whole number": (LAKEHOUSE, "threads: 2", "threads: [{0}]", "expected a whole number from 1 to 64."),
    "a whole number that is too large": (LAKEHOUSE, "threads: 2", "threads: 65", "expected a whole number from 1 to 64."),
    "a number without end": (LAKEHOUSE, "threads: 2", f"threads: {'9' * 40}", "expected a whole number from 1 to 64."),
    "a text for a number": (LAKEHOUSE, "threads: 2", "quality: {max_bad_share: '{0}'}", "expected a number from 0 to 1."),
    "no number": (LAKEHOUSE, "threads: 2", "quality: {max_bad_share: .nan}", "expected a number from 0 to 1."),
    "a text for a flag": (LAKEHOUSE, "threads: 2", "compile_plans: {0}", "expected true or false."),
    "a number for a flag": (LAKEHOUSE, "threads: 2", "compile_plans: 2", "expected true or false."),
    "a number for a text": (LAKEHOUSE, "catalog: main", "catalog: 5", "expected a text, in quotes."),
    "a list for a text": (LAKEHOUSE, "catalog: main", "catalog: [{0}]", "expected a text."),
    "a text for keys": (LAKEHOUSE, "threads: 2", "schemas: {0}", "expected keys with values."),
    "a list for keys": (CONNECTIONS, "{dbo: null}", "[{0}]", "expected keys with values."),
    "a word of no set": (LAKEHOUSE, "threads: 2", "gold: {ageing_basis: {0}}", "expected one of service, visit."),
    "a number for a word": (LAKEHOUSE, "threads: 2", "gold: {ageing_basis: 5}", "expected one of service, visit."),
    "a text for a list": (CONNECTIONS, "key: [VisitID]", "key: {0}", "expected a list."),
    "a number in a list of texts": (CONNECTIONS, "key: [VisitID]", "key: [VisitID, 5]", "expected a text, in quotes."),
    "three for a pair": (CONNECTIONS, '"claims/*.csv"', '"*.txt", widths: [[1, 2, 3]]', "expected a list of 2 values."),
    "one for a pair": (CONNECTIONS, '"claims/*.csv"', '"*.txt", widths: [[1]]', "expected a list of 2 values."),
    "a text in a pair": (CONNECTIONS, '"claims/*.csv"', '"*.txt", widths: [[1, {0}]]', "expected a list of 2 values."),
    "below a bound without end": (CONNECTIONS, "kind: nppes", "kind: nppes\n  max_requests: 0", "expected a whole number of at least 1."),
    "an open bound": (CONNECTIONS, "kind: nppes", "kind: nppes\n  timeout_seconds: 0", "expected a number above 0."),
    "hours of a day": (CONNECTIONS, "port: 3306", "load_hours: {0}", "expected hours as HH:MM-HH:MM, like 20:00-06:00."),
    "hours that are a number": (CONNECTIONS, "port: 3306", "load_hours: 2000", "expected hours as HH:MM-HH:MM, like 20:00-06:00."),
    "a value of a mapping": (CONNECTIONS, "port: 3306", "params: {sslMode: 5}", "expected a text, in quotes."),
    "a query that is none": (CONNECTIONS, "{ids_from: visit.npi}", "{ids_from: visit.npi, queries: [{0}]}", "expected keys with values."),
    "a time of day": (FEEDS, '"06:00"', "'{0}'", 'expected a time in quotes, like "06:00".'),
    "a day": (FEEDS, '"06:00"', '"06:00", not_on: [{0}]', "expected a day as YYYY-MM-DD."),
    "a day that is none": (FEEDS, '"06:00"', '"06:00", not_on: ["2026-02-30"]', "expected a day as YYYY-MM-DD."),
    "a day that is a number": (FEEDS, '"06:00"', '"06:00", not_on: [20261225]', "expected a day as YYYY-MM-DD."),
    "a day of no month": (FEEDS, '"06:00"', '"06:00", days_of_month: [32]', "days of a month are 1 to 31."),
    "a default that is a list": (MONITOR, "default: 1", "default: [{0}]", "expected a number or a text."),
    "a contract's columns as keys": (VISIT, "after: [patient]", "after: {{0}: 1}", "expected a list."),
    "a column that is a text": (VISIT, "- {name: npi, type: string, clean: digits}", "- npi", "expected keys with values."),
    "a key that is missing": (VISIT, "{name: npi, type: string", "{name: npi", "this key is required and missing."),
}
SECRET = "correct-horse-battery"


@pytest.mark.parametrize("case", WORDS)
def test_what_is_expected_is_said_in_words_and_what_was_found_is_not_shown(case: str, tmp_path: Path) -> None:
    file, old, new, says = WORDS[case]
    folder = watched_project(tmp_path)
    (mistake,) = folder.edit(file, old, new.replace("{0}", SECRET)).mistakes()
    place, _, text = mistake.partition(": ")
    key, _, words = text.partition(": ")
    assert (place, words) == (f"{file}:{folder.line(file, new.splitlines()[-1].replace('{0}', SECRET))}", says)
    assert key.isprintable()
    assert " " not in key
    assert SECRET not in mistake


def test_a_number_that_is_too_long_is_told_with_its_line(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(CONNECTIONS, "port: 3306", f"port: {'9' * 5000}")
    assert folder.mistakes() == [f"{CONNECTIONS}:{folder.line(CONNECTIONS, '9999')}: this is no valid YAML: a number in it is too long."]
