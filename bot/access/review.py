"""An owner approves or denies a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bot.access import break_glass, tickets
from bot.access.delegate import with_deputies
from bot.access.facts import Facts
from bot.access.grant import extended_grant, give
from bot.access.lockdown import ensure_granting, ensure_may_break_glass
from bot.access.submit import ensure_one_person, refusal
from bot.core import lifecycle
from bot.core.approvals import Seats, counted, unmet
from bot.core.decide import begins_at, evaluate
from bot.core.errors import InvalidInput, Refused
from bot.core.model import AccessRequest, Decision, Review, ReviewDecision, Verdict
from bot.core.names import listed, principal_key
from bot.core.principals import is_shared, possible_principals, principal_for
from bot.core.review import (
    asked_again,
    may_review,
    moved,
    no_reviewer,
    principal_to_compare,
    reviewer_seats,
)
from bot.core.rule_choice import Usage
from bot.store import audit, given, locks, requests


def approve(tx: Connection, facts: Facts, request_id: str, reviewer_id: str) -> AccessRequest:
    """Count one approval; grant once every rule has those it needs.

    Everything is decided anew under the policy in force now: who may review, whether the requester
    may still have this, and whose earlier approvals still count.
    """
    request = requests.get(tx, request_id)
    if request.break_glass:
        ensure_may_break_glass(tx, facts, request.requester)
    else:
        ensure_granting(tx)
    locks.one_at_a_time(tx, request.requester)  # what they use up counts for what they have next
    request = requests.get_locked(tx, request_id)
    lifecycle.ensure_open(request, facts.now)
    facts = _with_deputies(tx, facts, request, reviewer_id)
    allowed = _may_review(tx, facts, request, reviewer_id)
    decision = _still_allowed(tx, facts, request)
    review = _review(facts, request, reviewer_id, Verdict.APPROVE, allowed)
    requests.add_review(tx, review)
    audit.record(tx, [lifecycle.reviewed(request, review)])
    approvers = _approvers(tx, facts, request, decision)
    if unmet(decision.requirements, approvers):
        requests.touch(tx, request_id)
        return request
    request = decided_anew(tx, facts, request, decision)
    grant = break_glass.begin_approved if request.break_glass else give
    return grant(tx, facts, request, by=reviewer_id, approvers=tuple(approvers))


def decided_anew(
    tx: Connection, facts: Facts, request: AccessRequest, decision: Decision
) -> AccessRequest:
    """The request under the rules that decide it now, stored: what it hangs on may have changed."""
    request = replace(
        request,
        rules=decision.rules,
        requirements=decision.requirements,
        ends_with_ticket=decision.ends_with_ticket,
        ticket_service=tickets.service_of(facts.policy, decision),
    )
    requests.redecide(tx, request)
    return request


def ensure_still_approved(tx: Connection, facts: Facts, request: AccessRequest) -> Decision:
    """What decides an approved request now. Raises Refused unless it would be approved again.

    By the policy in force, the requester and the owners as they are, and their principals.
    """
    facts = _with_deputies(tx, facts, request)
    decision = _still_allowed(tx, facts, request)
    approvers = _approvers(tx, facts, request, decision)
    have = counted(decision.requirements, approvers)
    lacking = unmet(decision.requirements, approvers)
    if lacking:
        missing = listed(
            (
                f"rule {one.key} needs {one.required} and has {len(have[one.key])}"
                for one in lacking
            ),
            "and",
        )
        raise Refused(
            "approvals_lacking",
            f"The approvals that were given are no longer enough: {missing}. Ask again.",
        )
    return decision


def deny(
    tx: Connection, facts: Facts, request_id: str, reviewer_id: str, reason: str
) -> AccessRequest:
    """Deny the request; one owner's word is enough. Raises InvalidInput without a reason."""
    if not reason.strip():
        raise InvalidInput(
            "no_reason",
            "A denial needs a reason, which the requester reads: "
            f"`/eks-access deny {request_id} REASON`.",
            field="reason",
        )
    request = requests.get_locked(tx, request_id)
    lifecycle.ensure_open(request, facts.now)
    facts = _with_deputies(tx, facts, request, reviewer_id)
    allowed = _may_review(tx, facts, request, reviewer_id)
    review = _review(facts, request, reviewer_id, Verdict.DENY, allowed, reason=reason.strip())
    requests.add_review(tx, review)
    denied, events = lifecycle.deny(request, review)
    requests.decide(tx, denied)
    audit.record(tx, [lifecycle.reviewed(request, review), *events])
    return denied


def _with_deputies(tx: Connection, facts: Facts, request: AccessRequest, *clickers: str) -> Facts:
    """The facts with the delegations of those who review, and of those who have, as of now."""
    reviewers = {one.reviewer for one in requests.reviews_of(tx, request.id)}
    return with_deputies(tx, facts, request, reviewers | set(clickers))


def _may_review(
    tx: Connection, facts: Facts, request: AccessRequest, reviewer_id: str
) -> ReviewDecision:
    """Whether and for what the person may review. Raises Refused with the reasons."""
    reviewer = facts.person(reviewer_id)
    decision = may_review(
        facts.policy,
        request,
        reviewer,
        principal_to_compare(facts.policy, request, reviewer),
        facts.membership,
        facts.now,
        team_id=facts.team_id,
        delegations=facts.delegations,
        usage=_usage(tx, facts, request),
        break_glass=(
            break_glass.decide_again(tx, facts, request)[0] if request.break_glass else None
        ),
    )
    if not decision.allowed:
        sentences = " ".join(reason.sentence for reason in decision.reasons)
        raise Refused(decision.reasons[0].code, sentences)
    return decision


