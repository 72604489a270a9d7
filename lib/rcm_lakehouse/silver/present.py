"""Rows that are what the source has now, whatever their own time says: what a comparison found, what came after it, what is back after a delete (pure)."""

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import PRESENT, has_flag, is_of_comparison
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.silver.mapping import MICROSECOND

_TIMES = ("_deleted_at", "_gone_at", "_elsewhere_at", "_found_at", "_known_at")


def known_times(versions: DataFrame | None, deletes: DataFrame | None, elsewhere: DataFrame | None, contract: Contract) -> DataFrame | None:
    """By key what earlier batches of one bronze table said: None without any.

    `_gone_at` is its newest delete, `_deleted_at` the newest that was found and not told by a row (`_is_found`), `_elsewhere_at` the times at which
    other tables of the hospital were found to lack it, `_found_at` where the newest version begins that a comparison found, `_known_at` the newest
    time of any version. Give those alone that came of batches before the one to be placed: a batch taken twice then gives the same times.
    """
    told = list[DataFrame]()
    if deletes is not None:
        told.append(_told(deletes, contract, _gone_at=F.col("deleted_at"), _deleted_at=F.when(F.col("_is_found"), F.col("deleted_at"))))
    if elsewhere is not None:
        told.append(_told(elsewhere, contract, _elsewhere_at=F.col("deleted_at")))
    if versions is not None:
        found = F.when(is_of_comparison(), F.col("effective_from"))
        told.append(_told(versions, contract, _found_at=found, _known_at=F.greatest("effective_from", F.array_max("_repeated_at"))))
    if not told:
        return None
    times = [F.collect_set(name).alias(name) if name == "_elsewhere_at" else F.max(name).alias(name) for name in _TIMES]
    return reduce(DataFrame.unionByName, told).groupBy(contract.key_column).agg(*times)


def _told(rows: DataFrame, contract: Contract, **times: Column) -> DataFrame:
    nothing = F.lit(None).cast("timestamp")
    return rows.select(contract.key_column, *[times.get(name, nothing).alias(name) for name in _TIMES])


def placed(rows: DataFrame, known: DataFrame, contract: Contract) -> DataFrame:
    """Canonical rows of one bronze table in the order of what their source had, where their own times would say otherwise; `event_at` alone is changed.

    `known` says what earlier batches brought (`known_times`). A row whose key was found deleted counts from just after that delete: it was restored
    with its old stamp, or entered again on that day; so does one that was read after another table of the hospital lost its key. A row that a
    comparison found counts from just after all that silver knows of its key, deletes too; one that a load brought later from just after what was found,
    for it was read after it. Where times are days (`is_day`) both count from that very day: there the later delivery wins, and later ones of that
    day are to win over it. A delete that was found is no earlier than what silver knows. Of several rows of a key in one batch the newest alone is
    moved: the others are its past. NULL times and keys stay NULL.
    """
    key, at, is_day = contract.key_column, F.col("event_at"), F.coalesce("is_day", F.lit(False))
    place = F.struct("event_at", "is_delete")
    newest = F.max(F.when(~F.col("is_outside"), place)).over(Window.partitionBy(key, "_batch_seq"))
    met = rows.join(known, key, how="left").withColumn("_newest", newest)
    is_found = (F.col("_change_type") == "delete") | has_flag(PRESENT)
    before = F.when(is_found, F.col("_known_at")).otherwise(F.col("_found_at"))
    behind = F.when(before > at, F.when(is_day, before).otherwise(_after(before)))
    elsewhere = F.array_max(F.filter("_elsewhere_at", lambda other: other < F.col("_window_high")))
    gone = F.when(is_found, F.col("_gone_at")).otherwise(F.col("_deleted_at"))
    of_row = F.greatest(at, _after(gone), _after(elsewhere), behind)
    of_delete = F.greatest(at, before)
    is_moved = ~F.col("is_outside") & at.isNotNull() & (place == F.col("_newest"))
    moved = F.when(is_moved, F.when(F.col("is_delete"), of_delete).otherwise(of_row)).otherwise(at)
    return met.withColumn("event_at", moved).select(*rows.columns)


def _after(time: Column) -> Column:
    return time + F.expr(MICROSECOND)
