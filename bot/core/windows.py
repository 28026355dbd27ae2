"""When a rule holds: days of the week and hours of the day, in a named time zone.

Hours are wall-clock time there, so a window keeps its hours when the clocks change. One that ends
before it begins goes on over midnight and belongs to the day on which it began.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from bot.core.names import listed, quoted
from bot.core.policy_approval import Entry
from bot.core.policy_fields import PolicyFault

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]|24):([0-5][0-9])")
_DAY = timedelta(days=1)


def _days(text: str) -> str:
    first, _, last = text.partition("-")
    if first in DAYS and (not last or last in DAYS) and text[-1] != "-":
        return text
    raise PolicyFault(
        f"{quoted(text)} is no day of the week.",
        "Write `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, or a span such as `mon-fri`.",
    )


def _hours(text: str) -> str:
    match = _HOURS.fullmatch(text)
    if match and (match[3] != "24" or match[4] == "00") and text[:5] != text[6:]:
        return text
    raise PolicyFault(
        f"{quoted(text)} is no span of hours.", 'Write it in quotes, such as `"09:00-17:30"`.'
    )


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PolicyFault(
            f"{quoted(text)} is no time zone.", "Write one such as `Europe/Berlin` or `UTC`."
        ) from error
    return text


class Window(Entry):
    """When a rule holds. No `hours`: the whole day; no `days`: every day."""

    days: tuple[Annotated[str, AfterValidator(_days)], ...] = Field(default=DAYS, min_length=1)
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    time_zone: Annotated[str, AfterValidator(_zone)]

    @cached_property
    def _weekdays(self) -> frozenset[int]:
        found: set[int] = set()
        for span in self.days:
            first, _, last = span.partition("-")
            begin, end = DAYS.index(first), DAYS.index(last or first)
            found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
        return frozenset(found)

    @cached_property
    def _span(self) -> tuple[time, time | None]:
        """The first moment of the day, and the first one after; None is midnight."""
        if self.hours is None:
            return time.min, None
        begin, end = self.hours.split("-")
        return time.fromisoformat(begin), None if end == "24:00" else time.fromisoformat(end)

    def open_at(self, moment: datetime) -> bool:
        """Whether the rule holds at the moment, which has a time zone."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        begin, end = self._span
        clock = local.time()
        if end is None or begin < end:
            inside = begin <= clock and (end is None or clock < end)
            return inside and local.weekday() in self._weekdays
        if clock >= begin:
            return local.weekday() in self._weekdays
        return clock < end and (local - _DAY).weekday() in self._weekdays

    def covers(self, other: Window | None) -> bool:
        """Whether this is surely open whenever `other` is; None is always."""
        if self.hours is None and len(self._weekdays) == len(DAYS):
            return True
        return other is not None and self == other

    def __str__(self) -> str:
        days = "every day" if len(self._weekdays) == len(DAYS) else listed(self.days)
        return f"{days} {self.hours or 'all day'} ({self.time_zone})"

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.hours is None and len(self._weekdays) == len(DAYS):
            raise PolicyFault(
                "This window is always open.", "Add `days` or `hours`, or take `when` out."
            )
        return self
