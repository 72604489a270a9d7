"""The WHO classification: tokens, and a walk that is whole or refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from api_clients import client, serving
from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import ConfigError, RcmError, SourceAuthError, SourceDataError, SourceUnavailableError
from rcm_lakehouse.demo import api_content, api_server
from rcm_lakehouse.demo.api_content import CLASSIFICATION
from rcm_lakehouse.demo.api_server import CLIENT_SECRET, TOKEN_PATH, WHO_PATH, ApiServer
from rcm_lakehouse.sources import api_who
from rcm_lakehouse.sources.api import fetch_whole
from rcm_lakehouse.sources.api_cache import Query, Spool
from rcm_lakehouse.sources.api_who import WhoIcd


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    yield from serving(monkeypatch)


def nodes(server: ApiServer, folder: Path, *queries: Mapping[str, str], **values: Any) -> tuple[list[dict[str, Any]], list[str]]:
    source = WhoIcd(client(server, "who_icd", home=folder, **values), ApiTableOptions(), folder)
    with Spool(folder / "spool.jsonl", "uri") as spool:
        source.fetch(queries, spool)
    return [json.loads(line) for line in spool.path.read_text().splitlines()], source.notes


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
