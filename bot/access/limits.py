"""How much one person may ask of the bot: enough for any work, and no flood of cards or calls."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.core.errors import Conflict
from bot.store import inbox, requests

MOST_A_MINUTE = 30
"""Commands and clicks that change something, of one person."""

MOST_PENDING = 10
"""Requests of one person that wait for a decision at the same time."""

_MINUTE = timedelta(minutes=1)


def ensure_not_too_many(tx: Connection, person_id: str, now: datetime) -> None:
    """Raise Conflict where the person has just done too much. Giving back is never limited."""
    if inbox.count_since(tx, person_id, now - _MINUTE) >= MOST_A_MINUTE:
        raise Conflict(
            "too_many",
            f"You did {MOST_A_MINUTE} things here within a minute, which is the most. This one was "
            "not taken; in a minute it works again.",
        )


def ensure_not_too_many_pending(tx: Connection, person_id: str) -> None:
    """Raise Conflict where the person already waits for as many decisions as may be."""
    if requests.count_pending(tx, person_id) >= MOST_PENDING:
        raise Conflict(
            "too_many_pending",
            f"You have {MOST_PENDING} requests that wait for a decision, which is the most. "
            "`/eks-access mine` lists them; `/eks-access cancel ID` takes one back.",
        )
