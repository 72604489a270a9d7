"""The header of a file: its names, what the contract and earlier files expect of them, and where each cell goes."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.problems import SPELLING, escaped, nearest, printable
from rcm_lakehouse.sources.files import FileItem

# Characters that Delta refuses in a column's name, and the one that quotes it: `CPT Codes` becomes CPT_Codes.
_FORBIDDEN = re.compile(r"[ \u00a0,;{}()\t=`]")
_LONGEST_NAME = 128
_MOST_NAMES = 5


@dataclass(frozen=True)
class Expected:
    """What is wanted of a header: columns the contracts use, those they cannot do without, those bronze has, and names that are ours.

    `given_up`: columns that may be missing though a new one has nearly their name.
    """

    used: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


def refused(item: FileItem, found: str, advice: str) -> SourceDataError:
    """The error that refuses a file whole."""
    stays = "archive, and is tried again by the next run" if item.is_archived else "landing folder"
    return SourceDataError(f"{escaped(item.name)}: {found}. Nothing of it was loaded; it stays in the {stays}. To mend it, {advice}.")


def as_names(item: FileItem, cells: Sequence[str] | None) -> list[str]:
    """Column names from the cells of a header line (None: its quoting is broken).

    Raises SourceDataError for a line that cannot be one: control characters (another line end or encoding), a very long name.
    """
    if cells is None:
        raise refused(item, "its header line has a broken quote", "have it delivered again")
    names = [_FORBIDDEN.sub("_", cell.strip()) for cell in cells]
    if any(not name.isprintable() or len(name) > _LONGEST_NAME for name in names):
        found = "its header has marks that no column name has, or a very long name; a line end other than LF or CRLF, or another encoding, looks like that"
        raise refused(item, found, "check `encoding` and `delimiter` in conf/connections.yml and the file's line ends")
    return names


@dataclass(frozen=True)
class _Header:
    """The first line of a file, names spelled as contract or bronze spell them; `wanted` is what is known of it.

    A line of which too little is known may be a record, with a patient's values: messages say its columns by number.
    """

    names: list[str]
    wanted: tuple[str, ...]
    is_credible: bool

    @staticmethod
    def of(cells: Sequence[str], given: Sequence[str], expected: Expected) -> "_Header":
        """Credible when known names are at least half of the columns that contracts use, or of the line's own when it has fewer."""
        spelled = {name.lower(): name for name in (*given, *expected.required, *expected.used, *expected.known)}
        names = [spelled.get(cell.lower(), cell) for cell in cells]
        met = sum(name.lower() in spelled for name in set(names))
        used = {name.lower() for name in (*expected.required, *expected.used)} or set(spelled)
        return _Header(names, tuple(spelled.values()), met > 0 and 2 * met >= min(len(names), len(used)))

    def told(self, name: str) -> str:
        """How a message calls a column of it: by its name, or by its number when this may be no header."""
        return f"'{printable(name)}'" if self.is_credible else f"number {self.names.index(name) + 1}"

    def check(self, item: FileItem) -> None:
        """Raises SourceDataError when the line has no name that is wanted, a nameless column, or one twice."""
        wanted = {name.lower() for name in self.wanted}
        if wanted and not any(name.lower() in wanted for name in self.names):
            listed = ", ".join(f"'{name}'" for name in self.wanted[:_MOST_NAMES]) + (" …" if len(self.wanted) > _MOST_NAMES else "")
            found = f"its first line has none of the expected columns ({listed}), so the header line may be missing"
            raise refused(item, found, "have it delivered with its header, or check `header`, `columns` and `delimiter` in conf/connections.yml")
        if "" in self.names:
            raise refused(item, f"column {self.names.index('') + 1} of its header has no name", "have the header mended")
        counted = Counter(name.lower() for name in self.names)
        twice = [(number, name) for number, name in enumerate(self.names, 1) if counted[name.lower()] > 1]
        if twice:
            places = " and ".join(str(number) for number, name in twice if name.lower() == twice[0][1].lower())
            named = f"the column {self.told(twice[0][1])} twice" if self.is_credible else f"one name twice, as numbers {places}"
            raise refused(item, f"its header has {named} (case and blanks do not tell columns apart)", "have the header mended")


