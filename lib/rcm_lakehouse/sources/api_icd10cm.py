"""ICD-10-CM from the NLM Clinical Tables service: prefixes of codes, pages by offset, and longer prefixes past the ceiling.

The service is a search for people who type, not a bulk source: the yearly files are better for whole editions. It does not say
whether a code is billable nor which edition it belongs to.
"""

import string
from collections.abc import Sequence

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.sources.api_cache import Query, Record, Spool, asked_text
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
        self._page = min(options.page_size, PAGE_LIMIT)
        self.notes: list[str] = []

    def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
        """Every code that begins with the prefix of a query."""
        for query in queries:
            spool.asked = asked_text(query)
            self._search(query.get("terms", "").upper(), spool)

    def _search(self, prefix: str, spool: Spool) -> set[str]:
        """Spool the codes of a prefix; returns them. The service's own total is what the pages must add up to."""
        total, rows = self._rows(prefix, 0)
        found = _kept(rows, spool)
        if total > CEILING:
            for longer in longer_prefixes(prefix):
                found |= self._search(longer, spool)
        else:
            for offset in range(self._page, total, self._page):
                found |= _kept(self._rows(prefix, offset)[1], spool)
        if len(found) < total:
            raise self._client.refused(f"the pages of a prefix have {len(found)} different codes where the service counts {total}", "Run again later.")
        return found

    def _rows(self, prefix: str, offset: int) -> tuple[int, list[Record]]:
        params = {"sf": "code", "df": "code,name", "terms": prefix, "count": str(self._page), "offset": str(offset)}
        body = self._client.get(self._client.connection.base_url, params)
        if not isinstance(body, list) or len(body) < 4 or not isinstance(body[3], list) or not _is_count(body[0]):
            raise self._client.refused("an answer is not [total, codes, extra, rows]", "Ask the service's notices whether its version 3 has changed.")
        if not all(isinstance(row, list) and len(row) == 2 and all(isinstance(cell, str) for cell in row) for row in body[3]):
            raise self._client.refused("a row of an answer is not [code, name]", "Ask the service's notices whether its version 3 has changed.")
        return body[0], [{"code": code, "name": name} for code, name in body[3]]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kept(rows: Sequence[Record], spool: Spool) -> set[str]:
    for row in rows:
        spool.add(row)
    return {str(row["code"]) for row in rows}


def longer_prefixes(prefix: str) -> list[str]:
    """Prefixes one place longer that together cover every code below `prefix`: a letter, a digit, digits or letters, and after the dot alike."""
    if len(prefix) >= _LONGEST_CODE:
        return []
    if len(prefix) == 3:
        prefix += "."
    places = {0: string.ascii_uppercase, 1: string.digits}
    return [prefix + letter for letter in places.get(len(prefix), string.digits + string.ascii_uppercase)]
