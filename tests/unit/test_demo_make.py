"""Making the demo: SQL text, files, the record between the days, real servers, and the command line."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from rcm_lakehouse.config.errors import ConfigError, SourceUnavailableError
from rcm_lakehouse.demo import sql
from rcm_lakehouse.demo.__main__ import main
from rcm_lakehouse.demo.changes import second_day
from rcm_lakehouse.demo.files import write_claims, write_procedure_codes
from rcm_lakehouse.demo.hospital import first_day
from rcm_lakehouse.demo.make import Places, make_demo
from rcm_lakehouse.demo.tables import CLAIM_COLUMNS, DATABASES, HOSPITALS, PROCEDURE_COLUMNS, TABLES
from rcm_lakehouse.demo.targets import Target, TargetKind
from rcm_lakehouse.demo.truth import claim_rows, hospital_rows, truth
from servers import Server

TODAY = date(2026, 11, 23)

LITERALS = {  # case: (value, SQL)
    "no value": (None, "NULL"),
    "a quote in a name is doubled": ("O'Marrow", "'O''Marrow'"),
    "a day": (date(2026, 2, 1), "DATE '2026-02-01'"),
    "a whole number": (3_086_000_001, "3086000001"),
    "a float keeps its widened text": (988.3699951171875, "988.3699951171875"),
}


def test_values_become_standard_literals() -> None:
    assert {case: sql.literal(value) for case, (value, _) in LITERALS.items()} == {case: text for case, (_, text) in LITERALS.items()}


@pytest.mark.parametrize("kind", list(sql.SQL_DIALECTS))
def test_scripts_differ_between_databases_only_in_prefix_type_and_frame(kind: TargetKind) -> None:
    dialect = sql.SQL_DIALECTS[kind]
    before, changes = second_day("hos-b", 7, "small", TODAY)
    texts = []
    for one in (dialect, sql.SQL_DIALECTS["h2"]):
        text = "\n".join([*sql.first_script(before, "hospital-b", one), *sql.second_script(before, changes, "hospital-b", one)])
        lines = text.replace(one.moment, "MOMENT").replace("dbo.", "").splitlines()
        frame = {part.format(database="hospital-b") for part in (*one.recreate, *one.use, one.begin)}
        texts.append([line for line in lines if line not in frame])
    assert texts[0] == texts[1]


def test_claims_files_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    for code in HOSPITALS:
        before, changes = second_day(code, 7, "small", TODAY)
        first = list(csv.reader(write_claims(before, None, tmp_path).read_text(encoding="utf-8").splitlines()))
        assert first[0] == list(CLAIM_COLUMNS)
        assert [len(line) for line in first if len(line) != len(CLAIM_COLUMNS)] == [5, len(CLAIM_COLUMNS) + 2]
        second_path = write_claims(before, changes, tmp_path)
        second = list(csv.DictReader(second_path.read_text(encoding="utf-8").splitlines()))
        assert (second_path.name == "hospital1_claim_data.csv") == (code == "hos-a"), "hospital A corrects under the same name"
        newest = claim_rows(code, 7, "small", TODAY, 2)
        sound = [row for row in second if row["ClaimID"] in newest and None not in row and row["ModifiedDate"]]
        assert all(newest[row["ClaimID"]] == row for row in sound)
        changed = [row for row in sound if row["ClaimID"] in {c["ClaimID"] for c in before.claims} and row not in before.claims]
        assert len(changed) > 5


def test_a_correction_leaves_malformed_lines_where_they_were_and_drops_two_claims(tmp_path: Path) -> None:
    before, changes = second_day("hos-a", 7, "small", TODAY)
    old = write_claims(before, None, tmp_path).read_text(encoding="utf-8").splitlines()
    new = write_claims(before, changes, tmp_path).read_text(encoding="utf-8").splitlines()
    assert (old[3], old[6]) == (new[3], new[6])
    gone = {claim["ClaimID"] for claim in before.claims} - {line.split(",")[0] for line in new}
    assert gone == {claim["ClaimID"] for claim in changes.claims_left_out}
    assert len(gone) == 2


def test_the_procedure_list_has_the_shape_of_its_kind_and_no_real_description(tmp_path: Path) -> None:
    path = write_procedure_codes(tmp_path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == PROCEDURE_COLUMNS
    assert '"Made-up procedure 12, left side"' in path.read_text(encoding="utf-8")
    assert all(row["Procedure Code Descriptions"].startswith("Made-up procedure ") for row in rows)
    assert "0585T" in {row["CPT Codes"] for row in rows}
    assert any(row["Procedure Code Category"].endswith(" ") for row in rows)
    assert {"No change", "No Change "} <= {row["Code Status"] for row in rows}
    assert len({row["CPT Codes"] for row in rows}) == len(rows) == truth(7, "small", TODAY)["network"]["procedure_codes"]["rows"]


def test_the_embedded_hospitals_are_made_changed_and_made_anew(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert make_demo(tmp_path, day=1, today=TODAY) == TODAY
    password = places.password.read_text(encoding="utf-8")
    assert places.password.stat().st_mode & 0o077 == 0
    assert json.loads(places.record.read_text(encoding="utf-8")) == {"seed": 7, "size": "small", "today": "2026-11-23", "target": "h2"}
    assert make_demo(tmp_path, day=2) == TODAY, "day 2 takes the day of making from day 1"
    make_demo(tmp_path, day=2)
    (places.root / "archive").mkdir()
    make_demo(tmp_path, day=1, today=TODAY)
    assert places.password.read_text(encoding="utf-8") != password
    assert not (places.root / "archive").exists()
    assert sorted(path.name for path in places.landing.rglob("*.csv")) == [
        "hospital1_claim_data.csv",
        "hospital2_claim_data.csv",
        "procedure_codes.csv",
    ]
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()} == {("lakehouse", "demo")}


def test_day_two_refuses_what_does_not_fit_day_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Make day 1 first"):
        make_demo(tmp_path, day=2)
    Places(tmp_path).root.mkdir(parents=True)
    Places(tmp_path).record.write_text('{"seed": 7, "size": "small", "today": "2026-11-23", "target": "h2"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"seed 8 \(day 1: 7\), size base \(day 1: small\)"):
        make_demo(tmp_path, day=2, seed=8, size="base")


def test_an_unreachable_server_gives_a_code_and_no_row(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        make_demo(tmp_path, day=1, target=Target("mariadb", port=1, password="s3cret-word"))
    assert "hospital-a" in str(caught.value)
    assert "s3cret-word" not in str(caught.value)
    assert not Places(tmp_path).record.exists()


def test_the_command_line_shows_what_the_sources_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", "--day", "2", "--home", str(tmp_path)]) == ConfigError.exit_code
    assert "Make day 1 first" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(SystemExit) as stopped:
        main(["make", "--help"])
    assert stopped.value.code == 0
    assert "--size" in capsys.readouterr().out


def made_in(server: Server, tmp_path: Path) -> None:
    """Both days in a real server equal the generator's rows, column by column."""
    prefix = "dbo." if server.kind == "postgresql" else ""
    for day in (1, 2):
        make_demo(tmp_path, day=day, target=server.target, today=TODAY)
        for code in HOSPITALS:
            expected = hospital_rows(code, 7, "small", TODAY, day)
            for name, table in TABLES[code].items():
                keys = server.execute(f"SELECT {table.key} FROM {prefix}{name};", DATABASES[code]).split()
                assert sorted(keys) == sorted(expected[name]), (code, name, day)
            stamp = TABLES[code]["patients"].watermark
            seen = server.execute(f"SELECT {TABLES[code]['patients'].key}, {stamp} FROM {prefix}patients;", DATABASES[code]).splitlines()
            stamps = {key: text[:23] for key, text in (line.split("\t") for line in seen)}
            wanted = {key: str(row[str(stamp)])[:23] for key, row in expected["patients"].items()}
            assert {key: text.rstrip("0").rstrip(".") for key, text in stamps.items()} == {key: text.rstrip("0").rstrip(".") for key, text in wanted.items()}
            number = "CAST(ROUND(CAST({} AS DECIMAL(18,6)), 2) * 100 AS DECIMAL(18,0))" if prefix else "ROUND(({} + 0e0) * 100)"
            sums = ", ".join(f"SUM({number.format(column)})" for column in ("Amount", "PaidAmount"))
            charge, paid = server.execute(f"SELECT {sums} FROM {prefix}transactions;", DATABASES[code]).split()
            counted = truth(7, "small", TODAY, day)[code]["transactions"]
            assert (int(float(charge)), int(float(paid))) == (counted["charge_cents"], counted["paid_cents"])


