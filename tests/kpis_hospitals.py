"""Four small hospitals whose KPIs are computed by hand; days are counted back from the as-of day."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from harness import PROJECT, SETTINGS, Mini

TODAY = date(2026, 1, 31)
EARLIER = date(2025, 10, 31)  # 92 days before
# Days before today that the calendar of nine years does not have: in 1949, in 2099 (a correction moves it), the first and the last day that there is.
OLD, FAR, FARTHER, FIRST_DAY, LAST_DAY = (
    (TODAY - day).days for day in (date(1949, 3, 5), date(2099, 6, 30), date(2099, 12, 31), date(1, 1, 1), date(9999, 12, 31))
)
HOSPITALS = {"hos-a": "a", "hos-b": "b", "hos-c": "c", "hos-d": "d"}
FIRST, SECOND = "2026-01-10 08:00:00", "2026-01-20 08:00:00"

# (number, days since the service, charge, paid, days since the payment); None stands for no date or no amount.
Charge = tuple[str, int | None, str, str | None, int | None]
CHARGES: dict[str, Sequence[Charge]] = {
    # A million dollars in the hundred days up to today, 400,000 of them open: 40.0 days.
    "hos-a": (("A0", 0, "600000", "600000", 0), ("A30", 30, "100000", None, None), ("A99", 99, "300000", "0", None), ("A100", 100, "500000", "500000", 82)),
    # Balances +100 of 95 days, +100 of 10 days, -50 of 100 days: 100/200 over 90 days, not 50/150.
    "hos-b": (("B95", 95, "100", "0", None), ("B10", 10, "150", "50", 1), ("B100", 100, "100", "150", 92)),
    # A million dollars open, 200,000 of them over 90 days; each bucket's first and last day.
    "hos-c": tuple(
        (f"C{days}", days, f"{thousands}000", "0", None)
        for days, thousands in ((0, 100), (30, 100), (31, 200), (60, 100), (61, 100), (90, 200), (91, 50), (120, 50), (121, 100))
    ),
    "hos-d": (
        ("undated", None, "10", "0", None),
        ("tomorrow", -1, "50", "50", -1),
        ("reversed payment", 200, "0", "-20", 150),
        ("voided later", 200, "777", "0", None),
        ("paid tomorrow", 200, "40", "40", -1),
        ("paid, no day", 200, "5", "5", None),
        ("no payment", 200, "7", None, None),
        ("paid today", 200, "9", "4", 0),
        ("negative charge", 200, "-100", "0", None),
        ("long ago", OLD, "0", "0", OLD),
        ("far ahead", FAR, "0", None, None),
    ),
}
# (number, status, billed, days since the claim).
CLAIMS: dict[str, Sequence[tuple[str, str, str, int | None]]] = {
    "hos-a": (
        ("1", "Paid", "100", 95),
        ("2", "paid", "100", None),
        ("3", "Paid", "50", 5),
        ("4", "Approved", "100", 5),
        ("5", "Approved", "150", 0),
        ("6", "Denied", "100", 95),
        ("7", "Denied", "200", 0),
        ("8", "Pending", "100", 5),
        ("9", "lost", "50", 5),
        ("11", "Denied", "1000", -1),
    ),
    "hos-b": (("1", "Pending", "0", 95),),
}
SERVED = {"2": OLD, "5": FAR}  # claims with a service day
SECOND_DAY = (("10", "Rejected", "50", 5), ("12", "Pending", "10", -1))
CODES = {"network": {"99213": "network", "99214": "network"}, "hos-a": {"99213": "own", "10000": "a"}, "hos-b": {"99213": "other", "10000": "b"}}

# Claims that are not rejected: it ties out while there is none.
SHORT_FACT = """\
/*
grain: one claim
description: Claims without those that were rejected.
ties_out: {rows: silver.claim}
*/
SELECT claim_key FROM silver.claim WHERE is_current AND claim_status <> 'rejected'
"""


def day(days: int | None) -> str:
    """The day so long before today, as SQL."""
    return "NULL" if days is None else f"DATE '{TODAY - timedelta(days=days)}'"


def hospitals(spark: SparkSession, home: Path) -> Mini:
    """The project with the real contracts and models, its databases as they are on the first day, and one model more that will not tie out."""
    contracts = sorted(path.stem for path in (PROJECT / "conf").glob("cdm/*.yml") if path.stem != "ref_icd10cm")
    models = sorted(path.stem for path in (PROJECT / "conf").glob("gold/*.sql"))
    settings = {**SETTINGS, "default": {**SETTINGS["default"], "gold": {"revenue_window_days": 100}}}
    mini = Mini(spark, home, work_list(), contracts=contracts, models=models, settings=settings)
    mini.connections = {"clinics": mini.h2("clinics")}
    mini.write()
    (mini.home / "conf" / "gold" / "fact_short.sql").write_text(SHORT_FACT)
    mini.sql(*made(), database="clinics")
    return mini


def work_list() -> list[str]:
    """Every hospital's patients and charges, and one of each other table where it is needed."""
    rows = [f"clinics,hos-b,{HOSPITALS['hos-b']}.patients,Incremental,Updated_Date,1,hosb"]
    rows += [f"clinics,{source},{name}.patients,Incremental,ModifiedDate,1,hos{name}" for source, name in HOSPITALS.items() if source != "hos-b"]
    rows += [f"clinics,{source},{name}.transactions,Incremental,ModifiedDate,1,hos{name}" for source, name in HOSPITALS.items()]
    rows += [f"clinics,{source},{HOSPITALS[source]}.claims,Incremental,ModifiedDate,1,hos{HOSPITALS[source]}" for source in CLAIMS]
    rows += ["clinics,hos-a,a.encounters,Incremental,ModifiedDate,1,hosa", "clinics,hos-a,a.departments,Full,,1,hosa"]
    return [*rows, *[f"clinics,{source},{schema_of(source)}.cptcodes,Full,,1,{source.replace('-', '')}" for source in CODES]]


