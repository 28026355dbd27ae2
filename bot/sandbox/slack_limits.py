"""What Slack refuses in messages, views, options and text, with the messages it answers.

The limits on blocks are in `bot.sandbox.slack_blocks`. The wording of messages follows Slack's,
whose exact text is [?].
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bot.sandbox.slack_blocks import (
    BLOCKS,
    MESSAGE_ONLY,
    SUGGESTED,
    SUGGESTED_GROUPS,
    dicts,
    plain,
)
from bot.sandbox.slack_schema import Check, boolean, every, listing, say, string, thing, typed

Json = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000
MESSAGE_TEXT = 40_000
UPDATE_TEXT = 4_000
"""chat.update's own limit, counted after escaping, in bytes [?]."""
MESSAGE_BLOCKS_TEXT = 13_200
"""[?] Undocumented: the size at which chat.postMessage was seen to answer msg_blocks_too_long."""
BLOCK_OVERHEAD = 125
METADATA_BYTES = 16_000


def _unique_block_ids(value: Any, at: str, problems: list[str]) -> None:
    ids = Counter(block["block_id"] for block in dicts(value) if "block_id" in block)
    for block_id, count in ids.items():
        if count > 1:
            say(problems, f"`block_id` `{block_id}` already exists", at)


def _one_focus(value: Any, at: str, problems: list[str]) -> None:
    focused = sum(1 for node in _walk(value) if node.get("focus_on_load") is True)
    if focused > 1:
        say(problems, "only one element can have focus_on_load", at)


def _walk(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
        for entry in value.values():
            yield from _walk(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _walk(entry)


_IN_MESSAGE = every(
    listing(typed({**BLOCKS, **MESSAGE_ONLY}), 0, MESSAGE_BLOCKS), _unique_block_ids, _one_focus
)
_IN_VIEW = every(listing(typed(BLOCKS), 0, VIEW_BLOCKS), _unique_block_ids, _one_focus)

_VIEW: dict[str, Check] = {
    "private_metadata": string(3000),
    "callback_id": string(255),
    "external_id": string(255),
}
_VIEWS = typed(
    {
        "modal": thing(
            {"title": plain(24), "blocks": _IN_VIEW},
            {
                **_VIEW,
                "close": plain(24),
                "submit": plain(24),
                "clear_on_close": boolean,
                "notify_on_close": boolean,
            },
        ),
        "home": thing({"blocks": _IN_VIEW}, _VIEW),
    }
)


def blocks_problems(blocks: Any, at: str = "/blocks") -> list[str]:
    """What Slack refuses in a message's blocks; empty when nothing."""
    problems: list[str] = []
    _IN_MESSAGE(blocks, at, problems)
    return problems


def view_problems(view: Any, at: str = "/view") -> list[str]:
    """What Slack refuses in a modal or Home view; empty when nothing."""
    problems: list[str] = []
    _VIEWS(view, at, problems)
    if isinstance(view, dict) and view.get("type") == "modal" and "submit" not in view:
        inputs = any(block.get("type") == "input" for block in dicts(view.get("blocks")))
        if inputs:
            say(problems, "missing required field: submit", at)
    return problems


def view_is_too_large(view: Json) -> bool:
    return len(json.dumps(view).encode()) > VIEW_BYTES


def options_problems(answer: Any) -> list[str]:
    """What Slack refuses in the answer to a block_suggestion; empty when nothing."""
    problems: list[str] = []
    if isinstance(answer, dict) and "option_groups" in answer:
        thing({"option_groups": SUGGESTED_GROUPS})(answer, "", problems)
    else:
        thing({"options": SUGGESTED})(answer, "", problems)
    return problems


def blocks_are_too_long(blocks: list[Json]) -> bool:
    """Whether chat.postMessage would answer msg_blocks_too_long. An approximation [?]."""
    size = sum(len(node["text"]) for node in _walk(blocks) if isinstance(node.get("text"), str))
    return size + BLOCK_OVERHEAD * len(blocks) > MESSAGE_BLOCKS_TEXT + BLOCK_OVERHEAD


def metadata_problem(metadata: Any) -> str | None:
    """The error for a message's metadata, or None. Shape: {"event_type", "event_payload"}."""
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        return "invalid_metadata_format"
    if len(json.dumps(metadata).encode()) > METADATA_BYTES:
        return "metadata_too_large"
    return None
