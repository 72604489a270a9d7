"""One bronze load from an API: ask for what is missing or too old, gather it whole in a local spool, then append it in one commit.

An answer that cannot be had whole commits nothing. The last good version then stays in silver and is *marked stale*, in three places: the
load is FAILED in `audit.load_logs` with a warning that begins `stale: ` and tells the time of the last good version; each row of silver carries
`checked_at` and `good_until`; and gold shows what is past `good_until` as stale.

The bronze table is the cache. A load asks only for queries that it never asked, or whose answer is `max_age_days` old. Incremental: each
query by itself. Full: the whole snapshot, when it is old or its set of queries has changed. An answer that says the same as before is
appended all the same, because when it was given is part of what it says; silver then changes in place, without a new version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import LINEAGE, row_hash, with_lineage
from rcm_lakehouse.bronze.windows import as_text
from rcm_lakehouse.config.connections import ApiConnection, ApiTableOptions
from rcm_lakehouse.config.errors import DataStopError, RcmError
from rcm_lakehouse.config.matching import table_options
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.memory import STATISTICS
from rcm_lakehouse.lake.table import layer_table
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome, error_class, safe_message
from rcm_lakehouse.pipeline.context import RunContext, utc_now
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.api import GOOD_UNTIL, KINDS, fetch_whole, open_source
from rcm_lakehouse.sources.api_cache import Query, Spool, asked_text, due, plan_hash
from rcm_lakehouse.sources.api_http import HttpClient, StoppedError
from rcm_lakehouse.sources.api_nppes import is_valid_npi

STALE = "stale: "
CLOCK_BEHIND = "the clock is behind the newest answer that bronze has,"
_PROPERTIES = {"delta.autoOptimize.autoCompact": "true", STATISTICS: "_load_id,_batch_seq,_window_high,_source_file"}


def load_api(ctx: RunContext, lake: Lake, row: LoadRow, frozen: Frozen, connection: ApiConnection) -> Outcome:
    """Load what one row of the work list asks an API for; an answer that cannot be had, or a snapshot that has become empty, is a FAILED outcome."""
    return ApiLoad(ctx, lake, row, frozen, connection, table_options(connection.tables, row) or ApiTableOptions()).run()


@dataclass
class ApiLoad:
    """A load from an API and what is to be told of it."""

    ctx: RunContext
    lake: Lake
    row: LoadRow
    frozen: Frozen
    connection: ApiConnection
    options: ApiTableOptions
    notes: list[str] = field(default_factory=list)

    def run(self) -> Outcome:
        """Ask for what is due, append it, tell; nothing is due: nothing is asked and nothing committed."""
        self._ensure()
        now = self._now()
        queries = self._queries()
        asking = self._due(queries, now)
        crash_point("P3", self.row.label)
        if not asking:
            return self._ended(self._log(now, 0, 0))
        try:
            spool = self._fetched(asking)
            self._check_snapshot(spool)
        except StoppedError as error:
            return self._ended(self._log(now, 0, 0, status="CANCELLED", message=safe_message(error)))
        except RcmError as error:
            return self._stale(now, error)
        crash_point("P4", self.row.label)
        log = self._log(now, spool.rows, spool.repeated)
        if spool.rows:
            log.batch_seq = self._seq + 1
            self._append(spool, plan_hash(queries) if self._is_snapshot else None, now, log)
        return self._ended(log)

    def _now(self) -> datetime:
        """The time of this load's answers: the run's clock, or right after bronze's newest answer when the clock is behind that one."""
        now, newest = utc_now(), self._last_answer()
        if newest is None or now >= newest:
            return now
        self.notes.append(f"{CLOCK_BEHIND} {newest:%Y-%m-%dT%H:%M:%SZ}: these answers are dated right after it. Check the clock")
        return newest + timedelta(microseconds=1)

    @property
    def _is_snapshot(self) -> bool:
        return self.row.loadtype == "Full"

    @property
    def _seq(self) -> int:
        return self.frozen.state_of(self.row).batch_seq

    def _ensure(self) -> None:
        columns = [StructField(name, StringType()) for name in (*KINDS[self.connection.kind].columns, GOOD_UNTIL)]
        self.lake.ensure(bronze_table(self.row), StructType([*columns, *LINEAGE.fields]), properties=_PROPERTIES)

    def _queries(self) -> list[Query]:
        """Start queries of the configuration, then the ids to look up; a classification without start is walked from its root."""
        queries: list[Query] = [*self.options.queries, *({"number": npi} for npi in self._ids())]
        return [{}] if self.connection.kind == "who_icd" and not queries else queries

    def _ids(self) -> list[str]:
        if self.options.ids_from is None:
            return []
        entity, _, column = self.options.ids_from.partition(".")
        silver = layer_table("silver", entity)
        if not self.lake.exists(silver):
            return []
        rows = self.lake.read(silver).where(F.col("is_current") & F.col(column).isNotNull()).select(F.col(column).cast("string")).distinct().collect()
        valid = sorted(value for (value,) in rows if is_valid_npi(value))
        if len(valid) < len(rows):
            wrong, place = len(rows) - len(valid), self.options.ids_from
            self.notes.append(f"{wrong} of {len(rows)} values of {place} are no NPI by their check digit and were not asked for")
        return valid

    def _due(self, queries: Sequence[Query], now: datetime) -> list[Query]:
        age = timedelta(days=self.options.max_age_days)
        if not self._is_snapshot:
            return due(queries, self._answered(), now, age)
        known, at = self._last_snapshot()
        is_fresh = at is not None and now - at < age and known == plan_hash(queries)
        return [] if is_fresh else list({asked_text(query): query for query in queries}.values())

    def _answered(self) -> Mapping[str, datetime]:
        """When each query was answered last; a record found by a search answers for its number too."""
        if self._seq == 0:
            return {}
        rows = self.lake.read(bronze_table(self.row))
        key = KINDS[self.connection.kind].key
        asked = F.explode(F.array("_source_file", F.concat(F.lit(f"{key}="), F.col(key)))).alias("asked")
        latest = rows.select(asked, "_window_high").groupBy("asked").agg(F.unix_micros(F.max("_window_high")).alias("at"))
        return {row["asked"]: _utc(row["at"]) for row in latest.where("asked IS NOT NULL").collect()}

    def _last_snapshot(self) -> tuple[str | None, datetime | None]:
        if self._seq == 0:
            return None, None
        newest = self.lake.read(bronze_table(self.row)).where(F.col("_batch_seq") == self._seq)
        row = newest.agg(F.max("_source_file_hash").alias("plan"), F.unix_micros(F.max("_window_high")).alias("at")).collect()[0]
        return row["plan"], _utc(row["at"])

    def _fetched(self, asking: Sequence[Query]) -> Spool:
        home = self.ctx.project.home
        client = HttpClient(self.row.database, self.connection, home=home, stop=self.ctx.cancel)
        source = open_source(client, self.options, home)
        with Spool(Path(self._scratch()) / "records.jsonl", KINDS[self.connection.kind].key) as spool:
            fetch_whole(client, source, asking, spool)
        self.notes += [*source.notes, f"{client.requests} requests for {len(asking)} queries"]
        return spool

    def _check_snapshot(self, spool: Spool) -> None:
        before = self.frozen.state_of(self.row).snapshot_rows
        if self._is_snapshot and spool.rows == 0 and before > 0:
            raise DataStopError(
                f"{self.row.label}: the snapshot is empty but the last one had {before} rows. Nothing was committed. Check the queries and the "
                "service; an emptied snapshot must be confirmed by removing the row from load_config.csv."
            )

    def _append(self, spool: Spool, plan: str | None, now: datetime, log: LoadLog) -> None:
        lined = self._frame(spool, plan, now)
        metadata = {"load_id": log.load_id, "batch_seq": log.batch_seq, **riding([log])}
        crash_point("P5", self.row.label)
        commit = self.lake.append(bronze_table(self.row), lined, metadata=metadata, txn=(self.row.label, self._seq + 1))
        crash_point("P6", self.row.label)
        log.table_version = commit.version
        self.ctx.keep(f"bronze:{self.row.label}", [log])

    def _frame(self, spool: Spool, plan: str | None, now: datetime) -> DataFrame:
        columns = KINDS[self.connection.kind].columns
        fields = [StructField(name, StringType()) for name in (*columns, "_source_file")]
        schema = StructType([*fields, StructField("_source_row", LongType())])
        fresh_until = (now + timedelta(days=self.options.max_age_days)).date().isoformat()
        # Permissive mode would look for a column of its own; these lines are sound JSON by construction.
        lines = self.lake.spark.read.schema(schema).option("columnNameOfCorruptRecord", "_unread").json(str(spool.path))
        rows = lines.withColumns({GOOD_UNTIL: F.lit(fresh_until), "_source_file_hash": F.lit(plan).cast("string")})
        load_id = self.frozen.load_ids[self.row.label]
        lined = with_lineage(rows, load_id=load_id, batch_seq=self._seq + 1, window_high=as_text(now), watermark_before=None)
        # A record is the same record whenever it was asked for, so that a bad one is not quarantined anew with each answer.
        return lined.withColumn("_row_hash", row_hash(columns)).select(*columns, GOOD_UNTIL, *LINEAGE.names)

    def _stale(self, now: datetime, error: RcmError) -> Outcome:
        at = self._last_answer()
        self.notes.append(f"{STALE}last good version of {at:%Y-%m-%dT%H:%M:%SZ}" if at else f"{STALE}there is no good version yet")
        failed = {"status": "FAILED", "error_class": error_class(error), "message": safe_message(error), "is_retryable": error.can_retry}
        return self._ended(self._log(now, 0, 0, **failed), is_data_stop=isinstance(error, DataStopError))

    def _last_answer(self) -> datetime | None:
        if self._seq == 0:
            return None
        row = self.lake.read(bronze_table(self.row)).agg(F.unix_micros(F.max("_window_high")).alias("at")).collect()[0]
        return _utc(row["at"])

    def _ended(self, log: LoadLog, *, is_data_stop: bool = False) -> Outcome:
        return Outcome(log.status, (log,), {"batch_seq": log.batch_seq or self._seq, "rows": log.rows_written}, is_data_stop)

    def _log(self, now: datetime, written: int, repeated: int, **values: object) -> LoadLog:
        return self.ctx.log(
            "bronze",
            data_source=self.row.datasource,
            tablename=self.row.source_table,
            target=bronze_table(self.row).label,
            load_id=self.frozen.load_ids[self.row.label],
            window_high=as_text(now),
            rows_read=written + repeated,
            rows_written=written,
            rows_duplicate=repeated,
            rows_dropped=0,
            numberofrowscopied=written,
            table_id=self.lake.table_id(bronze_table(self.row)),
            warnings=list(self.notes),
            **values,
        )

    def _scratch(self) -> str:
        return f"{self.lake.scratch(self.ctx.run_id)}/api/{self.row.bronze_table}"


def _utc(micros: int) -> datetime:
    return datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=micros)
