"""Deputies in Slack: the form that names one, who is told, and the list that everybody may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date as day

from sqlalchemy import Connection

from bot.core.delegating import delegable
from bot.core.model import Delegation, Requirement
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.slack import blocks, inputs, phrases
from bot.slack.blocks import Message, View
from bot.slack.text import count, date, listed, mention, safe
from bot.store import announcements

DELEGATE_CALLBACK = "delegate"

_SHOWN = 40


def delegate_modal(until: day | None) -> View:
    """Who is to decide, and until when. What comes back decides nothing: the policy does."""
    picker = {"type": "datepicker", "action_id": "until"}
    if until is not None:
        picker["initial_date"] = until.isoformat()
    shown = [
        blocks.section(
            "what",
            "Somebody else decides in your place about requests that ask you as an owner, as far "
            "as their rules allow it. You can decide as well. It is told in the owners' channels.",
        ),
        inputs.field("deputy", "Who?", {"type": "users_select", "action_id": "deputy"}),
        inputs.field("until", "Until the end of", picker),
    ]
    return blocks.modal(DELEGATE_CALLBACK, "Name a deputy", shown, submit="Name")


def delegations_reply(held: Sequence[Delegation], names: Mapping[str, str]) -> Message:
    """Who decides in whose place now."""
    title = f"*Deputies ({len(held):,})*"
    lines = [
        f"{phrases.person(one.deputy, names)} decides for {phrases.person(one.owner, names)} "
        f"until {date(one.until)}"
        for one in held[:_SHOWN]
    ]
    if len(held) > _SHOWN:
        lines.append(f"… and {len(held) - _SHOWN:,} more.")
    shown = [blocks.section("title", title)]
    shown += blocks.sections("deputies", lines or ["Nobody."], most=2, rest="deputy")
    return Message(count(len(held), "deputy", "deputies"), shown)


def announce_begun(tx: Connection, begun: Delegation, asked: Sequence[Requirement]) -> None:
    """Tell the owners' channels whom it concerns, the deputy, and the owner by direct message."""
    rules = listed([f"*{safe(one.key, 60)}*" for one in asked], 5)
    line = (
        f"{mention(begun.deputy)} decides in the place of {mention(begun.owner)} until "
        f"{date(begun.until)}, for {rules}."
    )
    key = f"delegation.begun:{begun.id}"
    for place in dict.fromkeys([*(one.channel for one in asked), begun.deputy]):
        _announce(tx, key, place, line, begun)
    # An account may be stolen, and what it handed over would outlive its recovery.
    own = (
        f"{line} If you did not do this, end it with `/eks-access delegate off {begun.deputy}` "
        "and tell your security team."
    )
    _announce(tx, key, begun.owner, own, begun)


def announce_ended(
    tx: Connection, policy: Policy, ended: Delegation, membership: Membership
) -> None:
    """Tell the same places that it is over, as far as the policy still names them."""
    line = f"{mention(ended.deputy)} no longer decides in the place of {mention(ended.owner)}."
    length = ended.until - ended.since
    asked = delegable(policy, ended.owner, ended.deputy, length, membership).requirements
    for place in dict.fromkeys([*(one.channel for one in asked), ended.deputy]):
        _announce(tx, f"delegation.ended:{ended.id}", place, line, ended)


def _announce(tx: Connection, key: str, place: str, line: str, about: Delegation) -> None:
    announcements.announce(
        tx,
        key=key,
        channel=place,
        text=line,
        blocks=[blocks.section("delegation", line)],
        now=about.ended_at or about.since,
    )
