"""Delta tables of the lakehouse by layer and name: create, check, read, append, replace."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import RLock

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from rcm_lakehouse.config.errors import CommitConflictError, TableStateError
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.compaction import COMPACTED_LAYERS, compaction_behind
from rcm_lakehouse.lake.conflicts import CONFLICTS
from rcm_lakehouse.lake.log_check import forget_unbegun, has_begun, newest_version, version_with
from rcm_lakehouse.lake.session import step_session
from rcm_lakehouse.lake.table import Table, register_sql, sql_name

FORMAT_VERSION = 1
FORMAT_PROPERTY = "rcm.formatVersion"
ID_PROPERTY = "rcm.tableId"
LAST_VERSION = "spark.databricks.delta.lastCommitVersionInSession"

# The in-memory catalog is one for all sessions and threads of a process; a name that changes its lakehouse is dropped and made again.
_names = RLock()

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Commit:
    """A finished Delta commit: the version it made."""

    version: int


class Lake:
    """The lakehouse as one session sees it. A thread works with its own copy (`for_thread`)."""

    def __init__(self, spark: SparkSession, settings: LakehouseSettings, home: Path, registered: set[str] | None = None) -> None:
        self.spark = spark
        # A name is registered once a process.
        self._registered: set[str] = set() if registered is None else registered
        self.settings = settings
        self.home = home
        root = settings.root
        self.is_local = "://" not in root
        self.root = root.rstrip("/") if not self.is_local else str((home / root).resolve())

    def for_thread(self) -> "Lake":
        """A copy with its own session (own SQL settings and temporary names); the same one where sessions cannot be cloned."""
        if not self.can_clone_sessions:
            return self
        return Lake(step_session(self.spark, self.settings), self.settings, self.home, self._registered)

    @property
    def has_local_log(self) -> bool:
        """True when the tables' logs lie on a local disk, where their files can be looked at without a Spark job."""
        return self.is_local and not self.settings.catalog

    @property
    def can_clone_sessions(self) -> bool:
        """False on Spark Connect, where loads run one after another."""
        return not self.spark.__class__.__module__.startswith("pyspark.sql.connect")

    def sql_name(self, table: Table) -> str:
        """The quoted name for SQL: `silver`.`patient`, with the catalog in front where there is one."""
        return sql_name(self.settings, table)

    def location(self, table: Table) -> str:
        """Where the table's files lie."""
        return f"{self.root}/{table.path}"

    def scratch(self, run_id: str) -> str:
        """Folder for the staged files of one run; deleted when the run ends."""
        return f"{self.root}/_scratch/{run_id}"

    def exists(self, table: Table) -> bool:
        """True when the table has a Delta log; registers its name in this session's catalog.

        Raises TableStateError when the log is torn (local disks only); nothing was read or written.
        """
        if self.settings.catalog:
            return bool(self.spark.catalog.tableExists(self.sql_name(table)))
        if self.is_local and not has_begun(Path(self.location(table)), table.label):
            return False
        if not self.is_local and not DeltaTable.isDeltaTable(self.spark, self.location(table)):
            return False
        self._create_schema(table)
        name = self.sql_name(table)
        with _names:
            if name not in self._registered:
                if not self._forget_other_lakehouse(table):
                    self.spark.sql(register_sql(self.settings, table, self.location(table)))
                self._registered.add(name)
        return True

    def _forget_other_lakehouse(self, table: Table) -> bool:
        """Unregister a name that a lakehouse at another root left in this process, its files untouched; True when it is registered for this one."""
        name = self.sql_name(table)
        try:
            if not self.is_local or not self.spark.catalog.tableExists(name):
                return False
        except PySparkException as error:
            # Known by name, but its folder was moved away or deleted under this process.
            if error.getCondition() != "DELTA_PATH_DOES_NOT_EXIST":
                raise
            self.spark.sql(f"DROP TABLE {name}")
            return False
        told = {row["col_name"]: row["data_type"] for row in self.spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()}
        if told.get("Location", "").removeprefix("file:").rstrip("/") == self.location(table):
            return True
        if told.get("Type") != "EXTERNAL":
            raise TableStateError(
                f"{table.label}: this session has a managed table of that name, which is not of the lakehouse at {self.root}. Nothing was "
                "read or written. Rename it, or name other `schemas` in conf/lakehouse.yml."
            )
        self.spark.sql(f"DROP TABLE {name}")
        return False

    def _create_schema(self, table: Table) -> None:
        schema = self.sql_name(table).rpartition(".")[0]
        if schema not in self._registered:
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._registered.add(schema)

    def ensure(
        self,
        table: Table,
        schema: StructType,
        *,
        partition_by: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> bool:
        """Create the table, empty, unless it exists; True when it was created now.

        Raises TableStateError when the table's format is newer than this code or the folder holds something else.
        """
        if self.exists(table):
            self._check_format(table)
            return False
        if self.has_local_log:
            forget_unbegun(Path(self.location(table)), table.label)
        self._create_schema(table)
        with _names:
            self._forget_other_lakehouse(table)
        builder = DeltaTable.createIfNotExists(self.spark).tableName(self.sql_name(table)).addColumns(schema)
        if not self.settings.catalog:
            builder = builder.location(self.location(table))
        if partition_by:
            builder = builder.partitionedBy(*partition_by)
        wanted = {
            FORMAT_PROPERTY: str(FORMAT_VERSION),
            ID_PROPERTY: uuid.uuid4().hex,
            "delta.enableInCommitTimestamps": "true",
            **(properties or {}),
        }
        for key, value in wanted.items():
            builder = builder.property(key, value)
        builder.execute()
        if not self.settings.catalog:
            self._registered.add(self.sql_name(table))
        return True

    def properties(self, table: Table) -> dict[str, str]:
        """The table's properties; no Spark job."""
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.sql_name(table)}").collect()
        return {row["key"]: row["value"] for row in rows}

    def table_id(self, table: Table) -> str | None:
        """The id the table was made with; a table dropped and made again has another."""
        return self.properties(table).get(ID_PROPERTY)

    def _check_format(self, table: Table) -> None:
        found = self.properties(table).get(FORMAT_PROPERTY)
        if found is None or not found.isdigit() or int(found) > FORMAT_VERSION:
            raise TableStateError(
                f"{table.label} at {table.path}: format version {found or 'none'}, this code writes {FORMAT_VERSION}. "
                "Nothing was written to it. Use the release that made the table, or move the folder away to load it anew."
            )

    def read(self, table: Table) -> DataFrame:
        """All rows of the table's newest version (lazy)."""
        return self.spark.read.table(self.sql_name(table))

    def made(self, values: Sequence[Mapping[str, object]], schema: StructType) -> DataFrame:
        """A few rows of our own making, by column name; a column that is not named is NULL. No secret: they stand in the plan.

        They travel as one JSON text, for rows made of Python objects start Python workers beside the JVM.
        """
        text = json.dumps(values, default=iso_text)
        listed = F.from_json(F.lit(text), ArrayType(schema), {"mode": "FAILFAST"})
        return self.spark.range(0, 1, 1, 1).select(F.inline(listed))

    def append(
        self,
        table: Table,
        rows: DataFrame,
        *,
        metadata: Mapping[str, object],
        merge_schema: bool = False,
        txn: tuple[str, int] | None = None,
    ) -> Commit:
        """Add rows in one commit; `metadata` rides in it. `txn` (application id, version) is committed once, whoever repeats it.

        Raises CommitConflictError when another writer changed the table's shape at the same time, or has committed this `txn` already;
        nothing was appended. A commit stands even if what follows it fails (see `commit`).
        """
        text = json.dumps(metadata, default=str)
        writer = rows.write.format("delta").mode("append").option("userMetadata", text)
        if merge_schema:
            writer = writer.option("mergeSchema", "true")
        if txn:
            writer = writer.option("txnAppId", txn[0]).option("txnVersion", txn[1])
        is_ours = self.has_local_log and table.layer in COMPACTED_LAYERS
        behind = compaction_behind(self.spark, self.head_version(table) + 1) if is_ours else nullcontext()
        with behind:
            commit = self.commit(table, text, lambda: writer.saveAsTable(self.sql_name(table)))
        if txn and commit.version < 0:
            # Delta skips a version of `txn` that it has, whatever the rows are, and says nothing.
            raise CommitConflictError(f"{table.label}: batch {txn[1]} of {txn[0]} is there already; nothing was appended. The load is computed again.")
        return commit

    def replace(self, table: Table, rows: DataFrame, *, metadata: Mapping[str, object]) -> Commit:
        """Replace all rows (and, where it changed, the schema) in one commit: readers see the old table or the new one."""
        text = json.dumps(metadata, default=str)
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").option("userMetadata", text)
        return self.commit(table, text, lambda: writer.saveAsTable(self.sql_name(table)))

    def commit(self, table: Table, metadata: str, write: Callable[[], object]) -> Commit:
        """Let `write` make its one commit, which carries `metadata`; the version is -1 when it made none.

        What follows a commit (statistics, a checkpoint, compaction) may fail, on a full disk for one: the commit stands all the same.
        Raises CommitConflictError when another writer committed first; this one wrote nothing.
        """
        folder = Path(self.location(table)) if self.has_local_log else None
        head = newest_version(folder) if folder else None
        self.spark.conf.unset(LAST_VERSION)
        try:
            write()
        except CONFLICTS as error:
            raise CommitConflictError(f"{table.label}: another writer committed first; nothing was written, and it is computed again.") from error
        except (Py4JJavaError, PySparkException):
            version = self.last_version()
            if version < 0 and folder and head is not None:
                version = version_with(folder, head, metadata)
            if version < 0:
                raise
            _log.warning("%s: version %s is committed, but what follows a commit (statistics, a checkpoint, compaction) failed", table.label, version)
            return Commit(version)
        return Commit(self.last_version())

    def last_version(self) -> int:
        """The version of this session's newest commit; no Spark job."""
        return int(self.spark.conf.get(LAST_VERSION) or -1)

    def head_version(self, table: Table) -> int:
        """The newest version in the table's log, whoever wrote it; on a local disk no Spark job."""
        if self.has_local_log:
            newest = newest_version(Path(self.location(table)))
            if newest is not None:
                return newest
        return int(self.spark.sql(f"DESCRIBE HISTORY {self.sql_name(table)} LIMIT 1").select("version").first()["version"])  # type: ignore[index]

    def moved_past(self, table: Table, version: int) -> bool:
        """True when the table's log goes on after `version`; no Spark job on a local disk.

        Delta removes old commits from the log behind a checkpoint: the newest version tells, not whether the next one's file is there.
        """
        return self.head_version(table) > version

    def staged(self, path: str, rows: DataFrame) -> DataFrame:
        """Write rows as parquet files below the scratch folder, and return them as they lie there: they are computed once and do not change."""
        rows.write.mode("overwrite").parquet(path)
        return self.read_files(path, rows.schema)

    def read_files(self, path: str, schema: StructType) -> DataFrame:
        """Staged parquet files with the schema they were written with."""
        return self.spark.read.schema(schema).parquet(path)


def iso_text(value: object) -> str:
    """Times and days as ISO 8601, for JSON. Raises TypeError for anything else."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")
