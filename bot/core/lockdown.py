"""Lockdown: while it is on nothing new is granted. What is live may be revoked, and always can be.

Whoever may write to the store can turn it on (the command line), and so can the policy's lockdown
owners from Slack. It outlives restarts and policy changes until somebody turns it off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bot.core.model import AuditEvent, Person, Reason
from bot.core.people import Membership, belongs, gone_words, not_full_member
from bot.core.policy import Policy

MOST_REASON_LETTERS = 500


class Securing(NamedTuple):
    """What only owners of lockdown may do, in words, and the same at the command line."""

    act: str
    command: str


LOCKDOWN = Securing("turn it on or off", "eks-access lockdown on")
SUSPENDING = Securing("suspend somebody, or end that", "eks-access suspend")


@dataclass(frozen=True, slots=True)
class Lockdown:
    """One lockdown. `began_by` and `ended_by` are Slack user ids, or `operator`.

    `revoking` says that everything live at its beginning was revoked.
    """

    id: int
    began_at: datetime
    began_by: str
    reason: str
    revoking: bool
    ended_at: datetime | None = None
    ended_by: str | None = None


def granting_stopped(lockdown: Lockdown) -> str:
    """What whoever asks for access, or approves it, is told meanwhile."""
    return (
        f"Lockdown since {lockdown.began_at:%Y-%m-%d %H:%M} UTC: {lockdown.reason.rstrip('.')}. "
        "Nothing new is granted until it is over; access can be returned as always. Ask again "
        "then."
    )


def may_change(
    policy: Policy, person: Person, membership: Membership, *, team_id: str
) -> Reason | None:
    """Why this person may not turn lockdown on or off, or None where they may.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    return not_security(policy, person, membership, LOCKDOWN, team_id=team_id)


def not_security(
    policy: Policy, person: Person, membership: Membership, what: Securing, *, team_id: str
) -> Reason | None:
    """Why this person may not do what only owners of lockdown may, or None where they may.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    outsider = not_full_member(person, team_id)
    if outsider is not None:
        return outsider
    if policy.lockdown is None:
        return Reason(
            "no_lockdown_owners",
            "The policy names nobody who may do this from Slack. Whoever runs the bot can: "
            f"`{what.command}`.",
        )
    owners = policy.lockdown.owners.owners
    if belongs(person.id, owners, membership):
        return None
    return Reason(
        "not_owner",
        f"Only the lockdown's owners can {what.act}, and you are none of them. Nothing was "
        "changed." + gone_words(owners, membership, "lockdown"),
    )


def may_break_glass(policy: Policy, user: str, membership: Membership) -> bool:
    """Whether the Slack user id `user` may break glass while lockdown is on.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    lockdown = policy.lockdown
    if lockdown is None or lockdown.break_glass is None:
        return False
    return belongs(user, lockdown.break_glass.owners, membership)


def begun(lockdown: Lockdown) -> AuditEvent:
    """The event of its beginning."""
    return AuditEvent(
        at=lockdown.began_at,
        actor=lockdown.began_by,
        action="lockdown.begun",
        details={"reason": lockdown.reason, "revoking": lockdown.revoking},
    )


def widened(lockdown: Lockdown, by: str, now: datetime) -> AuditEvent:
    """The event of somebody having what is live revoked too, later on."""
    return AuditEvent(
        at=now,
        actor=by,
        action="lockdown.widened",
        details={"began_at": lockdown.began_at.isoformat()},
    )


def ended(lockdown: Lockdown, why: str = "") -> AuditEvent:
    """The event of its end; `why` are the words of whoever ended it, if they said any."""
    if lockdown.ended_at is None or lockdown.ended_by is None:
        raise ValueError("a lockdown that is over has the time of its end")
    return AuditEvent(
        at=lockdown.ended_at,
        actor=lockdown.ended_by,
        action="lockdown.ended",
        details={
            "began_at": lockdown.began_at.isoformat(),
            **({"why": why} if why else {}),
        },
    )
