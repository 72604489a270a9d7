"""Source rows fitted to the types that a bronze table has: cast, widened, refused or set aside; never a silent NULL (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, DecimalType, DoubleType, FloatType, StringType, StructType, TimestampType

from rcm_lakehouse.bronze.lineage import RESERVED

Fate = Literal["same", "cast", "widen", "drift"]

# Decimal digits that every value of the type fits into.
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}


@dataclass(frozen=True)
class Fit:
    """How each column that both sides have comes together. `widen` holds the wider types that the table takes first."""

    cast: Mapping[str, DataType]
    widen: Mapping[str, DataType]
    drift: Mapping[str, tuple[DataType, DataType]]


def fit_of(found: StructType, known: StructType) -> Fit:
    """Compare the source's types with the table's; columns are met in any case, a column of one side alone is left out."""
    cast: dict[str, DataType] = {}
    widen: dict[str, DataType] = {}
    drift: dict[str, tuple[DataType, DataType]] = {}
    types = {field.name.lower(): field.dataType for field in known}
    for field in found:
        old = types.get(field.name.lower())
        if old is None:
            continue
        fate = fate_of(field.dataType, old)
        if fate == "cast":
            cast[field.name] = old
        elif fate == "widen":
            widen[field.name] = field.dataType
        elif fate == "drift":
            drift[field.name] = (old, field.dataType)
    return Fit(cast, widen, drift)


def fate_of(found: DataType, known: DataType) -> Fate:
    """`same`; `cast`: every value of the source's type fits the table's; `widen`: the other way round; `drift`: neither."""
    if found == known:
        return "same"
    if isinstance(known, StringType) or (isinstance(found, DateType) and isinstance(known, TimestampType)) or _fits(found, known):
        return "cast"
    return "widen" if _fits(known, found) else "drift"


def _fits(narrow: DataType, wide: DataType) -> bool:
    digits = _DIGITS.get(narrow.simpleString())
    if digits is not None and wide.simpleString() in _DIGITS:
        return digits <= _DIGITS[wide.simpleString()]
    if isinstance(wide, DecimalType):
        if isinstance(narrow, DecimalType):
            return wide.scale >= narrow.scale and wide.precision - wide.scale >= narrow.precision - narrow.scale
        # Delta widens every integer to at least ten digits before the point.
        return digits is not None and wide.precision - wide.scale >= max(digits, 10)
    return isinstance(wide, DoubleType) and (isinstance(narrow, FloatType) or (digits is not None and digits <= 10))


def conformed(rows: DataFrame, fit: Fit) -> DataFrame:
    """Rows in the table's types. A row with a value that does not survive its cast keeps its whole text in `_corrupt_record`.

    Only drifted columns can lose a value; it is NULL then, and the row waits in quarantine at silver. Columns that the table widens
    for are left as they are.
    """
    if fit.drift:
        lost = [_is_lost(name, old, new) for name, (old, new) in fit.drift.items()]
        broken = lost[0]
        for other in lost[1:]:
            broken = broken | other
        whole = F.to_json(F.struct(*[F.col(f"`{name}`") for name in rows.columns if name.lower() not in RESERVED]))
        rows = rows.withColumn("_corrupt_record", F.when(broken, whole))
    casts = {name: F.col(f"`{name}`").cast(kind) for name, kind in fit.cast.items()}
    casts |= {name: F.when(~_is_lost(name, old, new), F.col(f"`{name}`").try_cast(old)) for name, (old, new) in fit.drift.items()}
    return rows.withColumns(casts) if casts else rows


def _is_lost(name: str, known: DataType, found: DataType) -> Column:
    value = F.col(f"`{name}`")
    back = value.try_cast(known).try_cast(found)
    return value.isNotNull() & ~back.eqNullSafe(value)
