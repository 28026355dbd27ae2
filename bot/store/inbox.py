"""What people asked the bot to do, stored before Slack is acknowledged.

A command or click that changes something is committed here first, then acknowledged, then carried
out: so neither a slow Slack nor a crash loses it, and the acknowledgement waits for neither. An
item is NEW until it was carried out (or refused), ANSWERING until the person was told, then DONE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict
from bot.store.due import LONGEST_PAUSE
from bot.store.tables import inbox


class Kind(StrEnum):
    """What is asked for."""

    REQUEST = "request"
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    RETURN = "return"
    EXTEND = "extend"
    ASK = "ask"
    LOCKDOWN = "lockdown"
    BREAK_GLASS = "break_glass"
    REVOKE = "revoke"
    REVIEW = "review"
    DELEGATE = "delegate"
    UNDELEGATE = "undelegate"


GIVING_BACK = frozenset({Kind.RETURN, Kind.CANCEL})
"""What takes access away or a request back; it must always be possible."""

NEVER_LIMITED = GIVING_BACK | {Kind.REVOKE, Kind.LOCKDOWN}
"""What is taken however much somebody has done, and however late it comes to be looked at.

It has workers of its own, so that no flood of requests stands before it.
"""


class ItemState(StrEnum):
    """How far an item is."""

    NEW = "NEW"
    ANSWERING = "ANSWERING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Item:
    """One command or click. `document` is JSON; its shape depends on `kind`.

    `answer` is the Slack message for the person: `{"text": …, "blocks": […]}`.
    """

    id: int
    received_at: datetime
    kind: Kind
    actor: str
    team_id: str | None
    document: Mapping[str, Any]
    response_url: str | None
    state: ItemState
    answer: Mapping[str, Any] | None
    attempts: int


def add(
    tx: Connection,
    kind: Kind,
    *,
    actor: str,
    team_id: str | None,
    document: Mapping[str, Any],
    response_url: str | None,
    now: datetime,
    trigger_id: str | None = None,
) -> int:
    """Store a new item, due at once. Returns its id.

    `trigger_id` is Slack's own for this one command or click: the same payload once more, sent
    again or replayed by somebody, is stored once.
    """
    row = insert(inbox).values(
        received_at=now,
        kind=kind.value,
        actor=actor,
        team_id=team_id,
        document=dict(document),
        response_url=response_url,
        trigger_id=trigger_id,
        state=ItemState.NEW.value,
        due_at=now,
    )
    try:
        with tx.begin_nested():
            return int(tx.execute(row.returning(inbox.c.id)).scalar_one())
    except IntegrityError:
        known = select(inbox.c.id).where(inbox.c.trigger_id == trigger_id)
        return int(tx.scalars(known).one())


def count_since(tx: Connection, actor: str, since: datetime) -> int:
    """How many items a person has put in since then."""
    query = select(func.count()).where(inbox.c.actor == actor, inbox.c.received_at > since)
    return int(tx.scalars(query).one())


def due(tx: Connection, now: datetime, limit: int, *, giving_back: bool) -> list[int]:
    """Ids of items to work on, the oldest first: those that take access away, or the others."""
    back = inbox.c.kind.in_([kind.value for kind in NEVER_LIMITED])
    # Nothing here is put off for long, so what seems to be was written while the clock was ahead.
    is_due = (inbox.c.due_at <= now) | (inbox.c.due_at > now + LONGEST_PAUSE)
    query = select(inbox.c.id).where(is_due, back if giving_back else not_(back))
    query = query.order_by(inbox.c.id)
    return list(tx.scalars(query.limit(limit)))


def get(tx: Connection, item_id: int) -> Item:
    """The item."""
    row = tx.execute(select(inbox).where(inbox.c.id == item_id)).one()
    return Item(
        id=row.id,
        received_at=row.received_at,
        kind=Kind(row.kind),
        actor=row.actor,
        team_id=row.team_id,
        document=row.document,
        response_url=row.response_url,
        state=ItemState(row.state),
        answer=row.answer,
        attempts=row.attempts,
    )


def carried_out(tx: Connection, item: Item, answer: Mapping[str, Any], now: datetime) -> None:
    """NEW → ANSWERING, in the transaction of what was done. Raises Conflict if already so."""
    changed = tx.execute(
        update(inbox)
        .where(inbox.c.id == item.id, inbox.c.state == ItemState.NEW.value)
        .values(state=ItemState.ANSWERING.value, answer=dict(answer), attempts=0, due_at=now)
    )
    if changed.rowcount != 1:
        raise Conflict("already_carried_out", "This was already carried out.")


def answered(tx: Connection, item_id: int) -> None:
    """ANSWERING → DONE."""
    tx.execute(
        update(inbox).where(inbox.c.id == item_id).values(state=ItemState.DONE.value, due_at=None)
    )


def later(tx: Connection, item: Item, due_at: datetime) -> None:
    """Work on the item again at `due_at`."""
    tx.execute(
        update(inbox).where(inbox.c.id == item.id).values(due_at=due_at, attempts=item.attempts + 1)
    )
