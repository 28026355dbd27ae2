"""Requests and their reviews. A state changes only from the state that was expected."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    Connection,
    Integer,
    Row,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from bot.core.errors import Conflict, NotFound
from bot.core.ids import next_id
from bot.core.model import (
    Access,
    AccessRequest,
    Cluster,
    EndReason,
    GrantState,
    Owners,
    Principal,
    RequestState,
    Requirement,
    Review,
    Step,
    Verdict,
)
from bot.core.names import principal_key
from bot.core.steps import next_step_at
from bot.store.due import AT_ONCE
from bot.store.tables import grants, requests, reviews

_cluster = TypeAdapter(Cluster)
_access = TypeAdapter(Access)
_principal = TypeAdapter(Principal)
_alarmed = TypeAdapter(tuple[tuple[str, Owners], ...])
_requirements = TypeAdapter(tuple[Requirement, ...])
_steps = TypeAdapter(tuple[Step, ...])

# Built once: to build a statement takes longer than to carry it out, and these are the most used.
_MOST = bindparam("most", type_=Integer)
_ONE = select(requests).where(requests.c.id == bindparam("request"))
# What a change of a request does besides: its Slack messages no longer show what is so.
TOUCHED: dict[str, Any] = {
    "version": requests.c.version + 1,
    "messages_due_at": AT_ONCE,
    "messages_attempts": 0,
}
_TOUCH = update(requests).where(requests.c.id == bindparam("request")).values(TOUCHED)
_LAPSING = (
    select(requests.c.id)
    .where(requests.c.state == RequestState.PENDING.value, requests.c.lapses_at <= bindparam("now"))
    .order_by(requests.c.lapses_at)
    .limit(_MOST)
)
_STEPPING = (
    select(requests.c.id)
    .where(requests.c.step_due_at <= bindparam("now"))
    .order_by(requests.c.step_due_at)
    .limit(_MOST)
)
_OF_REQUESTER = (
    select(requests)
    .where(requests.c.requester == bindparam("person"))
    .order_by(requests.c.id.desc())
    .limit(_MOST)
)
_OF_REQUESTER_IN_STATE = _OF_REQUESTER.where(requests.c.state == bindparam("in_state"))
_SAID_NO = {RequestState.DENIED, RequestState.CANCELLED, RequestState.LAPSED}
_FINISHED = (
    select(requests)
    .outerjoin(grants, grants.c.id == requests.c.id)
    .where(
        requests.c.requester == bindparam("person"),
        or_(
            requests.c.state.in_(sorted(state.value for state in _SAID_NO)),
            and_(
                grants.c.state == GrantState.ENDED.value,
                grants.c.end_reason != EndReason.SUPERSEDED.value,
            ),
        ),
    )
    .order_by(requests.c.id.desc())
    .limit(_MOST)
)
_PENDING = (
    select(requests)
    .where(requests.c.state == RequestState.PENDING.value)
    .order_by(requests.c.id)
    .limit(_MOST)
)
_REVIEWS_OF = (
    select(reviews)
    .where(reviews.c.request_id.in_(bindparam("requests", expanding=True)))
    .order_by(reviews.c.at, reviews.c.reviewer)
)


def new_id(tx: Connection, now: datetime) -> str:
    """The next free request id."""
    return next_id(now, tx.scalar(select(func.max(requests.c.id))))


def add(tx: Connection, request: AccessRequest) -> None:
    """Store a new request.

    Raises Conflict where the same person already waits for the same thing.
    """
    waiting = waiting_for(
        tx, request.requester, request.cluster.name, request.level, request.namespaces
    )
    if waiting is not None:
        raise _already_waiting(waiting.id)
    row = _decided_columns(request) | {
        "id": request.id,
        "requester": request.requester,
        "cluster": request.cluster.name,
        "level": request.level,
        "namespaces": _namespaces_key(request.namespaces),
        "principal_arn": request.principal.arn,
        "state": request.state.value,
        "reason": request.reason,
        "ticket": request.ticket,
        "created_at": request.created_at,
        "lapses_at": request.lapses_at,
        "messages_due_at": AT_ONCE,
        "steps": _steps.dump_python(request.steps, mode="json"),
        "step_due_at": next_step_at(request, request.created_at),
        "document": {
            "requester_name": request.requester_name,
            "cluster": _cluster.dump_python(request.cluster, mode="json"),
            "namespaces": list(request.namespaces),
            "duration_seconds": int(request.duration.total_seconds()),
            "start_at": request.start_at.isoformat() if request.start_at else None,
            "principal": _principal.dump_python(request.principal, mode="json"),
            "access": _access.dump_python(request.access, mode="json"),
            "rules": list(request.rules),
            "extends": request.extends,
            "already_seconds": request.already.total_seconds(),
            "requirements": _requirements.dump_python(request.requirements, mode="json"),
            "shown_in": list(request.shown_in),
            "break_glass": request.break_glass,
            "ends_with_ticket": request.ends_with_ticket,
            "ticket_service": request.ticket_service,
            "replaces": request.replaces,
            "notes": list(request.notes),
            "alarmed": _alarmed.dump_python(request.alarmed, mode="json"),
        },
    }
    try:
        tx.execute(insert(requests).values(row))
    except IntegrityError as error:
        # Another replica was faster with the same request, or with the same id.
        raise Conflict(
            "try_again", "Somebody asked at the same moment. Nothing was changed; ask again."
        ) from error


def get(tx: Connection, request_id: str) -> AccessRequest:
    """The request. Raises NotFound."""
    return _required(tx.execute(_ONE, {"request": request_id}), request_id)


def get_locked(tx: Connection, request_id: str) -> AccessRequest:
    """The request, with its row locked until the transaction ends. Raises NotFound."""
    query = select(requests).where(requests.c.id == request_id).with_for_update()
    return _required(tx.execute(query), request_id)


def lock(tx: Connection, request_ids: Iterable[str]) -> None:
    """Lock the rows of several requests until the transaction ends, in the order of their ids.

    Whoever changes several of them, or what hangs on them, does this first, so that no two wait for
    each other.
    """
    query = select(requests.c.id).where(requests.c.id.in_(sorted(set(request_ids))))
    tx.execute(query.order_by(requests.c.id).with_for_update())


def decide(tx: Connection, request: AccessRequest) -> None:
    """Store a decision on a request that is still PENDING. Raises Conflict where it is not."""
    changed = tx.execute(
        update(requests)
        .where(requests.c.id == request.id, requests.c.state == RequestState.PENDING.value)
        .values(
            _decided_columns(request)
            | {"state": request.state.value, "step_due_at": None}
            | TOUCHED
        )
    )
    if changed.rowcount != 1:
        raise Conflict(
            "already_decided", f"Request {request.id} was decided at the same moment by another."
        )


def redecide(tx: Connection, request: AccessRequest) -> None:
    """Store what the decision that holds says of the request: its rules, and what hangs on them."""
    document = tx.execute(select(requests.c.document).where(requests.c.id == request.id)).scalar()
    changed = {
        "rules": list(request.rules),
        "requirements": _requirements.dump_python(request.requirements, mode="json"),
        "ends_with_ticket": request.ends_with_ticket,
        "ticket_service": request.ticket_service,
    }
    tx.execute(
        update(requests)
        .where(requests.c.id == request.id)
        .values(document={**(document or {}), **changed})
    )


def touch(tx: Connection, request_id: str) -> None:
    """Say that the request's Slack messages no longer show what is so.

    They are due at once, whatever the clock says.
    """
    tx.execute(_TOUCH, {"request": request_id})


def waiting_for(
    tx: Connection, requester: str, cluster: str, level: str, namespaces: Iterable[str]
) -> AccessRequest | None:
    """The person's request for exactly this that waits for a decision; there is one at most."""
    query = select(requests).where(
        requests.c.requester == requester,
        requests.c.cluster == cluster,
        requests.c.level == level,
        requests.c.namespaces == _namespaces_key(namespaces),
        requests.c.state == RequestState.PENDING.value,
    )
    row = tx.execute(query).one_or_none()
    return _request(row) if row is not None else None


