"""Access at once for those on call, which somebody else reviews afterwards."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from bot.access import end
from bot.access.facts import Facts
from bot.access.grant import give
from bot.access.known import as_stored
from bot.access.limits import ensure_not_too_many_pending
from bot.access.lockdown import ensure_may_break_glass
from bot.access.submit import ensure_one_person, refusal
from bot.core import lifecycle
from bot.core.break_glass import NEEDS_APPROVAL, evaluate_break_glass, owners_alarmed
from bot.core.errors import Conflict, NotFound, Refused
from bot.core.model import AccessRequest, Ask, AuditEvent, Decision, Owners
from bot.core.policy import BreakGlass
from bot.core.post_review import post_review_of
from bot.core.principals import principal_for
from bot.store import audit, grants, locks, post_reviews, requests

BEGUN = "break_glass.begun"

_SAID_TO_ALL = frozenset({"on_call_unavailable", "on_call_fallback", NEEDS_APPROVAL})
"""What everybody who is told has to know of how it was decided."""


def begin(
    tx: Connection, facts: Facts, requester_id: str, ask: Ask, *, instead_of: str | None = None
) -> AccessRequest:
    """Give the access at once, and store the review that it owes.

    While one of the person's reviews is overdue, the request waits for an owner of the review
    instead. `instead_of` is the person's own request that it takes the place of; one that waits for
    exactly the same is taken back too, so that nobody has to do so at night.

    Raises Refused with the reasons where the policy or the person's identity does not allow it, and
    Conflict where they have just this by break-glass already.
    """
    ensure_may_break_glass(tx, facts, requester_id)
    facts = as_stored(tx, facts)
    requester = facts.person(requester_id)
    locks.one_at_a_time(tx, requester_id)  # of two at once, each must see the other
    overdue = post_reviews.overdue(tx, requester_id, facts.now)
    held = _held(tx, requester_id)
    decision, entry = evaluate_break_glass(
        facts.policy,
        ask,
        requester,
        facts.membership,
        facts.on_call,
        team_id=facts.team_id,
        overdue=overdue,
        revoked=post_reviews.revoked(tx, requester_id),
        live=[one.id for one in held],
    )
    if not decision.allowed:
        raise refusal(decision)
    cluster = facts.policy.clusters_by_name.get(ask.cluster)
    if cluster is None or decision.access is None or entry is None:
        raise NotFound("unknown_cluster", f"The policy names no cluster {ask.cluster}.")
    _ensure_not_twice(held, ask)
    principal = principal_for(facts.policy, requester, cluster)
    ensure_one_person(tx, principal, requester_id)
    replaced = _set_aside(tx, facts, requester_id, ask, instead_of)
    request = AccessRequest(
        id=requests.new_id(tx, facts.now),
        requester=requester_id,
        requester_name=requester.name,
        cluster=cluster,
        level=ask.level,
        namespaces=tuple(sorted(set(ask.namespaces))),
        duration=decision.duration,
        reason=ask.reason,
        ticket=ask.ticket,
        start_at=None,
        principal=principal,
        access=decision.access,
        rules=decision.rules,
        requirements=decision.requirements,
        created_at=facts.now,
        lapses_at=None if decision.automatic else facts.now + decision.lapse_after,
        shown_in=decision.shown_in,
        break_glass=True,
        replaces=replaced,
        alarmed=owners_alarmed(facts.policy, ask, but=_told_anyway(entry, requester_id)),
        notes=tuple(one.sentence for one in decision.reasons if one.code in _SAID_TO_ALL),
    )
    if not decision.automatic:
        ensure_not_too_many_pending(tx, requester_id)
    requests.add(tx, request)
    audit.record(tx, lifecycle.submitted(request))
    if not decision.automatic:
        return request
    given = give(tx, facts, request, by=lifecycle.BOT, approvers=())
    _owe_review(tx, facts, given, entry)
    return given


def begin_approved(
    tx: Connection, facts: Facts, request: AccessRequest, *, by: str, approvers: tuple[str, ...]
) -> AccessRequest:
    """Give the access of a break-glass that had to be approved first."""
    decision, entry = decide_again(tx, facts, request)
    if entry is None:
        raise refusal(decision)
    given = give(tx, facts, request, by=by, approvers=approvers)
    _owe_review(tx, facts, given, entry)
    return given


def decide_again(
    tx: Connection, facts: Facts, request: AccessRequest
) -> tuple[Decision, BreakGlass | None]:
    """What the policy in force now says of a break-glass that waits for an approval."""
    return evaluate_break_glass(
        facts.policy,
        request.ask,
        facts.person(request.requester),
        facts.membership,
        facts.on_call,
        team_id=facts.team_id,
        overdue=post_reviews.overdue(tx, request.requester, facts.now),
        revoked=post_reviews.revoked(tx, request.requester),
        asks_first=True,
    )


def _owe_review(tx: Connection, facts: Facts, request: AccessRequest, entry: BreakGlass) -> None:
    owed = post_review_of(entry, request.id, facts.now)
    post_reviews.add(tx, owed, request.requester)
    event = AuditEvent(
        at=facts.now,
        actor=request.requester,
        action=BEGUN,
        request_id=request.id,
        cluster=request.cluster.name,
        details={
            "review_due_at": owed.due_at.isoformat(),
            "review_owners": sorted(owed.owners.users | owed.owners.groups),
            "told": list(request.shown_in),
            "notes": list(request.notes),
        },
    )
    audit.record(tx, [event])


def _told_anyway(entry: BreakGlass, requester_id: str) -> Owners:
    """Those who are mentioned as reviewers, and whoever breaks the glass."""
    return entry.review.owners.owners.union(Owners(users=frozenset({requester_id})))


def _held(tx: Connection, requester_id: str) -> list[AccessRequest]:
    """The person's break-glasses that give access now."""
    live = (one for one in grants.live(tx, requester=requester_id) if one.gives_access)
    held = (requests.get(tx, one.id) for one in live)
    return [one for one in held if one.break_glass]


def _ensure_not_twice(held: Iterable[AccessRequest], ask: Ask) -> None:
    wanted = (ask.cluster, ask.level, frozenset(ask.namespaces))
    for one in held:
        if wanted == (one.cluster.name, one.level, frozenset(one.namespaces)):
            raise Conflict(
                "already_broken",
                f"You have just this by break-glass already: {one.id}. "
                f"`/eks-access status {one.id}` shows until when. If kubectl answers Unauthorized, "
                f"your role was made again: `/eks-access return {one.id}`, then break glass again.",
            )


def _set_aside(
    tx: Connection, facts: Facts, requester_id: str, ask: Ask, instead_of: str | None
) -> str | None:
    """Take back what the break-glass takes the place of. Returns the id of that request."""
    if instead_of is not None:
        chosen = requests.get_locked(tx, instead_of)
        if chosen.requester != requester_id:
            raise Refused(
                "not_yours",
                f"{instead_of} is somebody else's request. `/eks-access break-glass …` is for "
                "access of your own.",
            )
        if chosen.break_glass:
            raise Conflict(
                "already_break_glass",
                f"{instead_of} is a break-glass already. It waits for an approval: "
                f"`/eks-access status {instead_of}` shows it.",
            )
        end.cancel(tx, instead_of, requester_id, facts.now)
    same = requests.waiting_for(tx, requester_id, ask.cluster, ask.level, ask.namespaces)
    if same is None or same.break_glass:
        return instead_of
    if same.lapses_at is not None and facts.now >= same.lapses_at:
        end.lapse(tx, same.id, facts.now)
        return instead_of
    end.cancel(tx, same.id, requester_id, facts.now)
    return instead_of or same.id
