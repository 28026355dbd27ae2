"""Suspension in Slack: the form, the list, and who is told when one begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from bot.access.suspension import Suspended
from bot.core.lifecycle import OPERATOR
from bot.core.lockdown import MOST_REASON_LETTERS
from bot.core.model import Delegation
from bot.core.people import SUSPENDED
from bot.core.policy import Policy
from bot.core.suspension import Suspension
from bot.slack import blocks, inputs
from bot.slack.blocks import Message, View
from bot.slack.text import code, count, date, mention, safe
from bot.store import announcements

SUSPEND_CALLBACK = "suspend"

_SHOWN = 40


def suspend_modal(reason: str) -> View:
    """Who is to be suspended, and why. What comes back decides nothing: the policy does."""
    typed = {
        "type": "plain_text_input",
        "action_id": "reason",
        "multiline": True,
        "max_length": MOST_REASON_LETTERS,
        **({"initial_value": reason[:MOST_REASON_LETTERS]} if reason else {}),
    }
    shown = [
        blocks.section(
            "what",
            "They get no new access and decide nothing until somebody ends it. Their live access "
            "is removed now, their open requests are closed, and their deputies end. Security and "
            "they themselves are told; they are not told the reason.",
        ),
        inputs.field("person", "Who?", {"type": "users_select", "action_id": "person"}),
        inputs.field("reason", "Why? Required.", typed),
    ]
    return blocks.modal(SUSPEND_CALLBACK, "Suspend somebody", shown, submit="Suspend")


def suspensions_reply(held: Sequence[Suspension]) -> Message:
    """Who is suspended, since when, by whom and why, with the command that ends it."""
    if not held:
        line = "Nobody is suspended. `/eks-access suspend U01ANA REASON` suspends somebody."
        return Message(line, [blocks.sentence("suspended", line)])
    lines = [
        f"{mention(one.person)} since {date(one.began_at)}, by {_who(one.began_by)} · "
        f"{code(f'/eks-access unsuspend {one.person}')}\n{safe(one.reason, 200)}"
        for one in held[:_SHOWN]
    ]
    if len(held) > _SHOWN:
        lines.append(f"… and {len(held) - _SHOWN:,} more.")
    shown = [blocks.section("title", f"*Suspended ({len(held):,})*")]
    shown += blocks.sections("suspended", lines, most=3, rest="person")
    return Message(count(len(held), "person", "people") + " suspended", shown)


def begun_reply(done: Suspended) -> Message:
    """What whoever suspended somebody is told."""
    person = done.suspension.person
    unsuspend = code(f"/eks-access unsuspend {person}")
    line = f"{mention(person)} is suspended. {begun_line(done)} {unsuspend} ends it."
    return Message(line, [blocks.section("suspension", line)])


def begun_line(done: Suspended) -> str:
    """What came of it, in numbers."""
    return (
        f"Being removed: {count(len(done.revoked), 'grant')}. "
        f"Closed: {count(len(done.closed), 'open request')}. "
        f"Ended: {count(len(done.delegations), 'delegation')}."
    )


def announce_begun(tx: Connection, policy: Policy | None, done: Suspended) -> None:
    """Tell the security and the audit channel, the person, and whom their delegations concern."""
    suspension = done.suspension
    now, who = suspension.began_at, mention(suspension.person)
    shown = [
        blocks.section(
            "suspension",
            f":no_entry: *{who} is suspended* since {date(now)}, by {_who(suspension.began_by)}",
            "They get no new access and decide nothing until somebody ends it: "
            f"{code(f'/eks-access unsuspend {suspension.person}')}",
            begun_line(done),
        ),
        blocks.quote("reason", suspension.reason),
    ]
    key = f"suspension.begun:{suspension.id}"
    _announce(tx, key, _channels(policy), Message(f"{who} is suspended", shown), now)
    note = Message(SUSPENDED, [blocks.sentence("suspension", SUSPENDED)])
    _announce(tx, key, [suspension.person], note, now)
    for one in done.delegations:
        _tell_of(tx, one, suspension)


def announce_ended(tx: Connection, policy: Policy | None, over: Suspension) -> None:
    """Tell the same channels and the person that it is over."""
    if over.ended_at is None:
        raise ValueError("a suspension that is over has the time of its end")
    key = f"suspension.ended:{over.id}"
    line = (
        f"{mention(over.person)} is no longer suspended; {_who(over.ended_by)} ended it. What "
        "ended by the suspension does not come back."
    )
    message = Message(line, [blocks.section("suspension", line)])
    _announce(tx, key, _channels(policy), message, over.ended_at)
    line = (
        "You are no longer suspended. What was removed does not come back; `/eks-access` asks for "
        "access."
    )
    told = Message(line, [blocks.sentence("suspension", line)])
    _announce(tx, key, [over.person], told, over.ended_at)


def _tell_of(tx: Connection, one: Delegation, suspension: Suspension) -> None:
    """Tell the other side of a delegation: neither knows it from a channel."""
    other = one.owner if one.deputy == suspension.person else one.deputy
    line = (
        f"{mention(one.deputy)} no longer decides in the place of {mention(one.owner)}, because "
        f"{mention(suspension.person)} is suspended."
    )
    message = Message(line, [blocks.section("delegation", line)])
    _announce(tx, f"delegation.ended:{one.id}", [other], message, suspension.began_at)


def _who(by: str | None) -> str:
    return "an operator" if by is None or by == OPERATOR else mention(by)


def _announce(
    tx: Connection, key: str, places: Iterable[str], message: Message, now: datetime
) -> None:
    for place in places:
        announcements.announce(
            tx, key=key, channel=place, text=message.text, blocks=message.blocks, now=now
        )


def _channels(policy: Policy | None) -> tuple[str, ...]:
    named = (policy.security_channel, policy.audit_channel) if policy is not None else ()
    return tuple(dict.fromkeys(channel for channel in named if channel is not None))
