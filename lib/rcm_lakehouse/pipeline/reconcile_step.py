"""Reconciliation of a windowed load with its source: keys and hashes compared, deleted rows closed, missed rows loaded, drift counted.

A window sees only rows whose watermark moved. Once a day or week the source sums its rows by 256 buckets of the key; bronze is summed
the same way; only buckets that differ are read. The rows are then compared by key and row hash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.reconciled import last_reconciled
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.back import with_is_back
from rcm_lakehouse.bronze.lineage import COMPARISON, LINEAGE_NAMES, PRESENT, RECONCILED_FLAG, has_flag, with_lineage
from rcm_lakehouse.bronze.overlap import newest_per_key
from rcm_lakehouse.config.connections import JdbcConnection, JdbcTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.matching import jdbc_options
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.counted import Counted
from rcm_lakehouse.lake.memory import COMPARED, recall, remember
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.bronze_state import comparable, read_states
from rcm_lakehouse.pipeline.context import RunContext
from rcm_lakehouse.pipeline.freeze import Frozen, JdbcPlan, watermark_of
from rcm_lakehouse.pipeline.graph import Step
from rcm_lakehouse.pipeline.jdbc_stage import Stage, bound, mapped_key, mapped_names, mapped_sequences, spelled
from rcm_lakehouse.pipeline.load_hours import is_closed, not_compared
from rcm_lakehouse.pipeline.reconcile_due import is_due
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.silver.mapping import is_ahead
from rcm_lakehouse.sources.checksums import bronze_sums, limits, read_buckets, source_sums, with_bucket
from rcm_lakehouse.sources.jdbc import Database

_TWINS = "{} rows share their key with other rows of the source: they are compared by their content alone, and one that is deleted beside others is not found"
_ACT, _OF_KEY, _HELD, _IS_BACK = "_act", "_of_key", "_held_hash", "_is_back"
_ACTS = ("delete", "excluded", "wait", "missed", "same", "changed", "twin")


@dataclass(frozen=True)
class Drift:
    """What a comparison found: rows read from differing buckets, keys bronze knows, rows to load, keys to close, rows that no load takes.

    `twins` are rows that share their key with others of the source and that bronze has.
    """

    read: int = 0
    known: int = 0
    missed: int = 0
    changed: int = 0
    deleted: int = 0
    excluded: int = 0
    twins: int = 0


def reconcile(ctx: RunContext, lake: Lake, label: str, batch_seq: int, frozen: Frozen) -> Outcome:
    """Compare one load with its source when it is due or asked for; `batch_seq` is bronze's head after the load of this run.

    Deletes above max_delete_share are HELD, not applied, until the run is told --approve-deletes; missed rows are loaded all the same. Nothing is
    committed when nothing differs. Raises SourceDataError when the load has no key.
    """
    row = frozen.rows[label]
    if label in frozen.refused or label in frozen.outside or batch_seq == 0 or not is_due(ctx, lake, row, frozen.jdbc[label]):
        return Outcome("NOOP", (), {"batch_seq": batch_seq})
    if is_closed(ctx.project, row, frozen.outside):
        return not_compared(ctx, row, frozen.outside[label], batch_seq)
    with frozen.slots[row.database].hold():
        return _Comparison(ctx, lake, row, frozen.jdbc[label], f"{frozen.load_ids[label]}{COMPARISON}", batch_seq).run()


def after_load(ctx: RunContext, lake: Lake, step: Step, done: Mapping[str, Outcome], frozen: Frozen) -> Outcome:
    """The step of the graph: compare once the load of this run has ended; a load that failed is not compared."""
    loaded = done.get(f"bronze:{step.label}")
    if loaded is not None and loaded.failed:
        return Outcome("NOOP")
    head = int(str(loaded.facts["batch_seq"])) if loaded is not None else frozen.state_of(frozen.rows[step.label]).batch_seq
    return reconcile(ctx, lake, step.label, head, frozen)


class _AsLoaded(Stage):
    """Rows of the source as an ordinary load would bring them."""

    def lined(self, rows: DataFrame) -> DataFrame:
        """Rows in bronze's types, with lineage and flags; raises SourceDataError when a type drifted and the policy is to fail."""
        return self._lined(self._fitted(rows), spelled(rows.schema, self.row.watermark))


