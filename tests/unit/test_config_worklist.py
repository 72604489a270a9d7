"""load_config.csv: what runs unchanged, and every mistake by line and column before anything is read."""

from pathlib import Path

import pytest
from builders import HEADER, real_project, small_project

# Ten rows of the well-known form: five tables a hospital, three of them Incremental, one row active.
TEN_ROWS = "\n".join(
    [
        HEADER,
        *(
            f"trendytech-hospital-{letter},hos-{letter},dbo.{table},{loadtype},{watermark},{active},hos{letter}"
            for letter in "ab"
            for table, loadtype, watermark, active in (
                ("encounters", "Incremental", "ModifiedDate", 0),
                ("patients", "Incremental", "ModifiedDate" if letter == "a" else "Updated_Date", int(letter == "b")),
                ("transactions", "Incremental", "ModifiedDate", 0),
                ("providers", "Full", "", 0),
                ("departments", "Full", "", 0),
            )
        ),
    ]
)
TWO_CONNECTIONS = """
trendytech-hospital-a:
  {type: jdbc, dialect: mariadb, host: emr-a.example.org, database: hospital_a, schemas: {dbo: null}, user: env:A_USER,
   password: env:A_PASSWORD, time_zone: America/New_York}
trendytech-hospital-b:
  {type: jdbc, dialect: sqlserver, host: emr-b.example.org, database: hospital_b, user: env:B_USER,
   password: databricks:emr/hospital-b, time_zone: America/Chicago}
"""

# case: (row in line 2 of an otherwise sound work list, what the one mistake says)
WRONG_ROWS = {
    "unknown database": (
        "emrr,hos-a,dbo.patients,Full,,1,hosa",
        "database 'emrr' has no entry in conf/connections.yml. Did you mean 'emr'?",
    ),
    "loadtype misspelled": (
        "emr,hos-a,dbo.patients,Incremntal,ModifiedDate,1,hosa",
        "column 4: loadtype 'Incremntal' is not one of Full, Incremental. Did you mean 'Incremental'?",
    ),
    "watermark of an incremental table blank": ("emr,hos-a,dbo.patients,Incremental,,1,hosa", "watermark is blank; an Incremental load"),
    "watermark is only a blank": ("emr,hos-a,dbo.patients,Incremental,  ,1,hosa", "watermark is blank; an Incremental load"),
    "is_active is a word": ("emr,hos-a,dbo.patients,Full,,yes,hosa", "column 6: is_active 'yes' is not 0 or 1."),
    "is_active is 2": ("emr,hos-a,dbo.patients,Full,,2,hosa", "column 6: is_active '2' is not 0 or 1."),
    "is_active is blank": ("emr,hos-a,dbo.patients,Full,,,hosa", "column 6: is_active is blank."),
    "database is blank": (",hos-a,dbo.patients,Full,,1,hosa", "column 1: database is blank."),
    "targetpath is blank": ("emr,hos-a,dbo.patients,Full,,1,", "column 7: targetpath is blank."),
    "targetpath climbs out": ("emr,hos-a,dbo.patients,Full,,1,../hosa", "column 7: targetpath '../hosa' is no folder under bronze"),
    "data source in capitals": ("emr,HOS-A,dbo.patients,Full,,1,hosa", "column 2: datasource 'HOS-A' is no data source code"),
    "data source named as the sum of all": ("emr,all,dbo.patients,Full,,1,hosa", "column 2: datasource 'all' is a name that gold tables use"),
    "unknown table": ("emr,hos-a,dbo.patiens,Full,,1,hosa", "tablename 'dbo.patiens' is taken by no mapping in conf/cdm. Did you mean 'patients'?"),
    "catalog before the schema": ("emr,hos-a,emr.dbo.patients,Full,,1,hosa", "column 3: tablename 'emr.dbo.patients' is no table name"),
    "a cell too few": ("emr,hos-a,dbo.patients,Full,1,hosa", "6 cells where the header has 7."),
    "a cell too many": ("emr,hos-a,dbo.patients,Full,,1,hosa,x", "8 cells where the header has 7."),
    "a quote that is not closed": ('emr,hos-a,"dbo.patients,Full,,1,hosa', "this line is no CSV: "),
    "files without a pattern": (
        "landing,hos-a,visits,Full,,1,hosa",
        "'hos-a.visits' has no entry under `tables` of 'landing' in conf/connections.yml that gives its file pattern.",
    ),
}

