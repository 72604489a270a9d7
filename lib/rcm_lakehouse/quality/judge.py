"""Rules as data: which rules a row breaks, and what becomes of it (pure)."""

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rcm_lakehouse.config.contracts import Contract, Rule

OUTCOMES = ("good", "quarantine", "drop", "fail")
FUTURE = "FUTURE_SEQUENCE"


def judged(rows: DataFrame, contract: Contract, known_keys: Mapping[str, DataFrame]) -> DataFrame:
    """Add `failed_rules`, `dq_flags` and `outcome` (good, quarantine, drop, fail) to canonical rows.

    `failed_rules` lists what a row breaks: built-in rules first (malformed line, unknown source, NULL key, NULL sequence, failed
    casts), then the contract's in its order; empty when the row is good. A rule of a column whose cast failed says nothing, unless it drops
    the row or stops the run: the failed cast is the reason. `dq_flags` names broken `warn` rules, which keep the
    row. The strictest severity decides: fail, then drop, then error. NULL makes a rule fail unless it says otherwise.
    `known_keys` holds, for each entity that a rule references, a frame with its durable keys. A delete event is judged by its
    key and sequence alone.
    """
    related = _with_references(_with_uniqueness(rows, contract.rules), contract.rules, known_keys)
    is_event = ~F.coalesce(F.col("is_delete"), F.lit(False)) & F.col("_corrupt_record").isNull()
    own = [F.when(is_event & ~_holds(rule, contract) & _is_judged(rule), _reason(rule)) for rule in contract.rules]
    found = F.array_compact(F.array(*_built_in(contract), *own)) if own else F.array_compact(F.array(*_built_in(contract)))
    listed = F.when(is_event, F.concat(found, _cast_reasons())).otherwise(found)
    marked = related.withColumn("failed_rules", listed).drop(*[name for name in related.columns if name.startswith("_rule_")])
    severities = F.transform("failed_rules", lambda reason: reason["severity"])
    outcome = (
        F.when(F.col("is_outside"), "drop")
        .when(F.array_contains(severities, "fail"), "fail")
        .when(F.array_contains(severities, "drop"), "drop")
        .when(F.array_contains(severities, "error"), "quarantine")
        .otherwise("good")
    )
    warned = F.filter("failed_rules", lambda reason: reason["severity"] == "warn")
    return marked.withColumns({"dq_flags": F.transform(warned, lambda reason: reason["rule"]), "outcome": outcome})


def _malformed() -> Column:
    """What is wrong with a line, from the flags its reader gave it (`too_few_values`)."""
    # Of a line's flags only its reader's are reasons; rows of a database whose type drifted have none.
    of_load = F.array(*[F.lit(name) for name in ("correction", "reconciled", "present", "backfill", "null_watermark", "future_watermark")])
    reasons = F.filter(F.array_except("_flags", of_load), lambda flag: ~flag.contains(":"))
    return F.concat_ws(": ", F.lit("the line does not fit the file"), F.replace(F.array_join(reasons, ", "), F.lit("_"), F.lit(" ")))


def _struct(rule: str, severity: str, columns: str, message: str | Column, version: int) -> Column:
    return F.struct(
        F.lit(rule).alias("rule"),
        F.lit(severity).alias("severity"),
        F.lit(columns).alias("columns"),
        (F.lit(message) if isinstance(message, str) else message).alias("message"),
        F.lit(version).alias("rule_version"),
    )


def _reason(rule: Rule) -> Column:
    columns = rule.columns or rule.unique
    return _struct(rule.name, rule.severity, ", ".join(columns), rule.message or rule.name.replace("_", " "), rule.version)


