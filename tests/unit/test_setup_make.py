"""The real `make install`, with a pip that notes what it is asked for and installs nothing."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = ("Makefile", "setup.py", "pyproject.toml", "requirements.lock", "requirements-build.lock")
MODULES = ("__init__.py", "config/__init__.py", "config/errors.py", "lake/__init__.py", "lake/java.py")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
ANEW = "it is made anew"
# As an editable install: the place of the package as a line of UTF-8.
PIP = """import pathlib, sys
with open("pip.log", "a", encoding="utf-8") as log:
    log.write(sys.argv[-1] + chr(10))
if sys.argv[-1] == ".":
    place = pathlib.Path(__file__).resolve().parents[1] / "rcm_stand_in.pth"
    place.write_bytes(str(pathlib.Path("lib").resolve()).encode() + b"\\n")
"""
ALL_OF_IT = ["requirements-build.lock", "requirements.lock", "."]

pytestmark = pytest.mark.skipif(os.name == "nt" or shutil.which("make") is None, reason="needs make and a POSIX shell")


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def has_utf8_locale() -> bool:
    if shutil.which("locale") is None:
        return False
    listed = subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout.decode("utf-8", "replace")
    return bool({"c.utf-8", "c.utf8", "en_us.utf-8", "en_us.utf8"} & set(listed.lower().split()))


needs_utf8_locale = pytest.mark.skipif(not has_utf8_locale(), reason="the system has no UTF-8 locale")


class Folder:
    """A project folder with the real Makefile, a stand-in Java, and a Python whose environments have the stand-in pip."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.tools, self.path = root, root / "tools", root / name
        for part in ("jobs", "tests"):
            (self.path / part).mkdir(parents=True)
        for file in FILES:
            shutil.copy(PROJECT / file, self.path / file)
        for module in MODULES:
            (self.path / "lib/rcm_lakehouse" / module).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / "lib/rcm_lakehouse" / module, self.path / "lib/rcm_lakehouse" / module)
        (self.path / "lib/rcm_lakehouse/lake/install.py").write_text("print('installed')\n", encoding="utf-8")
        (self.tools / "pip").mkdir(parents=True)
        (self.tools / "pip/__init__.py").touch()
        (self.tools / "pip/__main__.py").write_text(PIP, encoding="utf-8")
        script(self.tools / "java", "echo 'openjdk version \"17.0.1\"' >&2")
        real, pip = shlex.quote(sys.executable), shlex.quote(str(self.tools / "pip"))
        venv = f'{real} -m venv --without-pip "$3" && cp -R {pip} "$3"/lib/python*/site-packages/; exit'
        script(self.tools / "python3", f'if [ "$1 $2" = "-m venv" ]; then {venv}; fi\nexec {real} "$@"')

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "MAKE", "MFLAGS", "PYTHON", "JAVA_HOME"))}
        environment = {**kept, "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}", **(variables or {"LC_ALL": "C.UTF-8"})}
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=self.path, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60)

    def asked_of_pip(self) -> list[str]:
        """What pip was asked for since the last question."""
        log = self.path / "pip.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def install(self, **variables: str) -> tuple[str, list[str]]:
        """What `make install` says when it is well, and what it asked of pip."""
        run = self.make("install", **variables)
        assert (run.returncode, run.stdout.splitlines()[-1:]) == (0, ["installed"]), run.stdout + run.stderr
        return run.stdout, self.asked_of_pip()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, "a project")


def test_a_second_install_installs_nothing_and_a_newer_lock_installs_again_into_the_same_environment(folder: Folder) -> None:
    assert folder.install()[1] == ALL_OF_IT
    (folder.path / ".venv/mine").touch()
    assert folder.install() == ("installed\n", [])
    packages = folder.path / ".venv/.rcm-packages"
    os.utime(packages, (1, 1))
    assert folder.install()[1] == ALL_OF_IT
    assert folder.install()[1] == []
    packages.unlink()
    assert folder.install()[1] == ALL_OF_IT, "a try that was cut short"
    assert (folder.path / ".venv/mine").exists()


def test_an_install_that_fails_midway_is_not_taken_for_a_whole_one(folder: Folder) -> None:
    pip = folder.tools / "pip/__main__.py"
    pip.write_text(PIP + "sys.exit(sys.argv[-1] == 'requirements.lock')\n", encoding="utf-8")
    assert folder.make("install").returncode == 2
    assert folder.asked_of_pip() == ALL_OF_IT[:2]
    (installed,) = (folder.path / ".venv/lib").glob("python*/site-packages/pip/__main__.py")
    installed.write_text(PIP, encoding="utf-8")
    assert folder.install()[1] == ALL_OF_IT


