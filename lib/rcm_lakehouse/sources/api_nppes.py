"""The NPI registry (NPPES API 2.1): look-ups by number, and searches that are divided when they pass the registry's ceiling.

A search gives at most 1,200 rows (pages of 200, `skip` up to 1,000) and never a grand total. One that fills its last page is divided
until every part ends with a short page, and only by fields whose values are a closed set, so that the parts are sure to hold the whole.
One that cannot be divided so is refused: what lies beyond its 1,200 rows would be lost without a trace.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.sources.api_cache import TRIES, Query, Record, Spool, asked_text
from rcm_lakehouse.sources.api_http import HttpClient

VERSION = "2.1"
PAGE_LIMIT = 200
SKIP_LIMIT = 1000
COLUMNS = (
    *("number", "entity_type", "status", "first_name", "last_name", "middle_name", "credential", "organization_name", "sex"),
    *("primary_taxonomy_code", "primary_taxonomy_desc", "state", "postal_code", "enumeration_date", "last_updated"),
    *("certification_date", "deactivation_date", "reactivation_date", "record"),
)
KEY = "number"
NOT_FOUND = "not_found"
_NPI = re.compile(r"[12][0-9]{9}\Z")
_CODE = re.compile(r"[0-9A-Za-z]{1,6}\Z")
_FIELD = re.compile(r"[a-z_]{1,40}\Z")
_KINDS = ("NPI-1", "NPI-2")
_NARROW = (
    "give several narrower queries in conf/connections.yml (taxonomy_description, city, names), look up numbers alone (ids_from), "
    "or load the registry's monthly file."
)
_ZIP_START = re.compile(r"([0-9]{2,4})?\*\Z")


def is_valid_npi(text: str) -> bool:
    """Ten digits that begin with 1 or 2 and whose check digit fits (Luhn over 80840 and the number)."""
    if not _NPI.match(text):
        return False
    digits = [int(digit) for digit in reversed("80840" + text)]
    doubled = [digit * 2 for digit in digits[1::2]]
    return (sum(digits[0::2]) + sum(digit - 9 if digit > 9 else digit for digit in doubled)) % 10 == 0


class Nppes:
    """The registry behind one client; `fetch` fills a spool or raises, never half."""

    def __init__(self, client: HttpClient, options: ApiTableOptions) -> None:
        self._client = client
        self._page = max(2, min(options.page_size, PAGE_LIMIT))
        self.notes: list[str] = []

    def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
        """Every record of every query. A number that the registry does not know becomes a record with the status `not_found`."""
        for query in queries:
            spool.asked = asked_text(query)
            if set(query) == {"number"}:
                self._look_up(query, spool)
            else:
                self._search(query, spool)

    def _look_up(self, query: Query, spool: Spool) -> None:
        found = [record_of(result) for result in self._results(query, 0)]
        own = [record for record in found if record["number"] == query["number"]]
        if found and not own:
            raise self._client.refused("the look-up of a number is answered with another one", "Run again later; a cache or proxy may be in between.")
        spool.add(own[0] if own else {"number": query["number"], "status": NOT_FOUND})

    def _search(self, query: Query, spool: Spool) -> set[str | None]:
        """Spool what a query gives; returns its numbers."""
        records, is_whole = self._pages(query)
        for record in records:
            spool.add(record)
        seen = {record["number"] for record in records}
        if is_whole:
            return seen
        parts = division(query)
        if not parts:
            found = f"the query {_told(query)} reaches the registry's ceiling of 1,200 rows and has no parts that are sure to hold all of them"
            raise self._client.refused(found, _advice(query))
        met = set[str | None]().union(*(self._search(part, spool) for part in parts))
        if not seen <= met:
            found = f"{len(seen - met)} of the rows that the query {_told(query)} gives are in none of its parts"
            raise self._client.refused(found, f"The registry changed meanwhile: run again. When it stays so: {_NARROW}")
        return met

    def _pages(self, query: Query) -> tuple[list[Record], bool]:
        """Records of a query, and whether they are all: the last page is not full.

        Each page is asked for from the last record of the one before. Where that is not in it, records went meanwhile and took others to a page
        that was read before: the query is read again from its start, and refused in the end.
        """
        for _ in range(TRIES):
            records: list[Record] = []
            for skip in range(0, SKIP_LIMIT + 1, self._page - 1):
                page = [record_of(result) for result in self._results(query, skip)]
                is_last = len(page) < self._page
                if records and records[-1] not in page:
                    break
                if records:
                    page.remove(records[-1])
                records += page
                if is_last:
                    return records, True
            else:
                return records, False
        raise self._client.refused(f"records of the query {_told(query)} came or went while its pages were read, {TRIES} times", "Run again later.")

    def _results(self, query: Query, skip: int) -> list[Mapping[str, Any]]:
        params = {**query, "version": VERSION, "limit": str(self._page), "skip": str(skip)}
        body = self._client.get(self._client.connection.base_url, params)
        if isinstance(body, Mapping) and "Errors" in body:
            raise self._client.refused(f"the registry refuses a query ({_error_codes(body['Errors'])})", "Mend the load's queries in conf/connections.yml.")
        results = body.get("results") if isinstance(body, Mapping) else None
        if not isinstance(body, Mapping) or not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
            raise self._client.refused("an answer has no list `results`", "Ask the registry's notices whether its version 2.1 has changed.")
        if body.get("result_count") not in (len(results), str(len(results))):
            raise self._client.refused("an answer's result_count is not the number of its results", "Run again later.")
        # Without `basic` an entry would pass for an inactive one; an empty one is a list, as some services write empty objects.
        if not all(_NPI.match(_text(result.get("number")) or "") and isinstance(result.get("basic"), Mapping | list) for result in results):
            raise self._client.refused("an answer has a result without `number` or `basic`", "Ask the registry's notices whether its version 2.1 has changed.")
        return results


def _error_codes(errors: object) -> str:
    """Fields and numbers of the registry's error entries; their texts, which may quote a parameter, are left out."""
    found = []
    for error in errors if isinstance(errors, list) else []:
        field, number = (str(error.get(name, "")) for name in ("field", "number")) if isinstance(error, Mapping) else ("", "")
        found.append(f"{field if _FIELD.match(field) else 'some field'}: error {number if _CODE.match(number) else 'without number'}")
    return "; ".join(found[:5]) or "without a reason"


