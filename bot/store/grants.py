"""Grants. A state changes only from the state that was expected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    insert,
    or_,
    select,
    update,
)

from bot.core.errors import Conflict, NotFound
from bot.core.model import Access, Cluster, EndReason, Grant, GrantState, Owners
from bot.store.tables import grants

LIVE = frozenset(GrantState) - {GrantState.ENDED}

_cluster = TypeAdapter(Cluster)
_access = TypeAdapter(Access)
_owners = TypeAdapter(Owners)

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_ONE = select(grants).where(grants.c.id == bindparam("grant"))
_LIVE_OF_ENTRY = (
    select(grants)
    .where(
        grants.c.entry_id == bindparam("entry"),
        # Not a list of states, which would be written out anew each time.
        grants.c.state != GrantState.ENDED.value,
    )
    .order_by(grants.c.id)
)
_CHANGE = update(grants).where(
    grants.c.id == bindparam("grant"), grants.c.state == bindparam("expected")
)
_STARTING = (
    select(grants.c.id)
    .where(grants.c.state == GrantState.SCHEDULED.value, grants.c.starts_at <= bindparam("now"))
    .order_by(grants.c.starts_at)
    .limit(bindparam("most", type_=Integer))
)


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
                    "revokers": _owners.dump_python(grant.revokers, mode="json"),
                },
            }
        )
    )


def change(tx: Connection, grant: Grant, *, expected: GrantState) -> None:
    """Store the new state of a grant that is still in `expected`. Raises Conflict if it is not."""
    which = {"grant": grant.id, "expected": expected.value}
    changed = tx.execute(_CHANGE, _changing_columns(grant) | which)
    if changed.rowcount != 1:
        raise Conflict("grant_moved_on", f"Grant {grant.id} changed at the same moment.")


def starting(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of SCHEDULED grants whose start has come, the earliest first."""
    return list(tx.scalars(_STARTING, {"now": now, "most": limit}))


def get(tx: Connection, grant_id: str) -> Grant:
    """The grant. Raises NotFound."""
    grant = find(tx, grant_id)
    if grant is None:
        raise NotFound("unknown_grant", f"There is no grant {grant_id}.")
    return grant


def find(tx: Connection, grant_id: str) -> Grant | None:
    """The grant of a request, if it was approved."""
    row = tx.execute(_ONE, {"grant": grant_id}).one_or_none()
    return _grant(row) if row is not None else None


def entry_of(tx: Connection, grant_id: str) -> int | None:
    """The id of the access entry that a grant is part of."""
    return tx.scalar(select(grants.c.entry_id).where(grants.c.id == grant_id))


def past_end(tx: Connection, moment: datetime) -> tuple[Grant, ...]:
    """Grants whose access was to be gone at a moment, and is not confirmed to be."""
    given = grants.c.state.in_([GrantState.REVOKING.value, GrantState.ACTIVE.value])
    given_up = (grants.c.state == GrantState.PROVISIONING.value) & (
        (grants.c.provision_by <= moment) | (grants.c.ends_at <= moment)
    )
    query = select(grants).where((given & _was_to_end_by(moment)) | given_up)
    query = query.order_by(grants.c.id)
    return tuple(_grant(row) for row in tx.execute(query))


def ended_since(
    tx: Connection,
    since: datetime,
    *,
    cluster: str | None = None,
    before: datetime | None = None,
    due_by: datetime | None = None,
) -> tuple[Grant, ...]:
    """Grants whose end was confirmed at or after a moment, the latest last.

    With `before` only those of before that moment; with `due_by` those whose access was to be gone
    by then.
    """
    query = select(grants).where(
        grants.c.state == GrantState.ENDED.value, grants.c.ended_at >= since
    )
    if cluster is not None:
        query = query.where(grants.c.cluster == cluster)
    if before is not None:
        query = query.where(grants.c.ended_at < before)
    if due_by is not None:
        query = query.where(_was_to_end_by(due_by))
    return tuple(_grant(row) for row in tx.execute(query.order_by(grants.c.ended_at)))


def _was_to_end_by(moment: datetime) -> ColumnElement[bool]:
    return (grants.c.ends_at <= moment) | (grants.c.revoking_since <= moment)


def live_of_entry(tx: Connection, entry_id: int) -> tuple[Grant, ...]:
    """All grants of an access entry that have not ended."""
    return tuple(_grant(row) for row in tx.execute(_LIVE_OF_ENTRY, {"entry": entry_id}))


def live_of_line(tx: Connection, grant_id: str) -> tuple[Grant, ...]:
    """What is live of one access and not being removed, the oldest first."""
    over = {GrantState.REVOKING, GrantState.ENDED}
    return tuple(one for one in of_line(tx, grant_id) if one.state not in over)


def of_line(tx: Connection, grant_id: str) -> tuple[Grant, ...]:
    """One access, the oldest first: a grant, what it extends, and all that takes over from these.

    A grant that takes over is made while the other is live, so the last one ends last.
    """
    every = _live(tx, {"entry_id": entry_of(tx, grant_id)}, frozenset(GrantState))
    first: dict[str, str] = {}
    for grant in every:  # by id, so that each comes after what it extends
        first[grant.id] = first.get(grant.extends, grant.extends) if grant.extends else grant.id
    mine = first.get(grant_id)
    return tuple(one for one in every if first[one.id] == mine)


def live(
    tx: Connection,
    *,
    requester: str | None = None,
    cluster: str | None = None,
    states: Collection[GrantState] = LIVE,
) -> tuple[Grant, ...]:
    """Grants that have not ended, by person, cluster or state."""
    asked = {"requester": requester, "cluster": cluster}
    return _live(tx, {name: value for name, value in asked.items() if value is not None}, states)


def unended_at(tx: Connection, at: datetime, cluster: str | None = None) -> tuple[Grant, ...]:
    """Grants that had been made at a moment and had not ended by then."""
    query = select(grants).where(
        grants.c.created_at <= at, or_(grants.c.ended_at.is_(None), grants.c.ended_at > at)
    )
    if cluster is not None:
        query = query.where(grants.c.cluster == cluster)
    return tuple(_grant(row) for row in tx.execute(query.order_by(grants.c.id)))


def _live(
    tx: Connection, where: Mapping[str, Any], states: Collection[GrantState]
) -> tuple[Grant, ...]:
    values = {f"this_{name}": value for name, value in where.items()}
    values["states"] = [state.value for state in states]
    return tuple(_grant(row) for row in tx.execute(_in_states(*where), values))


@cache
def _in_states(*columns: str) -> Select[Any]:
    """Grants in some states, by the values of these columns."""
    return (
        select(grants)
        .where(
            grants.c.state.in_(bindparam("states", expanding=True)),
            *(grants.c[name] == bindparam(f"this_{name}") for name in columns),
        )
        .order_by(grants.c.id)
    )


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
        # Rows from before these were kept have none.
        revokers=_owners.validate_python(row.document.get("revokers", {})),
    )
