"""SQL and URLs as text, product by product; SQL Server is tested here alone."""

from pathlib import Path
from typing import Any

import pytest

from rcm_lakehouse.bronze.windows import Kind, Window
from rcm_lakehouse.config.connections import JdbcConnection
from rcm_lakehouse.config.embedded import h2_url
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.catalog import SourceColumn, SourceTable, catalog_of
from rcm_lakehouse.sources.checksums import limits, sums_sql
from rcm_lakehouse.sources.dialects import DIALECTS, jdbc_url
from rcm_lakehouse.sources.forms import form_of, sql_text
from rcm_lakehouse.sources.jdbc import kind_of_column, projection, qualified, window_predicate

SQLSERVER = DIALECTS["sqlserver"]


def connection(**values: Any) -> JdbcConnection:
    return JdbcConnection(**{"type": "jdbc", "host": "emr.example.org", "database": "HospitalC", "time_zone": "America/Denver", **values})


URLS = {  # case: (connection, URL)
    "SQL Server verifies the server's certificate": (
        connection(dialect="sqlserver"),
        (
            "jdbc:sqlserver://emr.example.org:1433;databaseName=HospitalC;encrypt=true;trustServerCertificate=false;loginTimeout=10;socketTimeout=600000;"
            "applicationIntent=ReadOnly"
        ),
    ),
    "SQL Server without verification, spelled out": (
        connection(dialect="sqlserver", insecure=True, port=14330, params={"applicationName": "rcm"}),
        (
            "jdbc:sqlserver://emr.example.org:14330;databaseName=HospitalC;encrypt=true;trustServerCertificate=true;loginTimeout=10;socketTimeout=600000;"
            "applicationIntent=ReadOnly;applicationName=rcm"
        ),
    ),
    "SQL Server on this machine is trusted, as the others are": (
        connection(dialect="sqlserver", host="localhost"),
        (
            "jdbc:sqlserver://localhost:1433;databaseName=HospitalC;encrypt=true;trustServerCertificate=true;loginTimeout=10;socketTimeout=600000;"
            "applicationIntent=ReadOnly"
        ),
    ),
    "MariaDB by the mysql scheme, which Spark reads rightly": (
        connection(dialect="mariadb"),
        (
            "jdbc:mysql://emr.example.org:3306/HospitalC?permitMysqlScheme&tinyInt1isBit=false&yearIsDateType=false&sessionVariables=time_zone='+00:00'"
            "&connectTimeout=10000&socketTimeout=600000&sslMode=verify-full"
        ),
    ),
    "MySQL by the same driver": (
        connection(dialect="mysql", host="127.0.0.1", query_timeout_seconds=5),
        (
            "jdbc:mysql://127.0.0.1:3306/HospitalC?permitMysqlScheme&tinyInt1isBit=false&yearIsDateType=false&sessionVariables=time_zone='+00:00'"
            "&connectTimeout=10000&socketTimeout=5000"
        ),
    ),
    "PostgreSQL with a certificate of its own": (
        connection(dialect="postgresql", params={"sslrootcert": "/etc/ca.pem"}),
        (
            "jdbc:postgresql://emr.example.org:5432/HospitalC?connectTimeout=10&socketTimeout=600&loginTimeout=10&tcpKeepAlive=true&sslmode=verify-full"
            "&sslrootcert=/etc/ca.pem"
        ),
    ),
}


@pytest.mark.parametrize("case", URLS)
def test_a_url_is_built_from_parts_and_carries_no_credentials(case: str, tmp_path: Path) -> None:
    entry, url = URLS[case]
    assert jdbc_url("emr", entry, tmp_path) == url


def test_reading_an_embedded_database_does_not_rewrite_its_file(tmp_path: Path) -> None:
    read = jdbc_url("emr", JdbcConnection(type="jdbc", dialect="h2", database="db/emr", user="sa", time_zone="UTC"), tmp_path)
    assert "MAX_COMPACT_TIME=0" in read.split(";")
    assert read == h2_url(tmp_path / "db/emr") + ";IFEXISTS=TRUE", "who makes a database and who reads it open it alike"


def test_sqlserver_doubles_a_closing_bracket_in_a_name() -> None:
    table = SourceTable("dbo", "patients] --", ())
    assert qualified(SQLSERVER, table) == "[dbo].[patients]] --]"