def test_mariadb_holds_both_days_to_the_cent(mariadb_server: Server, tmp_path: Path) -> None:
    made_in(mariadb_server, tmp_path)


def test_postgresql_holds_both_days_to_the_cent(postgresql_server: Server, tmp_path: Path) -> None:
    made_in(postgresql_server, tmp_path)


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_database_of_a_hospitals_name_on_a_server_is_dropped_only_when_asked(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server: Server = request.getfixturevalue(f"{kind}_server")
    make_demo(tmp_path, day=1, size="tiny", target=server.target, today=TODAY)
    server.execute("CREATE TABLE important (id INT PRIMARY KEY);", "hospital-a")
    monkeypatch.setenv("RCM_DEMO_PASSWORD", server.password)
    asked = ["make", "--day", "1", "--size", "tiny", "--target", kind, "--port", str(server.port), "--user", server.user, "--home", str(tmp_path / "other")]
    assert main(asked) == ConfigError.exit_code
    told = " ".join(capsys.readouterr().err.split())
    assert f"{kind} at 127.0.0.1:{server.port} holds hospital-a and hospital-b already" in told
    assert "--replace" in told
    assert not (tmp_path / "other").exists()
    assert server.execute("SELECT count(*) FROM important;", "hospital-a").split() == ["0"]
    assert main([*asked, "--replace"]) == 0
    held = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'important';"
    assert server.execute(held, "hospital-a").split() == ["0"]


def test_what_the_demo_makes_first_is_its_owners_alone(tmp_path: Path) -> None:
    make_demo(tmp_path, day=1, size="tiny", today=TODAY)
    assert [oct(place.stat().st_mode & 0o777) for place in (Places(tmp_path).root.parent, Places(tmp_path).root)] == ["0o700", "0o700"]


def test_making_twice_gives_the_same_first_day() -> None:
    before = first_day("hos-a", 7, "small", TODAY)
    changed = {**before.tables["patients"]}
    second_day("hos-a", 7, "small", TODAY)
    assert before.tables["patients"] == changed