# case: (first line, what the mistakes say)
WRONG_HEADERS = {
    "a typo": (HEADER.replace("watermark", "watermrk"), ["column 5: 'watermrk' is not one of", "Did you mean 'watermark'?", "missing columns: watermark."]),
    "one more": (f"{HEADER},schedule", ["column 8: 'schedule' is not one of"]),
    "a blank one": (HEADER.replace("loadtype", ""), ["column 4: '' is not one of", "missing columns: loadtype."]),
    "one twice": (HEADER.replace("watermark", "database"), ["column 1: 'database' is given twice.", "missing columns: watermark."]),
    "semicolons": (HEADER.replace(",", ";"), ["column 1: ", "missing columns: database, datasource, tablename"]),
    "no header": ("emr,hos-a,dbo.patients,Full,,1,hosa", ["column 1: 'emr' is not one of", "missing columns: "]),
}


@pytest.mark.parametrize("case", WRONG_ROWS)
def test_a_wrong_row_is_named_by_line_and_column(case: str, tmp_path: Path) -> None:
    row, says = WRONG_ROWS[case]
    (mistake,) = small_project(tmp_path).rows(row).mistakes()
    assert mistake.startswith(f"load_config.csv:2: {says}")


@pytest.mark.parametrize("case", WRONG_HEADERS)
def test_D10_a_wrong_header_is_named_by_column(case: str, tmp_path: Path) -> None:
    header, says = WRONG_HEADERS[case]
    mistakes = small_project(tmp_path).write("load_config.csv", f"{header}\nemr,hos-a,dbo.patients,Full,,1,hosa\n").mistakes()
    assert all(mistake.startswith("load_config.csv:1: ") for mistake in mistakes)
    assert [text for text in says if text not in "\n".join(mistakes)] == []


