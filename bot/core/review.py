"""Who may review a request, and whether enough people have approved it.

Decided anew at every click, by the policy in force and by who is an owner now, never by who was
asked. Pure, as `decide`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from bot.core.decide import decide_for
from bot.core.errors import InvalidInput
from bot.core.model import (
    AccessRequest,
    Ask,
    Cluster,
    Owners,
    Person,
    Reason,
    Requirement,
    ReviewDecision,
)
from bot.core.names import listed, principal_key
from bot.core.people import Membership, belongs, not_full_member
from bot.core.policy import Approval, Policy
from bot.core.principals import people_on


def every_owner(policy: Policy) -> Owners:
    """Everybody whom some rule names as an owner."""
    named = [rule.approval.owners for rule in policy.rules if isinstance(rule.approval, Approval)]
    return Owners(
        users=frozenset(user for one in named for user in one.users),
        groups=frozenset(group for one in named for group in one.groups),
    )


def may_review(  # noqa: PLR0917 - each is one fact of the click, in the order it is learned
    policy: Policy,
    request: AccessRequest,
    clicker: Person,
    clicker_principal_arn: str | None,
    membership: Membership,
    now: datetime,
    *,
    team_id: str,
) -> ReviewDecision:
    """Whether `clicker` may approve or deny `request` under `policy`, and for which rules.

    `clicker_principal_arn` is the clicker's principal on the request's cluster, or None for
    somebody who has none. The request is decided again, as far as its stored words allow: before
    an approval, also evaluate `asked_again(request)` for the requester as Slack describes them now,
    and compare their principal.
    """
    refusal = _no_reviewer(policy, request, clicker, clicker_principal_arn, team_id)
    if refusal is not None:
        return ReviewDecision(allowed=False, reasons=(refusal,))
    again = decide_for(policy, asked_again(request), request.requester, membership, now)
    if not again.allowed:
        no_longer = Reason(
            "no_longer_allowed",
            "The policy no longer allows this request, so it can only lapse or be cancelled. To "
            "the requester it says:",
        )
        return ReviewDecision(allowed=False, reasons=(no_longer, *again.reasons))
    if again.access != request.access or _moved(policy, request.cluster):
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
    owned = tuple(
        requirement.rule
        for requirement in again.requirements
        if belongs(clicker.id, requirement.owners, membership)
    )
    if not owned:
        rules = listed((requirement.rule for requirement in again.requirements), "and")
        stranger = Reason(
            "not_owner",
            f"You are no owner of rule {rules}, so nothing was changed. Its owners can approve or "
            "deny this.",
        )
        return ReviewDecision(allowed=False, reasons=(stranger,))
    reasons = tuple(Reason("owner", f"You are an owner of rule {rule}.", rule) for rule in owned)
    return ReviewDecision(allowed=True, reasons=reasons, rules=owned)


def asked_again(request: AccessRequest) -> Ask:
    """The request as an ask to evaluate later on.

    Without its start: one that passed while the request waited is no reason against it.
    """
    return replace(request.ask, start_at=None)


def unmet(
    requirements: Iterable[Requirement], approvers: Collection[str], membership: Membership
) -> tuple[Requirement, ...]:
    """The requirements that not enough distinct `approvers`, owners now, have approved.

    One person who owns several rules counts for each of them.
    """
    return tuple(
        requirement
        for requirement in requirements
        if requirement.required
        > sum(belongs(user, requirement.owners, membership) for user in set(approvers))
    )


def _no_reviewer(
    policy: Policy,
    request: AccessRequest,
    clicker: Person,
    clicker_principal_arn: str | None,
    team_id: str,
) -> Reason | None:
    outsider = not_full_member(clicker, team_id)
    if outsider is not None:
        return outsider
    if clicker.id == request.requester:
        return Reason(
            "own_request",
            "This is your own request, and nobody approves or denies their own. You can cancel it: "
            f"`/eks-access cancel {request.id}`.",
        )
    if _same_principal(policy, request, clicker.id, clicker_principal_arn):
        return Reason(
            "same_principal",
            "This request is for your own IAM principal, so you would get the access too. Another "
            "owner has to decide it, also where the principal is declared shared.",
        )
    return None


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


def _moved(policy: Policy, cluster: Cluster) -> bool:
    """Whether the name now stands for another cluster, or is reached in another way."""
    now = policy.clusters_by_name.get(cluster.name)
    return now is None or replace(now, labels=cluster.labels) != cluster
