"""Quarantined rows judged again by today's rules: what passes is merged into history, what does not stays with today's reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import CORRECTION, PRESENT, has_flag
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.earlier import was_compared
from rcm_lakehouse.pipeline.entities import Entity, ensure_known, entity_of
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.history import Merged, merge_history
from rcm_lakehouse.pipeline.plan import feeding
from rcm_lakehouse.pipeline.put_back import take_up
from rcm_lakehouse.pipeline.quarantine import as_events, never_merged, open_rows, replaced, with_quarantine_id
from rcm_lakehouse.pipeline.siblings import under_former_paths
from rcm_lakehouse.pipeline.silver_outcomes import as_json, nothing_new, upstream_broken
from rcm_lakehouse.pipeline.silver_sources import Pending, bronze_table, consumed_batches, is_foreign
from rcm_lakehouse.pipeline.silver_step import SilverBatch
from rcm_lakehouse.pipeline.tally import LoadKey, Tally
from rcm_lakehouse.pipeline.unfinished import take_back
from rcm_lakehouse.pipeline.waiting_marks import without_contract


def replay_entity(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """Judge an entity's open quarantined rows again, from bronze, and merge what passes; NOOP without a commit when none is open.

    A row that passes is `replayed`, or `superseded` when its key has something newer already (its own goes into the past). One that was
    withdrawn is `superseded` and not merged: the newest snapshot of its table no longer has it, or a later delivery has another row of its
    key at the same time. One that fails is `retried`, with the reasons of today.
    Raises DataStopError when a `fail` rule is broken; nothing was written.
    """
    entity = entity_of(ctx.project.contracts[step.label])
    ensure_known(ctx, lake, entity)
    take_up(ctx, lake, entity)
    consumed = without_contract(consumed_batches(ctx, lake, entity.contract, entity.silver))
    broken = upstream_broken(ctx, entity, step, done)
    if broken is not None:
        return broken
    if not lake.moved_past(entity.quarantine, 0):
        return nothing_new(ctx, lake, entity, consumed, {})
    waiting = lake.staged(f"{lake.scratch(ctx.run_id)}/silver/{step.label}/waiting", open_rows(lake, entity.quarantine))
    parts = replayed_parts(ctx, lake, entity, waiting, consumed, frozen)
    if not parts:
        return nothing_new(ctx, lake, entity, consumed, {})
    take_back(lake, entity, consumed, ctx.run_id)
    batch = ReplayBatch(ctx, lake, entity, parts, consumed, waiting=waiting)
    logs = batch.run()
    version = batch.version if batch.version >= 0 else lake.head_version(entity.silver)
    for log in logs:
        log.table_version = version
    return Outcome("SUCCESS", tuple(logs), {"version": version})


def replayed_parts(
    ctx: RunContext, lake: Lake, entity: Entity, waiting: DataFrame, consumed: Mapping[str, int], frozen: Frozen, *, with_former: bool = True
) -> tuple[Pending, ...]:
    """The bronze batches that open rows were last seen in, for each load that feeds the entity; `with_former`: those of its former targetpaths too.

    A batch that silver has not taken whole is left to the next run: a row of it in silver would say that all of it was.
    """
    seen = waiting.groupBy("source_table").agg(F.min("last_batch_seq").alias("low"), F.max("last_batch_seq").alias("high")).collect()
    found, last = ({row["source_table"]: int(row[end]) for row in seen} for end in ("low", "high"))
    parts = []
    loads = feeding(ctx.project, entity.contract.entity)
    left = [former for load in loads for former in under_former_paths(ctx, lake, load)] if with_former else []
    for row in [*loads, *left]:
        label = bronze_table(row).label
        mapping = ctx.project.mapping_of(entity.contract, row)
        # Nothing comes any more to a table that its load has left: what waits of it was taken.
        low, high = found.get(label, 0), last.get(label, 0) if row in left else consumed.get(label, 0)
        if mapping is not None and label in found and low <= high and not is_foreign(row, frozen) and lake.exists(bronze_table(row)):
            parts.append(Pending(row, mapping, low - 1, high))
    return tuple(parts)


@dataclass
class ReplayBatch(SilverBatch):
    """One MERGE of quarantined rows. History comes first, the quarantine's events after it: a kill between them is made good by replaying again.

    `waiting` are the open rows of the quarantine that are judged again, staged.
    """

    waiting: DataFrame = field(kw_only=True)
    tells_always = True

    def run(self) -> list[LoadLog]:
        """Stage, judge, merge, tell the quarantine; returns one audit row, none when there is nothing to tell."""
        opened = self._open_ones(self._staged())
        if not self.tells_always and not opened.limit(1).collect():
            return []
        rows = self._with_withdrawn(opened)
        tallies = self._tallies(rows)
        followers = self._followers(rows)
        events = self._events(rows, followers)
        logs: list[LoadLog] = []

        def told(merged: Merged) -> list[LoadLog]:
            logs.extend(self._told(merged, tallies))
            return logs

        merged = Merged()
        if tallies:
            taken, changes = _joined(rows, followers), f"{self._scratch()}/changes"
            merged = merge_history(self.ctx, self.lake, self.entity, (), taken, list(tallies), changes, told, self._siblings)
        else:
            told(merged)
        self.version = merged.version
        if merged.version >= 0:
            for log in logs:
                log.table_version = merged.version
            # Telling the quarantine may fail: what is in history is in the audit all the same, so that gold follows it.
            self.ctx.keep(f"silver:{self.contract.entity}", logs)
        self.lake.append(self.entity.quarantine, events, metadata={"run_id": self.ctx.run_id, "kind": "replay"})
        return logs

    def _delivered(self, part: Pending) -> DataFrame:
        """The open rows alone, where they were last seen; an older snapshot was replaced whole."""
        own = self.waiting.where(F.col("source_table") == part.table.label)
        marks = own.select(F.col("last_load_id").alias("_load_id"), F.col("row_hash").alias("_row_hash"))
        rows = super()._delivered(part).join(F.broadcast(marks), ["_load_id", "_row_hash"], how="left_semi")
        return rows.where(F.col("_batch_seq") == part.high) if part.is_snapshot else rows

    def _corrected(self, part: Pending, canonical: DataFrame) -> DataFrame:
        """Rows of a correction were placed when they came, by what silver had then."""
        return canonical

    def _known(self, part: Pending) -> DataFrame | None:
        """Of a snapshot the deletes before it. Rows of other tables were placed when they came, by what silver had then."""
        return super()._known(replace(part, low=part.high - 1)) if part.is_snapshot else None

    def _open_ones(self, staged: DataFrame) -> DataFrame:
        """Judged rows that are open, in the delivery they were last seen in, with their `quarantine_id` and in the place that they had there."""
        marks = self.waiting.select("quarantine_id", F.col("last_load_id").alias("_load_id"), F.col("sequence_at").alias("_place"))
        rows = with_quarantine_id(staged).join(marks, ["quarantine_id", "_load_id"], how="inner")
        compared = [part.table.label for part in self.parts if was_compared(self.lake, part) or self._has_others(part)]
        is_placed = (F.col("_source_table").isin(compared) | has_flag(CORRECTION)) & F.col("event_at").isNotNull()
        at = F.when(is_placed, F.greatest("event_at", "_place")).otherwise(F.col("event_at"))
        moved = rows.withColumns({"event_at": at, "_is_moved": F.coalesce(~has_flag(CORRECTION) & (at > F.col("event_at")), F.lit(False))})
        return self.lake.staged(f"{self._scratch()}/open", moved.drop("_place"))

    def _has_others(self, part: Pending) -> bool:
        """True when rows of the part may have been placed by what other tables, or those that its load wrote to before, were found to lack."""
        return bool(self._siblings.of(part) or self._siblings.former(part.row))

    def _with_withdrawn(self, rows: DataFrame) -> DataFrame:
        """Rows that pass, but whose time was given to another row by a later delivery that is not itself in quarantine, become `withdrawn`.

        So does what a comparison found, or was moved to its place, when a later delivery brought a row stamped no later: that one was read after it.
        History keeps no trace of a delivery that said what was current before, so bronze is asked.
        """
        place = [self.contract.key_column, "_source_table"]
        later = self._taken_since()
        if later is None:
            return rows.drop("_is_moved")
        given = later.select(*place, F.col("_batch_seq").alias("_later_seq"), F.col("event_at").alias("_later_at"))
        is_placed = F.col("_is_moved") | has_flag(PRESENT)
        is_taken = (F.col("_later_at") == F.col("event_at")) | (is_placed & (F.col("_later_at") < F.col("event_at")))
        met = rows.join(given, place, how="inner").where((F.col("_later_seq") > F.col("_batch_seq")) & is_taken)
        taken = met.select("quarantine_id", "_load_id").distinct().withColumn("_is_taken", F.lit(True))
        is_withdrawn = (F.col("outcome") == "good") & F.coalesce("_is_taken", F.lit(False))
        told = rows.join(taken, ["quarantine_id", "_load_id"], how="left")
        told = told.withColumn("outcome", F.when(is_withdrawn, "withdrawn").otherwise(F.col("outcome"))).drop("_is_taken", "_is_moved")
        return self.lake.staged(f"{self._scratch()}/withdrawn", told)

    def _taken_since(self) -> DataFrame | None:
        """Canonical rows of the batches since the oldest open row that silver took; None without an incremental load.

        Not those that a delivery brought into quarantine, open or closed since, nor what a rule drops. Each snapshot is a time of its own, and the newest
        alone is judged again: none was taken since.
        """
        place = ["_source_table", "_load_id", "_row_hash"]
        bad = F.broadcast(never_merged(self.lake.read(self.entity.quarantine)))
        rows = []
        for part in self.parts:
            if not part.is_snapshot:
                rows.append(self._canonical(part, super()._delivered(part)).join(bad, place, how="left_anti"))
        return self._judged(reduce(DataFrame.unionByName, rows)).where("outcome <> 'drop'") if rows else None

    def _followers(self, rows: DataFrame) -> DataFrame | None:
        """What silver took after rows that pass, of the same key and table, where the contract has no sequence; staged, and counted nowhere.

        There history keeps no time of a delivery that said what was current before: merged alone, an old state would end with nothing
        and be current for ever. With its followers it ends where the next delivery begins. Those that history has are the same events
        again and change nothing. What rules of today say of a follower does not matter: it was taken.
        """
        later = None if self.contract.sequence_by else self._taken_since()
        if later is None:
            return None
        place = [self.contract.key_column, "_source_table"]
        since = rows.where("outcome = 'good'").groupBy(*place).agg(F.min("event_at").alias("_since"))
        found = later.join(since, place, how="inner").where(F.col("event_at") > F.col("_since"))
        # Without a row hash it counts as no source row of its load.
        told = found.drop("_since").withColumns({"outcome": F.lit("good"), "_row_hash": F.lit(None).cast("string")})
        return self.lake.staged(f"{self._scratch()}/followers", told)

    def _events(self, rows: DataFrame, followers: DataFrame | None) -> DataFrame:
        """What the quarantine is to be told, staged before history changes."""
        key = self.contract.key_column
        last = F.greatest("effective_from", F.array_max("_repeated_at")).alias("_newest")
        newest = self.lake.read(self.entity.silver).where("is_current").select(key, last)
        if followers is not None:
            times = newest.unionByName(followers.select(key, F.col("event_at").alias("_newest")))
            newest = times.groupBy(key).agg(F.max("_newest").alias("_newest"))
        event = (
            F.when(F.col("outcome") == "quarantine", "retried")
            .when(F.col("outcome") == "drop", "rejected")
            .when((F.col("outcome") == "withdrawn") | (F.col("_newest") > F.col("event_at")), "superseded")
            .otherwise("replayed")
        )
        # The same bad row twice in one delivery is one row of the quarantine.
        judged_again = as_events(rows.dropDuplicates(["quarantine_id"]).join(newest, key, how="left"), self.contract, event)
        told = judged_again.withColumn("raw_row", F.lit(None).cast("string")).unionByName(self._replaced())
        events = self.lake.staged(f"{self._scratch()}/events", told)
        counts = {row["event"]: int(row["count"]) for row in events.groupBy("event").count().collect()}
        if counts.get("superseded"):
            words = f"{counts['superseded']} quarantined rows are superseded: their key has a newer version, or a later delivery took them back"
            self.warnings.append((self.entity.silver.label, words))
        return events

    def _replaced(self) -> DataFrame:
        """Events of open rows that only an older snapshot had."""
        older = [
            (F.col("source_table") == part.table.label) & (F.col("last_batch_seq") < part.high) for part in self.parts if part.is_snapshot
        ]
        rows = self.waiting.where(reduce(or_, older, F.lit(False)))
        return replaced(rows)

    def _logs(self, tallies: Mapping[LoadKey, Tally], merged: Merged) -> list[LoadLog]:
        """One audit row for all replayed rows: those of their first judgement were counted by load then."""
        written, unchanged, duplicate = (sum(tally.fates.get(name, 0) for tally in tallies.values()) for name in ("written", "unchanged", "duplicate"))
        duplicate += sum(tally.withdrawn for tally in tallies.values())
        dropped, bad = sum(tally.dropped for tally in tallies.values()), sum(tally.quarantined for tally in tallies.values())
        passed = written + unchanged + duplicate + dropped
        # Rows that stay were counted as quarantined by the load that brought them: here they would count twice.
        counts = {"rows_read": passed, "rows_written": written, "rows_unchanged": unchanged, "rows_duplicate": duplicate, "rows_dropped": dropped}
        return [
            self.ctx.log(
                "silver",
                tablename=self.contract.entity,
                target=self.entity.silver.label,
                status="SUCCESS" if passed else "NOOP",
                **(counts if passed else {}),
                numberofrowscopied=written if passed else None,
                table_id=self.lake.table_id(self.entity.silver),
                consumed=as_json(self.consumed),
                warnings=[self._words(passed, bad), *(words for _, words in self.warnings)],
            )
        ]

    def _words(self, passed: int, bad: int) -> str:
        return f"{passed + bad} quarantined rows judged again: {passed} pass, {bad} stay"


def _joined(rows: DataFrame, followers: DataFrame | None) -> DataFrame:
    return rows if followers is None else rows.unionByName(followers, allowMissingColumns=True)
