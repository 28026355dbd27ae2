"""How long a service asks to be left alone, read from the headers of its answer.

Source: RFC 9110, "Retry-After": seconds, or a date. Servers also send parts of a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(hours=1)
"""The most that is waited at a service's word. One that asks for more is asked once an hour."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?", re.ASCII)


def retry_after(headers: Mapping[str, object], name: str = "retry-after") -> timedelta | None:
    """The wait that the header `name` asks for, at most LONGEST_WAIT; None where it asks for none.

    A date is held against the answer's own `Date`, so that no clock of ours counts. What is neither
    seconds nor a date, and a date that is over, asks for nothing.
    """
    lowered = {key.lower(): value for key, value in headers.items()}
    text = str(lowered.get(name, "")).strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds())) if seconds else None
    until, sent = _date(text), _date(str(lowered.get("date", "")))
    if until is None or sent is None or until <= sent:
        return None
    return min(until - sent, LONGEST_WAIT)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
