"""One silver entity: map, judge, quarantine, and merge what changed; every source row is accounted for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import PRESENT
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.errors import DataStopError
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.salt import with_salt
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.corrected import corrected
from rcm_lakehouse.pipeline.earlier import is_one_row_a_key, known_before
from rcm_lakehouse.pipeline.entities import Entity, ensure_known, ensure_salt_once, entity_of, personal_entities
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.history import Merged, merge_history
from rcm_lakehouse.pipeline.outlived import Outlived
from rcm_lakehouse.pipeline.put_back import take_up
from rcm_lakehouse.pipeline.quarantine import outcome_counts, share_of_bad, sightings, taken_back
from rcm_lakehouse.pipeline.quarantine_gone import close_corrected, close_gone
from rcm_lakehouse.pipeline.siblings import Siblings, with_wanted
from rcm_lakehouse.pipeline.silver_outcomes import as_json, held_log, nothing_new, upstream_broken
from rcm_lakehouse.pipeline.silver_sources import Pending, backlog, next_round, settled
from rcm_lakehouse.pipeline.tally import LoadKey, Tally
from rcm_lakehouse.pipeline.unfinished import take_back, with_own_versions
from rcm_lakehouse.pipeline.waiting_marks import with_contract
from rcm_lakehouse.quality.judge import judged
from rcm_lakehouse.silver.mapping import mapped
from rcm_lakehouse.silver.present import placed


def merge_entity(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """Bring one silver table up to what bronze has; NOOP, without a commit, when it has taken everything.

    Raises DataStopError when too many rows are bad, a `fail` rule is broken or a row is unaccounted for; silver is unchanged.
    """
    entity = entity_of(ctx.project.contracts[step.label])
    ensure_known(ctx, lake, entity)
    take_up(ctx, lake, entity)
    work = backlog(ctx, lake, entity.contract, entity.silver, done, frozen)
    blocked = upstream_broken(ctx, entity, step, done)
    if blocked is not None:
        return blocked
    progress = with_contract(ctx, entity, work.consumed)
    if not work.pending:
        return nothing_new(ctx, lake, entity, progress, work.held)
    take_back(lake, entity, work.consumed, ctx.run_id)
    logs: list[LoadLog] = []
    consumed, pending = dict(progress), work.pending
    while pending:
        now, pending = next_round(pending)
        consumed.update({part.table.label: part.high for part in now})
        logs += SilverBatch(ctx, lake, entity, tuple(now), consumed).run()
    version = logs[-1].table_version
    held = [held_log(ctx, entity, label, why) for label, why in work.held.items()]
    for log in held:
        log.table_version = version
    logs += held
    is_held = any(log.status == "HELD" for log in logs)
    status = "PARTIAL" if work.held or is_held else "SUCCESS"
    return Outcome(status, tuple(logs), {"version": version}, is_data_stop=is_held, is_undone=bool(work.held))


@dataclass
class SilverBatch:
    """What one MERGE takes: the pending batches of an entity's sources, from mapping to audit rows."""

    ctx: RunContext
    lake: Lake
    entity: Entity
    parts: tuple[Pending, ...]
    consumed: dict[str, int]
    version: int = -1
    warnings: list[tuple[str, str]] = field(default_factory=list)
    _delivered_rows: list[Counted] = field(default_factory=list, init=False)

    @property
    def contract(self) -> Contract:
        """The entity's contract."""
        return self.entity.contract

    def run(self) -> list[LoadLog]:
        """Stage, judge, quarantine, merge; returns one audit row for each bronze load taken."""
        staged = self._staged()
        tallies = self._tallies(staged)
        self._check_delivered(tallies)
        if not tallies:  # control rows only
            return self._kept([self._nothing_in_it()])
        self._check_share(tallies)
        self._quarantine(staged, tallies)
        close_corrected(self.ctx, self.lake, self.entity, self.parts, staged, self._scratch())
        crash_point("P8", self.contract.entity)
        changes, logs = f"{self._scratch()}/changes", list[LoadLog]()

        def told(merged: Merged) -> list[LoadLog]:
            logs.extend(self._told(merged, tallies))
            return logs

        merged = merge_history(self.ctx, self.lake, self.entity, self.parts, staged, list(tallies), changes, told, self._siblings)
        self.version = merged.version
        self._kept(logs)
        close_gone(self.ctx, self.lake, self.entity, self.parts, staged, merged.whole, self._siblings)
        return logs

    def _kept(self, logs: list[LoadLog]) -> list[LoadLog]:
        """The audit rows of a MERGE that is done: what comes after it may fail, and a repeated try goes on behind it."""
        version = self.version if self.version >= 0 else self.lake.head_version(self.entity.silver)
        for log in logs:
            log.table_version = version
        self.ctx.keep(f"silver:{self.contract.entity}", logs)
        return logs

    def _staged(self) -> DataFrame:
        rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), map(self._mapped, self.parts))
        staged = self.lake.staged(f"{self._scratch()}/judged", self._judged(rows))
        self.warnings += self._outlived.told(staged)
        return staged

    def _judged(self, rows: DataFrame) -> DataFrame:
        known = {rule.references: self._known_keys(rule.references) for rule in self.contract.rules if rule.references}
        return judged(rows, self.contract, known)

    def _mapped(self, part: Pending) -> DataFrame:
        return self._canonical(part, self._counted(self._delivered(part)))

    def _counted(self, rows: DataFrame) -> DataFrame:
        self._delivered_rows.append(Counted(rows, F.count(F.lit(1)).alias("rows")))
        return self._delivered_rows[-1].rows

    @cached_property
    def _outlived(self) -> Outlived:
        return Outlived(self.ctx, self.lake, self.contract, self._plain, self._siblings)

    @cached_property
    def _active(self) -> frozenset[str]:
        """The tables of this MERGE that are read."""
        return frozenset(part.table.label for part in self.parts if part.row.is_active)

    @property
    def _siblings(self) -> Siblings:
        return Siblings(self.ctx, self.lake, self.contract, self._plain, self.consumed, self._scratch())

    def _canonical(self, part: Pending, rows: DataFrame) -> DataFrame:
        canonical = self._plain(part, rows)
        canonical = self._corrected(part, canonical)
        marked = canonical if part.is_snapshot else self._outlived.marked(part, canonical)
        known = self._known(part)
        return marked if known is None else placed(marked, known, self.contract)

    def _corrected(self, part: Pending, canonical: DataFrame) -> DataFrame:
        return corrected(self.lake, self.entity, part, self._siblings.feeding(part), canonical, self._kept_rows, self._scratch())

    def _kept_rows(self, part: Pending, rows: DataFrame) -> DataFrame:
        plain = self._plain(part, rows)
        has_drops = any(rule.severity == "drop" for rule in self.contract.rules)
        return self._judged(plain).where("outcome <> 'drop'").select(*plain.columns) if has_drops else plain

    def _plain(self, part: Pending, rows: DataFrame) -> DataFrame:
        if part.table.label not in self._active:
            # What the mapping has come to read since a load was switched off is not in its table.
            rows = with_wanted(rows, self.contract, part.mapping)
        named = rows.withColumns({"data_source": F.lit(part.row.datasource), "_source_table": F.lit(part.table.label)})
        personal = personal_entities(self.ctx.project.contracts)
        if self.contract.key_is_personal or any(column.key_of in personal for column in self.contract.columns):
            ensure_salt_once(self.ctx, self.lake)
            named = with_salt(self.lake, named)
        zone = self.ctx.project.connections[part.row.database].time_zone
        rows = mapped(named, self.contract, part.mapping, time_zone=zone, contracts=self.ctx.project.contracts)
        is_told = is_one_row_a_key(self.ctx, self.contract, part)
        return rows if is_told else rows.withColumn("_flags", F.array_remove("_flags", PRESENT))

    def _known(self, part: Pending) -> DataFrame | None:
        beside, former = self._siblings.before(part, self.parts), self._siblings.former(part.row)
        return known_before(self.lake, self.entity, part, beside, former, lambda: self._plain(part, self._delivered(part)))

    def _delivered(self, part: Pending) -> DataFrame:
        seq = F.col("_batch_seq")
        return self.lake.read(part.table).where((seq > part.low) & (seq <= part.high) & F.col("_change_type").isin("upsert", "delete"))

    def _known_keys(self, name: str) -> DataFrame:
        other = entity_of(self.ctx.project.contracts[name])
        self.lake.exists(other.silver)
        return self.lake.read(other.silver).select(other.contract.key_column)

    def _tallies(self, staged: DataFrame) -> dict[LoadKey, Tally]:
        counts = outcome_counts(staged)
        failing = sum(outcomes.get("fail", 0) for outcomes in counts.values())
        if failing:
            raise DataStopError(
                f"silver.{self.contract.entity}: {failing} rows break a rule of severity fail. Nothing was written; the batch is judged again "
                f"by the next run. See the rules in conf/cdm/{self.contract.entity}.yml."
            )
        return {
            load: Tally(sum(found.values()), found.get("quarantine", 0), found.get("drop", 0), found.get("withdrawn", 0))
            for load, found in counts.items()
        }

    def _check_share(self, tallies: Mapping[LoadKey, Tally]) -> None:
        limits = self.ctx.project.settings.quality
        bad, all_rows = share_of_bad({load: {"quarantine": t.quarantined, "rest": t.read - t.quarantined} for load, t in tallies.items()})
        if all_rows >= limits.min_batch_rows and bad > limits.max_bad_share * all_rows:
            raise DataStopError(
                f"silver.{self.contract.entity}: {bad} of {all_rows} rows would be quarantined, more than max_bad_share {limits.max_bad_share:.0%}. "
                "Nothing was written; bronze keeps the rows. Mend the source or the rules, or raise quality.max_bad_share in conf/lakehouse.yml."
            )

    def _check_delivered(self, tallies: Mapping[LoadKey, Tally]) -> None:
        for part, counted in zip(self.parts, self._delivered_rows, strict=True):
            delivered, read = counted.counts()["rows"], sum(tally.read for (label, _), tally in tallies.items() if label == part.table.label)
            if delivered != read:
                raise DataStopError(
                    f"silver.{self.contract.entity}: {part.table.label} delivered {delivered} rows but {read} were judged. Nothing was written. "
                    f"A key that a join meets twice doubles rows: this is a defect of the pipeline, not of the data; report it."
                )

    def _quarantine(self, staged: DataFrame, tallies: Mapping[LoadKey, Tally]) -> None:
        table = self.entity.quarantine
        known = self.lake.read(table) if self.lake.moved_past(table, 0) else None
        events = []
        if any(tally.quarantined for tally in tallies.values()):
            events.append(sightings(staged.where("outcome = 'quarantine'"), known, self.contract))
        if known is not None:
            told = known.where(F.col("_load_id").isin(sorted({load for _, load in tallies})))
            if told.limit(1).collect():
                events.append(taken_back(staged.where("outcome = 'good'"), told, self.contract))
        if not events:
            return
        # Only what is new is appended; whether anything is depends on rows, so the answer is staged before a commit is made.
        fresh = self.lake.staged(f"{self._scratch()}/quarantine", reduce(DataFrame.unionByName, events))
        if known is None or fresh.limit(1).collect():
            self.lake.append(table, fresh, metadata={"run_id": self.ctx.run_id, "kind": "seen"})

    def _told(self, merged: Merged, tallies: Mapping[LoadKey, Tally]) -> list[LoadLog]:
        """Audit rows of what is about to be committed; refuses when a row is unaccounted for."""
        for load, tally in tallies.items():
            tally.fates = merged.fates.get(load, {})
        self._check_conservation(tallies)
        self.warnings += merged.warnings
        for part in self.parts:
            # A held snapshot stays unconsumed, so that it can still be approved.
            label = part.table.label
            if label in {table for table, _ in merged.held}:
                self.consumed[label] = part.low
            if label in merged.whole and self._siblings.of(part):
                self.consumed[settled(label)] = part.high
        with_own_versions(self.lake, self.entity, self.consumed, merged)
        return self._logs(tallies, merged)

    def _logs(self, tallies: Mapping[LoadKey, Tally], merged: Merged) -> list[LoadLog]:
        return [self._log(load, tally, merged) for load, tally in tallies.items()]

    def _check_conservation(self, tallies: Mapping[LoadKey, Tally]) -> None:
        for (table, load), tally in tallies.items():
            if tally.accounted != tally.read:
                raise DataStopError(
                    f"silver.{self.contract.entity}: load {load} of {table} has {tally.read} rows but {tally.accounted} are accounted for. Nothing was "
                    "merged. This is a defect of the pipeline, not of the data: report it."
                )

    def _nothing_in_it(self) -> LoadLog:
        log = self.ctx.log("silver", tablename=self.contract.entity, target=self.entity.silver.label, status="NOOP")
        log.consumed, log.table_id = as_json(self.consumed), self.lake.table_id(self.entity.silver)
        return log

    def _log(self, load: LoadKey, tally: Tally, merged: Merged) -> LoadLog:
        part = next(part for part in self.parts if part.table.label == load[0])
        return self.ctx.log(
            "silver",
            data_source=part.row.datasource,
            tablename=part.row.source_table,
            target=self.entity.silver.label,
            status="HELD" if load in merged.held else "SUCCESS",
            load_id=load[1],
            batch_seq=part.high,
            rows_read=tally.read,
            rows_written=tally.fates.get("written", 0),
            rows_unchanged=tally.fates.get("unchanged", 0),
            rows_duplicate=tally.fates.get("duplicate", 0),
            rows_quarantined=tally.quarantined,
            rows_dropped=tally.dropped,
            numberofrowscopied=tally.fates.get("written", 0),
            table_id=self.lake.table_id(self.entity.silver),
            consumed=as_json(self.consumed),
            message=merged.closed.get(load),
            warnings=[words for table, words in self.warnings if table == load[0]],
        )

    def _scratch(self) -> str:
        highest = "-".join(str(part.high) for part in self.parts)
        return f"{self.lake.scratch(self.ctx.run_id)}/silver/{self.contract.entity}/{highest}"
