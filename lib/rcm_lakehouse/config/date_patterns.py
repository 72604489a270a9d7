"""Patterns of days and times in text, judged before anything is read: a wrong letter makes other days of all, without an error."""

import re
from itertools import pairwise

# What Spark takes in a pattern that reads text, with the most of each in a row; the others it refuses when it meets the first value.
_MOST = {**dict.fromkeys("dHhKkms", 2), **dict.fromkeys("MLG", 4), "y": 6, "D": 3, "S": 9, "a": 1}
_MEANT = {
    **dict.fromkeys("Yu", "The year is y"),
    **dict.fromkeys("wWecEFQq", "Weeks, weekdays and quarters name no day"),
    **dict.fromkeys("Tt", "A letter that stands for itself is in single quotes: 'T'"),
    **dict.fromkeys("XxZzOV", "The zone of a time is `time_zone` of its connection; none is read from a text"),
    **dict.fromkeys("AnN", "Fractions of a second are S"),
}
# What no text has when a pattern reads it (`silver.cleaning`): blanks in a row, at an end, or of another kind.
_NO_BLANK = re.compile(r"^ | $|  |[\t\n\v\f\r\u00a0]")
# A quoted text, a run of one letter, or any other mark.
_TOKEN = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)


def wrong_in_pattern(pattern: str) -> str | None:
    """What makes a pattern none that reads a day, or a day and a time, in words with what is expected; None when it is right."""
    tokens = [found[0] for found in _TOKEN.finditer(pattern)]
    runs = [token for token in tokens if token[0].isascii() and token[0].isalpha()]
    letters = {run[0] for run in runs}
    return _unreadable(tokens, runs) or _lacking(letters) or _without_hour(pattern, letters) or _never_fitting(tokens)


def _unreadable(tokens: list[str], runs: list[str]) -> str | None:
    depth = 0
    for token in tokens:
        depth += (token == "[") - (token == "]")
        if token == "'":
            return "a quote is not closed"
        if token in ("#", "{", "}"):
            return f"'{token}' may not stand there; in single quotes it stands for itself"
        if depth < 0:
            break
    if depth:
        return "the brackets [ ] of a part that may be missing do not match"
    unknown = next((run for run in runs if run[0] not in _MOST), None)
    if unknown is not None:
        hint = _MEANT.get(unknown[0], "There are y, M, d, H, h, a, m, s and S")
        return f"'{unknown}' reads nothing there. {hint}"
    long = next((run for run in runs if len(run) > _MOST[run[0]]), None)
    return None if long is None else f"'{long}' is too long"


def _lacking(letters: set[str]) -> str | None:
    """A day needs its year, month and day; what stands for one of them by mistake is named."""
    if "y" not in letters:
        return "it has no year (y)"
    has_month = bool(letters & {"M", "L"})
    if "d" in letters and has_month:
        return None
    if "D" in letters:
        return "D is the day of the year; the day of the month is d" if has_month else None
    if not has_month:
        return "it has no month: M is the month, m the minute" if "m" in letters else "it has no month (M)"
    return "it has no day (d)"


def _is_before_hour(order: list[str]) -> bool:
    """True for a minute that stands before its hour: `yyyymmddHHMM`."""
    hours = [at for at, letter in enumerate(order) if letter in "HhKk"]
    return "m" in order and bool(hours) and order.index("m") < hours[0]


def _without_hour(pattern: str, letters: set[str]) -> str | None:
    order = [found[0][0] for found in _TOKEN.finditer(pattern) if found[1]]
    if any(one in "HhKk" and other == "M" for one, other in pairwise(order)) or _is_before_hour(order):
        return "M is the month, m the minute"
    if "a" in letters and not letters & {"h", "K"}:
        return "a (AM, PM) goes with h, which counts to twelve"
    if letters & {"h", "K"} and "a" not in letters:
        return "h and K count to twelve and need a (AM, PM); H counts to 23"
    if letters & {"m", "s", "S", "a"} and not letters & {"H", "h", "K", "k"}:
        return "it has a part of a time without an hour (H); M is the month, m the minute"
    missing = next((larger for smaller, larger in (("s", "m"), ("S", "s")) if smaller in letters and larger not in letters), None)
    return None if missing is None else f"it has a smaller part of a time without {missing}"


def _never_fitting(tokens: list[str]) -> str | None:
    literal = "".join(token[1:-1] or "'" if token[0] == "'" else token if token.isspace() else "0" for token in tokens)
    if _NO_BLANK.search(literal):
        return "there are blanks in a row or at an end, and a text has single ones between others when it is read"
    # Digits without a mark between them: of a number of any width all are taken that numbers of a fixed one behind it leave.
    first, is_part = "", False
    for token in tokens:
        if token == "[" and first:
            is_part = True
        elif not _is_number(token):
            first, is_part = "", False
        elif first and (is_part or _is_of_any_width(token)):
            return f"'{first}' takes the digits of '{token}' too, so that no text fits; a mark has to stand between the numbers"
        elif _is_of_any_width(token) and token[0] != "S":
            first = first or token
    return None


def _is_number(token: str) -> bool:
    return token[0] in "ydDHhKkmsS" or token in ("M", "MM", "L", "LL")


def _is_of_any_width(token: str) -> bool:
    """True for a number with as many digits as there are; two letters, three of a day of the year, are as many digits."""
    return len(token) != 2 if token[0] == "y" else len(token) > 1 if token[0] == "S" else len(token) < (3 if token[0] == "D" else 2)
