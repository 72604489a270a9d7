"""Running a script in a database with that database's own client: H2's RunScript tool, `mariadb`, `psql`."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rcm_lakehouse.config.embedded import h2_url
from rcm_lakehouse.config.errors import ConfigError, SourceUnavailableError

TargetKind = Literal["h2", "mariadb", "postgresql"]

_STATEMENT_END = ";\n"
_PORTS = {"mariadb": 3306, "postgresql": 5432}
_USERS = {"mariadb": "root", "postgresql": "postgres"}


@dataclass(frozen=True)
class Target:
    """Where the hospitals are made. H2 needs nothing; servers need an account that may create databases.

    `replaces` allows databases of the hospitals' names that are on the server already to be dropped.
    """

    kind: TargetKind = "h2"
    host: str = "127.0.0.1"
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    replaces: bool = False

    @property
    def place(self) -> str:
        """How a server is named to people: `mariadb at 127.0.0.1:3306`."""
        return f"{self.kind} at {self.host}:{self.port or _PORTS[self.kind]}"


def write_script(statements: Iterable[str], path: Path) -> None:
    r"""Statements to a file that only its owner may read; client commands (`\connect`) end without a semicolon."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as script:
        for statement in statements:
            script.write(statement + ("\n" if statement.startswith("\\") else _STATEMENT_END))


def start_script(target: Target, script: Path, database: Path, password: str) -> "subprocess.Popen[str]":
    """The client at work on a script; `database` is the H2 file without suffix, servers take the name from the script."""
    command, secrets = _command(target, script, database, password)
    stdin = script.open(encoding="utf-8") if target.kind == "mariadb" else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **secrets}, encoding="utf-8"
        )
    finally:
        if not isinstance(stdin, int):
            stdin.close()


def finish_script(target: Target, process: "subprocess.Popen[str]", name: str) -> SourceUnavailableError | None:
    """Wait for a client; None when it did all. The error carries the database's code; its text is dropped, for it quotes rows."""
    _, text = process.communicate()
    if process.returncode == 0:
        return None
    return SourceUnavailableError(
        f"demo: the script for database '{name}' failed in {target.kind} ({_failure(process.returncode, text)}). The hospital is "
        "incomplete. Check that the server runs and the account may create databases, then make day 1 again."
    )


def _failure(exit_code: int, text: str) -> str:
    found = re.search(r"\[(\d{5})-\d+\]|ERROR (\d{4})|(?:ERROR|FATAL): +([0-9A-Z]{5})\b", text)
    code = next((part for part in found.groups() if part), "unknown") if found else "unknown"
    return f"client exit {exit_code}, error code {code}"


def databases_on(target: Target, names: Iterable[str]) -> list[str]:
    """Which of these databases are on a server already, in order.

    Raises SourceUnavailableError when the server does not answer; nothing was made.
    """
    of_mariadb = ["-N", "-B", "-e", "SELECT schema_name FROM information_schema.schemata"]
    asked = of_mariadb if target.kind == "mariadb" else ["-At", "-c", "SELECT datname FROM pg_database"]
    command, secrets = _server_client(target, target.password or "")
    done = subprocess.run(
        [*command, *asked], stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **secrets}, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise SourceUnavailableError(
            f"demo: {target.place} did not say which databases it holds ({_failure(done.returncode, done.stderr)}), so '{', '.join(names)}' were not made. "
            "Check that the server runs, and the account and its password (environment variable RCM_DEMO_PASSWORD)."
        )
    return sorted({*names} & {*done.stdout.splitlines()})


def _command(target: Target, script: Path, database: Path, password: str) -> tuple[list[str], Mapping[str, str]]:
    if target.kind == "h2":
        # The client compiler is enough for a script; a loopback address keeps AUTO_SERVER off the network.
        java = [_java(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Dfile.encoding=UTF-8", "-Dh2.bindAddress=127.0.0.1"]
        tool = ["-cp", str(h2_jar()), "org.h2.tools.RunScript"]
        return [*java, *tool, "-url", h2_url(database), "-user", "sa", "-password", password, "-script", str(script)], {}
    command, secrets = _server_client(target, password)
    return [*command, *([] if target.kind == "mariadb" else ["--file", str(script)])], secrets


def _server_client(target: Target, password: str) -> tuple[list[str], Mapping[str, str]]:
    port = str(target.port or _PORTS[target.kind])
    user = target.user or _USERS[target.kind]
    if target.kind == "mariadb":
        place = ["--host", target.host, "--port", port, "--user", user, "--protocol", "tcp"]
        return [_client("mariadb", "mysql"), "--no-defaults", *place, "--default-character-set=utf8mb4"], {"MYSQL_PWD": password}
    place = ["--host", target.host, "--port", port, "--username", user, "--dbname", "postgres", "--no-password"]
    quiet = ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--set", "VERBOSITY=sqlstate"]
    return [_client("psql"), *quiet, *place], {"PGPASSWORD": password, "PGCLIENTENCODING": "UTF8"}


def _client(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise ConfigError(f"demo: the client '{names[0]}' is not on PATH. Nothing was made. Install the database's client package.")


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    found = shutil.which("java")
    if found is None:
        raise ConfigError("demo: no Java was found on PATH or in JAVA_HOME. Nothing was made. Install Java 17 or newer.")
    return found


def h2_jar() -> Path:
    """The H2 JAR that install put beside Spark's own.

    Raises ConfigError when it is not there; nothing was made.
    """
    places = [Path(os.environ["SPARK_HOME"])] if "SPARK_HOME" in os.environ else []
    spec = importlib.util.find_spec("pyspark")
    places += [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if found := sorted((place / "jars").glob("h2-*.jar")):
            return found[-1]
    raise ConfigError("demo: no h2-*.jar lies in Spark's jars folder. Nothing was made. Run `make install`.")
