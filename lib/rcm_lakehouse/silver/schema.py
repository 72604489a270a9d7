"""Schemas of the silver, tombstone and quarantine tables, derived from a contract."""

import re

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from rcm_lakehouse.config.contracts import Contract

_NAMED: dict[str, DataType] = {
    "string": StringType(),
    "date": DateType(),
    "timestamp": TimestampType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
}

REASON = StructType(
    [
        StructField("rule", StringType()),
        StructField("severity", StringType()),
        StructField("columns", StringType()),
        StructField("message", StringType()),
        StructField("rule_version", IntegerType()),
    ]
)

QUARANTINE = StructType(
    [
        StructField("quarantine_id", StringType()),
        StructField("event", StringType()),
        StructField("data_source", StringType()),
        StructField("_source_table", StringType()),
        StructField("entity_key", StringType()),
        StructField("sequence_at", TimestampType()),
        StructField("reasons", ArrayType(REASON)),
        StructField("raw_row", StringType()),
        StructField("_load_id", StringType()),
        StructField("_batch_seq", LongType()),
        StructField("_row_hash", StringType()),
        StructField("seen_at", TimestampType()),
    ]
)


def as_data_type(text: str) -> DataType:
    """The Spark type a contract names; KeyError for one that contracts may not use."""
    decimal = re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", text.strip().lower())
    if decimal:
        return DecimalType(int(decimal[1]), int(decimal[2]))
    array = re.fullmatch(r"array<(.+)>", text.strip().lower())
    return ArrayType(as_data_type(array[1])) if array else _NAMED[text.strip().lower()]


def silver_schema(contract: Contract) -> StructType:
    """Columns of `silver.<entity>` in their order: keys, contract columns, history, lineage."""
    return StructType([StructField(name, as_data_type(kind)) for name, kind in contract.table_columns.items()])


def tombstone_schema(contract: Contract) -> StructType:
    """Columns of `silver.<entity>_tombstones`: the delete events of a key."""
    return StructType(
        [
            StructField(contract.key_column, StringType()),
            StructField("deleted_at", TimestampType()),
            StructField("_source_table", StringType()),
            StructField("_load_id", StringType()),
            StructField("_batch_seq", LongType()),
        ]
    )


# As below: all but the key.
TOMBSTONE_STATISTICS = "deleted_at,_source_table,_load_id,_batch_seq"


def statistics_columns(contract: Contract) -> str:
    """Columns whose minimum and maximum may stand in the Delta log: times and lineage, never a person's data.

    Nor the key, which holds a number of the hospital: no query prunes files by the key: versions are joined by it.
    """
    return ",".join(["effective_from", "effective_to", "_source_table", "_load_id", "_batch_seq"])
