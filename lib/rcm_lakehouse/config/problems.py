"""Problems found in configuration files: where, what was found, what was expected, the nearest name."""

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from rcm_lakehouse.config.errors import ConfigError

_LONGEST_TEXT = 500


def printable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """A text fit for a terminal and a log: one line, marks that do not print (control, direction, NUL) as `?`, cut at `longest`."""
    shown = "".join(mark if mark.isprintable() else "?" for mark in text[: longest + 1])
    return shown if len(shown) <= longest else shown[:longest] + "…"


def escaped(name: str) -> str:
    r"""A name fit for a terminal and a log: marks that do not print and bytes that are not UTF-8 as `\x1b`, `\n`, `\xe9`.

    Unlike `printable` it keeps the whole name, so that its file can be found.
    """
    return "".join(mark if mark.isprintable() else _escape(mark) for mark in name)


def _escape(mark: str) -> str:
    # Python reads a byte that is not UTF-8 as one of these.
    return f"\\x{ord(mark) - 0xDC00:02x}" if 0xDC80 <= ord(mark) <= 0xDCFF else mark.encode("unicode_escape").decode()


def hides_marks(text: str) -> bool:
    """True when a text holds marks that no one sees: control marks other than tab and line end, direction marks, line separators."""
    return any(unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") and mark not in "\t\n" for mark in text)


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in one file; line 0 means the file as a whole. Whatever a file holds, the text is printable."""

    file: str
    line: int
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))
        object.__setattr__(self, "text", printable(self.text))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


# Misspelled names are as like as this (ClaimStatis 0.91, Co_Pay 0.91); names that mean something else are not (AdmitDate, InsertDate 0.63).
SPELLING = 0.8


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The known name that a misspelled one most likely means, any case; None when none is near.

    `likeness`, from 0 to 1, is enough for a hint at 0.6; to refuse what may be right it takes `SPELLING`.
    """
    by_lower = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name[:100].lower(), list(by_lower), n=1, cutoff=likeness)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, with a blank in front; empty when none is near."""
    meant = nearest(name, known)
    return "" if meant is None else f" Did you mean '{meant}'?"


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise one ConfigError that lists every problem by file and line; do nothing when there is none."""
    found = sorted(set(problems))
    if found:
        lines = "\n".join(str(problem) for problem in found)
        count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise ConfigError(f"{count} in the configuration; nothing was read or written:\n{lines}")
