"""The holder of live access asks for more time.

An extension is a request like any other, decided by the rules that hold now for the whole time:
what the access has lasted and will last counts towards a rule's maximum. Once approved, a new
grant takes over from the old one at EKS, where nothing changes, and ends later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from bot.access import tickets
from bot.access.facts import Facts
from bot.access.grant import give
from bot.access.known import as_stored
from bot.access.limits import ensure_not_too_many_pending
from bot.access.lockdown import ensure_granting
from bot.access.submit import ensure_one_person, refusal
from bot.core import lifecycle
from bot.core.decide import evaluate
from bot.core.durations import compact_duration, format_duration
from bot.core.errors import Conflict, Refused
from bot.core.model import AccessRequest, Decision
from bot.core.principals import principal_for
from bot.core.review import asked_again, moved
from bot.core.rule_choice import reasons_passed_over
from bot.store import audit, given, grants, locks, requests


def extend(
    tx: Connection, facts: Facts, grant_id: str, *, by: str, more: timedelta, reason: str
) -> AccessRequest:
    """Ask for `more` time; where the rules make it automatic, it is given at once.

    An empty `reason` repeats the one of the first request. Raises Conflict where the grant is not
    active or not this person's, and Refused with the reasons where the rules do not allow it.
    """
    ensure_granting(tx)
    facts = as_stored(tx, facts)
    locks.one_at_a_time(tx, by)  # before the row, as everybody who grants something
    first = requests.get_locked(tx, grant_id)
    ensure_no_break_glass(first)
    grant = grants.find(tx, grant_id)
    if grant is None:
        raise Conflict("not_active", f"Request {grant_id} gave no access that could be extended.")
    lifecycle.ensure_extensible(grant, by, facts.now)
    request = AccessRequest(
        id=requests.new_id(tx, facts.now),
        requester=by,
        requester_name=facts.person(by).name,
        cluster=first.cluster,
        level=first.level,
        namespaces=first.namespaces,
        duration=more,
        reason=reason.strip() or first.reason,
        ticket=first.ticket,
        start_at=None,
        principal=first.principal,
        access=first.access,
        rules=first.rules,
        requirements=first.requirements,
        created_at=facts.now,
        lapses_at=grant.ends_at,
        extends=grant_id,
        already=grant.lasts,
    )
    return _decide(tx, facts, request)


def ensure_no_break_glass(request: AccessRequest) -> None:
    """Raise Refused for a break-glass: it stays short, and each one owes a review of its own."""
    if request.break_glass:
        raise Refused(
            "break_glass",
            f"{request.id} is a break-glass, which cannot be extended. Owners can approve a "
            f"request for the time after it: `/eks-access request {request.cluster.name} …`.",
        )


def _decide(tx: Connection, facts: Facts, request: AccessRequest) -> AccessRequest:
    requester = facts.person(request.requester)
    decision = evaluate(
        facts.policy,
        asked_again(request, facts.now),
        requester,
        facts.membership,
        facts.now,
        team_id=facts.team_id,
        usage=given.automatically(tx, request.requester, request.cluster.name, facts.now),
    )
    if not decision.allowed:
        raise _refusal(facts, request, decision)
    tickets.ensure_open(facts, request.ask, decision)
    if moved(facts.policy, request.cluster):
        raise Refused(
            "policy_changed",
            f"{request.cluster.name} stands for another cluster now, or is reached in another way, "
            "so this access cannot be extended. `/eks-access request …` asks for it anew.",
        )
    principal = principal_for(facts.policy, requester, request.cluster)
    if decision.access != request.access or principal.arn != request.principal.arn:
        raise Refused(
            "policy_changed",
            "The policy changed what this access means since it was given, so it cannot be "
            "extended. `/eks-access request …` asks for it anew.",
        )
    ensure_one_person(tx, principal, request.requester)
    lapses_at = request.lapses_at
    if lapses_at is not None:
        lapses_at = min(lapses_at, facts.now + decision.lapse_after)
    request = replace(
        request,
        principal=principal,
        rules=decision.rules,
        requirements=decision.requirements,
        shown_in=decision.shown_in,
        ends_with_ticket=decision.ends_with_ticket,
        ticket_service=tickets.service_of(facts.policy, decision),
        notes=reasons_passed_over(decision.reasons),
        lapses_at=None if decision.automatic else lapses_at,
    )
    if not decision.automatic:
        ensure_not_too_many_pending(tx, request.requester)
    requests.add(tx, request)
    audit.record(tx, lifecycle.submitted(request))
    if decision.automatic:
        return give(tx, facts, request, by=lifecycle.BOT, approvers=())
    return request


def _refusal(facts: Facts, request: AccessRequest, decision: Decision) -> Refused:
    """The refusal in words of an extension: what is too long is the whole, and what is left of it.

    The policy's own sentence would offer a new request, which is not what was asked for.
    """
    most = {rule.name: rule.max_duration for rule in facts.policy.rules}
    reasons = tuple(
        replace(one, sentence=_too_long(request, one.rule, most[one.rule]))
        if one.code == "too_long" and one.rule in most
        else one
        for one in decision.reasons
    )
    return refusal(replace(decision, reasons=reasons))


def _too_long(request: AccessRequest, rule: str, most: timedelta) -> str:
    more, whole = format_duration(request.duration), request.already + request.duration
    left = most - request.already
    sentence = (
        f"With {more} more it would be {format_duration(whole)} in all, and rule {rule} gives at "
        f"most {format_duration(most)}. "
    )
    if left < timedelta(minutes=1):
        return f"{sentence}It cannot be extended; once it has ended, ask again."
    left -= left % timedelta(minutes=1)
    return (
        f"{sentence}What is left: `/eks-access extend {request.extends} {compact_duration(left)}`"
    )
