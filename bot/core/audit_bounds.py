"""What one audit event may hold: nothing can be taken out of the trail again, so little goes in.

All that is recorded by design is far below these bounds. What is not comes from outside, and is cut
where a reader sees it, with the count of what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 100_000
"""Of all details of one event, as JSON in ASCII."""

_MOST_TEXT = 20_000
_MOST_ITEMS = 2_000
_MOST_DEPTH = 20
_MOST_NAME = 200


def bounded(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details, cut where they are more than an event may hold."""
    text, items = _MOST_TEXT, _MOST_ITEMS
    while True:
        cut: dict[str, Any] = _cut(details, text, items, 0)
        if len(json.dumps(cut)) <= MOST_CHARACTERS or items <= 1:
            return cut
        text, items = text // 4, items // 4


def _cut(value: Any, text: int, items: int, depth: int) -> Any:
    if depth > _MOST_DEPTH:
        return "… (nested deeper than is kept)"
    match value:
        case str():
            return _text(value, text)
        case Mapping():
            kept = list(value.items())[:items]
            cut = {
                _text(str(name), _MOST_NAME): _cut(one, text, items, depth + 1)
                for name, one in kept
            }
            return cut | _more(len(value) - len(kept))
        case list() | tuple():
            shown = [_cut(one, text, items, depth + 1) for one in value[:items]]
            return [*shown, *_more(len(value) - len(shown)).values()]
    return value


def _text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def _more(count: int) -> dict[str, str]:
    return {"…": f"… ({count:,} more)"} if count > 0 else {}
