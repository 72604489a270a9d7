"""What differs between databases: URL, driver, quoting, clock, catalog, literals. URLs are built from parts, never given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rcm_lakehouse.bronze.lineage import INFINITE, NOT_A_NUMBER, ZERO_DATE
from rcm_lakehouse.bronze.windows import DIGITS, Kind
from rcm_lakehouse.config.connections import LOOPBACK, JdbcConnection
from rcm_lakehouse.config.embedded import h2_url

_MYSQL_DRIVER = "org.mariadb.jdbc.Driver"
_FLOATS = ("float", "real", "double", "double precision")
_DIGITS = DIGITS.replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True)
class Empty:
    """Values of a type that are none: SQL that is true for them, SQL that reads them as NULL, and the flag that tells it, before a column's name.

    `near` is a condition, with its AND, that an index can serve and that all of them meet which lie below any window. A `twin` stands in
    Spark for such a value, so that as a watermark it is not missing.
    """

    is_so: str
    as_null: str
    flag: str
    near: str = ""
    twin: bool = False


# With ALLOW_INVALID_DATES there is a 31st of February, which Java would read as the 3rd of March.
_LAST_DAY = (
    "ELT(MONTH({column}), 31, 28 + (YEAR({column}) % 4 = 0 AND (YEAR({column}) % 100 <> 0 OR YEAR({column}) % 400 = 0)), "
    "31, 30, 31, 30, 31, 31, 30, 31, 30, 31) + 0"
)
_ZERO_DAY = f"(DAY({{column}}) = 0 OR MONTH({{column}}) = 0 OR DAY({{column}}) > {_LAST_DAY})"
_ZERO_DATE = Empty(_ZERO_DAY, f"IF({_ZERO_DAY}, NULL, {{column}})", ZERO_DATE, "{column} < DATE '1000-01-01' AND ")
# NULLIF keeps the column's digits, which CASE does not.
_NOT_A_NUMBER = Empty("{column} = 'NaN'", "NULLIF({column}, 'NaN')", NOT_A_NUMBER)
_INFINITE = Empty("NOT isfinite({column})", "{column}", INFINITE, twin=True)


@dataclass(frozen=True)
class Dialect:
    """One database product.

    `clock_sql` answers one row: now_utc; oldest_utc and young_utc, the starts of the oldest open transaction and of the oldest one begun
    less than `{max_stall}` seconds ago (NULL: none open or not to be seen); sees (1 or 0). Now is taken before the starts are looked up, so
    that what a transaction of the time between writes lies behind it.

    `casts` are expressions for declared types that Spark would read as something else; `text_types` have no Spark twin and are read
    as text of any length. `zoned_types` hold instants; all other times are the source's wall clock. `transactions_right` is what
    an account needs to see others' open transactions; None: this product does not tell when they began. `empties` are the values that a
    product holds and Spark has no like of, by declared type: they are read as NULL or as their twin, with a flag. `digits` is the number
    that a text of digits is, NULL for other text: it computes no other, for which some products fail and some give 0.
    """

    name: str
    driver: str
    quote_open: str
    quote_close: str
    default_schema: str | None
    clock_sql: str
    blind_clock_sql: str
    default_port: int = 0
    transactions_right: str | None = None
    float_types: tuple[str, ...] = _FLOATS
    casts: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(_FLOATS, "CAST({column} AS DOUBLE PRECISION)"))
    text_cast: str = "CAST({column} AS VARCHAR)"
    text_types: tuple[str, ...] = ()
    zoned_types: tuple[str, ...] = ("timestamp with time zone",)
    rowversion_types: tuple[str, ...] = ()
    empties: Mapping[str, Empty] = field(default_factory=dict)
    digits: str = f"CASE WHEN {{column}} REGEXP '{_DIGITS}' THEN CAST({{column}} AS DECIMAL(38,0)) END"
    bucket: str = ""

    def quoted(self, name: str) -> str:
        """An identifier as this database quotes it; a quote inside is doubled."""
        return f"{self.quote_open}{name.replace(self.quote_close, self.quote_close * 2)}{self.quote_close}"

    def expression(self, name: str, declared: str, precision: int) -> str:
        """A column of a declared type as it is read. Decimals of more than 38 digits, or of any number of digits (precision 0), are text."""
        quoted = self.quoted(name)
        value = self.empties[declared].as_null.format(column=quoted) if declared in self.empties else quoted
        wanted = self.text_cast if self.is_read_as_text(declared, precision) else self.casts.get(declared, "{column}")
        return wanted.format(column=value)

    def is_read_as_text(self, declared: str, precision: int) -> bool:
        """True for types without a Spark twin and for decimals of more than 38 digits, or of any number of digits (precision 0)."""
        return declared in self.text_types or (declared in ("numeric", "decimal") and not 1 <= precision <= 38)

    def is_empty(self, name: str, declared: str) -> str | None:
        """SQL that is true where a column holds a value that is none (`empties`); None for a type that has no such values."""
        empty = self.empties.get(declared)
        return None if empty is None else empty.is_so.format(column=self.quoted(name))

    def flags_of_empties(self, columns: Mapping[str, str], declared: Mapping[str, str]) -> str | None:
        """SQL of a text: the flags of a row's columns that hold such a value, comma between; None for a table that cannot have any.

        `columns` maps source names to bronze names, `declared` to types.
        """
        parts = []
        for name, bronze in columns.items():
            is_so = self.is_empty(name, declared[name])
            if is_so is not None:
                flag = (self.empties[declared[name]].flag + bronze).replace("'", "''")
                literal = flag.replace("\\", "\\\\") if self.driver == _MYSQL_DRIVER else flag
                parts.append(f"CASE WHEN {is_so} THEN '{literal}' END")
        return f"CONCAT_WS(',', {', '.join(parts)})" if parts else None

    def comparable(self, column: str, declared: str, kind: Kind) -> str:
        """SQL of a watermark column as values that compare by size; text that holds no digits is NULL."""
        quoted = self.quoted(column)
        if kind == "digits":
            return self.digits.format(column=quoted)
        return f"CAST({quoted} AS bigint)" if declared in self.rowversion_types else quoted

    def missing(self, column: str, declared: str, kind: Kind) -> str:
        """SQL that is true for a watermark without a value; a day or number that is none and text that holds no digits included.

        For days and times an index can serve it. A real day of the first thousand years is a value: below the watermark it is not read again.
        """
        quoted = self.quoted(column)
        empty = self.empties.get(declared)
        if kind != "digits" and empty is not None and not empty.twin:
            return f"({quoted} IS NULL OR ({(empty.near + empty.is_so).format(column=quoted)}))"
        return f"{self.comparable(column, declared, kind) if kind == 'digits' else quoted} IS NULL"

    def literal(self, kind: Kind, text: str) -> str:
        """A canonical watermark text as a typed literal. `text` was checked to be a value of `kind`."""
        if kind in ("int", "digits"):
            return str(int(text))
        if self.name == "sqlserver":
            return f"CAST('{text}' AS {'date' if kind == 'date' else 'datetime2(7)' if kind == 'timestamp' else 'datetimeoffset(7)'})"
        if kind == "date":
            return f"DATE '{text}'"
        if kind == "timestamptz" and self.driver != _MYSQL_DRIVER:
            return f"TIMESTAMP WITH TIME ZONE '{text}+00:00'"
        return f"TIMESTAMP '{text}'"


# Whole seconds on both sides: trx_started has no fraction, and a fraction added to it could pass a row that was written within its second.
# trx_started is in the server's system zone, whatever the session's is.
_MYSQL_AGE = "TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM'))"
_MYSQL_OLDEST = (
    f"SELECT UTC_TIMESTAMP() - INTERVAL MAX({_MYSQL_AGE}) SECOND "
    "FROM information_schema.innodb_trx WHERE trx_is_read_only = 0 AND trx_mysql_thread_id <> CONNECTION_ID()"
)
_POSTGRES_STALL = "{max_stall} * interval '1 second'"
# Of a prepared transaction only the time of its PREPARE is told: it may have written for max_stall before, and is waited for as long after.
# Sessions are listed first: one that prepares its transaction meanwhile is met in both.
_POSTGRES_OLDEST = (
    "SELECT min(began) AT TIME ZONE 'UTC' FROM (SELECT xact_start AS began, xact_start AS waited_from FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker' "
    f"UNION ALL SELECT prepared - {_POSTGRES_STALL}, prepared FROM pg_prepared_xacts WHERE database = current_database()) AS opened"
)
_SQLSERVER_OLDEST = (
    "SELECT DATEADD(MINUTE, -DATEPART(TZOFFSET, SYSDATETIMEOFFSET()), MIN(t.transaction_begin_time)) "
    "FROM sys.dm_tran_active_transactions t JOIN sys.dm_tran_session_transactions s ON s.transaction_id = t.transaction_id "
    "WHERE t.transaction_type IN (1, 4) AND s.session_id <> @@SPID"
)
_H2_CLOCK = (
    "SELECT CAST(CURRENT_TIMESTAMP(6) AT TIME ZONE 'UTC' AS TIMESTAMP(6)) AS now_utc, CAST(NULL AS TIMESTAMP) AS oldest_utc, "
    "CAST(NULL AS TIMESTAMP) AS young_utc, 0 AS sees"
)
_MYSQL = Dialect(
    name="mariadb",
    driver=_MYSQL_DRIVER,
    quote_open="`",
    quote_close="`",
    default_schema=None,
    default_port=3306,
    transactions_right="PROCESS",
    clock_sql=f"SELECT UTC_TIMESTAMP(6) AS now_utc, ({_MYSQL_OLDEST}) AS oldest_utc, "
    f"({_MYSQL_OLDEST} AND {_MYSQL_AGE} < {{max_stall}}) AS young_utc, 1 AS sees",
    blind_clock_sql="SELECT UTC_TIMESTAMP(6) AS now_utc, CAST(NULL AS DATETIME(6)) AS oldest_utc, CAST(NULL AS DATETIME(6)) AS young_utc, 0 AS sees",
    # Spark pads values of fixed-length types with blanks, those of an ENUM too.
    casts={**dict.fromkeys(_FLOATS, "({column} + 0e0)"), "bit": "({column} + 0)", **dict.fromkeys(("char", "enum", "set"), "CAST({column} AS CHAR)")},
    text_cast="CAST({column} AS CHAR)",
    text_types=("time", "json", "year", "uuid", "inet4", "inet6"),
    # Stored in UTC and shown in the session's zone, which is UTC here; DATETIME is the wall clock.
    zoned_types=("timestamp",),
    empties=dict.fromkeys(("date", "datetime", "timestamp"), _ZERO_DATE),
    bucket="MOD(CRC32({column}), {count})",
)
DIALECTS: Mapping[str, Dialect] = {
    "h2": Dialect(
        name="h2",
        driver="org.h2.Driver",
        quote_open='"',
        quote_close='"',
        default_schema="PUBLIC",
        clock_sql=_H2_CLOCK,
        blind_clock_sql=_H2_CLOCK,
        text_types=("time", "time with time zone", "json", "interval", "uuid", "enum", "geometry"),
        digits=f"CASE WHEN REGEXP_LIKE({{column}}, '{_DIGITS}') THEN CAST({{column}} AS DECIMAL(38,0)) END",
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
        transactions_right="pg_read_all_stats",
        clock_sql=f"SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now_utc, ({_POSTGRES_OLDEST}) AS oldest_utc, "
        f"({_POSTGRES_OLDEST} WHERE waited_from > clock_timestamp() - {_POSTGRES_STALL}) AS young_utc, "
        "CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN 1 ELSE 0 END AS sees",
        blind_clock_sql="SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now_utc, CAST(NULL AS timestamp) AS oldest_utc, "
        "CAST(NULL AS timestamp) AS young_utc, 0 AS sees",
        casts={
            **dict.fromkeys(_FLOATS, "CAST({column} AS DOUBLE PRECISION)"),
            "money": "CAST({column} AS numeric(19,2))",
            "character": "CAST({column} AS text)",
        },
        empties={
            **dict.fromkeys(("numeric", "decimal"), _NOT_A_NUMBER),
            **dict.fromkeys(("date", "timestamp without time zone", "timestamp with time zone"), _INFINITE),
        },
        text_cast="CAST({column} AS text)",
        text_types=(
            *("time without time zone", "time with time zone", "json", "jsonb", "interval", "uuid", "xml", "bit", "bit varying"),
            *("inet", "cidr", "macaddr", "array", "user-defined", "tsvector", "point"),
        ),
        digits=f"CASE WHEN {{column}} ~ '{_DIGITS}' THEN CAST({{column}} AS DECIMAL(38,0)) END",
        bucket="MOD(ABS(CAST(hashtext(CAST({column} AS text)) AS bigint)), {count})",
    ),
    "sqlserver": Dialect(
        name="sqlserver",
        driver="com.microsoft.sqlserver.jdbc.SQLServerDriver",
        quote_open="[",
        quote_close="]",
        default_schema="dbo",
        default_port=1433,
        transactions_right="VIEW SERVER STATE",
        clock_sql=f"SELECT SYSUTCDATETIME() AS now_utc, ({_SQLSERVER_OLDEST}) AS oldest_utc, "
        f"({_SQLSERVER_OLDEST} AND t.transaction_begin_time > DATEADD(SECOND, -{{max_stall}}, SYSDATETIME())) AS young_utc, 1 AS sees",
        blind_clock_sql="SELECT SYSUTCDATETIME() AS now_utc, CAST(NULL AS datetime2) AS oldest_utc, CAST(NULL AS datetime2) AS young_utc, 0 AS sees",
        # A rowversion, which the catalog calls timestamp, is eight bytes that count up.
        casts={**dict.fromkeys(_FLOATS, "CAST({column} AS float(53))"), **dict.fromkeys(("timestamp", "rowversion"), "CAST({column} AS bigint)")},
        text_cast="CAST({column} AS nvarchar(max))",
        text_types=("time", "xml", "sql_variant", "hierarchyid", "geography", "geometry"),
        zoned_types=("datetimeoffset",),
        rowversion_types=("timestamp", "rowversion"),
        # It has no regular expressions; of text made of these characters TRY_CAST gives NULL for what is no number (`1 2`, `1-`, none at all).
        digits="CASE WHEN {column} NOT LIKE '%[^-0-9 ]%' THEN TRY_CAST({column} AS DECIMAL(37,0)) END",
        # ABS of the smallest int overflows.
        bucket="ABS(CAST(CHECKSUM({column}) AS bigint)) % {count}",
    ),
}


def jdbc_url(name: str, connection: JdbcConnection, home: Path) -> str:
    """The JDBC URL of a connection, without user or password. TLS is verified except on loopback or where `insecure` is spelled out."""
    database = connection.database or name
    if connection.dialect == "h2":
        return f"{h2_url(home / database)};IFEXISTS=TRUE"
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
            "trustServerCertificate": "true" if trusting else "false",
            "loginTimeout": str(connect),
            "socketTimeout": str(read * 1000),
            "applicationIntent": "ReadOnly",
        }
    # Spark has no MariaDB dialect: with jdbc:mariadb: it reads the column's name as its value. The mysql scheme is right.
    tls = {} if trusting else {"sslMode": "verify-full"}
    times = {"connectTimeout": str(connect * 1000), "socketTimeout": str(read * 1000)}
    return {"permitMysqlScheme": "", "tinyInt1isBit": "false", "yearIsDateType": "false", "sessionVariables": "time_zone='+00:00'", **times, **tls}
