"""Frames of a load from files: what its table has, what its files should have, the staged rows, and what a correction leaves out."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from rcm_lakehouse.bronze.lineage import CORRECTION, LINEAGE
from rcm_lakehouse.bronze.lineage import RESERVED as RESERVED_BY_LOADS
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.pipeline.source_checks import signed_columns, wanted_columns
from rcm_lakehouse.sources.files import FileItem
from rcm_lakehouse.sources.files_header import Expected
from rcm_lakehouse.sources.files_parse import Parsed

# Names that the machine gives to columns beside a file's own, those of the way from the file to bronze among them.
RESERVED = (*sorted(RESERVED_BY_LOADS), "_file", "_told", "_unread")


def expected_columns(project: Project, row: LoadRow, known: Sequence[str], given_up: Sequence[str] = ()) -> Expected:
    """What contracts want of the row's files; `known` are the columns that bronze has.

    Required are keys, sequences, what gold ties out to, and what an expression reads: it would tell rows apart by values that are not there.
    """
    mapped = [(contract, project.mapping_of(contract, row)) for contract in project.contracts.values()]
    wanted = [column for contract, mapping in mapped if mapping for column in wanted_columns(contract, mapping, signed_columns(project, contract))]
    used = dict.fromkeys(source for source, _, _ in wanted)
    required = dict.fromkeys(source for source, _, is_required in wanted if is_required)
    return Expected(tuple(used), tuple(required), tuple(known), RESERVED, tuple(given_up))


def bronze_schema(project: Project, row: LoadRow) -> StructType:
    """The columns of an empty bronze table: those that contracts use, and lineage."""
    columns = {name.lower(): name for name in expected_columns(project, row, ()).used}
    return StructType([*(StructField(name, StringType()) for name in columns.values()), *LINEAGE.fields])


def staged_rows(spark: SparkSession, folder: Path, deliveries: Sequence[tuple[FileItem, Parsed]], first_seq: int) -> DataFrame:
    """The staged records of files: text columns, place in the file, text and flags of malformed lines, name and hash of the file.

    Each file is a batch, the first of them `first_seq`.
    """
    names = list(dict.fromkeys(name for _, parsed in deliveries for name in parsed.columns))
    flags = ArrayType(StringType())
    schema = StructType(
        [
            *(StructField(name, StringType()) for name in names),
            StructField("_source_row", LongType()),
            StructField("_corrupt_record", StringType()),
            StructField("_flags", flags),
            StructField("_file", LongType()),
        ]
    )
    # Permissive mode would claim `_corrupt_record` for itself; these lines are sound JSON by construction, and anything else is an error.
    lines = spark.read.schema(schema).option("mode", "FAILFAST").option("columnNameOfCorruptRecord", "_unread").json(str(folder))
    # An array by number, because a map would be searched for each row.
    by_number = {parsed.file: _told(item, seq) for seq, (item, parsed) in enumerate(deliveries, first_seq)}
    first = min(by_number)
    told = F.array(*[by_number.get(number, F.lit(None)) for number in range(first, max(by_number) + 1)])
    found = lines.withColumn("_told", F.element_at(told, (F.col("_file") - first + 1).cast("int")))
    listed = F.array_compact(F.concat(F.coalesce("_flags", F.array().cast(flags)), F.array("_told.flag")))
    names_of = {"_source_file": "name", "_source_file_hash": "hash", "_batch_seq": "seq"}
    described = {column: F.col(f"_told.{name}") for column, name in names_of.items()}
    return found.withColumns({**described, "_flags": F.when(F.size(listed) > 0, listed)}).drop("_told", "_file")


def _told(item: FileItem, seq: int) -> Column:
    facts = {"name": item.name, "hash": item.sha256, "flag": CORRECTION if item.status == "correction" else None}
    texts = [F.lit(value).cast("string").alias(name) for name, value in facts.items()]
    return F.struct(*texts, F.lit(seq).cast("bigint").alias("seq"))


def absent_rows(bronze: DataFrame, rows: DataFrame, names: Sequence[str], key: Sequence[str]) -> list[str]:
    """What to say of corrections: by file, how many rows of its earlier deliveries (told apart by `key`) it does not have.

    Without a key, or when a delivery lacks a column of it, rows are told apart by their content.
    """
    spelled = [{name.lower(): name for name in frame.columns} for frame in (bronze, rows)]
    has_key = bool(key) and all(name.lower() in names_of for name in key for names_of in spelled)
    columns = [name.lower() for name in key] if has_key else ["_row_hash"]

    def keys_of(frame: DataFrame, spelling: dict[str, str]) -> DataFrame:
        sound = frame.where(F.col("_source_file").isin(list(names)) & F.col("_corrupt_record").isNull())
        return sound.select("_source_file", *[F.col(f"`{spelling[name]}`").alias(f"_part_{at}") for at, name in enumerate(columns)]).distinct()

    earlier, now = keys_of(bronze, spelled[0]).alias("earlier"), keys_of(rows, spelled[1]).alias("now")
    parts = ["_source_file", *(f"_part_{at}" for at in range(len(columns)))]
    same = reduce(lambda one, other: one & other, [F.col(f"earlier.{part}").eqNullSafe(F.col(f"now.{part}")) for part in parts])
    counts = earlier.join(now, same, how="left_anti").groupBy("_source_file").agg(F.count(F.lit(1)).alias("rows")).collect()
    absent = {row["_source_file"]: int(row["rows"]) for row in counts}
    return [f"{name}: correction; {absent.get(name, 0)} rows of its earlier deliveries are absent from it and stay as they are" for name in names]