def _built_in(contract: Contract) -> list[Column]:
    whole = F.col("_corrupt_record").isNull()
    key = ", ".join(contract.key)
    reasons = [
        F.when(~whole, _struct("corrupt_record", "error", "", _malformed(), 1)),
        F.when(whole & F.col("data_source").isNull(), _struct("UNKNOWN_SOURCE", "error", "data_source", "the hospital is not known", 1)),
        F.when(whole & F.col(contract.key_column).isNull(), _struct("NULL_KEY", "error", key, "a part of the business key is missing", 1)),
    ]
    if contract.sequence_by:
        first = contract.sequence_by[0]
        # Of a delete no failed cast is listed: without a time it would close nothing, and count as written.
        is_told = F.array_contains("cast_failures", first) & ~F.coalesce(F.col("is_delete"), F.lit(False))
        is_missing = F.col("event_at").isNull() & ~is_told
        reasons.append(F.when(whole & is_missing, _struct("NULL_SEQUENCE", "error", first, "the time of the change is missing", 1)))
        ahead = _struct(FUTURE, "warn", first, "the time of the change lies ahead of its reading; it counts from the reading on", 1)
        reasons.append(F.when(whole & F.col("is_future"), ahead))
    return reasons


def _cast_reasons() -> Column:
    return F.transform(
        "cast_failures",
        lambda column: F.struct(
            F.concat(F.lit("cast:"), column).alias("rule"),
            F.lit("error").alias("severity"),
            column.alias("columns"),
            F.lit("the value does not fit the column's type").alias("message"),
            F.lit(1).alias("rule_version"),
        ),
    )


def _is_judged(rule: Rule) -> Column:
    if rule.severity in ("drop", "fail") or not rule.columns:
        return F.lit(True)
    return ~F.arrays_overlap("cast_failures", F.array(*[F.lit(name) for name in rule.columns]))


def _holds(rule: Rule, contract: Contract) -> Column:
    if rule.references is not None or rule.unique:
        return F.col(f"_rule_{rule.name}")
    return condition(rule)


def stated(rule: Rule) -> Column:
    """What the `check` of a rule gives, as it is written."""
    return F.expr(str(rule.check))


def condition(rule: Rule) -> Column:
    """True where a row holds to the `check` of a rule; never NULL. Of a rule with `unique` it says which rows are compared."""
    # A comparison with NULL is NULL, and so is its negation: without the coalesce a NULL amount would pass `amount >= 0`.
    return F.coalesce(stated(rule), F.lit(rule.null_passes and not rule.unique))


def _with_references(rows: DataFrame, rules: Sequence[Rule], known_keys: Mapping[str, DataFrame]) -> DataFrame:
    for number, rule in enumerate(rule for rule in rules if rule.references is not None):
        column = rule.columns[0]
        keys = known_keys[str(rule.references)].toDF(f"_known_key_{number}").distinct().withColumn(f"_known_{number}", F.lit(True))
        rows = rows.join(keys, F.col(column) == F.col(f"_known_key_{number}"), how="left")
        holds = F.col(column).isNull() | F.coalesce(F.col(f"_known_{number}"), F.lit(False))
        rows = rows.withColumn(f"_rule_{rule.name}", holds).drop(f"_known_key_{number}", f"_known_{number}")
    return rows


def _with_uniqueness(rows: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    for rule in rules:
        if not rule.unique:
            continue
        columns = [F.col(name) for name in rule.unique]
        inside = condition(rule) if rule.check else F.lit(True)
        has_null = reduce(lambda one, other: one | other, [column.isNull() for column in columns])
        # Within a delivery: what one run merges together depends on how often it ran.
        delivery = Window.partitionBy("_source_table", "_batch_seq", *columns)
        # A row that says a thing is gone, or that belongs to another mapping, is no second one.
        is_taken = inside & ~F.coalesce(F.col("is_delete"), F.lit(False)) & ~F.col("is_outside")
        counted = F.count(F.when(is_taken, F.lit(1))).over(delivery)
        rows = rows.withColumn(f"_rule_{rule.name}", ~inside | has_null | (counted <= 1))
    return rows
