"""Lockdowns: at most one is on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict
from bot.core.lockdown import Lockdown
from bot.store.tables import lockdowns

_ON, _OFF = "ON", "OFF"
_CURRENT = select(lockdowns).where(lockdowns.c.state == _ON)


def current(tx: Connection) -> Lockdown | None:
    """The lockdown that is on, if one is."""
    row = tx.execute(_CURRENT).one_or_none()
    return _lockdown(row) if row is not None else None


def begin(tx: Connection, *, by: str, reason: str, revoking: bool, now: datetime) -> Lockdown:
    """Turn it on. Raises Conflict where it is on."""
    row = insert(lockdowns).values(
        state=_ON, began_at=now, began_by=by, reason=reason, revoking=revoking
    )
    try:
        with tx.begin_nested():
            found = tx.execute(row.returning(*lockdowns.c)).one()
    except IntegrityError as error:
        raise Conflict("locked_down", "Lockdown is on already. Nothing was changed.") from error
    return _lockdown(found)


def widen(tx: Connection, lockdown: Lockdown) -> Lockdown:
    """Have it revoke what is live, too. Raises Conflict where it is over meanwhile."""
    row = tx.execute(
        update(lockdowns)
        .where(lockdowns.c.id == lockdown.id, lockdowns.c.state == _ON)
        .values(revoking=True)
        .returning(*lockdowns.c)
    ).one_or_none()
    if row is None:
        raise Conflict("not_locked_down", "Lockdown is over meanwhile. Nothing was changed.")
    return _lockdown(row)


def end(tx: Connection, *, by: str, now: datetime) -> Lockdown:
    """Turn it off. Raises Conflict where it is not on."""
    row = tx.execute(
        update(lockdowns)
        .where(lockdowns.c.state == _ON)
        .values(state=_OFF, ended_at=now, ended_by=by)
        .returning(*lockdowns.c)
    ).one_or_none()
    if row is None:
        raise Conflict("not_locked_down", "Lockdown is not on. Nothing was changed.")
    return _lockdown(row)


def _lockdown(row: Row[tuple[object, ...]]) -> Lockdown:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to name the columns
    del values["state"]
    return Lockdown(**values)