LITERALS: dict[str, tuple[str, Kind, str, str]] = {  # case: (product, kind, text, literal)
    "day": ("sqlserver", "date", "2026-11-23", "CAST('2026-11-23' AS date)"),
    "wall clock, all digits": ("sqlserver", "timestamp", "2026-11-23 08:30:00.123456", "CAST('2026-11-23 08:30:00.123456' AS datetime2(7))"),
    "instant": ("sqlserver", "timestamptz", "2026-11-23 08:30:00.000000", "CAST('2026-11-23 08:30:00.000000' AS datetimeoffset(7))"),
    "number": ("sqlserver", "int", "42", "42"),
    "digits lose their zeros": ("sqlserver", "digits", "0042", "42"),
    "instant in PostgreSQL": ("postgresql", "timestamptz", "2026-11-23 08:30:00.000000", "TIMESTAMP WITH TIME ZONE '2026-11-23 08:30:00.000000+00:00'"),
    "instant in MariaDB, whose session is in UTC": ("mariadb", "timestamptz", "2026-11-23 08:30:00.000000", "TIMESTAMP '2026-11-23 08:30:00.000000'"),
}


@pytest.mark.parametrize("case", LITERALS)
def test_a_literal_has_a_type(case: str) -> None:
    product, kind, text, literal = LITERALS[case]
    assert DIALECTS[product].literal(kind, text) == literal


KINDS = {  # (product, declared type, precision, scale): kind, None: refused
    ("sqlserver", "datetime", 0, 0): "timestamp",
    ("sqlserver", "datetime2", 0, 0): "timestamp",
    ("sqlserver", "datetimeoffset", 0, 0): "timestamptz",
    ("sqlserver", "timestamp", 0, 0): "int",  # the catalog's word for rowversion
    ("sqlserver", "money", 19, 4): None,
    ("mariadb", "timestamp", 0, 0): "timestamptz",
    ("mariadb", "datetime", 0, 0): "timestamp",
    ("mariadb", "bigint", 20, 0): "int",
    ("mariadb", "float", 12, 0): None,
    ("postgresql", "timestamp without time zone", 0, 0): "timestamp",
    ("postgresql", "timestamp with time zone", 0, 0): "timestamptz",
    ("postgresql", "numeric", 20, 0): "int",
    ("postgresql", "numeric", 20, 2): None,
    ("postgresql", "numeric", 0, 0): None,
    ("postgresql", "uuid", 0, 0): None,
    ("h2", "character varying", 0, 0): "digits",
}


@pytest.mark.parametrize("case", KINDS, ids=str)
def test_a_declared_type_says_how_a_watermark_is_compared(case: tuple[str, str, int, int]) -> None:
    product, declared, precision, scale = case
    table = SourceTable("dbo", "t", ())
    column = SourceColumn("changed", declared, precision, scale)
    if KINDS[case] is None:
        with pytest.raises(SourceDataError, match=r"dbo\.t: column 'changed' of type .* cannot be a watermark"):
            kind_of_column(DIALECTS[product], column, table)
    else:
        assert kind_of_column(DIALECTS[product], column, table) == KINDS[case]


def test_sqlserver_reads_floats_rowversions_and_long_documents_whole() -> None:
    columns = (
        SourceColumn("Amount", "real"),
        SourceColumn("Version", "timestamp"),
        SourceColumn("Note", "xml"),
        SourceColumn("Wide", "decimal", 38, 0),
        SourceColumn("Any Name", "varchar"),
    )
    assert projection(SQLSERVER, SourceTable("dbo", "t", columns), ["amount"]) == (
        "CAST([Amount] AS float(53)) AS [amount], CAST([Version] AS bigint) AS [Version], CAST([Note] AS nvarchar(max)) AS [Note], [Wide] AS [Wide], "
        "[Any Name] AS [Any_Name]"
    )


def test_columns_that_differ_only_in_case_are_refused_by_name() -> None:
    table = SourceTable("dbo", "t", (SourceColumn("Id", "int"), SourceColumn("id", "int"), SourceColumn("x", "int")))
    with pytest.raises(SourceDataError, match=r"dbo\.t: the columns Id, id have one name in any case"):
        projection(DIALECTS["postgresql"], table, [])
    signs = SourceTable("dbo", "t", (SourceColumn("a b", "int"), SourceColumn("a;b", "int")))
    with pytest.raises(SourceDataError, match=r"dbo\.t: the columns a b, a;b have one name"):
        projection(DIALECTS["postgresql"], signs, [])


