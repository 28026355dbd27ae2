"""Which of some time windows can be open together: every combination that really comes about."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.core.windows import Window

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = 373
"""A year and a week: clocks that are changed at different dates are then seen in every relation."""


def states_of(windows: Collection[Window]) -> tuple[frozenset[Window], ...]:
    """The sets of windows that are open at one moment, none twice."""
    given = list(dict.fromkeys(windows))
    if not given:
        return (frozenset(),)
    found = {frozenset(one for one in given if one.open_at(moment)) for moment in _moments(given)}
    return tuple(sorted(found, key=lambda state: (len(state), sorted(map(str, state)))))


def _moments(windows: list[Window]) -> Iterator[datetime]:
    """Each moment at which a window may open or close, and midnight."""
    zones = {one.time_zone for one in windows}
    days = 8 if len(zones) == 1 else _DAYS
    marks = {
        (window.time_zone, hour)
        for window in windows
        for hour in ("00:00", *(window.hours.split("-") if window.hours else ()))
    }
    for zone, hour in marks:
        clock = timedelta(hours=int(hour[:2]), minutes=int(hour[3:]))
        for day in range(days):
            local = (_BEGIN + timedelta(days=day) + clock).replace(tzinfo=ZoneInfo(zone))
            yield local.astimezone(UTC)
