"""One pass over a file: records, malformed lines with their text, and counts; written as JSON lines that Spark then reads.

The pass runs in the driver with bounded memory. It knows the line of every record, keeps the text of what does not fit the
header, and refuses a file that is cut: an incomplete gzip, undecodable bytes, or no newline at the end.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.sources.files import FileItem

MAX_LINES_OF_A_RECORD = 200
# Characters that Delta refuses in a column's name: `CPT Codes` becomes CPT_Codes.
_FORBIDDEN = re.compile(r"[ ,;{}()\n\t=]")


@dataclass(frozen=True)
class Parsed:
    """What one pass found: columns in file order, records, malformed ones among them, and columns left out by the drift policy."""

    columns: tuple[str, ...]
    records: int
    malformed: int
    discarded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What the contract wants of a header: columns it uses, those it cannot do without, and those bronze has already."""

    used: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def parse_file(item: FileItem, options: FileTableOptions, expected: Expected, out: Path) -> Parsed:
    """Parse a file into JSON lines at `out`; all values are text, an empty one is NULL.

    Raises SourceDataError when the file as a whole cannot be trusted; nothing of it is loaded then.
    """
    try:
        with _opened(item.path, options) as stream:
            return _parse(item, options, expected, stream, out)
    except UnicodeDecodeError:
        raise _refused(item, f"it holds bytes that are not {options.encoding}", "set `encoding` in conf/connections.yml") from None
    except (EOFError, gzip.BadGzipFile):
        raise _refused(item, "its gzip stream is cut or broken", "have it delivered again") from None


def _refused(item: FileItem, found: str, advice: str) -> SourceDataError:
    return SourceDataError(f"{item.name}: {found}. Nothing of it was loaded; it stays in the landing folder. To mend it, {advice}.")


def _opened(path: Path, options: FileTableOptions) -> IO[str]:
    encoding = "utf-8-sig" if options.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else options.encoding
    raw: IO[bytes] = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[assignment]  # noqa: SIM115  (the wrapper closes it)
    return io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")


def _parse(item: FileItem, options: FileTableOptions, expected: Expected, stream: IO[str], out: Path) -> Parsed:
    lines = _Lines(stream)
    header, first = _header(item, options, lines)
    layout = _Layout.of(item, header, options, expected)
    records = malformed = 0
    with out.open("w", encoding="utf-8") as target:
        for number, raw, cells in _records(lines, options, len(header), first):
            records += 1
            row = layout.row(cells) if cells is not None else None
            if row is None:
                malformed += 1
                row = {"_corrupt_record": raw}
            row["_source_row"] = number
            target.write(json.dumps(row, ensure_ascii=False) + "\n")
    if lines.count and not lines.ends_with_newline and options.require_final_newline and item.manifest_rows is None:
        raise _refused(item, "its last line has no newline, so it may be cut inside its last value", "deliver it whole or set require_final_newline: false")
    if item.manifest_rows is not None and item.manifest_rows != records:
        raise _refused(item, f"it has {records} records but its manifest says {item.manifest_rows}", "have it delivered again")
    if records == 0 and options.zero_rows == "fail":
        raise _refused(item, "it has no record", "have it delivered again or set zero_rows: allow")
    return Parsed(tuple(layout.kept), records, malformed, tuple(layout.discarded), tuple(layout.missing))


