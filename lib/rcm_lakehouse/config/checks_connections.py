"""Connections are untrusted input: parts of a URL may not smuggle parameters, and parameters come from a short list."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rcm_lakehouse.config.connections import ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.secrets import is_reference
from rcm_lakehouse.config.yaml_lines import Document

# Nothing here loads classes, reads local files or rewrites queries.
ALLOWED_PARAMS: dict[str, frozenset[str]] = {
    "h2": frozenset(),
    "mariadb": frozenset({"sslMode", "serverSslCert", "useCompression", "connectionCollation", "tcpKeepAlive"}),
    "mysql": frozenset({"sslMode", "serverSslCert", "useCompression", "connectionCollation", "tcpKeepAlive"}),
    "postgresql": frozenset({"sslmode", "sslrootcert", "ApplicationName", "targetServerType", "readOnly", "options_search_path"}),
    "sqlserver": frozenset({"trustServerCertificate", "hostNameInCertificate", "trustStore", "applicationName", "multiSubnetFailover"}),
}
_TLS_PARAMS = ("sslmode", "trustservercertificate")
_LAX_TLS = ("disable", "disabled", "allow", "prefer", "require", "trust", "true", "preferred", "required")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z|\[?[0-9A-Fa-f:]+\]?\Z")
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$.-]{0,127}\Z")
_H2_PATH = re.compile(r"[A-Za-z0-9_./-]{1,400}\Z")
_VALUE = re.compile(r"[A-Za-z0-9_./:@ -]{0,200}\Z")
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,127}\Z")
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?\Z")


def check_connection(document: Document, name: str, connection: JdbcConnection | FilesConnection | ApiConnection, problems: list[Problem]) -> None:
    """Note everything about one connection that its types alone cannot refuse."""

    def note(text: str, *path: str) -> None:
        problems.append(Problem(document.file, document.line(name, *path), f"{name}: {text}"))

    try:
        ZoneInfo(connection.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        note("time_zone is no zone of the IANA database, like America/New_York.", "time_zone")
    if isinstance(connection, JdbcConnection):
        _check_jdbc(connection, note)
    elif isinstance(connection, FilesConnection):
        _check_files(connection, note)
    else:
        _check_api(connection, note)


def _check_jdbc(connection: JdbcConnection, note) -> None:  # type: ignore[no-untyped-def]
    if connection.host is not None and not _HOST.match(connection.host):
        note("host is no host name or address; URLs, ports and parameters have keys of their own.", "host")
    pattern = _H2_PATH if connection.dialect == "h2" else _DATABASE
    if connection.database is not None and (not pattern.match(connection.database) or ".." in connection.database):
        note("database is no plain database name; parameters cannot be given here.", "database")
    if connection.password is not None and not is_reference(connection.password):
        note("password must be a reference: env:NAME, file:path or databricks:scope/key. Move the secret there.", "password")
    if connection.dialect == "h2" and connection.database is None:
        note("an h2 connection needs `database`, the file's path relative to the project.", "dialect")
    allowed = ALLOWED_PARAMS[connection.dialect]
    for key, value in connection.params.items():
        if key not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            note(f"params: this parameter is not allowed for {connection.dialect}; allowed: {known}.{did_you_mean(key, allowed)}", "params", key)
        elif not _VALUE.match(value):
            note(f"params: the value of {key} has characters that a URL parameter may not have.", "params", key)
        elif key.lower() in _TLS_PARAMS and value.lower() in _LAX_TLS and not connection.insecure:
            note(f"params: {key} gives up verifying the server; say `insecure: true` if that is meant.", "params", key)
    for given, real in connection.schemas.items():
        if real is not None and not _SCHEMA.match(real):
            note("schemas: the real schema is no identifier.", "schemas", given)
    for table, options in connection.tables.items():
        if options.partitions > 1 and options.partition_column is None:
            note("partitions above 1 need partition_column.", "tables", table)
        for column in (*options.key, *((options.partition_column,) if options.partition_column else ())):
            if not _SCHEMA.match(column):
                note("a column name here is no identifier.", "tables", table)


def _check_files(connection: FilesConnection, note) -> None:  # type: ignore[no-untyped-def]
    for key, value in (("path", connection.path), ("archive", connection.archive)):
        if value is not None and (".." in value.split("/") or "\x00" in value or not value.strip()):
            note(f"{key} may not climb out with '..'.", key)
    for table, options in connection.tables.items():
        if options.pattern.startswith(("/", "~")) or ".." in options.pattern.split("/") or "\\" in options.pattern:
            note("pattern must stay below the connection's path.", "tables", table, "pattern")
        if len(options.delimiter) != 1 or len(options.quote) != 1 or options.delimiter == options.quote:
            note("delimiter and quote are one character each, and differ.", "tables", table)
        if not options.header and not options.columns:
            note("without a header line `columns` must name the columns.", "tables", table)
        if options.format == "fixed" and len(options.widths) != len(options.columns):
            note("format fixed needs `columns` and as many `widths` [first, last].", "tables", table)
        try:
            "".encode(options.encoding)
        except LookupError:
            note("encoding is not known; use utf-8, utf-16 or latin-1.", "tables", table, "encoding")


def _check_api(connection: ApiConnection, note) -> None:  # type: ignore[no-untyped-def]
    for key, value in (("base_url", connection.base_url), ("token_url", connection.token_url)):
        if value is not None and not _URL.match(value):
            note(f"{key} must be http(s)://host/path without query or credentials.", key)
    for key, value in (("client_id", connection.client_id), ("client_secret", connection.client_secret)):
        if value is not None and not is_reference(value):
            note(f"{key} must be a reference: env:NAME, file:path or databricks:scope/key.", key)
