"""Reviews that break-glass owes: one for each, given once, with the steps that time takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Integer, Row, and_, bindparam, insert, or_, select, update

from bot.core.errors import Conflict
from bot.core.model import EndReason, EscalationStep, Owners
from bot.core.post_review import PostReview, ReviewStep, next_step
from bot.store.tables import grants, post_reviews

_owners = TypeAdapter(Owners)
_escalation = TypeAdapter(EscalationStep | None)

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_MOST = bindparam("most", type_=Integer)
_DUE = (
    select(post_reviews.c.request_id)
    .where(post_reviews.c.step_due_at <= bindparam("now"))
    .order_by(post_reviews.c.step_due_at)
    .limit(_MOST)
)
_OPEN = (
    select(post_reviews)
    .where(post_reviews.c.reviewed_at.is_(None))
    .order_by(post_reviews.c.due_at, post_reviews.c.request_id)
)
_SOME_OPEN = _OPEN.limit(_MOST)
_OPEN_OF = _OPEN.where(post_reviews.c.requester == bindparam("person"))


def add(tx: Connection, owed: PostReview, requester: str) -> None:
    """Store the review that `requester`'s break-glass owes."""
    tx.execute(
        insert(post_reviews).values(
            request_id=owed.request_id,
            requester=requester,
            begun_at=owed.begun_at,
            remind_at=owed.remind_at,
            due_at=owed.due_at,
            document={
                "owners": _owners.dump_python(owed.owners, mode="json"),
                "escalation": _escalation.dump_python(owed.escalation, mode="json"),
            },
            **_steps(owed),
        )
    )


def find(tx: Connection, request_id: str) -> PostReview | None:
    """The review that the request owes or has had; None where it is no break-glass that began."""
    row = tx.execute(select(post_reviews).where(post_reviews.c.request_id == request_id))
    found = row.one_or_none()
    return _post_review(found) if found is not None else None


def find_locked(tx: Connection, request_id: str) -> PostReview | None:
    """As `find`, with the row locked until the transaction ends."""
    query = select(post_reviews).where(post_reviews.c.request_id == request_id).with_for_update()
    found = tx.execute(query).one_or_none()
    return _post_review(found) if found is not None else None


def close(tx: Connection, reviewed: PostReview) -> None:
    """Store a review that was given. Raises Conflict where another was given before."""
    changed = tx.execute(
        update(post_reviews)
        .where(
            post_reviews.c.request_id == reviewed.request_id, post_reviews.c.reviewed_at.is_(None)
        )
        .values(
            reviewer=reviewed.reviewer,
            reviewed_at=reviewed.reviewed_at,
            justified=reviewed.justified,
            findings=reviewed.findings,
            step_due_at=None,
        )
    )
    if changed.rowcount != 1:
        raise Conflict(
            "already_reviewed",
            f"Break-glass {reviewed.request_id} was reviewed already. `/eks-access status "
            f"{reviewed.request_id}` shows by whom.",
        )


def take_steps(tx: Connection, owed: PostReview) -> bool:
    """Store the steps that `owed` now has, and when the next is due. False: it was reviewed."""
    changed = tx.execute(
        update(post_reviews)
        .where(post_reviews.c.request_id == owed.request_id, post_reviews.c.reviewed_at.is_(None))
        .values(_steps(owed))
    )
    return changed.rowcount == 1


def due(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of break-glass requests whose review has a step to take, the longest due first."""
    return list(tx.scalars(_DUE, {"now": now, "most": limit}))


def overdue(tx: Connection, requester: str, now: datetime) -> list[str]:
    """Ids of a person's break-glass requests whose review is overdue at `now`, oldest first."""
    query = select(post_reviews.c.request_id).where(
        post_reviews.c.requester == requester,
        post_reviews.c.reviewed_at.is_(None),
        post_reviews.c.due_at <= now,
    )
    return list(tx.scalars(query.order_by(post_reviews.c.due_at, post_reviews.c.request_id)))


def revoked(tx: Connection, requester: str) -> list[str]:
    """Ids of a person's break-glass requests that others revoked and nobody has reviewed."""
    query = (
        select(post_reviews.c.request_id)
        .join(grants, grants.c.id == post_reviews.c.request_id)
        .where(
            post_reviews.c.requester == requester,
            post_reviews.c.reviewed_at.is_(None),
            or_(
                and_(
                    grants.c.end_reason == EndReason.REVOKED.value,
                    grants.c.ended_by != requester,
                ),
                grants.c.revoked_late_at.is_not(None),
            ),
        )
    )
    return list(tx.scalars(query.order_by(post_reviews.c.request_id)))


def open_ones(tx: Connection, limit: int) -> list[PostReview]:
    """Reviews that nobody has given, the soonest due first."""
    return [_post_review(row) for row in tx.execute(_SOME_OPEN, {"most": limit})]


def open_of(tx: Connection, requester: str) -> list[PostReview]:
    """Those that this person's break-glass owes, the soonest due first."""
    return [_post_review(row) for row in tx.execute(_OPEN_OF, {"person": requester})]


def _steps(owed: PostReview) -> dict[str, Any]:
    coming = next_step(owed)
    return {"steps": list(owed.steps), "step_due_at": coming[1] if coming else None}


def _post_review(row: Row[Any]) -> PostReview:
    return PostReview(
        request_id=row.request_id,
        owners=_owners.validate_python(row.document["owners"]),
        begun_at=row.begun_at,
        remind_at=row.remind_at,
        due_at=row.due_at,
        escalation=_escalation.validate_python(row.document["escalation"]),
        reviewer=row.reviewer,
        reviewed_at=row.reviewed_at,
        justified=row.justified,
        findings=row.findings,
        steps=tuple(map(ReviewStep, row.steps)),
    )
