"""Append-only quarantine: sightings and status events of bad rows, folded by a view."""

import logging
from collections.abc import Mapping

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.lake.memory import STATISTICS
from rcm_lakehouse.lake.names import create_rows_view, folded_sql
from rcm_lakehouse.lake.table import Table, layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.silver.schema import QUARANTINE

# Compaction is the maintenance job's: here it would cost every entity with a bad row a look at its files.
_PROPERTIES = {STATISTICS: "quarantine_id,_load_id,_batch_seq,seen_at"}

_log = logging.getLogger(__name__)


def quarantine_table(contract: Contract) -> Table:
    """`quarantine.<entity>`."""
    return layer_table("quarantine", contract.entity)


def ensure_quarantine(lake: Lake, contract: Contract) -> bool:
    """Create the entity's quarantine, empty, unless it exists; True when it was created now."""
    return lake.ensure(quarantine_table(contract), QUARANTINE, properties=_PROPERTIES)


def with_quarantine_id(rows: DataFrame) -> DataFrame:
    """Add `quarantine_id`: the same bad row of the same source has the same id in every delivery.

    A malformed line has no columns to hash, so its text (inside `_row_hash` through `raw_row`) and line tell it apart.
    """
    place = F.when(F.col("_corrupt_record").isNotNull(), F.col("_source_row").cast("string")).otherwise(F.lit(""))
    identity = F.to_json(F.struct("_source_table", "_row_hash", place.alias("place"), F.col("_corrupt_record").alias("line")))
    return rows.withColumn("quarantine_id", F.sha2(identity, 256))


def sightings(bad: DataFrame, known: DataFrame | None, contract: Contract) -> DataFrame:
    """`seen` events for judged bad rows: `raw_row` only at the first sighting; a delivery already told of is left out.

    `known` is the quarantine table so far, None when it is empty.
    """
    rows = with_quarantine_id(bad)
    if known is not None:
        seen = known.groupBy("quarantine_id").agg(F.collect_set(F.concat_ws("/", "_load_id", "event")).alias("_told"))
        rows = rows.join(seen, "quarantine_id", how="left")
        told = F.coalesce(F.array_contains("_told", F.concat_ws("/", "_load_id", F.lit("seen"))), F.lit(False))
        rows = rows.where(~told).withColumn("raw_row", F.when(F.col("_told").isNull(), F.col("raw_row")))
    return as_events(rows, contract, F.lit("seen"))


def taken_back(good: DataFrame, known: DataFrame, contract: Contract) -> DataFrame:
    """`replayed` events for rows that an earlier judgement of the same delivery put into quarantine and that are good now.

    Such a judgement was followed by a failure before its MERGE; what a row refers to, or the rules, came in between.
    """
    told = known.groupBy("quarantine_id", "_load_id").agg(F.collect_set("event").alias("_told"))
    waiting = told.where(F.array_contains("_told", "seen") & ~F.array_contains("_told", "replayed")).drop("_told")
    rows = with_quarantine_id(good).join(waiting, ["quarantine_id", "_load_id"], how="left_semi").dropDuplicates(["quarantine_id"])
    return as_events(rows.withColumn("raw_row", F.lit(None).cast("string")), contract, F.lit("replayed"))


def as_events(rows: DataFrame, contract: Contract, event: Column) -> DataFrame:
    """Judged rows that carry `quarantine_id` as events of this kind (seen, retried, replayed, superseded), now."""
    return rows.select(
        "quarantine_id",
        event.alias("event"),
        "data_source",
        "_source_table",
        F.col(contract.key_column).alias("entity_key"),
        F.col("event_at").alias("sequence_at"),
        F.col("failed_rules").cast(QUARANTINE["reasons"].dataType).alias("reasons"),
        "raw_row",
        "_load_id",
        "_batch_seq",
        "_row_hash",
        F.current_timestamp().alias("seen_at"),
    )


def open_rows(lake: Lake, quarantine: Table) -> DataFrame:
    """Rows of a quarantine that are neither merged nor replaced yet, folded to one each."""
    return lake.spark.sql(folded_sql(lake.sql_name(quarantine))).where("status = 'open'")


def never_merged(quarantine: DataFrame) -> DataFrame:
    """Rows (`_source_table`, `_load_id`, `_row_hash`) that a delivery brought into quarantine and that were not merged from there, open or closed.

    What a newer delivery replaced (`replaced`) is told without a row hash; `superseded` with one is a row that went into the past of its key.
    """
    told = quarantine.where("_row_hash IS NOT NULL").groupBy("_source_table", "_load_id", "_row_hash")
    return told.agg(F.max(F.col("event").isin("replayed", "superseded")).alias("_is_merged")).where(~F.col("_is_merged")).drop("_is_merged")


def replaced(rows: DataFrame) -> DataFrame:
    """`superseded` events of open rows (`open_rows`) that only an older snapshot had, now."""
    return rows.select(
        "quarantine_id",
        F.lit("superseded").alias("event"),
        "data_source",
        F.col("source_table").alias("_source_table"),
        "entity_key",
        "sequence_at",
        "reasons",
        F.lit(None).cast("string").alias("raw_row"),
        F.col("last_load_id").alias("_load_id"),
        F.col("last_batch_seq").alias("_batch_seq"),
        F.lit(None).cast("string").alias("_row_hash"),
        F.current_timestamp().alias("seen_at"),
    )


def ensure_view(lake: Lake, contract: Contract) -> None:
    """Create `quarantine.<entity>_rows` on a catalog, unless it exists; elsewhere sessions make it for themselves (`lake.names`).

    The view is for readers alone: where it cannot be made the rows are merged all the same, with a warning.
    """
    if not lake.settings.catalog:
        return
    try:
        create_rows_view(lake, quarantine_table(contract))
    except PySparkException as error:
        _log.warning("quarantine.%s_rows was not made: %s", contract.entity, error.getCondition() or type(error).__name__)


def outcome_counts(staged: DataFrame) -> dict[tuple[str, str], dict[str, int]]:
    """Judged source rows by (bronze table, load id) and outcome (good, quarantine, drop); one job over staged files."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    grouped = staged.groupBy("_source_table", "_load_id", "outcome").agg(F.count(F.lit(1)).alias("rows"))
    for row in grouped.collect():
        counts.setdefault((row["_source_table"], row["_load_id"]), {})[row["outcome"]] = int(row["rows"])
    return counts


def share_of_bad(counts: Mapping[tuple[str, str], Mapping[str, int]]) -> tuple[int, int]:
    """(quarantined, judged) rows over all loads; dropped rows are judged, too."""
    bad = sum(outcomes.get("quarantine", 0) for outcomes in counts.values())
    return bad, sum(sum(outcomes.values()) for outcomes in counts.values())
