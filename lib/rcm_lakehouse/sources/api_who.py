"""The WHO ICD API (ICD-10, the international edition): a token, then a walk over the release, breadth first.

ICD-10 of the WHO is not ICD-10-CM: equal codes may mean different things, so the two never share a table.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import SourceAuthError, SourceDataError
from rcm_lakehouse.config.secrets import resolve
from rcm_lakehouse.sources.api_cache import Query, Record, Spool, asked_text
from rcm_lakehouse.sources.api_http import HttpClient, UnauthorizedError

COLUMNS = ("uri", "code", "title", "class_kind", "parent_code", "release")
KEY = "uri"
_HEADERS = {"Accept-Language": "en", "API-Version": "v2"}
_SCOPE = "icdapi_access"
_PUBLIC_HOST = "id.who.int"
_EARLY_SECONDS = 60.0
# Of a token, in seconds: what claims to live longer than a day is taken for a mistake.
_LONGEST_LIFE = 86400


class Token:
    """A bearer token, fetched at first use and again shortly before it ends; never shown."""

    def __init__(self, client: HttpClient, home: Path) -> None:
        self._client = client
        self._home = home
        self._value = ""
        self._good_until = 0.0

    def header(self) -> dict[str, str]:
        """The Authorization header; none for a service that wants no token (a local copy)."""
        if self._client.connection.token_url is None:
            return {}
        if time.monotonic() >= self._good_until:
            self.renew()
        return {"Authorization": f"Bearer {self._value}"}

    def renew(self) -> None:
        """Ask for a new token with the client's credentials."""
        connection = self._client.connection
        form = {
            "grant_type": "client_credentials",
            "scope": _SCOPE,
            "client_id": resolve(connection.client_id or "", home=self._home),
            "client_secret": resolve(connection.client_secret or "", home=self._home),
        }
        try:
            body = self._client.post_form(connection.token_url or "", form, denied=_not_accepted(self._client.name))
        except SourceDataError as error:
            raise SourceDataError(f"{error} It was the token service that was asked, at token_url.") from None
        token = body.get("access_token") if isinstance(body, Mapping) else None
        # What is no ASCII would not go into the header.
        if not isinstance(body, Mapping) or not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise self._client.refused("the token service answered without a token", "Mend token_url in conf/connections.yml.")
        seconds = body.get("expires_in")
        life = float(seconds) if isinstance(seconds, int | float) and 0 < seconds <= _LONGEST_LIFE else 300.0
        self._good_until = time.monotonic() + max(life - _EARLY_SECONDS, life / 2)
        self._value = token


def _not_accepted(name: str) -> SourceAuthError:
    return SourceAuthError(
        f"connection '{name}': the token service does not accept client_id and client_secret. Nothing was read. Mend the secrets they refer to."
    )


class WhoIcd:
    """The classification behind one client; `fetch` fills a spool or raises, never half."""

    def __init__(self, client: HttpClient, options: ApiTableOptions, home: Path) -> None:
        self._client = client
        self._base = client.connection.base_url.rstrip("/")
        self._token = Token(client, home)
        self.notes: list[str] = []

    def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
        """Every node below each start code (the whole release without one). A start code that is unknown is noted, not an error."""
        for query in queries:
            spool.asked = asked_text(query)
            start = f"{self._base}/{quote(query['code'], safe='-.')}" if "code" in query else self._base
            self._walk(start, spool)

    def _walk(self, start: str, spool: Spool) -> None:
        waiting = deque([start])
        met = {start}
        while waiting:
            address = waiting.popleft()
            node = self._node(address)
            if node is None and address == start:
                self.notes.append(f"{spool.asked}: the classification does not know this code")
                continue
            if node is None:
                raise self._client.refused("a code that its parent names is not there", "The release is not whole: run again later.")
            if "code" in node or address != self._base:
                spool.add(self._record(node, address))
            for child in self._children(node):
                if child not in met:
                    met.add(child)
                    waiting.append(child)

    def _node(self, address: str) -> Mapping[str, Any] | None:
        """The body of an address, its newest release when the address names none; None for an unknown code."""
        body = self._get(address)
        asked = address
        if isinstance(body, Mapping) and "latestRelease" in body and "code" not in body:
            asked = self._own(body["latestRelease"])
            body = self._get(asked)
        if body is None:
            return None
        if not isinstance(body, Mapping):
            raise self._client.refused("an answer is no object", "Ask the service's notices whether its version v2 has changed.")
        self._check(body, asked, is_root=address == self._base)
        return body

    def _check(self, node: Mapping[str, Any], asked: str, *, is_root: bool) -> None:
        """Refuse a body that is no node, or another's: what lies below it would be lost, or stand twice, without a trace."""
        uri = _text(node.get("@id"))
        if uri is not None and unquote(_last(uri) or "") != unquote(_last(asked) or ""):
            raise self._client.refused("an answer is of another code than the one that was asked for", "Run again later; a cache or proxy may be in between.")
        is_node = bool(node.get("child")) if is_root else uri is not None and _text(node.get("code")) and isinstance(node.get("title"), Mapping)
        if not is_node:
            raise self._client.refused("an answer is no node of the classification", "Run again later; a service in trouble may answer so.")

    def _get(self, address: str) -> object:
        try:
            return self._client.get(address, headers={**_HEADERS, **self._token.header()}, absent_ok=True)
        except UnauthorizedError:
            if self._client.connection.token_url is None:
                raise
        # A token may be withdrawn before it ends; a new one that is refused as well is an error.
        self._token.renew()
        return self._client.get(address, headers={**_HEADERS, **self._token.header()}, absent_ok=True)

    def _children(self, node: Mapping[str, Any]) -> list[str]:
        children = node.get("child") or []
        if not isinstance(children, list):
            raise self._client.refused("`child` of an answer is no list", "Ask the service's notices whether its version v2 has changed.")
        return [self._own(child) for child in children]

    def _own(self, uri: object) -> str:
        """An address of this service from a URI of its bodies, which say http and, from a local copy too, the public name.

        The token goes to the connection's own host alone: a URI of another host is refused.
        """
        base = urlsplit(self._base)
        try:
            parts = urlsplit(uri if isinstance(uri, str) else "")
        except ValueError:
            raise self._client.refused("an answer names an address that cannot be read", "Ask the service's owner.") from None
        if parts.hostname not in (base.hostname, _PUBLIC_HOST):
            raise self._client.refused("an answer names an address of another host", "Ask the service's owner; such an address is never called.")
        if parts.query or parts.fragment or ".." in parts.path.split("/"):
            raise self._client.refused("an answer names an address that is no plain path", "Ask the service's owner.")
        return urlunsplit((base.scheme, base.netloc, parts.path, "", ""))

    def _record(self, node: Mapping[str, Any], address: str) -> Record:
        title = node.get("title")
        parents = node.get("parent")
        parent = _last(parents[0]) if isinstance(parents, list) and parents else None
        uri = _text(node.get("@id")) or address
        years = [part for part in urlsplit(uri).path.split("/") if len(part) == 4 and part.isdigit()]
        return {
            "uri": uri,
            "code": _text(node.get("code")),
            "title": _text(title.get("@value")) if isinstance(title, Mapping) else None,
            "class_kind": _text(node.get("classKind")),
            "parent_code": parent if parent and parent not in years else None,
            "release": years[0] if years else None,
        }


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _last(uri: object) -> str | None:
    return _text(urlsplit(uri).path.rstrip("/").rpartition("/")[2]) if isinstance(uri, str) else None
