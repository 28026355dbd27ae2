"""Who decides in whose place, from when until when. A row stays when it is over: it was so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from bot.core.model import Delegation
from bot.store.tables import delegations

_HOLDING = (
    select(delegations)
    .where(
        delegations.c.since <= bindparam("now"),
        delegations.c.until > bindparam("now"),
        or_(delegations.c.ended_at.is_(None), delegations.c.ended_at > bindparam("now")),
    )
    .order_by(delegations.c.id)
)


def add(tx: Connection, *, owner: str, deputy: str, since: datetime, until: datetime) -> Delegation:
    """Store that `deputy` decides in the place of `owner` from `since` until `until`."""
    row = insert(delegations).values(owner=owner, deputy=deputy, since=since, until=until)
    key = int(tx.execute(row.returning(delegations.c.id)).scalar_one())
    return Delegation(key, owner, deputy, since, until)


def end(tx: Connection, delegation: Delegation, now: datetime) -> bool:
    """End it before its time. False where it has ended already."""
    changed = tx.execute(
        update(delegations)
        .where(delegations.c.id == delegation.id, delegations.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return changed.rowcount == 1


def holding(tx: Connection, now: datetime) -> tuple[Delegation, ...]:
    """Those that hold now, in the order in which they began."""
    return tuple(map(_delegation, tx.execute(_HOLDING, {"now": now})))


def of_deputies(
    tx: Connection, deputies: Collection[str], since: datetime
) -> tuple[Delegation, ...]:
    """Those of these deputies that held at some time from `since` on."""
    query = select(delegations).where(
        delegations.c.deputy.in_(sorted(deputies)),
        delegations.c.until > since,
        or_(delegations.c.ended_at.is_(None), delegations.c.ended_at > since),
    )
    return tuple(map(_delegation, tx.execute(query.order_by(delegations.c.id))))


def _delegation(row: Row[Any]) -> Delegation:
    return Delegation(row.id, row.owner, row.deputy, row.since, row.until, row.ended_at)