@pytest.mark.parametrize("case", ["moved", "its Python is gone", "its Python is a newer one", "making it was cut short"])
def test_an_environment_that_does_not_fit_is_made_anew_and_filled_in_the_same_call(folder: Folder, case: str) -> None:
    folder.install()
    environment = folder.path / ".venv"
    if case == "moved":
        folder.path = folder.path.rename(folder.root / "another place")
        environment = folder.path / ".venv"
    elif case == "its Python is gone":
        for program in (environment / "bin").glob("python*"):
            program.unlink()
            program.symlink_to(folder.root / "no longer there")
    elif case == "its Python is a newer one":
        (environment / "lib" / VERSION).rename(environment / "lib/python3.1")
    else:
        (environment / ".rcm-folder").unlink()
    (environment / "old").touch()
    dry = folder.make("-n", "install")
    assert (dry.returncode, (environment / "old").exists(), folder.asked_of_pip()) == (0, True, []), "a dry run changes nothing"
    said, asked = folder.install()
    assert (said.count(ANEW), asked, (environment / "old").exists()) == (1, ALL_OF_IT, False)
    assert folder.install() == ("installed\n", [])


def test_help_and_clean_ask_neither_for_python_nor_for_java(folder: Folder) -> None:
    folder.install()
    for name in ("python3", "java"):
        script(folder.tools / name, "echo asked >&2; exit 1")
    runs = [folder.make(*arguments) for arguments in ([], ["help"], ["clean"])]
    assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * 3
    assert not (folder.path / ".venv").exists()


@needs_utf8_locale
@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"LANG": "C"}, {"LC_CTYPE": "POSIX"}, {"LANG": "xx_XX.UTF-8"}], ids=str)
def test_a_folder_with_other_letters_keeps_its_environment_in_every_locale(tmp_path: Path, variables: dict[str, str]) -> None:
    folder = Folder(tmp_path, "ü b")
    assert folder.install(**variables)[1] == ALL_OF_IT
    (folder.path / ".venv/mine").touch()
    assert folder.install(**variables) == ("installed\n", [])
    assert (folder.path / ".venv/mine").exists()


@needs_utf8_locale
def test_programs_get_a_utf8_locale_and_one_that_is_there_stays(folder: Folder) -> None:
    with (folder.path / "Makefile").open("a", encoding="utf-8") as file:
        file.write("\nasked:\n\t@locale charmap; echo \"$$LC_ALL\"\n")
    for variables in ({"LC_ALL": "C"}, {"LANG": "C"}, {"LC_ALL": "xx_XX.UTF-8"}):
        assert folder.make("asked", **variables).stdout.splitlines()[0] == "UTF-8", variables
    present = folder.make("asked", LC_ALL="C").stdout.splitlines()[1]
    assert folder.make("asked", LANG=present).stdout.splitlines() == ["UTF-8", ""]


@needs_utf8_locale
def test_sparks_environment_file_gives_java_a_utf8_locale(tmp_path: Path) -> None:
    file = shlex.quote(str(PROJECT / "conf/spark/spark-env.sh"))
    for variables in ({"LC_ALL": "C"}, {"LANG": "C"}, {"LC_CTYPE": "xx_XX.UTF-8"}, {}):
        command = ["sh", "-c", f"set -a; . {file}; set +a; locale charmap"]
        run = subprocess.run(command, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert (run.stdout, run.stderr) == ("UTF-8\n", ""), variables


def test_a_python_that_cannot_start_is_told_with_its_own_words_and_nothing_is_removed(folder: Folder) -> None:
    folder.install()
    script(folder.tools / "python3", "printf '\\npyenv: no version is set\\nmore\\n' >&2; exit 127")
    run = folder.make("install")
    assert run.returncode == 2
    assert "python3 is on PATH but cannot start: pyenv: no version is set\n" in run.stderr
    assert "make PYTHON=/path/to/python3" in run.stderr
    assert "too old" not in run.stderr
    assert (folder.path / ".venv").exists()


def test_a_python_that_is_too_old_is_told_with_its_version(folder: Folder) -> None:
    old = 'case "$*" in *version_info*) exit 1;; --version) echo Python 3.8.1;; esac'
    script(folder.tools / "python3", old)
    run = folder.make("install")
    assert (run.returncode, "Python 3.8.1 is too old: Python 3.10 or newer is needed." in run.stderr) == (2, True)