class _Lines:
    """Physical lines without their ends, and whether the last one had one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.count = 0
        self.ends_with_newline = True
        self._back: list[str] = []

    def next(self) -> str | None:
        """The next line, None at the end."""
        if self._back:
            self.count += 1
            return self._back.pop()
        line = self._stream.readline()
        if not line:
            return None
        self.count += 1
        self.ends_with_newline = line.endswith("\n")
        return line.rstrip("\n").removesuffix("\r")

    def put_back(self, lines: Sequence[str]) -> None:
        """Give lines back, so that they are read again."""
        self._back.extend(reversed(lines))
        self.count -= len(lines)


def _header(item: FileItem, options: FileTableOptions, lines: _Lines) -> tuple[list[str], int]:
    if options.format == "fixed" or not options.header:
        return list(options.columns), 1
    line = lines.next()
    if line is None:
        if options.zero_rows == "fail":
            raise _refused(item, "it is empty", "have it delivered again or set zero_rows: allow")
        return list(options.columns), 1
    cells = _cells(line, options)
    if cells is None:
        raise _refused(item, "its header line has a broken quote", "have it delivered again")
    names = [_FORBIDDEN.sub("_", cell.strip()) for cell in cells]
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    if twice or "" in names:
        raise _refused(item, f"its header has {'a nameless column' if '' in names else 'a column twice'}", "have the header mended")
    return names, 2


def _cells(line: str, options: FileTableOptions) -> list[str] | None:
    """The cells of a complete record; None when quoting is broken or still open."""
    if "\x00" in line:
        return None
    if options.quote not in line:
        return line.split(options.delimiter)
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=options.delimiter, quotechar=options.quote, strict=True), [])
    except csv.Error:
        return None


def _records(lines: _Lines, options: FileTableOptions, width: int, first: int) -> Iterator[tuple[int, str, list[str] | None]]:
    while (line := lines.next()) is not None:
        number = lines.count
        if not line.strip():
            continue
        if options.format == "fixed":
            yield number, line, [line[begin - 1 : end].strip() for begin, end in options.widths]
            continue
        cells = _cells(line, options)
        if cells is None and line.count(options.quote) % 2 == 1:
            line, cells = _joined(line, lines, options, width)
        yield number, line, cells if cells is not None and len(cells) == width else None


def _joined(line: str, lines: _Lines, options: FileTableOptions, width: int) -> tuple[str, list[str] | None]:
    """A record whose quoted value goes on in the next lines; when it never closes, the first line alone is malformed."""
    taken: list[str] = []
    whole = line
    while len(taken) < MAX_LINES_OF_A_RECORD and (more := lines.next()) is not None:
        taken.append(more)
        whole += "\n" + more
        if options.quote in more:
            cells = _cells(whole, options)
            if cells is not None and len(cells) == width:
                return whole, cells
    lines.put_back(taken)
    return line, None


@dataclass
class _Layout:
    """Where each cell goes by the drift policy."""

    header: list[str]
    kept: list[str]
    discarded: list[str]
    missing: list[str]
    extra_is_bad: list[int]

    @staticmethod
    def of(item: FileItem, header: list[str], options: FileTableOptions, expected: Expected) -> "_Layout":
        """Compare a header with what is expected; names are met in any case and spelled as bronze has them."""
        spelled = {name.lower(): name for name in (*expected.used, *expected.known)}
        names = [spelled.get(name.lower(), name) for name in header]
        lower = {name.lower() for name in names}
        lacking = [name for name in expected.required if name.lower() not in lower]
        if lacking and header:
            hint = did_you_mean(lacking[0], names)
            found = f"its header lacks the column '{lacking[0]}'{hint and ' (' + hint.strip() + ')'}"
            raise _refused(item, found, "have it delivered with the agreed header or mend conf/cdm")
        wanted = {name.lower() for name in (*expected.known, *expected.used, *options.columns)}
        extra = [name for name in names if name.lower() not in wanted] if wanted else []
        if extra and options.drift == "freeze":
            raise _refused(item, f"its header has the new column '{extra[0]}' and the drift policy is freeze", "allow it with `drift` or have it taken out")
        gone = extra if options.drift in ("discard", "quarantine") else []
        bad = [index for index, name in enumerate(names) if name in gone] if options.drift == "quarantine" else []
        missing = [name for name in expected.used if name.lower() not in lower] if header else []
        return _Layout(names, [name for name in names if name not in gone], gone, missing, bad)

    def row(self, cells: Sequence[str]) -> dict[str, object] | None:
        """The values by column; None for a row whose new column holds a value under the policy quarantine."""
        if any(cells[index] for index in self.extra_is_bad):
            return None
        kept = set(self.kept)
        return {name: cell for name, cell in zip(self.header, cells, strict=True) if cell != "" and name in kept}
