"""How long a service asks to be left alone, read from the headers of its answer.

Sources: RFC 9110, "Retry-After": seconds, or a date; servers also send parts of a second. AWS SDKs,
"Retry behavior": `x-amz-retry-after`, in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(hours=1)
"""The most that is waited at a service's word. One that asks for more is asked once an hour."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?", re.ASCII)


def retry_after_of_aws(headers: Mapping[str, object]) -> timedelta | None:
    """The same, by AWS's own header or else the general one."""
    own = retry_after(headers, "x-amz-retry-after", unit=timedelta(milliseconds=1))
    return own or retry_after(headers)


def retry_after(
    headers: Mapping[str, object],
    name: str = "retry-after",
    *,
    unit: timedelta = timedelta(seconds=1),
) -> timedelta | None:
    """The wait that the header `name` asks for, at most LONGEST_WAIT; None where it asks for none.

    `unit` is what a bare number counts.

    A date is held against the answer's own `Date`, so that no clock of ours counts. What is neither
    seconds nor a date, and a date that is over, asks for nothing.
    """
    lowered = {key.lower(): value for key, value in headers.items()}
    text = str(lowered.get(name, "")).strip()
    if _SECONDS.fullmatch(text):
        return min(float(text) * unit, LONGEST_WAIT) or None
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
