"""Runs of a small lakehouse in which one made-up person goes through everything that can go wrong; started as a process by test_privacy.

`python privacy_runs.py HOME first` loads day 1, fails a MERGE on day 2, then dies inside the next MERGE; `second` takes up the work.
"""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from harness import SETTINGS, Mini
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.demo import canary
from rcm_lakehouse.lake.session import LOCAL_CONF, get_session

TABLE = (
    "CREATE TABLE {name} ({key} VARCHAR(20) PRIMARY KEY, {first} VARCHAR(60), {last} VARCHAR(60), {middle} VARCHAR(60), SSN VARCHAR(20), "
    "PhoneNumber VARCHAR(60), Gender VARCHAR(20), DOB {dob}, Address VARCHAR(200), {changed} DATE)"
)
NAMES_A = {"name": "patients", "key": "PatientID", "first": "FirstName", "last": "LastName", "middle": "MiddleName", "dob": "DATE", "changed": "ModifiedDate"}
NAMES_B = {"name": "patients", "key": "ID", "first": "F_Name", "last": "L_Name", "middle": "M_Name", "dob": "VARCHAR(20)", "changed": "Updated_Date"}


def values(patient: str, birth: str, *, first: str = canary.FIRST_NAME, day: str = "2026-01-10") -> str:
    """One row of the person as SQL."""
    texts = (patient, first, canary.LAST_NAME, canary.MIDDLE_NAME, canary.SSN, canary.PHONE, "Female", birth, canary.ADDRESS, day)
    return "(" + ", ".join(f"'{text}'" for text in texts) + ")"


def project(spark: SparkSession, home: Path) -> Mini:
    """Patients of both hospitals, their dimension, and a rule that stops nothing."""
    loads = ["hospital-a,hos-a,patients,Incremental,ModifiedDate,1,hosa", "hospital-b,hos-b,patients,Incremental,Updated_Date,1,hosb"]
    mini = Mini(spark, home, loads, contracts=["patient"], models=["dim_patient"], settings=SETTINGS)
    mini.connections = {"hospital-a": mini.h2("hospital-a"), "hospital-b": mini.h2("hospital-b")}
    mini.write()
    return mini


def first(mini: Mini) -> None:
    """Day 1 with a failing rule and a failing cast; day 2 with a failing MERGE; then the process dies in a MERGE."""
    born = canary.BIRTH_DATE.isoformat()
    good, bad = values(canary.PATIENT_ID, born), values(canary.BAD_PATIENT_ID, born, first="NULL")
    rest = "'F', '1980-01-01', '1 Road, Town, NY 10001', '2026-01-09'"
    others = ", ".join(f"('P{n:03d}', 'Ada', 'Stone', 'B', '212-45-{n:04d}', '2125550{n:03d}', {rest})" for n in range(40))
    mini.sql(TABLE.format(**NAMES_A), f"INSERT INTO patients VALUES {good}, {bad}, {others}", database="hospital-a")
    mini.sql(TABLE.format(**NAMES_B), f"INSERT INTO patients VALUES {values(canary.BAD_CAST_PATIENT_ID, canary.BAD_CAST_BIRTH_DATE)}", database="hospital-b")
    show(mini, "day 1", now="2026-01-12T12:00:00Z")
    mini.sql(
        f"UPDATE patients SET PhoneNumber = '{canary.CHANGED_PHONE}', Address = '{canary.CHANGED_ADDRESS}', ModifiedDate = '2026-01-13' "
        f"WHERE PatientID = '{canary.PATIENT_ID}'",
        database="hospital-a",
    )
    mini.frame("silver.patient")
    # Delta quotes the whole row when a constraint is broken.
    mini.spark.sql("ALTER TABLE silver.patient ADD CONSTRAINT lower_case CHECK (coalesce(phone_ext, '') <> '98232')")
    show(mini, "a failing MERGE", now="2026-01-14T12:00:00Z")
    mini.spark.sql("ALTER TABLE silver.patient DROP CONSTRAINT lower_case")
    os.environ["RCM_CRASH_AT"] = "P9"
    show(mini, "a crash", now="2026-01-14T12:10:00Z")


def second(mini: Mini) -> None:
    """The next run takes up the work."""
    show(mini, "after the crash", now="2026-01-14T12:20:00Z")


def show(mini: Mini, what: str, now: str) -> None:
    """A run, and everything it said."""
    sys.stdout.write(f"== {what}\n")
    sys.stdout.flush()
    ended = mini.run(now=now)
    sys.stdout.write(f"{ended.said}\n== {what}: exit {ended.code}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    events = place / "events"
    events.mkdir(exist_ok=True)
    os.environ["RCM_MASTER"] = "local[2]"
    # The event log holds every plan; a running product leaves it off.
    LOCAL_CONF.update({"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file:{events}", "spark.eventLog.compress": "false"})
    session = get_session(LakehouseSettings(environment="local"), place)
    {"first": first, "second": second}[sys.argv[2]](project(session, place))
    session.stop()
