"""Quotes in lines of a CSV file: the cells of a record, and whether one that spans lines hides others because its quotes are stray."""

import csv
import re
from collections.abc import Sequence

from rcm_lakehouse.config.connections import FileTableOptions

# From so many columns on a line of text has their number of delimiters by chance no more.
_TELLING_WIDTH = 5


def cells_of(text: str, options: FileTableOptions) -> list[str] | None:
    """The cells of a complete record; None when quoting is broken or still open."""
    if options.quote not in text:
        return text.split(options.delimiter)
    try:
        return next(csv.reader([text], delimiter=options.delimiter, quotechar=options.quote, strict=True), [])
    except csv.Error:
        return None


def hides_records(lines: Sequence[str], width: int, options: FileTableOptions) -> bool:
    """True when lines that quotes make one record are more likely several of so many columns, with a stray quote in the first and the last.

    The first and the last are whole when their own quote is a character like another; or, from 5 columns on, one between them is whole. A line
    of text may look so by chance: among fewer than 5 columns one with a blank behind a delimiter is text, and so is one inside a record that has
    no such blanks outside its quotes.
    """
    first, *inner, last = lines
    is_tidy = not _has_blanks(_cells_as_they_stand("\n".join(lines), options))
    found = [cells for line in inner if len(cells := cells_of(line, options) or []) == width]
    if width >= _TELLING_WIDTH and any(not (is_tidy and _has_blanks(cells)) for cells in found):
        return True
    return width > 1 and all(_is_whole(line, width, options) for line in (first, last))


def _is_whole(line: str, width: int, options: FileTableOptions) -> bool:
    cells = _cells_as_they_stand(line, options)
    return len(cells) == width and (width >= _TELLING_WIDTH or not _has_blanks(cells))


def _has_blanks(cells: Sequence[str]) -> bool:
    return any(cell.startswith(" ") for cell in cells[1:])


def _cells_as_they_stand(text: str, options: FileTableOptions) -> list[str]:
    """The cells of a text: a quote that opens and closes a cell holds it together, any other is text."""
    quote, delimiter = re.escape(options.quote), re.escape(options.delimiter)
    cell = re.compile(rf"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote}(?={delimiter}|\Z)|[^{delimiter}]*")
    cells, at = [], 0
    while at <= len(text):
        found = cell.match(text, at)
        assert found is not None, "the second alternative matches anything"
        cells.append(found[0])
        at = found.end() + 1
    return cells
