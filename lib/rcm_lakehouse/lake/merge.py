"""One MERGE of changed versions, atomic: closed ends, new versions and corrections together."""

import json
from collections.abc import Mapping, Sequence

from delta.tables import DeltaTable
from pyspark.sql import DataFrame

from rcm_lakehouse.config.errors import CommitConflictError
from rcm_lakehouse.lake.table import Table
from rcm_lakehouse.lake.tables import Commit, Lake

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# The source is a folder of immutable staged files: a second copy of it would protect nothing.
_MATERIALIZE = "spark.databricks.delta.merge.materializeSource"


def merge_versions(
    lake: Lake, table: Table, changed: DataFrame, *, on: Sequence[str], action: str, metadata: Mapping[str, object], head: int
) -> Commit:
    """Apply staged rows by their action (insert, update, delete) in one commit; `head` is the version they were computed from.

    Raises CommitConflictError when another writer committed since `head`: Delta itself sees only what happens during the MERGE. The
    difference must be computed again; that mends the table too in the moment's gap in which it was applied all the same.
    """
    if lake.moved_past(table, head):
        raise CommitConflictError(f"{table.label}: another writer committed after version {head}; the MERGE was not applied and is computed again.")
    columns = [name for name in changed.columns if name != action]
    values = {name: f"s.`{name}`" for name in columns}
    condition = " AND ".join(f"t.`{name}` = s.`{name}`" for name in on)
    conf, text = lake.spark.conf, json.dumps(metadata, default=str)
    merge = (
        DeltaTable.forName(lake.spark, lake.sql_name(table))
        .alias("t")
        .merge(changed.alias("s"), condition)
        .whenMatchedDelete(condition=f"s.{action} = 'delete'")
        .whenMatchedUpdate(condition=f"s.{action} IN ('update', 'insert')", set=values)  # type: ignore[arg-type]
        .whenNotMatchedInsert(condition=f"s.{action} IN ('update', 'insert')", values=values)  # type: ignore[arg-type]
    )
    conf.set(_METADATA, text)
    conf.set(_MATERIALIZE, "none")
    try:
        commit = lake.commit(table, text, merge.execute)
    finally:
        conf.unset(_METADATA)
        conf.unset(_MATERIALIZE)
    if commit.version > head + 1:
        raise CommitConflictError(f"{table.label}: another writer committed between version {head} and the MERGE; the difference is computed again.")
    return commit
