"""Loads from APIs through the whole pipeline, against a real local server that misbehaves when told to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from api_clients import connection, serving
from harness import Mini
from rcm_lakehouse.demo.api_content import clinician, npi_of
from rcm_lakehouse.demo.api_server import CLIENT_SECRET, NPPES_PATH, WHO_PATH, ApiServer
from rcm_lakehouse.sources import api_who

DAY_1, DAY_2, DAY_32, LATER = "2026-01-05T06:00:00Z", "2026-01-06T06:00:00Z", "2026-02-05T06:00:00Z", "2026-02-05T09:00:00Z"
ACTIVE, GONE, UNKNOWN, NEW = npi_of(11), npi_of(13), npi_of(15), npi_of(17)
WRONG = f"{ACTIVE[:9]}{(int(ACTIVE[9]) + 1) % 10}"
STALE_SINCE_DAY_1 = "stale: last good version of 2026-01-05T06:00:00Z"
SEARCH = {"state": "NC", "address_purpose": "LOCATION"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    yield from serving(monkeypatch)


def entry(server: ApiServer, kind: str, **tables: Any) -> dict[str, Any]:
    given = connection(server, kind, first_wait_seconds=0, max_wait_seconds=1, attempts=3, tables=tables)
    return given.model_dump(mode="json", exclude_defaults=True)


def registry(mini: Mini, *columns: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in mini.rows("gold.dim_provider", "provider_key", *columns) if row[0].startswith("hos")}


def asked_numbers(server: ApiServer) -> list[str]:
    return [asked.params["number"] for asked in server.asked if asked.path == NPPES_PATH]


@dataclass
class References:
    """Two references that serve one hospital's providers, and what their tables' logs held when the first day was over."""

    mini: Mini
    server: ApiServer
    commits: dict[str, int] = field(default_factory=dict)

    def first_day(self) -> None:
        ended = self.mini.run(now=DAY_1, as_of="2026-01-05")
        assert ended.code == 0, ended.said
        assert asked_numbers(self.server) == sorted([ACTIVE, GONE, UNKNOWN])
        told = ended.log("bronze", "network_ref_npi").warnings
        assert told[0] == "1 of 4 values of provider.npi are no NPI by their check digit and were not asked for"
        assert registry(self.mini, "npi_valid", "registry_status", "registry_is_stale") == {
            "hos-a|P1": (True, "active", False),
            "hos-a|P2": (True, "inactive", False),
            "hos-a|P3": (False, "unknown", False),
            "hos-a|P4": (True, "not_found", False),
            "hos-a|P5": (False, "unknown", False),
        }
        assert self.mini.rows("silver.provider", "source_provider_id", where="array_contains(dq_flags, 'npi_well_formed')") == [("P3",), ("P5",)]
        more = registry(self.mini, "registry_taxonomy", "registry_deactivation_date")
        assert (more["hos-a|P1"][0] != "unknown", more["hos-a|P1"][1], more["hos-a|P2"][1] is not None) == (True, None, True)
        codes = self.mini.rows("silver.ref_icd10cm", "code", "is_billable", where="is_current")
        assert len(codes) == len([code for code, _ in self.server.codes if code[0] in "EM"])
        assert {billable for _, billable in codes} == {None}
        self.commits = {name: self.mini.commits(name) for name in ("bronze.network_ref_npi", "silver.ref_npi", "silver.ref_icd10cm")}

    def next_day_asks_for_nothing(self) -> None:
        before = len(self.server.asked)
        ended = self.mini.run(now=DAY_2, as_of="2026-01-06")
        assert ended.code == 0, ended.said
        assert len(self.server.asked) == before
        assert {name: self.mini.commits(name) for name in self.commits} == self.commits

    def a_month_later_the_registry_is_down(self) -> None:
        self.server.misbehave(NPPES_PATH, status=503, times=None)
        self.server.codes = [(code, f"{name}, reworded" if code == "E11" else name) for code, name in self.server.codes if code != "M54.5"]
        self.mini.sql(f"INSERT INTO providers VALUES ('P6', {NEW}, 'F', 'L', 'S', 'D1')")
        ended = self.mini.run(now=DAY_32, as_of="2026-02-05")
        assert ended.code == 1
        failed = ended.log("bronze", "network_ref_npi")
        assert (failed.status, failed.error_class, failed.is_retryable, failed.attempt) == ("FAILED", "SourceUnavailableError", True, 1)
        assert "stale: last good version of 2026-01-05T06:00:00Z" in failed.warnings
        kept = ("bronze.network_ref_npi", "silver.ref_npi")
        assert {name: self.mini.commits(name) for name in kept} == {name: self.commits[name] for name in kept}
        assert registry(self.mini, "registry_status", "registry_is_stale") == {
            "hos-a|P1": ("active", True),
            "hos-a|P2": ("inactive", True),
            "hos-a|P3": ("unknown", False),
            "hos-a|P4": ("not_found", True),
            "hos-a|P5": ("unknown", False),
            "hos-a|P6": ("unknown", False),
        }
        # The code search is not down, and its edition has changed.
        assert self.mini.rows("silver.ref_icd10cm", "version", "is_current", where="code = 'E11'") == [(1, False), (2, True)]
        assert self.mini.rows("silver.ref_icd10cm", "is_current", where="code = 'M545'") == [(False,)]

    def it_is_back_and_knows_of_a_deactivation(self) -> None:
        self.server.faults.clear()
        self.server.asked.clear()
        entry_now = clinician(ACTIVE)
        self.server.registry.changed[ACTIVE] = {**entry_now, "basic": {**entry_now["basic"], "status": "D", "deactivation_date": "2026-02-01"}}
        ended = self.mini.run(now=LATER, as_of="2026-02-05")
        assert ended.code == 0, ended.said
        assert asked_numbers(self.server) == sorted([ACTIVE, GONE, UNKNOWN, NEW])
        now = registry(self.mini, "registry_status", "registry_is_stale", "registry_deactivation_date")
        assert now["hos-a|P1"] == ("inactive", False, date(2026, 2, 1))
        history = self.mini.frame("silver.ref_npi").selectExpr("npi", "version", "is_current", "string(checked_at)", "string(good_until)").collect()
        assert sorted(map(tuple, history)) == [
            (ACTIVE, 1, False, "2026-01-05 06:00:00", "2026-02-04"),
            (ACTIVE, 2, True, "2026-02-05 09:00:00", "2026-03-07"),
            (GONE, 1, True, "2026-02-05 09:00:00", "2026-03-07"),
            (UNKNOWN, 1, True, "2026-02-05 09:00:00", "2026-03-07"),
            (NEW, 1, True, "2026-02-05 09:00:00", "2026-03-07"),
        ]


@pytest.mark.wide
def test_F40_R06_references_follow_their_services_and_are_marked_stale_when_these_are_down(spark: SparkSession, tmp_path: Path, server: ApiServer) -> None:
    loads = [
        "hospital-a,hos-a,providers,Full,,1,hosa",
        "nppes,network,ref_npi,Incremental,,1,network",
        "nlm,network,ref_icd10cm,Full,,1,network",
    ]
    mini = Mini(spark, tmp_path, loads, contracts=["department", "provider", "ref_npi", "ref_icd10cm"], models=["dim_provider"])
    mini.connections = {
        "hospital-a": mini.h2(),
        "nppes": entry(server, "nppes", ref_npi={"ids_from": "provider.npi"}),
        "nlm": entry(server, "nlm_icd10cm", ref_icd10cm={"queries": [{"terms": "E"}, {"terms": "M"}], "page_size": 3}),
    }
    mini.write()
    server.registry.unknown.add(UNKNOWN)
    values = ", ".join(f"('P{place}', {npi}, 'F', 'L', 'S', 'D1')" for place, npi in enumerate([ACTIVE, GONE, WRONG, UNKNOWN, "NULL"], 1))
    columns = "ProviderID VARCHAR(9), NPI BIGINT, FirstName VARCHAR(9), LastName VARCHAR(9), Specialization VARCHAR(9), DeptID VARCHAR(9)"
    mini.sql(f"CREATE TABLE providers ({columns})", f"INSERT INTO providers VALUES {values}")
    references = References(mini, server)
    references.first_day()
    references.next_day_asks_for_nothing()
    references.a_month_later_the_registry_is_down()
    references.it_is_back_and_knows_of_a_deactivation()


def test_I26_I27_never_half_a_page_and_one_copy_of_a_repeated_record(spark: SparkSession, tmp_path: Path, server: ApiServer) -> None:
    mini = Mini(spark, tmp_path, ["nppes,network,ref_npi,Full,,1,network"], contracts=["ref_npi"])
    mini.connections = {"nppes": entry(server, "nppes", ref_npi={"queries": [SEARCH], "max_age_days": 1})}
    mini.write()
    server.registry.size, server.registry.overlap = 450, 3
    server.misbehave(NPPES_PATH, status=500, after=2, times=None)
    half = mini.run(now=DAY_1)
    assert half.code == 1
    assert (mini.frame("bronze.network_ref_npi").count(), mini.commits("bronze.network_ref_npi")) == (0, 1)
    assert mini.frame("silver.ref_npi").count() == 0
    assert "stale: there is no good version yet" in half.log("bronze", "network_ref_npi").warnings
    assert len(server.asked) == 5

    server.faults.clear()
    server.misbehave(NPPES_PATH, status=500, after=2, times=1)
    server.misbehave(NPPES_PATH, status=429, headers={"Retry-After": "0"}, times=1)
    whole = mini.run(now=DAY_1)
    assert whole.code == 0, whole.said
    log = whole.log("bronze", "network_ref_npi")
    assert (log.rows_read, log.rows_written, log.rows_duplicate) == (453, 450, 3)
    assert mini.frame("silver.ref_npi").select("npi").distinct().count() == mini.frame("silver.ref_npi").count() == 450

    # A snapshot that has become empty stops the load.
    server.registry.size = 0
    empty = mini.run(now=DAY_32)
    assert empty.code == 4
    log = empty.log("bronze", "network_ref_npi")
    assert (log.status, log.error_class, log.warnings[-1]) == ("FAILED", "DataStopError", "stale: last good version of 2026-01-05T06:00:00Z")
    assert "the snapshot is empty but the last one had 450 rows" in (log.message or "")
    assert mini.frame("silver.ref_npi").where("is_current").count() == 450

    # A query past the registry's ceiling that has no parts sure to hold all of it is never taken for whole.
    server.registry.size = 1400
    past = mini.run(now=LATER)
    assert past.code == 1
    log = past.log("bronze", "network_ref_npi")
    assert (log.status, log.error_class, log.warnings[-1]) == ("FAILED", "SourceDataError", "stale: last good version of 2026-01-05T06:00:00Z")
    assert "Add country_code: US" in (log.message or "")
    assert mini.frame("silver.ref_npi").where("is_current").count() == 450


@pytest.mark.wide
def test_F40_the_classification_is_walked_into_bronze_no_secret_is_told_and_an_answer_that_cannot_be_read_marks_it_stale(
    spark: SparkSession, tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = Mini(spark, tmp_path, ["who,network,icd10_who,Full,,1,network"], contracts=["ref_icd10cm"])
    mini.connections = {"who": entry(server, "who_icd")}
    mini.write()
    ended = mini.run(now=DAY_1)
    assert ended.code == 0, ended.said
    assert mini.rows("bronze.network_icd10_who", "code", "parent_code", "release", "_source_file", where="code IN ('I', 'A00.9')") == [
        ("A00.9", "A00", "2019", "all"),
        ("I", None, "2019", "all"),
    ]
    kept = "".join(path.read_text(errors="replace") for path in (tmp_path / "lakehouse").rglob("*.json"))
    told = ended.said + str(ended.logs) + kept
    assert [word for word in (CLIENT_SECRET, *server.tokens) if word in told] == []
    assert server.tokens
    assert refused(mini, server, b'{"code": "I", "title": {"@value": "Made-up \\ud800"}}') == ("half a character", STALE_SINCE_DAY_1, 9)
    with monkeypatch.context() as patched:
        patched.setattr(api_who.WhoIcd, "_record", lambda *_: "\ud800".encode())
        assert refused(mini, server, b"") == ("cannot be read (UnicodeEncodeError at", STALE_SINCE_DAY_1, 9)


def refused(mini: Mini, server: ApiServer, body: bytes) -> tuple[str, str, int]:
    """The words of a load that is due again and cannot take an answer, its last warning, and the rows that bronze keeps."""
    server.faults.clear()
    if body:
        server.misbehave(WHO_PATH, status=200, body=body)
    log = mini.run(now=DAY_32).log("bronze", "network_icd10_who")
    assert (log.status, log.error_class, log.is_retryable) == ("FAILED", "SourceDataError", False)
    told = next((words for words in ("half a character", "cannot be read (UnicodeEncodeError at") if words in (log.message or "")), str(log.message))
    return told, log.warnings[-1], mini.frame("bronze.network_icd10_who").count()


ORDER_FILE = {
    "pattern": "icd10cm_order_*.txt",
    "format": "fixed",
    "header": False,
    "columns": ["order_number", "code", "billable", "short_description", "long_description"],
    "widths": [[1, 5], [7, 13], [15, 15], [17, 76], [78, None]],
}


def order_lines(*rows: tuple[str, str, str]) -> str:
    return "".join(f"{place:05d} {code:<7} {flag} {name[:60]:<60} {name}\n" for place, (code, flag, name) in enumerate(rows, 1))


@pytest.mark.wide
def test_the_yearly_order_file_says_what_is_billable(spark: SparkSession, tmp_path: Path) -> None:
    mini = Mini(spark, tmp_path, ["landing,network,icd10cm_order,Full,,1,network"], contracts=["ref_icd10cm"])
    mini.settings = {**mini.settings, "local": {**mini.settings["local"], "quality": {"max_delete_share": 0.5}}}
    mini.connections = {"landing": {"type": "files", "path": "landing", "time_zone": "UTC", "tables": {"icd10cm_order": ORDER_FILE}}}
    mini.write()
    long = "Made-up condition with a name that is longer than the sixty places of its short form"
    mini.land("icd10cm_order_2026.txt", order_lines(("E11", "0", "Made-up group"), ("E119", "1", long), ("E118", "1", "Made-up condition")))
    assert mini.run().code == 0
    assert mini.rows("silver.ref_icd10cm", "code", "is_billable", "description", "release") == [
        ("E11", False, "Made-up group", "2026"),
        ("E118", True, "Made-up condition", "2026"),
        ("E119", True, long, "2026"),
    ]
    mini.land("icd10cm_order_2027.txt", order_lines(("E11", "0", "Made-up group"), ("E119", "0", long), ("E1190", "1", "Made-up detail")))
    assert mini.run().code == 0
    assert mini.rows("silver.ref_icd10cm", "code", "version", "is_current", "is_billable", "release") == [
        ("E11", 1, True, False, "2027"),
        ("E118", 1, False, True, "2026"),
        ("E119", 1, False, True, "2026"),
        ("E119", 2, True, False, "2027"),
        ("E1190", 1, True, True, "2027"),
    ]
