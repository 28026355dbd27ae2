"""Lengths of time as people write and read them: `30m`, `2h`, `1h30m`, `1d`.

Days, hours, minutes and seconds, in that order, each at most once, without spaces. Months and
years are no lengths of time here: nothing is given for that long.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta

from bot.core.errors import InvalidInput
from bot.core.names import quoted

LONGEST = timedelta(days=30)
"""The most that can be written. What may be asked for is shorter still: the rules say."""

EXAMPLES = "`30m`, `2h`, `1h30m` or `1d`"

_FORM = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_LOOSE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([dhms])")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_MOST_LETTERS = 24


def parse_duration(text: str, *, longest: timedelta | None = LONGEST) -> timedelta:
    """The length of time written in `text`, from one second to `longest`.

    With None as far as it goes: for a look back, which may be as long as somebody likes.
    Raises InvalidInput with the nearest valid form, where there is one.
    """
    form = _FORM.fullmatch(text) if 0 < len(text) <= _MOST_LETTERS else None
    if form is None:
        raise InvalidInput(
            "bad_duration",
            f"{quoted(text)} is no length of time. {_remedy(text)}",
            field="duration",
        )
    numbers = zip(_SECONDS.values(), form.groups(default="0"), strict=True)
    seconds = sum(unit * int(number) for unit, number in numbers)
    if seconds == 0:
        raise InvalidInput(
            "bad_duration",
            f"{quoted(text)} is no time at all. Write for example {EXAMPLES}.",
            field="duration",
        )
    if longest is None:
        return timedelta(seconds=min(seconds, int(timedelta.max.total_seconds()) - 1))
    if seconds > longest.total_seconds():
        raise InvalidInput(
            "bad_duration",
            f"{quoted(text)} is longer than {format_duration(longest)}, which nothing here lasts. "
            f"Write for example {EXAMPLES}.",
            field="duration",
        )
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """For people: `1 h 30 min`, `2 days`, `45 s`. Rounded down; seconds only below an hour."""
    seconds = max(0, int(length.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = []
    if days:
        parts.append("1 day" if days == 1 else f"{days} days")
    if hours:
        parts.append(f"{hours} h")
    if minutes:
        parts.append(f"{minutes} min")
    if not parts or (rest and seconds < _SECONDS["h"]):
        parts.append(f"{rest} s")
    return " ".join(parts)


def compact_duration(length: timedelta) -> str:
    """For pasting: `1h30m`. `parse_duration` reads it back, to the second."""
    seconds = max(0, int(length.total_seconds()))
    text = ""
    for letter, unit in _SECONDS.items():
        number, seconds = divmod(seconds, unit)
        if number:
            text += f"{number}{letter}"
    return text or "0s"


def _remedy(text: str) -> str:
    nearest = _nearest(text[: 4 * _MOST_LETTERS])
    if nearest is None:
        return f"Write for example {EXAMPLES}."
    return f"Did you mean `{nearest}`? Days, hours and minutes are written {EXAMPLES}."


def _nearest(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    if plain.isascii() and plain.isdigit():
        plain += "m"
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _LOOSE.findall(plain))
    if not 1 <= seconds <= LONGEST.total_seconds():
        return None
    return compact_duration(timedelta(seconds=int(seconds)))
