"""Made-up content of the local API server: a register of clinicians, a list of codes, a small classification.

No clinician here exists: their numbers begin with 20, which the real registry never gives. Shapes and refusals are those of the services.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any

from rcm_lakehouse.demo.codes import BILLABLE_ICD, HEADER_ICD
from rcm_lakehouse.demo.names import FIRST_NAMES, LAST_NAMES, STREETS, TOWNS
from rcm_lakehouse.demo.people import check_digit

Body = dict[str, Any]

TAXONOMIES = (("101XA0001X", "Made-up therapy"), ("207XB0002X", "Made-up surgery"), ("208XC0003X", "Made-up medicine"), ("363XD0004X", "Made-up nursing"))
_FIRST_DAY = date(2008, 3, 3)
_KINDS = 9
_ZIPS = 97


@cache
def npi_of(number: int) -> str:
    """The made-up NPI number `number`, its check digit right: ten digits that begin with 20."""
    stem = f"20{number:07d}"
    return f"{stem}{check_digit(stem)}"


@cache
def clinician(npi: str, *, state: str = "NC") -> Body:
    """A registry entry that depends on its number alone: every ninth is an organisation, every seventh has the shape of older bodies."""
    seed = int(npi[2:9])
    born = _FIRST_DAY + timedelta(days=seed % 4000)
    changed = born + timedelta(days=seed % 900)
    is_old, is_organization = seed % 7 == 0, seed % _KINDS == 0
    factor = 1 if is_old else 1000
    return {
        "number": int(npi) if is_old else npi,
        "enumeration_type": "NPI-2" if is_organization else "NPI-1",
        "created_epoch": _epoch(born, factor) if is_old else str(_epoch(born, factor)),
        "last_updated_epoch": _epoch(changed, factor) if is_old else str(_epoch(changed, factor)),
        "basic": _basic(seed, born, changed, is_old=is_old, is_organization=is_organization),
        "other_names": [],
        "addresses": _addresses(seed, state),
        "taxonomies": _taxonomies(seed, state),
        "identifiers": [],
        "endpoints": [],
        "practiceLocations": [],
    }


def _epoch(day: date, factor: int) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * factor


def _basic(seed: int, born: date, changed: date, *, is_old: bool, is_organization: bool) -> Body:
    is_gone = seed % 10 == 3
    dates = {} if is_old else {"enumeration_date": born.isoformat(), "last_updated": changed.isoformat()}
    gone = {"deactivation_date": changed.isoformat()} if is_gone else {}
    shared = {"status": "D" if is_gone else "A", **dates, **gone}
    last = LAST_NAMES[seed % len(LAST_NAMES)].upper()
    if is_organization:
        return {"name" if is_old else "organization_name": f"{last} MADE-UP CLINIC {seed}", "organizational_subpart": "NO", **shared}
    sex = ("F", "M")[seed % 2]
    first = FIRST_NAMES["Female" if sex == "F" else "Male"][seed % 30].upper()
    return {
        "first_name": first,
        "last_name": last,
        "middle_name": "--",
        "credential": "M.D.",
        "sole_proprietor": "YES",
        "gender" if is_old else "sex": sex,
        **({"name": f"{last} {first}"} if is_old else {}),
        **shared,
    }


def _addresses(seed: int, state: str) -> list[Body]:
    address = {
        "address_type": "DOM",
        "address_1": f"{seed % 900 + 1} {STREETS[seed % len(STREETS)].upper()}",
        "city": TOWNS[seed % len(TOWNS)].upper(),
        "state": state,
        "postal_code": f"{27000 + seed % _ZIPS * 10:05d}{seed % 10000:04d}",
        "country_code": "US",
        "telephone_number": "555-555-0100",
    }
    return [{"address_purpose": "MAILING", **address, "state": "VA", "postal_code": "24000"}, {"address_purpose": "LOCATION", **address}]


def _taxonomies(seed: int, state: str) -> list[Body]:
    code, name = TAXONOMIES[seed % len(TAXONOMIES)]
    first = {"code": code, "desc": name, "state": state, "license": None if seed % 3 else "", "taxonomy_group": ""}
    if seed % 13 == 0:
        return [first]
    other = TAXONOMIES[(seed + 1) % len(TAXONOMIES)]
    return [{"code": other[0], "desc": other[1], "primary": False, "state": state, "license": "X0000", "taxonomy_group": ""}, {**first, "primary": True}]


@dataclass
class Registry:
    """A register of clinicians; `size` of them can be searched, and any valid made-up number can be looked up unless it is in `unknown`."""

    size: int = 60
    overlap: int = 0
    unknown: set[str] = field(default_factory=set)
    changed: dict[str, Body] = field(default_factory=dict)

    def answer(self, params: Mapping[str, str]) -> Body:
        """What the registry answers, in its own shape."""
        problem = _refusal(params)
        if problem:
            return {"Errors": [problem]}
        limit = min(int(params.get("limit", "10")), 200)
        skip = min(int(params.get("skip", "0")), 1000)
        found = [entry for entry in self._candidates(params) if _fits(entry, params)]
        # A register that grows in the middle of a search repeats at the top of a page what ended the page before.
        start = max(0, skip - self.overlap) if skip else 0
        page = found[start : start + limit]
        return {"result_count": len(page), "results": page}

    def entry(self, npi: str) -> Body:
        """The entry of a number, the changed one when there is one."""
        return self.changed.get(npi) or clinician(npi)

    def _candidates(self, params: Mapping[str, str]) -> Iterator[Body]:
        number = params.get("number")
        if number is None:
            yield from (self.entry(npi_of(place)) for place in range(1, self.size + 1))
        elif number.startswith("20") and check_digit(number[:9]) == int(number[9]) and number not in self.unknown:
            yield self.entry(number)


def _refusal(params: Mapping[str, str]) -> Body | None:
    criteria = {name: value for name, value in params.items() if name not in ("version", "limit", "skip", "pretty") and value}
    number = criteria.get("number")
    short = [name for name, value in criteria.items() if value.endswith("*") and len(value) < 3]
    if params.get("version") != "2.1":
        return {"description": "made-up text of the refusal", "field": "version", "number": "17"}
    if not criteria:
        return {"description": "made-up text of the refusal", "field": "", "number": "04"}
    if number is not None and not (len(number) == 10 and number.isdigit()):
        return {"description": f"made-up text that quotes {number}", "field": "number", "number": "06"}
    if short:
        return {"description": "made-up text of the refusal", "field": short[0], "number": "03"}
    alone = {"state": "07", "enumeration_type": "09"}
    if len(criteria) == 1 and next(iter(criteria)) in alone:
        return {"description": "made-up text of the refusal", "field": next(iter(criteria)), "number": alone[next(iter(criteria))]}
    return None


def _fits(entry: Body, params: Mapping[str, str]) -> bool:
    if not all(_matches(wanted, _FIELDS[name](entry)) for name, wanted in params.items() if name in _FIELDS and wanted):
        return False
    of_address = {name: wanted for name, wanted in params.items() if name in _ADDRESS_FIELDS and wanted}
    purpose = params.get("address_purpose")
    addresses = [item for item in entry["addresses"] if purpose in (None, item["address_purpose"])]
    return all(_matches(wanted, [text for item in addresses for text in _ADDRESS_FIELDS[name](item)]) for name, wanted in of_address.items())


def _organization(entry: Body) -> list[str]:
    basic = entry["basic"]
    return [basic.get("organization_name") or (basic.get("name", "") if entry["enumeration_type"] == "NPI-2" else "")]


_FIELDS: dict[str, Callable[[Body], list[str]]] = {
    "enumeration_type": lambda entry: [entry["enumeration_type"]],
    "last_name": lambda entry: [entry["basic"].get("last_name", "")],
    "first_name": lambda entry: [entry["basic"].get("first_name", "")],
    "organization_name": _organization,
    "taxonomy_description": lambda entry: [item["desc"] for item in entry["taxonomies"]],
}
_ADDRESS_FIELDS: dict[str, Callable[[Body], list[str]]] = {
    "state": lambda address: [address["state"]],
    "city": lambda address: [address["city"]],
    "postal_code": lambda address: [address["postal_code"], address["postal_code"][:5]],
    "country_code": lambda address: [address["country_code"]],
}


def _matches(wanted: str, values: Sequence[str]) -> bool:
    text = wanted.upper()
    if text.endswith("*"):
        return any(value.upper().startswith(text[:-1]) for value in values)
    return any(value.upper() == text for value in values)


def default_codes() -> list[tuple[str, str]]:
    """ICD-10-CM codes with made-up descriptions."""
    return [(code, f"Made-up condition {number}") for number, code in enumerate(sorted({*BILLABLE_ICD, *HEADER_ICD}), 1)]


def search_codes(codes: Sequence[tuple[str, str]], params: Mapping[str, str]) -> list[Any]:
    """The array that the code search answers with: total, codes, nothing, [code, name] pairs."""
    prefix = params.get("terms", "").upper()
    found = [(code, name) for code, name in codes if code.startswith(prefix)]
    count = min(int(params.get("count", params.get("maxList", "7"))), 500)
    offset = int(params.get("offset", "0"))
    page = found[offset : offset + count] if offset + count <= 7500 else []
    return [len(found), [code for code, _ in page], None, [[code, name] for code, name in page]]


CLASSIFICATION: dict[str, tuple[str, tuple[str, ...]]] = {
    "": ("release", ("I", "II")),
    "I": ("chapter", ("A00-A09",)),
    "II": ("chapter", ("M50-M54",)),
    "A00-A09": ("block", ("A00", "A01")),
    "A00": ("category", ("A00.0", "A00.9")),
    "A00.0": ("category", ()),
    "A00.9": ("category", ()),
    "A01": ("category", ()),
    "M50-M54": ("block", ("M51",)),
    "M51": ("category", ()),
}
"""Kind and children of each node; the empty code is the release itself."""


def node(code: str, host: str = "http://id.who.int/icd/release/10") -> Body | None:
    """The body of a node of release 2019, None for an unknown code. Its URIs say http, as the service's do."""
    if code not in CLASSIFICATION:
        return None
    kind, children = CLASSIFICATION[code]
    root = f"{host}/2019"
    parents = [parent for parent, (_, below) in CLASSIFICATION.items() if code in below]
    body = {
        "@context": "http://id.who.int/icd/contexts/contextForTopLevel.json",
        "@id": f"{root}/{code}".rstrip("/"),
        "title": {"@language": "en", "@value": f"Made-up {kind} {code}".strip()},
        "child": [f"{root}/{child}" for child in children],
    }
    if code:
        body |= {"code": code, "classKind": kind, "parent": [f"{root}/{parent}".rstrip("/") for parent in parents], "browserUrl": "NA"}
    return body


def versions(code: str, host: str = "http://id.who.int/icd/release/10") -> Body | None:
    """The body of an address without release: where its releases are."""
    if code not in CLASSIFICATION:
        return None
    newest = f"{host}/2019/{code}".rstrip("/")
    return {
        "@context": "http://id.who.int/icd/contexts/contextForMultiVersion.json",
        "@id": f"{host}/{code}".rstrip("/"),
        "title": {"@language": "en", "@value": f"Made-up {code}".strip()},
        "latestRelease": newest,
        "release": [newest],
    }
