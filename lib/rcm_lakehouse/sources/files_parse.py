"""One pass over a file: records, malformed lines with their text, and counts; written as JSON lines that Spark then reads.

The pass runs in the driver with bounded memory. Values stay text, so money never becomes a float. It knows the line of every
record, keeps the text of what does not fit the header, and refuses a file that is cut: an incomplete gzip, undecodable bytes,
or no line end at the end.
"""

import codecs
import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.files import FileItem
from rcm_lakehouse.sources.files_header import Expected, Layout, as_names, refused
from rcm_lakehouse.sources.files_quotes import cells_of, hides_records

# A quoted value may go on over so many lines.
MAX_LINES_OF_A_RECORD = 1_000
_BOMS = ((codecs.BOM_UTF8, "UTF-8", "utf-8-sig"), (codecs.BOM_UTF16_LE, "UTF-16", "utf-16"), (codecs.BOM_UTF16_BE, "UTF-16", "utf-16"))
_FAMILY = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_LOST = "\ufffd"
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Parsed:
    """What one pass found: columns in file order, records, malformed ones by reason, and what the header lacked or had beyond.

    `discarded` counts values of columns that the drift policy left out; `told` is how messages call new columns, which may be no names but
    a patient's values; `file` is the number that the staged rows carry.
    """

    columns: tuple[str, ...]
    records: int
    malformed: dict[str, int] = field(default_factory=dict)
    blank_lines: int = 0
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    discarded: dict[str, int] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    file: int = 0


def parse_file(item: FileItem, options: FileTableOptions, expected: Expected, out: Path, file: int = 0) -> Parsed:
    """Parse a file into JSON lines at `out`, each with the number `file`; all values are text, an empty one is NULL.

    Raises SourceDataError when the file as a whole cannot be trusted; nothing of it is loaded then and `out` is gone.
    """
    try:
        with _opened(item, options) as stream, out.open("w", encoding="utf-8") as target:
            return _Pass(item, options, expected, _Lines(stream, options.max_record_characters), file).run(target)
    except UnicodeDecodeError:
        error = refused(item, f"it holds bytes that are not {options.encoding}", "set `encoding` in conf/connections.yml or have it delivered again")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        error = refused(item, "its gzip stream is cut or broken", "have it delivered again")
    except SourceDataError as found:
        error = found
    out.unlink(missing_ok=True)
    raise error


def _opened(item: FileItem, options: FileTableOptions) -> IO[str]:
    is_gzip = item.path.suffix.lower() == ".gz"
    if is_gzip and item.path.stat().st_size == 0:
        raise EOFError
    raw = gzip.open(item.path, "rb") if is_gzip else item.path.open("rb")  # noqa: SIM115  (the wrapper closes it)
    try:
        start = raw.peek(3)[:3]
        encoding = _encoding(item, options, start)
    except BaseException:
        raw.close()
        raise
    return io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")


def _encoding(item: FileItem, options: FileTableOptions, start: bytes) -> str:
    """The codec for a file that begins with these bytes.

    Raises SourceDataError when a byte order mark says another encoding than conf/connections.yml, or utf-16 comes without one.
    """
    family = _FAMILY.get(codecs.lookup(options.encoding).name)
    for mark, name, codec in _BOMS:
        if start.startswith(mark):
            if family != name:
                found = f"it begins with the byte order mark of {name} but encoding is {options.encoding}"
                raise refused(item, found, f"set encoding: {name.lower()} in conf/connections.yml")
            return codec
    if start and codecs.lookup(options.encoding).name == "utf-16":
        found = "it has no byte order mark, so utf-16 leaves open which byte comes first"
        raise refused(item, found, "set encoding: utf-16-le or utf-16-be in conf/connections.yml")
    return options.encoding


