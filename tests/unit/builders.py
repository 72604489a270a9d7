"""Small project folders for tests of the configuration: the files of `conf/` and the work list, written, edited and loaded."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.silver.cleaning import CLEANERS

REPOSITORY = Path(__file__).resolve().parents[2]
HEADER = "database,datasource,tablename,loadtype,watermark,is_active,targetpath"

LAKEHOUSE = """\
default:
  quality: {max_bad_share: 0.2}
local:
  root: lakehouse
  threads: 2
cluster:
  root: /Volumes/main/rcm
  catalog: main
"""

CONNECTIONS = """\
emr:
  type: jdbc
  dialect: mariadb
  host: 127.0.0.1
  port: 3306
  database: hospital_a
  schemas: {dbo: null}
  user: env:EMR_USER
  password: env:EMR_PASSWORD
  time_zone: America/New_York
  tables:
    visits: {overlap_seconds: 900, key: [VisitID]}
landing:
  type: files
  path: landing
  archive: archive
  time_zone: America/New_York
  tables:
    claims: {pattern: "claims/*.csv"}
registry:
  type: api
  kind: nppes
  base_url: https://npiregistry.cms.hhs.gov/api/
  tables:
    ref_npi: {ids_from: visit.npi}
"""

WORK_LIST = f"""\
{HEADER}
emr,hos-a,dbo.patients,Incremental,ModifiedDate,1,hosa
emr,hos-a,dbo.visits,Incremental,ModifiedDate,1,hosa
landing,hos-a,claims,Incremental,,1,hosa
"""

PATIENT = """\
entity: patient
description: A person.
grain: one patient of one hospital
key: [source_patient_id]
sequence_by: [source_modified_at]
columns:
  - {name: source_patient_id, type: string}
  - {name: first_name, type: string, clean: proper_name}
  - {name: billed_amount, type: "decimal(18,2)"}
  - {name: has_name, type: boolean, derive: "first_name IS NOT NULL"}
  - {name: source_modified_at, type: timestamp, tracked: false}
sources:
  - name: emr
    tables: [patients]
    columns: {source_patient_id: PatientID, first_name: "=upper(FirstName)", billed_amount: Billed, source_modified_at: ModifiedDate}
    where: "PatientID IS NOT NULL"
rules:
  - {name: first_name_present, check: "first_name IS NOT NULL", columns: [first_name]}
  - {name: billed_not_negative, check: "billed_amount >= 0", columns: [billed_amount]}
"""

VISIT = """\
entity: visit
description: A visit.
grain: one visit of one hospital
key: [source_visit_id]
after: [patient]
columns:
  - {name: source_visit_id, type: string}
  - {name: patient_key, type: string, key_of: patient}
  - {name: npi, type: string, clean: digits}
sources:
  - name: emr
    tables: [visits, claims]
    columns: {source_visit_id: VisitID, patient_key: PatientID, npi: NPI}
rules:
  - {name: patient_known, references: patient, columns: [patient_key]}
"""

MODEL = """\
/*
grain: one hospital
description: Patients and what was billed.
key: [data_source]
measures: {billed_amount: US dollars}
ties_out: {billed_amount: silver.patient.billed_amount}
*/
SELECT data_source, sum(billed_amount) AS billed_amount, count_if(first_name IS NULL) AS nameless, max(to_date(:as_of)) AS as_of_date
FROM silver.patient WHERE is_current GROUP BY data_source
"""

MONITOR = """\
/*
title: T
row: a row
severity: warn
parameters:
  days: {meaning: m, default: 1}
*/
SELECT run_id FROM audit.runs
WHERE 1 < :days
"""

SMALL = {
    "load_config.csv": WORK_LIST,
    "conf/lakehouse.yml": LAKEHOUSE,
    "conf/connections.yml": CONNECTIONS,
    "conf/cdm/patient.yml": PATIENT,
    "conf/cdm/visit.yml": VISIT,
    "conf/gold/billing.sql": MODEL,
}

Edit = tuple[str, str, str]  # file, what stands there, what a mistaken hand writes
Mistake = tuple[str, str, str]  # file, a text of the line, what is said of it


@dataclass(frozen=True)
class ProjectFolder:
    """A project folder that a test may spoil."""

    home: Path

    def write(self, file: str, text: str | bytes) -> "ProjectFolder":
        """A whole file; folders are made."""
        path = self.home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def edit(self, file: str, old: str, new: str) -> "ProjectFolder":
        """Replace the first place of `old`, which must be there."""
        text = (self.home / file).read_text(encoding="utf-8")
        assert old in text, f"{file} has no {old!r}"
        return self.write(file, text.replace(old, new, 1))

    def rows(self, *rows: str) -> "ProjectFolder":
        """The work list with these rows; the first stands in line 2."""
        return self.write("load_config.csv", "\n".join([HEADER, *rows]) + "\n")

    def line(self, file: str, text: str) -> int:
        """The number of the first line that holds `text`."""
        lines = (self.home / file).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def load(self, environment: str = "local", **options: Path) -> Project:
        """The project, as a run reads it."""
        return load_project(self.home, environment, cleaner_names=frozenset(CLEANERS), **options)

    def mistakes(self, environment: str = "local", **options: Path) -> list[str]:
        """The mistakes that loading it reports, one text each; the test fails when it is accepted."""
        with pytest.raises(ConfigError) as caught:
            self.load(environment, **options)
        first, *mistakes = str(caught.value).split("\n")
        assert first.endswith("in the configuration; nothing was read or written:")
        assert first.startswith(f"{len(mistakes)} mistake")
        return mistakes


def small_project(home: Path) -> ProjectFolder:
    """A sound project of two entities, one model and one connection of each type; loading it takes milliseconds."""
    folder = ProjectFolder(home)
    for file, text in SMALL.items():
        folder.write(file, text)
    return folder


def watched_project(home: Path) -> ProjectFolder:
    """The small project with a feed calendar and a monitor."""
    return small_project(home).write("conf/monitor/feeds.yml", 'hos-a.patients: {by: "06:00"}\n').write("conf/monitor/runs.sql", MONITOR)


def real_project(home: Path) -> ProjectFolder:
    """A copy of this repository's own `conf/` and work list."""
    shutil.copytree(REPOSITORY / "conf", home / "conf")
    shutil.copy(REPOSITORY / "load_config.csv", home)
    return ProjectFolder(home)


def told(folder: ProjectFolder, expected: list[Mistake]) -> list[str]:
    """What is expected and not said, and what is said and not expected."""
    mistakes = folder.mistakes()
    lacking = []
    for file, marked, says in expected:
        start = f"{file}:{folder.line(file, marked)}: {says}"
        found = next((mistake for mistake in mistakes if mistake.startswith(start)), None)
        if found is None:
            lacking.append(f"not said: {start}")
        else:
            mistakes.remove(found)
    return [*lacking, *(f"said: {mistake}" for mistake in mistakes)]


def spoiled(folder: ProjectFolder, edits: list[Edit]) -> ProjectFolder:
    """The folder after all these edits."""
    for edit in edits:
        folder.edit(*edit)
    return folder


def untold_in_one_round(home: Path, edits: list[Edit], expected: list[Mistake]) -> list[str]:
    """What `told` says of the project of `watched_project`, which is sound, behind these edits."""
    folder = watched_project(home)
    assert set(folder.load().monitors) == {"runs"}
    return told(spoiled(folder, edits), expected)
