"""ICD-10-CM from the code search: pages, prefixes, and codes that move while they are read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from api_clients import client
from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.demo.api_content import default_codes
from rcm_lakehouse.demo.api_server import NLM_PATH, ApiServer, Asked
from rcm_lakehouse.sources.api_cache import Spool
from rcm_lakehouse.sources.api_icd10cm import Icd10Cm, longer_prefixes


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def codes(server: ApiServer, folder: Path, *queries: Mapping[str, str], page_size: int = 500, **values: Any) -> list[dict[str, Any]]:
    source = Icd10Cm(client(server, "nlm_icd10cm", **values), ApiTableOptions(page_size=page_size))
    with Spool(folder / "spool.jsonl", "code") as spool:
        source.fetch(queries, spool)
    return [json.loads(line) for line in spool.path.read_text().splitlines()]


def test_a_prefix_gives_its_codes_in_pages(server: ApiServer, tmp_path: Path) -> None:
    rows = codes(server, tmp_path, {"terms": "m"}, page_size=2)
    assert {(row["code"], row["name"]) for row in rows} == {pair for pair in default_codes() if pair[0].startswith("M")}
    assert [asked.params["offset"] for asked in server.asked] == ["0", "1", "2"]
    assert {(asked.params["sf"], asked.params["df"], asked.params["terms"]) for asked in server.asked} == {("code", "code,name", "M")}


def test_a_page_is_never_larger_than_the_service_allows(server: ApiServer, tmp_path: Path) -> None:
    codes(server, tmp_path, {"terms": "E11"}, page_size=9999)
    assert server.asked[0].params["count"] == "500"


def test_prefixes_that_meet_give_a_code_once(server: ApiServer, tmp_path: Path) -> None:
    rows = codes(server, tmp_path, {"terms": "E11"}, {"terms": "E1"})
    assert sorted(row["code"] for row in rows) == sorted(code for code, _ in default_codes() if code.startswith("E1"))


def test_a_prefix_past_the_ceiling_is_divided(server: ApiServer, tmp_path: Path) -> None:
    server.codes = [(f"S{part:02d}.{rest:03d}A", f"Made-up injury {part} {rest}") for part in range(20) for rest in range(400)]
    rows = codes(server, tmp_path, {"terms": "S"})
    assert {row["code"] for row in rows} == {code for code, _ in server.codes}
    assert len(rows) == 8000
    assert {asked.params["terms"] for asked in server.asked} == {"S", *(f"S{digit}" for digit in range(10))}


def test_a_prefix_that_reaches_the_ceiling_is_read_in_pages_to_its_last_code(server: ApiServer, tmp_path: Path) -> None:
    server.codes = [(f"S{place // 1000:02d}.{place % 1000:03d}A", f"Made-up injury {place}") for place in range(7500)]
    assert [row["code"] for row in codes(server, tmp_path, {"terms": "S"})] == [code for code, _ in server.codes]
    assert [(asked.params["offset"], asked.params["count"]) for asked in server.asked][-2:] == [("6986", "500"), ("7485", "15")]


def test_longer_prefixes_follow_the_form_of_a_code() -> None:
    assert {prefix: (longer_prefixes(prefix)[0], longer_prefixes(prefix)[-1], len(longer_prefixes(prefix))) for prefix in ("", "S", "S7", "S72", "S72.0")} == {
        "": ("A", "Z", 26),
        "S": ("S0", "S9", 10),
        "S7": ("S70", "S7Z", 36),
        "S72": ("S72.0", "S72.Z", 36),
        "S72.0": ("S72.00", "S72.0Z", 36),
    }
    assert longer_prefixes("S72.001A") == []


def test_pages_that_do_not_add_up_to_the_total_are_refused(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(NLM_PATH, status=200, body=json.dumps([3, ["A00"], None, [["A00", "x"]]]).encode(), times=None)
    with pytest.raises(SourceDataError, match="1 different codes where the service counts 3, 3 times"):
        codes(server, tmp_path, {"terms": "A"})


def moving(server: ApiServer, monkeypatch: pytest.MonkeyPatch, editions: Sequence[Sequence[tuple[str, str]]]) -> None:
    """Each search finds the next of the editions; the last one stays."""
    left = list(editions)
    answer = server.answer

    def moved(asked: Asked) -> tuple[int, object]:
        server.codes = list(left.pop(0) if len(left) > 1 else left[0])
        return answer(asked)

    monkeypatch.setattr(server, "answer", moved)


MANY = [(f"E{place // 10:02d}.{place % 10}", f"Made-up condition {place}") for place in range(900)]
AGAIN = ["0", "499", "0", "499"]
CHANGES = {  # editions that the first searches find, and the offsets asked for until all is read
    "codes come after page 1": ([MANY[:600], MANY], AGAIN),
    "codes go after page 1": ([MANY, MANY[1:]], AGAIN),
    "codes come twice": ([MANY[:600], *[MANY[:700]] * 2, MANY], [*AGAIN, "0", "499"]),
    "one goes and one comes": ([MANY[:899], MANY[1:]], AGAIN),
    "all of page 2 goes": ([MANY, MANY[:100]], ["0", "499", "0"]),
    "nothing moves": ([MANY], ["0", "499"]),
}


def test_I26_codes_that_move_while_paging_begin_the_query_again_and_nothing_of_the_first_try_is_kept(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case, (editions, offsets) in CHANGES.items():
        server.asked.clear()
        moving(server, monkeypatch, editions)
        rows = codes(server, tmp_path, {"terms": "E"})
        assert [(row["code"], row["name"]) for row in rows] == editions[-1], case
        assert [asked.params["offset"] for asked in server.asked] == offsets, case
        monkeypatch.undo()


@pytest.mark.parametrize("step", [1, -1])
def test_I26_a_total_that_never_rests_is_refused_whole(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    moving(server, monkeypatch, [MANY[: 700 + step * place] for place in range(20)])
    with pytest.raises(SourceDataError, match="came or went while it was read, 3 times"):
        codes(server, tmp_path, {"terms": "E"})
    assert [asked.params["offset"] for asked in server.asked] == ["0", "499"] * 3
    assert (tmp_path / "spool.jsonl").read_text() == ""


def test_I26_a_total_past_the_ceiling_is_asked_for_again_when_its_parts_are_read(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    injuries = [(f"S{part:02d}.{rest:03d}A", f"Made-up injury {part} {rest}") for part in range(20) for rest in range(400)]
    # A code comes when the part it belongs to was read.
    moving(server, monkeypatch, [*[injuries[1:]] * 10, injuries])
    rows = codes(server, tmp_path, {"terms": "S"})
    assert sorted(row["code"] for row in rows) == [code for code, _ in injuries]
    assert [asked.params["terms"] for asked in server.asked].count("S") == 4


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'["1",[],null,[]]', b"[true,[],null,[]]", b'[1,["A"],null,[["A"]]]', b'[1,["A"],null,[["A",1]]]'])
def test_an_array_of_another_shape_is_refused(server: ApiServer, tmp_path: Path, body: bytes) -> None:
    server.misbehave(NLM_PATH, status=200, body=body)
    with pytest.raises(SourceDataError, match="answer"):
        codes(server, tmp_path, {"terms": "A"})


@pytest.mark.parametrize("rows", [[["M51.0", "Made-up"]], [["", "Made-up"]]])
def test_I26_a_prefix_that_is_answered_with_other_codes_is_refused(server: ApiServer, tmp_path: Path, rows: list[list[str]]) -> None:
    body = [len(rows), [code for code, _ in rows], None, rows]
    server.misbehave(NLM_PATH, status=200, body=json.dumps(body).encode(), times=None)
    with pytest.raises(SourceDataError, match=r"none of the codes that a prefix is answered with begins with it|is not \[code, name\]"):
        codes(server, tmp_path, {"terms": "A"})
