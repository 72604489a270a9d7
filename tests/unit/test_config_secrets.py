"""Secrets: by reference only; what is missing is named by its reference, never by a value."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from builders import small_project

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.secrets import resolve, resolve_all

CONNECTIONS = "conf/connections.yml"
SECRET = "correct-horse-battery"

# case: (what stands there, what is written instead, the key that is named)
LITERALS = {
    "password": ("password: env:EMR_PASSWORD", f"password: {SECRET}", "password"),
    "password like a reference": ("password: env:EMR_PASSWORD", f'password: "env: {SECRET}"', "password"),
    "password in another scheme": ("password: env:EMR_PASSWORD", f"password: vault:{SECRET}", "password"),
    "user like a reference": ("user: env:EMR_USER", f'user: "ENV:{SECRET}"', "user"),
    "client secret": ("kind: nppes", f"kind: nppes\n  client_secret: {SECRET}", "client_secret"),
    "client id": ("kind: nppes", f"kind: nppes\n  client_id: {SECRET}", "client_id"),
    "password as a parameter": ("port: 3306", f"params: {{password: {SECRET}}}", "params"),
    "password in an address": ("https://npiregistry.cms.hhs.gov/api/", f"https://me:{SECRET}@npiregistry.cms.hhs.gov/api/", "base_url"),
    "password in a query": ("https://npiregistry.cms.hhs.gov/api/", f"https://npiregistry.cms.hhs.gov/api/?key={SECRET}", "base_url"),
    "password in the database": ("database: hospital_a", f"database: hospital_a?password={SECRET}", "database"),
    "password as a list": ("password: env:EMR_PASSWORD", f"password: [{SECRET}]", "password"),
    "password under a wrong key": ("password: env:EMR_PASSWORD", f"passwort: {SECRET}", "passwort"),
    "password that begins as an alias": ("password: env:EMR_PASSWORD", f"password: *{SECRET}", "anchors"),
    "password that begins as a tag": ("password: env:EMR_PASSWORD", f"password: !{SECRET} x", "tags"),
    "password that breaks the file": ("password: env:EMR_PASSWORD", f"password: '{SECRET}", "YAML"),
    "dialect": ("dialect: mariadb", f"dialect: {SECRET}", "dialect"),
    "type": ("type: jdbc", f"type: {SECRET}", "type"),
    "time zone": ("time_zone: America/New_York", f"time_zone: {SECRET}", "time_zone"),
    "hours": ("port: 3306", f"load_hours: {SECRET}", "load_hours"),
    "number": ("port: 3306", f"port: {SECRET}", "port"),
}


@pytest.mark.parametrize("case", LITERALS)
def test_a_literal_secret_is_refused_and_never_shown(case: str, tmp_path: Path) -> None:
    old, new, named = LITERALS[case]
    folder = small_project(tmp_path).edit(CONNECTIONS, old, new)
    mistakes = folder.mistakes()
    assert all(mistake.startswith(f"{CONNECTIONS}:") for mistake in mistakes)
    assert named in mistakes[0]
    assert not [mistake for mistake in mistakes if SECRET in mistake]


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCM_TEST_PASSWORD", SECRET)
    assert resolve("env:RCM_TEST_PASSWORD", home=tmp_path) == SECRET


def test_a_secret_comes_from_a_file_of_the_project_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "emr").write_text(f"{SECRET}\r\n")
    assert resolve("file:secrets/emr", home=tmp_path) == SECRET


def test_a_name_that_is_no_reference_is_itself(tmp_path: Path) -> None:
    assert resolve("loader", home=tmp_path) == "loader"


@pytest.mark.parametrize("reference", ["env:RCM_TEST_GONE", "file:secrets/gone", "file:secrets", "file:binary", "file:huge", "databricks:emr/gone"])
def test_a_missing_secret_is_named_by_its_reference(reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RCM_TEST_GONE", raising=False)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + SECRET.encode())
    (tmp_path / "huge").write_text(SECRET * 10_000)
    with pytest.raises(ConfigError) as caught:
        resolve(reference, home=tmp_path)
    assert reference in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.fixture
def dbutils(monkeypatch: pytest.MonkeyPatch) -> None:
    """The utilities of a Databricks notebook, with one scope of one key."""
    secrets = SimpleNamespace(
        listScopes=lambda: [SimpleNamespace(name="emr")],
        list=lambda scope: [SimpleNamespace(key="hospital-b")],
        get=lambda scope, key: f"{scope}/{key}/{SECRET}",
    )
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", SimpleNamespace(dbutils=SimpleNamespace(secrets=secrets)))


def test_all_missing_secrets_of_a_connection_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secret env:RCM_NO_USER: .* secret file:no_password: "):
        resolve_all({"user": "env:RCM_NO_USER", "password": "file:no_password", "none": None}, home=tmp_path)
    assert resolve_all({"user": "rcm", "password": None}, home=tmp_path) == {"user": "rcm"}


@pytest.mark.usefixtures("dbutils")
def test_a_secret_comes_from_a_databricks_scope(tmp_path: Path) -> None:
    assert resolve("databricks:emr/hospital-b", home=tmp_path) == f"emr/hospital-b/{SECRET}"


@pytest.mark.usefixtures("dbutils")
@pytest.mark.parametrize("reference", ["databricks:emr/hospital-c", "databricks:erm/hospital-b"])
def test_a_missing_databricks_secret_is_named(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"secret {reference}: there is no"):
        resolve(reference, home=tmp_path)
