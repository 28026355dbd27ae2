"""Lockdown in Slack: what is announced when it begins and ends, and what whoever asks is told."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.core import operators
from bot.core.lifecycle import OPERATOR
from bot.core.lockdown import Lockdown
from bot.core.policy import Policy
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.phrases import OPERATOR_LIMIT
from bot.slack.text import count, date, mention, safe
from bot.store import announcements
from bot.store.database import operator_of


def announce_begun(tx: Connection, policy: Policy | None, lockdown: Lockdown, revoked: int) -> None:
    """Tell the security and the audit channel that it began."""
    live = (
        f"{count(revoked, 'live grant')} {'is' if revoked == 1 else 'are'} being removed."
        if lockdown.revoking
        else "What is live goes on to its end; it can be returned or revoked."
    )
    shown = [
        blocks.section(
            "lockdown",
            f":lock: *Lockdown* since {date(lockdown.began_at)}, by {_who(lockdown.began_by, tx)}",
            "Nothing new is granted until it is over: no request, no approval, no extension.",
            live,
        ),
        blocks.quote("reason", lockdown.reason),
    ]
    message = Message("Lockdown: nothing new is granted", shown)
    _announce(tx, policy, f"lockdown.begun:{lockdown.id}", message, lockdown)


def announce_ended(tx: Connection, policy: Policy | None, lockdown: Lockdown) -> None:
    """Tell the same channels that it is over."""
    line = (
        f":unlock: *Lockdown is over*, by {_who(lockdown.ended_by, tx)}. Access can be asked for."
    )
    message = Message("Lockdown is over", [blocks.section("lockdown", line)])
    _announce(tx, policy, f"lockdown.ended:{lockdown.id}", message, lockdown)


def lockdown_state(lockdown: Lockdown | None) -> Message:
    """Whether it is on, for whoever asks."""
    if lockdown is None:
        line = "Lockdown is not on: access is granted as the policy says."
        return Message(line, [blocks.section("lockdown", line)])
    line = f":lock: *Lockdown* since {date(lockdown.began_at)}, by {_who(lockdown.began_by)}:"
    shown = [blocks.section("lockdown", line), blocks.quote("reason", lockdown.reason)]
    return Message("Lockdown is on: nothing new is granted", shown)


def _who(by: str | None, tx: Connection | None = None) -> str:
    """Who did it: of an operator, in whose transaction it is told, also which person that is."""
    if by is not None and by != OPERATOR:
        return mention(by)
    known = operators.in_words({operators.KEY: operator_of(tx)}) if tx is not None else ""
    return f"an operator ({safe(known, OPERATOR_LIMIT)})" if known else "an operator"


def _announce(
    tx: Connection, policy: Policy | None, key: str, message: Message, lockdown: Lockdown
) -> None:
    if policy is None:
        return  # there is nobody to tell; the log and the audit trail have it
    for channel in _channels(policy):
        announcements.announce(
            tx,
            key=key,
            channel=channel,
            text=message.text,
            blocks=message.blocks,
            now=lockdown.ended_at or lockdown.began_at,
        )


def _channels(policy: Policy) -> tuple[str, ...]:
    named = (policy.security_channel, policy.audit_channel)
    return tuple(dict.fromkeys(channel for channel in named if channel is not None))