def division(query: Query) -> list[dict[str, str]]:
    """Parts that are sure to hold together all that a query asks for; none when there is no such division.

    First the two kinds of enumeration, then two digits of the postal code and one more at a time, up to five. The latter with `country_code: US`
    alone, where a postal code is five or nine digits. A name is no such field: it may go on with any character, also with one that the
    registry does not take in a query.
    """
    if "enumeration_type" not in query:
        return [{**query, "enumeration_type": kind} for kind in _KINDS]
    start = _ZIP_START.match(query.get("postal_code", "*"))
    if start is None or not _is_domestic(query):
        return []
    return [{**query, "postal_code": f"{start[1]}{digit}*" if start[1] else f"{digit:02d}*"} for digit in range(10 if start[1] else 100)]


def _is_domestic(query: Query) -> bool:
    return query.get("country_code", "").upper() == "US"


def _told(query: Query) -> str:
    """A query for messages, without the names it asks for."""
    return asked_text({field: "..." if field.endswith("_name") else value for field, value in query.items()})


def _advice(query: Query) -> str:
    given = query.get("postal_code", "*")
    if not _is_domestic(query) and _ZIP_START.match(given):
        return f"Add country_code: US, which lets it be divided by postal code, or narrow it otherwise: {_NARROW}"
    return f"{_NARROW[0].upper()}{_NARROW[1:]}"


def record_of(result: Mapping[str, Any]) -> Record:
    """A result flattened to text; NULL for what is absent, blank or `--`. Older bodies (integers, seconds, `gender`, `name`) give the same."""
    given = result.get("basic")
    basic: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    number = _text(result.get("number"))
    organization = _text(basic.get("organization_name"))
    kind = _text(result.get("enumeration_type")) or ("NPI-2" if organization else "NPI-1")
    if kind == "NPI-2":
        organization = organization or _text(basic.get("name"))
    taxonomy = _primary(_list(result, "taxonomies"))
    address = _practice_address(_list(result, "addresses"))
    status = _text(basic.get("status"))
    return {
        "number": number,
        "entity_type": kind,
        "status": "active" if status == "A" else "inactive",
        "first_name": _text(basic.get("first_name")),
        "last_name": _text(basic.get("last_name")),
        "middle_name": _text(basic.get("middle_name")),
        "credential": _text(basic.get("credential")),
        "organization_name": organization,
        "sex": _text(basic.get("sex")) or _text(basic.get("gender")),
        "primary_taxonomy_code": _text(taxonomy.get("code")),
        "primary_taxonomy_desc": _text(taxonomy.get("desc")),
        "state": _text(address.get("state")),
        "postal_code": _text(address.get("postal_code")),
        "enumeration_date": _text(basic.get("enumeration_date")) or _day(result.get("created_epoch")),
        "last_updated": _text(basic.get("last_updated")) or _day(result.get("last_updated_epoch")),
        "certification_date": _text(basic.get("certification_date")),
        "deactivation_date": _text(basic.get("deactivation_date")),
        "reactivation_date": _text(basic.get("reactivation_date")),
        "record": json.dumps(result, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
    }


def _text(value: object) -> str | None:
    if value is None or isinstance(value, bool | Mapping | list):
        return None
    text = str(value).strip()
    return None if text in ("", "--") else text


def _list(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = result.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _primary(taxonomies: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The taxonomy marked as primary; the only one when none is marked; of several unmarked ones none."""
    marked = [item for item in taxonomies if item.get("primary") in (True, "true", "Y")]
    unmarked = taxonomies if len(taxonomies) == 1 else []
    return next(iter(marked or unmarked), {})


def _practice_address(addresses: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    practice = [item for item in addresses if str(item.get("address_purpose")).upper() == "LOCATION"]
    return next(iter(practice or addresses), {})


def _day(epoch: object) -> str | None:
    """The UTC day of an epoch in milliseconds, or in seconds as older bodies have it; None for what is none."""
    text = _text(epoch)
    if text is None or not re.fullmatch(r"-?\d{1,13}", text):
        return None
    number = int(text)
    seconds = number / 1000 if abs(number) >= 100_000_000_000 else number
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):
        # Of no year that a day may have.
        return None
