"""`conf/cdm/<entity>.yml`: the contract of one silver table."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen

Severity = Literal["error", "warn", "drop", "fail"]
PhiClass = Literal["none", "quasi", "direct"]

# Columns that every silver table has behind those of its contract, with their types: history, quality, lineage.
HISTORY: Mapping[str, str] = {
    "effective_from": "timestamp",
    "effective_to": "timestamp",
    "is_current": "boolean",
    "version": "int",
    "dq_flags": "array<string>",
    "record_hash": "string",
    "_repeated_at": "array<timestamp>",
    "_source_table": "string",
    "_load_id": "string",
    "_batch_seq": "bigint",
    "_ingested_at": "timestamp",
}


class Column(Frozen):
    """One column of a silver table."""

    name: str
    type: str = Field(description="Spark SQL type: string, date, timestamp, int, bigint, boolean, decimal(18,2)")
    phi: PhiClass = "none"
    tracked: bool = Field(True, description="a change makes a new version; false: the newest value is written in place")
    clean: str | None = Field(None, description="name of a cleaner in silver.cleaning applied to the raw text before the cast")
    formats: tuple[str, ...] = Field((), description="accepted date or timestamp patterns, tried in order; empty: the defaults of silver.casts")
    key_of: str | None = Field(None, description="entity whose durable key this column holds; its mapping gives the raw id")
    derive: str | None = Field(None, description="SQL over other columns of the contract; such a column has no mapping")
    values: tuple[str, ...] = Field((), description="closed value set after cleaning; documentation, the check is a rule")
    description: str = ""


class Rule(Frozen):
    """A predicate a good row makes true."""

    name: str
    check: str | None = Field(None, description="SQL predicate over the contract's columns")
    references: str | None = Field(None, description="entity whose durable key must know this row's `columns[0]`; NULL passes")
    unique: tuple[str, ...] = Field((), description="columns that must be unique in a delivery")
    columns: tuple[str, ...] = Field((), description="columns the message names")
    severity: Severity = "error"
    null_passes: bool = False
    message: str = ""
    version: int = 1


class SourceMapping(Frozen):
    """How rows of some bronze tables become rows of this entity."""

    name: str
    tables: tuple[str, ...] = Field(description="source table names without schema, lower case")
    data_sources: tuple[str, ...] = Field((), description="only these hospitals; empty: every hospital without a mapping of its own")
    columns: dict[str, str] = Field(
        description="silver column -> source column name (an identifier), or a SQL expression over source columns when it starts with '='; "
        "a column absent here is NULL"
    )
    where: str | None = Field(None, description="SQL over source columns; rows it does not make true belong to another mapping")
    delete_when: str | None = Field(None, description="SQL over source columns that marks a delete event")
    deletes: Literal["take", "ignore"] = Field("take", description="ignore: a row that is gone says nothing about the thing it named")


class Contract(Frozen):
    """One silver entity: columns, key, sequence, history, mappings and rules."""

    entity: str
    description: str
    grain: str
    key: tuple[str, ...] = Field(description="silver columns that, with data_source, make <entity>_key")
    key_is_personal: bool = Field(False, description="true: <entity>_key is a salted hash, not data_source|id")
    sequence_by: tuple[str, ...] = Field(
        (), description="silver columns: first the event time (timestamp), then tie-breaks; empty: the load's window end (snapshots)"
    )
    history: Literal["scd2"] = "scd2"
    columns: tuple[Column, ...]
    sources: tuple[SourceMapping, ...]
    rules: tuple[Rule, ...] = ()
    after: tuple[str, ...] = Field((), description="entities that must be merged before this one (foreign keys)")
    version: int = 1

    @property
    def key_column(self) -> str:
        """Name of the durable key: `patient_key`."""
        return f"{self.entity}_key"

    @property
    def sk_column(self) -> str:
        """Name of the version surrogate: `patient_sk`."""
        return f"{self.entity}_sk"

    @property
    def table_columns(self) -> dict[str, str]:
        """Every column of `silver.<entity>` with its type, in the table's order."""
        own = {column.name: column.type for column in self.columns}
        return {self.key_column: "string", self.sk_column: "string", "data_source": "string", **own, **HISTORY}

    @property
    def tracked_columns(self) -> tuple[str, ...]:
        """Columns whose change makes a version, in contract order."""
        return tuple(c.name for c in self.columns if c.tracked)

    @property
    def direct_identifiers(self) -> frozenset[str]:
        """Columns marked `phi: direct` that gold may not carry: all but the days and times of an event. Those of a person (its key is personal) are none."""
        of_events = ("date", "timestamp")
        return frozenset(c.name for c in self.columns if c.phi == "direct" and (self.key_is_personal or c.type not in of_events))
