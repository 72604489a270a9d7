"""Surrogates and hashes of versions: deterministic, so that a rebuild gives the same ones (pure)."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import JSON_TIMES


def version_sk(key: Column, effective_from: Column) -> Column:
    """The surrogate of one version: SHA-256 of its durable key and its start in UTC microseconds.

    It does not change while the start does not, whatever is slotted in before or after.
    """
    return F.sha2(F.concat_ws("|", key, F.unix_micros(effective_from).cast("string")), 256)


def content_hash(columns: Sequence[str]) -> Column:
    """SHA-256 of columns by name, null-safe: NULL, empty text and shifted values differ; a column that is NULL counts for nothing.

    So a column that a contract gains later, all NULL, changes no hash.
    """
    return F.sha2(F.to_json(F.struct(*[F.col(name) for name in sorted(columns)]), JSON_TIMES), 256)