def test_of_tables_that_differ_only_in_case_the_one_spelled_so_is_meant_and_none_is_guessed() -> None:
    places = (("dbo", "Visits"), ("dbo", "visits"), ("DBO", "bills"), ("dbo", "Bills"), ("dbo", "Notes"))
    rows = [(schema, table, table, "int", 0, 0) for schema, table in places]
    catalog = catalog_of("emr", rows, "dbo")
    assert [catalog.table("dbo", name).name for name in ("Visits", "visits", "NOTES", "Bills")] == ["Visits", "visits", "Notes", "Bills"]
    assert catalog.table(None, "Visits").columns == (SourceColumn("Visits", "int"),)
    for schema, name, told in ((None, "VISITS", "dbo.Visits, dbo.visits"), ("Dbo", "BILLS", "DBO.bills, dbo.Bills")):
        with pytest.raises(SourceDataError, match=f"may be any of the tables {told}, whose names differ in case alone"):
            catalog.table(schema, name)


def test_a_watermark_that_the_table_lacks_is_named_with_its_line_and_the_nearest_column() -> None:
    table = catalog_of("hospital-a", [("dbo", "visits", name, "int", 10, 0) for name in ("VisitID", "ModifiedDate")], "dbo").table("dbo", "visits")
    with pytest.raises(SourceDataError) as refused:
        table.column("ModifedDate", "load_config.csv (line 4)")
    told = "dbo.visits: there is no column 'ModifedDate', which load_config.csv (line 4) names. Did you mean 'ModifiedDate'? Nothing was read;"
    assert str(refused.value).startswith(told)


def test_sqlserver_compares_a_rowversion_as_a_number() -> None:
    window = Window(kind="int", low="4000", high="4821")
    predicate = window_predicate(SQLSERVER, SourceColumn("Version", "timestamp"), window)
    assert predicate.startswith("((CAST([Version] AS bigint) >= 4000 AND CAST([Version] AS bigint) < 4821)")


def test_a_day_that_is_none_is_read_as_missing_and_a_real_day_of_the_first_thousand_years_is_not() -> None:
    window = Window(kind="date", low="2026-01-01", high="2026-01-11")
    is_zero = "(`Day` < DATE '1000-01-01' AND (DAY(`Day`) = 0 OR MONTH(`Day`) = 0 OR DAY(`Day`) > ELT(MONTH(`Day`), 31, "
    bounds = "(`Day` >= DATE '2026-01-01' AND `Day` < DATE '2026-01-11')"
    assert window_predicate(DIALECTS["mysql"], SourceColumn("Day", "date"), window).startswith(f"({bounds} OR (`Day` IS NULL OR {is_zero}")


def test_sqlserver_tells_its_own_time_and_its_oldest_writing_transactions_in_utc() -> None:
    oldest = (
        "SELECT DATEADD(MINUTE, -DATEPART(TZOFFSET, SYSDATETIMEOFFSET()), MIN(t.transaction_begin_time)) "
        "FROM sys.dm_tran_active_transactions t JOIN sys.dm_tran_session_transactions s ON s.transaction_id = t.transaction_id "
        "WHERE t.transaction_type IN (1, 4) AND s.session_id <> @@SPID"
    )
    young = f"{oldest} AND t.transaction_begin_time > DATEADD(SECOND, -3600, SYSDATETIME())"
    wanted = f"SELECT SYSUTCDATETIME() AS now_utc, ({oldest}) AS oldest_utc, ({young}) AS young_utc, 1 AS sees"
    assert SQLSERVER.clock_sql.format(max_stall=3600) == wanted
    blind = "SELECT SYSUTCDATETIME() AS now_utc, CAST(NULL AS datetime2) AS oldest_utc, CAST(NULL AS datetime2) AS young_utc, 0 AS sees"
    assert SQLSERVER.blind_clock_sql == blind


DIGIT_MARKS = {  # product: the number that a text of digits is
    "mariadb": "CASE WHEN `Mark` REGEXP '^ *-?[0-9]{1,37} *$' THEN CAST(`Mark` AS DECIMAL(38,0)) END",
    "postgresql": "CASE WHEN \"Mark\" ~ '^ *-?[0-9]{1,37} *$' THEN CAST(\"Mark\" AS DECIMAL(38,0)) END",
    "h2": "CASE WHEN REGEXP_LIKE(\"Mark\", '^ *-?[0-9]{1,37} *$') THEN CAST(\"Mark\" AS DECIMAL(38,0)) END",
    "sqlserver": "CASE WHEN [Mark] NOT LIKE '%[^-0-9 ]%' THEN TRY_CAST([Mark] AS DECIMAL(37,0)) END",
}


