"""A client of the local API server whose waits are noted, not slept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from rcm_lakehouse.config.connections import ApiConnection
from rcm_lakehouse.demo.api_server import CLIENT_ID, CLIENT_SECRET, ApiServer
from rcm_lakehouse.sources.api_http import HttpClient, Pace

SECRETS = {"client_id": "env:STUB_ID", "client_secret": "env:STUB_SECRET"}


@dataclass
class Waits:
    """A clock that moves only when somebody waits."""

    now: float = 0.0
    all: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Wait, and note it."""
        self.all.append(seconds)
        self.now += seconds


def connection(server: ApiServer, kind: str = "nppes", **values: Any) -> ApiConnection:
    """A connection to the server; waits between tries are short unless given."""
    given = {"type": "api", "kind": kind, "base_url": server.base_url(kind), "requests_per_second": 1000, "timeout_seconds": 5, **values}
    if kind == "who_icd":
        given = {"token_url": server.token_url, **SECRETS, **given}
    return ApiConnection(**given)


def client(server: ApiServer, kind: str = "nppes", *, waits: Waits | None = None, home: Path = Path(), stop: Event | None = None, **values: Any) -> HttpClient:
    """A client whose waits go to `waits`."""
    waits = waits or Waits()
    chosen = connection(server, kind, **values)
    pace = Pace(chosen.requests_per_second, clock=lambda: waits.now)
    return HttpClient("stub", chosen, home=home, stop=stop, pace=pace, pause=waits.pause)


def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A running server, with what the connection's secret references point to in the environment."""
    for name, value in {"STUB_ID": CLIENT_ID, "STUB_SECRET": CLIENT_SECRET}.items():
        monkeypatch.setenv(name, value)
    with ApiServer() as running:
        yield running
