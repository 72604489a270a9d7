"""JARs are taken only with the bytes they must have, once, and what is missing is named."""

import hashlib
import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from rcm_lakehouse.lake import jars
from rcm_lakehouse.lake.jars import JARS, Jar, SetupError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for spark-submit is a script")

GOOD = b"the bytes of a jar"
JAR = Jar("org.example", "thing", "1.2", hashlib.sha256(GOOD).hexdigest(), 1, "thing-*.jar")


class Machine:
    """A Spark, an Ivy folder and a spark-submit that writes down what it is asked and delivers `delivers`."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spark, self.ivy, self.scripts = tmp_path / "spark home", tmp_path / "ivy", tmp_path / "scripts"
        for folder in (self.spark / "jars", self.ivy / "jars", self.scripts):
            folder.mkdir(parents=True)
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(self.scripts))
        monkeypatch.setenv("SPARK_CONF_DIR", "/elsewhere")

    def delivers(self, content: bytes | None) -> None:
        """What the next resolution brings; None: Maven is out of reach."""
        place = self.ivy / "jars" / f"org.example_{JAR.name}"
        told = {"file": str(self.asked_file), "place": str(place), "content": None if content is None else content.decode()}
        program = self.scripts / "spark-submit"
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys\ntold = json.loads({json.dumps(json.dumps(told))})\n"
            "open(told['file'], 'a').write(json.dumps({'args': sys.argv[1:], 'env': dict(os.environ)}) + '\\n')\n"
            "if told['content'] is None:\n    print('UNRESOLVED DEPENDENCIES')\n    sys.exit(1)\n"
            "open(told['place'], 'w').write(told['content'])\n",
            encoding="utf-8",
        )
        program.chmod(0o755)

    @property
    def asked_file(self) -> Path:
        return self.scripts / "asked"

    @property
    def asked(self) -> list[dict[str, list[str] | dict[str, str]]]:
        return [json.loads(line) for line in self.asked_file.read_text().splitlines()] if self.asked_file.exists() else []

    def install(self) -> None:
        missing = jars.missing_from(self.spark / "jars", [JAR])
        jars.fetch(missing, self.spark, self.ivy)
        jars.put(missing, self.ivy, self.spark / "jars")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_jar_is_installed_under_its_plain_name_in_place_of_other_versions(machine: Machine) -> None:
    folder = machine.spark / "jars"
    (folder / "thing-1.1.jar").write_bytes(b"older")
    (folder / "something-else-1.0.jar").write_bytes(b"Spark's own")
    machine.delivers(GOOD)
    machine.install()
    assert sorted(path.name for path in folder.iterdir()) == ["something-else-1.0.jar", "thing-1.2.jar"]
    assert (folder / "thing-1.2.jar").read_bytes() == GOOD


def test_a_second_installation_asks_nobody(machine: Machine) -> None:
    machine.delivers(GOOD)
    machine.install()
    machine.install()
    (machine.spark / "jars" / JAR.name).unlink()  # Spark was installed anew: what Ivy has is enough
    machine.install()
    assert len(machine.asked) == 1
    assert jars.missing_from(machine.spark / "jars", [JAR]) == []


def test_a_jar_with_other_bytes_is_neither_installed_nor_kept(machine: Machine) -> None:
    machine.delivers(b"tampered with")
    with pytest.raises(SetupError, match=f"sha256 is {hashlib.sha256(b'tampered with').hexdigest()}, expected {JAR.sha256}"):
        machine.install()
    assert list((machine.spark / "jars").iterdir()) == []
    assert list((machine.ivy / "jars").iterdir()) == []


def test_a_damaged_jar_beside_sparks_own_is_replaced(machine: Machine) -> None:
    (machine.spark / "jars" / JAR.name).write_bytes(GOOD[:5])
    machine.delivers(GOOD)
    machine.install()
    assert (machine.spark / "jars" / JAR.name).read_bytes() == GOOD


def test_out_of_reach_says_what_is_missing_and_what_helps(machine: Machine) -> None:
    machine.delivers(None)
    with pytest.raises(SetupError) as caught:
        machine.install()
    said = str(caught.value)
    assert "org.example:thing:1.2" in said
    assert all(words in said for words in ("could not be downloaded", "RCM_IVY_SETTINGS", str(machine.spark / "jars"), "run `make install` again"))
    assert "UNRESOLVED DEPENDENCIES" in (machine.ivy / "resolve.log").read_text()


def test_a_companys_mirror_is_asked_and_no_other_sparks_settings_are_mixed_in(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "ivysettings.xml"
    monkeypatch.setenv(jars.IVY_SETTINGS, str(settings))
    machine.delivers(GOOD)
    machine.install()
    args, environment = machine.asked[0]["args"], machine.asked[0]["env"]
    assert f"spark.jars.ivySettings={settings}" in args
    assert f"spark.jars.ivy={machine.ivy}" in args
    assert isinstance(environment, dict)
    assert environment["SPARK_HOME"] == str(machine.spark)
    assert "SPARK_CONF_DIR" not in environment


def test_every_pinned_jar_would_replace_only_versions_of_itself() -> None:
    names = [jar.name for jar in JARS]
    assert {jar.name: [name for name in names if Path(name).match(jar.other_versions)] for jar in JARS} == {name: [name] for name in names}
