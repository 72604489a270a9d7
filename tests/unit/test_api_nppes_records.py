"""Records of the registry: check digits, and one flat shape for every body."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rcm_lakehouse.demo.api_content import npi_of
from rcm_lakehouse.sources.api_nppes import is_valid_npi, record_of


def test_R06_check_digits_are_judged_with_the_prefix_80840() -> None:
    wrong = ("1234567890", "0123456789", "123456789", "12345678930", "3234567891", "", "12345678\uff193", "1234567893\n")
    assert [text for text in ("1234567893", *wrong) if is_valid_npi(text)] == ["1234567893"]
    assert all(is_valid_npi(npi_of(place)) for place in range(200))


@given(st.from_regex(r"[12][0-9]{8}", fullmatch=True))
def test_R06_one_digit_in_ten_fits_every_stem(stem: str) -> None:
    assert sum(is_valid_npi(f"{stem}{digit}") for digit in range(10)) == 1


TODAY: dict[str, Any] = {
    "number": "1999999000",
    "enumeration_type": "NPI-1",
    "created_epoch": "1301961600000",
    "last_updated_epoch": "1525737600000",
    "basic": {
        "first_name": "JANE",
        "last_name": "DOE",
        "credential": "M.D.",
        "sex": "F",
        "status": "A",
        "enumeration_date": "2011-04-05",
        "last_updated": "2018-05-08",
    },
    "addresses": [
        {"address_purpose": "MAILING", "state": "VA", "postal_code": "24000"},
        {"address_purpose": "LOCATION", "state": "NC", "postal_code": "288014811"},
    ],
    "taxonomies": [
        {"code": "111", "desc": "Other", "primary": False},
        {"code": "207X00000X", "desc": "Made-up", "primary": True, "license": None, "state": ""},
    ],
}


def test_a_record_of_today_is_flattened() -> None:
    record = record_of(TODAY)
    assert json.loads(record["record"] or "") == TODAY
    assert {name: value for name, value in record.items() if value is not None and name != "record"} == {
        "number": "1999999000",
        "entity_type": "NPI-1",
        "status": "active",
        "first_name": "JANE",
        "last_name": "DOE",
        "credential": "M.D.",
        "sex": "F",
        "primary_taxonomy_code": "207X00000X",
        "primary_taxonomy_desc": "Made-up",
        "state": "NC",
        "postal_code": "288014811",
        "enumeration_date": "2011-04-05",
        "last_updated": "2018-05-08",
    }


QUIRKS: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {
    "integer number": ({"number": 1999999000}, {"number": "1999999000"}),
    "epochs in seconds": ({"created_epoch": 1301961600, "last_updated_epoch": 1525737600}, {"enumeration_date": "2011-04-05", "last_updated": "2018-05-08"}),
    "epochs in milliseconds": ({"created_epoch": "1301961600000"}, {"enumeration_date": "2011-04-05"}),
    "an epoch that is no number": ({"created_epoch": "soon"}, {"enumeration_date": None}),
    "gender for sex": ({"basic": {"gender": "M"}}, {"sex": "M"}),
    "two hyphens mean empty": ({"basic": {"middle_name": "--", "first_name": " -- "}}, {"middle_name": None, "first_name": None}),
    "an organisation": ({"enumeration_type": "NPI-2", "basic": {"organization_name": "CLINIC"}}, {"organization_name": "CLINIC", "entity_type": "NPI-2"}),
    "an old organisation has a name": ({"enumeration_type": "NPI-2", "basic": {"name": "OLD CLINIC"}}, {"organization_name": "OLD CLINIC"}),
    "an old person has a name too": ({"enumeration_type": "NPI-1", "basic": {"name": "DOE JANE"}}, {"organization_name": None}),
    "no kind, but an organisation's name": ({"basic": {"organization_name": "CLINIC"}}, {"entity_type": "NPI-2"}),
    "deactivated": ({"basic": {"status": "D", "deactivation_date": "2020-01-01"}}, {"status": "inactive", "deactivation_date": "2020-01-01"}),
    "without status": ({"basic": {}}, {"status": "inactive"}),
    "no primary among several": ({"taxonomies": [{"code": "1"}, {"code": "2"}]}, {"primary_taxonomy_code": None}),
    "one taxonomy, not marked": ({"taxonomies": [{"code": "1"}]}, {"primary_taxonomy_code": "1"}),
    "no taxonomy": ({"taxonomies": []}, {"primary_taxonomy_code": None}),
    "only a mailing address": ({"addresses": [{"address_purpose": "MAILING", "state": "VA"}]}, {"state": "VA"}),
    "lists that are none": ({"addresses": None, "taxonomies": "x", "basic": []}, {"state": None, "primary_taxonomy_code": None, "status": "inactive"}),
}


def test_quirks_of_older_bodies_give_the_same_shape() -> None:
    found = {case: {name: record_of(body)[name] for name in wanted} for case, (body, wanted) in QUIRKS.items()}
    assert found == {case: wanted for case, (_, wanted) in QUIRKS.items()}


NAMES = ["basic", "taxonomies", "addresses", "number", "created_epoch", "status", "primary", "code", "enumeration_type"]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
BODIES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), max_leaves=12)


@given(BODIES)
def test_no_body_breaks_the_flattening(body: object) -> None:
    record = record_of(body if isinstance(body, dict) else {"basic": body})
    assert all(value is None or isinstance(value, str) for value in record.values())
