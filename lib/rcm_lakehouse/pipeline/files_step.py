"""One bronze load from a landing folder: files that are new, in one append; then the archive."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from rcm_lakehouse.audit.commits import riding
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.bronze.lineage import LINEAGE, LINEAGE_NAMES, with_lineage
from rcm_lakehouse.bronze.windows import as_text
from rcm_lakehouse.config.connections import FilesConnection, FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.lake.crash_points import crash_point
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.attempts import Outcome
from rcm_lakehouse.pipeline.context import RunContext, utc_now
from rcm_lakehouse.pipeline.freeze import Frozen
from rcm_lakehouse.pipeline.silver_sources import bronze_table
from rcm_lakehouse.sources.files import FileItem, Ledger, archive_file, candidates, plan_files
from rcm_lakehouse.sources.files_parse import Expected, Parsed, parse_file

_PROPERTIES = {
    "delta.autoOptimize.autoCompact": "true",
    "delta.dataSkippingStatsColumns": "_load_id,_batch_seq,_window_high,_source_file_hash",
}


def load_files(ctx: RunContext, lake: Lake, row: LoadRow, frozen: Frozen, connection: FilesConnection) -> Outcome:
    """Load every new file of a row of the work list in one commit, then archive it.

    A refused file stays in the landing folder and fails the load; the sound files before it are committed all the same.
    """
    options = connection.tables.get(row.label) or connection.tables.get(row.source_table)
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
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Outcome:
        """Plan, parse, append, archive, tell."""
        self._ensure()
        landing = self._folder(self.connection.path)
        if not candidates(landing, self.options.pattern):
            return Outcome("SUCCESS", (self._log([], 0),), {"batch_seq": self.frozen.state_of(self.row).batch_seq, "rows": 0})
        items = plan_files(landing, self.options, self._ledger(), self.archive)
        for item in items:
            if item.status in ("waiting", "refused", "duplicate"):
                (self.refused if item.status == "refused" else self.notes).append(f"{item.name}: {item.status}, {item.reason}")
        parsed = self._parsed([item for item in items if item.status in ("new", "correction")])
        records = sum(found.records for _, found in parsed)
        log = self._log(parsed, records)
        if records:
            log.table_version = self._append(parsed, log)
        for item, _ in parsed:
            crash_point("P7", self.row.label)
            archive_file(item, self.archive)
        for item in items:
            if item.status in ("skipped", "duplicate"):
                archive_file(item, self.archive)
        return Outcome(log.status, (log,), {"batch_seq": self.frozen.state_of(self.row).batch_seq + (1 if records else 0), "rows": records})

    @property
    def archive(self) -> Path:
        """Where committed files of this load go."""
        base = self._folder(self.connection.archive) if self.connection.archive else self._folder(self.connection.path) / "_archive"
        return base / self.row.label

    def _folder(self, path: str) -> Path:
        return (self.ctx.project.home / path).resolve()

    def _ensure(self) -> None:
        columns = [StructField(name, StringType()) for name in self._expected(()).used]
        self.lake.ensure(bronze_table(self.row), StructType([*columns, *LINEAGE.fields]), properties=_PROPERTIES)

    def _ledger(self) -> Ledger:
        if self.frozen.state_of(self.row).batch_seq == 0:
            return Ledger()
        bronze = self.lake.read(bronze_table(self.row)).where(F.col("_source_file_hash").isNotNull())
        rows = bronze.groupBy("_source_file_hash").agg(F.max_by("_source_file", "_batch_seq").alias("name")).collect()
        return Ledger({found["_source_file_hash"]: found["name"] for found in rows})

    def _expected(self, known: Sequence[str]) -> Expected:
        used: list[str] = []
        required: list[str] = []
        for contract in self.ctx.project.contracts.values():
            mapping = self.ctx.project.mapping_of(contract, self.row)
            for name, source in (mapping.columns if mapping else {}).items():
                if source.startswith("="):
                    continue
                used += [source] if source not in used else []
                if name in contract.key or name in contract.sequence_by[:1]:
                    required.append(source)
        return Expected(tuple(used), tuple(required), tuple(known))

    def _parsed(self, items: Sequence[FileItem]) -> list[tuple[FileItem, Parsed]]:
        table = bronze_table(self.row)
        known = [name for name in self.lake.read(table).columns if name not in LINEAGE_NAMES] if self.frozen.state_of(self.row).batch_seq else []
        expected = self._expected(known)
        found: list[tuple[FileItem, Parsed]] = []
        folder = Path(self._scratch())
        folder.mkdir(parents=True, exist_ok=True)
        for number, item in enumerate(items):
            try:
                parsed = parse_file(item, self.options, expected, folder / f"{number:04d}.jsonl")
            except SourceDataError as error:
                (folder / f"{number:04d}.jsonl").unlink(missing_ok=True)
                self.refused.append(str(error))
                continue
            self.notes += [f"{item.name}: {item.status}" for _ in [0] if item.status == "correction"]
            self.notes += [f"{item.name}: column '{name}' is absent and read as NULL" for name in parsed.missing]
            self.notes += [f"{item.name}: column '{name}' was left out by the drift policy" for name in parsed.discarded]
            found.append((item, parsed))
        return found

    def _append(self, parsed: Sequence[tuple[FileItem, Parsed]], log: LoadLog) -> int:
        seq = self.frozen.state_of(self.row).batch_seq + 1
        names = list(dict.fromkeys(name for _, found in parsed for name in found.columns))
        frames = [self._frame(number, item, names) for number, (item, _) in enumerate(parsed)]
        rows = frames[0]
        for frame in frames[1:]:
            rows = rows.unionByName(frame)
        load_id = self.frozen.load_ids[self.row.label]
        now = as_text(utc_now())
        lined = with_lineage(rows, load_id=load_id, batch_seq=seq, window_high=now, watermark_before=None)
        crash_point("P5", self.row.label)
        metadata = {"load_id": load_id, "batch_seq": seq, "files": [item.name for item, _ in parsed], **riding([log])}
        commit = self.lake.append(bronze_table(self.row), lined, metadata=metadata, merge_schema=True, txn=(self.row.label, seq))
        crash_point("P6", self.row.label)
        return commit.version

    def _frame(self, number: int, item: FileItem, names: Sequence[str]) -> DataFrame:
        fields = [StructField(name, StringType()) for name in names]
        schema = StructType([*fields, StructField("_source_row", LongType()), StructField("_corrupt_record", StringType())])
        # Permissive mode would claim `_corrupt_record` for itself; these lines are sound JSON by construction.
        lines = self.lake.spark.read.schema(schema).option("columnNameOfCorruptRecord", "_unread").json(f"{self._scratch()}/{self._index(number, item)}")
        flags = F.array(F.lit("correction")) if item.status == "correction" else F.lit(None).cast(ArrayType(StringType()))
        return lines.withColumns({"_source_file": F.lit(item.name), "_source_file_hash": F.lit(item.sha256), "_flags": flags})

    def _index(self, number: int, item: FileItem) -> str:
        return sorted(path.name for path in Path(self._scratch()).glob("*.jsonl"))[number]

    def _log(self, parsed: Sequence[tuple[FileItem, Parsed]], records: int) -> LoadLog:
        refused = {"status": "FAILED", "error_class": "SourceDataError", "message": " ".join(self.refused)} if self.refused else {}
        return self.ctx.log(
            "bronze",
            data_source=self.row.datasource,
            tablename=self.row.source_table,
            target=bronze_table(self.row).label,
            load_id=self.frozen.load_ids[self.row.label],
            batch_seq=self.frozen.state_of(self.row).batch_seq + 1 if records else None,
            watermark_after=", ".join(item.name for item, _ in parsed) or None,
            rows_read=records,
            rows_written=records,
            rows_duplicate=0,
            rows_dropped=0,
            numberofrowscopied=records,
            table_id=self.lake.table_id(bronze_table(self.row)),
            warnings=list(self.notes),
            **refused,
        )

    def _scratch(self) -> str:
        return f"{self.lake.scratch(self.ctx.run_id)}/files/{self.row.bronze_table}"