def test_D10_a_blank_key_cell_is_named_with_line_and_column(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,,,Full,,1,hosa")
    assert folder.mistakes() == ["load_config.csv:3: column 2: datasource is blank.", "load_config.csv:3: column 3: tablename is blank."]


def test_an_empty_work_list_says_what_was_expected(tmp_path: Path) -> None:
    (mistake,) = small_project(tmp_path).write("load_config.csv", "").mistakes()
    assert mistake == f"load_config.csv:1: the file is empty; expected the header {HEADER}."


def test_all_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Incremntal,,7,../x", "nowhere,hos-a,dbo.visits,Full,,1,hosa")
    folder.edit("conf/lakehouse.yml", "threads: 2", "threads: 0").edit("conf/connections.yml", "dialect: mariadb", "dialect: oracle")
    folder.edit("conf/cdm/patient.yml", "billed_amount >= 0", "bill_amount >= 0").edit("conf/gold/billing.sql", "silver.patient WHERE", "silver.patent WHERE")
    places = {mistake.partition(": ")[0] for mistake in folder.mistakes()}
    assert places == {
        "load_config.csv:2",
        "load_config.csv:3",
        f"conf/lakehouse.yml:{folder.line('conf/lakehouse.yml', 'threads')}",
        f"conf/connections.yml:{folder.line('conf/connections.yml', 'dialect')}",
        f"conf/cdm/patient.yml:{folder.line('conf/cdm/patient.yml', 'bill_amount')}",
        f"conf/gold/billing.sql:{folder.line('conf/gold/billing.sql', 'silver.patent')}",
    }


def test_a_file_that_cannot_be_read_makes_no_mistakes_elsewhere(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/patient.yml", "grain: one patient of one hospital\n", "")
    assert folder.mistakes() == ["conf/cdm/patient.yml:1: grain: this key is required and missing."]


@pytest.mark.parametrize("spelling", ["Full", "full", "FULL", " fUlL "])
def test_loadtype_is_read_in_any_case(spelling: str, tmp_path: Path) -> None:
    project = small_project(tmp_path).rows(f"emr,hos-a,dbo.patients,{spelling},,1,hosa").load()
    assert project.loads[0].loadtype == "Full"


def test_a_byte_order_mark_crlf_blank_lines_and_quotes_change_nothing(tmp_path: Path) -> None:
    text = f'{HEADER}\r\n"emr","hos-a","dbo.patients","Full","","1","hosa"\r\n\r\n ,,,,,,\r\n'
    project = small_project(tmp_path).write("load_config.csv", b"\xef\xbb\xbf" + text.encode()).load()
    assert [(row.line, row.label, row.bronze_table, row.bronze_path) for row in project.loads] == [
        (2, "hos-a.patients", "hosa_patients", "bronze/hosa/patients")
    ]


def test_a_work_list_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (mistake,) = small_project(tmp_path).write("load_config.csv", HEADER.encode("utf-16")).mistakes()
    assert mistake == "load_config.csv: the file cannot be read: it is not UTF-8."


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    order = "targetpath,is_active,watermark,loadtype,tablename,datasource,database"
    project = small_project(tmp_path).write("load_config.csv", f"{order}\nhosa,1,ModifiedDate,incremental,dbo.patients,hos-a,emr\n").load()
    assert (project.loads[0].database, project.loads[0].watermark, project.loads[0].targetpath) == ("emr", "ModifiedDate", "hosa")


def test_D11_two_rows_with_one_target_are_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-b,patients,Full,,1,HOSA/")
    assert folder.mistakes() == [
        "load_config.csv:3: target 'bronze/hosa/patients' is the target of line 2 too; two loads may not share one.",
    ]


def test_D11_two_paths_that_make_one_table_name_are_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", "[visits, claims]", "[visits, claims, b_visits]")
    folder.rows("emr,hos-a,dbo.b_visits,Full,,1,a", "emr,hos-b,dbo.visits,Full,,1,a/b")
    (mistake,) = folder.mistakes()
    assert mistake.startswith("load_config.csv:3: target 'a_b_visits' is the target of line 2 too")


def test_D11_a_hyphen_of_a_path_is_an_underscore_in_the_tables_name(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hos-a/x-1", "emr,hos-b,patients,Full,,1,hos_a/x_1")
    (mistake,) = folder.mistakes()
    assert mistake.startswith("load_config.csv:3: target 'hos_a_x_1_patients' is the target of line 2 too")


def test_D11_a_target_inside_the_table_of_another_row_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-a,dbo.visits,Full,,1,hosa/patients")
    (mistake,) = folder.mistakes()
    assert mistake == "load_config.csv:3: target 'bronze/hosa/patients/visits' lies inside the table of line 2, 'bronze/hosa/patients'."


def test_D11_one_source_table_loaded_twice_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-a,old.patients,Full,,1,hosa_old")
    assert folder.mistakes() == ["load_config.csv:3: 'hos-a.patients' is loaded by line 2 too."]
    folder.rows("emr,hos-a,dbo.patients,Full,,1,hosa", "emr,hos-a,dbo.patients,Full,,1,hosa")
    assert folder.mistakes() == ["load_config.csv:3: 'hos-a.patients' is loaded by line 2 too."]


def test_I29_a_row_that_is_not_active_is_kept_but_neither_loaded_nor_asked_for(tmp_path: Path) -> None:
    folder = small_project(tmp_path).rows(
        "emr,hos-a,dbo.patients,Full,,1,hosa", "gone,hos-b,dbo.patients,Incremental,,0,hosa", "gone,hos-b,dbo.unheard_of,Full,,0,hosb"
    )
    project = folder.load()
    assert [row.label for row in project.active_loads] == ["hos-a.patients"]
    assert [row.label for row in project.loads] == ["hos-a.patients", "hos-b.patients", "hos-b.unheard_of"]


def test_the_ten_row_work_list_of_the_well_known_form_runs_unchanged(tmp_path: Path) -> None:
    folder = real_project(tmp_path)
    connections = (tmp_path / "conf/connections.yml").read_text(encoding="utf-8")
    project = folder.write("conf/connections.yml", connections + TWO_CONNECTIONS).write("load_config.csv", TEN_ROWS).load()
    assert len(project.loads) == 10
    assert [(row.label, row.watermark, row.bronze_path) for row in project.active_loads] == [("hos-b.patients", "Updated_Date", "bronze/hosb/patients")]
    everything = folder.write("load_config.csv", TEN_ROWS.replace(",0,", ",1,")).load()
    assert len(everything.active_loads) == 10
    assert {row.source_schema for row in everything.loads} == {"dbo"}


def test_another_work_list_may_stand_in_its_place(tmp_path: Path) -> None:
    folder = small_project(tmp_path).write("other.csv", f"{HEADER}\nemr,hos-a,dbo.patients,Full,,2,hosa\n")
    (mistake,) = folder.mistakes(load_config=tmp_path / "other.csv")
    assert mistake.startswith("other.csv:2: ")


# An overlap reads rows again. Only a key tells a row met again from one that changed back to what it was.
KEYLESS = ("source_visit_id: VisitID", "source_visit_id: \"=concat(VisitID, '-', Line)\"")


@pytest.mark.parametrize("options", ["{}", "{overlap_seconds: 900}", "{fetch_size: 10}"])
def test_I04_an_overlap_without_a_key_is_refused(options: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", *KEYLESS)
    folder.edit("conf/connections.yml", "{overlap_seconds: 900, key: [VisitID]}", options)
    (mistake,) = folder.mistakes()
    assert mistake == (
        "load_config.csv:3: 'hos-a.visits' is read with an overlap but has no key that tells a row met again from a changed one: "
        "give `key`, or `overlap_seconds: 0`, under `tables` of 'emr' in conf/connections.yml."
    )


@pytest.mark.parametrize("options", ["{overlap_seconds: 0}", "{key: [VisitID, Line]}", "{key: [VisitID], overlap_seconds: 60}"])
def test_I04_a_key_or_no_overlap_is_accepted(options: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", *KEYLESS)
    assert folder.edit("conf/connections.yml", "{overlap_seconds: 900, key: [VisitID]}", options).load().active_loads


def test_I04_a_full_load_needs_no_key(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", *KEYLESS).edit("conf/connections.yml", "{overlap_seconds: 900, key: [VisitID]}", "{}")
    assert folder.edit("load_config.csv", "dbo.visits,Incremental,ModifiedDate", "dbo.visits,Full,").load().active_loads


def test_I04_reconciling_without_a_key_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", *KEYLESS)
    folder.edit("conf/connections.yml", "{overlap_seconds: 900, key: [VisitID]}", "{overlap_seconds: 0, reconcile: daily}")
    (mistake,) = folder.mistakes()
    assert mistake.startswith("load_config.csv:3: 'hos-a.visits' is to be reconciled but has no key to compare by")


def test_D05_a_changed_key_list_changes_the_configurations_hash(tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    before = folder.load().config_hash
    assert folder.load().config_hash == before
    folder.edit("conf/cdm/visit.yml", "key: [source_visit_id]", "key: [source_visit_id, npi]")
    assert folder.load().config_hash != before


def test_D05_a_key_column_that_is_not_there_or_not_mapped_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit("conf/cdm/visit.yml", "key: [source_visit_id]", "key: [source_visit]")
    assert folder.mistakes() == ["conf/cdm/visit.yml:4: key names column 'source_visit', which the contract does not have. Did you mean 'source_visit_id'?"]
    folder.edit("conf/cdm/visit.yml", "key: [source_visit]", "key: [source_visit_id, npi]").edit("conf/cdm/visit.yml", ", npi: NPI", "")
    assert folder.mistakes() == [
        f"conf/cdm/visit.yml:{folder.line('conf/cdm/visit.yml', '- name: emr')}: mapping 'emr' does not map the key column 'npi'."
    ]