def _approvers(
    tx: Connection, facts: Facts, request: AccessRequest, decision: Decision
) -> dict[str, Seats]:
    """Those whose approval still counts, with the seats they have for it by what is so now.

    Whether they were a deputy, or had come in by escalation, hangs on when they approved: an
    owner's word that was given in their place does not end with the delegation.
    """
    found = {
        one.reviewer: _seats(facts, request, one.reviewer, decision, one.at)
        for one in requests.reviews_of(tx, request.id)
        if one.verdict is Verdict.APPROVE and _still_counts(facts, request, one.reviewer)
    }
    seated = {user: places for user, places in found.items() if any(places.values())}
    different = {user: seated[user] for user in _different_people(facts, request, seated)}
    return _one_seat_a_person(facts, request, different)


def _one_seat_a_person(
    facts: Facts, request: AccessRequest, approvers: Mapping[str, Seats]
) -> dict[str, Seats]:
    """The approvers' seats, where an owner's two accounts are one seat and not two.

    An owner who approves by one account must not do so once more by a deputy of the other.
    """
    owners = {one for places in approvers.values() for seats in places.values() for one in seats}
    holder: dict[tuple[str, str, str], str] = {}
    seat_of: dict[str, str] = {}
    for owner in [*approvers, *sorted(owners - approvers.keys())]:
        own = _own_principals(facts, request, owner)
        seat_of[owner] = next((holder[key] for key in sorted(own & holder.keys())), owner)
        for key in own:
            holder.setdefault(key, seat_of[owner])
    return {
        user: {key: frozenset(seat_of[one] for one in seats) for key, seats in places.items()}
        for user, places in approvers.items()
    }


def _own_principals(
    facts: Facts, request: AccessRequest, user: str
) -> frozenset[tuple[str, str, str]]:
    """The principals by which two accounts are told for one person's; not those declared shared."""
    arns = possible_principals(facts.policy, facts.person(user), request.cluster)
    return frozenset(
        principal_key(arn) for arn in arns if not is_shared(facts.policy, arn, request.cluster)
    )


def _different_people(
    facts: Facts, request: AccessRequest, approvers: Iterable[str]
) -> Iterator[str]:
    """Those of the approvers who are surely different people, the first account of each.

    Two accounts that may be on one principal may be one person's, unless it is declared shared.
    """
    seen: set[tuple[str, str, str]] = set()
    for user in approvers:
        own = _own_principals(facts, request, user)
        if own.isdisjoint(seen):
            yield user
        seen |= own


def _still_counts(facts: Facts, request: AccessRequest, reviewer_id: str) -> bool:
    reviewer = facts.person(reviewer_id)
    arn = principal_to_compare(facts.policy, request, reviewer)
    return no_reviewer(facts.policy, request, reviewer, arn, facts.team_id) is None


def _seats(
    facts: Facts,
    request: AccessRequest,
    reviewer_id: str,
    decision: Decision | ReviewDecision,
    at: datetime,
) -> Seats:
    return reviewer_seats(
        facts.policy,
        request,
        reviewer_id,
        decision.requirements,
        membership=facts.membership,
        delegations=facts.delegations,
        now=at,
    )


def _review(
    facts: Facts,
    request: AccessRequest,
    reviewer_id: str,
    verdict: Verdict,
    allowed: ReviewDecision,
    *,
    reason: str | None = None,
) -> Review:
    places = _seats(facts, request, reviewer_id, allowed, facts.now)
    deputy_of = frozenset[str]().union(*places.values()) - {reviewer_id}
    return Review(
        request.id,
        reviewer_id,
        verdict,
        facts.now,
        reason=reason,
        rules=allowed.rules,
        deputy_of=tuple(sorted(deputy_of)),
        seats={key: tuple(sorted(owners)) for key, owners in places.items() if owners},
    )


def _usage(tx: Connection, facts: Facts, request: AccessRequest) -> Usage:
    moment = begins_at(request.ask, facts.now)
    name = request.cluster.name
    return given.automatically(tx, request.requester, name, moment, but=request.id)


def _still_allowed(tx: Connection, facts: Facts, request: AccessRequest) -> Decision:
    """The decision under the policy in force now. Raises Refused where it changed what is asked."""
    requester = facts.person(request.requester)
    if request.break_glass:
        decision, _ = break_glass.decide_again(tx, facts, request)
    else:
        decision = evaluate(
            facts.policy,
            asked_again(request, facts.now),
            requester,
            facts.membership,
            facts.now,
            team_id=facts.team_id,
            usage=_usage(tx, facts, request),
        )
    if not decision.allowed:
        raise refusal(decision)
    tickets.ensure_open(facts, request.ask, decision)
    extended_grant(tx, facts, request)
    cluster = facts.policy.clusters_by_name.get(request.cluster.name)
    if cluster is None or moved(facts.policy, request.cluster):
        raise _changed("the cluster")
    if decision.access != request.access:
        raise _changed(f"the level {request.level}")
    principal = principal_for(facts.policy, requester, cluster)
    if principal != request.principal:  # also where it has come to elevate others since
        raise _changed("the requester's principal")
    ensure_one_person(tx, principal, request.requester)
    return decision


def _changed(what: str) -> Refused:
    return Refused(
        "policy_changed",
        f"The policy changed {what} since this was asked, so it cannot be approved as it stands. "
        "The requester cancels it and asks again.",
    )