@dataclass
class Layout:
    """Where each cell goes by the drift policy, and what was left out; `told` is how messages call new columns."""

    names: list[str]
    kept: list[tuple[int, str]]
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    discarded: dict[str, int] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    _unwanted: list[tuple[int, str]] = field(default_factory=list)
    _is_strict: bool = False

    @staticmethod
    def of(item: FileItem, header: Sequence[str], options: FileTableOptions, expected: Expected) -> "Layout":
        """Compare a header with what is expected; names are met in any case and spelled as contract or bronze spell them.

        Raises SourceDataError when this is no header (`_Header.check`), a required column is missing, one looks misspelled, a name is ours,
        or the policy is freeze and a column is new.
        """
        given = [_FORBIDDEN.sub("_", name) for name in options.columns]
        line = _Header.of(header, given, expected)
        line.check(item)
        names, lower = line.names, {name.lower() for name in line.names}
        _check(item, line, lower, expected, given)
        base = {name.lower() for name in (*given, *expected.used)} if given else {name.lower() for name in expected.known}
        extra = [name for name in names if base and name.lower() not in base]
        # A column that a contract uses is wanted, though bronze does not have it yet.
        strange = [name for name in extra if name not in expected.used]
        if strange and options.drift == "freeze":
            shown = ", ".join(line.told(name) for name in strange)
            raise refused(item, f"its header has the new column {shown} and the drift policy is freeze", "allow it with `drift` or have it taken out")
        unwanted = [(at, name) for at, name in enumerate(names) if name in strange and options.drift in ("discard", "quarantine")]
        gone = {name for _, name in unwanted}
        return Layout(
            names,
            [(at, name) for at, name in enumerate(names) if name not in gone],
            tuple(name for name in extra if name not in gone),
            tuple(name for name in dict.fromkeys((*given, *expected.used)) if name.lower() not in lower),
            dict.fromkeys(gone, 0),
            {name: line.told(name) for name in extra},
            unwanted,
            options.drift == "quarantine",
        )

    def row(self, cells: Sequence[str]) -> dict[str, object] | None:
        """Values by column, an empty one left out; None when a column that the policy quarantines holds a value."""
        for at, name in self._unwanted:
            if cells[at] != "":
                if self._is_strict:
                    return None
                self.discarded[name] += 1
        return {name: cells[at] for at, name in self.kept if cells[at] != ""}


def _check(item: FileItem, line: _Header, lower: set[str], expected: Expected, given: Sequence[str]) -> None:
    ours = [name for name in line.names if name.lower() in {own.lower() for own in expected.reserved}]
    if ours:
        raise refused(item, f"its header has the column '{ours[0]}', a name that the lakehouse gives to a column of its own", "have it renamed at the source")
    wanted = {name.lower() for name in (*expected.used, *expected.required)}
    free = [name for name in line.names if name.lower() not in wanted]
    lacking = [name for name in dict.fromkeys(expected.required) if name.lower() not in lower]
    if lacking:
        listed = ", ".join(f"'{name}'" for name in lacking)
        meant = nearest(lacking[0], free)
        hint = f" (Did you mean {line.told(meant)}?)" if meant is not None else ""
        found = f"its header lacks the column{'s' if len(lacking) > 1 else ''} {listed}{hint}"
        raise refused(item, found, "have it delivered with the agreed header or mend the mapping in conf/cdm")
    met = {name.lower() for name in (*line.names, *expected.given_up)}
    known = {name.lower() for name in (*given, *expected.known)}
    new = [name for name in free if name.lower() not in known]
    for name in dict.fromkeys(expected.used):
        if name.lower() in met:
            continue
        meant = nearest(name, new, likeness=SPELLING)
        if meant is not None:
            found = f"its header lacks the column '{name}' (Did you mean {line.told(meant)}?), whose values would become NULL in every row"
            advice = "have it delivered with the agreed header, mend the mapping in conf/cdm, or name the column in gone_columns in conf/connections.yml"
            raise refused(item, found, advice)