def schema_of(source: str) -> str:
    """The schema of a hospital's tables; the network's own is n."""
    return HOSPITALS.get(source, "n")


def made() -> list[str]:
    """The tables and rows of the first day."""
    statements = [f"CREATE SCHEMA {name}" for name in (*HOSPITALS.values(), "n")]
    for source, name in HOSPITALS.items():
        statements += _patients(source, name)
        statements.append(
            f"CREATE TABLE {name}.transactions (TransactionID VARCHAR(30) PRIMARY KEY, EncounterID VARCHAR(9), PatientID VARCHAR(9), ProviderID VARCHAR(9), "
            "DeptID VARCHAR(9), PayorID VARCHAR(9), ServiceDate DATE, PaidDate DATE, ProcedureCode VARCHAR(9), Amount DECIMAL(18,2), "
            "PaidAmount DECIMAL(18,2), ModifiedDate TIMESTAMP)"
        )
        statements += [charge(source, row) for row in CHARGES[source]]
    for source, claims in CLAIMS.items():
        statements.append(
            f"CREATE TABLE {HOSPITALS[source]}.claims (ClaimID VARCHAR(9) PRIMARY KEY, PatientID VARCHAR(9), PayorID VARCHAR(9), ClaimStatus VARCHAR(9), "
            "ClaimAmount DECIMAL(18,2), PaidAmount DECIMAL(18,2), ServiceDate DATE, ClaimDate DATE, ModifiedDate TIMESTAMP)"
        )
        statements += [claim(source, row) for row in claims]
    for source, codes in CODES.items():
        statements.append(f"CREATE TABLE {schema_of(source)}.cptcodes (CPT_Codes VARCHAR(9), Procedure_Code_Category VARCHAR(9))")
        statements += [f"INSERT INTO {schema_of(source)}.cptcodes VALUES ('{code}', '{category}')" for code, category in codes.items()]
    return [*statements, *_registers()]


