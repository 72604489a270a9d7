"""A contract's mapping: bronze rows to typed canonical rows (pure)."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rcm_lakehouse.bronze.lineage import IS_INSTANT, JSON_TIMES, LINEAGE_NAMES, NOT_A_NUMBER, ZERO_DATE, has_flag, source_columns
from rcm_lakehouse.bronze.windows import FUTURE_MARGIN
from rcm_lakehouse.config.contracts import Column as ContractColumn
from rcm_lakehouse.config.contracts import Contract, SourceMapping
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.silver.casts import as_text, is_number, typed
from rcm_lakehouse.silver.cleaning import CLEANERS, null_text, null_value, payer_name
from rcm_lakehouse.silver.keys import durable_key

SALT_COLUMN = "_salt"
# Flags of values that are none, by the type in which bronze has NULL for them.
_EMPTIES = {"date": ZERO_DATE, "timestamp": ZERO_DATE, "decimal": NOT_A_NUMBER, "string": NOT_A_NUMBER}
# How far clocks go back: an hour, on Lord Howe Island half of one.
_SET_BACK = (60, 30)
MICROSECOND = "INTERVAL 0.000001 SECOND"
_MARGIN = f"INTERVAL '{FUTURE_MARGIN.days}' DAY"


def mapped(rows: DataFrame, contract: Contract, mapping: SourceMapping, *, time_zone: str, contracts: Mapping[str, Contract]) -> DataFrame:
    """Canonical rows of an entity from one bronze table's rows.

    `rows` carry the bronze columns, `data_source`, `_source_table` and, when a personal key is made, `_salt`; `contracts` has those of entities
    that `key_of` names. Added: the durable key (of its columns' values in their types, so that 01 and 1 of an int are one), the contract's columns
    (times in `time_zone`, instants turned into it), `event_at` (UTC; a day means its local midnight, a time of the hour that comes twice its last
    pass before the reading; without a sequence, or with one more than a day ahead of it, the end of the load's window), `is_future` (the sequence
    lies so far ahead), `is_day` (it tells a day alone), `is_delete`, `is_outside` (the mapping does not take the row: its `where`, or a delete
    that it ignores), `cast_failures` (columns whose text or derived value did not fit the type, or whose day or number is none) and `raw_row`
    (JSON of the source's columns).

    Raises SourceDataError when the source lacks a column that makes the key or the sequence; nothing was written.
    """
    names = {name.lower(): name for name in rows.columns}
    instants = {field.name for field in rows.schema if field.metadata.get(IS_INSTANT)}
    held = {field.name: field.dataType.typeName() for field in rows.schema}
    _check_required(contract, mapping, names)
    sources_of = {column.name: _source(column, mapping, names) for column in contract.columns if column.derive is None}
    raws = {name: _raw(found, mapping.columns.get(name), found in instants, time_zone) for name, found in sources_of.items()}
    instant = next((sources_of[name] for name in contract.sequence_by[:1] if sources_of.get(name) in instants), None)
    first = _with_raw_columns(rows, mapping, raws, instant)
    types = {name: first.schema[f"_raw_{name}"].dataType.simpleString() for name in raws}
    plain = [column for column in contract.columns if column.derive is None]
    cleaned = first.select("*", *[_cleaned(column, types[column.name], contract).alias(f"_clean_{column.name}") for column in plain])
    second = cleaned.select("*", *[_value(column, types[column.name], contracts).alias(column.name) for column in plain])
    third = second.withColumns({column.name: derived_value(column) for column in contract.columns if column.derive is not None})
    failures = [_failure(column, sources_of[column.name], held) for column in plain if column.key_of is None]
    misfits = [_misfit(column) for column in contract.columns if column.derive is not None]
    derived = third.withColumn("cast_failures", F.array_compact(F.array(*failures, *misfits)))
    salt = F.col(SALT_COLUMN) if contract.key_is_personal else None
    parts = [_key_part(column, F.col(column.name), F.col(f"_clean_{column.name}")) for column in _of_key(contract)]
    key = durable_key(F.col("data_source"), parts, salt=salt)
    keyed = derived.withColumn(contract.key_column, key).withColumns(_times(contract, types, time_zone))
    told = ("event_at", "is_future", "is_day", "is_delete", "is_outside", "cast_failures", "raw_row", "_source_table")
    return keyed.select(contract.key_column, "data_source", *[column.name for column in contract.columns], *told, *LINEAGE_NAMES)


def _with_raw_columns(rows: DataFrame, mapping: SourceMapping, raws: Mapping[str, Column], instant: str | None) -> DataFrame:
    """Lineage, the row as JSON, what the mapping says of the row as a whole, and `_raw_<column>` for each mapped column."""
    kept = ["data_source", "_source_table", *LINEAGE_NAMES, *([SALT_COLUMN] if SALT_COLUMN in rows.columns else [])]
    sources = source_columns(rows.drop("data_source", "_source_table", SALT_COLUMN))
    return rows.select(
        *kept,
        F.to_json(F.struct(*[F.col(f"`{name}`") for name in sources], "_corrupt_record"), JSON_TIMES).alias("raw_row"),
        _is_delete(mapping).alias("is_delete"),
        _is_outside(mapping).alias("is_outside"),
        (F.col(f"`{instant}`") if instant else F.lit(None).cast("timestamp")).alias("_instant"),
        *[raw.alias(f"_raw_{name}") for name, raw in raws.items()],
    )


def _check_required(contract: Contract, mapping: SourceMapping, names: dict[str, str]) -> None:
    for column in (*contract.key, *contract.sequence_by[:1]):
        source = mapping.columns.get(column)
        if source is not None and not source.startswith("=") and source.lower() not in names:
            raise SourceDataError(
                f"{contract.entity}: mapping '{mapping.name}' takes '{column}' from the source column '{source}', which the delivery does not "
                f"have.{did_you_mean(source, names.values())} Silver is unchanged. Mend the mapping in conf/cdm/{contract.entity}.yml or the source."
            )


def _source(column: ContractColumn, mapping: SourceMapping, names: dict[str, str]) -> str | None:
    """The bronze column that a column is taken from as it is; None for an expression or where there is none."""
    return names.get(mapping.columns.get(column.name, "=").lower())


def _raw(source: str | None, mapped_from: str | None, is_instant: bool, time_zone: str) -> Column:
    if source is None:
        return F.expr(mapped_from[1:]) if mapped_from is not None and mapped_from.startswith("=") else F.lit(None).cast("string")
    value = F.col(f"`{source}`")
    return F.from_utc_timestamp(value, time_zone) if is_instant else value


def _is_delete(mapping: SourceMapping) -> Column:
    marked = F.coalesce(F.col("_change_type") == "delete", F.lit(False))
    return marked if mapping.delete_when is None else marked | F.coalesce(F.expr(mapping.delete_when), F.lit(False))


def _is_outside(mapping: SourceMapping) -> Column:
    outside = ~F.coalesce(F.expr(mapping.where or "true"), F.lit(False))
    if mapping.deletes == "ignore":
        return outside | F.coalesce(F.col("_change_type") == "delete", F.lit(False))
    # A malformed line has no values to ask: it is nobody else's, and waits in quarantine.
    return outside & F.col("_corrupt_record").isNull()


def _cleaned(column: ContractColumn, source_type: str, contract: Contract) -> Column:
    raw = F.col(f"_raw_{column.name}")
    if column.clean is None and source_type != "string" and column.key_of is None and column.type != "string":
        return raw
    # People are named Nan and None, but nothing is numbered so: with such a key strangers would share one.
    is_identifier = column.name in contract.key or column.key_of is not None or column.clean == payer_name.__name__
    is_text = source_type == "string" and column.type in ("string", "array<string>") and not is_identifier
    text = null_text(raw) if is_text else null_value(as_text(raw, source_type))
    return text if column.clean is None else CLEANERS[column.clean](text)


def _value(column: ContractColumn, source_type: str, contracts: Mapping[str, Contract]) -> Column:
    cleaned = F.col(f"_clean_{column.name}")
    if column.key_of is not None:
        named = contracts[column.key_of]
        own = _of_key(named)[0]
        part = _key_part(own, typed(cleaned, "string", own.type, own.formats).cast(own.type), cleaned)
        return durable_key(F.col("data_source"), [part], salt=F.col(SALT_COLUMN) if named.key_is_personal else None)
    is_text = column.clean is not None or source_type == "string" or column.type == "string"
    return typed(cleaned, "string" if is_text else source_type, column.type, column.formats).cast(column.type)


def _of_key(contract: Contract) -> list[ContractColumn]:
    columns = {column.name: column for column in contract.columns}
    return [columns[name] for name in contract.key]


def _key_part(column: ContractColumn, value: Column, cleaned: Column) -> Column:
    """A value of a key as text; what does not fit the type waits in quarantine, and is told by the text that was delivered.

    Of a column that names another entity it is the hospital's number, not that entity's key.
    """
    return cleaned.cast("string") if column.key_of is not None else F.coalesce(value.cast("string"), cleaned.cast("string"))


def _failure(column: ContractColumn, source: str | None, held: Mapping[str, str]) -> Column:
    # A cleaner that finds nothing usable in a text field is a rule's matter; only a type that does not fit is a failed cast.
    missing = F.col(f"_clean_{column.name}").isNotNull() & F.col(column.name).isNull()
    # A decimal of any number of digits is read as text: its NaN is one where a number is wanted.
    flag = None if source is None or (held[source], column.type) == ("string", "string") else _EMPTIES.get(held[source])
    if flag is not None:
        missing = missing | has_flag(f"{flag}{source}")
    return F.when(missing, F.lit(column.name))


def derived(column: ContractColumn) -> Column:
    """What the expression of a derived column gives, of whatever type, where the mapped columns of the contract stand beside it."""
    return F.expr(str(column.derive))


def derived_value(column: ContractColumn) -> Column:
    """The value of a derived column in its own type; NULL where it does not fit."""
    # As one text: Spark then quotes from it, not from the cast, when the expression cannot be computed for a value.
    return F.expr(f"try_cast(({column.derive}) AS {column.type})")


def _misfit(column: ContractColumn) -> Column:
    return F.when(derived(column).isNotNull() & F.col(column.name).isNull(), F.lit(column.name))


def _times(contract: Contract, types: dict[str, str], time_zone: str) -> dict[str, Column]:
    noticed = F.col("_window_high")
    if not contract.sequence_by:
        return {"event_at": noticed, "is_future": F.lit(False), "is_day": F.lit(False)}
    first = contract.sequence_by[0]
    at = F.col(first).cast("timestamp")
    own = F.coalesce(F.col("_instant"), at if types.get(first) is None else in_utc(at, noticed, time_zone))
    is_day = _is_day(contract, types.get(first))
    of_row = counted_from(own, noticed, time_zone, is_day=is_day)
    of_delete = deleted_from(own, noticed, time_zone, is_day=types.get(first) == "date")
    at = F.when(F.col("_change_type") == "delete", of_delete).when(own.isNotNull(), of_row)
    return {"event_at": at, "is_future": is_ahead(own, noticed), "is_day": F.coalesce(is_day, F.lit(False))}


def _is_day(contract: Contract, source_type: str | None) -> Column:
    """True where a row tells the day of its change alone; text without a colon tells no time of day, nor do digits by patterns without an hour."""
    first = contract.sequence_by[0]
    column = next((column for column in contract.columns if column.name == first), None)
    if source_type == "date" or (column is not None and column.type == "date"):
        return F.lit(True)
    if column is not None and source_type is not None and is_number(source_type):
        return F.lit(not any(set(pattern) & set("HhKk") for pattern in column.formats))
    return ~F.contains(F.col(f"_raw_{first}"), F.lit(":")) if source_type == "string" else F.lit(False)


def in_utc(local: Column, window_high: Column, time_zone: str) -> Column:
    """A local time of the source as UTC. In the hour that comes twice when clocks go back it is the last that the reading allows.

    A row is read after it changed: of two of its stamps in that hour the one read later is the later change, even when it looks earlier.
    """
    first = F.to_utc_timestamp(local, time_zone)
    passes = [first + F.expr(f"INTERVAL {minutes} MINUTES") for minutes in _SET_BACK]
    again = [F.when((F.from_utc_timestamp(other, time_zone) == local) & (other <= window_high), other) for other in passes]
    return F.coalesce(*again, first)


def is_ahead(own: Column, window_high: Column) -> Column:
    """True where a row's own time (UTC) lies more than a day after the end of the window it was read in; false where it has none."""
    return F.coalesce(own > window_high + F.expr(_MARGIN), F.lit(False))


def counted_from(own: Column, window_high: Column, time_zone: str, *, is_day: Column) -> Column:
    """The time (UTC) from which a row counts: its own; of a stamp that lies ahead the end of its window, so that what corrects it comes after it.

    Where times are days that is the window's own local day: then the row is equal in time to what is stamped with that day, and the later
    delivery wins, be it this row after what was read before or its correction after this row.
    """
    read = F.when(is_day, _midnight_of(window_high, time_zone)).otherwise(window_high)
    return F.when(is_ahead(own, window_high), read).otherwise(own)


def deleted_from(own: Column, window_high: Column, time_zone: str, *, is_day: bool) -> Column:
    """The time (UTC) of a delete that a comparison found: after the row's last change, and no earlier than when it was noticed.

    Where times are days it comes before what is stamped with the day on which it was noticed.
    """
    noticed = _eve_of(window_high, time_zone) if is_day else window_high
    return F.greatest(counted_from(own, window_high, time_zone, is_day=F.lit(is_day)), noticed)


def _eve_of(at: Column, time_zone: str) -> Column:
    # A time that is the last moment of a day already stays what it is.
    return _midnight_of(at + F.expr(MICROSECOND), time_zone) - F.expr(MICROSECOND)


def _midnight_of(at: Column, time_zone: str) -> Column:
    """The beginning of the local day of a UTC time, itself in UTC."""
    return F.to_utc_timestamp(F.date_trunc("day", F.from_utc_timestamp(at, time_zone)), time_zone)
