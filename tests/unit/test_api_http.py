"""The HTTP client against a real server: what is tried again, how long it waits, what it refuses, and what its errors keep to themselves."""

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import pytest

from api_clients import Waits, client, connection
from rcm_lakehouse.config.errors import ConfigError, RcmError, SourceAuthError, SourceDataError, SourceUnavailableError
from rcm_lakehouse.demo.api_server import NPPES_PATH, ApiServer, FaultKind
from rcm_lakehouse.sources.api_answers import seconds_asked
from rcm_lakehouse.sources.api_http import HttpClient, Pace, StoppedError, UnauthorizedError, is_loopback, pace_of

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)
QUERY = {"number": "2000000017", "version": "2.1"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def ask(http: HttpClient) -> object:
    return http.get(http.connection.base_url, QUERY)


@pytest.mark.parametrize("kind", ["html", "cut", "hang_up"])
def test_F40_an_unusable_answer_is_asked_for_again(server: ApiServer, kind: str) -> None:
    server.misbehave(NPPES_PATH, kind, times=2)  # type: ignore[arg-type]
    waits = Waits()
    assert isinstance(ask(client(server, waits=waits)), dict)
    assert len(server.asked) == 3
    assert len(waits.all) >= 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_F40_a_passing_error_status_is_tried_again_until_it_is_well(server: ApiServer, status: int) -> None:
    server.misbehave(NPPES_PATH, status=status, times=3)
    assert isinstance(ask(client(server)), dict)
    assert len(server.asked) == 4


def test_tries_are_bounded_and_the_error_says_how_many(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=500, times=None)
    with pytest.raises(SourceUnavailableError, match=r"connection 'stub' \(127.0.0.1\): no usable answer after 4 tries, the last one: status 500") as caught:
        ask(client(server))
    assert len(server.asked) == 4
    assert caught.value.can_retry


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, SourceDataError), (404, SourceDataError), (302, SourceDataError), (401, UnauthorizedError), (403, SourceAuthError), (501, SourceUnavailableError)],
)
def test_other_statuses_are_not_tried_again(server: ApiServer, status: int, error: type[RcmError]) -> None:
    server.misbehave(NPPES_PATH, status=status, times=None, headers={"Location": server.url + "/elsewhere"})
    with pytest.raises(error, match="Nothing of this load was committed"):
        ask(client(server))
    assert [asked.path for asked in server.asked] == [NPPES_PATH]


def test_404_is_an_answer_when_the_caller_says_so(server: ApiServer) -> None:
    assert client(server).get(server.url + "/nothing", absent_ok=True) is None


def test_I27_retry_after_seconds_is_waited_for(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=429, headers={"Retry-After": "17"})
    waits = Waits()
    ask(client(server, waits=waits))
    assert 17 <= max(waits.all) <= 18


def test_I27_retry_after_as_a_date_is_waited_for(server: ApiServer) -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=90)
    server.misbehave(NPPES_PATH, status=503, headers={"Retry-After": format_datetime(soon, usegmt=True)})
    waits = Waits()
    ask(client(server, waits=waits))
    assert 60 < max(waits.all) <= 91


def test_a_server_that_wants_a_longer_rest_than_the_cap_is_left_alone(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=429, times=None, headers={"Retry-After": "3600"})
    waits = Waits()
    with pytest.raises(SourceUnavailableError, match="left alone for 3600 s, longer than max_wait_seconds = 120"):
        ask(client(server, waits=waits))
    assert len(server.asked) == 1
    assert waits.all == []


def test_retry_after_is_read_as_seconds_or_date_and_nothing_else() -> None:
    cases = {
        None: None,
        "5": 5.0,
        " 7 ": 7.0,
        "0": 0.0,
        "Mon, 23 Nov 2026 12:00:30 GMT": 30.0,
        "Mon, 23 Nov 2026 11:00:00 GMT": 0.0,
        "soon": None,
        "-3": None,
        "²": None,
        "1.5": None,
        "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT": None,
        "Mon, 23 Nov 2026 12:00:30 +99999999999999999999": None,
    }
    assert {text: seconds_asked(text, NOW) for text in cases} == cases


def test_a_rest_asked_for_until_a_day_that_is_none_is_an_ordinary_wait(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=429, headers={"Retry-After": "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT"})
    assert isinstance(ask(client(server)), dict)


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\uDC00\\uD800"', b'"\xed\xa0\x80"'])
def test_F40_a_text_with_half_a_character_is_refused(server: ApiServer, text: bytes) -> None:
    server.misbehave(NPPES_PATH, status=200, body=b'{"results": [{"name": ' + text + b"}]}", times=None)
    with pytest.raises(SourceDataError, match="half a character"):
        ask(client(server))
    assert len(server.asked) == 1


def test_a_pair_of_halves_is_a_character(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=200, body=b'["\\ud83d\\ude00"]')
    assert ask(client(server)) == ["\U0001f600"]


