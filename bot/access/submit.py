"""A person asks for access."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from bot.access import tickets
from bot.access.facts import Facts
from bot.access.grant import give
from bot.access.known import as_stored
from bot.access.limits import ensure_not_too_many_pending
from bot.access.lockdown import ensure_granting
from bot.core import lifecycle
from bot.core.decide import begins_at, evaluate
from bot.core.errors import Conflict, NotFound, Refused
from bot.core.model import AccessRequest, Ask, Decision, Principal
from bot.core.principals import principal_for
from bot.core.rule_choice import reasons_passed_over
from bot.store import audit, given, grants, locks, requests


def submit(tx: Connection, facts: Facts, requester_id: str, ask: Ask) -> AccessRequest:
    """Store the request; where the policy makes it automatic, approve it at once.

    Raises Refused with the reasons where the policy or the person's identity does not allow it,
    and Conflict where the person already waits for the same.
    """
    ensure_granting(tx)
    facts = as_stored(tx, facts)
    requester = facts.person(requester_id)
    locks.one_at_a_time(tx, requester_id)  # of two requests, each must see what the other used
    # Before what was revoked is read: what somebody revokes in between is seen in one of the two.
    held = _live_alike(tx, requester_id, ask)
    decision = evaluate(
        facts.policy,
        ask,
        requester,
        facts.membership,
        facts.now,
        team_id=facts.team_id,
        usage=given.automatically(tx, requester_id, ask.cluster, begins_at(ask, facts.now)),
    )
    if not decision.allowed:
        raise refusal(decision)
    tickets.ensure_open(facts, ask, decision)
    if decision.automatic and ask.start_at is None:
        _ensure_not_live(held)
    cluster = facts.policy.clusters_by_name.get(ask.cluster)
    if cluster is None or decision.access is None:
        raise NotFound("unknown_cluster", f"The policy names no cluster {ask.cluster}.")
    principal = principal_for(facts.policy, requester, cluster)
    ensure_one_person(tx, principal, requester_id)
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
        start_at=ask.start_at,
        principal=principal,
        access=decision.access,
        rules=decision.rules,
        requirements=decision.requirements,
        created_at=facts.now,
        lapses_at=None if decision.automatic else lapses_at(ask, decision, facts.now),
        shown_in=decision.shown_in,
        ends_with_ticket=decision.ends_with_ticket,
        ticket_service=tickets.service_of(facts.policy, decision),
        notes=reasons_passed_over(decision.reasons),
    )
    if not decision.automatic:
        ensure_not_too_many_pending(tx, requester_id)
    requests.add(tx, request)
    audit.record(tx, lifecycle.submitted(request))
    if decision.automatic:
        return give(tx, facts, request, by=lifecycle.BOT, approvers=())
    return request


def lapses_at(ask: Ask, decision: Decision, now: datetime) -> datetime:
    """When a request that nobody decides lapses: one for later waits at least until its start."""
    lapses = now + decision.lapse_after
    return lapses if ask.start_at is None else max(lapses, ask.start_at)


def _live_alike(tx: Connection, requester_id: str, ask: Ask) -> str | None:
    """The id of the person's grant that gives exactly this now."""
    for grant in grants.live(tx, requester=requester_id):
        held = requests.get(tx, grant.id)
        same = (held.cluster.name, held.level) == (ask.cluster, ask.level)
        if same and set(held.namespaces) == set(ask.namespaces) and grant.gives_access:
            return grant.id
    return None


def _ensure_not_live(held: str | None) -> None:
    """Raise Conflict where the person has exactly this: what one is revoked, a twin would keep."""
    if held is not None:
        raise Conflict(
            "already_live",
            f"You have exactly this already: {held}. "
            f"`/eks-access extend {held} 1h` asks for more time. If kubectl answers Unauthorized, "
            f"your role was made again: `/eks-access return {held}`, then ask again.",
        )


def refusal(decision: Decision) -> Refused:
    """The error that tells a person every reason of a refusal."""
    sentences = " ".join(reason.sentence for reason in decision.reasons)
    return Refused(decision.reasons[0].code, sentences)


def ensure_one_person(tx: Connection, principal: Principal, requester_id: str) -> None:
    """Raise Refused where the principal has served somebody else and is not declared shared.

    The policy file is checked for two people on one principal; this finds those whom only the
    course of time brings together, such as two email addresses with the same first part.
    """
    if principal.shared:
        return
    locks.one_on_principal(tx, principal.arn)  # of two people at once, each must see the other
    others = requests.others_on_principal(tx, principal.arn, requester_id)
    if others:
        raise Refused(
            "principal_of_another",
            f"Your principal `{principal.arn}` belongs to somebody else's requests, and one "
            "person has one principal. Whoever keeps the policy file gives you your own.",
        )
