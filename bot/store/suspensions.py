"""Suspensions: at most one of a person is on. A row stays when it is over: it was so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict
from bot.core.suspension import Suspension
from bot.store.tables import suspensions

_ON = select(suspensions).where(suspensions.c.ended_at.is_(None)).order_by(suspensions.c.id)
_AMONG = select(suspensions.c.person).where(
    suspensions.c.ended_at.is_(None),
    suspensions.c.person.in_(bindparam("people", expanding=True)),
)


def current(tx: Connection, person: str) -> Suspension | None:
    """The suspension of this person that is on, if one is."""
    row = tx.execute(_ON.where(suspensions.c.person == person)).one_or_none()
    return _suspension(row) if row is not None else None


def every(tx: Connection) -> tuple[Suspension, ...]:
    """All that are on, the oldest first."""
    return tuple(map(_suspension, tx.execute(_ON)))


def among(tx: Connection, people: Collection[str]) -> frozenset[str]:
    """Those of these Slack user ids that are suspended."""
    return frozenset(tx.scalars(_AMONG, {"people": sorted(people)}))


def begin(tx: Connection, person: str, *, by: str, reason: str, now: datetime) -> Suspension:
    """Suspend the person. Raises Conflict where they are suspended already."""
    row = insert(suspensions).values(person=person, began_at=now, began_by=by, reason=reason)
    try:
        with tx.begin_nested():
            found = tx.execute(row.returning(*suspensions.c)).one()
    except IntegrityError as error:
        raise Conflict(
            "already_suspended", f"{person} is suspended already. Nothing was changed."
        ) from error
    return _suspension(found)


def end(tx: Connection, person: str, *, by: str, now: datetime) -> Suspension:
    """Let the person have access again. Raises Conflict where they are not suspended."""
    row = tx.execute(
        update(suspensions)
        .where(suspensions.c.person == person, suspensions.c.ended_at.is_(None))
        .values(ended_at=now, ended_by=by)
        .returning(*suspensions.c)
    ).one_or_none()
    if row is None:
        raise Conflict("not_suspended", f"{person} is not suspended. Nothing was changed.")
    return _suspension(row)


def _suspension(row: Row[tuple[object, ...]]) -> Suspension:
    return Suspension(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public way to name the columns
