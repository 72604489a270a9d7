"""Durable keys: unique across hospitals, stable across runs, pseudonyms for people (pure)."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F


def durable_key(data_source: Column, parts: Sequence[Column], *, salt: Column | None) -> Column:
    """The key of an entity: `hos-a|ENC001`, or for personal keys a salted SHA-256 of the same.

    A NULL part gives a NULL key, so the row is quarantined and two strangers never share a key. A bar inside a part is
    doubled, so ('a|b', 'c') and ('a', 'b|c') differ.
    """
    texts = [F.replace(part.cast("string"), F.lit("|"), F.lit("||")) for part in (data_source, *parts)]
    joined = reduce(lambda one, other: F.concat(one, F.lit("|"), other), texts)
    return joined if salt is None else F.sha2(F.concat(salt, F.lit("|"), joined), 256)
