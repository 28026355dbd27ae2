"""Grants. A state changes only from the state that was expected."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, or_, select, update

from bot.core.errors import Conflict, NotFound
from bot.core.model import Access, Cluster, EndReason, Grant, GrantState
from bot.store.tables import grants

LIVE = frozenset(GrantState) - {GrantState.ENDED}

_cluster = TypeAdapter(Cluster)
_access = TypeAdapter(Access)


def add(tx: Connection, grant: Grant, entry_id: int) -> None:
    """Store a new grant of the access entry `entry_id`."""
    tx.execute(
        insert(grants).values(
            _changing_columns(grant)
            | {
                "id": grant.id,
                "entry_id": entry_id,
                "requester": grant.requester,
                "cluster": grant.cluster.name,
                "principal_arn": grant.principal_arn,
                "duration_seconds": grant.duration.total_seconds(),
                "created_at": grant.created_at,
                "provision_by": grant.provision_by,
                "starts_at": grant.starts_at,
                "document": {
                    "cluster": _cluster.dump_python(grant.cluster, mode="json"),
                    "access": _access.dump_python(grant.access, mode="json"),
                    "extends": grant.extends,
                    "began_at": grant.began_at.isoformat() if grant.began_at else None,
                },
            }
        )
    )


def change(tx: Connection, grant: Grant, *, expected: GrantState) -> None:
    """Store the new state of a grant that is still in `expected`. Raises Conflict if it is not."""
    changed = tx.execute(
        update(grants)
        .where(grants.c.id == grant.id, grants.c.state == expected.value)
        .values(_changing_columns(grant))
    )
    if changed.rowcount != 1:
        raise Conflict("grant_moved_on", f"Grant {grant.id} changed at the same moment.")


def starting(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of SCHEDULED grants whose start has come, the earliest first."""
    query = (
        select(grants.c.id)
        .where(grants.c.state == GrantState.SCHEDULED.value, grants.c.starts_at <= now)
        .order_by(grants.c.starts_at)
        .limit(limit)
    )
    return list(tx.scalars(query))


def get(tx: Connection, grant_id: str) -> Grant:
    """The grant. Raises NotFound."""
    grant = find(tx, grant_id)
    if grant is None:
        raise NotFound("unknown_grant", f"There is no grant {grant_id}.")
    return grant


def find(tx: Connection, grant_id: str) -> Grant | None:
    """The grant of a request, if it was approved."""
    row = tx.execute(select(grants).where(grants.c.id == grant_id)).one_or_none()
    return _grant(row) if row is not None else None


def entry_of(tx: Connection, grant_id: str) -> int | None:
    """The id of the access entry that a grant is part of."""
    return tx.scalar(select(grants.c.entry_id).where(grants.c.id == grant_id))


def live_of_entry(tx: Connection, entry_id: int) -> tuple[Grant, ...]:
    """All grants of an access entry that have not ended."""
    return _live(tx, grants.c.entry_id == entry_id)


def live_extensions(tx: Connection, grant_id: str) -> tuple[Grant, ...]:
    """The grants that take over from this one, one after the other, and are not being removed."""
    entry_id = entry_of(tx, grant_id)
    of_entry = live_of_entry(tx, entry_id) if entry_id is not None else ()
    found: dict[str, Grant] = {}
    for grant in of_entry:  # by id, so that each comes after what it extends
        if grant.state is not GrantState.REVOKING and (
            grant.extends == grant_id or grant.extends in found
        ):
            found[grant.id] = grant
    return tuple(found.values())


def live(
    tx: Connection,
    *,
    requester: str | None = None,
    cluster: str | None = None,
    states: Collection[GrantState] = LIVE,
) -> tuple[Grant, ...]:
    """Grants that have not ended, by person, cluster or state."""
    conditions = []
    if requester is not None:
        conditions.append(grants.c.requester == requester)
    if cluster is not None:
        conditions.append(grants.c.cluster == cluster)
    return _live(tx, *conditions, states=states)


def unended_at(tx: Connection, at: datetime, cluster: str | None = None) -> tuple[Grant, ...]:
    """Grants that had been made at a moment and had not ended by then."""
    query = select(grants).where(
        grants.c.created_at <= at, or_(grants.c.ended_at.is_(None), grants.c.ended_at > at)
    )
    if cluster is not None:
        query = query.where(grants.c.cluster == cluster)
    return tuple(_grant(row) for row in tx.execute(query.order_by(grants.c.id)))


def _live(
    tx: Connection, *conditions: Any, states: Collection[GrantState] = LIVE
) -> tuple[Grant, ...]:
    query = (
        select(grants)
        .where(grants.c.state.in_([state.value for state in states]), *conditions)
        .order_by(grants.c.id)
    )
    return tuple(_grant(row) for row in tx.execute(query))


def _changing_columns(grant: Grant) -> dict[str, Any]:
    return {
        "state": grant.state.value,
        "ends_at": grant.ends_at,
        "confirmed_at": grant.confirmed_at,
        "revoking_since": grant.revoking_since,
        "ended_at": grant.ended_at,
        "end_reason": grant.end_reason.value if grant.end_reason else None,
        "ended_by": grant.ended_by,
        "problem": grant.problem,
    }


def _grant(row: Row[Any]) -> Grant:
    began_at = row.document["began_at"]
    return Grant(
        id=row.id,
        requester=row.requester,
        cluster=_cluster.validate_python(row.document["cluster"]),
        principal_arn=row.principal_arn,
        access=_access.validate_python(row.document["access"]),
        duration=timedelta(seconds=row.duration_seconds),
        created_at=row.created_at,
        provision_by=row.provision_by,
        ends_at=row.ends_at,
        state=GrantState(row.state),
        starts_at=row.starts_at,
        confirmed_at=row.confirmed_at,
        revoking_since=row.revoking_since,
        ended_at=row.ended_at,
        end_reason=EndReason(row.end_reason) if row.end_reason else None,
        ended_by=row.ended_by,
        problem=row.problem,
        extends=row.document["extends"],
        began_at=datetime.fromisoformat(began_at) if began_at else None,
    )
