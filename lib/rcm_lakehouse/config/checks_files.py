"""Files of a landing folder: how they are found and read, checked before a file is opened."""

import re
from collections.abc import Callable

from rcm_lakehouse.config.connections import FilesConnection, FileTableOptions
from rcm_lakehouse.config.parts import Lost
from rcm_lakehouse.config.problems import did_you_mean

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "iso-8859-1", "iso-8859-15", "windows-1252", "cp1252", "ascii")
_COLUMN = re.compile(r"[^\x00-\x1f\"`]{1,128}\Z")
_MAX_POSITION = 100_000

Note = Callable[..., None]


def check_file_tables(connection: FilesConnection, lost: Lost, note: Note) -> None:
    """Note everything about the tables of a landing folder that types alone cannot refuse."""
    for table, options in connection.tables.items():
        place = ("tables", table)
        if not _is_pattern(options.pattern):
            note("pattern must be a file pattern below the connection's path, like claims/*.csv: not absolute, no '..', no scheme.", *place, "pattern")
        if not any(lost.at(*place, key) for key in ("delimiter", "quote")):
            _check_marks(options, note, *place)
        if options.encoding.lower().replace("_", "-") not in ENCODINGS:
            hint = did_you_mean(options.encoding, ENCODINGS)
            note(f"encoding is not one of {', '.join(ENCODINGS)}.{hint}", *place, "encoding")
        # What another key decides cannot be judged when that one was left out.
        is_whole = not lost.at("tables", table)
        if is_whole and not options.has_header and not options.columns and options.format == "csv":
            note("without a header line `columns` must name the columns.", *place, "header")
        if not all(_COLUMN.match(name) for name in options.columns):
            note("columns holds what is no column name.", *place, "columns")
        if len({name.lower() for name in options.columns}) < len(options.columns):
            note("columns names a column twice.", *place, "columns")
        if is_whole:
            _check_widths(options, note, *place)


def _is_pattern(pattern: str) -> bool:
    if not pattern.strip() or len(pattern) > 300 or not pattern.isprintable():
        return False
    return not pattern.startswith(("/", "~")) and not any(mark in pattern for mark in ("\\", ":")) and ".." not in pattern.split("/")


def _check_marks(options: FileTableOptions, note: Note, *place: object) -> None:
    marks = (options.delimiter, options.quote)
    if any(len(mark) != 1 or not (mark.isprintable() or mark == "\t") for mark in marks) or marks[0] == marks[1]:
        note("delimiter and quote are one printable character each (or a tab), and differ.", *place, "delimiter")


def _check_widths(options: FileTableOptions, note: Note, *place: object) -> None:
    if options.format == "fixed" and (not options.columns or len(options.widths) != len(options.columns)):
        note("format fixed needs `columns` and as many `widths` [first, last].", *place, "widths")
    elif options.format == "csv" and options.widths:
        note("widths are for format fixed.", *place, "widths")
    elif any(not 1 <= first <= (first if last is None else last) <= _MAX_POSITION for first, last in options.widths):
        note("each of widths is [first, last], counted from 1, first not after last.", *place, "widths")
    elif any(last is None for _, last in options.widths[:-1]):
        note("only the last of widths may be open-ended.", *place, "widths")
