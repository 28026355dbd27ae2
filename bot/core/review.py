"""Who may review a request, and whether enough people have approved it.

Decided anew at every click, by the policy in force and by who is an owner now, never by who was
asked. Pure, as `decide`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from bot.core.approvals import Seats, seats
from bot.core.decide import NOTHING_USED, decide_for, requirements_of
from bot.core.errors import InvalidInput
from bot.core.model import (
    AccessRequest,
    Ask,
    Cluster,
    Decision,
    Delegation,
    Owners,
    Person,
    Reason,
    Requirement,
    ReviewDecision,
)
from bot.core.names import listed, principal_key
from bot.core.people import Membership, gone_words, not_full_member
from bot.core.policy import Policy
from bot.core.policy_approval import Approval
from bot.core.principals import people_on, possible_principals
from bot.core.rule_choice import Usage


def every_owner(policy: Policy) -> Owners:
    """Everybody whom some rule names as an owner, those of escalations included."""
    named = Owners()
    for rule in policy.rules:
        if isinstance(rule.approval, Approval):
            for part in requirements_of(rule.name, rule.approval):
                named = named.union(part.everybody)
    return named


def may_review(  # noqa: PLR0917 - each is one fact of the click, in the order it is learned
    policy: Policy,
    request: AccessRequest,
    clicker: Person,
    clicker_principal_arn: str | None,
    membership: Membership,
    now: datetime,
    *,
    team_id: str,
    delegations: Iterable[Delegation] = (),
    usage: Usage = NOTHING_USED,
    break_glass: Decision | None = None,
) -> ReviewDecision:
    """Whether `clicker` may approve or deny `request` under `policy`, and for which requirements.

    `clicker_principal_arn` is the clicker's principal on the request's cluster, or None for
    somebody who has none. The request is decided again, as far as its stored words allow: before
    an approval, also evaluate `asked_again(request, now)` for the requester as Slack describes them
    now, and compare their principal. `delegations` are those that hold now; `usage` is the
    requester's. `break_glass` is what the policy now says of a request for break-glass.
    """
    refusal = no_reviewer(policy, request, clicker, clicker_principal_arn, team_id)
    if refusal is not None:
        return ReviewDecision(allowed=False, reasons=(refusal,))
    again = break_glass or decide_for(
        policy, asked_again(request, now), request.requester, membership, now, usage=usage
    )
    if not again.allowed:
        no_longer = Reason(
            "no_longer_allowed",
            "The policy no longer allows this request, so it can only lapse or be cancelled. To "
            "the requester it says:",
        )
        return ReviewDecision(allowed=False, reasons=(no_longer, *again.reasons))
    if again.access != request.access or moved(policy, request.cluster):
        changed = Reason(
            "policy_changed",
            f"The policy changed what {request.level} on {request.cluster.name} means after this "
            "was asked for, so the request does not show what you would approve. The requester "
            "can cancel it and ask again.",
        )
        return ReviewDecision(allowed=False, reasons=(changed,))
    if again.automatic:
        automatic = Reason(
            "needs_no_review",
            "The policy now gives this without a review. The requester can cancel this request "
            "and ask again.",
        )
        return ReviewDecision(allowed=False, reasons=(automatic,))
    seats_of = reviewer_seats(
        policy,
        request,
        clicker.id,
        again.requirements,
        membership=membership,
        delegations=delegations,
        now=now,
    )
    owned = tuple(key for key, places in seats_of.items() if places)
    if not owned:
        return ReviewDecision(allowed=False, reasons=(_no_owner(request, again, membership, now),))
    reasons = tuple(
        Reason("owner", f"You are an owner of rule {key}.", key)
        if clicker.id in seats_of[key]
        else Reason("deputy", f"You are a deputy of an owner of rule {key}.", key)
        for key in owned
    )
    return ReviewDecision(
        allowed=True, reasons=reasons, rules=owned, requirements=again.requirements
    )


def reviewer_seats(
    policy: Policy,
    request: AccessRequest,
    reviewer: str,
    requirements: Iterable[Requirement],
    *,
    membership: Membership,
    delegations: Iterable[Delegation],
    now: datetime,
) -> Seats:
    """By requirement: the owners in whose place `reviewer` may decide the request now."""
    excluded = people_on(policy, request.principal.arn, request.cluster) | {request.requester}
    held = tuple(delegations)
    return {
        one.key: seats(
            reviewer,
            one,
            one.owners_after(now - request.created_at),
            membership=membership,
            delegations=held,
            excluded=excluded,
            now=now,
        )
        for one in requirements
    }


def decides(
    request: AccessRequest,
    user: str,
    *,
    membership: Membership,
    delegations: Iterable[Delegation],
    now: datetime,
) -> bool:
    """Whether the request asks this person now, by its own words: to show it, not to decide it.

    Raises DirectoryUnavailable where it hangs on a group nobody answered for.
    """
    held = tuple(delegations)
    return any(
        seats(
            user,
            one,
            one.owners_after(now - request.created_at),
            membership=membership,
            delegations=held,
            excluded={request.requester},
            now=now,
        )
        for one in request.requirements
    )


def asked_again(request: AccessRequest, now: datetime) -> Ask:
    """The request as an ask to evaluate later on.

    Without a start that passed while the request waited: that is no reason against it.
    """
    ask = request.ask
    passed = ask.start_at is not None and ask.start_at <= now
    return replace(ask, start_at=None) if passed else ask


def _no_owner(
    request: AccessRequest, again: Decision, membership: Membership, now: datetime
) -> Reason:
    rules = listed(dict.fromkeys(one.rule for one in again.requirements), "and")
    waiting = [
        one.escalation.after
        for one in again.requirements
        if one.escalation is not None and request.created_at + one.escalation.after > now
    ]
    later = (
        f" Who is asked only when others have not decided can do so from "
        f"{request.created_at + min(waiting):%H:%M} UTC on."
        if waiting
        else ""
    )
    return Reason(
        "not_owner",
        f"You are no owner of rule {rules}, so nothing was changed. Its owners can approve or "
        f"deny this.{later}"
        + "".join(
            gone_words(one.everybody, membership, f"rule {one.key}") for one in again.requirements
        ),
    )


def own_request(request: AccessRequest) -> Reason:
    """Why a requester reviews nothing of their own."""
    return Reason(
        "own_request",
        "This is your own request, and nobody approves or denies their own. You can cancel it: "
        f"`/eks-access cancel {request.id}`.",
    )


def no_reviewer(
    policy: Policy,
    request: AccessRequest,
    clicker: Person,
    clicker_principal_arn: str | None,
    team_id: str,
) -> Reason | None:
    """Why this person may review the request for no rule at all, or None."""
    outsider = not_full_member(clicker, team_id)
    if outsider is not None:
        return outsider
    if clicker.id == request.requester:
        return own_request(request)
    if _same_principal(policy, request, clicker.id, clicker_principal_arn):
        return Reason(
            "same_principal",
            "This request is for your own IAM principal, so you would get the access too. Another "
            "owner has to decide it, also where the principal is declared shared.",
        )
    return None


def principal_to_compare(policy: Policy, request: AccessRequest, person: Person) -> str | None:
    """The request's principal, where it may be this person's too; else theirs, if they have one."""
    possible = possible_principals(policy, person, request.cluster)
    asked_for = principal_key(request.principal.arn)
    if any(principal_key(arn) == asked_for for arn in possible):
        return request.principal.arn
    return min(possible, default=None)


def _same_principal(policy: Policy, request: AccessRequest, user: str, arn: str | None) -> bool:
    """Whether the access would be this person's too, by their principal or by the policy's map."""
    asked_for = request.principal.arn
    try:
        if arn is not None and principal_key(arn) == principal_key(asked_for):
            return True
        return user in people_on(policy, asked_for, request.cluster)
    except InvalidInput:
        # An ARN that cannot be read cannot be shown to be another one.
        return True


def moved(policy: Policy, cluster: Cluster) -> bool:
    """Whether the name now stands for another cluster, or is reached in another way."""
    now = policy.clusters_by_name.get(cluster.name)
    return now is None or replace(now, labels=cluster.labels, backstop=cluster.backstop) != cluster
