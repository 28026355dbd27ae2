"""Suspension: nothing new for one person, until somebody ends it.

It is for an account that may be stolen, and for somebody who must not have access now. The policy's
lockdown owners suspend from Slack, and whoever may write to the store from the command line. It
outlives restarts and policy changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.model import AuditEvent

SUSPENDED = "The requester is suspended."
"""Why a request that waited was closed: what everybody may read who sees its card."""


@dataclass(frozen=True, slots=True)
class Suspension:
    """One suspension. `person` is a Slack user id, as are `began_by` and `ended_by`, or `operator`.

    `reason` is for security and the audit trail; the person is not told it.
    """

    id: int
    person: str
    began_at: datetime
    began_by: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str | None = None


def begun(suspension: Suspension) -> AuditEvent:
    """The event of its beginning."""
    return AuditEvent(
        at=suspension.began_at,
        actor=suspension.began_by,
        action="suspension.begun",
        details={"person": suspension.person, "reason": suspension.reason},
    )


def ended(suspension: Suspension, why: str) -> AuditEvent:
    """The event of its end. `why` are the words of whoever ended it, where they were asked."""
    if suspension.ended_at is None or suspension.ended_by is None:
        raise ValueError("a suspension that is over has the time of its end")
    return AuditEvent(
        at=suspension.ended_at,
        actor=suspension.ended_by,
        action="suspension.ended",
        details={
            "person": suspension.person,
            "began_at": suspension.began_at.isoformat(),
            **({"why": why} if why else {}),
        },
    )
