"""Monitors and the feed calendar as configuration: every mistake is told with its place, before anything is read."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from harness import PROJECT
from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.feeds import Feed, idle_entries
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.monitors import Monitor, Parameter
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.pipeline.status import Found, Status
from rcm_lakehouse.pipeline.status_door import main, verdict


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The project's own configuration in a folder of its own."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    shutil.copy(PROJECT / "load_config.csv", tmp_path)
    return tmp_path


def problems(home: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_project(home)
    return str(caught.value).splitlines()[1:]


def put(home: Path, name: str, text: str) -> None:
    (home / "conf" / "monitor" / name).write_text(text)


def header(*lines: str, sql: str = "SELECT run_id FROM audit.runs") -> str:
    return "\n".join(["/*", "title: T", "row: a row", *lines, "*/", sql])


BY_POSITION = ":6: it names the columns of a table that holds rows of people anew, by their position; give them new names in a SELECT."
# case: (file, what is said of it)
BROKEN_MONITORS = {
    "no header": ("SELECT 1", ":1: expected a leading comment /* … */ with title, row and severity."),
    "no severity": (header(), ":1: severity: this key is required and missing."),
    "unknown severity": (header("severity: warning"), ":4: severity: expected one of info, warn, error. Did you mean 'warn'?"),
    "unknown key": (header("severity: warn", "sevrity: x"), ":5: sevrity: this key is not known. Did you mean 'severity'?"),
    "two statements": (header("severity: warn", sql="SELECT 1; SELECT 2"), ":6: a semicolon: one expression or one SELECT, nothing after it."),
    "it writes": (
        header("severity: warn", sql="DELETE FROM audit.runs"),
        ":6: 'DELETE' is not allowed here: one SELECT that only reads. A column of that name stands in backticks.",
    ),
    "it asks the clock": (
        header("severity: warn", sql="SELECT now() AS at"),
        ":6: 'now' may not be called here: a second run would differ; a model has :as_of.",
    ),
    "a table that does not exist": (
        header("severity: warn", sql="SELECT run_id FROM audit.load_log"),
        ":6: it reads 'audit.load_log', which does not exist. Did you mean 'audit.load_logs'?",
    ),
    "a parameter without a declaration": (
        header("severity: warn", "parameters:", "  max_days: {default: 1, meaning: m}", sql="SELECT :max_day AS a, :max_days AS b, run_id FROM audit.runs"),
        ":5: it uses ':max_day', which the header's parameters do not name. Did you mean 'max_days'?",
    ),
    "a parameter that is not used": (header("severity: warn", "parameters:", "  days: {default: 1, meaning: m}"), ":6: parameters: ':days' is not used."),
    "a parameter without a default": (
        header("severity: warn", "parameters:", "  days: {meaning: m}", sql="SELECT run_id FROM audit.runs WHERE process > :days"),
        ":6: parameters: ':days' needs a default.",
    ),
    "now has a default": (
        header("severity: warn", "parameters:", "  now: {meaning: m, default: x}", sql="SELECT run_id FROM audit.runs WHERE started_at > :now"),
        ":6: parameters: ':now' is given by whoever runs it and has no default.",
    ),
    "entity without for_each": (
        header("severity: warn", "parameters:", "  entity: {meaning: m}", sql="SELECT version FROM IDENTIFIER('silver.' || :entity)"),
        ":1: `for_each: entity` and :entity go together.",
    ),
    "another name by parameter": (
        header("severity: warn", "parameters:", "  entity: {meaning: m}", sql="SELECT version FROM IDENTIFIER('bronze.' || :entity)"),
        ":8: 'identifier' may not be called here: it reaches outside the row.",
    ),
    "a person's column": (
        header("severity: warn", sql="SELECT max(p.Last_Name) AS n FROM silver.patient p"),
        ":6: it names 'last_name', which describes a person or a row as delivered; a monitor shows counts and audit rows.",
    ),
    "a source's column": (
        header("severity: warn", sql="SELECT count(DISTINCT PhoneNumber) AS n FROM bronze.hosa_patients"),
        ":6: it names 'phonenumber', which describes a person or a row as delivered; a monitor shows counts and audit rows.",
    ),
    "the raw row": (
        header("severity: warn", sql="SELECT raw_row FROM quarantine.patient"),
        ":6: it names 'raw_row', which describes a person or a row as delivered; a monitor shows counts and audit rows.",
    ),
    "all columns": (
        header("severity: warn", sql="WITH people AS (SELECT * FROM silver.patient) SELECT count(*) AS n FROM people"),
        ":6: it takes * from a table that holds rows of people; name the columns.",
    ),
    "all columns in a structure": (
        header("severity: warn", sql="SELECT to_json(struct(p.*)) AS j FROM silver.patient p"),
        ":6: it takes * from a table that holds rows of people; name the columns.",
    ),
    "columns by position": (header("severity: warn", sql="SELECT e, count(*) AS n FROM silver.patient AS q(a, b, c, d, e) GROUP BY e"), BY_POSITION),
    "the raw row by position": (header("severity: warn", sql="SELECT a FROM quarantine.patient AS q(a, b)"), BY_POSITION),
    "columns of a join by position": (
        header("severity: warn", sql="SELECT a FROM audit.runs JOIN (silver.patient p JOIN audit.load_logs l ON true) q(a, b) ON true"),
        BY_POSITION,
    ),
    "columns of a pivot by position": (
        header("severity: warn", sql="SELECT a FROM silver.patient PIVOT (count(version) FOR is_current IN (true)) q(a, b)"),
        BY_POSITION,
    ),
    "a personal column as a row": (
        header("severity: warn", sql="SELECT v FROM silver.patient UNPIVOT (v FOR k IN (last_name))"),
        ":6: it names 'last_name', which describes a person or a row as delivered; a monitor shows counts and audit rows.",
    ),
}


def test_every_mistake_of_a_monitor_is_told_with_its_place(home: Path) -> None:
    for number, (text, _) in enumerate(BROKEN_MONITORS.values()):
        put(home, Path(place(number)).name, text)
    said = problems(home)
    found = {case: [line.removeprefix(place(number)) for line in said if line.startswith(place(number))] for number, case in enumerate(BROKEN_MONITORS)}
    assert {case: lines for case, lines in found.items() if BROKEN_MONITORS[case][1] not in lines} == {}


def test_a_monitor_may_read_the_folded_rows_of_a_quarantine(home: Path) -> None:
    put(home, "old_rows.sql", header("severity: warn", sql="SELECT q.status, count(*) AS n FROM quarantine.claim_rows q GROUP BY 1"))
    assert load_project(home).monitors["old_rows"].tables == ("quarantine.claim_rows",)


@pytest.mark.parametrize("column", ["record_hash", "_row_hash"])
def test_a_monitor_shows_no_hash_of_a_person(column: str, home: Path) -> None:
    put(home, "hashes.sql", header("severity: warn", sql=f"SELECT patient_key, {column} AS h FROM silver.patient"))
    assert any(line.startswith("conf/monitor/hashes.sql:6") and column in line for line in problems(home))


def place(number: int) -> str:
    return f"conf/monitor/case_{number:02d}.sql"


# case: (an entry of feeds.yml, what is said of it)
BROKEN_FEEDS = {
    "an unknown load": ("hos-a.pateints: {max_age_days: 1}", "'hos-a.pateints' is no load of load_config.csv. Did you mean 'hos-a.patients'?"),
    "a time without quotes": ("hos-a.claims: {by: 10:00}", 'hos-a.claims.by: expected a time in quotes, like "06:00".'),
    "no time": ('hos-b.claims: {by: "25:00"}', 'hos-b.claims.by: expected a time in quotes, like "06:00".'),
    "an unknown weekday": (
        'hos-a.patients: {by: "06:00", weekdays: [monday]}',
        "hos-a.patients.weekdays.0: expected one of mon, tue, wed, thu, fri, sat, sun. Did you mean 'mon'?",
    ),
    "an unknown day": ('hos-b.patients: {by: "06:00", days_of_month: [0]}', "hos-b.patients.days_of_month: days of a month are 1 to 31."),
    "an unknown key": ('hos-a.encounters: {by: "06:00", zone: UTC}', "hos-a.encounters.zone: this key is not known. Did you mean 'time_zone'?"),
    "an unknown zone": (
        'hos-b.encounters: {by: "06:00", time_zone: America/New_Yrok}',
        "hos-b.encounters: time_zone is no zone of the IANA database, like America/New_York. Did you mean 'America/New_York'?",
    ),
    "nothing expected": (
        "hos-a.providers: {needs_rows: true}",
        "hos-a.providers: expected `by`, `max_age_days` or both; `is_watched: false` leaves a load out.",
    ),
    "days without a time": (
        "hos-b.providers: {max_age_days: 9, weekdays: [mon]}",
        "hos-b.providers: weekdays, days_of_month and not_on need `by`, the time of day.",
    ),
}


def test_every_mistake_of_the_calendar_is_told_with_its_line(home: Path) -> None:
    put(home, "feeds.yml", "\n".join(entry for entry, _ in BROKEN_FEEDS.values()) + "\n")
    assert problems(home) == [f"conf/monitor/feeds.yml:{number}: {text}" for number, (_, text) in enumerate(BROKEN_FEEDS.values(), 1)]


def feeds_of(home: Path, *lines: str) -> Project:
    put(home, "feeds.yml", "\n".join(lines) + "\n")
    return load_project(home)


def test_an_own_entry_goes_before_that_of_the_data_source_and_zones_come_from_the_connection(home: Path) -> None:
    project = feeds_of(home, 'hos-b.*: {by: "06:00"}', 'hos-b.claims: {by: "09:00", not_on: ["2026-12-25"], time_zone: UTC}')
    found = {item.tablename: item for item in project.feeds}
    assert sorted(found) == ["claims", "departments", "encounters", "patients", "providers", "transactions"]
    assert (found["patients"].feed.by, found["patients"].time_zone) == ("06:00", "America/Chicago")
    assert (found["claims"].feed.by, found["claims"].time_zone, found["claims"].feed.not_on) == ("09:00", "UTC", (date(2026, 12, 25),))


def test_loads_that_are_not_active_or_not_watched_are_not_waited_for(home: Path) -> None:
    work_list = home / "load_config.csv"
    work_list.write_text(re.sub(r"(hospital-a,.*providers.*),1,hosa", r"\1,0,hosa", work_list.read_text()))
    found = {item.tablename for item in feeds_of(home, 'hos-a.*: {by: "06:00"}', "hos-a.claims: {is_watched: false}").feeds}
    assert found == {"departments", "patients", "encounters", "transactions"}


def test_an_entry_that_fits_no_load_is_told_by_the_status(home: Path) -> None:
    project = feeds_of(home, 'hos-c.patients: {by: "06:00"}', 'hos-c.*: {by: "06:00"}')
    assert project.feeds == ()
    told = [line.split(" fits no row")[0] for line in idle_entries(home, project.loads)]
    assert told == ["conf/monitor/feeds.yml:1: 'hos-c.patients'", "conf/monitor/feeds.yml:2: 'hos-c.*'"]


def test_a_project_without_monitors_is_a_project(home: Path) -> None:
    shutil.rmtree(home / "conf" / "monitor")
    project = load_project(home)
    assert (project.monitors, project.feeds) == ({}, ())


def test_every_monitor_and_every_key_of_the_calendar_is_documented() -> None:
    project = load_project(PROJECT)
    text = (PROJECT / "docs" / "monitoring.md").read_text()
    names = [*project.monitors, *Feed.model_fields]
    assert [name for name in names if f"`{name}`" not in text] == []
    assert {monitor.severity for monitor in project.monitors.values()} == {"info", "warn", "error"}


def test_names_and_times_that_do_not_exist_end_with_code_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home), "--only", "late_feed"]) == 2
    assert "'late_feed' is no monitor. Did you mean 'late_feeds'?" in capsys.readouterr().err
    put(home, "broken.sql", "SELECT 1")
    assert main(["--home", str(home)]) == 2
    assert "conf/monitor/broken.sql:1:" in capsys.readouterr().err
    for arguments in (["--now", "yesterday"], ["--nonsense"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "exit codes:" in capsys.readouterr().out


def monitor(severity: str) -> Monitor:
    return Monitor(name="m", file="conf/monitor/m.sql", title="T", row="r", severity=severity, sql="SELECT 1", parameters={"now": Parameter(meaning="m")})


def test_the_verdict_and_the_exit_code_follow_the_severity() -> None:
    one = {severity: Found(monitor(severity), ("n",), [(1,)]) for severity in ("info", "warn", "error")}
    assert {severity: verdict(found) for severity, found in one.items()} == {"info": ("info", "1 row"), "warn": ("WARN", "1 row"), "error": ("ERROR", "1 row")}
    assert {severity: Status([found]).code for severity, found in one.items()} == {"info": 0, "warn": 0, "error": 1}
    assert verdict(Found(monitor("error"))) == ("ok", "nothing")
    assert verdict(Found(monitor("error"), not_run="gold.dim_x does not exist yet")) == ("NOT RUN", "gold.dim_x does not exist yet")
    assert Status([Found(monitor("info"), failure="AnalysisException")]).code == 1
    assert Status([], is_blind=True).code == 1
