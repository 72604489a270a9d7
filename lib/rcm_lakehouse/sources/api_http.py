"""One polite HTTP client: verified TLS, a rate limit, bounded retries, Retry-After, and answers that are whole or refused.

An error names the connection and its host; never a parameter, a body, a header or a secret.
"""

import ipaddress
import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from threading import Event, Lock
from urllib.parse import urlsplit

import requests
from requests import exceptions as failures
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from rcm_lakehouse import __version__
from rcm_lakehouse.config.connections import ApiConnection
from rcm_lakehouse.config.errors import ConfigError, RcmError, SourceAuthError, SourceDataError, SourceUnavailableError
from rcm_lakehouse.sources.api_answers import has_half_characters, seconds_asked
from rcm_lakehouse.sources.api_deadline import CuttableAdapter

USER_AGENT = f"rcm-lakehouse/{__version__}"
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
# What a token service answers to a wrong id or secret.
_DENIED = frozenset({400, 401, 403})
_CHUNK = 1 << 16
# A server that says nothing is told by the socket's own timeout, which must come first.
_GRACE_SECONDS = 0.1
_KEPT = "Nothing of this load was committed; silver keeps its last good version."


class StoppedError(RcmError):
    """The run is to end: a fetch was given up between two requests, and nothing of it was committed."""

    kind = "transient"


class UnauthorizedError(SourceAuthError):
    """Status 401: the token or key is not accepted (any more)."""


