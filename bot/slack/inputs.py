"""A form's input blocks as plain dicts, each within Slack's limits.

A block's id is the name of its field, so that an error stands at it. Where what is offered depends
on another field, the id is the name with a mark of the offer: Slack keeps what a person chose under
an id that stays, and what is no longer offered must not be kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from bot.core.durations import LONGEST, compact_duration, format_duration
from bot.slack import blocks
from bot.slack.blocks import OPTION_VALUE_LIMIT, OPTIONS, Block
from bot.slack.text import size

NAMESPACES_LIMIT = 3000
"""The most letters that names of namespaces, typed with commas between, may have."""

_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12)),
    *(timedelta(days=days) for days in (1, 2, 3, 7)),
)


def choosable(names: Iterable[str]) -> list[str]:
    """The names that an option can hold, each once, in their order."""
    return [name for name in dict.fromkeys(names) if name and size(name) <= OPTION_VALUE_LIMIT]


def marked(field: str, *offer: str) -> str:
    """The id of a field's block, with a mark of what it offers."""
    return f"{field}:{hashlib.sha256(chr(0).join(offer).encode(errors='replace')).hexdigest()[:12]}"


def field_of(block_id: str) -> str:
    """The field of a block with an id that `marked` gave, or that is the field's name."""
    return block_id.partition(":")[0]


def select(action: str, options: Sequence[Block], chosen: str) -> Block:
    """A list of at most 100 options. The only one there is, is chosen."""
    offered = list(options[:OPTIONS])
    element: Block = {"type": "static_select", "action_id": action, "options": offered}
    initial = [option for option in offered if option["value"] == chosen]
    if initial or len(offered) == 1:
        element["initial_option"] = (initial or offered)[0]
    return element


def many(action: str, names: Sequence[str], chosen: Sequence[str], *, most: int) -> Block:
    """A list of which at most `most` may be chosen; more than 100 stand in groups of 100."""
    options = [blocks.option(name, name) for name in names]
    element: Block = {
        "type": "multi_static_select",
        "action_id": action,
        "max_selected_items": most,
    }
    if len(options) <= OPTIONS:
        element["options"] = options
    else:
        element["option_groups"] = [
            {
                "label": blocks.plain_text(f"{number + 1:,} to {number + len(part):,}", 75),
                "options": part,
            }
            for number in range(0, len(options), OPTIONS)
            if (part := options[number : number + OPTIONS])
        ]
    initial = [option for option in options if option["value"] in chosen][:most]
    if initial:
        element["initial_options"] = initial
    return element


def durations(most: timedelta, chosen: timedelta | None) -> Block:
    """Lengths of time up to `most`; `chosen` is one of them where it fits, else an hour is."""
    longest = min(most, LONGEST)
    steps = {step for step in _STEPS if step < longest} | {longest}
    if chosen is not None and timedelta(seconds=1) <= chosen <= longest:
        steps.add(chosen)
    options = {
        step: blocks.option(format_duration(step), compact_duration(step)) for step in sorted(steps)
    }
    initial = chosen if chosen in options else max(steps & {timedelta(hours=1)} or {min(steps)})
    return {
        "type": "static_select",
        "action_id": "duration",
        "options": list(options.values()),
        "initial_option": options[initial],
    }


def moment(action: str, chosen: datetime | None) -> Block:
    """A day and a time, which Slack asks for in the person's own time zone."""
    element: Block = {"type": "datetimepicker", "action_id": action}
    if chosen is not None:
        element["initial_date_time"] = int(chosen.timestamp())
    return element


def read_moment(seconds: object) -> datetime | None:
    """The moment in an answer of such a field; None where it has not its form.

    Source: Slack, "Datetime picker element": a timestamp of ten digits.
    """
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    return datetime.fromtimestamp(seconds, UTC) if 10**9 <= seconds < 10**10 else None


WHOLE_CLUSTER = "whole_cluster"


def whole_cluster(cluster: str, level: str, *, ticked: bool, tells: bool = False) -> Block:
    """The box to tick for the whole cluster. A tick holds for this cluster and level alone."""
    option = blocks.option("The whole cluster", marked(WHOLE_CLUSTER, cluster, level))
    element: Block = {"type": "checkboxes", "action_id": WHOLE_CLUSTER, "options": [option]}
    if ticked:
        element["initial_options"] = [option]
    block_id = marked(WHOLE_CLUSTER, cluster, level)
    return field(block_id, "Or all of it", element, optional=True, tells=tells)


def says_whole_cluster(chosen: object, cluster: str, level: str) -> bool:
    """Whether the options `chosen` in an answer are that box, ticked for this cluster and level."""
    values = (
        [one.get("value") for one in chosen if isinstance(one, dict)]
        if isinstance(chosen, list)
        else []
    )
    return marked(WHOLE_CLUSTER, cluster, level) in values


def text(action: str, value: str, limit: int, *, multiline: bool = False) -> Block:
    """A field to type into."""
    element: Block = {"type": "plain_text_input", "action_id": action, "max_length": limit}
    if multiline:
        element["multiline"] = True
    if value:
        element["initial_value"] = value[:limit]
    return element


def field(
    block_id: str,
    label: str,
    element: Block,
    *,
    hint: str = "",
    optional: bool = False,
    tells: bool = False,
) -> Block:
    """An input block. `tells`: what is entered is sent at once, not with the whole form alone."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": blocks.plain_text(label, 2000),
        "element": element,
        "optional": optional,
    }
    if tells:
        block["dispatch_action"] = True
    if hint:
        block["hint"] = blocks.plain_text(hint, 2000)
    return block
