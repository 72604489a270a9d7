"""What differs between databases: URL, driver, quoting, clock, catalog, literals. URLs are built from parts, never given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rcm_lakehouse.bronze.windows import Kind
from rcm_lakehouse.config.connections import JdbcConnection

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


@dataclass(frozen=True)
class Dialect:
    """One database product. `clock_sql` answers one row: now_utc, oldest_utc (NULL: none open or not to be seen), sees (1 or 0)."""

    name: str
    driver: str
    quote_open: str
    quote_close: str
    default_schema: str | None
    clock_sql: str
    blind_clock_sql: str
    default_port: int = 0
    float_types: tuple[str, ...] = ("float", "real", "double", "double precision")
    float_cast: str = "CAST({column} AS DOUBLE PRECISION)"
    text_cast: str = "CAST({column} AS VARCHAR(200))"
    text_types: tuple[str, ...] = field(default=())
    zoned_types: tuple[str, ...] = ("timestamp with time zone",)
    bucket: str = ""

    def quoted(self, name: str) -> str:
        """An identifier as this database quotes it; a quote inside is doubled."""
        return f"{self.quote_open}{name.replace(self.quote_close, self.quote_close * 2)}{self.quote_close}"

    def literal(self, kind: Kind, text: str) -> str:
        """A canonical watermark text as a typed literal. `text` was checked to be a value of `kind`."""
        if kind in ("int", "digits"):
            return str(int(text))
        if self.name == "sqlserver":
            return f"CAST('{text}' AS {'date' if kind == 'date' else 'datetime2(7)' if kind == 'timestamp' else 'datetimeoffset(7)'})"
        if kind == "date":
            return f"DATE '{text}'"
        if kind == "timestamptz":
            return f"TIMESTAMP WITH TIME ZONE '{text}+00:00'"
        return f"TIMESTAMP '{text}'"


_MYSQL_NOW = "SELECT UTC_TIMESTAMP(6) AS now_utc, "
_MYSQL = Dialect(
    name="mariadb",
    driver="org.mariadb.jdbc.Driver",
    quote_open="`",
    quote_close="`",
    default_schema=None,
    default_port=3306,
    clock_sql=_MYSQL_NOW
    + "(SELECT UTC_TIMESTAMP(6) - INTERVAL MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())) SECOND FROM information_schema.innodb_trx "
    "WHERE trx_is_read_only = 0 AND trx_mysql_thread_id <> CONNECTION_ID()) AS oldest_utc, 1 AS sees",
    blind_clock_sql=_MYSQL_NOW + "CAST(NULL AS DATETIME(6)) AS oldest_utc, 0 AS sees",
    float_cast="({column} + 0e0)",
    text_cast="CAST({column} AS CHAR)",
    text_types=("time", "json", "year"),
    zoned_types=(),
    bucket="MOD(CRC32({column}), {count})",
)
DIALECTS: Mapping[str, Dialect] = {
    "h2": Dialect(
        name="h2",
        driver="org.h2.Driver",
        quote_open='"',
        quote_close='"',
        default_schema="PUBLIC",
        clock_sql="SELECT CAST(CURRENT_TIMESTAMP(6) AT TIME ZONE 'UTC' AS TIMESTAMP(6)) AS now_utc, CAST(NULL AS TIMESTAMP) AS oldest_utc, 0 AS sees",
        blind_clock_sql="SELECT CAST(CURRENT_TIMESTAMP(6) AT TIME ZONE 'UTC' AS TIMESTAMP(6)) AS now_utc, "
        "CAST(NULL AS TIMESTAMP) AS oldest_utc, 0 AS sees",
        text_types=("time", "json", "interval"),
        bucket="ORA_HASH({column}, {count} - 1)",
    ),
    "mariadb": _MYSQL,
    "mysql": _MYSQL,
    "postgresql": Dialect(
        name="postgresql",
        driver="org.postgresql.Driver",
        quote_open='"',
        quote_close='"',
        default_schema="public",
        default_port=5432,
        clock_sql="SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now_utc, (SELECT min(xact_start) AT TIME ZONE 'UTC' FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_utc, "
        "CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN 1 ELSE 0 END AS sees",
        blind_clock_sql="SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now_utc, CAST(NULL AS timestamp) AS oldest_utc, 0 AS sees",
        text_types=("time without time zone", "json", "jsonb", "interval", "money", "uuid"),
        bucket="MOD(ABS(CAST(hashtext(CAST({column} AS text)) AS bigint)), {count})",
    ),
    "sqlserver": Dialect(
        name="sqlserver",
        driver="com.microsoft.sqlserver.jdbc.SQLServerDriver",
        quote_open="[",
        quote_close="]",
        default_schema="dbo",
        default_port=1433,
        clock_sql="SELECT SYSUTCDATETIME() AS now_utc, (SELECT DATEADD(SECOND, DATEDIFF(SECOND, GETDATE(), MIN(transaction_begin_time)), "
        "SYSUTCDATETIME()) FROM sys.dm_tran_active_transactions WHERE transaction_type = 1) AS oldest_utc, 1 AS sees",
        blind_clock_sql="SELECT SYSUTCDATETIME() AS now_utc, CAST(NULL AS datetime2) AS oldest_utc, 0 AS sees",
        float_cast="CAST({column} AS float(53))",
        text_cast="CAST({column} AS nvarchar(200))",
        text_types=("time", "xml", "sql_variant", "money", "smallmoney"),
        zoned_types=("datetimeoffset",),
        bucket="ABS(CHECKSUM({column})) % {count}",
    ),
}


def jdbc_url(name: str, connection: JdbcConnection, home: Path) -> str:
    """The JDBC URL of a connection, without user or password. TLS is verified except on loopback or where `insecure` is spelled out."""
    database = connection.database or name
    if connection.dialect == "h2":
        place = (home / database).resolve()
        return f"jdbc:h2:file:{place};AUTO_SERVER=TRUE;DATABASE_TO_UPPER=FALSE;CASE_INSENSITIVE_IDENTIFIERS=TRUE;IFEXISTS=TRUE"
    dialect = DIALECTS[connection.dialect]
    host = connection.host or "localhost"
    port = connection.port or dialect.default_port
    params = {**_fixed_params(connection, local=host in LOOPBACK), **connection.params}
    if connection.dialect == "sqlserver":
        return f"jdbc:sqlserver://{host}:{port};" + ";".join(f"{key}={value}" for key, value in {"databaseName": database, **params}.items())
    scheme = "postgresql" if connection.dialect == "postgresql" else "mysql"
    tail = "&".join(f"{key}={value}" if value else key for key, value in params.items())
    return f"jdbc:{scheme}://{host}:{port}/{database}?{tail}"


def _fixed_params(connection: JdbcConnection, *, local: bool) -> dict[str, str]:
    connect, read = connection.connect_timeout_seconds, connection.query_timeout_seconds
    trusting = local or connection.insecure
    if connection.dialect == "postgresql":
        tls = {} if trusting else {"sslmode": "verify-full"}
        return {"connectTimeout": str(connect), "socketTimeout": str(read), "loginTimeout": str(connect), "tcpKeepAlive": "true", **tls}
    if connection.dialect == "sqlserver":
        return {
            "encrypt": "true",
            "trustServerCertificate": "true" if connection.insecure else "false",
            "loginTimeout": str(connect),
            "socketTimeout": str(read * 1000),
            "applicationIntent": "ReadOnly",
        }
    # Spark has no MariaDB dialect: with jdbc:mariadb: it reads the column's name as its value. The mysql scheme is right.
    tls = {} if trusting else {"sslMode": "verify-full"}
    times = {"connectTimeout": str(connect * 1000), "socketTimeout": str(read * 1000)}
    return {"permitMysqlScheme": "", "tinyInt1isBit": "false", "yearIsDateType": "false", **times, **tls}
