"""Reading the audit trail as a whole: a time span of it, and who had access at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, exists, func, select

from bot.core.audit_access import Held, held_at
from bot.core.model import AuditEvent
from bot.store.tables import audit_events, audit_seals

_AT_ONCE = 2_000
_REQUESTS_AT_ONCE = 200


class Recorded(NamedTuple):
    """An event with its id, and its seal where it has one."""

    id: int
    event: AuditEvent
    position: int | None
    sealed_at: datetime | None
    digest: str | None
    hash: str | None


def span(
    tx: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cluster: str | None = None,
    request_id: str | None = None,
) -> Iterator[Recorded]:
    """The events from `since` on and before `until`, by id, some thousand at a time."""
    events = audit_events.c
    query = _recorded()
    if since is not None:
        query = query.where(events.at >= since)
    if until is not None:
        query = query.where(events.at < until)
    if cluster is not None:
        query = query.where(events.cluster == cluster)
    if request_id is not None:
        query = query.where(events.request_id == request_id)
    query = query.order_by(events.id).limit(_AT_ONCE)
    rows = tx.execute(query).all()
    while rows:
        yield from map(_one, rows)
        rows = tx.execute(query.where(events.id > rows[-1].id)).all()


def latest(tx: Connection, limit: int) -> list[Recorded]:
    """The last `limit` events, newest first."""
    return [
        _one(row) for row in tx.execute(_recorded().order_by(audit_events.c.id.desc()).limit(limit))
    ]


def highest_id(tx: Connection) -> int:
    """The highest id of an event, which is about their count; 0 of none."""
    return tx.scalar(select(func.max(audit_events.c.id))) or 0


def access_at(tx: Connection, at: datetime, cluster: str | None = None) -> list[Held]:
    """Who had access at a moment, by request, as the trail tells it."""
    approved, ended = audit_events.alias("approved"), audit_events.alias("ended")
    over = exists().where(
        ended.c.request_id == approved.c.request_id,
        ended.c.action == "grant.ended",
        ended.c.at <= at,
    )
    query = select(approved.c.request_id).where(
        approved.c.action == "request.approved", approved.c.at <= at, ~over
    )
    if cluster is not None:
        query = query.where(approved.c.cluster == cluster)
    ids = sorted({*tx.execute(query).scalars()} - {None})
    held = []
    for first in range(0, len(ids), _REQUESTS_AT_ONCE):
        some = ids[first : first + _REQUESTS_AT_ONCE]
        stories: dict[str, list[AuditEvent]] = {}
        chosen = _recorded().where(audit_events.c.request_id.in_(some))
        for row in tx.execute(chosen.order_by(audit_events.c.id)):
            stories.setdefault(row.request_id, []).append(_one(row).event)
        held += [one for story in stories.values() if (one := held_at(story, at)) is not None]
    return sorted(held, key=lambda one: one.request_id)


def _recorded() -> Select[Any]:
    seals = audit_seals.c
    return select(
        audit_events, seals.position, seals.sealed_at, seals.digest, seals.hash
    ).select_from(audit_events.outerjoin(audit_seals, seals.event_id == audit_events.c.id))


def _one(row: Row[Any]) -> Recorded:
    event = AuditEvent(row.at, row.actor, row.action, row.request_id, row.cluster, row.details)
    return Recorded(row.id, event, row.position, row.sealed_at, row.digest, row.hash)
