"""What a form holds while it is filled in, and where an error stands in it.

Read leniently, to be shown again: what has not its form counts as empty. What is submitted is read
strictly, in `bot.slack.submissions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.durations import parse_duration
from bot.core.errors import InvalidInput
from bot.core.model import Ask
from bot.slack.inputs import WHOLE_CLUSTER, field_of, read_moment, says_whole_cluster
from bot.slack.text import clean

IN_A_FORM = {
    "needs_namespaces": "Name the namespaces, or tick “The whole cluster” where it is offered.",
    "two_places": "Name namespaces or tick “The whole cluster”, not both.",
    "reason_missing": "Say why you need it. The people who decide read it.",
}
"""What a form says, by the code of a refusal whose own sentence speaks of commands."""


class FormErrors(Exception):
    """What is wrong with a form that came back: block id → sentence."""

    def __init__(self, by_block: Mapping[str, str]) -> None:
        super().__init__(", ".join(by_block))
        self.by_block = dict(by_block)


def by_field(state: object) -> dict[str, Any]:
    """A view's state with each block under its field's name, whatever its id's mark."""
    values = state.get("values") if isinstance(state, dict) else None
    if not isinstance(values, dict):
        return {"values": values}
    return {"values": {field_of(str(block_id)): held for block_id, held in values.items()}}


def block_of(field: str, view: Mapping[str, Any]) -> str:
    """The id of the input block to which an error of `field` belongs, in the view as it came back.

    Where the field is not shown, the error stands at the cluster, from which the others follow.
    """
    shown = view.get("blocks")
    ids = [
        str(block.get("block_id"))
        for block in (shown if isinstance(shown, list) else [])
        if isinstance(block, dict) and block.get("type") == "input"
    ]
    return next((block_id for block_id in ids if field_of(block_id) == field), "cluster")


def read_entered(state: object) -> Ask:
    """What has been entered so far, to be shown again; what has not its form counts as empty."""
    cluster, level = (_option(_held(state, name)) for name in ("cluster", "level"))
    ticked = _held(state, WHOLE_CLUSTER).get("selected_options")
    return Ask(
        cluster=cluster,
        level=level,
        namespaces=_names(_held(state, "namespaces")),
        duration=_length(_option(_held(state, "duration"))),
        start_at=read_moment(_held(state, "start").get("selected_date_time")),
        ticket=_words(_held(state, "ticket")) or None,
        reason=_words(_held(state, "reason")),
        whole_cluster=says_whole_cluster(ticked, cluster, level),
    )


def _held(state: object, field: str) -> Mapping[str, Any]:
    values = by_field(state)["values"]
    block = values.get(field) if isinstance(values, dict) else None
    held = block.get(field) if isinstance(block, dict) else None
    return held if isinstance(held, dict) else {}


def _option(held: Mapping[str, Any]) -> str:
    chosen = held.get("selected_option")
    value = chosen.get("value") if isinstance(chosen, dict) else None
    return value if isinstance(value, str) else ""


def _names(held: Mapping[str, Any]) -> tuple[str, ...]:
    chosen = held.get("selected_options")
    if isinstance(chosen, list):
        return tuple(filter(None, (_option({"selected_option": one}) for one in chosen)))
    return tuple(clean(_words(held)).replace(",", " ").split())


def _words(held: Mapping[str, Any]) -> str:
    value = held.get("value")
    return value if isinstance(value, str) else ""


def _length(text: str) -> timedelta | None:
    try:
        return parse_duration(text)
    except InvalidInput:
        return None
