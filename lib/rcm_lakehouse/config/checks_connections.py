"""Connections are untrusted input: parts of a URL may not smuggle parameters, and parameters come from a short list."""

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rcm_lakehouse.config.checks_api import check_api_tables
from rcm_lakehouse.config.checks_files import check_file_tables
from rcm_lakehouse.config.connections import LOOPBACK, ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.parts import Lost
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.secrets import FORMS, is_reference, looks_like_reference
from rcm_lakehouse.config.validated import Sound

Note = Callable[..., None]

# Nothing here loads classes, reads local files into a query, rewrites queries or names another host.
ALLOWED_PARAMS: dict[str, frozenset[str]] = {
    "h2": frozenset(),
    "mariadb": frozenset({"sslMode", "serverSslCert", "useCompression", "connectionCollation", "tcpKeepAlive"}),
    "mysql": frozenset({"sslMode", "serverSslCert", "useCompression", "connectionCollation", "tcpKeepAlive"}),
    "postgresql": frozenset({"sslmode", "sslrootcert", "ApplicationName", "targetServerType", "readOnly"}),
    "sqlserver": frozenset({"trustServerCertificate", "hostNameInCertificate", "trustStore", "applicationName", "multiSubnetFailover"}),
}
# The only values that verify the server's certificate; every other one needs `insecure: true`.
_VERIFYING = {"sslmode": ("verify-full", "verify-ca"), "trustservercertificate": ("false",)}
# Libraries take an address as one number, in hexadecimal or octal, too: 2852039166 is 169.254.169.254.
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?$", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\Z|\[[0-9A-Fa-f:]{2,45}\]\Z")
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$.-]{0,127}\Z")
_H2_PATH = re.compile(r"[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,399}\Z")
_USER = re.compile(r"[\w.@$\\ +-]{1,128}\Z")
_VALUE = re.compile(r"[A-Za-z0-9_./:-]{1,200}\Z")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,127}\Z")
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?\Z")


def check_connection(name: str, sound: Sound[Any], problems: list[Problem]) -> None:
    """Note everything about one connection that its types alone cannot refuse."""
    connection = sound.value

    def note(text: str, *path: object) -> None:
        problems.append(Problem(sound.part.file, sound.part.line(*path), f"{name}: {text}"))

    if not _NAME.match(name):
        note("this is no connection name: letters, digits, dot, hyphen and underscore.")
    if not is_zone(connection.time_zone):
        hint = did_you_mean(connection.time_zone, available_timezones())
        note(f"time_zone is no zone of the IANA database, like America/New_York.{hint}", "time_zone")
    if isinstance(connection, JdbcConnection):
        _check_jdbc(connection, sound.lost, note)
    elif isinstance(connection, FilesConnection):
        check_file_tables(connection, sound.lost, note)
    else:
        _check_api(connection, sound.lost, note)


def is_zone(name: str) -> bool:
    """True for a zone of the IANA database that Java knows too."""
    # Linux keeps a second set under posix/ and right/, which Java does not know.
    if name.startswith(("posix", "right", "localtime")):
        return False
    try:
        return ZoneInfo(name).key == name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _check_jdbc(connection: JdbcConnection, lost: Lost, note: Note) -> None:
    if connection.host is not None and not _HOST.match(connection.host):
        note("host is no host name or address (IPv6 in brackets); URLs, ports and parameters have keys of their own.", "host")
    if connection.dialect == "h2":
        _check_h2(connection, lost, note)
    elif connection.database is not None and not lost.at("dialect") and (not _DATABASE.match(connection.database) or ".." in connection.database):
        note("database is no plain database name; parameters cannot be given here.", "database")
    user = connection.user or "nobody"
    if not is_reference(user) and (looks_like_reference(user) or not _USER.match(user)):
        note(f"user is neither an account's name nor a reference: {FORMS}.", "user")
    if connection.password is not None and not is_reference(connection.password):
        note(f"password must be a reference: {FORMS}; a file lies below the project or /run/secrets. Move the secret there.", "password")
    if not lost.at("dialect"):
        _check_params(connection, lost.at("insecure") or lost.at("host"), note)
    for given, real in connection.schemas.items():
        if real is not None and not _COLUMN.match(real):
            note("schemas: the real schema is no identifier.", "schemas", given)
    for table, options in connection.tables.items():
        if options.partitions > 1 and options.partition_column is None and not lost.at("tables", table):
            note("partitions above 1 need partition_column.", "tables", table, "partitions")
        if options.partition_column is not None and not _COLUMN.match(options.partition_column):
            note("partition_column is no column name.", "tables", table, "partition_column")
        if not all(_COLUMN.match(column) for column in options.key):
            note("key holds what is no column name.", "tables", table, "key")
        if len({column.lower() for column in options.key}) < len(options.key):
            note("key names a column twice.", "tables", table, "key")


def _check_h2(connection: JdbcConnection, lost: Lost, note: Note) -> None:
    database = connection.database
    if database is None:
        if not lost.at("database"):
            note("an h2 connection needs `database`, the file's path relative to the project.", "dialect")
    elif not _H2_PATH.match(database) or ".." in database.split("/"):
        note("database is no path below the project; schemes (tcp:, mem:) and settings (;INIT=…) cannot be given here.", "database")
    for key in ("host", "port"):
        if getattr(connection, key) is not None:
            note(f"an embedded h2 database has no {key}.", key)


def _check_params(connection: JdbcConnection, may_be_lax: bool, note: Note) -> None:
    allowed = ALLOWED_PARAMS[connection.dialect]
    is_lax = may_be_lax or connection.insecure or (connection.host or "localhost") in LOOPBACK
    for key, value in connection.params.items():
        if key not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            note(f"params: this parameter is not allowed for {connection.dialect}; allowed: {known}.{did_you_mean(key, allowed)}", "params", key)
        elif not _VALUE.match(value):
            note(f"params: the value of {key} has characters that a URL parameter may not have.", "params", key)
        elif value.lower() not in _VERIFYING.get(key.lower(), (value.lower(),)) and not is_lax:
            note(f"params: {key} gives up verifying the server; say `insecure: true` if that is meant.", "params", key)


def _check_api(connection: ApiConnection, lost: Lost, note: Note) -> None:
    for key, value in (("base_url", connection.base_url), ("token_url", connection.token_url)):
        wrong = None if value is None else _wrong_url(value)
        if wrong:
            note(f"{key} {wrong}", key)
    for key, value in (("client_id", connection.client_id), ("client_secret", connection.client_secret)):
        if value is not None and not is_reference(value):
            note(f"{key} must be a reference: {FORMS}.", key)
    bundle = connection.ca_bundle
    if bundle is not None and (not re.fullmatch(r"[\w./@+=-]{1,400}", bundle) or ".." in bundle.split("/")):
        note("ca_bundle is no path of a file of certificates; it may not climb out with '..'.", "ca_bundle")
    if not lost.at("kind"):
        check_api_tables(connection, lost, note)


def _wrong_url(url: str) -> str | None:
    """What is wrong with an address, in words; None when nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not _URL.match(url) or not _HOST.match(f"[{host}]" if ":" in host else host) or ".." in parts.path.split("/"):
        return "must be https://host/path without user, query or '..'."
    if parts.scheme != "https" and host not in LOOPBACK:
        return "must be https; plain http is for this machine alone."
    address = _address(host)
    if address is None:
        return "must name a host, or an address as four decimal numbers." if _NUMBERS.match(host) else None
    is_closed = address.is_link_local or address.is_unspecified or address.is_multicast
    return "names an address that only this machine's network knows (link-local)." if is_closed else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
