"""Block Kit's pieces as plain dicts, each within Slack's limits and with an id of its own.

A view or message is made of these alone, so that what Slack would refuse cannot be said here.
Sources: Slack's Block Kit reference; `views` and `blocks` are capped by the callers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.slack.text import clean, clean_lines, count, cut, plain, size

Block = dict[str, Any]
View = dict[str, Any]

SECTION_LIMIT = 3000
CONTEXT_LIMIT = 2000
QUOTE_LIMIT = 1500
SENTENCE_LIMIT = 1500
OPTION_LIMIT = 75
OPTION_VALUE_LIMIT = 150
OPTIONS = 100
VIEW_BLOCKS = 100


@dataclass(frozen=True, slots=True)
class Message:
    """A message: `text` for notifications and screen readers (mrkdwn), `blocks` for the eye."""

    text: str
    blocks: list[Block]


def mrkdwn(text: str) -> Block:
    """A mrkdwn text object in which Slack links and mentions nothing by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain_text(text: str, limit: int) -> Block:
    """A plain_text object of at most `limit` units in which `:emoji:` stays as typed."""
    return {"type": "plain_text", "text": plain(text, limit) or "-", "emoji": False}


def section(block_id: str, *lines: str) -> Block:
    """One section of mrkdwn lines. Whole lines past Slack's limit are left out, and counted."""
    return {"type": "section", "block_id": block_id, "text": mrkdwn(_packed(lines, SECTION_LIMIT))}


def sections(block_id: str, lines: Iterable[str], *, most: int, rest: str = "line") -> list[Block]:
    """As many sections as the lines need, at most `most`; `rest` names what a line stands for."""
    waiting = list(lines)
    blocks: list[Block] = []
    while waiting:
        last = len(blocks) + 1 == most
        taken = len(waiting) if last else max(1, _fitting(waiting, SECTION_LIMIT))
        text = _packed(waiting[:taken], SECTION_LIMIT, rest)
        blocks.append(
            {"type": "section", "block_id": f"{block_id}:{len(blocks)}", "text": mrkdwn(text)}
        )
        waiting = waiting[taken:]
    return blocks


def context(block_id: str, *lines: str) -> Block:
    """Small print: mrkdwn lines in one element."""
    return {
        "type": "context",
        "block_id": block_id,
        "elements": [mrkdwn(_packed(lines, CONTEXT_LIMIT))],
    }


def header(block_id: str, text: str) -> Block:
    return {"type": "header", "block_id": block_id, "text": plain_text(text, 150)}


def quote(
    block_id: str, words: str, *, limit: int = QUOTE_LIMIT, after: Sequence[Block] = ()
) -> Block:
    """What a person typed, set apart from the bot's own words.

    `after` are rich text elements for a line behind it, which is never cut.

    A rich text quote, because its text elements are literal: Slack parses no formatting, mention,
    link or entity in them, whatever they hold. The note on what was cut is in italics, which
    nothing typed can be.
    """
    kept, note = cut(clean_lines(words), limit)
    elements: list[Block] = [{"type": "text", "text": kept or "-"}]
    if note:
        elements.append({"type": "text", "text": f" {note}", "style": {"italic": True}})
    if after:
        elements += [{"type": "text", "text": "\n"}, *after]
    return _rich_text(block_id, {"type": "rich_text_quote", "elements": elements})


def sentence(block_id: str, text: str) -> Block:
    """A sentence that may quote what somebody typed; what stands in backticks is shown as code.

    Rich text, so that nothing quoted is parsed.
    """
    kept, note = cut(clean(text), SENTENCE_LIMIT)
    elements: list[Block] = []
    parts = kept.split("`")
    if len(parts) % 2 == 0:
        # The last backtick has no partner: it is a letter like others.
        parts[-2:] = ["`".join(parts[-2:])]
    for place, part in enumerate(parts):
        if not part:
            continue
        element: Block = {"type": "text", "text": part}
        if place % 2:
            element["style"] = {"code": True}
        elements.append(element)
    if note:
        elements.append({"type": "text", "text": f" {note}", "style": {"italic": True}})
    if not elements:
        elements.append({"type": "text", "text": "-"})
    return _rich_text(block_id, {"type": "rich_text_section", "elements": elements})


