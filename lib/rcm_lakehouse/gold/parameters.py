"""Values for the named parameters of gold models (pure)."""

from datetime import date

from rcm_lakehouse.config.settings import GoldSettings


def parameters(settings: GoldSettings, as_of: date) -> dict[str, object]:
    """`:as_of` (day as text, inclusive; models cast it), `:revenue_window_days` (calendar days), `:ageing_basis` and `:fiscal_year_start_month`."""
    return {
        "as_of": as_of.isoformat(),
        "revenue_window_days": settings.revenue_window_days,
        "ageing_basis": settings.ageing_basis,
        "fiscal_year_start_month": settings.fiscal_year_start_month,
    }
