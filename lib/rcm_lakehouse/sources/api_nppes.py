"""The NPI registry (NPPES API 2.1): look-ups by number, and searches that are divided when they pass the registry's ceiling.

A search gives at most 1,200 rows (pages of 200, `skip` up to 1,000) and never a grand total. One that fills its last page is divided by
kind of enumeration, by postal code or by name, until every part ends with a short page; what the whole search showed must
be met again in its parts, else the load is refused as not readable whole.
"""

import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.sources.api_cache import Query, Record, Spool, asked_text
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
_LETTERS = string.ascii_uppercase
_LETTERS_AND_DIGITS = _LETTERS + string.digits
_MARKS = "'-"
_ZIP_LENGTH = 5
_NAME_LENGTH = 6


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
        self._page = min(options.page_size, PAGE_LIMIT)
        self._by_name_first = options.split_by == "name"
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
        spool.add(own[0] if own else {"number": query["number"], "status": NOT_FOUND})

    def _search(self, query: Query, spool: Spool) -> set[str | None]:
        """Spool what a query gives; returns its numbers."""
        seen: set[str | None] = set()
        for skip in range(0, SKIP_LIMIT + 1, self._page):
            page = [record_of(result) for result in self._results(query, skip)]
            for record in page:
                spool.add(record)
                seen.add(record["number"])
            if len(page) < self._page:
                return seen
        return seen | self._divided(query, seen, spool)

    def _divided(self, query: Query, seen: set[str | None], spool: Spool) -> set[str | None]:
        found: set[str | None] = set()
        for parts in divisions(query, by_name_first=self._by_name_first):
            for part in parts:
                found |= self._search(part, spool)
            if seen <= found:
                return found
        raise self._client.refused(
            "a query gives more than the registry's 1,200 rows and cannot be divided so that every row is met",
            "Narrow the load's queries in conf/connections.yml.",
        )

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
        return results


def _error_codes(errors: object) -> str:
    """Fields and numbers of the registry's error entries; their texts, which may quote a parameter, are left out."""
    found = []
    for error in errors if isinstance(errors, list) else []:
        field, number = (str(error.get(name, "")) for name in ("field", "number")) if isinstance(error, Mapping) else ("", "")
        found.append(f"{field if _FIELD.match(field) else 'some field'}: error {number if _CODE.match(number) else 'without number'}")
    return "; ".join(found[:5]) or "without a reason"


def divisions(query: Query, *, by_name_first: bool) -> Iterator[list[dict[str, str]]]:
    """Ways to divide a query, best first; the parts of one way together ask for all that the query asks for, as far as its field is filled."""
    ways = [_by_kind(query), *([_by_name(query), _by_postal_code(query)] if by_name_first else [_by_postal_code(query), _by_name(query)])]
    yield from (parts for parts in ways if parts)


def _by_kind(query: Query) -> list[dict[str, str]]:
    return [] if "enumeration_type" in query else [{**query, "enumeration_type": kind} for kind in ("NPI-1", "NPI-2")]


def _by_postal_code(query: Query) -> list[dict[str, str]]:
    parts = _by_prefix(query, "postal_code", string.digits, string.digits, _ZIP_LENGTH)
    return [part for part in parts if part["postal_code"].endswith("*")]


def _by_name(query: Query) -> list[dict[str, str]]:
    kind = query.get("enumeration_type")
    if kind == "NPI-2":
        return _by_prefix(query, "organization_name", _LETTERS_AND_DIGITS, _LETTERS_AND_DIGITS + _MARKS, _NAME_LENGTH)
    return _by_prefix(query, "last_name", _LETTERS, _LETTERS + _MARKS, _NAME_LENGTH) if kind else []


def _by_prefix(query: Query, field: str, first: str, later: str, longest: int) -> list[dict[str, str]]:
    """One letter more of a field; the registry wants two letters before the `*`. What equals the prefix itself is asked for too."""
    given = query.get(field)
    if given is None:
        return [{**query, field: f"{one}{two}*"} for one in first for two in later]
    prefix = given.removesuffix("*")
    if prefix == given or len(prefix) >= longest:
        return []
    return [{**query, field: prefix}, *({**query, field: f"{prefix}{letter}*"} for letter in later)]


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
    """The UTC day of an epoch in milliseconds, or in seconds as older bodies have it."""
    text = _text(epoch)
    if text is None or not re.fullmatch(r"-?\d{1,13}", text):
        return None
    number = int(text)
    seconds = number / 1000 if abs(number) >= 100_000_000_000 else number
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
