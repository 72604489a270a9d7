"""`conf/connections.yml`: each `database` of load_config.csv: jdbc, files or api; secrets by reference only."""

from typing import Annotated, Literal

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen

Dialect = Literal["h2", "mariadb", "mysql", "postgresql", "sqlserver"]
MissingWatermark = Literal["fail", "include", "exclude"]


class JdbcTableOptions(Frozen):
    """Options of one source table (matched by its name without schema, any case)."""

    key: tuple[str, ...] = Field((), description="source columns that identify a row; empty: taken from the contract's mapping")
    overlap_seconds: int | None = Field(None, ge=0, description="how far below the watermark a window starts; default 900, for DATE watermarks 3 days")
    partition_column: str | None = None
    partitions: int = Field(1, ge=1, le=64)
    null_watermark: MissingWatermark = "fail"
    reconcile: Literal["daily", "weekly", "never"] = "never"
    fetch_size: int | None = Field(None, ge=1)


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
    settle_seconds: int = Field(60, ge=0, description="rows younger than this wait for the next window")
    max_stall_seconds: int = Field(3600, ge=0, description="longest time an open transaction may hold a window back")
    fetch_size: int = Field(10_000, ge=1)
    connect_timeout_seconds: int = Field(10, ge=1)
    query_timeout_seconds: int = Field(600, ge=1)
    max_connections: int = Field(4, ge=1)
    load_hours: str | None = Field(None, pattern=r"^\d\d:\d\d-\d\d:\d\d$", description="local hours of this connection's zone in which it may be read")
    insecure: bool = Field(False, description="true: no TLS verification; always allowed on loopback")
    tables: dict[str, JdbcTableOptions] = {}


class FileTableOptions(Frozen):
    """How the files of one row of load_config.csv are found and read."""

    pattern: str = Field(description="glob below the connection's path, e.g. hospital1_claim_data*.csv")
    format: Literal["csv", "fixed"] = "csv"
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    columns: tuple[str, ...] = Field((), description="expected header; required without a header line")
    widths: tuple[tuple[int, int], ...] = Field((), description="fixed: 1-based first and last position of each column")
    drift: Literal["evolve", "freeze", "discard", "quarantine"] = "evolve"
    arrival: Literal["stable", "marker", "manifest"] = "stable"
    stable_seconds: float = Field(0.0, ge=0, description="a file must not have changed for this long")
    require_final_newline: bool = True
    zero_rows: Literal["allow", "fail"] = "allow"


class FilesConnection(Frozen):
    """A landing folder. A file is the unit of loading, known by the hash of its content."""

    type: Literal["files"]
    path: str = Field(description="landing folder, relative to the project")
    archive: str | None = Field(None, description="where committed files go; default <path>/_archive")
    time_zone: str
    tables: dict[str, FileTableOptions] = {}


class ApiTableOptions(Frozen):
    """What one row of load_config.csv asks an API for."""

    queries: tuple[dict[str, str], ...] = Field((), description="start queries")
    ids_from: str | None = Field(None, description="silver table.column whose distinct values are looked up")
    page_size: int = Field(200, ge=1)
    max_age_days: int = Field(30, ge=0, description="a cached answer younger than this is not asked for again")


class ApiConnection(Frozen):
    """An HTTP source."""

    type: Literal["api"]
    kind: Literal["nppes", "nlm_icd10cm", "who_icd"]
    base_url: str
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    time_zone: str = "UTC"
    requests_per_second: float = Field(5.0, gt=0)
    timeout_seconds: float = Field(30.0, gt=0)
    attempts: int = Field(4, ge=1)
    ca_bundle: str | None = None
    tables: dict[str, ApiTableOptions] = {}


Connection = Annotated[JdbcConnection | FilesConnection | ApiConnection, Field(discriminator="type")]