def lapsing(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of PENDING requests whose time to be decided is over."""
    return list(tx.scalars(_LAPSING, {"now": now, "most": limit}))


def stepping(tx: Connection, now: datetime, limit: int) -> list[str]:
    """Ids of requests that have waited long enough for a reminder or an escalation."""
    return list(tx.scalars(_STEPPING, {"now": now, "most": limit}))


def set_steps(tx: Connection, request: AccessRequest, next_at: datetime | None) -> None:
    """Store the steps that were done, and when to look for more."""
    values = {
        "steps": _steps.dump_python(request.steps, mode="json"),
        "step_due_at": next_at,
    }
    tx.execute(update(requests).where(requests.c.id == request.id).values(values))


def of_requester(
    tx: Connection, requester: str, *, state: RequestState | None = None, limit: int = 20
) -> list[AccessRequest]:
    """A person's requests, newest first."""
    values = {"person": requester, "most": limit}
    if state is None:
        return [_request(row) for row in tx.execute(_OF_REQUESTER, values)]
    rows = tx.execute(_OF_REQUESTER_IN_STATE, values | {"in_state": state.value})
    return [_request(row) for row in rows]


def finished(tx: Connection, requester: str, limit: int) -> list[AccessRequest]:
    """A person's requests that are over, newest first.

    Over is what was denied, cancelled or lapsed, and access that ended; not access that another
    grant took over.
    """
    rows = tx.execute(_FINISHED, {"person": requester, "most": limit})
    return [_request(row) for row in rows]


def pending(tx: Connection, limit: int) -> list[AccessRequest]:
    """Requests that wait for a decision, oldest first."""
    return [_request(row) for row in tx.execute(_PENDING, {"most": limit})]


def count_pending(tx: Connection, requester: str) -> int:
    """How many of a person's requests wait for a decision."""
    query = select(func.count()).where(
        requests.c.requester == requester, requests.c.state == RequestState.PENDING.value
    )
    return int(tx.scalars(query).one())


def hanging_on_tickets(tx: Connection) -> list[str]:
    """Ids of live grants that end when their ticket closes, and are not being removed yet."""
    live = [GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE]
    query = (
        select(requests)
        .join(grants, grants.c.id == requests.c.id)
        .where(grants.c.state.in_([state.value for state in live]), requests.c.ticket.is_not(None))
        .order_by(requests.c.id)
    )
    return [one.id for one in map(_request, tx.execute(query)) if one.ends_with_ticket]


def approved_of(
    tx: Connection, requester: str, since: datetime, *, but: str | None = None
) -> list[AccessRequest]:
    """A person's requests that were approved after `since`, without the request `but`."""
    query = select(requests).where(
        requests.c.requester == requester,
        requests.c.state == RequestState.APPROVED.value,
        requests.c.decided_at > since,
        requests.c.id != (but or ""),
    )
    return [_request(row) for row in tx.execute(query)]


def others_on_principal(tx: Connection, principal_arn: str, requester: str) -> frozenset[str]:
    """Slack user ids of other people whose requests were for the same principal.

    Only requests that wait or were approved count: those are what gave or may give access.
    """
    wanted = principal_key(principal_arn)
    name = func.lower(requests.c.principal_arn)
    query = (
        select(requests.c.requester, requests.c.principal_arn)
        .where(
            or_(name.endswith(f"/{wanted[-1]}", autoescape=True), name == principal_arn.lower()),
            requests.c.requester != requester,
            requests.c.state.in_([RequestState.PENDING.value, RequestState.APPROVED.value]),
        )
        .distinct()
    )
    return frozenset(
        row.requester
        for row in tx.execute(query)
        if principal_key(row.principal_arn) == wanted  # whatever the path and the case
    )


def add_review(tx: Connection, review: Review) -> None:
    """Store a verdict. Raises Conflict where the person has already given one."""
    known = select(reviews.c.verdict).where(
        reviews.c.request_id == review.request_id, reviews.c.reviewer == review.reviewer
    )
    if tx.scalar(known) is not None:
        raise _already_reviewed(review)
    row = insert(reviews).values(
        request_id=review.request_id,
        reviewer=review.reviewer,
        verdict=review.verdict.value,
        reason=review.reason,
        rules=list(review.rules),
        deputy_of=list(review.deputy_of),
        seats={key: list(owners) for key, owners in review.seats.items()},
        at=review.at,
    )
    try:
        tx.execute(row)
    except IntegrityError as error:
        # The same person's other click was faster.
        raise _already_reviewed(review) from error


def reviews_of(tx: Connection, request_id: str) -> tuple[Review, ...]:
    """The verdicts on a request, in the order in which they came."""
    return reviews_of_each(tx, [request_id])[request_id]


def reviews_of_each(tx: Connection, request_ids: Collection[str]) -> dict[str, tuple[Review, ...]]:
    """The same for some requests at once, by their ids; of one without verdicts there are none."""
    found: dict[str, list[Review]] = {one: [] for one in request_ids}
    for row in tx.execute(_REVIEWS_OF, {"requests": list(request_ids)}):
        found[row.request_id].append(
            Review(
                request_id=row.request_id,
                reviewer=row.reviewer,
                verdict=Verdict(row.verdict),
                at=row.at,
                reason=row.reason,
                rules=tuple(row.rules),
                deputy_of=tuple(row.deputy_of),
                seats={key: tuple(owners) for key, owners in row.seats.items()},
            )
        )
    return {one: tuple(reviews) for one, reviews in found.items()}


def _already_reviewed(review: Review) -> Conflict:
    return Conflict(
        "already_reviewed", f"Your review of request {review.request_id} is already counted."
    )


def _already_waiting(request_id: str) -> Conflict:
    return Conflict(
        "already_waiting",
        f"You already wait for exactly this: request {request_id}. "
        f"`/eks-access status {request_id}` shows it; `/eks-access cancel {request_id}` ends it.",
    )


def _namespaces_key(namespaces: Iterable[str]) -> str:
    return ",".join(sorted(set(namespaces)))


def _decided_columns(request: AccessRequest) -> dict[str, Any]:
    return {
        "decided_at": request.decided_at,
        "decided_by": request.decided_by,
        "decision_reason": request.decision_reason,
    }


def _required(result: Any, request_id: str) -> AccessRequest:
    row = result.one_or_none()
    if row is None:
        raise NotFound(
            "unknown_request",
            f"There is no request {request_id}. `/eks-access mine` lists yours.",
        )
    return _request(row)


def _request(row: Row[Any]) -> AccessRequest:
    document = row.document
    start_at = document["start_at"]
    return AccessRequest(
        id=row.id,
        requester=row.requester,
        requester_name=document["requester_name"],
        cluster=_cluster.validate_python(document["cluster"]),
        level=row.level,
        namespaces=tuple(document["namespaces"]),
        duration=timedelta(seconds=document["duration_seconds"]),
        reason=row.reason,
        ticket=row.ticket,
        start_at=datetime.fromisoformat(start_at) if start_at else None,
        principal=_principal.validate_python(document["principal"]),
        access=_access.validate_python(document["access"]),
        rules=tuple(document["rules"]),
        requirements=_requirements.validate_python(document["requirements"]),
        created_at=row.created_at,
        lapses_at=row.lapses_at,
        state=RequestState(row.state),
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        extends=document["extends"],
        already=timedelta(seconds=document["already_seconds"]),
        # Rows from before these were there have none of them.
        shown_in=tuple(document.get("shown_in", ())),
        break_glass=document.get("break_glass", False),
        ends_with_ticket=document.get("ends_with_ticket", False),
        ticket_service=document.get("ticket_service"),
        replaces=document.get("replaces"),
        steps=_steps.validate_python(row.steps),
        notes=tuple(document.get("notes", ())),
        alarmed=_alarmed.validate_python(document.get("alarmed", ())),
    )
