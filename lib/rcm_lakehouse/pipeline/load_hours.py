"""Hours in which a source may be read (pure)."""

from datetime import datetime
from zoneinfo import ZoneInfo


def outside_hours(hours: str | None, zone: str, now: datetime) -> str | None:
    """Why a source may not be read now, in words; None when it may. Hours are local, half-open, and may cross midnight."""
    if hours is None:
        return None
    begin, _, end = hours.partition("-")
    local = f"{now.astimezone(ZoneInfo(zone)):%H:%M}"
    inside = begin <= local < end if begin <= end else (local >= begin or local < end)
    return None if inside else f"it is {local} in {zone}; this source is read between {begin} and {end}"