def test_waits_between_tries_are_random_and_stay_below_the_cap(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=500, times=None)
    waits = Waits()
    with pytest.raises(SourceUnavailableError):
        ask(client(server, waits=waits, attempts=10, first_wait_seconds=1.0, max_wait_seconds=4.0, requests_per_second=1e9))
    between = [seconds for seconds in waits.all if seconds > 1e-6]
    assert len(set(between)) > 4
    assert max(between) <= 4.0


def test_requests_keep_their_distance(server: ApiServer) -> None:
    waits = Waits()
    http = client(server, waits=waits, requests_per_second=2)
    for _ in range(4):
        ask(http)
    assert waits.all == [0.5, 0.5, 0.5]


def test_the_pace_is_one_for_all_loads_of_a_host() -> None:
    assert pace_of("registry.example", 5.0) is pace_of("registry.example", 5.0)
    pace = Pace(4, clock=lambda: 100.0)
    assert [pace.delay() for _ in range(3)] == [0.0, 0.25, 0.5]


def test_a_silent_server_is_given_up_after_the_timeout(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, "slow", times=None)
    with pytest.raises(SourceUnavailableError, match=r"after 1 try, the last one: nothing came for 0.2 s"):
        ask(client(server, attempts=1, timeout_seconds=0.2))


@pytest.mark.parametrize("kind", ["trickle", "trickle_head"])
def test_an_answer_that_trickles_is_given_up_after_the_timeout(server: ApiServer, kind: FaultKind) -> None:
    server.misbehave(NPPES_PATH, kind, times=2)
    http = client(server, attempts=2, timeout_seconds=1)
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=r"after 2 tries, the last one: an answer was not complete after 1 s"):
        ask(http)
    assert 2 <= time.monotonic() - began < 4
    assert isinstance(ask(http), dict), "the next answer comes over a connection of its own"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with ApiServer() as gone:
        http = client(gone, attempts=2)
    with pytest.raises(SourceUnavailableError, match="refused or broke"):
        ask(http)


def test_an_answer_beyond_the_size_cap_is_refused(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, "endless", times=None)
    with pytest.raises(SourceDataError, match="larger than max_response_mb = 1"):
        ask(client(server, max_response_mb=1))
    assert len(server.asked) == 1


def test_a_load_that_needs_too_many_requests_is_refused(server: ApiServer) -> None:
    http = client(server, max_requests=2)
    ask(http)
    ask(http)
    with pytest.raises(SourceDataError, match="max_requests = 2"):
        ask(http)
    assert len(server.asked) == 2


def test_a_run_that_is_to_end_is_not_kept_waiting(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=500, times=None)
    stop = Event()
    stop.set()
    with pytest.raises(StoppedError, match="the run is to end"):
        ask(client(server, stop=stop))
    assert server.asked == []


def test_the_product_names_itself_and_no_netrc_is_read(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password netrc-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(client(server))
    assert server.asked[0].headers["user-agent"].startswith("rcm-lakehouse/")
    assert "authorization" not in server.asked[0].headers


def test_no_proxy_is_asked_for_this_machine(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert isinstance(ask(client(server)), dict)


def test_plain_http_is_for_loopback_alone(server: ApiServer) -> None:
    hosts = {"127.0.0.1": True, "127.9.9.9": True, "::1": True, "localhost": True, "registry.example": False, "127.0.0.1.example": False, None: False}
    assert {host: is_loopback(host) for host in hosts} == hosts
    http = client(server)
    for url in ("http://registry.example/api/", "ftp://127.0.0.1/api/", "file:///etc/hostname", "http://127.0.0.1@registry.example/"):
        with pytest.raises(SourceDataError, match="not https"):
            http.get(url)
    assert server.asked == []


def test_errors_quote_no_parameter_body_or_header(server: ApiServer) -> None:
    server.misbehave(NPPES_PATH, status=400, times=None, body=b"body-with-a-name")
    with pytest.raises(SourceDataError) as caught:
        client(server).get(server.base_url("nppes"), {"last_name": "SECRETNAME"}, {"Authorization": "Bearer tokenvalue"})
    text = str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert [word for word in ("SECRETNAME", "body-with-a-name", "tokenvalue") if word in text] == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run([*command, "-keyout", str(path), "-out", str(path) + ".crt"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with ApiServer(certificate=str(certificate)) as secure:
        with pytest.raises(SourceAuthError, match="certificate is not trusted"):
            ask(client(secure))
        assert secure.asked == []


def test_the_bundle_of_the_connection_is_trusted(certificate: Path) -> None:
    with ApiServer(certificate=str(certificate)) as secure:
        assert isinstance(ask(client(secure, home=certificate.parent, ca_bundle=certificate.name + ".crt")), dict)


def test_a_bundle_that_cannot_be_read_is_a_mistake_of_configuration(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for bundle in ("absent.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=f"ca_bundle {bundle}"):
            HttpClient("stub", connection(server, ca_bundle=bundle), home=tmp_path)