@pytest.mark.parametrize("product", DIGIT_MARKS)
def test_I17_text_that_holds_no_digits_is_met_as_a_row_without_a_watermark(product: str) -> None:
    value = DIGIT_MARKS[product]
    window = Window(kind="digits", low="9", high="101")
    wanted = f"(({value} >= 9 AND {value} < 101) OR {value} IS NULL)"
    assert window_predicate(DIALECTS[product], SourceColumn("Mark", "varchar"), window) == wanted


FORMS = {  # declared type: (precision, scale, text by which reconciliation compares it), as SQL Server writes them
    "decimal": (12, 4, "CONVERT(nvarchar(50), CAST([value] AS decimal(38,4)))"),
    "money": (19, 4, "CONVERT(nvarchar(50), CAST([value] AS decimal(38,4)))"),
    "bigint": (19, 0, "CONVERT(nvarchar(50), CAST([value] AS decimal(38,0)))"),
    "rowversion": (0, 0, "CONVERT(nvarchar(50), CAST(CAST([value] AS bigint) AS decimal(38,0)))"),
    "bit": (0, 0, "CONVERT(nvarchar(1), [value])"),
    "date": (0, 0, "CONVERT(nchar(10), [value], 23)"),
    "datetime2": (0, 0, "LEFT(CONVERT(nvarchar(27), CAST([value] AS datetime2(7)), 121), 26)"),
    "datetime": (0, 0, "CONVERT(nchar(23), CAST([value] AS datetime), 121) + '000'"),
    "datetimeoffset": (0, 0, "LEFT(CONVERT(nvarchar(27), CAST(SWITCHOFFSET([value], '+00:00') AS datetime2(7)), 121), 26)"),
    "uniqueidentifier": (0, 0, "CAST([value] AS nvarchar(max))"),
    "varbinary": (0, 0, "LOWER(CONVERT(nvarchar(32), HASHBYTES('MD5', CAST([value] AS varbinary(max))), 2))"),
    "xml": (0, 0, "CAST(CAST([value] AS nvarchar(max)) AS nvarchar(max))"),
    "float": (
        53,
        0,
        (
            "CASE WHEN CAST([value] AS float(53)) BETWEEN -1e29 AND 1e29 THEN CONVERT(nvarchar(50), CAST(ROUND(CAST(CAST([value] AS float(53)) AS "
            "decimal(38,6)) * 100, 0) AS decimal(38,0))) WHEN CAST([value] AS float(53)) IS NOT NULL THEN '*' END"
        ),
    ),
}


@pytest.mark.parametrize("declared", FORMS)
def test_sqlserver_writes_a_value_as_text_that_tells_every_value_apart(declared: str) -> None:
    precision, scale, text = FORMS[declared]
    column = SourceColumn("value", declared, precision, scale)
    form = form_of(SQLSERVER, column)
    assert form is not None
    assert sql_text(SQLSERVER, column, form) == text


def test_sqlserver_sums_a_table_in_one_query_and_names_what_it_cannot_compare() -> None:
    table = SourceTable("dbo", "visits", (SourceColumn("id", "uniqueidentifier"), SourceColumn("cost", "float", 53), SourceColumn("vector", "vector")))
    hashed = "(CAST(CAST(SUBSTRING(HASHBYTES('MD5', {}), 1, 4) AS binary(4)) AS bigint))"
    key = "COALESCE(CAST([id] AS nvarchar(max)), '\x1e') + '\x1f'"
    cost = f"COALESCE({FORMS['float'][2].replace('value', 'cost')}, '\x1e') + '\x1f'"
    assert sums_sql(SQLSERVER, table, ["id"]) == (
        f"SELECT bucket, COUNT(*) AS row_count, SUM(checksum) AS checksums FROM (SELECT ({hashed.format(key)} % 256) AS bucket, "
        f"{hashed.format(f'{key} + {cost}')} AS checksum FROM [dbo].[visits] WHERE [id] IS NOT NULL) sums GROUP BY bucket"
    )
    assert limits(SQLSERVER, table) == "; not compared: vector (vector); compared in hundredths: cost (float)"