@dataclass
class _Comparison:
    ctx: RunContext
    lake: Lake
    row: LoadRow
    plan: JdbcPlan
    load_id: str
    head: int
    spelled_key: list[str] = field(default_factory=list)

    def run(self) -> Outcome:
        key = mapped_key(self.ctx, self.row, self.options.key)
        if not key:
            raise SourceDataError(
                f"{self.row.label}: reconciliation needs the columns that identify a row, and no contract names them. Nothing was compared. "
                "Set `key` for this table in conf/connections.yml."
            )
        self.spelled_key += self._spelled(key)
        return self._settle(*self._compared(buckets)) if (buckets := self._differing()) else self._told(Drift(), 0, held=False)

    @property
    def database(self) -> Database:
        return Database(self.lake.spark, self.row.database, self.connection, self.ctx.project.home)

    @property
    def connection(self) -> JdbcConnection:
        found = self.ctx.project.connections[self.row.database]
        assert isinstance(found, JdbcConnection)
        return found

    @property
    def options(self) -> JdbcTableOptions:
        return jdbc_options(self.connection, self.row)

    def _newest(self) -> DataFrame:
        """The newest row of each key that bronze does not hold deleted, with `_is_back`."""
        rows = with_is_back(self._data(), self._stamps(), self.spelled_key, _IS_BACK)
        return newest_per_key(rows, self.spelled_key).where(self._whole_key() & (F.col("_change_type") == "upsert"))

    def _stamps(self) -> list[Column]:
        """What orders the rows of a key: the watermark, and what orders the changes in a contract; a stamp far ahead of its reading orders nothing."""
        if self.plan.window is None or self.row.watermark is None:
            return []
        wrong = has_flag("future_watermark")
        watermark = F.when(~wrong, comparable(F.col(f"`{self._spelled([self.row.watermark])[0]}`"), self.plan.window.kind))
        others = [F.col(f"`{name}`") for name in mapped_sequences(self.ctx, self.row, self._data().schema)]
        return [watermark, *(F.when(~is_ahead(other.cast("timestamp"), F.col("_window_high")), other) for other in others)]

    def _data(self) -> DataFrame:
        return self.lake.read(bronze_table(self.row)).where(F.col("_change_type") != "watermark")

    def _spelled(self, key: Sequence[str]) -> list[str]:
        names = {name.lower(): name for name in self.lake.read(bronze_table(self.row)).columns}
        return [names[name.lower()] for name in key]

    def _whole_key(self) -> Column:
        return reduce(lambda one, other: one & other, [F.col(f"`{name}`").isNotNull() for name in self.spelled_key])

    def _differing(self) -> list[int]:
        theirs = source_sums(self.database, self.plan.table, self.spelled_key, self._left_out())
        newest = self._newest()
        found = bronze_sums(newest, self.database.dialect, self.plan.table, self.spelled_key).collect()
        ours = {int(row["_bucket"]): (int(row["row_count"]), int(row["checksums"])) for row in found}
        back = with_bucket(newest.where(_IS_BACK), self.database.dialect, self.plan.table, self.spelled_key).select("_bucket").distinct()
        doubtful = {int(row["_bucket"]) for row in back.collect()}
        return sorted(bucket for bucket in {*theirs, *ours} if bucket in doubtful or theirs.get(bucket) != ours.get(bucket))

    def _left_out(self) -> str | None:
        """SQL for rows that no load of this table takes: they would make their buckets differ for ever."""
        column = self.plan.watermark
        if column is None or self.plan.window is None or self.options.null_watermark != "exclude":
            return None
        return self.database.dialect.missing(column.name, column.data_type, self.plan.window.kind)

    def _compared(self, buckets: Sequence[int]) -> tuple[Drift, DataFrame]:
        """The drift, and staged rows with `_act`: load (missed or changed), delete, excluded (no load takes it), wait (not due yet), same."""
        theirs = self._as_loaded(read_buckets(self.database, self.plan.table, self.spelled_key, buckets, mapped_names(self.ctx, self.row), self.options))
        # After the source's rows, for which the table may have been widened.
        newest = self._newest()
        ours = with_bucket(newest, self.database.dialect, self.plan.table, self.spelled_key)
        ours = ours.where(F.col("_bucket").isin(list(buckets))).drop("_bucket")
        condition = reduce(lambda one, other: one & other, [F.col(f"s.`{name}`").eqNullSafe(F.col(f"b.`{name}`")) for name in self.spelled_key])
        # Of several rows of a key bronze's newest is one: each is looked for among all that bronze has.
        held = self._data().where("_change_type = 'upsert'").select(F.col("_row_hash").alias(_HELD)).distinct()
        counted_by_key = self._by_key(theirs)
        joined = counted_by_key.join(held, counted_by_key["_row_hash"] == held[_HELD], how="left").alias("s").join(ours.alias("b"), condition, how="full")
        judged = joined.select(self._act().alias(_ACT), *_values(theirs, ours))
        counted = Counted(judged, *[F.count_if(F.col(_ACT) == name).alias(name) for name in _ACTS])
        staged = self.lake.staged(f"{self.lake.scratch(self.ctx.run_id)}/reconcile/{self.row.bronze_table}", counted.rows)
        found = {name: int(count) for name, count in counted.counts(staged).items()}
        total = newest.agg(F.count(F.lit(1)).alias("known")).first()
        read = sum(count for name, count in found.items() if name != "delete")
        known = int(total["known"]) if total else 0
        return Drift(read, known, found["missed"], found["changed"], found["delete"], found["excluded"], found["twin"]), staged

    def _act(self) -> Column:
        is_gone, is_new = F.col("s._load_id").isNull(), F.col("b._load_id").isNull()
        is_same = (F.col("s._row_hash") == F.col("b._row_hash")) & ~F.col(f"b.{_IS_BACK}")
        is_twin = (F.col(f"s.{_OF_KEY}") > 1) & F.col(f"s.{_HELD}").isNotNull()
        no_watermark = has_flag("null_watermark", "s._flags")
        # A row without a watermark is met by every window: what becomes of it is the load's business.
        fate = {"exclude": "excluded", "fail": "wait"}.get(self.options.null_watermark)
        found = F.when(is_gone, "delete")
        found = found if fate is None else found.when(no_watermark, fate)
        return found.when(self._is_waiting("s"), "wait").when(is_new, "missed").when(is_twin, "twin").when(is_same, "same").otherwise("changed")

    def _by_key(self, rows: DataFrame) -> DataFrame:
        """Rows with the number of rows of their key."""
        return rows.withColumn(_OF_KEY, F.count(F.lit(1)).over(Window.partitionBy(*[F.col(f"`{name}`") for name in self.spelled_key])))

    def _is_waiting(self, side: str) -> Column:
        """Rows at or beyond the window's end: the next load takes them, they are not missed."""
        window = self.plan.window
        if window is None or window.high is None or self.row.watermark is None:
            return F.lit(False)
        names = {name.lower(): name for name in self.lake.read(bronze_table(self.row)).columns}
        value = comparable(F.col(f"{side}.`{names[self.row.watermark.lower()]}`"), window.kind)
        return F.coalesce(value >= bound(window.high, window.kind), F.lit(False))

    def _as_loaded(self, fetched: DataFrame) -> DataFrame:
        plan = replace(self.plan, flag=RECONCILED_FLAG, watermark_before=self.watermark)
        return _AsLoaded(self.lake, self.row, plan, self.options, self.spelled_key, self.load_id, self.head + 1, "").lined(fetched)

    def _lined(self, rows: DataFrame) -> DataFrame:
        high = self.plan.window_high
        return with_lineage(rows, load_id=self.load_id, batch_seq=self.head + 1, window_high=high, watermark_before=self.watermark)

    @cached_property
    def watermark(self) -> str | None:
        """The live watermark after the load of this run; a reconciliation carries it on unchanged."""
        table = bronze_table(self.row)
        state = read_states(self.lake, {table: self.row.watermark})[table]
        return watermark_of(self.plan.window.kind if self.plan.window else "date", state)

    def _settle(self, drift: Drift, staged: DataFrame) -> Outcome:
        is_approved = self.row.label in self.ctx.options.approve_deletes
        is_held = drift.deleted > 0 and not is_approved and (self._is_over(drift) or self._was_held())
        wanted = ["missed", "changed"] if is_held else ["missed", "changed", "delete"]
        if drift.missed + drift.changed + (0 if is_held else drift.deleted) == 0:
            return self._told(drift, 0, held=is_held)
        self._remember()
        rows = staged.where(F.col(_ACT).isin(wanted))
        change = F.when(F.col(_ACT) == "delete", "delete").otherwise("upsert")
        lined = self._lined(rows.withColumn("_change_type", change).drop(_ACT))
        outcome = self._told(drift, self.head + 1, held=is_held)
        metadata = {"load_id": self.load_id, "batch_seq": self.head + 1, "kind": "reconcile", **riding(outcome.logs)}
        commit = self.lake.append(bronze_table(self.row), lined, metadata=metadata, merge_schema=True, txn=(self.row.label, self.head + 1))
        outcome.logs[0].table_version = commit.version
        self.ctx.keep(f"reconcile:{self.row.label}", outcome.logs)
        return outcome

    def _is_over(self, drift: Drift) -> bool:
        return drift.deleted > self.ctx.project.settings.quality.max_delete_share * max(drift.known, 1)

    def _was_held(self) -> bool:
        """True when deletes wait since an earlier comparison: new keys make their share smaller, and no righter. One query."""
        last = last_reconciled(self.lake).get(bronze_table(self.row).label)
        return last is not None and last.status == "HELD"

    def _remember(self) -> None:
        """Let the table say that a comparison changed it, before it does: silver asks it which batches are a comparison's."""
        table = bronze_table(self.row)
        if COMPARED not in recall(self.lake, table):
            remember(self.lake, table, COMPARED, "true")

    def _told(self, drift: Drift, seq: int, *, held: bool) -> Outcome:
        log = self._log(drift, held=held)
        log.batch_seq = seq or None
        return Outcome("HELD" if held else "SUCCESS", (log,), {"batch_seq": seq or self.head, "rows": log.rows_written}, is_data_stop=held)

    def _log(self, drift: Drift, *, held: bool) -> LoadLog:
        told = f"compared with the source: {drift.missed} missed, {drift.changed} changed without a new watermark, {drift.deleted} deleted"
        told += limits(self.database.dialect, self.plan.table)
        if held:
            limit = self.ctx.project.settings.quality.max_delete_share
            why = f"are more than max_delete_share {limit:.0%} of {drift.known} keys" if self._is_over(drift) else "wait since an earlier comparison"
            told += f"; the deletes {why} and are held. If they are right, run again with --approve-deletes {self.row.label}"
        closed = 0 if held else drift.deleted
        read, written = drift.read + closed, drift.missed + drift.changed + closed
        return self.ctx.log(
            "reconcile",
            data_source=self.row.datasource,
            tablename=self.row.source_table,
            target=f"bronze.{self.row.bronze_table}",
            status="HELD" if held else "SUCCESS",
            load_id=self.load_id,
            watermarkcolumnname=self.row.watermark,
            window_high=self.plan.window_high,
            rows_read=read,
            rows_written=written,
            rows_duplicate=read - written - drift.excluded,
            rows_dropped=drift.excluded,
            numberofrowscopied=written,
            message=told,
            warnings=[_TWINS.format(drift.twins)] if drift.twins else [],
        )


def _values(theirs: DataFrame, ours: DataFrame) -> list[Column]:
    """The source's row where it has one, else bronze's; with the flags, `present` for the only row of its key, and the text of what did not fit."""
    is_gone = F.col("s._load_id").isNull()
    known = {name.lower() for name in ours.columns}
    columns = [name for name in theirs.columns if name not in LINEAGE_NAMES]
    values = [F.when(is_gone, F.col(f"b.`{name}`") if name.lower() in known else None).otherwise(F.col(f"s.`{name}`")).alias(name) for name in columns]
    present = F.when(F.col(f"s.{_OF_KEY}") == 1, F.array_append("s._flags", F.lit(PRESENT))).otherwise(F.col("s._flags"))
    flags = F.when(is_gone, F.array(F.lit(RECONCILED_FLAG))).otherwise(present)
    return [*values, flags.alias("_flags"), F.col("s._corrupt_record").alias("_corrupt_record")]
