"""The life of a database server on loopback: made in a folder of its own, started, asked, killed, frozen and removed."""

import contextlib
import copy
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from typing_extensions import Self

from rcm_lakehouse.demo.targets import Target, TargetKind

START_SECONDS = 30.0


class MissingServerError(Exception):
    """The server's binaries are not on this machine."""


class Server:
    """A server of one product: host, port, user and password to connect with, and its life."""

    kind: ClassVar[TargetKind]
    account: ClassVar[str]
    binaries: ClassVar[tuple[str, ...]]
    prompt_output: ClassVar[tuple[str, ...]] = ()
    places: ClassVar[tuple[str, ...]] = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin")

    def __init__(self) -> None:
        self.paths: dict[str, str] = {name: self._find(name) for name in self.binaries}
        self.host = "127.0.0.1"
        self.port = _free_port()
        self.user = "rcm_owner"
        self.password = secrets.token_hex(12)
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None

    @classmethod
    def _find(cls, name: str) -> str:
        found = shutil.which(name, path=os.pathsep.join([*cls.places, os.environ.get("PATH", "")]))
        if found is None:
            raise MissingServerError(f"{cls.kind}: '{name}' is not on this machine")
        return found

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def target(self) -> Target:
        """Where the demo can be made."""
        return Target(self.kind, self.host, self.port, self.user, self.password, replaces=True)

    def start(self) -> None:
        """Start, first making the data folder; returns when the server answers."""
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix=f"rcm-{self.kind}-"))
            if self._as_account():
                shutil.chown(self.folder, self.account, self.account)
            self._prepare(self.folder)
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.process = self._launch(self._command(self.folder))
            # A server killed a moment ago may leave workers that hold its memory: then the new one ends at once, and is started again.
            if self._answers_before(deadline):
                return
            if time.monotonic() > deadline:
                log = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
                self.remove()
                raise RuntimeError(f"{self.kind} did not start in {START_SECONDS:.0f} s:\n{log[-3000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End in order; data stay."""
        self._end(signal.SIGTERM, whole_group=False)

    def kill(self) -> None:
        """End at once, as a power cut would; data stay."""
        self._end(signal.SIGKILL, whole_group=True)

    def freeze(self) -> None:
        """Answer nothing more, with connections open, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop and delete all data."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.thaw()
            self.stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def execute(self, sql: str, database: str | None = None) -> str:
        """The client's plain output for some statements; raises CalledProcessError when the server refuses them."""
        command, environment = self.client(database)
        done = subprocess.run(command, input=sql, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def client(self, database: str | None = None) -> tuple[list[str], Mapping[str, str]]:
        """The client's command and environment, statements from standard input, tab-separated rows without headings."""
        raise NotImplementedError

    def as_account(self, user: str, password: str) -> "Self":
        """The same server to another account."""
        other = copy.copy(self)
        other.user, other.password = user, password
        return other

    def session(self, database: str) -> "OpenSession":
        """A second session that stays open, for transactions that are not yet committed."""
        return OpenSession(self, database)

    def make_database(self, name: str) -> None:
        """An empty database, with the schema dbo where the product has schemas; one of the same name is dropped."""
        raise NotImplementedError

    def qualified(self, table: str) -> str:
        """A table's name in statements, in exactly this case."""
        raise NotImplementedError

    def _prepare(self, folder: Path) -> None:
        raise NotImplementedError

    def _command(self, folder: Path) -> list[str]:
        raise NotImplementedError

    def _as_account(self) -> bool:
        # Both servers refuse to run as root.
        return os.geteuid() == 0

    def _identity(self) -> dict[str, object]:
        return {"user": self.account, "group": self.account, "extra_groups": []} if self._as_account() else {}

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.folder, **self._identity())  # type: ignore[call-overload]
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")

    def _launch(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        assert self.folder is not None
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._identity()
            )

    def _answers_before(self, deadline: float) -> bool:
        assert self.process is not None
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, subprocess.SubprocessError), socket.create_connection((self.host, self.port), timeout=1):
                self.execute("SELECT 1;")
                return True
            time.sleep(0.05)
        return False

    def _end(self, how: signal.Signals, *, whole_group: bool) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        if whole_group:
            self._signal(how, process)
        else:
            process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL, process)
            process.wait(timeout=20)

    def _signal(self, how: signal.Signals, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """To the server and all its workers, each of which may be the leader of a group of its own."""
        server = process or self.process
        assert server is not None
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
        workers = [int(pid) for pid, parent in (line.split() for line in listed.splitlines()) if int(parent) == server.pid]
        for pid in (server.pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)


class OpenSession:
    """A client that stays connected: statements one by one, until it is closed; what was not committed is then rolled back."""

    def __init__(self, server: Server, database: str) -> None:
        command, environment = server.client(database)
        self.process = subprocess.Popen(
            [*command, *server.prompt_output],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def execute(self, sql: str) -> list[str]:
        """Run statements and wait for them; returns the lines they answered."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        mark = f"done-{secrets.token_hex(6)}"
        self.process.stdin.write(f"{sql.rstrip().rstrip(';')};\nSELECT '{mark}';\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line.strip() == mark:
                return lines
            lines.append(line.rstrip("\n"))
        raise RuntimeError(f"the session ended: {lines}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
