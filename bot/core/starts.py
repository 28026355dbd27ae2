"""Moments that people type: when access is to start, until when a deputy decides.

What is typed is wall-clock time in the person's own time zone, which Slack tells; where an offset
is typed too, that holds. Reading and placing are two steps, because the first can be done at once
and the second needs to know whose time it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.errors import InvalidInput
from bot.core.names import quoted

EXAMPLES = "`14:30`, `tomorrow 9:00` or `2026-01-31 09:00`"

_TIME = r"([01]?[0-9]|2[0-3]):([0-5][0-9])"
_DATE = r"(20[0-9]{2})-([0-9]{2})-([0-9]{2})"
_OFFSET = r"(?P<offset>Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?"
_RELATIVE = re.compile(rf"(?:(today|tomorrow) )?{_TIME}", re.IGNORECASE)
_ABSOLUTE = re.compile(rf"{_DATE}[T ]{_TIME}(?::[0-5][0-9])? ?{_OFFSET}", re.IGNORECASE)
_DAY = re.compile(rf"tomorrow|today|{_DATE}", re.IGNORECASE)
_LOOSE = re.compile(r"(today|tomorrow)?\D*?([0-9]{1,2})(?:[.:h ]?([0-9]{2}))? ?([ap]m)?\b")
_NOON = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as it was typed. `day` None is today; a number of days counts from today.

    `clock` None is the end of that day. `zone` None is the person's own time zone.
    """

    typed: str
    day: date | int | None
    clock: time | None
    zone: tzinfo | None = None


def parse_moment(text: str) -> Moment:
    """The moment in `text`: `14:30`, `tomorrow 9:00`, `2026-01-31 09:00`, `2026-01-31T09:00Z`.

    Raises InvalidInput with a sentence that gives the nearest valid form.
    """
    typed = " ".join(text.split())
    relative = _RELATIVE.fullmatch(typed)
    if relative:
        day, hour, minute = relative.groups()
        days = {"today": 0, "tomorrow": 1}.get((day or "").lower())
        return Moment(typed, days, time(int(hour), int(minute)))
    absolute = _ABSOLUTE.fullmatch(typed)
    if absolute:
        hour, minute = absolute[4], absolute[5]
        day_given = _date(typed, absolute[1], absolute[2], absolute[3])
        clock = time(int(hour), int(minute))
        return Moment(typed, day_given, clock, _zone(absolute["offset"]))
    raise InvalidInput("bad_time", f"{quoted(typed)} is no time. {_near(typed)}", field="start")


def parse_until(text: str) -> Moment:
    """As `parse_moment`; a day without a time, `2026-01-31` or `tomorrow`, is the end of it."""
    typed = " ".join(text.split())
    match = _DAY.fullmatch(typed)
    if match is None:
        return parse_moment(typed)
    if match[1] is None:
        return Moment(typed, {"today": 0, "tomorrow": 1}[typed.lower()], None)
    return Moment(typed, _date(typed, match[1], match[2], match[3]), None)


def place(moment: Moment, time_zone: str, now: datetime) -> datetime:
    """The moment in UTC, for somebody whose time zone has this name, typed at `now`.

    Raises InvalidInput where it has passed, or where that day has no such time.
    """
    zone = moment.zone or _named(time_zone)
    today = now.astimezone(zone).date()
    day = moment.day if isinstance(moment.day, date) else today + timedelta(days=moment.day or 0)
    clock = moment.clock
    if clock is None:
        day, clock = day + timedelta(days=1), time.min
    local = datetime.combine(day, clock, zone)
    placed = local.astimezone(UTC)
    if moment.clock is not None and placed.astimezone(zone).replace(tzinfo=None) != (
        local.replace(tzinfo=None)
    ):
        raise InvalidInput(
            "bad_time",
            f"On {day} there is no {clock:%H:%M} in {time_zone}: the clocks go forward then. "
            "Name another time.",
            field="start",
        )
    if placed <= now:
        raise InvalidInput("bad_time", _passed(moment, time_zone), field="start")
    return placed


def shown_in(moment: datetime, time_zone: str) -> str:
    """The moment as a sentence says it to somebody there: `2026-01-31 09:00 (Europe/Madrid)`."""
    try:
        zone = _named(time_zone)
    except InvalidInput:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} (UTC)"
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({time_zone})"


def local_day(moment: datetime, time_zone: str) -> date:
    """The day on which the moment is there. Raises InvalidInput for an unknown time zone."""
    return moment.astimezone(_named(time_zone)).date()


def _date(typed: str, year: str, month: str, day: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise InvalidInput(
            "bad_time", f"{quoted(typed)} names a day that is in no calendar.", field="start"
        ) from None


def _zone(offset: str | None) -> tzinfo | None:
    if offset is None:
        return None
    if offset in {"Z", "z"}:
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    length = timedelta(hours=hours, minutes=minutes)
    return timezone(-length if offset[0] == "-" else length)


def _named(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            "unknown_time_zone",
            f"Slack says that your time zone is {quoted(time_zone)}, which is not known here. "
            "Write the time with its offset, such as `2026-01-31T09:00+01:00`.",
            field="start",
        ) from error


def _passed(moment: Moment, time_zone: str) -> str:
    where = "" if moment.zone else f" in your time zone ({time_zone})"
    passed = f"{quoted(moment.typed)} has passed{where}."
    if moment.day is None and moment.clock is not None:
        return f"{passed} For the next one write `tomorrow {moment.clock:%H:%M}`."
    return f"{passed} Name a time ahead."


def _near(typed: str) -> str:
    match = _LOOSE.match(typed.lower())
    if match is not None:
        day, hours, minutes, half = match.groups()
        hour = int(hours) % _NOON + (_NOON if half == "pm" else 0) if half else int(hours)
        if hour < 24 and int(minutes or 0) < 60:  # noqa: PLR2004 - a day's hours, an hour's minutes
            near = f"{f'{day} ' if day else ''}{hour:02}:{int(minutes or 0):02}"
            return f"Did you mean `{near}`? Times are written {EXAMPLES}."
    return f"Write for example {EXAMPLES}."
