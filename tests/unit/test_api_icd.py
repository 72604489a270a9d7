"""ICD-10-CM from the code search, and the WHO classification: pages, prefixes, tokens, and a walk that is whole or refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from api_clients import client, credentials
from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import ConfigError, RcmError, SourceAuthError, SourceDataError, SourceUnavailableError
from rcm_lakehouse.demo import api_content, api_server
from rcm_lakehouse.demo.api_content import CLASSIFICATION, default_codes
from rcm_lakehouse.demo.api_server import CLIENT_SECRET, NLM_PATH, TOKEN_PATH, WHO_PATH, ApiServer, Asked
from rcm_lakehouse.sources import api_who
from rcm_lakehouse.sources.api import fetch_whole
from rcm_lakehouse.sources.api_cache import Query, Spool
from rcm_lakehouse.sources.api_icd10cm import Icd10Cm, longer_prefixes
from rcm_lakehouse.sources.api_who import WhoIcd


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    for name, value in credentials().items():
        monkeypatch.setenv(name, value)
    with ApiServer() as running:
        yield running


def codes(server: ApiServer, folder: Path, *queries: Mapping[str, str], page_size: int = 500, **values: Any) -> list[dict[str, Any]]:
    source = Icd10Cm(client(server, "nlm_icd10cm", **values), ApiTableOptions(page_size=page_size))
    with Spool(folder / "spool.jsonl", "code") as spool:
        source.fetch(queries, spool)
    return [json.loads(line) for line in spool.path.read_text().splitlines()]


def nodes(server: ApiServer, folder: Path, *queries: Mapping[str, str], **values: Any) -> tuple[list[dict[str, Any]], list[str]]:
    source = WhoIcd(client(server, "who_icd", home=folder, **values), ApiTableOptions(), folder)
    with Spool(folder / "spool.jsonl", "uri") as spool:
        source.fetch(queries, spool)
    return [json.loads(line) for line in spool.path.read_text().splitlines()], source.notes


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


def test_the_release_is_walked_breadth_first(server: ApiServer, tmp_path: Path) -> None:
    rows, notes = nodes(server, tmp_path, {})
    assert [row["code"] for row in rows] == ["I", "II", "A00-A09", "M50-M54", "A00", "A01", "M51", "A00.0", "A00.9"]
    assert {row["release"] for row in rows} == {"2019"}
    assert {row["code"]: row.get("parent_code") for row in rows if row["code"] in ("I", "A00", "A00.9")} == {"I": None, "A00": "A00-A09", "A00.9": "A00"}
    assert rows[0]["title"] == "Made-up chapter I"
    assert notes == []
    walk = [asked for asked in server.asked if asked.path.startswith(WHO_PATH)]
    assert {asked.headers["api-version"] for asked in walk} == {"v2"}
    assert len(walk) == len(CLASSIFICATION)


def test_a_token_is_asked_for_once_and_its_secret_travels_in_the_form_alone(server: ApiServer, tmp_path: Path) -> None:
    nodes(server, tmp_path, {"code": "A00"})
    tokens = [asked for asked in server.asked if asked.path == TOKEN_PATH]
    assert [(asked.method, asked.form["grant_type"], asked.form["scope"]) for asked in tokens] == [("POST", "client_credentials", "icdapi_access")]
    others = str([asked for asked in server.asked if asked.path != TOKEN_PATH])
    assert CLIENT_SECRET not in others


def test_a_token_is_renewed_before_it_ends(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(api_who.time, "monotonic", lambda: now[0])
    token = api_who.Token(client(server, "who_icd", home=tmp_path), tmp_path)
    first = token.header()
    now[0] += api_server.TOKEN_SECONDS - 61
    assert token.header() == first
    now[0] += 2
    assert token.header() != first


def test_a_withdrawn_token_is_renewed_once(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(WHO_PATH, status=401, after=2)
    rows, _ = nodes(server, tmp_path, {})
    assert len(rows) == len(CLASSIFICATION) - 1
    assert sum(asked.path == TOKEN_PATH for asked in server.asked) == 2


def test_a_token_that_is_never_accepted_is_an_auth_error(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(WHO_PATH, status=401, times=None)
    with pytest.raises(SourceAuthError, match="401"):
        nodes(server, tmp_path, {})
    assert [asked.path for asked in server.asked] == [TOKEN_PATH, f"{WHO_PATH}/2019", TOKEN_PATH, f"{WHO_PATH}/2019"]


def test_a_wrong_secret_is_told_without_showing_it(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECRET", "wrong-secret-value")
    with pytest.raises(SourceAuthError, match="does not accept client_id and client_secret") as caught:
        nodes(server, tmp_path, {})
    assert "wrong-secret-value" not in str(caught.value)
    monkeypatch.delenv("STUB_SECRET")
    with pytest.raises(ConfigError, match="env:STUB_SECRET"):
        nodes(server, tmp_path, {})


# case: (what the service is told to do, options of the connection, the error, words of it)
TOKEN_REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], type[RcmError], str]] = {
    "status 400": ({"status": 400}, {}, SourceAuthError, "does not accept client_id and client_secret"),
    "status 401": ({"status": 401}, {}, SourceAuthError, "does not accept client_id and client_secret"),
    "status 403": ({"status": 403}, {}, SourceAuthError, "does not accept client_id and client_secret"),
    "a redirect": ({"status": 302}, {}, SourceDataError, "answers elsewhere"),
    "an address that is none": ({"status": 404}, {}, SourceDataError, "status 404"),
    "too large a body": ({"kind": "endless"}, {"max_response_mb": 1}, SourceDataError, "larger than max_response_mb = 1"),
    "too many requests": ({"status": 500}, {"max_requests": 1}, SourceDataError, "needs more than max_requests = 1"),
}


def test_only_a_status_that_denies_the_credentials_is_told_as_wrong_secrets(server: ApiServer, tmp_path: Path) -> None:
    for case, (doing, options, kind, words) in TOKEN_REFUSALS.items():
        server.faults.clear()
        server.asked.clear()
        server.misbehave(TOKEN_PATH, times=None, **doing)
        with pytest.raises(kind, match=words) as caught:
            nodes(server, tmp_path, {}, **options)
        assert [asked.path for asked in server.asked] == [TOKEN_PATH], case
        told = {text: text in str(caught.value) for text in ("secrets they refer to", "the token service that was asked, at token_url")}
        assert list(told.values()) == [kind is SourceAuthError, kind is SourceDataError], case


def test_an_answer_without_a_token_is_refused(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(TOKEN_PATH, status=200, body=b'{"token_type":"Bearer"}')
    with pytest.raises(SourceDataError, match="without a token"):
        nodes(server, tmp_path, {})


def test_a_token_that_no_header_can_carry_is_refused(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(TOKEN_PATH, status=200, body='{"access_token":"t\u0142"}'.encode())
    with pytest.raises(SourceDataError, match="without a token"):
        nodes(server, tmp_path, {})
    assert [asked.path for asked in server.asked] == [TOKEN_PATH]


@pytest.mark.parametrize("seconds", ["1" + "0" * 400, "Infinity", "NaN", "-5", '"soon"'])
def test_a_token_with_a_life_that_cannot_be_is_used_for_a_while(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    now = [1000.0]
    monkeypatch.setattr(api_who.time, "monotonic", lambda: now[0])
    server.misbehave(TOKEN_PATH, status=200, body=b'{"access_token":"short", "expires_in": ' + seconds.encode() + b"}")
    token = api_who.Token(client(server, "who_icd", home=tmp_path), tmp_path)
    assert token.header() == {"Authorization": "Bearer short"}
    now[0] += 301
    assert token.header() != {"Authorization": "Bearer short"}


def test_an_unknown_start_code_is_noted_and_the_others_are_walked(server: ApiServer, tmp_path: Path) -> None:
    rows, notes = nodes(server, tmp_path, {"code": "Z99"}, {"code": "A00"})
    assert [row["code"] for row in rows] == ["A00", "A00.0", "A00.9"]
    assert notes == ["code=Z99: the classification does not know this code"]


def test_a_start_code_cannot_leave_its_path(server: ApiServer, tmp_path: Path) -> None:
    nodes(server, tmp_path, {"code": "../../secret?x=1"})
    assert {asked.path for asked in server.asked} <= {TOKEN_PATH, f"{WHO_PATH}/2019/..%2F..%2Fsecret%3Fx%3D1"}


def test_a_code_that_its_parent_names_must_be_there(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(WHO_PATH, status=404, after=3)
    with pytest.raises(SourceDataError, match="a code that its parent names is not there"):
        nodes(server, tmp_path, {})


NO_NODES = [{}, {"message": "API rate limit exceeded"}, {"code": None, "child": None}, {"code": "I", "title": {"@value": "Made-up"}}, api_content.node("II")]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("body", NO_NODES)
def test_I26_a_body_that_is_no_node_or_another_ones_is_refused(server: ApiServer, tmp_path: Path, body: object, after: int) -> None:
    server.misbehave(WHO_PATH, status=200, body=json.dumps(body).encode(), after=after)
    with pytest.raises(SourceDataError, match=r"an answer is (no node of the classification|of another code than the one that was asked for)"):
        nodes(server, tmp_path, {})


def test_an_address_without_release_leads_to_the_newest(server: ApiServer, tmp_path: Path) -> None:
    rows, _ = nodes(server, tmp_path, {"code": "M51"}, base_url=server.url + WHO_PATH)
    assert [(row["code"], row["release"]) for row in rows] == [("M51", "2019")]


@pytest.mark.parametrize(
    "uri", ["http://elsewhere.example/icd/release/10/2019/A00", "http://id.who.int/icd/../secret", "http://id.who.int/a?b=c", "http://[bad", 7, None]
)
def test_an_address_of_another_host_is_never_called(server: ApiServer, tmp_path: Path, uri: object) -> None:
    server.misbehave(WHO_PATH, status=200, body=json.dumps({"code": "I", "child": [uri]}).encode())
    with pytest.raises(SourceDataError, match="an answer names an address"):
        nodes(server, tmp_path, {})
    assert [asked.path for asked in server.asked] == [TOKEN_PATH, f"{WHO_PATH}/2019"]


@pytest.mark.parametrize("error", [ValueError("no such day"), OverflowError("too large"), "\ud800".encode])
def test_F40_an_answer_that_no_check_foresaw_is_refused_and_its_text_is_not_told(server: ApiServer, tmp_path: Path, error: Any) -> None:
    class Stumbling:
        notes: list[str] = []

        def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
            if isinstance(error, Exception):
                raise error
            error()

    with Spool(tmp_path / "spool.jsonl", "uri") as spool, pytest.raises(SourceDataError, match=r"cannot be read \(\w+Error at ") as caught:
        fetch_whole(client(server, "who_icd", home=tmp_path), Stumbling(), [{}], spool)
    assert "Nothing of this load was committed" in str(caught.value)
    assert not [text for text in ("no such day", "too large", "surrogates") if text in str(caught.value)]


def test_a_walk_that_breaks_off_is_an_error(server: ApiServer, tmp_path: Path) -> None:
    server.misbehave(WHO_PATH, "hang_up", after=4, times=None)
    with pytest.raises(SourceUnavailableError):
        nodes(server, tmp_path, {})
