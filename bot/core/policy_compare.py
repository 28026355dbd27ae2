"""Whether one way to access gives more than another: what is given, how long, who has to agree.

Each function lists in words what is more in the new one. Nothing listed means: whatever the new one
gives, the old one gave. Where that cannot be shown, it is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.core.durations import format_duration
from bot.core.model import Owners
from bot.core.names import listed
from bot.core.people import Membership
from bot.core.policy import BreakGlass, Level, Rule
from bot.core.policy_approval import Approval, DelegationTerms, Escalation

_COVERS = {
    "AmazonEKSClusterAdminPolicy": frozenset(
        {
            "AmazonEKSAdminPolicy",
            "AmazonEKSAdminViewPolicy",
            "AmazonEKSEditPolicy",
            "AmazonEKSSecretReaderPolicy",
            "AmazonEKSViewPolicy",
        }
    ),
    "AmazonEKSAdminPolicy": frozenset({"AmazonEKSEditPolicy", "AmazonEKSViewPolicy"}),
    "AmazonEKSEditPolicy": frozenset({"AmazonEKSViewPolicy"}),
    "AmazonEKSAdminViewPolicy": frozenset({"AmazonEKSViewPolicy"}),
}
"""Which access policies another one surely covers. Source: EKS User Guide, "Review access policy
permissions"; Kubernetes, "Using RBAC Authorization", user-facing roles."""


_NOBODY = Owners()


@dataclass(frozen=True, slots=True)
class Part:
    """Owners who have to approve: `required` of them, those of an escalation after a while."""

    owners: Owners
    required: int
    later: Owners = _NOBODY
    after: timedelta = timedelta()


def level_gains(old: Level, new: Level) -> list[str]:
    """What the new level gives that the old one did not."""
    gains = []
    covered = {None, old.policy, *_COVERS.get(old.policy or "", ())}
    if new.policy not in covered:
        gains.append(f"{new.policy} in place of {old.policy or 'no access policy'}")
    groups = set(new.kubernetes_groups) - set(old.kubernetes_groups)
    if groups:
        gains.append(f"the Kubernetes group {listed(sorted(groups), 'and')}")
    return gains


def rule_gains(old: Rule, new: Rule, known: Membership) -> list[str]:
    """What the new rule lets somebody have that the old one did not, in one place.

    `known` are the members of groups, as far as they are told.
    """
    gains = []
    if new.max_duration > old.max_duration:
        gains.append(_longer(old.max_duration, new.max_duration))
    if old.ticket is not None and new.ticket != old.ticket:
        gains.append("without that ticket" if new.ticket else "without a ticket")
    if old.ends_with_ticket and not new.ends_with_ticket:
        gains.append("beyond the end of the ticket")
    if isinstance(old.approval, Approval):
        if isinstance(new.approval, Approval):
            gains += _approval_gains(old.approval, new.approval, known)
        else:
            gains.append("without approval")
    return gains


def break_glass_gains(old: BreakGlass, new: BreakGlass, known: Membership) -> list[str]:
    """What the new entry lets somebody have by break-glass that the old one did not."""
    gains = []
    if new.max_duration > old.max_duration:
        gains.append(_longer(old.max_duration, new.max_duration))
    if new.max_live > old.max_live:
        gains.append(f"{new.max_live} at once in place of {old.max_live}")
    if new.review.within > old.review.within:
        gains.append(f"reviewed within {format_duration(new.review.within)} only")
    mine = _part(old.review.owners.owners, 1, old.review.escalate, known)
    theirs = _part(new.review.owners.owners, 1, new.review.escalate, known)
    if not _stricter(mine, theirs):
        gains.append("reviewed by others as well")
    return gains


def expanded(owners: Owners, known: Membership) -> Owners:
    """The owners with the members of the groups that are told in place of those groups."""
    told = owners.groups & known.keys()
    if not told:
        return owners
    members = frozenset[str]().union(*(known[group] for group in told))
    return Owners(owners.users | members, owners.groups - told)


def within(some: Owners, all_: Owners) -> bool:
    """Whether `some` are surely among `all_`."""
    return some.users <= all_.users and some.groups <= all_.groups


def _longer(old: timedelta, new: timedelta) -> str:
    return f"up to {format_duration(new)} in place of {format_duration(old)}"


def _approval_gains(old: Approval, new: Approval, known: Membership) -> Iterator[str]:
    before, after = _parts(old, known), _parts(new, known)
    needed, wanted = (sum(part.required for part in parts) for parts in (before, after))
    if wanted < needed:
        approvals = "1 approval" if wanted == 1 else f"{wanted} approvals"
        yield f"with {approvals} in place of {needed}"
    elif not _each_met(before, after):
        yield "with the approval of others"
    if _more_deputies(old.delegation, new.delegation, known):
        yield "with the approval of deputies"


def _parts(approval: Approval, known: Membership) -> list[Part]:
    first = _part(approval.owners.owners, approval.required, approval.escalate, known)
    also = [Part(expanded(one.owners.owners, known), one.required) for one in approval.also]
    return [first, *also]


def _part(owners: Owners, required: int, later: Escalation | None, known: Membership) -> Part:
    mine = expanded(owners, known)
    if later is None:
        return Part(mine, required)
    return Part(mine, required, expanded(later.owners.owners, known), later.after)


def _each_met(old: list[Part], new: list[Part]) -> bool:
    """Whether each old part is met where the new ones are: each by one of its own."""
    return _matched(0, old, new, {})


def _matched(index: int, old: list[Part], new: list[Part], taken: Mapping[int, int]) -> bool:
    if index == len(old):
        return True
    return any(
        place not in taken
        and _stricter(old[index], part)
        and _matched(index + 1, old, new, {**taken, place: index})
        for place, part in enumerate(new)
    )


def _stricter(old: Part, new: Part) -> bool:
    """Whether whoever meets the new part has met the old one, at any time."""
    if new.required < old.required or not within(new.owners, old.owners):
        return False
    if within(new.later, old.owners):
        return True
    return within(new.later, old.owners.union(old.later)) and new.after >= old.after


def _more_deputies(
    old: DelegationTerms | None, new: DelegationTerms | None, known: Membership
) -> bool:
    if new is None:
        return False
    if old is None or new.longest > old.longest:
        return True
    if old.to is None:
        return False
    if new.to is None:
        return True
    return not within(expanded(new.to.owners, known), expanded(old.to.owners, known))
