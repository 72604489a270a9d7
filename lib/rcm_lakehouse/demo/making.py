"""What a making is: its seed, size and day, and the chance that each part draws from."""

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.demo.tables import Row, Value

Size = Literal["tiny", "small", "base"]
SIZES: dict[str, dict[str, tuple[int, int]]] = {
    "tiny": {"hos-a": (60, 300), "hos-b": (50, 250)},
    "small": {"hos-a": (520, 2_600), "hos-b": (480, 2_400)},
    "base": {"hos-a": (5_200, 26_000), "hos-b": (4_800, 24_000)},
}
"""(patients, transactions) of each hospital on day 1; `small` is 1,000 and 5,000 in all, `base` 10,000 and 50,000.

`tiny`, 110 and 550, is for tests: every kind of row is there, but too few for the rates of a real hospital.
"""

HISTORY_DAYS = 540
"""Service dates of day 1 lie in this many days."""


@dataclass(frozen=True)
class Making:
    """One hospital as made from a seed on a day. Equal makings give equal rows, whatever is drawn elsewhere."""

    hospital: str
    seed: int
    size: str
    today: date

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ConfigError(f"demo size '{self.size}' is not one of {', '.join(SIZES)}. Nothing was made.")

    @property
    def patients(self) -> int:
        """Patients of day 1, apart from the canary's records."""
        return SIZES[self.size][self.hospital][0]

    @property
    def transactions(self) -> int:
        """Transactions of day 1, apart from the canary's."""
        return SIZES[self.size][self.hospital][1]

    @property
    def first_day(self) -> date:
        """Last day that day 1 knows: two days before the making, which is past in every American time zone."""
        return self.today - timedelta(days=2)

    @property
    def second_day(self) -> date:
        """The day of day 2's changes: the day before the making."""
        return self.today - timedelta(days=1)

    def chance(self, part: str) -> random.Random:
        """A generator of its own for one part, so that a change in one part moves no other."""
        return random.Random(f"{self.seed}/{self.hospital}/{self.size}/{part}")

    def moment(self, rng: random.Random, day: date) -> Value:
        """A watermark value on `day`: the date in hospital A; in B a local time with milliseconds, before noon on day 2."""
        if self.hospital == "hos-a":
            return day
        last_hour = 11 if day >= self.second_day else 21
        # From six in the morning on: no local hour that a clock change skips or repeats.
        at = time(rng.randint(6, last_hour), rng.randint(0, 59), rng.randint(0, 59), rng.randint(0, 999) * 1000)
        return datetime.combine(day, at)


def dollars(cents: int) -> float:
    """Cents as a single-precision float widened to double, as a source with FLOAT columns holds them (98837 -> 988.3699951171875)."""
    return float(struct.unpack("f", struct.pack("f", cents / 100))[0])


def cents_of(amount: Value) -> int:
    """A float's cents, rounded half up as the pipeline rounds; NULL counts 0."""
    if amount is None:
        return 0
    return int((Decimal(repr(amount)) * 100).quantize(Decimal(1), ROUND_HALF_UP)) if isinstance(amount, float) else round(Decimal(str(amount)) * 100)


def sum_cents(rows: Iterable[Row], column: str) -> int:
    """The sum of one money column in cents."""
    return sum(cents_of(row[column]) for row in rows)


def day_of(value: Value) -> date:
    """The day of a watermark value."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    raise TypeError(f"{type(value).__name__} is no day")
