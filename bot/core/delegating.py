"""What an owner may hand to a deputy: for which rules, for how long, and to whom.

This is looked at when the deputy is named, so that nobody believes to be away in peace. What the
deputy may do is decided anew at each click; see `approvals.seats`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.core.decide import requirements_of
from bot.core.durations import format_duration
from bot.core.model import Owners, Reason, Requirement
from bot.core.people import Membership, gone_words, surely_belongs
from bot.core.policy import Policy
from bot.core.policy_approval import Approval

MOST_DEPUTIES = 3
"""Of one owner at the same time. Of several deputies of one owner only one counts for a request."""


@dataclass(frozen=True, slots=True)
class Delegable:
    """For which requirements somebody may stand in, or why for none of them."""

    requirements: tuple[Requirement, ...] = ()
    refusal: Reason | None = None


def delegation_groups(policy: Policy) -> frozenset[str]:
    """The groups and channels whose members tell who may hand over what, and to whom."""
    groups: set[str] = set()
    for part in _parts(policy):
        groups |= part.everybody.groups
        if part.delegation is not None and part.delegation.among is not None:
            groups |= part.delegation.among.groups
    return frozenset(groups)


def delegating_owners(policy: Policy) -> Owners:
    """Everybody who may name a deputy for something."""
    owners = Owners()
    for part in _parts(policy):
        owners = owners.union(part.everybody)
    return owners


def delegable(
    policy: Policy, owner: str, deputy: str, length: timedelta, membership: Membership
) -> Delegable:
    """What `owner` may hand to `deputy` for so long. A group that is not known counts as empty."""
    owned = [part for part in _parts(policy) if surely_belongs(owner, part.everybody, membership)]
    if not owned:
        unknown = sorted(delegation_groups(policy) - membership.keys())
        if unknown:
            return Delegable(
                refusal=Reason(
                    "group_unknown",
                    f"Slack did not say who is in {unknown[0]}, so it is not known whether you own "
                    "a rule. Nothing was changed; in a minute it may work.",
                )
            )
        return Delegable(
            refusal=Reason(
                "nothing_to_delegate",
                "You own no rule that lets its owners name a deputy. Whoever keeps the policy file "
                "can add `delegation` to a rule's approval."
                + "".join(
                    gone_words(part.everybody, membership, f"rule {part.key}")
                    for part in _parts(policy)
                ),
            )
        )
    among = [part for part in owned if _may_stand_in(part, deputy, membership)]
    if not among:
        return Delegable(
            refusal=Reason(
                "not_among",
                "The rules you own let only some people stand in for their owners, and this person "
                "is none of them. Name somebody else.",
            )
        )
    fits = tuple(
        part for part in among if part.delegation is not None and length <= part.delegation.longest
    )
    if not fits:
        longest = max(part.delegation.longest for part in among if part.delegation is not None)
        return Delegable(
            refusal=Reason(
                "too_long",
                f"That is longer than {format_duration(longest)}, the longest that your rules "
                "allow. Name an earlier end.",
            )
        )
    return Delegable(fits)


def _parts(policy: Policy) -> tuple[Requirement, ...]:
    return tuple(
        part
        for rule in policy.rules
        if isinstance(rule.approval, Approval) and rule.approval.delegation is not None
        for part in requirements_of(rule.name, rule.approval)
    )


def _may_stand_in(part: Requirement, deputy: str, membership: Membership) -> bool:
    limits = part.delegation
    if limits is None:
        return False
    return limits.among is None or surely_belongs(deputy, limits.among, membership)
