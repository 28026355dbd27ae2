"""What a person may do besides asking for access, as far as is known: for help, never to decide.

What is not known counts as a right that they have: to be shown a command too many costs a refusal,
to miss one at three in the morning costs an outage.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from bot.core.break_glass import may_ask
from bot.core.delegating import delegating_owners
from bot.core.model import Delegation, Owners, Person
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.people import Membership, surely_belongs
from bot.core.policy import BreakGlass, Policy
from bot.core.policy_approval import Approval
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


def _people(policy: Policy) -> dict[Right, Owners]:
    """Whom the policy gives each right by name or by group."""
    owners, reviewers, revokers = every_owner(policy), Owners(), Owners()
    for rule in policy.rules:
        if isinstance(rule.approval, Approval):
            revokers = revokers.union(rule.approval.owners.owners)
            for part in rule.approval.also:
                revokers = revokers.union(part.owners.owners)
    for entry in policy.break_glass:
        reviewers = reviewers.union(entry.review.owners.owners)
        if entry.review.escalate is not None:
            reviewers = reviewers.union(entry.review.escalate.owners.owners)
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
