"""What the KPIs of the hospitals in `kpis_hospitals` are, computed by hand."""

from decimal import Decimal
from typing import Any

# kpi: hospital: (numerator, denominator, value), as of today; the window has 100 days. See the charges of kpis_hospitals.
NOW: dict[str, dict[str, tuple[str, str, str | None]]] = {
    "ar_debit_balance": {
        "hos-a": ("400000", "1", "400000"),
        "hos-b": ("200", "1", "200"),
        "hos-c": ("1000000", "1", "1000000"),
        "hos-d": ("82", "1", "82"),  # undated 10, reversed 20, paid tomorrow 40, no payment 7, paid today 5
        "all": ("1400282", "1", "1400282"),
    },
    "ar_credit_balance": {
        "hos-a": ("0", "1", "0"),
        "hos-b": ("-50", "1", "-50"),
        "hos-c": ("0", "1", "0"),
        "hos-d": ("0", "1", "0"),
        "all": ("-50", "1", "-50"),
    },
    "ar_over_90_rate": {
        "hos-a": ("300000", "400000", "0.75"),
        "hos-b": ("100", "200", "0.5"),
        "hos-c": ("200000", "1000000", "0.2"),
        "hos-d": ("72", "82", "0.878049"),
        "all": ("500172", "1400282", "0.357194"),
    },
    "gross_days_in_ar": {
        "hos-a": ("400000", "10000", "40.0"),
        "hos-b": ("200", "2.5", "80"),
        "hos-c": ("1000000", "8500", "117.647059"),
        "hos-d": ("82", "0", None),
        "all": ("1400282", "18502.5", "75.680692"),
    },
    "gross_collection_rate": {
        "hos-a": ("1100000", "1500000", "0.733333"),
        "hos-b": ("200", "350", "0.571429"),
        "hos-c": ("0", "1000000", "0"),
        "hos-d": ("-11", "71", "-0.154930"),
        "all": ("1100189", "2500421", "0.440002"),
    },
    "denial_rate_all_claims": {
        "hos-a": ("2", "10", "0.2"),
        "hos-b": ("0", "1", "0"),
        "hos-c": ("0", "0", None),
        "hos-d": ("0", "0", None),
        "all": ("2", "11", "0.181818"),
    },
    "denial_rate_adjudicated": {
        "hos-a": ("2", "7", "0.285714"),
        "hos-b": ("0", "0", None),
        "hos-c": ("0", "0", None),
        "hos-d": ("0", "0", None),
        "all": ("2", "7", "0.285714"),
    },
    "denial_rate_dollars": {
        "hos-a": ("300", "1000", "0.3"),
        "hos-b": ("0", "0", None),
        "hos-c": ("0", "0", None),
        "hos-d": ("0", "0", None),
        "all": ("300", "1000", "0.3"),
    },
    "rejection_rate": {
        "hos-a": ("1", "10", "0.1"),
        "hos-b": ("0", "1", "0"),
        "hos-c": ("0", "0", None),
        "hos-d": ("0", "0", None),
        "all": ("1", "11", "0.090909"),
    },
}
# As of 92 days before, from what silver knew on the first day: services and payments after it do not count.
THEN: dict[str, dict[str, tuple[str, str, str | None]]] = {
    "ar_debit_balance": {
        "hos-a": ("800000", "1", "800000"),  # the payment of 500,000 came ten days later
        "hos-b": ("100", "1", "100"),
        "hos-c": ("150000", "1", "150000"),
        "hos-d": ("863", "1", "863"),  # with 777 not voided yet, and 9 not paid yet
        "all": ("950963", "1", "950963"),
    },
    "ar_credit_balance": {
        "hos-a": ("0", "1", "0"),
        "hos-b": ("-50", "1", "-50"),  # paid on the as-of day itself
        "hos-c": ("0", "1", "0"),
        "hos-d": ("0", "1", "0"),
        "all": ("-50", "1", "-50"),
    },
    "ar_over_90_rate": {
        "hos-a": ("0", "800000", "0"),
        "hos-b": ("0", "100", "0"),
        "hos-c": ("0", "150000", "0"),
        "hos-d": ("853", "863", "0.988413"),
        "all": ("853", "950963", "0.000897"),
    },
    "gross_days_in_ar": {
        "hos-a": ("800000", "8000", "100"),
        "hos-b": ("100", "2", "50"),
        "hos-c": ("150000", "1500", "100"),
        "hos-d": ("863", "0", None),
        "all": ("950963", "9502", "100.080299"),
    },
    "gross_collection_rate": {
        "hos-a": ("0", "800000", "0"),
        "hos-b": ("150", "200", "0.75"),
        "hos-c": ("0", "150000", "0"),
        "hos-d": ("-15", "848", "-0.017689"),
        "all": ("135", "951048", "0.000142"),
    },
    "denial_rate_all_claims": {
        "hos-a": ("1", "3", "0.333333"),
        "hos-b": ("0", "1", "0"),
        "hos-c": ("0", "0", None),
        "hos-d": ("0", "0", None),
        "all": ("1", "4", "0.25"),
    },
}
BUCKETS = {
    "hos-a": {"0-30": "100000", "91-120": "300000"},
    "hos-b": {"0-30": "100", "91-120": "100"},
    "hos-c": {"0-30": "200000", "31-60": "300000", "61-90": "300000", "91-120": "100000", ">120": "100000"},
    "hos-d": {"undated": "10", "not_due": "0", ">120": "72"},
}


def expected(table: dict[str, dict[str, tuple[str, str, str | None]]]) -> dict[tuple[str, str], Any]:
    return {
        (kpi, hospital): tuple(None if figure is None else Decimal(figure) for figure in figures)
        for kpi, hospitals_of in table.items()
        for hospital, figures in hospitals_of.items()
    }
