"""Clearing an earlier demo removes the demo's tables and never anything else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rcm_lakehouse.config.errors import ConfigError, LockHeldError
from rcm_lakehouse.lake.clear import clear_demo, main
from rcm_lakehouse.lake.lock import lakehouse_lock

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose demo was made and loaded."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    shutil.copy(PROJECT / "load_config.csv", tmp_path)
    for folder in ("demo/db", "bronze/hosa/patients/_delta_log", "silver/patient", "gold/dim_date", "_warehouse"):
        (tmp_path / "lakehouse" / folder).mkdir(parents=True)
    (tmp_path / "lakehouse" / "demo" / "making.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def below(home: Path) -> set[str]:
    """What lies in the lakehouse."""
    return {path.name for path in (home / "lakehouse").iterdir()}


def test_the_tables_go_and_the_sources_stay(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home)]) == 0
    assert below(home) - {".lock"} == {"demo"}
    assert (home / "lakehouse" / "demo" / "making.json").exists()
    assert (home / "notes.txt").exists()
    assert "below lakehouse/: _warehouse, bronze, gold, silver" in capsys.readouterr().out
    assert clear_demo(home) == []


def test_what_is_no_table_stays(home: Path) -> None:
    (home / "lakehouse" / "landing_of_ours").mkdir()
    clear_demo(home)
    assert below(home) - {".lock"} == {"demo", "landing_of_ours"}


def test_a_link_is_removed_and_what_it_points_to_stays(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "table").write_text("rows")
    (home / "lakehouse" / "audit").symlink_to(elsewhere)
    clear_demo(home)
    assert below(home) - {".lock"} == {"demo"}
    assert (elsewhere / "table").exists()


def of_another_hospital(home: Path) -> None:
    """Hospital B is no longer that of the demo."""
    connections = home / "conf" / "connections.yml"
    connections.write_text(connections.read_text().replace("database: lakehouse/demo/db/hospital-b", "database: data/hospital-b"))


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_work_list_of_other_sources_is_neither_cleared_nor_loaded(home: Path, is_loaded: bool) -> None:
    of_another_hospital(home)
    if not is_loaded:
        for layer in ("bronze", "silver", "gold"):
            shutil.rmtree(home / "lakehouse" / layer)
    before = below(home)
    with pytest.raises(ConfigError, match=r"load_config\.csv loads hospital-b, which the demo did not make"):
        clear_demo(home)
    assert below(home) == before
    done = run_demo(home)
    assert (done.returncode, done.stdout, below(home)) == (2, "", before), done.stderr


@pytest.mark.parametrize("row", ["paused", "removed", "never there"])
def test_tables_of_another_hospital_that_is_not_loaded_now_are_left_alone(home: Path, row: str) -> None:
    work_list = home / "load_config.csv"
    lines = work_list.read_text().splitlines()
    of_b = [line for line in lines if line.startswith("hospital-b")]
    if row == "never there":
        (home / "lakehouse" / "bronze" / "real" / "charges" / "_delta_log").mkdir(parents=True)
    else:
        of_another_hospital(home)
        (home / "lakehouse" / "bronze" / "hosb" / "patients" / "_delta_log").mkdir(parents=True)
        work_list.write_text("\n".join([line for line in lines if line not in of_b] + [line.replace(",1,", ",0,") for line in of_b if row == "paused"]) + "\n")
    before = below(home)
    with pytest.raises(ConfigError, match="from the demo's sources") as caught:
        clear_demo(home)
    assert ("bronze/real/charges" if row == "never there" else "bronze/hosb/patients") in str(caught.value)
    assert "hosa" not in str(caught.value)
    assert below(home) == before


def test_a_lakehouse_elsewhere_is_refused_before_anything_is_made(home: Path) -> None:
    settings = home / "conf" / "lakehouse.yml"
    settings.write_text(settings.read_text().replace("root: lakehouse\n", "root: big_lakehouse\n"))
    before = below(home)
    with pytest.raises(ConfigError, match=r"The demo loads into lakehouse/ alone, and .* root: big_lakehouse"):
        clear_demo(home)
    assert below(home) == before


def test_tables_without_a_demo_are_left_alone(home: Path) -> None:
    shutil.rmtree(home / "lakehouse" / "demo")
    with pytest.raises(ConfigError, match="there is no lakehouse/demo"):
        clear_demo(home)
    assert (home / "lakehouse" / "silver" / "patient").is_dir()


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    """The demo's job over this project."""
    job = [sys.executable, str(PROJECT / "jobs" / "run_demo.py"), "--size", "tiny"]
    return subprocess.run(job, capture_output=True, text=True, env={**os.environ, "RCM_HOME": str(home)}, cwd=home, timeout=120, check=False)


def test_the_demo_makes_and_loads_nothing_in_a_lakehouse_that_is_not_the_demos(home: Path) -> None:
    shutil.rmtree(home / "lakehouse" / "demo")
    before = below(home)
    done = run_demo(home)
    assert (done.returncode, done.stdout, below(home)) == (2, "", before), done.stderr
    assert "there is no lakehouse/demo" in done.stderr


def test_a_run_at_work_is_not_disturbed(home: Path) -> None:
    with lakehouse_lock(str(home / "lakehouse"), "01", "run_pipeline"), pytest.raises(LockHeldError):
        clear_demo(home)
    assert (home / "lakehouse" / "silver" / "patient").is_dir()


def test_a_project_that_never_ran_has_nothing_to_clear(home: Path) -> None:
    shutil.rmtree(home / "lakehouse")
    assert clear_demo(home) == []
    (home / "lakehouse" / "_warehouse").mkdir(parents=True)
    assert clear_demo(home) == ["_warehouse"]


@pytest.mark.parametrize(("address", "is_ours"), [("https://npiregistry.cms.hhs.gov/api/", False), ("http://127.0.0.1:8765/api/", True)])
def test_what_a_real_service_said_is_not_the_demos(address: str, is_ours: bool, home: Path) -> None:
    with (home / "conf" / "connections.yml").open("a") as connections:
        connections.write(f"\nregistry_of_ours:\n  type: api\n  kind: nppes\n  base_url: {address}\n  tables: {{ref_npi: {{ids_from: provider.npi}}}}\n")
    with (home / "load_config.csv").open("a") as work_list:
        work_list.write("registry_of_ours,network,ref_npi,Incremental,,1,network\n")
    if is_ours:
        assert clear_demo(home)
        return
    with pytest.raises(ConfigError, match=r"load_config\.csv loads registry_of_ours, which the demo did not make"):
        clear_demo(home)
    assert "silver" in below(home)
