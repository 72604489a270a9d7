"""What contracts and the machine expect of a file's header. No Spark."""

from pathlib import Path

import pytest
from builders import small_project
from files_read import read

from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.pipeline.files_rows import expected_columns
from rcm_lakehouse.sources.files_header import Expected


def _expected(home: Path) -> Expected:
    folder = small_project(home)
    where = "columns: {source_visit_id: VisitID, patient_key: PatientID, npi: NPI}"
    project = folder.edit("conf/cdm/visit.yml", where, where.replace("NPI}", '"=upper(NPI)"}') + "\n    where: \"Status <> 'void'\"").load()
    return expected_columns(project, next(row for row in project.loads if row.source_table == "claims"), ())


def test_D03_a_column_that_an_expression_of_the_mapping_reads_is_required(tmp_path: Path) -> None:
    expected = _expected(tmp_path)
    assert (expected.used, expected.required) == (("VisitID", "PatientID", "NPI", "Status"), ("VisitID", "NPI", "Status"))
    with pytest.raises(SourceDataError, match="its header lacks the columns 'NPI', 'Status'"):
        read(tmp_path, "VisitID,PatientID\nV1,P1\n", expected)


@pytest.mark.parametrize("name", ["_told", "_unread", "_file", "_rank", "_salt", "_Load_ID"])
def test_D09_a_column_named_like_one_of_the_way_to_silver_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceDataError, match=f"the column '{name}', a name that the lakehouse gives"):
        read(tmp_path, f"VisitID,NPI,Status,{name}\nV1,1,ok,x\n", _expected(tmp_path))