def _patients(source: str, name: str) -> list[str]:
    """One patient a hospital; that of hos-a moved from Albany to Boston on 2025-11-15."""
    names = ("ID", "F_Name", "L_Name", "Updated_Date") if source == "hos-b" else ("PatientID", "FirstName", "LastName", "ModifiedDate")
    key, first, last, changed = names
    columns = f"Seq INT PRIMARY KEY, {key} VARCHAR(9), {first} VARCHAR(9), {last} VARCHAR(9), Address VARCHAR(60), {changed} TIMESTAMP"
    moves = [("1 Road, Albany, NY 12207", "2025-01-01 08:00:00")]
    moves += [("2 Road, Boston, MA 02108", "2025-11-15 10:00:00")] if source == "hos-a" else []
    values = [f"({number}, 'P1', 'Ada', 'Stone', '{place}', TIMESTAMP '{at}')" for number, (place, at) in enumerate(moves)]
    return [f"CREATE TABLE {name}.patients ({columns})", f"INSERT INTO {name}.patients VALUES {', '.join(values)}"]


def charge(source: str, row: Charge) -> str:
    """One charge as an INSERT; no register has the provider, and that of hos-a alone the department; hos-d names none."""
    number, serviced, amount, paid, paid_on = row
    code = {"hos-a": "99213", "hos-b": "99214", "hos-c": "10000", "hos-d": "00001"}[source]
    code = "99213" if number in ("B10", "C0") else code
    names = "NULL, 'P1', NULL, NULL, NULL" if source == "hos-d" else f"'E{number[1:]}', 'P1', 'X9', 'D1', 'Aetna'"
    values = f"'{number}', {names}, {day(serviced)}, {day(paid_on)}, '{code}', {amount}, {paid or 'NULL'}"
    return f"INSERT INTO {HOSPITALS[source]}.transactions VALUES ({values}, TIMESTAMP '{FIRST}')"


def claim(source: str, row: tuple[str, str, str, int | None], at: str = FIRST) -> str:
    """One claim as an INSERT."""
    number, status, billed, claimed = row
    served = day(SERVED.get(number))
    return f"INSERT INTO {HOSPITALS[source]}.claims VALUES ('{number}', 'P1', NULL, '{status}', {billed}, 0, {served}, {day(claimed)}, TIMESTAMP '{at}')"


def _registers() -> list[str]:
    visits = [("E30", 30), ("E99", 99), ("before", 78), ("after", 77)]  # the patient moved 77 days before today
    visits += [("E100", OLD), ("E0", None), ("far", FAR), ("first", FIRST_DAY), ("last", LAST_DAY)]
    return [
        "CREATE TABLE a.departments (DeptID VARCHAR(9), Name VARCHAR(30))",
        "INSERT INTO a.departments VALUES ('D1', 'Cardiology')",
        "CREATE TABLE a.encounters (EncounterID VARCHAR(9), PatientID VARCHAR(9), EncounterDate DATE, ModifiedDate TIMESTAMP)",
        *[f"INSERT INTO a.encounters VALUES ('{key}', 'P1', {day(days)}, TIMESTAMP '{FIRST}')" for key, days in visits],
    ]


def changes() -> list[str]:
    """The second day: a charge is voided, claims come, an encounter moves to another day, the department has a new name and the code list another category."""
    return [
        f"UPDATE d.transactions SET Amount = 0, ModifiedDate = TIMESTAMP '{SECOND}' WHERE TransactionID = 'voided later'",
        *[claim("hos-a", row, SECOND) for row in SECOND_DAY],
        f"UPDATE a.encounters SET EncounterDate = {day(FARTHER)}, ModifiedDate = TIMESTAMP '{SECOND}' WHERE EncounterID = 'far'",
        "UPDATE a.departments SET Name = 'Heart Centre'",
        "UPDATE a.cptcodes SET Procedure_Code_Category = 'newer'",
    ]
