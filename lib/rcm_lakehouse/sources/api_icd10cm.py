"""ICD-10-CM from the NLM Clinical Tables service: prefixes of codes, pages by offset, and longer prefixes past the ceiling.

Codes that come or go while a prefix is read would move others to another page: it is then read again, or refused.

The service is a search for people who type, not a bulk source: the yearly files are better for whole editions. It does not say
whether a code is billable nor which edition it belongs to.
"""

import string
from collections.abc import Sequence

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.sources.api_cache import TRIES, Query, Record, Spool, asked_text
from rcm_lakehouse.sources.api_http import HttpClient

PAGE_LIMIT = 500
CEILING = 7500
COLUMNS = ("code", "name")
KEY = "code"
_LONGEST_CODE = len("S72.001A")


class Icd10Cm:
    """The search service behind one client; `fetch` fills a spool or raises, never half."""

    def __init__(self, client: HttpClient, options: ApiTableOptions) -> None:
        self._client = client
        self._page = max(2, min(options.page_size, PAGE_LIMIT))
        self.notes: list[str] = []

    def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
        """Every code that begins with the prefix of a query; nothing of a query is kept before it was read whole."""
        for query in queries:
            spool.asked = asked_text(query)
            for record in self._search(query.get("terms", "").upper()).values():
                spool.add(record)

    def _search(self, prefix: str) -> dict[str, Record]:
        """Records of a prefix by code; what does not fit together is read again from its start, and refused in the end."""
        for _ in range(TRIES):
            found, wrong = self._read(prefix)
            if wrong is None:
                return found
        raise self._client.refused(f"{wrong}, {TRIES} times", "Run again later.")

    def _read(self, prefix: str) -> tuple[dict[str, Record], str | None]:
        """Records by code, and what is wrong with them. The service's own total may not move, and the pages must add up to it."""
        moved = "codes of a prefix came or went while it was read"
        total, rows = self._rows(prefix, 0)
        found = _by_code(rows)
        if total > CEILING:
            for longer in longer_prefixes(prefix):
                found |= self._search(longer)
            if self._rows(prefix, 0)[0] != total:
                return found, moved
        else:
            # A page begins with the last row of the one before: a code that goes while another comes leaves the total, but not the places.
            for offset in range(self._page - 1, total - 1, self._page - 1):
                last = rows[-1:]
                told, rows = self._rows(prefix, offset, total - offset)
                found |= _by_code(rows)
                if told != total or rows[:1] != last:
                    return found, moved
        if len(found) != total:
            return found, f"the pages of a prefix have {len(found)} different codes where the service counts {total}"
        # The search may find more than beginnings; but an answer without a single one is another prefix's.
        if found and not any(code.upper().startswith(prefix) for code in found):
            return found, "none of the codes that a prefix is answered with begins with it"
        return found, None

    def _rows(self, prefix: str, offset: int, most: int = PAGE_LIMIT) -> tuple[int, list[Record]]:
        params = {"sf": "code", "df": "code,name", "terms": prefix, "count": str(min(self._page, most)), "offset": str(offset)}
        body = self._client.get(self._client.connection.base_url, params)
        if not isinstance(body, list) or len(body) < 4 or not isinstance(body[3], list) or not _is_count(body[0]):
            raise self._client.refused("an answer is not [total, codes, extra, rows]", "Ask the service's notices whether its version 3 has changed.")
        if not all(isinstance(row, list) and len(row) == 2 and all(isinstance(cell, str) for cell in row) and row[0].strip() for row in body[3]):
            raise self._client.refused("a row of an answer is not [code, name]", "Ask the service's notices whether its version 3 has changed.")
        return body[0], [{"code": code, "name": name} for code, name in body[3]]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _by_code(rows: Sequence[Record]) -> dict[str, Record]:
    return {str(row["code"]): row for row in rows}


def longer_prefixes(prefix: str) -> list[str]:
    """Prefixes one place longer that together cover every code below `prefix`: a letter, a digit, digits or letters, and after the dot alike."""
    if len(prefix) >= _LONGEST_CODE:
        return []
    if len(prefix) == 3:
        prefix += "."
    places = {0: string.ascii_uppercase, 1: string.digits}
    return [prefix + letter for letter in places.get(len(prefix), string.digits + string.ascii_uppercase)]
