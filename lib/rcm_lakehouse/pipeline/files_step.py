"""One bronze load from a landing folder: files that are new, in one append (snapshots: one append a file); then the archive.

Each file is a batch of its own: of two that say something else of one key and time the later in order wins, in one run or in two.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import LINEAGE_NAMES, with_lineage
from rcm_lakehouse.bronze.windows import after_newest, as_text
from rcm_lakehouse.config.connections import FilesConnection, FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.matching import key_of_table, table_options
from rcm_lakehouse.config.problems import escaped
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.memory import STATISTICS
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext, utc_now
from rcm_lakehouse.pipeline.files_archived import Archived
from rcm_lakehouse.pipeline.files_others import EMPTY, active_places, loaded_elsewhere, place_of, rivals, strangers, told_malformed
from rcm_lakehouse.pipeline.files_rows import absent_rows, bronze_schema, expected_columns, staged_rows
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.files import FileItem, arrived, look_twice, utc_text
from rcm_lakehouse.sources.files_archive import Held
from rcm_lakehouse.sources.files_header import Expected, refused
from rcm_lakehouse.sources.files_landing import landed
from rcm_lakehouse.sources.files_ledger import Ledger
from rcm_lakehouse.sources.files_parse import Parsed, parse_file

_PROPERTIES = {
    "delta.autoOptimize.autoCompact": "true",
    STATISTICS: "_load_id,_batch_seq,_window_high,_source_file_hash",
}
_MOST_NAMES = 20
Delivery = tuple[FileItem, Parsed]


def load_files(ctx: RunContext, lake: Lake, row: LoadRow, frozen: Frozen, connection: FilesConnection) -> Outcome:
    """Load every new file of a row of the work list, then archive it.

    A refused file stays in the landing folder and fails the load; sound files of the load are committed all the same. Raises
    SourceUnavailableError or SourceAuthError when the landing folder is not there or closed; nothing was read then.
    """
    options = table_options(connection.tables, row)
    if options is None:
        raise SourceDataError(f"{row.label}: connection '{row.database}' has no entry `tables: {row.label}` with a file pattern. Nothing was read.")
    return FilesLoad(ctx, lake, row, frozen, connection, options).run()


@dataclass
class FilesLoad:
    """A load from files and what it found."""

    ctx: RunContext
    lake: Lake
    row: LoadRow
    frozen: Frozen
    connection: FilesConnection
    options: FileTableOptions
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    waiting: list[FileItem] = field(default_factory=list)
    repeated: list[FileItem] = field(default_factory=list)
    known: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = bronze_table(self.row)
        self.place = place_of(self.ctx.project, self.row, self.connection, self.options)
        state = self.frozen.state_of(self.row)
        self.head, self.newest = state.batch_seq, state.window_high
        is_unknown = self.row.label not in self.ctx.state.targets
        self.archived = Archived(self.place, state.batch_seq - state.lacks, state.source_hash, self._held, is_unknown)
        # A file of a full load is the whole table; one of an incremental load adds to it.
        self.is_snapshot = self.row.loadtype == "Full"

    def run(self) -> Outcome:
        """Look, judge, parse, append, archive, tell."""
        self.lake.ensure(self.table, bronze_schema(self.ctx.project, self.row), properties=_PROPERTIES)
        again, told = self.archived.come_back(str(self.lake.table_id(self.table)), is_snapshot=self.is_snapshot)
        self.notes += told
        found = landed(self.place.landing, self.place.pattern)
        self.notes += [f"{name}: a link, not a file; it is left alone" for name in found.links]
        self._note_strangers()
        deliveries = self._read([*again, *self._arrived(found.files)]) if again or found.files else []
        filled = [delivery for delivery in deliveries if delivery[1].records]
        self._note_elsewhere([item for item, _ in filled])
        self._note_absent([item for item, parsed in deliveries if not parsed.records], None)
        commits = [[delivery] for delivery in filled] if self.is_snapshot else [filled] if filled else []
        logs = [self._commit(files, is_last=number == len(commits)) for number, files in enumerate(commits, 1)]
        logs = logs or [self._log(deliveries, 0, is_last=True)]
        for item in (*(item for item, parsed in deliveries if not parsed.records), *self.repeated):
            self.archived.note(item, self.known.get((item.sha256, item.name), 0))
        logs[-1].warnings += map(escaped, self.archived.put_away())
        facts = {"batch_seq": self.head, "rows": sum(log.rows_written or 0 for log in logs)}
        return Outcome(logs[-1].status, tuple(logs), facts)

    def _note_strangers(self) -> None:
        planned = [row.label for row in self.ctx.project.active_loads if row.database == self.row.database and row.label in self.frozen.planned]
        # Said once a connection, by its first load.
        if planned[:1] == [self.row.label]:
            self.notes += strangers(self.ctx.project, self.place.landing)

    def _note_elsewhere(self, items: Sequence[FileItem]) -> None:
        if items:
            for digest, labels in loaded_elsewhere(items, self.place, active_places(self.ctx.project)).items():
                name = next(item.name for item in items if item.sha256 == digest)
                self.notes.append(f"{name}: {', '.join(labels)} has the same content; check which hospital it is of")

    def _arrived(self, paths: Sequence[Path]) -> list[FileItem]:
        """Files that are whole, with their hashes; the others are noted."""
        places = active_places(self.ctx.project)
        looks = look_twice(paths, self.options)
        whole = []
        for path in paths:
            name = path.relative_to(self.place.landing).as_posix()
            others = rivals(path, self.place, places)
            if others:
                found = f"its name fits the pattern of {', '.join(others)}, too, so it is open whose it is"
                self.refused.append(str(refused(FileItem(path, name, "refused"), found, "make the patterns in conf/connections.yml exclusive")))
                continue
            item = arrived(path, name, looks[path], self.options, utc_now())
            if item.status == "arrived" and self.is_snapshot and self.waiting:
                self._wait(replace(item, reason=f"behind {self.waiting[0].name}, so that snapshots keep their order"))
            elif item.status == "arrived":
                whole.append(item)
            elif item.status == "waiting":
                self._wait(item)
            else:
                self.refused.append(str(refused(item, item.reason, "have it delivered again")))
        return whole

    def _wait(self, item: FileItem) -> None:
        since = f", there since {utc_text(item.look.modified_ns)}" if item.look else ""
        self.waiting.append(item)
        self.notes.append(f"{item.name}: waiting, {item.reason}{since}")

    def _ledger(self, items: Sequence[FileItem]) -> Ledger:
        """What bronze knows of these names and contents, and of the newest batch."""
        ledger = Ledger(self.is_snapshot)
        # A repeated try of the first load has no batch in its plan, but an earlier try may have committed some.
        if items and self.lake.moved_past(self.table, 0):
            is_met = F.col("_source_file_hash").isin([item.sha256 for item in items]) | F.col("_source_file").isin([item.name for item in items])
            known = self.lake.read(self.table).where(F.col("_source_file_hash").isNotNull() & (is_met | (F.col("_batch_seq") >= self.head)))
            named = known.groupBy(F.col("_source_file_hash").alias("hash"), F.col("_source_file").alias("name"))
            newest = named.agg(F.max("_batch_seq").alias("seq"), F.unix_micros(F.max("_ingested_at")).alias("taken")).collect()
            ledger = Ledger.of([row.asDict() for row in newest], is_snapshot=self.is_snapshot)
            # A try that failed after one of its commits is repeated with the plan of the run: go on behind what it committed.
            self.head = max(self.head, *ledger.batches.values(), 0)
        return ledger

    def _read(self, items: Sequence[FileItem]) -> list[Delivery]:
        """New files and corrections, parsed one after another; a file is a repetition only of one that was read or committed."""
        shutil.rmtree(self._scratch(), ignore_errors=True)
        ledger = self._ledger(items)
        self.known = dict(ledger.batches)
        expected = expected_columns(self.ctx.project, self.row, self._known() if self.head else (), self.options.gone_columns)
        deliveries: list[Delivery] = []
        for found in items:
            item = ledger.judged(found)
            if item.status in ("skipped", "duplicate"):
                self.repeated.append(item)
                self.notes.append(f"{item.name}: {item.status}, {item.reason}")
                continue
            parsed = self._parsed(item, expected, len(deliveries))
            if parsed is not None:
                ledger.add(item)
                deliveries.append((item, parsed))
                expected = replace(expected, known=tuple(dict.fromkeys((*expected.known, *parsed.columns))))
                self._note_parsed(item, parsed)
        return deliveries

    def _held(self) -> set[Held]:
        """The batches that the table has; a Spark job."""
        rows = self.lake.read(self.table).where("_source_file_hash IS NOT NULL").select("_batch_seq", "_source_file", "_source_file_hash").distinct()
        return {(int(seq), name, digest) for seq, name, digest in rows.collect()}

    def _known(self) -> tuple[str, ...]:
        return tuple(name for name in self.lake.read(self.table).columns if name not in LINEAGE_NAMES)

    def _parsed(self, item: FileItem, expected: Expected, number: int) -> Parsed | None:
        out = self._staged(number)
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            if item.status == "refused":
                raise refused(item, item.reason, "take it away, or have it delivered under a later name if its rows are wanted all the same")
            parsed = parse_file(item, self.options, expected, out, number)
            if self.is_snapshot and self.head and parsed.records == sum(parsed.malformed.values()):
                raise refused(item, "the snapshot has no sound record, but the table has rows", "have it delivered again")
        except (SourceDataError, FileNotFoundError) as error:
            out.unlink(missing_ok=True)
            if item.is_unchanged:
                self.refused.append(str(error))
                return None
        if item.is_unchanged:
            return parsed
        out.unlink(missing_ok=True)
        self._wait(replace(item, reason="it changed while it was read"))
        return None

    def _note_parsed(self, item: FileItem, parsed: Parsed) -> None:
        told = item.reason if item.status == "correction" else "" if parsed.records else EMPTY
        malformed = told_malformed(parsed.malformed)
        blank = f"{parsed.blank_lines} blank lines were passed over" if parsed.blank_lines else ""
        self.notes += [f"{item.name}: {words}" for words in (told, malformed, blank) if words]
        self.notes += [f"{item.name}: the new column {parsed.told[name]} is added; older rows have NULL" for name in parsed.added]
        self.notes += [f"{item.name}: column '{name}' is absent and read as NULL" for name in parsed.missing if parsed.records]
        if self.options.drift == "discard":
            self.notes += [f"{item.name}: {count} values of the new column {parsed.told[name]} were left out" for name, count in parsed.discarded.items()]

    def _note_absent(self, items: Sequence[FileItem], rows: DataFrame | None) -> None:
        """What corrections leave out of earlier deliveries; `rows` is what they hold, None when that is nothing."""
        names = [item.name for item in items if item.status == "correction"]
        if names and not self.is_snapshot:
            earlier = self.lake.read(self.table)
            key = key_of_table(self.row, self.ctx.project.contracts)
            self.notes += absent_rows(earlier, earlier.limit(0) if rows is None else rows, names, key)

    def _commit(self, deliveries: Sequence[Delivery], *, is_last: bool) -> LoadLog:
        """Append the rows of files in one commit, each file a batch; the audit row rides in it."""
        # Commits of an earlier try count too: each has a load id of its own.
        number = len(self.ctx.committed.get(f"bronze:{self.row.label}", ())) + 1
        load_id = self.frozen.load_ids[self.row.label] + (f"-{number}" if number > 1 else "")
        # Snapshots of one run follow one another in time.
        at, behind = after_newest(as_text(utc_now() + timedelta(milliseconds=number - 1)), self.newest)
        self.newest = at
        self.notes += behind
        rows = staged_rows(self.lake.spark, self._staged(deliveries[0][1].file).parent, deliveries, self.head + 1)
        lined = with_lineage(rows, load_id=load_id, batch_seq=F.col("_batch_seq"), window_high=at, watermark_before=None)
        self._note_absent([item for item, _ in deliveries], lined)
        for seq, (item, _) in enumerate(deliveries, self.head + 1):
            self.archived.note(item, seq)
        self.head += len(deliveries)
        log = self._log(deliveries, sum(parsed.records for _, parsed in deliveries), is_last=is_last)
        log.load_id, log.batch_seq = load_id, self.head
        crash_point("P5", self.row.label)
        metadata = {"load_id": load_id, "batch_seq": self.head, "files": [item.name for item, _ in deliveries], **riding([log])}
        log.table_version = self.lake.append(self.table, lined, metadata=metadata, merge_schema=True, txn=(self.row.label, self.head)).version
        self.ctx.keep(f"bronze:{self.row.label}", [log])
        crash_point("P6", self.row.label)
        return log

    def _log(self, deliveries: Sequence[Delivery], records: int, *, is_last: bool) -> LoadLog:
        names = [escaped(item.name) for item, _ in deliveries]
        log = self.ctx.log(
            "bronze",
            data_source=self.row.datasource,
            tablename=self.row.source_table,
            target=self.table.label,
            load_id=self.frozen.load_ids[self.row.label],
            watermark_after=", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "") or None,
            rows_read=records,
            rows_written=records,
            rows_duplicate=0,
            rows_dropped=0,
            numberofrowscopied=records,
            table_id=self.lake.table_id(self.table),
            # Whoever names a file has a say in these lines of the terminal.
            warnings=[escaped(note) for note in self.notes] if is_last else [],
        )
        if not deliveries:
            log.status, log.message = self._nothing()
        if self.refused and is_last:
            log.status, log.error_class, log.message = "FAILED", "SourceDataError", " ".join(self.refused)
        return log

    def _nothing(self) -> tuple[str, str | None]:
        """Status and message of a load that took no file."""
        if self.waiting:
            return "WAITING", f"{len(self.waiting)} files have not arrived whole; nothing was loaded, and the feed's clock keeps running. {self._newest()}"
        return ("SKIPPED_DUPLICATE", None) if self.repeated else ("NOOP", None)

    def _newest(self) -> str:
        newest = self.lake.read(self.table).where(F.col("_batch_seq") >= self.head).agg(F.max("_window_high").cast("string").alias("at")).first()
        return f"The newest rows were loaded at {newest['at']}Z." if newest and newest["at"] else "No row was ever loaded."

    def _staged(self, number: int) -> Path:
        """Where the rows of a file are staged: the files of one append in one folder."""
        return Path(self._scratch()) / (f"{number:05d}" if self.is_snapshot else "all") / f"{number:05d}.jsonl"

    def _scratch(self) -> str:
        return f"{self.lake.scratch(self.ctx.run_id)}/files/{self.row.bronze_table}"
