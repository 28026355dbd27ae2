"""Lockdown in Slack: what is announced when it begins and ends, and what whoever asks is told."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.core.lifecycle import OPERATOR
from bot.core.lockdown import Lockdown
from bot.core.policy import Policy
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.text import count, date, mention
from bot.store import announcements


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
            f":lock: *Lockdown* since {date(lockdown.began_at)}, by {_who(lockdown.began_by)}",
            "Nothing new is granted until it is over: no request, no approval, no extension.",
            live,
        ),
        blocks.quote("reason", lockdown.reason),
    ]
    message = Message("Lockdown: nothing new is granted", shown)
    _announce(tx, policy, f"lockdown.begun:{lockdown.id}", message, lockdown)


def announce_ended(tx: Connection, policy: Policy | None, lockdown: Lockdown) -> None:
    """Tell the same channels that it is over."""
    line = f":unlock: *Lockdown is over*, by {_who(lockdown.ended_by)}. Access can be asked for."
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


def _who(by: str | None) -> str:
    return "an operator" if by is None or by == OPERATOR else mention(by)


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
