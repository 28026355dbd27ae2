"""How the bot is, in numbers that an operator understands at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from bot.core.model import RequestState
from bot.core.removal import late
from bot.store import drift, grants
from bot.store.tables import announcements, entries, requests, suspensions

_PENDING = select(func.count()).where(requests.c.state == RequestState.PENDING.value)
_EKS = select(func.count()).where(entries.c.problem.is_not(None))
_SLACK = select(func.count()).where(requests.c.messages_attempts > 0)
_UNPOSTED = select(func.count()).where(
    announcements.c.due_at.is_not(None), announcements.c.attempts > 0
)

_SUSPENDED = select(func.count()).where(suspensions.c.ended_at.is_(None))


@dataclass(frozen=True, slots=True)
class Health:
    """Requests and grants, and what is not as it should be.

    `eks_problems` counts access entries with which EKS has trouble; `slack_problems` counts
    requests of which Slack does not take a message; `unposted` counts announcements that Slack
    did not take at the first try and that are not given up; `drift` counts what others changed at
    EKS and that still differs; `suspended` counts people.
    """

    pending: int
    live: int
    late: int
    eks_problems: int
    slack_problems: int
    unposted: int = 0
    drift: int = 0
    suspended: int = 0


def health(tx: Connection, now: datetime) -> Health:
    """The numbers at `now`."""
    live = grants.live(tx)
    return Health(
        pending=int(tx.scalar(_PENDING) or 0),
        live=len(live),
        late=sum(late(one, now) for one in live),
        eks_problems=int(tx.scalar(_EKS) or 0),
        slack_problems=int(tx.scalar(_SLACK) or 0),
        unposted=int(tx.scalar(_UNPOSTED) or 0),
        drift=sum(drift.open_by_kind(tx).values()),
        suspended=int(tx.scalar(_SUSPENDED) or 0),
    )
