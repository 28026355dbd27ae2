"""The identity of this store, and the stores whose entries it has taken over.

Two bots under one deployment name, each with a database of its own, would take each other's entries
for what their store has lost. So each entry bears the identity of the store it was made from.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.core.drift import Kind
from bot.core.planner import Owner
from bot.store.tables import drift_findings, entries, grants, store

_BYTES = 8
_ROW = select(store.c.identity, store.c.adopted)


@dataclass(frozen=True, slots=True)
class Strangers:
    """Entries of another store's that this one met before it had given any access itself.

    `since` is when it met the first; `number` of them are there now.
    """

    since: datetime
    number: int


def ensure_identity(tx: Connection) -> None:
    """Give the store an identity, at random, unless it has one."""
    made = secrets.token_hex(_BYTES)
    nameless = update(store).where(store.c.identity.is_(None))
    if tx.execute(nameless.values(identity=made)).rowcount or tx.execute(_ROW).one_or_none():
        return
    try:
        with tx.begin_nested():  # the tables were made anew, without the row
            tx.execute(insert(store).values(id=1, identity=made, adopted=[]))
    except IntegrityError:
        return  # another replica was faster


def owner(tx: Connection, deployment: str) -> Owner:
    """By which tags the bot tells a deployment's entries of its own."""
    row = tx.execute(_ROW).one_or_none()
    return as_owner(deployment, *row) if row is not None else Owner(deployment)


def as_owner(deployment: str, identity: str | None, adopted: Sequence[Sequence[str]]) -> Owner:
    """The owner, from what the columns of the table hold."""
    theirs = frozenset(one for name, one in adopted if name == deployment)
    return Owner(deployment, identity, theirs)


def adopt(tx: Connection, deployment: str, identities: Collection[str]) -> None:
    """From now on a deployment's entries of these stores are this one's, too."""
    ensure_identity(tx)
    adopted = tx.scalars(select(store.c.adopted).with_for_update()).one()
    new = [[deployment, one] for one in sorted(identities)]
    tx.execute(
        update(store).values(adopted=[*adopted, *(one for one in new if one not in adopted)])
    )


def strangers(tx: Connection, deployment: str) -> Strangers | None:
    """Whether this may be the wrong database; None where it gave access before it met others'."""
    met = (drift_findings.c.kind == Kind.ANOTHER_STORE.value, entries.c.deployment == deployment)
    of_entry = drift_findings.c.entry_id == entries.c.id
    there = select(func.count()).where(of_entry, *met, drift_findings.c.over_at.is_(None))
    number = int(tx.scalar(there) or 0)
    if not number:
        return None
    since = tx.scalars(select(drift_findings.c.found_at).where(of_entry, *met).order_by("found_at"))
    first = since.first()
    before = select(grants.c.id).where(
        grants.c.entry_id == entries.c.id,
        entries.c.deployment == deployment,
        grants.c.created_at <= first,
    )
    if first is None or tx.scalars(before.limit(1)).first() is not None:
        return None
    return Strangers(first, number)
