"""Where a read is cut into parts, from the smallest and the greatest value as a database gives them."""

from datetime import date
from decimal import Decimal

import pytest

from rcm_lakehouse.sources.partitions import cut_points

CUTS: dict[str, tuple[object, object, list[str]]] = {  # case: (least, greatest, cuts of four parts)
    "whole numbers": (1, 200, ["50", "100", "150"]),
    "a decimal's zero, which Python writes 0E-9": (Decimal("0E-9"), Decimal("24.875000000"), ["6", "12", "18"]),
    "a large decimal with an exponent": (Decimal("-1E+3"), Decimal("1E+3"), ["-500", "0", "500"]),
    "one value": (Decimal("0E-9"), Decimal("0E-9"), ["0"]),
    "days": (date(2026, 1, 1), date(2026, 1, 9), ["2026-01-03", "2026-01-05", "2026-01-07"]),
    "no value": (None, None, []),
}


@pytest.mark.parametrize("case", CUTS)
def test_cuts_rise_and_are_distinct(case: str) -> None:
    low, high, wanted = CUTS[case]
    assert cut_points(low, high, 4) == wanted
