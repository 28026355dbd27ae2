"""What a person may do or see besides asking for access, as far as is known; it decides nothing.

For help, what is not known counts as a right that they have: to be shown a command too many costs a
refusal, to miss one at three in the morning costs an outage.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from bot.core.break_glass import may_ask
from bot.core.decide import requirements_of
from bot.core.delegating import delegating_owners
from bot.core.errors import Refused
from bot.core.model import Cluster, Delegation, Owners, Person
from bot.core.offers import requester_groups, rules_admitting
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.people import Membership, surely_belongs
from bot.core.policy import BreakGlass, Policy
from bot.core.policy_approval import Approval
from bot.core.principals import principal_for
from bot.core.review import every_owner


class Right(StrEnum):
    """Something that only some people may do."""

    DECIDE = "decide"
    BREAK_GLASS = "break glass"
    REVIEW = "review"
    REVOKE = "revoke"
    LOCKDOWN = "lockdown"
    DELEGATE = "delegate"


EVERY_RIGHT = frozenset(Right)


def groups_of_rights(policy: Policy) -> frozenset[str]:
    """The groups and channels whose members must be known to say who has which right."""
    groups = {group for people in _people(policy).values() for group in people.groups}
    for entry in policy.break_glass:
        groups |= entry.responders.groups_needed
    return frozenset(groups)


def schedules_of_rights(policy: Policy) -> frozenset[Schedules]:
    """The schedules that say who may break glass."""
    return frozenset().union(*(_schedules(entry) for entry in policy.break_glass))


def rights_of(
    policy: Policy,
    person: Person,
    membership: Membership,
    on_call: OnCallFacts,
    delegations: Iterable[Delegation] = (),
) -> frozenset[Right]:
    """The rights that this full member has or may have. `delegations` are those that hold now."""
    found = {
        right
        for right, people in _people(policy).items()
        if surely_belongs(person.id, people, membership) or not people.groups <= membership.keys()
    }
    if any(one.deputy == person.id for one in delegations):
        found.add(Right.DECIDE)
    if may_ask(policy, person, membership, on_call) or any(
        _hangs_on_unknown(entry, membership, on_call) for entry in policy.break_glass
    ):
        found.add(Right.BREAK_GLASS)
    return frozenset(found)


def groups_of_insight(policy: Policy, cluster: Cluster) -> frozenset[str]:
    """The groups and channels whose members must be known for `sees_principals`."""
    groups = requester_groups(policy, cluster.name) | _concerned(policy, cluster).groups
    for entry in _break_glass_on(policy, cluster):
        groups |= entry.responders.groups_needed
    return groups


def schedules_of_insight(policy: Policy, cluster: Cluster) -> frozenset[Schedules]:
    """The schedules that say who may break glass on the cluster."""
    return frozenset().union(*map(_schedules, _break_glass_on(policy, cluster)))


def sees_principals(
    policy: Policy,
    cluster: Cluster,
    person: Person,
    membership: Membership,
    on_call: OnCallFacts,
    *,
    delegations: Iterable[Delegation] = (),
) -> bool:
    """Whether this full member is shown which principals have standing access to the cluster.

    Those are who may ask for something there, its owners and their deputies, and security. For
    anybody else it would be a list of whose credentials are worth stealing. Unlike for a command
    in help, what is not known counts as no.
    """
    concerned = _concerned(policy, cluster)
    if surely_belongs(person.id, concerned, membership):
        return True
    if any(
        one.deputy == person.id and surely_belongs(one.owner, concerned, membership)
        for one in delegations
    ):
        return True
    if any(entry.covers(cluster) for entry in may_ask(policy, person, membership, on_call)):
        return True
    asks = rules_admitting(policy, cluster.name, person.id, membership)
    return bool(asks) and _has_principal(policy, person, cluster)


def _has_principal(policy: Policy, person: Person, cluster: Cluster) -> bool:
    try:
        principal_for(policy, person, cluster)
    except Refused:
        return False
    return True


def _concerned(policy: Policy, cluster: Cluster) -> Owners:
    """Who owns something on the cluster, reviews break-glass there, or may lock the bot down."""
    found = _reviewers(_break_glass_on(policy, cluster))
    for rule in policy.rules_on(cluster.name):
        if isinstance(rule.approval, Approval):
            for part in requirements_of(rule.name, rule.approval):
                found = found.union(part.everybody)
    if policy.lockdown is not None:
        found = found.union(policy.lockdown.owners.owners)
    return found


def _break_glass_on(policy: Policy, cluster: Cluster) -> tuple[BreakGlass, ...]:
    return tuple(entry for entry in policy.break_glass if entry.covers(cluster))


def _reviewers(entries: Iterable[BreakGlass]) -> Owners:
    found = Owners()
    for entry in entries:
        found = found.union(entry.review.owners.owners)
        if entry.review.escalate is not None:
            found = found.union(entry.review.escalate.owners.owners)
    return found


def _people(policy: Policy) -> dict[Right, Owners]:
    """Whom the policy gives each right by name or by group."""
    owners, reviewers, revokers = every_owner(policy), _reviewers(policy.break_glass), Owners()
    for rule in policy.rules:
        if isinstance(rule.approval, Approval):
            revokers = revokers.union(rule.approval.owners.owners)
            for part in rule.approval.also:
                revokers = revokers.union(part.owners.owners)
    secures = policy.lockdown.owners.owners if policy.lockdown is not None else Owners()
    return {
        # Who reviews break-glass also approves it, while an earlier review is overdue.
        Right.DECIDE: owners.union(reviewers),
        Right.REVIEW: reviewers,
        Right.REVOKE: revokers.union(reviewers).union(secures),
        Right.LOCKDOWN: secures,
        Right.DELEGATE: delegating_owners(policy),
    }


def _hangs_on_unknown(entry: BreakGlass, membership: Membership, on_call: OnCallFacts) -> bool:
    silent = [one for one in _schedules(entry) if one not in on_call or not on_call[one].available]
    return bool(silent) or not entry.responders.groups_needed <= membership.keys()


def _schedules(entry: BreakGlass) -> frozenset[Schedules]:
    services = entry.responders.services.items()
    return frozenset((name, service.schedules) for name, service in services)
