"""conf/lakehouse.yml and conf/connections.yml: values, limits, names and secrets."""

from pathlib import Path

import pytest
from builders import small_project

LAKEHOUSE, CONNECTIONS = "conf/lakehouse.yml", "conf/connections.yml"

# case: (file, what stands there, what a mistaken hand writes, what the one mistake says after its file and line)
WRONG = {
    "unknown key": (LAKEHOUSE, "threads: 2", "thread: 2", "local.thread: this key is not known. Did you mean 'threads'?"),
    "number too small": (LAKEHOUSE, "threads: 2", "threads: 0", "local.threads: expected a whole number from 1 to 64."),
    "text for a number": (LAKEHOUSE, "threads: 2", "threads: many", "local.threads: expected a whole number from 1 to 64."),
    "yes for a share": (LAKEHOUSE, "threads: 2", "quality: {max_bad_share: yes}", "local.quality.max_bad_share: expected a number from 0 to 1."),
    "infinity": (LAKEHOUSE, "threads: 2", "retry: {max_wait_seconds: .inf}", "local.retry.max_wait_seconds: expected a number from 0 to 3,600."),
    "share above one": (LAKEHOUSE, "max_bad_share: 0.2", "max_bad_share: 20", "default.quality.max_bad_share: expected a number from 0 to 1."),
    "a value outside its set": (
        LAKEHOUSE,
        "threads: 2",
        "gold: {ageing_basis: servce}",
        "local.gold.ageing_basis: expected one of service, visit. Did you mean 'service'?",
    ),
    "two layers in one schema": (
        LAKEHOUSE,
        "threads: 2",
        "schemas: {silver: Gold}",
        "local: gold and silver have the same schema; each layer needs its own.",
    ),
    "the longest wait below the first": (
        LAKEHOUSE,
        "threads: 2",
        "retry: {first_wait_seconds: 9, max_wait_seconds: 1}",
        "local: max_wait_seconds is less than first_wait_seconds.",
    ),
    "a block that holds nothing but a text": (LAKEHOUSE, "cluster:\n  root: /Volumes/main/rcm\n  catalog: main\n", "cluster: main\n", "cluster: expected"),
    "a key given twice": (LAKEHOUSE, "threads: 2", "threads: 2\n  threads: 3", "the key 'threads' is given twice."),
    "unknown type": (CONNECTIONS, "type: jdbc", "type: jdcb", "emr: type is not one of jdbc, files, api. Did you mean 'jdbc'?"),
    "no type": (CONNECTIONS, "  type: jdbc\n", "", "emr: the key 'type' is required and missing; it is one of jdbc, files, api."),
    "unknown dialect": (
        CONNECTIONS,
        "dialect: mariadb",
        "dialect: postgres",
        "emr.dialect: expected one of h2, mariadb, mysql, postgresql, sqlserver. Did you mean 'postgresql'?",
    ),
    "no time zone": (CONNECTIONS, "  time_zone: America/New_York\n  tables:\n    visits", "  tables:\n    visits", "emr.time_zone: this key is required"),
    "unknown time zone": (
        CONNECTIONS,
        "time_zone: America/New_York",
        "time_zone: America/NewYork",
        "emr: time_zone is no zone of the IANA database, like America/New_York. Did you mean 'America/New_York'?",
    ),
    "port out of range": (CONNECTIONS, "port: 3306", "port: 70000", "emr.port: expected a whole number from 1 to 65,535."),
    "key of another type": (CONNECTIONS, "  archive: archive\n", "  archiv: archive\n", "landing.archiv: this key is not known. Did you mean 'archive'?"),
    "options of a misspelled table": (
        CONNECTIONS,
        "visits: {overlap",
        "vists: {overlap",
        "emr: no mapping and no row of the work list has the table 'vists'. Did you mean 'visits'?",
    ),
    "parts without a column": (CONNECTIONS, "{overlap_seconds: 900,", "{partitions: 4,", "emr: partitions above 1 need partition_column."),
    "overlap below zero": (CONNECTIONS, "overlap_seconds: 900", "overlap_seconds: -1", "emr.tables.visits.overlap_seconds: expected a whole number from 0 to"),
    "a key column twice": (CONNECTIONS, "key: [VisitID]", "key: [VisitID, visitid]", "emr: key names a column twice."),
    "hours that are none": (
        CONNECTIONS,
        "port: 3306",
        "load_hours: 20:00-24:30",
        "emr.load_hours: expected hours as HH:MM-HH:MM, like 20:00-06:00.",
    ),
    "an h2 database without a path": (CONNECTIONS, "dialect: mariadb\n  host: 127.0.0.1\n  port: 3306\n  database: hospital_a", "dialect: h2", "emr: an h2"),
    "unknown encoding": (CONNECTIONS, '"claims/*.csv"', '"*.csv", encoding: utf8', "landing: encoding is not one of utf-8, "),
    "two delimiters": (CONNECTIONS, '"claims/*.csv"', '"*.csv", delimiter: "||"', "landing: delimiter and quote are one printable character each"),
    "fixed widths without columns": (CONNECTIONS, '"claims/*.csv"', '"*.txt", format: fixed', "landing: format fixed needs `columns`"),
    "widths that run backwards": (
        CONNECTIONS,
        '"claims/*.csv"',
        '"*.txt", format: fixed, columns: [a], widths: [[5, 2]]',
        "landing: each of widths is [first, last], counted from 1, first not after last.",
    ),
    "no header and no columns": (CONNECTIONS, '"claims/*.csv"', '"*.csv", header: false', "landing: without a header line `columns` must name the columns."),
    "an archive that is read again": (CONNECTIONS, "archive: archive", "archive: landing/done", "landing: archive lies in path, where its files would be met"),
    "ids from a column that is not there": (
        CONNECTIONS,
        "ids_from: visit.npi",
        "ids_from: visit.npi_number",
        "registry: ids_from names 'visit.npi_number', which is no column of a contract.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_named_by_file_line_and_key(case: str, tmp_path: Path) -> None:
    file, old, new, says = WRONG[case]
    folder = small_project(tmp_path).edit(file, old, new)
    (found,) = folder.mistakes()
    place, _, mistake = found.partition(": ")
    assert mistake.startswith(says)
    assert place.startswith(f"{file}:")


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(CONNECTIONS, "port: 3306", "prot: 3306").edit(LAKEHOUSE, "catalog: main", "catalog: ma`in")
    places = [mistake.partition(": ")[0] for mistake in folder.mistakes()]
    assert places == [f"{CONNECTIONS}:{folder.line(CONNECTIONS, 'prot')}", f"{LAKEHOUSE}:{folder.line(LAKEHOUSE, 'catalog')}"]


def test_an_unknown_environment_names_those_there_are(tmp_path: Path) -> None:
    assert small_project(tmp_path).mistakes("locla") == ["conf/lakehouse.yml: there is no environment 'locla'; there are local, cluster. Did you mean 'local'?"]


def test_a_mistake_in_another_environment_is_reported_too(tmp_path: Path) -> None:
    (mistake,) = small_project(tmp_path).edit(LAKEHOUSE, "catalog: main", "catalogue: main").mistakes("local")
    assert mistake.endswith("cluster.catalogue: this key is not known. Did you mean 'catalog'?")


def test_an_environment_goes_before_the_default_key_by_key(tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(LAKEHOUSE, "threads: 2", "quality: {min_batch_rows: 7}")
    settings = folder.load().settings
    assert (settings.quality.max_bad_share, settings.quality.min_batch_rows, settings.threads) == (0.2, 7, 2)
    assert folder.load("cluster").settings.quality.min_batch_rows == 200


@pytest.mark.parametrize("file", [LAKEHOUSE, CONNECTIONS, "load_config.csv"])
def test_a_missing_file_is_named(file: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    (tmp_path / file).unlink()
    assert f"{file}: the file cannot be read: No such file or directory." in folder.mistakes()


def test_a_project_without_contracts_is_refused(tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    for path in (tmp_path / "conf/cdm").iterdir():
        path.unlink()
    assert "conf/cdm: there is no contract; expected one file an entity, like conf/cdm/patient.yml." in folder.mistakes()


@pytest.mark.parametrize("value", ["false", "verify-full", "verify-ca"])
def test_tls_may_be_spelled_out(value: str, tmp_path: Path) -> None:
    key, dialect = ("trustServerCertificate", "sqlserver") if value == "false" else ("sslmode", "postgresql")
    folder = small_project(tmp_path).edit(CONNECTIONS, "host: 127.0.0.1", f"host: db.example.org\n  params: {{{key}: '{value}'}}")
    assert folder.edit(CONNECTIONS, "dialect: mariadb", f"dialect: {dialect}").load()


@pytest.mark.parametrize("mode", ["disable", "trust", "prefer", "require", "DISABLE", "0", "off"])
def test_tls_is_not_given_up_in_silence(mode: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path).edit(CONNECTIONS, "host: 127.0.0.1", f"host: db.example.org\n  params: {{sslMode: '{mode}'}}")
    (mistake,) = folder.mistakes()
    assert mistake.endswith("emr: params: sslMode gives up verifying the server; say `insecure: true` if that is meant.")
    assert folder.edit(CONNECTIONS, "  port: 3306", "  port: 3306\n  insecure: true").load()


@pytest.mark.parametrize("kind", ["link", "bytes", "folder"])
def test_what_an_editor_or_a_system_leaves_beside_a_file_is_not_read(kind: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    for name in ("conf/.#connections.yml", "conf/cdm/._patient.yml", "conf/gold/.#second.sql", "conf/monitor/.#late.sql"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to("nobody@nowhere.1234")
        elif kind == "bytes":
            path.write_bytes(b"\x00\x05\x16\x07\xff")
        else:
            path.mkdir()
    (tmp_path / "conf" / "old.yml").mkdir()
    assert folder.load().contracts


@pytest.mark.parametrize("column", range(7))
def test_an_address_in_the_work_list_is_not_shown(column: int, tmp_path: Path) -> None:
    cells = "hospital-a,hos-a,visits,Full,,1,hosa".split(",")
    cells[column] = "jdbc:mariadb://rcm:Hunter2@emr-a/x"
    mistakes = small_project(tmp_path).rows(",".join(cells)).mistakes()
    assert any(line.startswith("load_config.csv:2: column") for line in mistakes)
    assert "Hunter2" not in "".join(mistakes)
