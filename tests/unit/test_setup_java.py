"""Java is looked for as Spark will, and what is wrong is said with the install commands."""

import os
from pathlib import Path

import pytest

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.lake import java

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")

VERSIONS = {  # what `java -version` says: the release it is
    'openjdk version "17.0.15" 2025-04-15': 17,
    'java version "1.8.0_392"': 8,
    'openjdk version "21-ea" 2023-09-19': 21,
    'openjdk version "11.0.2" 2019-01-15': 11,
    'openjdk version "25" 2025-09-16': 25,
}


def stand_in(folder: Path, says: str, code: int = 0) -> Path:
    """A `java` that says this on stderr."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose PATH has the basic programs only as far as a stand-in needs them, and no JAVA_HOME."""
    monkeypatch.delenv("JAVA_HOME", raising=False)


def test_each_release_is_recognised_and_old_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, int | str] = {}
    for number, says in enumerate(VERSIONS):
        home = tmp_path / str(number)
        stand_in(home / "bin", says)
        monkeypatch.setenv("JAVA_HOME", str(home))
        try:
            found[says] = java.require_java().release
        except ConfigError as error:
            found[says] = str(error).splitlines()[0]
    assert {says: release for says, release in found.items() if isinstance(release, int)} == {s: r for s, r in VERSIONS.items() if r >= 17}
    assert all(f"is release {VERSIONS[says]}; Spark needs 17" in line for says, line in found.items() if isinstance(line, str))


def test_java_home_goes_before_path_as_in_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = stand_in(tmp_path / "path", 'openjdk version "21.0.1"')
    at_home = stand_in(tmp_path / "home" / "bin", 'openjdk version "17.0.1"')
    monkeypatch.setenv("PATH", f"{on_path.parent}{os.pathsep}{os.environ['PATH']}")
    assert java.require_java() == java.Java(on_path, 21)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.require_java() == java.Java(at_home, 17)


def test_a_missing_java_names_the_command_of_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java.main() == ConfigError.exit_code
    said = capsys.readouterr().err
    assert "no java was found on PATH" in said
    assert all(command in said for command in ("apt-get install openjdk-17", "dnf install", "brew install openjdk@17", "winget install"))
    assert "Nothing was started" in said


def test_a_java_home_without_java_is_refused_though_path_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="unset it so that the java on PATH is used"):
        java.require_java()


def test_a_stub_that_only_says_there_is_no_java_is_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "bin", "The operation couldn't be completed. Unable to locate a Java Runtime.", code=1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="did not tell its version"):
        java.require_java()