class _Lines:
    """Physical lines without their ends, cut at `longest`; whether the last one had an end, and lines without any mark."""

    def __init__(self, stream: IO[str], longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._back: list[str] = []
        self.count = 0
        self.blank = 0
        self.ends_with_newline = True

    def next(self) -> str | None:
        """The next line, None at the end."""
        self.count += 1
        if self._back:
            return self._back.pop()
        line = self._stream.readline(self._longest + 2)
        if not line:
            self.count -= 1
            return None
        self.ends_with_newline = line.endswith("\n")
        if not self.ends_with_newline:
            return self._cut(line)
        return line[:-1].removesuffix("\r")

    def _cut(self, line: str) -> str:
        """The last line, or the beginning of one that is too long; its rest is passed over in pieces."""
        rest = line
        while rest and not rest.endswith("\n"):
            rest = self._stream.readline(1 << 16)
            self.ends_with_newline = rest.endswith("\n")
        return line.removesuffix("\r")

    def put_back(self, lines: Sequence[str]) -> None:
        """Give lines back, so that they are read again."""
        self._back.extend(reversed(lines))
        self.count -= len(lines)


@dataclass
class _Pass:
    """One reading of one file."""

    item: FileItem
    options: FileTableOptions
    expected: Expected
    lines: _Lines
    file: int
    # The line where a quote closes that is not believed, for the lines before it look like records of their own.
    stray_at: int = 0

    def run(self, target: IO[str]) -> Parsed:
        csv.field_size_limit(max(csv.field_size_limit(), self.options.max_record_characters))
        layout = Layout.of(self.item, self._header(), self.options, self.expected) if self._has_layout() else Layout([], [])
        malformed: Counter[str] = Counter()
        records = 0
        for number, raw, cells, reason in self._records(len(layout.names)):
            records += 1
            row = layout.row(cells) if cells is not None and not reason else None
            if row is None:
                reason = reason or "unknown_column"
                malformed[reason] += 1
                row = {"_corrupt_record": raw[: self.options.max_record_characters], "_flags": [reason]}
            row["_source_row"] = number
            row["_file"] = self.file
            target.write(_encode(row) + "\n")
        self._check_whole(records, malformed)
        return Parsed(
            columns=tuple(name for _, name in layout.kept),
            records=records,
            malformed=dict(malformed),
            blank_lines=self.lines.blank,
            added=layout.added,
            missing=layout.missing,
            discarded=dict(layout.discarded),
            told=layout.told,
            file=self.file,
        )

    def _has_layout(self) -> bool:
        """False for a file without a byte, which has no header to hold against anything."""
        first = self.lines.next()
        if first is None:
            return False
        self.lines.put_back([first])
        return True

    def _header(self) -> list[str]:
        line = (self.lines.next() or "") if self.options.has_header else ""
        if self.options.format == "fixed" or not self.options.has_header:
            return as_names(self.item, self.options.columns)
        longest = self.options.max_record_characters
        if len(line) > longest:
            found = f"its header line has more than {longest:,} characters (max_record_characters); a line end other than LF or CRLF looks like that"
            raise refused(self.item, found, "check the file's line ends, or raise max_record_characters in conf/connections.yml")
        return as_names(self.item, [line] if "\x00" in line else cells_of(line, self.options))

    def _records(self, width: int) -> Iterator[tuple[int, str, list[str] | None, str]]:
        """(line number, text, cells, reason why it is malformed or empty) of each record."""
        lines, options = self.lines, self.options
        while (line := lines.next()) is not None:
            number = lines.count
            if not line.strip() and (options.format == "fixed" or options.delimiter not in line):
                lines.blank += 1
                continue
            reason = self._bad_text(line)
            cells: list[str] | None = None
            if not reason and options.format == "fixed":
                cells, reason = _fixed(line, options)
            elif not reason:
                line, cells, reason = self._record(line, width)
            yield number, line, cells, reason

    def _record(self, line: str, width: int) -> tuple[str, list[str] | None, str]:
        quote = self.options.quote
        if self.lines.count == self.stray_at:
            return line, None, "broken_quote"
        cells = cells_of(line, self.options)
        if cells is None and line.count(quote) % 2 == 1:
            line, cells = self._joined(line, width)
        if cells is None:
            return line, None, "broken_quote"
        reason = self._bad_text(line) if "\n" in line else ""
        if len(cells) != width:
            reason = "too_few_values" if len(cells) < width else "too_many_values"
        return line, cells, reason

    def _bad_text(self, text: str) -> str:
        if len(text) > self.options.max_record_characters:
            return "too_long"
        if "\x00" in text:
            return "nul_character"
        if _LOST in text and self.options.lost_characters != "allow":
            return "lost_character"
        # A lone CR is a line end to some programs; inside quotes it is text.
        return "lone_carriage_return" if "\r" in text and self.options.quote not in text else ""

    def _joined(self, line: str, width: int) -> tuple[str, list[str] | None]:
        """A record whose quoted value goes on in the next lines; when it never closes, the first line alone is malformed.

        When it closes, but the lines look like records, the line where it does is malformed as well: which of both it is stays open.
        """
        taken: list[str] = []
        quotes, size = line.count(self.options.quote), len(line)
        while len(taken) < MAX_LINES_OF_A_RECORD and size <= self.options.max_record_characters and (more := self.lines.next()) is not None:
            taken.append(more)
            size += len(more) + 1
            quotes += more.count(self.options.quote)
            if quotes % 2 == 0:
                whole = "\n".join((line, *taken))
                cells = cells_of(whole, self.options)
                if cells is not None and len(cells) == width:
                    if not hides_records((line, *taken), width, self.options):
                        return whole, cells
                    self.stray_at = self.lines.count
                break
        self.lines.put_back(taken)
        return line, None

    def _check_whole(self, records: int, malformed: Counter[str]) -> None:
        item, options = self.item, self.options
        if not self.lines.ends_with_newline and options.require_final_newline and not item.is_hash_verified:
            advice = "deliver it whole, with a manifest that has a sha256, or set require_final_newline: false"
            raise refused(item, "its last line has no line end, so it may be cut inside its last value", advice)
        if item.manifest_rows is not None and item.manifest_rows != records:
            raise refused(item, f"it has {records} records but its manifest says {item.manifest_rows}", "have it delivered again")
        if malformed["lost_character"] and options.lost_characters == "fail":
            found = f"{malformed['lost_character']} of its lines hold U+FFFD, a character that an earlier conversion lost"
            raise refused(item, found, "have it exported in the right encoding, or set lost_characters: quarantine")
        if records == 0 and options.zero_rows == "fail":
            raise refused(item, "it has no record", "have it delivered again or set zero_rows: allow")


def _fixed(line: str, options: FileTableOptions) -> tuple[list[str] | None, str]:
    """The cells at their positions; a line that ends before the last column begins is cut."""
    if len(line) < options.widths[-1][0]:
        return None, "too_short"
    return [line[first - 1 : last].strip() for first, last in options.widths], ""
