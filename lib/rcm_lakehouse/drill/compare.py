"""Two lakehouses compared row by row, and the audit's own promises."""

from collections import Counter
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.audit.writer import LOAD_LOGS_TABLE, RUNS_TABLE
from rcm_lakehouse.bronze.lineage import JSON_TIMES, VOLATILE
from rcm_lakehouse.lake.names import tables_on_disk
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Lake

Rows = dict[str, Counter[str]]

_SUMS = """
SELECT concat_ws(' ', target, data_source) AS what,
       named_struct('written', sum(rows_written), 'read', if(first(layer) = 'bronze', NULL, sum(rows_read)), 'quarantined', sum(rows_quarantined),
                    'dropped', sum(rows_dropped), 'kept', sum(rows_written + rows_unchanged + rows_duplicate)) AS counts
FROM {logs} WHERE status IN ('SUCCESS', 'HELD') AND layer IN ('bronze', 'silver') GROUP BY target, data_source"""


def rows_of(lake: Lake) -> Rows:
    """Every row of every table but the audit's as JSON without volatile columns, by table; one query. A table without a row is an empty entry."""
    tables = [table for table in tables_on_disk(Path(lake.root)) if table.layer != "audit" and lake.exists(table)]
    found: Rows = {table.label: Counter() for table in tables}
    frames = [_as_json(lake, table) for table in tables]
    for row in reduce(DataFrame.unionByName, frames).collect():
        found[row["label"]][row["row"]] += 1
    return found


def _as_json(lake: Lake, table: Table) -> DataFrame:
    rows = lake.read(table)
    kept = [f"`{name}`" for name in sorted(rows.columns) if name not in VOLATILE]
    text = F.to_json(F.struct(*kept), {"ignoreNullFields": "false", **JSON_TIMES}) if kept else F.lit("{}")
    return rows.select(F.lit(table.label).alias("label"), text.alias("row"))


def audit_sums(lake: Lake) -> dict[str, str]:
    """Source rows by table and hospital as the audit counts them over all runs.

    What was written to bronze and what silver did with it must not depend on how often a run died. Rows read from a source again are
    counted again, so they are left out.
    """
    lake.exists(LOAD_LOGS_TABLE)
    rows = lake.spark.sql(_SUMS.format(logs=lake.sql_name(LOAD_LOGS_TABLE))).collect()
    return {row["what"]: str(_comparable(row["what"], row["counts"].asDict())) for row in rows}


def _comparable(what: str, counts: dict[str, int]) -> dict[str, int]:
    # Of silver's rows "written" depends on the crash: a tombstone that was there already makes its delete "unchanged". Both are kept.
    return {name: value for name, value in counts.items() if name != "written" or what.startswith("bronze.")}


def differences(found: Rows, wanted: Rows) -> list[str]:
    """What tables differ, in counts only: made-up people or not, a row is never shown."""
    told = []
    for name in sorted({*found, *wanted}):
        if name not in found or name not in wanted:
            told.append(f"{name} is {'missing' if name not in found else 'too much'}")
            continue
        missing, extra = wanted[name] - found[name], found[name] - wanted[name]
        if missing or extra:
            told.append(f"{name}: {missing.total()} rows missing, {extra.total()} too many")
    return told


def audit_faults(lake: Lake) -> list[str]:
    """Broken promises of the audit: a row twice, a run without an end, leftovers of a dead run."""
    logs, runs = lake.read(LOAD_LOGS_TABLE), lake.read(RUNS_TABLE)
    told = []
    twice = logs.groupBy("id").count().where("count > 1").count()
    ends = logs.where("layer = 'run'").groupBy("run_id").agg(F.count(F.lit(1)).alias("ends"))
    open_runs = runs.select("run_id").distinct().join(ends, "run_id", how="left").where("coalesce(ends, 0) <> 1").count()
    told += [f"audit: {twice} ids twice"] if twice else []
    told += [f"audit: {open_runs} runs without exactly one end"] if open_runs else []
    root = Path(lake.root)
    told += [f"left behind: {path.name}" for path in (root / "audit" / "_spool").glob("*.jsonl")]
    told += ["left behind: _scratch"] if any((root / "_scratch").glob("*")) else []
    return told
