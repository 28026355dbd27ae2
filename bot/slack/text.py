"""Text for Slack: what people typed made harmless, cut to length, and times for every time zone.

Where a text goes decides what is done to it:

- `safe` for mrkdwn and for the fallback text of a message: it can format nothing, mention nobody,
  link nowhere and show no emoji.
- `plain` for slots that Slack reads as they are: plain_text objects and rich text elements.
- `code` for a code span in mrkdwn.

A limit counts UTF-16 units, the largest of the ways in which Slack may count a length.
Sources: Slack's pages "Formatting message text" and "Text object".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal

DateStyle = Literal["time", "moment", "second"]

_FORMATS: dict[DateStyle, tuple[str, str]] = {
    "time": ("{time}", "%H:%M UTC"),
    "moment": ("{date_short_pretty} at {time}", "%Y-%m-%d %H:%M UTC"),
    "second": ("{date_short_pretty} at {time_secs}", "%Y-%m-%d %H:%M:%S UTC"),
}
_MENTIONABLE = re.compile(r"[A-Z][A-Z0-9]{1,30}\Z", re.ASCII)
_SPACE = re.compile(r"[ \u00a0]+")
_BREAKS = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_MARKS_IN_A_ROW = 4
# Letters, marks and symbols by category, and yet nothing is to be seen of them.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159"
)
# Look-alikes that Slack's parser has no use for.
_INERT = {"*": "\u2217", "~": "\u223c", "`": "\u02cb", "@": "\uff20"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ROOM_TO_COUNT = 60


TOLD_LETTERS = 150
"""How much of what somebody wrote a notification shows."""


def clean(text: str) -> str:
    """`text` in one line: without control, zero-width, bidi and blank characters.

    Runs of white space become one space, and combining marks do not pile up.
    """
    return " ".join(clean_lines(text).split())


def clean_lines(text: str, limit: int = 10) -> str:
    """As `clean`, but keeping the line breaks of the first `limit` lines that are not empty."""
    lines = [_clean_line(line) for line in _BREAKS.split(text)]
    lines = [line for line in lines if line]
    if len(lines) > limit:
        lines = [*lines[: limit - 1], " ".join(lines[limit - 1 :])]
    return "\n".join(lines)


def safe(text: str, limit: int = 300) -> str:
    """`text` for mrkdwn, in one line of at most `limit` units. Empty if nothing visible is left.

    Formatting characters become look-alikes that Slack does not parse; `a_b` stays as it is.
    """
    return _cut(_inert(clean(text)), limit, lambda letter: _ENTITIES.get(letter, letter))


def plain(text: str, limit: int = 300) -> str:
    """`text` for a slot that Slack does not parse, in one line of at most `limit` units."""
    return _cut(clean(text), limit, lambda letter: letter)


def code(text: str, limit: int = 300) -> str:
    """`text` as a code span for mrkdwn, at most `limit` units between the backticks."""
    inside = clean(text).replace("`", _INERT["`"])
    return f"`{_cut(inside, limit, lambda letter: _ENTITIES.get(letter, letter)) or '?'}`"


def cut(text: str, limit: int) -> tuple[str, str]:
    """`text` cut to `limit` units for a slot that Slack does not parse, and the note about it.

    The note is empty where nothing was cut. Line breaks stay.
    """
    if size(text) <= limit:
        return text, ""
    kept = _head(text, limit - size(_note(len(text))), lambda letter: letter)
    return kept.rstrip(), _note(len(text) - len(kept))


def date(moment: datetime, style: DateStyle = "moment") -> str:
    """A mrkdwn token that shows `moment` in each reader's own time zone; UTC as the fallback.

    "time" is the time of day alone, "moment" the day and the time, "second" to the second.
    Source: Slack's page "Formatting message text", date formatting.
    """
    shown, fallback = _FORMATS[style]
    utc = moment.astimezone(UTC)
    return f"<!date^{int(utc.timestamp())}^{shown}|{utc.strftime(fallback)}>"


def mention(user_id: str) -> str:
    """A mrkdwn mention, which Slack shows as the person's current name."""
    return f"<@{user_id}>" if _MENTIONABLE.match(user_id) else safe(user_id, 40)


def mention_group(group_id: str) -> str:
    """A mrkdwn mention of a user group."""
    return f"<!subteam^{group_id}>" if _MENTIONABLE.match(group_id) else safe(group_id, 40)


def mention_channel(channel_id: str) -> str:
    """A mrkdwn link to a channel."""
    return f"<#{channel_id}>" if _MENTIONABLE.match(channel_id) else safe(channel_id, 40)


def listed(items: Iterable[str], most: int = 10) -> str:
    """`a, b and c`, or the first `most` and how many more there are."""
    every = list(items)
    if len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most:,} more"
    if len(every) > 1:
        return f"{', '.join(every[:-1])} and {every[-1]}"
    return "".join(every)


def size(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) + sum(letter > "\uffff" for letter in text)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _clean_line(line: str) -> str:
    kept: list[str] = []
    marks = 0
    for letter in line:
        category = unicodedata.category(letter)
        if letter == "\t" or category == "Zs":
            kept.append(" ")
        elif category in {"Cc", "Cf", "Cs", "Co", "Cn"} or letter in _BLANK:
            continue
        elif category in {"Mn", "Me"}:
            marks += 1
            if kept and kept[-1] != " " and marks <= _MARKS_IN_A_ROW:
                kept.append(letter)
            continue
        else:
            kept.append(letter)
        marks = 0
    return _SPACE.sub(" ", "".join(kept)).strip()


def _inert(line: str) -> str:
    """`line`, letter for letter, with nothing in it that mrkdwn would format."""
    letters = [_INERT.get(letter, letter) for letter in line]
    for place, letter in enumerate(letters):
        before = line[place - 1] if place else " "
        after = line[place + 1] if place + 1 < len(line) else " "
        if letter == "_" and not (before.isalnum() and after.isalnum()):
            letters[place] = "\uff3f"
        elif letter == ":" and after != " ":
            # An emoji needs a word between two colons, a link `://` or `mailto:`.
            letters[place] = "\u2236"
    if letters and letters[0] == ">":
        # At the start of a line, even `&gt;` begins a quote.
        letters[0] = "\u203a"
    return "".join(letters)


def _cut(line: str, limit: int, render: Callable[[str], str]) -> str:
    """`line` rendered letter by letter in at most `limit` units, saying how much was cut off.

    What is rendered of one letter is never cut in half. Where the room is small, the note is an
    ellipsis alone.
    """
    whole = "".join(map(render, line))
    if size(whole) <= limit:
        return whole
    note = _note(len(line)) if limit >= _ROOM_TO_COUNT else "…"
    kept = _head(line, limit - size(note), render)
    if limit >= _ROOM_TO_COUNT:
        note = _note(len(line) - len(kept))
    return "".join(map(render, kept)).rstrip() + note


def _head(text: str, limit: int, render: Callable[[str], str]) -> str:
    """The longest beginning of `text` that renders in `limit` units, without a torn-off mark."""
    used = 0
    end = 0
    for letter in text:
        used += size(render(letter))
        if used > limit:
            break
        end += 1
    while 0 < end < len(text) and unicodedata.category(text[end]) in {"Mn", "Me"}:
        end -= 1
    return text[:end]


def _note(number: int) -> str:
    return f"… ({count(number, 'more letter')})"
