"""A real HTTP server on 127.0.0.1 that answers like the NPI registry, the NLM code search and the WHO ICD API, with made-up content.

`python -m rcm_lakehouse.demo api` serves it for the demo. Told to, it misbehaves: error statuses with and without Retry-After, a
maintenance page, an answer cut short, a hang-up, a slow, a trickling or an endless answer, repeated rows, tokens that are withdrawn.
"""

import json
import secrets
import ssl
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from rcm_lakehouse.demo.api_content import Registry, default_codes, node, search_codes, versions

NPPES_PATH = "/registry/api/"
NLM_PATH = "/api/icd10cm/v3/search"
WHO_PATH = "/icd/release/10"
TOKEN_PATH = "/connect/token"
CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-secret-of-the-stub"
TOKEN_SECONDS = 3600
FaultKind = Literal["status", "html", "cut", "hang_up", "slow", "trickle", "trickle_head", "endless"]


@dataclass
class Fault:
    """One way to misbehave on requests whose path begins with `path`: the first `after` of them are served, the next `times` are not (None: for ever)."""

    path: str
    kind: FaultKind = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"made-up error page"
    after: int = 0
    times: int | None = 1


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: "ApiServer"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves or refuses the certificate is no event here."""


class ApiServer:
    """The server; a context manager. What was asked is in `asked`, in order."""

    def __init__(self, port: int = 0, *, certificate: str | None = None) -> None:
        self.registry = Registry()
        self.codes = default_codes()
        self.tokens: set[str] = set()
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.released = Event()
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="api-server")

    @property
    def url(self) -> str:
        """Where the server listens, without path."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def token_url(self) -> str:
        """Where a token is asked for."""
        return self.url + TOKEN_PATH

    def base_url(self, kind: str) -> str:
        """The `base_url` of a connection of a kind."""
        paths = {"nppes": NPPES_PATH, "nlm_icd10cm": NLM_PATH, "who_icd": f"{WHO_PATH}/2019"}
        return self.url + paths[kind]

    def __enter__(self) -> "ApiServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Serve until the thread ends (Ctrl-C)."""
        self._thread.join()

    def misbehave(self, path: str, kind: FaultKind = "status", **values: Any) -> None:
        """Add a fault; see `Fault`."""
        self.faults.append(Fault(path, kind, **values))

    def fault_of(self, path: str) -> Fault | None:
        """The fault that the next request to a path meets; its counts go down."""
        with self._lock:
            for fault in self.faults:
                if not path.startswith(fault.path) or fault.times == 0:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body of the token service."""
        if (form.get("grant_type"), form.get("scope")) != ("client_credentials", "icdapi_access"):
            return 400, {"error": "unsupported_grant_type"}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 400, {"error": "invalid_client"}
        token = secrets.token_hex(16)
        self.tokens.add(token)
        return 200, {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer", "scope": "icdapi_access"}

    def answer(self, asked: Asked) -> tuple[int, object]:
        """Status and body of a request that meets no fault."""
        if asked.path == TOKEN_PATH and asked.method == "POST":
            return self.token(asked.form)
        if asked.path == NPPES_PATH:
            return 200, self.registry.answer(asked.params)
        if asked.path == NLM_PATH:
            return 200, search_codes(self.codes, asked.params)
        if asked.path.startswith(WHO_PATH):
            return self._classification(asked)
        return 404, {"error": "there is nothing at this path"}

    def _classification(self, asked: Asked) -> tuple[int, object]:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": "no valid token"}
        if asked.headers.get("api-version") != "v2" or asked.headers.get("accept-language") != "en":
            return 400, {"error": "API-Version and Accept-Language are required"}
        parts = [unquote(part) for part in asked.path.removeprefix(WHO_PATH).split("/") if part]
        body = node("/".join(parts[1:])) if parts[:1] == ["2019"] else versions("/".join(parts))
        return (200, body) if body is not None else (404, {"error": "unknown code"})


class _Handler(BaseHTTPRequestHandler):
    """One connection: notes what is asked, and answers or misbehaves."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    # Header and body are two small writes: without this the second would wait for the client's late acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve({})

    def do_POST(self) -> None:
        """Answer a form."""
        length = int(self.headers.get("Content-Length") or 0)
        self._serve(dict(parse_qsl(self.rfile.read(length).decode("utf-8", "replace"))))

    def _serve(self, form: dict[str, str]) -> None:
        owner, parts = self.server.owner, urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, form)
        owner.asked.append(asked)
        fault = owner.fault_of(parts.path)
        try:
            if fault is None:
                status, body = owner.answer(asked)
                self._send(status, json.dumps(body).encode())
            else:
                self._misbehave(fault, asked)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def _misbehave(self, fault: Fault, asked: Asked) -> None:
        if fault.kind == "status":
            self._send(fault.status, fault.body, {"Content-Type": "text/html", **fault.headers})
            return
        if fault.kind == "html":
            self._send(200, b"<html><body>made-up maintenance page</body></html>", {"Content-Type": "text/html"})
            return
        self.close_connection = True
        if fault.kind == "cut":
            status, body = self.server.owner.answer(asked)
            data = json.dumps(body).encode()
            self._send(status, data[: len(data) // 2], length=len(data))
        elif fault.kind == "endless":
            self._send(200, b"[" + b" " * (3 << 20), length=1 << 40)
        elif fault.kind == "slow":
            # Silent until the client has left or the server ends.
            self.server.owner.released.wait(self.timeout)
        elif fault.kind.startswith("trickle"):
            self._trickle(in_head=fault.kind == "trickle_head")

    def _trickle(self, *, in_head: bool) -> None:
        """A byte each 0.3 s until the client has left or the server ends."""
        if in_head:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        else:
            self._send(200, b"[", length=1 << 30)
        while not self.server.owner.released.wait(0.3):
            self.wfile.write(b" ")

    def log_message(self, format: str, *args: object) -> None:
        """Requests are in `asked`; nothing is written to the terminal."""
