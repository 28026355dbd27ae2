"""The newest of the audit trail, by which a store that went back to an earlier state is known.

Whatever changes the store records an event in the same transaction, and the trail only grows. So
what was once its newest seal, or its newest event, is there for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from bot.core.audit_chain import EMPTY, Head
from bot.store import audit_seals
from bot.store.tables import UtcDateTime, audit_events
from bot.store.tables import audit_seals as seals

WENT_BACK = "store.went_back"
"""The audit event of a store that went back."""


@dataclass(frozen=True, slots=True)
class Event:
    """An audit event, as far as it tells one from another under the same id."""

    id: int
    at: datetime
    action: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest seal, and the newest event, which may have none yet; None where there is none."""

    head: Head = EMPTY
    event: Event | None = None


# Built once: they are carried out before each write to EKS that gives access.
_EVENT = select(
    audit_events.c.id, audit_events.c.at, audit_events.c.action, audit_events.c.request_id
)
_NEWEST_EVENT = _EVENT.order_by(audit_events.c.id.desc()).limit(1)
_KNOWN = select(
    select(seals.c.hash).where(seals.c.position == bindparam("position")).scalar_subquery(),
    select(func.count())
    .where(
        audit_events.c.id == bindparam("event"),
        audit_events.c.at == bindparam("at", type_=UtcDateTime()),
        audit_events.c.action == bindparam("action"),
        func.coalesce(audit_events.c.request_id, "") == bindparam("request"),
    )
    .scalar_subquery(),
)

_TOLD_AFTER = (
    select(audit_events.c.id)
    .where(audit_events.c.id > bindparam("event"), audit_events.c.action == WENT_BACK)
    .limit(1)
)


def newest(tx: Connection) -> Newest:
    """The newest that there is now."""
    return Newest(audit_seals.head(tx), newest_event(tx))


def newest_event(tx: Connection) -> Event | None:
    """The newest event that there is now."""
    row = tx.execute(_NEWEST_EVENT).one_or_none()
    return Event(*row) if row is not None else None


def holds(tx: Connection, known: Newest, noted: Event | None = None) -> bool:
    """Whether the store still has what was its newest: False where it went back since.

    Of the event that is known and the one that was `noted`, the later counts.
    """
    events = [one for one in (known.event, noted) if one is not None]
    if not events and known.head == EMPTY:
        return True
    last = max(events, key=lambda one: one.id, default=None)
    values = {
        "position": known.head.position,
        "event": last.id if last else 0,
        "at": last.at if last else None,
        "action": last.action if last else "",
        "request": (last.request_id or "") if last else "",
    }
    hash_, found = tx.execute(_KNOWN, values).one()
    sealed = known.head == EMPTY or known.head.hash == hash_
    return sealed and (last is None or found == 1)


def told_since(tx: Connection, since: datetime) -> bool:
    """Whether another replica has found since then that the store went back, and dealt with it."""
    query = select(audit_events.c.id).where(
        audit_events.c.at >= since, audit_events.c.action == WENT_BACK
    )
    return tx.scalars(query.limit(1)).first() is not None


def told_after(tx: Connection, known: Newest) -> bool:
    """Whether a replica has found, after what is known, that the store went back."""
    if known.event is None:
        return False
    return tx.scalars(_TOLD_AFTER, {"event": known.event.id}).first() is not None


def was_told(tx: Connection, head: Head) -> bool:
    """Whether it was dealt with that the store has this head no more."""
    query = select(audit_events.c.details).where(audit_events.c.action == WENT_BACK)
    return any(one.get("hash") == head.hash for one in tx.scalars(query))