def preformatted(block_id: str, *lines: str) -> Block:
    """Lines to paste, as they are."""
    elements = [{"type": "text", "text": "\n".join(lines)}]
    return _rich_text(block_id, {"type": "rich_text_preformatted", "elements": elements})


def commands(block_id: str, *lines: Sequence[str]) -> Block:
    """Shell commands to paste, one a line, each word quoted as a shell needs it."""
    return preformatted(block_id, *map(shlex.join, lines))


def button(
    action: str,
    label: str,
    value: str | None,
    *,
    style: Literal["primary", "danger"] | None = None,
    confirm: Block | None = None,
) -> Block:
    """A button whose `value` is a request id and nothing else, or that is about no request."""
    element: Block = {
        "type": "button",
        "action_id": action,
        "text": plain_text(label, 75),
    }
    if value is not None:
        element["value"] = value
    if style:
        element["style"] = style
    if confirm:
        element["confirm"] = confirm
    return element


def ask_again(request_id: str) -> Block:
    """The button that opens the request form, filled in with what was asked for before."""
    return button("again", "Ask again…", request_id)


def give_back(request_id: str, label: str) -> Block:
    """The button that gives access back, which may take an approval to undo: so it asks again."""
    confirm = confirmation(
        f"{label}?",
        "It ends at once. To have it again you ask again.",
        yes=label,
        no="Back",
    )
    return button("return", label, request_id, confirm=confirm)


def confirmation(title: str, *lines: str, yes: str, no: str) -> Block:
    """A dialog that asks again before a button acts. Slack allows 300 letters of plain text."""
    text, _ = cut("\n".join(filter(None, map(clean, lines))), 300)
    return {
        "title": plain_text(title, 100),
        "text": {"type": "plain_text", "text": text, "emoji": False},
        "confirm": plain_text(yes, 30),
        "deny": plain_text(no, 30),
    }


def actions(block_id: str, *buttons: Block) -> Block:
    return {"type": "actions", "block_id": block_id, "elements": list(buttons)}


def option(text: str, value: str) -> Block:
    return {"text": plain_text(text, OPTION_LIMIT), "value": value}


def modal(
    callback_id: str,
    title: str,
    blocks: list[Block],
    *,
    submit: str | None = None,
    private_metadata: str | None = None,
) -> View:
    """A modal. Everything it holds may come back changed: nothing in it decides."""
    view: View = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title, 24),
        "close": plain_text("Close" if submit is None else "Cancel", 24),
        "blocks": blocks[:VIEW_BLOCKS],
    }
    if submit is not None:
        view["submit"] = plain_text(submit, 24)
    if private_metadata is not None:
        view["private_metadata"] = private_metadata
    return view


def _rich_text(block_id: str, element: Block) -> Block:
    return {"type": "rich_text", "block_id": block_id, "elements": [element]}


def _fitting(lines: Sequence[str], limit: int) -> int:
    """How many of the first lines fit."""
    used = -1
    for place, line in enumerate(lines):
        used += size(line) + 1
        if used > limit:
            return place
    return len(lines)


def _packed(lines: Sequence[str], limit: int, rest: str = "line") -> str:
    """The lines joined, whole lines only, so that no mention or date is ever cut in half."""
    shown = [line for line in lines if line]
    if _fitting(shown, limit) == len(shown):
        return "\n".join(shown) or "-"
    room = limit - size(f"\n… and {count(len(shown), f'more {rest}')}")
    kept = shown[: _fitting(shown, room)]
    return "\n".join([*kept, f"… and {count(len(shown) - len(kept), f'more {rest}')}"])
