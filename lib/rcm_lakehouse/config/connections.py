"""`conf/connections.yml`: each `database` of load_config.csv: jdbc, files or api; secrets by reference only."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen, InWords

Dialect = Literal["h2", "mariadb", "mysql", "postgresql", "sqlserver"]
MissingWatermark = Literal["fail", "include", "exclude"]
_HOURS = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"

# Hosts that are this machine.
LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


class JdbcTableOptions(Frozen):
    """Options of one source table (matched by its name without schema, any case)."""

    key: tuple[str, ...] = Field((), description="source columns that identify a row; empty: taken from the contract's mapping")
    overlap_seconds: int | None = Field(
        None,
        ge=0,
        le=315_360_000,
        description="how far below the watermark a window starts; default 900, for DATE watermarks 3 days, for integers 1000 numbers",
    )
    partition_column: str | None = Field(None, description="column by which a large table is read in parts: number, day, time or text")
    partitions: int = Field(1, ge=1, le=64, description="parts, each its own connection")
    null_watermark: MissingWatermark = Field("fail", description="rows without a watermark: stop the load, load them flagged, or leave them out")
    type_drift: Literal["fail", "quarantine"] = Field(
        "fail", description="a column whose new type may not fit: stop the load, or take values that fit and let rows with others wait in quarantine"
    )
    gone_columns: tuple[str, ...] = Field((), description="mapped columns that the source has dropped for good: NULL from now on, with a warning")
    reconcile: Literal["daily", "weekly", "never"] = Field("never", description="how often keys and hashes of the whole table are compared")
    fetch_size: int | None = Field(None, ge=1, le=1_000_000, description="rows a round trip; default: the connection's")


class JdbcConnection(Frozen):
    """A relational source. URLs are built from these parts; a URL is never given."""

    type: Literal["jdbc"]
    dialect: Dialect
    host: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    database: str | None = Field(None, description="real database name; H2: file path relative to the project; default: the name of this entry")
    schemas: dict[str, str | None] = Field({}, description="schema of load_config.csv -> real schema; NULL drops the prefix")
    user: str | None = Field(None, description="a name or a secret reference")
    password: str | None = Field(None, description="secret reference env:NAME, file:path or databricks:scope/key")
    params: dict[str, str] = Field({}, description="extra URL parameters, from an allow-list per dialect")
    time_zone: str = Field(description="zone in which the source writes naive times, e.g. America/New_York")
    settle_seconds: int = Field(60, ge=0, le=604_800, description="rows younger than this wait for the next window")
    max_stall_seconds: int = Field(3600, ge=0, le=604_800, description="longest time an open transaction may hold a window back")
    fetch_size: int = Field(10_000, ge=1, le=1_000_000, description="rows a round trip; what bounds the memory of a read")
    connect_timeout_seconds: int = Field(10, ge=1, le=600, description="longest wait for a connection")
    query_timeout_seconds: int = Field(600, ge=1, le=86_400, description="longest wait for a query and for the next rows")
    max_connections: int = Field(4, ge=1, le=64, description="connections at a time, over all loads")
    load_hours: Annotated[str | None, InWords("hours as HH:MM-HH:MM, like 20:00-06:00")] = Field(
        None, pattern=_HOURS, description="local hours of this connection's zone in which it may be read"
    )
    insecure: bool = Field(False, description="true: no TLS verification; always allowed on loopback")
    tables: dict[str, JdbcTableOptions] = {}


class FileTableOptions(Frozen):
    """How the files of one row of load_config.csv are found and read."""

    pattern: str = Field(
        description="glob below the connection's path, e.g. claims/hospital1_claim_data*.csv; ** is any folders. Hidden files, links and *.part, "
        "*.partial, *.filepart, *.tmp are left alone; a name ending in .gz is gunzipped"
    )
    format: Literal["csv", "fixed"] = Field("csv", description="csv: cells between delimiters; fixed: cells at positions (`widths`)")
    delimiter: str = Field(",", description="one character, e.g. ',', '|', ';' or a tab")
    quote: str = Field('"', description="one character; a quoted value may hold delimiters and line ends, a doubled quote in it is one")
    encoding: str = Field(
        "utf-8", description="a byte order mark is honoured where it fits and refuses the file where it contradicts; other bytes refuse the file"
    )
    header: bool | None = Field(
        None,
        description="csv, true unless said otherwise: the first line names the columns; they are met by name, in any order and case. "
        "fixed, false unless said otherwise: the first line is passed over",
    )
    columns: tuple[str, ...] = Field((), description="expected header; required without a header line")
    widths: tuple[tuple[int, int | None], ...] = Field(
        (), description="fixed: 1-based first and last position of each column; the last column may be open-ended: [78, null]. A shorter line is malformed"
    )
    drift: Literal["evolve", "freeze", "discard", "quarantine"] = Field(
        "evolve",
        description="a column beyond `columns`, or, without these, beyond what earlier files had: evolve adds it, NULL in older rows; freeze refuses the file; "
        "discard leaves its values out and counts them; quarantine keeps lines with a value in it as malformed",
    )
    gone_columns: tuple[str, ...] = Field((), description="mapped columns that files have no more though a new column has nearly their name: NULL")
    arrival: Literal["stable", "marker", "manifest"] = Field(
        "stable",
        description="when a file is complete. stable: stable_seconds alone; marker: also <name>.done, or _SUCCESS in its folder, not older than the file; "
        "manifest: also <name>.manifest.json with `rows` (records without header; alone, not older than the file) or `sha256`, or both, and the file agrees",
    )
    stable_seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="a file must not have changed for this long; above 0 a run looks twice and waits for a file whose size or time moved; 0: taken as it is",
    )
    require_final_newline: bool = Field(
        True, description="true: a file whose last line has no end is refused, for it may be cut inside its last value; a sha256 of a manifest makes up for it"
    )
    zero_rows: Literal["allow", "fail"] = Field("allow", description="a file with a header alone, or with no byte: archived with 0 rows, or refused")
    lost_characters: Literal["quarantine", "fail", "allow"] = Field(
        "quarantine",
        description="lines with U+FFFD, which stands for a character that a conversion lost: counted, then kept as malformed, the file refused, or loaded",
    )
    max_record_characters: int = Field(
        1_000_000,
        ge=1_000,
        le=10_000_000,
        description="a longer record is malformed; its text is kept up to this length, the whole file in the archive. A longer header line refuses the file",
    )

    @property
    def has_header(self) -> bool:
        """True when the first line is no record."""
        return self.format == "csv" if self.header is None else self.header


class FilesConnection(Frozen):
    """A landing folder. A file is the unit of loading, known by the hash of its content."""

    type: Literal["files"]
    path: str = Field(description="landing folder, relative to the project")
    archive: str | None = Field(None, description="where committed files go; default <path>/_archive")
    time_zone: str
    tables: dict[str, FileTableOptions] = {}


class ApiTableOptions(Frozen):
    """What one row of load_config.csv asks an API for: start queries, looked-up ids, or both."""

    queries: tuple[dict[str, str], ...] = Field(
        (),
        description="start queries, parameter -> value. nppes: search parameters of the registry (state, postal_code, last_name, ...); "
        "nlm_icd10cm: terms, a prefix of codes ({terms: E11}); who_icd: code, where the walk begins ({code: M51}); none: the whole release",
    )
    ids_from: str | None = Field(None, description="nppes: silver entity.column whose current, valid, distinct values are looked up one by one (provider.npi)")
    page_size: int = Field(200, ge=1, description="rows a request; nppes takes at most 200, nlm_icd10cm at most 500, who_icd has no pages")
    max_age_days: int = Field(
        30, ge=0, description="an answer younger than this many days is not asked for again; an older one that cannot be renewed is stale. 0: always ask"
    )


class ApiConnection(Frozen):
    """An HTTP source of reference data. TLS is always verified; plain http is for loopback alone."""

    type: Literal["api"]
    kind: Literal["nppes", "nlm_icd10cm", "who_icd"] = Field(
        description="the service's protocol: NPI registry v2.1, NLM Clinical Tables ICD-10-CM, WHO ICD API v2"
    )
    base_url: str = Field(description="https address without query or credentials; who_icd: with the release (https://host/icd/release/10/2019)")
    token_url: str | None = Field(None, description="who_icd: where client credentials are turned into a token")
    client_id: str | None = Field(None, description="who_icd: secret reference env:NAME, file:path or databricks:scope/key")
    client_secret: str | None = Field(None, description="who_icd: secret reference env:NAME, file:path or databricks:scope/key")
    time_zone: str = Field("UTC", description="zone of naive times in answers; the three services write none, so UTC")
    requests_per_second: float = Field(5.0, gt=0, description="highest rate to one host, over all loads of a run")
    timeout_seconds: float = Field(30.0, gt=0, description="longest time for connecting, between two parts of an answer, and for a whole answer")
    attempts: int = Field(
        4, ge=1, le=10, description="tries of one request in all; status 429, 500, 502-504, broken connections and unreadable answers are tried again"
    )
    first_wait_seconds: float = Field(1.0, ge=0, description="base of the random exponential wait between tries")
    max_wait_seconds: float = Field(120.0, ge=0, description="longest wait between tries; a server that asks (Retry-After) for more fails the load at once")
    max_response_mb: int = Field(32, ge=1, description="an answer larger than this, decompressed, is refused")
    max_requests: int = Field(50_000, ge=1, description="a load that would need more requests is refused")
    ca_bundle: str | None = Field(None, description="file of certificates (PEM) to trust in place of the system's, relative to the project")
    tables: dict[str, ApiTableOptions] = Field({}, description="by datasource.tablename or tablename")


AnyConnection = JdbcConnection | FilesConnection | ApiConnection
CONNECTIONS: Mapping[str, type[AnyConnection]] = {"jdbc": JdbcConnection, "files": FilesConnection, "api": ApiConnection}
