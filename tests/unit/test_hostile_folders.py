"""Links cannot lead out: neither a configured folder that is a link, nor a link that someone lays into a landing folder."""

from pathlib import Path

import pytest
from builders import small_project

from rcm_lakehouse.config.secrets import is_reference
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.sources.files_landing import landed

CONNECTIONS = "conf/connections.yml"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/etc", "lies in a folder of the operating system."),
        (".", "would take in the project's own folder; name one below it or elsewhere."),
        ("conf", "lies in a folder of the project itself"),
        ("lakehouse/silver", "takes in the lakehouse's own tables."),
    ],
)
def test_a_landing_folder_that_is_a_link_is_judged_by_what_it_leads_to(target: str, says: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    (tmp_path / "lakehouse" / "silver").mkdir(parents=True)
    (tmp_path / "landing").symlink_to(tmp_path / target, target_is_directory=True)
    place = f"{CONNECTIONS}:{folder.line(CONNECTIONS, 'path: landing')}"
    assert any(mistake.startswith(f"{place}: landing: path {says}") for mistake in folder.mistakes())


def test_a_lakehouse_that_is_a_link_into_the_program_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lakehouse").symlink_to(tmp_path / "lib", target_is_directory=True)
    assert any("local: root lies in a folder of the project itself" in mistake for mistake in folder.mistakes())


def test_a_landing_folder_elsewhere_and_a_lakehouse_on_another_disk_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").mkdir()
    folder = small_project(tmp_path / "home").edit(CONNECTIONS, "path: landing", f"path: {tmp_path}/inbox")
    (tmp_path / "home" / "lakehouse").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert folder.load().settings.root == "lakehouse"


def test_links_in_a_landing_folder_are_left_alone(tmp_path: Path) -> None:
    outside, landing = tmp_path / "outside", tmp_path / "landing"
    (landing / "claims").mkdir(parents=True)
    outside.mkdir()
    (outside / "payroll.csv").write_text("Name\nsecret\n")
    (landing / "claims" / "good.csv").write_text("ClaimID\n1\n")
    (landing / "claims" / "link.csv").symlink_to(outside / "payroll.csv")
    (landing / "claims" / "up").symlink_to(outside, target_is_directory=True)
    for pattern in ("claims/*.csv", "**/*.csv", "claims/*/*.csv", "claims/up/*.csv"):
        assert {path.name for path in landed(landing, pattern).files} <= {"good.csv"}


def test_every_table_of_a_sound_work_list_lies_below_the_root(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,a/b-c/d_e/", "emr,hos-b,dbo.patients,Full,,1,HOSB")
    project = folder.load()
    root = Path(Lake(None, project.settings, tmp_path).root)  # type: ignore[arg-type]
    assert root == tmp_path / "lakehouse"
    for row in project.loads:
        assert (root / row.bronze_path).resolve().is_relative_to(root / "bronze")


@pytest.mark.parametrize("reference", ["file:lakehouse/demo/h2_password", "file:/run/secrets/emr", "env:EMR_PASSWORD", "databricks:emr/hospital-b"])
def test_an_honest_reference_is_one(reference: str) -> None:
    assert is_reference(reference)
