"""The files of the set-up agree with each other: profile and factory, pins and lock, targets and help."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rcm_lakehouse.lake.install import HOME_CONF, HOOK_FILE, PROFILE, install_hook, install_profile
from rcm_lakehouse.lake.jars import JARS, SetupError
from rcm_lakehouse.lake.session import LOCAL_CONF

PROJECT = Path(__file__).resolve().parents[2]


def properties(text: str) -> dict[str, str]:
    """Keys and values of a Spark properties file."""
    lines = (line.strip() for line in text.splitlines())
    return {key: value.strip() for key, _, value in (line.partition(" ") for line in lines if line and not line.startswith("#"))}


def pins(text: str) -> set[tuple[str, str]]:
    """(name, version) of every `name==version`."""
    return {(name.lower().replace("_", "-"), version) for name, version in re.findall(r"^\s*[\"']?([A-Za-z][\w.-]*)==([\w.]+)", text, re.MULTILINE)}


def test_the_profile_says_what_the_session_factory_says() -> None:
    assert properties((PROJECT / "conf/spark/spark-defaults.conf").read_text(encoding="utf-8")) == LOCAL_CONF


def test_an_installed_profile_is_the_projects_with_its_place(tmp_path: Path) -> None:
    home = tmp_path / "a folder of ours"
    (home / "conf" / "spark").mkdir(parents=True)
    for name in PROFILE:
        (home / "conf" / "spark" / name).write_bytes((PROJECT / "conf" / "spark" / name).read_bytes())
    install_profile(home, tmp_path / "conf")
    place = {HOME_CONF: home.as_posix(), "spark.sql.warehouse.dir": f"{home.as_posix()}/lakehouse/_warehouse"}
    assert properties((tmp_path / "conf" / "spark-defaults.conf").read_text(encoding="utf-8")) == {**LOCAL_CONF, **place}
    shell = f"rcm_python={shlex.quote(sys.executable)}\nrcm_home={shlex.quote(str(home))}\n"
    assert (tmp_path / "conf" / "spark-env.sh").read_text(encoding="utf-8") == shell + (PROJECT / "conf/spark/spark-env.sh").read_text(encoding="utf-8")
    assert (tmp_path / "conf" / "log4j2.properties").read_bytes() == (PROJECT / "conf/spark/log4j2.properties").read_bytes()


def test_where_spark_cannot_read_its_environment_file_there_is_none(tmp_path: Path) -> None:
    install_profile(PROJECT, tmp_path / "a conf folder")
    assert sorted(path.name for path in (tmp_path / "a conf folder").iterdir()) == ["log4j2.properties", "spark-defaults.conf"]


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"spark-defaults\.conf is missing"):
        install_profile(tmp_path, tmp_path / "conf")


def test_the_start_hook_loads_without_pyspark_and_is_silent_without_the_package(tmp_path: Path) -> None:
    install_hook(tmp_path)
    asked = "print('rcm_lakehouse.lake.names_hook' in sys.modules, any(name.startswith(('pyspark', 'pydantic', 'yaml')) for name in sys.modules))"
    code = f"import site, sys; site.addsitedir({str(tmp_path)!r}); {asked}"
    seen = []
    for path in (PROJECT / "lib", tmp_path / "nowhere"):
        command = [sys.executable, "-S", "-c", code]
        seen.append(subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(path)}, cwd=tmp_path))
    assert [(run.stdout.strip(), run.stderr) for run in seen] == [("True False", ""), ("False False", "")]
    assert (tmp_path / HOOK_FILE).read_text(encoding="utf-8").count("\n") == 1


def test_every_pin_of_the_package_is_in_the_lock_with_hashes_and_no_address() -> None:
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert pins((PROJECT / "setup.py").read_text(encoding="utf-8")) - pins(lock) == set()
    for name in ("requirements.lock", "requirements-build.lock"):
        text = (PROJECT / name).read_text(encoding="utf-8")
        entries = re.split(r"\n(?=\S)", text.strip())
        assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
        assert re.findall(r"https?:|file:|--index|--find-links|#", text) == []


def test_the_delta_jar_is_that_of_the_pinned_package() -> None:
    setup = dict(pins((PROJECT / "setup.py").read_text(encoding="utf-8").replace("[", "\n").replace(", ", "\n")))
    delta = next(jar for jar in JARS if jar.artifact.startswith("delta-spark"))
    assert delta.version == setup["delta-spark"]
    assert delta.artifact.split("_")[1] == setup["pyspark"].rpartition(".")[0]


def test_every_make_target_is_explained() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()) - {"preflight"}
    said = subprocess.run(["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in said.splitlines()} == targets
