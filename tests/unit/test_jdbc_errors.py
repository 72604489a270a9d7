"""What drivers say, as the error that tells what to do next."""

import pytest

from rcm_lakehouse.config.errors import RcmError, SourceAuthError, SourceDataError, SourceUnavailableError
from rcm_lakehouse.sources.jdbc_errors import translated

REFUSALS: dict[str, tuple[str, type[RcmError], bool]] = {  # a driver's text: (error, may a retry help)
    "Login failed for user 'rcm'. ClientConnectionId:1": (SourceAuthError, False),
    "VIEW SERVER STATE permission was denied on object 'server', database 'master'.": (SourceAuthError, False),
    "The SELECT permission was denied on the object 'patients', database 'emr', schema 'dbo'.": (SourceAuthError, False),
    "(conn=5) Access denied; you need (at least one of) the PROCESS privilege(s) for this operation": (SourceAuthError, False),
    'FATAL: password authentication failed for user "rcm"': (SourceAuthError, False),
    "ERROR: permission denied for table patients": (SourceAuthError, False),
    'FATAL: database "nowhere" does not exist': (SourceDataError, False),
    'Cannot open database "nowhere" requested by the login. The login failed.': (SourceDataError, False),
    "[UNRECOGNIZED_SQL_TYPE] Unrecognized SQL type - name: geometry, id: 2000.": (SourceDataError, False),
    "Connection to 127.0.0.1:1 refused. Check that the hostname and port are correct": (SourceUnavailableError, True),
    'The TCP/IP connection to the host emr, port 1433 has failed. Error: "connect timed out"': (SourceUnavailableError, True),
    "FATAL: terminating connection due to administrator command": (SourceUnavailableError, True),
    "The connection attempt failed. Caused by: java.net.UnknownHostException: emr.invalid": (SourceUnavailableError, True),
    "Connection is broken: SELECT 1 FROM visits WHERE id >= 90030 [90067-240]": (SourceUnavailableError, True),
    'File corrupted while reading record: "Double mark". Possible solution: use the recovery tool [90030-240]': (SourceDataError, False),
    "ERROR: numeric field overflow  Detail: A field with precision 38, scale 8 must round to an absolute value": (SourceDataError, False),
    "Arithmetic overflow error converting float to data type numeric.": (SourceDataError, False),
    'Numeric value out of range: "1.0E40" [22003-240]': (SourceDataError, False),
    "org.postgresql.util.PSQLException: Bad value for type BigDecimal : NaN": (SourceDataError, False),
    "(conn=5) Read timed out": (SourceUnavailableError, True),
    "(conn=5) Query execution was interrupted (max_statement_time exceeded)": (SourceUnavailableError, True),
    "ERROR: canceling statement due to user request": (SourceUnavailableError, True),
}


@pytest.mark.parametrize("text", REFUSALS)
def test_a_drivers_refusal_becomes_the_error_of_the_next_step(text: str) -> None:
    kind, may_retry = REFUSALS[text]
    error = translated(RuntimeError(text + " Mallory 078-05-1120"), "emr", "reading dbo.patients")
    assert type(error) is kind
    assert error.can_retry is may_retry
    assert "Mallory" not in str(error)
    assert str(error).startswith("connection 'emr': ")


def test_what_the_driver_says_below_sparks_own_error_counts() -> None:
    spark_error = RuntimeError("[FAILED_JDBC.CONNECTION] Failed JDBC jdbc:mysql:(redacted): Couldn't connect to the database")
    assert type(translated(spark_error, "emr", "asking its clock")) is SourceUnavailableError
    spark_error.__cause__ = RuntimeError("(conn=7) Access denied for user 'x'@'127.0.0.1' (using password: YES)")
    assert type(translated(spark_error, "emr", "asking its clock")) is SourceAuthError


def test_an_error_that_fits_no_known_one_is_named_by_the_class_that_its_driver_gave_it() -> None:
    text = "An error occurred while calling o1.save.\n: org.apache.spark.SparkException: Job aborted\nCaused by: org.postgresql.util.PSQLException: Bad Mallory"
    error = translated(RuntimeError(text), "emr", "reading dbo.visits")
    assert "reading failed while reading dbo.visits (PSQLException). Nothing of this load was committed" in str(error)
    assert "Mallory" not in str(error)
    assert "(RuntimeError)" in str(translated(RuntimeError("Mallory"), "emr", "reading dbo.visits"))
