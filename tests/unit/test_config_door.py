"""The door: a wrong configuration ends the job with exit code 2 before a lock, a session or a folder is made."""

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import real_project, small_project

from rcm_lakehouse.pipeline import replay_door
from rcm_lakehouse.pipeline.door import main

Job = Callable[[list[str]], int]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RCM_ENV", "RCM_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_every_mistake_is_shown_and_the_job_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/patient.yml", "billed_amount >= 0", "bill_amount >= 0")
    folder.rows("emrr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-a,dbo.visits,Full,,1,../../x")
    before = sorted(tmp_path.rglob("*"))
    assert main(["--home", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("3 mistakes in the configuration; nothing was read or written:\n")
    assert "conf/cdm/patient.yml:" in said.err
    assert "load_config.csv:2: database 'emrr' has no entry in conf/connections.yml. Did you mean 'emr'?" in said.err
    assert "load_config.csv:3: column 7: targetpath '../../x' is no folder under bronze" in said.err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_environment_ends_the_job_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_project(tmp_path)
    assert main(["--home", str(folder.home), "--env", "lcal"]) == 2
    assert "there is no environment 'lcal'; there are local, cluster. Did you mean 'local'?" in capsys.readouterr().err
    assert main(["--home", str(folder.home), "--env", ""]) == 2, "an unset variable of a script is no wish for local"
    monkeypatch.setenv("RCM_ENV", "clster")
    assert main(["--home", str(folder.home)]) == 2
    assert "there is no environment 'clster'" in capsys.readouterr().err


def test_a_load_that_a_verb_does_not_read_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-a,dbo.visits,Full,,1,hosa")
    assert main(["--home", str(tmp_path), "--full-refresh", "hos-a.patients", "--only", "hos-a.patients,hos-a.visits"]) == 2
    assert "--only: hos-a.visits is not read here: a verb reads the loads it names alone (hos-a.patients)." in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


LEFT_OUT = {
    ("--full-refresh", "hos-a.patients", "--layers", "silver,gold"): "--full-refresh: 'hos-a.patients' would not be read, because --layers leaves out bronze.",
    ("--full-refresh", "hos-a.patients", "--only", "patient"): "--full-refresh: 'hos-a.patients' would not be read, because --only leaves it out.",
    ("--reset-watermark", "hos-a.patients", "beginning", "--only", "patient"): "--reset-watermark: 'hos-a.patients' would not be read, because --only",
    ("--from", "2026-01-01", "--to", "2026-02-01", "--only", "hos-a.patients", "--reconcile", "hos-a.patients"): "--reconcile: 'hos-a.patients' is named by",
    ("--reset-watermark", "hos-a.patients", "beginning", "--reconcile", "hos-a.patients"): "'hos-a.patients' is named by --reconcile too, but a reset reads",
    ("--reconcile", "hos-a.patients", "--layers", "silver"): "--reconcile: 'hos-a.patients' would not be read, because --layers leaves out bronze.",
    ("--approve-deletes", "hos-a.visits", "--only", "hos-a.patients"): "--approve-deletes: 'hos-a.visits' would have no effect, because --only leaves it out.",
    ("--approve-deletes", "hos-a.visits", "--layers", "gold"): "--approve-deletes: 'hos-a.visits' would have no effect, because --layers leaves out bronze",
}


@pytest.mark.parametrize("given", LEFT_OUT, ids=" ".join)
def test_a_verb_whose_load_other_options_leave_out_is_refused(given: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path).rows("emr,hos-a,dbo.patients,Incremental,ModifiedDate,1,hosa", "emr,hos-a,dbo.visits,Full,,1,hosa")
    assert main(["--home", str(tmp_path), *given]) == 2
    assert LEFT_OUT[given] in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


def test_a_name_that_nothing_has_ends_the_job_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    assert main(["--home", str(tmp_path), "--only", "hos-a.patient_s"]) == 2
    assert "--only: 'hos-a.patient_s' is no active load, entity or model. Did you mean 'hos-a.patients'?" in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


@pytest.mark.parametrize("verb", ["--full-refresh", "--reconcile", "--approve-deletes"])
def test_a_verb_on_a_load_that_nothing_has_ends_the_job_with_2(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    assert main(["--home", str(tmp_path), verb, "hos-a.patient_s"]) == 2
    assert f"{verb}: 'hos-a.patient_s' is no active load. Did you mean 'hos-a.patients'?" in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


def test_a_table_that_cannot_be_lost_ends_the_job_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    assert main(["--home", str(tmp_path), "--accept-lost", "silver.patent"]) == 2
    assert "--accept-lost: 'silver.patent' is no table of this lakehouse. Did you mean 'silver.patient'?" in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


@pytest.mark.parametrize("names", [["patent,patient"], ["patent", "patient"]])
def test_a_list_given_in_parts_is_one_list(names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    assert main(["--home", str(tmp_path), *[word for name in names for word in ("--only", name)]]) == 2
    assert "--only: 'patent' is" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--only", "--layers", "--reconcile"])
def test_an_empty_list_is_not_taken_for_all(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path), option, " , "])
    assert ended.value.code == 2
    assert f"{option}: the list is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["patent", "hos-a.patients", "billing"])
def test_a_name_whose_quarantine_cannot_be_replayed_is_refused_with_those_that_can(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path)
    assert replay_door.main(["--home", str(tmp_path), "--only", name]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"--only: '{name}' is no entity whose quarantine can be replayed.")
    assert second == "There are: patient, visit."
    assert not (tmp_path / "lakehouse").exists()


def test_a_folder_without_configuration_ends_the_job_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "conf/lakehouse.yml: the file cannot be read: No such file or directory." in said
    assert "load_config.csv: the file cannot be read: No such file or directory." in said


def test_a_cleaner_that_is_not_there_ends_the_job_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real_project(tmp_path).edit("conf/cdm/patient.yml", "clean: ssn", "clean: sns")
    assert main(["--home", str(tmp_path)]) == 2
    assert "column 'ssn': there is no cleaner 'sns'. Did you mean 'ssn'?" in capsys.readouterr().err


NO_DAY, NO_NUMBER = "is not a day in the form YYYY-MM-DD", "is no number from 1 to 64"
MALFORMED = [
    *(("--as-of", given, NO_DAY) for given in ("2026-W10", "20260131", "2026-1-31", "2026-02-30", "", " ")),
    *(("--threads", given, NO_NUMBER) for given in ("0", "65", "", "two")),
]


@pytest.mark.parametrize("job", [main, replay_door.main])
@pytest.mark.parametrize(("option", "given", "wrong"), MALFORMED)
def test_a_day_or_number_in_another_form_is_refused_and_an_empty_day_is_not_today(
    option: str, given: str, wrong: str, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_project(tmp_path)
    with pytest.raises(SystemExit) as ended:
        job(["--home", str(tmp_path), option, given])
    assert ended.value.code == 2
    assert f"argument {option}: {given!r} {wrong}" in capsys.readouterr().err


@pytest.mark.parametrize(("only", "layers", "left"), [("hos-a.patients", "silver,gold", "bronze"), ("patient", "gold", "silver")])
def test_a_name_whose_layer_is_left_out_is_refused(only: str, layers: str, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa")
    assert main(["--home", str(tmp_path), "--only", only, "--layers", layers]) == 2
    assert f"--only: '{only}' would not run, because --layers leaves out {left}.\nNothing was read or written." in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()
