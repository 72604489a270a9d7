"""What parts of an answer say, read so that nothing in them can raise an error that nobody expects."""

import json
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def seconds_asked(retry_after: str | None, now: datetime) -> float | None:
    """What a Retry-After header asks for: seconds, or an HTTP date (one in the past is 0); None when it is absent or neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - now).total_seconds())


def has_half_characters(body: object) -> bool:
    """True when a text of a JSON body holds a lone surrogate: JSON can spell it, but no file, address or header can hold it."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