class _AgainError(Exception):
    """A try that may be repeated; `retry_after` are the seconds the server asked for, None when it did not."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Pace:
    """Slots for requests, evenly apart, shared by all threads that talk to a host."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1 / per_second
        self._clock = clock
        self._next = 0.0
        self._lock = Lock()

    def delay(self) -> float:
        """Book the next free slot; returns the seconds until it."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next)
            self._next = slot + self._gap
            return slot - now


@cache
def pace_of(host: str, per_second: float) -> Pace:
    """The one pace of this process towards a host."""
    return Pace(per_second)


def is_loopback(host: str | None) -> bool:
    """True for an address or name of this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class HttpClient:
    """JSON over HTTP for one connection; `stop` ends a long fetch between two requests.

    Every method raises SourceUnavailableError (tries used up), SourceAuthError (credentials or certificate refused), SourceDataError
    (any other refusal, or an answer that cannot be used) or StoppedError; nothing was committed then.
    """

    def __init__(
        self,
        name: str,
        connection: ApiConnection,
        *,
        home: Path,
        stop: Event | None = None,
        pace: Pace | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.connection = connection
        self.host = urlsplit(connection.base_url).hostname or ""
        self.requests = 0
        self._asked = self.host
        self._stop = stop or Event()
        self._pace = pace or pace_of(self.host, connection.requests_per_second)
        self._pause = pause or self._stop.wait
        self._verify = _trusted(name, connection, home)
        self._session = requests.Session()
        self._adapter = CuttableAdapter()
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        # Without an own (empty) auth, requests would look for credentials in a .netrc file and send them.
        self._session.auth = lambda request: request
        # A proxy of the environment is never asked for this machine.
        self._session.trust_env = not is_loopback(self.host)

    def get(self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, *, absent_ok: bool = False) -> object:
        """The JSON that a URL answers with; None for status 404 when `absent_ok`."""
        return self._patiently(lambda: self._once("GET", url, params=params, headers=headers, absent_ok=absent_ok))

    def post_form(self, url: str, form: Mapping[str, str], *, denied: SourceAuthError) -> object:
        """The JSON that a form of credentials is answered with; `denied` is raised for a status that says they are wrong."""
        return self._patiently(lambda: self._once("POST", url, form=form, denied=denied))

    def refused(self, found: str, advice: str) -> SourceDataError:
        """The error for an answer that cannot be taken."""
        return SourceDataError(f"{self._place}: {found}. {_KEPT} {advice}")

    @property
    def _place(self) -> str:
        return f"connection '{self.name}' ({self._asked})"

    def _patiently(self, one_try: Callable[[], object]) -> object:
        backoff = wait_random_exponential(multiplier=self.connection.first_wait_seconds, max=self.connection.max_wait_seconds)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, _AgainError) else None
            return backoff(state) if asked is None else asked + min(backoff(state), 1.0)

        retrying = Retrying(
            retry=retry_if_exception_type(_AgainError),
            stop=stop_after_attempt(self.connection.attempts),
            wait=wait,
            sleep=self._rest,
            reraise=True,
        )
        try:
            return retrying(one_try)
        except _AgainError as error:
            tries = f"{self.connection.attempts} tries" if self.connection.attempts > 1 else "1 try"
            raise SourceUnavailableError(f"{self._place}: no usable answer after {tries}, the last one: {error.reason}. {_KEPT} Run again later.") from None

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self._pause(seconds)
        if self._stop.is_set():
            raise StoppedError(f"{self._place}: given up because the run is to end. {_KEPT} The next run asks again.")

    def _once(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        absent_ok: bool = False,
        denied: SourceAuthError | None = None,
    ) -> object:
        # A token service is another host than the API's.
        self._asked = urlsplit(url).hostname or self.host
        self._check(url)
        self._rest(self._pace.delay())
        self._count()
        limit = self.connection.timeout_seconds
        deadline = time.monotonic() + limit
        asked = {"params": params, "data": form, "headers": headers, "timeout": limit, "verify": self._verify}
        try:
            with (
                self._adapter.cut_after(limit + _GRACE_SECONDS),
                self._session.request(method, url, allow_redirects=False, stream=True, **asked) as response,  # type: ignore[arg-type]
            ):
                if response.status_code == 404 and absent_ok:
                    return None
                if denied is not None and response.status_code in _DENIED:
                    raise denied
                self._check_status(response)
                return self._json(self._body(response, deadline))
        except failures.Timeout:
            raise _AgainError(f"nothing came for {limit:g} s") from None
        except failures.RequestException as error:
            if time.monotonic() > deadline:
                raise self._too_slow() from None
            raise self._broken(error) from None

    def _too_slow(self) -> _AgainError:
        return _AgainError(f"an answer was not complete after {self.connection.timeout_seconds:g} s")

    def _broken(self, error: failures.RequestException) -> Exception:
        if isinstance(error, failures.SSLError):
            return self._tls(error)
        if isinstance(error, failures.ConnectionError | failures.ChunkedEncodingError | failures.ContentDecodingError):
            return _AgainError(f"the connection was refused or broke ({type(error).__name__})")
        return self.refused(f"the request could not be made ({type(error).__name__})", "Mend the connection in conf/connections.yml.")

    def _count(self) -> None:
        self.requests += 1
        if self.requests > self.connection.max_requests:
            raise self.refused(f"the load needs more than max_requests = {self.connection.max_requests}", "Narrow its queries or raise max_requests.")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise self.refused("an address is not https", "Use https; http is allowed for this machine alone.")

    def _tls(self, error: failures.SSLError) -> Exception:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error) and "hostname" not in str(error).lower():
            return _AgainError("the TLS connection broke")
        return SourceAuthError(
            f"{self._place}: its certificate is not trusted or not its own. Nothing was sent. {_KEPT} If the network's own authority signed it, "
            "name that authority's file as `ca_bundle` in conf/connections.yml; verification cannot be turned off."
        )

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in RETRIED_STATUSES:
            raise self._again_after(f"status {status}", response.headers.get("Retry-After"))
        if status == 401:
            raise UnauthorizedError(f"{self._place}: status 401, the credentials are not accepted. {_KEPT} Mend client_id and client_secret.")
        if status == 403:
            raise SourceAuthError(f"{self._place}: status 403, access is forbidden. {_KEPT} Ask the service's owner, or mend the credentials.")
        if 300 <= status < 400:
            raise self.refused(f"status {status}, the service answers elsewhere", "Redirects are not followed: mend its address in conf/connections.yml.")
        if status >= 500:
            raise SourceUnavailableError(f"{self._place}: status {status}. {_KEPT} Run again later.")
        raise self.refused(f"status {status}, the request is not accepted", "Mend the queries of this load or its address in conf/connections.yml.")

    def _again_after(self, reason: str, header: str | None) -> Exception:
        asked = seconds_asked(header, datetime.now(timezone.utc))
        longest = self.connection.max_wait_seconds
        if asked is not None and asked > longest:
            # To wait less than the server asks for would be rude and in vain; to wait that long would hold the whole run.
            return SourceUnavailableError(
                f"{self._place}: {reason}, and it asks to be left alone for {asked:.0f} s, longer than max_wait_seconds = {longest:g}. {_KEPT} Run again later."
            )
        return _AgainError(reason, asked)

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        limit = self.connection.max_response_mb << 20
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise self.refused(f"an answer is larger than max_response_mb = {self.connection.max_response_mb}", "Narrow the query or raise the limit.")
            if time.monotonic() > deadline:
                raise self._too_slow()
        # An answer without a length ends where its connection was cut.
        if time.monotonic() > deadline:
            raise self._too_slow()
        return b"".join(parts)

    def _json(self, body: bytes) -> object:
        try:
            found = json.loads(body)
            is_broken = has_half_characters(found)
        except (ValueError, RecursionError):
            raise _AgainError("an answer that is no JSON (a maintenance page, or cut short)") from None
        if is_broken:
            raise self.refused("a text of an answer has half a character (a lone surrogate)", "Ask the service's owner.")
        return found


def _trusted(name: str, connection: ApiConnection, home: Path) -> str | bool:
    if connection.ca_bundle is None:
        return True
    path = (home / connection.ca_bundle).resolve()
    try:
        ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError):
        raise ConfigError(f"connection '{name}': ca_bundle {connection.ca_bundle} cannot be read as PEM certificates. Nothing of this load was read.") from None
    return str(path)
