"""The NPI registry's client: flattening with every known quirk, paging, dividing, and never half."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api_clients import Waits, client
from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import SourceDataError, SourceUnavailableError
from rcm_lakehouse.demo.api_content import clinician, npi_of
from rcm_lakehouse.demo.api_server import NPPES_PATH, ApiServer, Asked
from rcm_lakehouse.sources.api_cache import Spool
from rcm_lakehouse.sources.api_nppes import Nppes, division, record_of

SEARCH = {"state": "NC", "address_purpose": "LOCATION"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def fetched(server: ApiServer, folder: Path, *queries: Mapping[str, str], options: Mapping[str, Any] | None = None, **values: Any) -> list[dict[str, Any]]:
    source = Nppes(client(server, **values), ApiTableOptions(**(options or {})))
    with Spool(folder / "spool.jsonl", "number") as spool:
        source.fetch(queries, spool)
    return [json.loads(line) for line in spool.path.read_text().splitlines()]


def test_numbers_are_looked_up_one_by_one_and_the_unknown_is_a_record(server: ApiServer, tmp_path: Path) -> None:
    known, unknown = npi_of(17), npi_of(18)
    server.registry.unknown.add(unknown)
    rows = fetched(server, tmp_path, {"number": known}, {"number": unknown})
    assert [(row["number"], row["status"], row["_source_file"], row["_source_row"]) for row in rows] == [
        (known, "active", f"number={known}", 1),
        (unknown, "not_found", f"number={unknown}", 2),
    ]
    assert [asked.params["version"] for asked in server.asked] == ["2.1", "2.1"]


def test_pages_are_read_until_a_short_one(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 450
    rows = fetched(server, tmp_path, SEARCH)
    assert {row["number"] for row in rows} == {npi_of(place) for place in range(1, 451)}
    assert [asked.params["skip"] for asked in server.asked] == ["0", "199", "398"], "a page begins with the last row of the one before"
    assert {asked.params["limit"] for asked in server.asked} == {"200"}


def test_a_last_page_that_is_full_is_followed_by_one_with_nothing_new(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 399
    assert len(fetched(server, tmp_path, SEARCH)) == 399
    assert [asked.params["skip"] for asked in server.asked] == ["0", "199", "398"]


def departing(server: ApiServer, monkeypatch: pytest.MonkeyPatch, departures: Mapping[int, int]) -> None:
    """Before a request (the first is 1) a record leaves the search and takes those behind it one place up: request -> place."""
    answer, gone = server.answer, {"state": "VA"}

    def left(asked: Asked) -> tuple[int, object]:
        place = departures.get(len(server.asked))
        if place is not None:
            server.registry.changed[npi_of(place)] = changed(place, addresses=[{**clinician(npi_of(place))["addresses"][1], **gone}])
        return answer(asked)

    monkeypatch.setattr(server, "answer", left)


def test_I26_a_record_that_leaves_while_paging_takes_no_other_with_it(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.registry.size = 450
    departing(server, monkeypatch, {2: 5})
    rows = fetched(server, tmp_path, SEARCH)
    assert {row["number"] for row in rows} == {npi_of(place) for place in range(1, 451) if place != 5}
    assert [asked.params["skip"] for asked in server.asked] == ["0", "199", "0", "199", "398"]


def test_I26_a_search_that_never_rests_is_refused_whole(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.registry.size = 450
    departing(server, monkeypatch, {2: 5, 4: 6, 6: 7})
    with pytest.raises(SourceDataError, match="came or went while its pages were read, 3 times"):
        fetched(server, tmp_path, SEARCH)
    assert (tmp_path / "spool.jsonl").read_text() == ""


def test_I27_a_record_repeated_across_pages_is_kept_once(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size, server.registry.overlap = 450, 3
    source = Nppes(client(server), ApiTableOptions())
    with Spool(tmp_path / "spool.jsonl", "number") as spool:
        source.fetch([SEARCH], spool)
    numbers = [json.loads(line)["number"] for line in spool.path.read_text().splitlines()]
    assert (len(numbers), len(set(numbers)), spool.repeated) == (450, 450, 3)


def test_a_query_past_the_ceiling_is_divided_and_read_whole(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 1500
    rows = fetched(server, tmp_path, {**SEARCH, "country_code": "US"})
    assert {row["number"] for row in rows} == {npi_of(place) for place in range(1, 1501)}
    assert len(rows) == 1500
    assert max(int(asked.params["skip"]) for asked in server.asked) == 995
    assert any(asked.params.get("postal_code", "").endswith("*") for asked in server.asked)
    assert {row["_source_file"] for row in rows} == {"address_purpose=LOCATION&country_code=US&state=NC"}


def changed(place: int, **values: object) -> dict[str, Any]:
    entry = clinician(npi_of(place))
    return {**entry, **values, "basic": {**entry["basic"], **(values.get("basic") or {})}}  # type: ignore[dict-item]


def abroad(**values: str) -> dict[str, Any]:
    return {"addresses": [{"address_purpose": "LOCATION", "state": "NC", "city": "FARAWAY", "postal_code": "K1A0B1", "country_code": "CA", **values}]}


def test_rows_with_foreign_postal_codes_beyond_the_first_1200_are_never_lost_in_silence(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 1400
    far = [place for place in range(1361, 1401) if place % 9]
    server.registry.changed = {npi_of(place): changed(place, **abroad()) for place in far}
    assert len([place for place in range(1, far[0]) if place % 9]) > 1200, "none of them is among the first rows of their kind"
    with pytest.raises(SourceDataError, match=r"no parts that are sure to hold all of them\. .* Add country_code: US") as caught:
        fetched(server, tmp_path, SEARCH)
    assert "address_purpose=LOCATION&enumeration_type=NPI-1&state=NC" in str(caught.value)
    # Asked for by their country, they are a query of their own, and the rest can be divided.
    rows = fetched(server, tmp_path, *({**SEARCH, "country_code": country} for country in ("US", "CA")))
    assert {row["number"] for row in rows} == {npi_of(place) for place in range(1, 1401)}


HARD_NAMES = ["A PLUS CARE", "A&M CLINIC", "A. CARE", "A,B CARE", "A/B CARE", "#1 CARE", "A+ CARE", "\u00c9TOILE CARE"]


def test_organisations_whose_names_go_on_with_any_character_are_never_lost_in_silence(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 1400
    address = {"address_purpose": "LOCATION", "state": "TX", "postal_code": "77030", "country_code": "US"}
    names = {place: f"CLINIC {place}" if place <= 1300 else f"{HARD_NAMES[place % 8]} {place}" for place in range(1, 1401)}
    server.registry.changed = {
        npi_of(place): changed(place, enumeration_type="NPI-2", basic={"organization_name": name}, addresses=[address]) for place, name in names.items()
    }
    for query in ({"postal_code": "77030"}, {"postal_code": "77030", "country_code": "US"}, {"state": "TX", "country_code": "US"}):
        with pytest.raises(SourceDataError, match="no parts that are sure to hold all of them") as caught:
            fetched(server, tmp_path, query)
        assert "CARE" not in str(caught.value)


def test_a_query_that_cannot_be_divided_is_refused_whole_and_its_names_are_not_told(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 1300
    server.registry.changed = {npi_of(place): changed(place, enumeration_type="NPI-1", basic={"last_name": "SAME"}) for place in range(1, 1301)}
    with pytest.raises(SourceDataError, match=r"enumeration_type=NPI-1&last_name=\.\.\.&state=NC reaches the registry's ceiling of 1,200 rows") as caught:
        fetched(server, tmp_path, {"enumeration_type": "NPI-1", "state": "NC", "last_name": "SAME"})
    assert "SAME" not in str(caught.value)


def test_a_row_that_the_whole_query_gives_and_no_part_of_it_is_an_error(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 1400
    server.registry.changed = {npi_of(20): changed(20, **abroad(country_code="US", postal_code=""))}
    with pytest.raises(SourceDataError, match=r"1 of the rows that the query .* gives are in none of its parts"):
        fetched(server, tmp_path, {**SEARCH, "country_code": "US"})


DIVISIONS: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "the kind first": ({"state": "NC"}, "enumeration_type", ["NPI-1", "NPI-2"]),
    "then two digits": ({"enumeration_type": "NPI-1", "country_code": "US"}, "postal_code", [f"{number:02d}*" for number in range(100)]),
    "then one more": ({"enumeration_type": "NPI-2", "country_code": "us", "postal_code": "2880*"}, "postal_code", [f"2880{digit}*" for digit in range(10)]),
    "not abroad, where postal codes have letters": ({"enumeration_type": "NPI-1", "country_code": "CA"}, "postal_code", []),
    "nor where the country is open": ({"enumeration_type": "NPI-1", "state": "NC"}, "postal_code", []),
    "nor beyond five digits": ({"enumeration_type": "NPI-1", "country_code": "US", "postal_code": "28801*"}, "postal_code", []),
    "nor one postal code": ({"enumeration_type": "NPI-1", "country_code": "US", "postal_code": "28801"}, "postal_code", []),
    "nor a start with a letter": ({"enumeration_type": "NPI-1", "country_code": "US", "postal_code": "K1*"}, "postal_code", []),
}


def test_a_query_is_divided_by_closed_sets_of_values_alone() -> None:
    found = {case: division(query) for case, (query, _, _) in DIVISIONS.items()}
    assert found == {case: [{**query, field: value} for value in values] for case, (query, field, values) in DIVISIONS.items()}


def test_refusals_of_the_registry_are_told_by_number_without_their_text_and_not_repeated(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(SourceDataError, match=r"number: error 06") as caught:
        fetched(server, tmp_path, {"number": "12"})
    assert "quotes" not in str(caught.value)
    assert len(server.asked) == 1


def test_I26_page_3_fails_twice_and_then_all_is_read(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 650
    server.misbehave(NPPES_PATH, status=500, after=2, times=2)
    waits = Waits()
    assert len(fetched(server, tmp_path, SEARCH, waits=waits)) == 650
    assert [asked.params["skip"] for asked in server.asked] == ["0", "199", "398", "398", "398", "597"]


def test_I26_page_3_fails_for_ever_and_the_fetch_fails(server: ApiServer, tmp_path: Path) -> None:
    server.registry.size = 650
    server.misbehave(NPPES_PATH, status=500, after=2, times=None)
    with pytest.raises(SourceUnavailableError):
        fetched(server, tmp_path, SEARCH)


OTHER_SHAPES = [b"[]", b"{}", b'{"result_count":1,"results":{}}', b'{"result_count":1,"results":["x"]}', b'{"result_count":2,"results":[{}]}']


@pytest.mark.parametrize("body", OTHER_SHAPES)
def test_an_answer_of_another_shape_is_refused(server: ApiServer, tmp_path: Path, body: bytes) -> None:
    server.misbehave(NPPES_PATH, status=200, body=body)
    with pytest.raises(SourceDataError, match="an answer"):
        fetched(server, tmp_path, {"number": npi_of(1)})
    assert len(server.asked) == 1


WRONG = {
    "without basic": {"number": npi_of(1)},
    "basic that is none": {"number": npi_of(1), "basic": None},
    "without number": {"basic": {"status": "A"}},
    "a number that is none": {"number": "12", "basic": {"status": "A"}},
    "another number": {"number": npi_of(2), "basic": {"status": "A"}},
}


@pytest.mark.parametrize("result", WRONG.values(), ids=WRONG.keys())
def test_a_look_up_whose_answer_cannot_be_right_says_nothing_of_the_number(server: ApiServer, tmp_path: Path, result: dict[str, Any]) -> None:
    server.misbehave(NPPES_PATH, status=200, body=json.dumps({"result_count": 1, "results": [result]}).encode())
    with pytest.raises(SourceDataError, match=r"without `number` or `basic`|is answered with another one"):
        fetched(server, tmp_path, {"number": npi_of(1)})


def test_the_stub_has_every_quirk_it_is_there_for() -> None:
    entries = [clinician(npi_of(place)) for place in range(1, 200)]
    assert {type(entry["number"]) for entry in entries} == {int, str}
    assert {entry["enumeration_type"] for entry in entries} == {"NPI-1", "NPI-2"}
    assert {record_of(entry)["status"] for entry in entries} == {"active", "inactive"}
    assert all(record_of(entry)["primary_taxonomy_code"] and record_of(entry)["last_updated"] for entry in entries)
