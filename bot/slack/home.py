"""The App Home of one person: what waits for them, what they have, what they asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from bot.core.durations import format_duration
from bot.core.model import AccessRequest, Grant
from bot.slack import blocks, phrases
from bot.slack.blocks import Block, View
from bot.slack.cards import decide_buttons, shared_warning
from bot.slack.text import date

# With headings and small print, these stay under the 100 blocks a view may have.
_WAITING_SHOWN = 12
_OWN_SHOWN = 20

_T = TypeVar("_T")


def home_view(
    live: Sequence[tuple[AccessRequest, Grant]],
    pending: Sequence[AccessRequest],
    waiting: Sequence[AccessRequest],
    *,
    names: Mapping[str, str],
) -> View:
    """Home for the person whose live grants and pending requests these are.

    `waiting` are the requests of others that wait for this person's decision. What does not fit is
    counted, never left out in silence.
    """
    shown = [blocks.header("title", "EKS access")]
    shown.append(
        blocks.section("how", "`/eks-access` asks for access. `/eks-access help` has more.")
    )
    shown += _part(
        "waiting",
        "Waiting for your decision",
        waiting,
        lambda request: _waiting(request, names),
        most=_WAITING_SHOWN,
        rest="They are in their owners' channels.",
    )
    shown += _part(
        "live",
        "Your access",
        live,
        lambda pair: _live(*pair),
        most=_OWN_SHOWN,
        rest="`/eks-access mine` lists more.",
    )
    shown += _part(
        "pending",
        "Your open requests",
        pending,
        _pending,
        most=_OWN_SHOWN,
        rest="`/eks-access mine` lists more.",
    )
    if not (live or pending or waiting):
        shown.append(
            blocks.section(
                "nothing",
                "You have no access, no open request, and nothing waits for your decision.",
            )
        )
    return {"type": "home", "callback_id": "home", "blocks": shown}


def _part(
    block_id: str,
    title: str,
    items: Sequence[_T],
    render: Callable[[_T], list[Block]],
    *,
    most: int,
    rest: str,
) -> list[Block]:
    if not items:
        return []
    shown = [blocks.header(block_id, f"{title} ({len(items):,})")]
    for item in items[:most]:
        shown += render(item)
    if len(items) > most:
        more = len(items) - most
        shown.append(blocks.context(f"{block_id}:more", f"… and {more:,} more. {rest}"))
    return shown


def _waiting(request: AccessRequest, names: Mapping[str, str]) -> list[Block]:
    lapses = f", lapses {date(request.lapses_at)}" if request.lapses_at else ""
    lines = [
        f"{phrases.person(request.requester, names)} asks for {phrases.subject(request)}",
        f"for {format_duration(request.duration)}{lapses} · req {request.id}",
        *phrases.allows(request.access),
        *shared_warning(request.principal, names),
    ]
    return [
        blocks.section(f"waiting:{request.id}", *lines),
        blocks.quote(f"reason:{request.id}", request.reason),
        blocks.actions(f"decide:{request.id}", *decide_buttons(request, names)),
    ]


def _live(request: AccessRequest, grant: Grant) -> list[Block]:
    line = f"{phrases.subject(request)} · {phrases.standing(request, grant)} · req {request.id}"
    section = blocks.section(f"live:{request.id}", line)
    if grant.gives_access:
        section["accessory"] = blocks.button("return", "Return", request.id)
    return [section]


def _pending(request: AccessRequest) -> list[Block]:
    line = f"{phrases.subject(request)} · {phrases.standing(request, None)} · req {request.id}"
    section = blocks.section(f"pending:{request.id}", line)
    section["accessory"] = blocks.button("cancel", "Cancel", request.id)
    return [section]
