"""How approvals add up: whose they are, and whether each requirement has those it needs.

An approval is given from a seat: an owner's own, or that of an owner whose deputy the person is.
Within one rule every approval is of another person, from another seat, and for one part only, so
that `required: 2` means two people and two owners' word. One person who owns several rules counts
for each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from bot.core.model import Delegation, Owners, Requirement, Review, Verdict
from bot.core.people import Membership, belongs, surely_belongs
from bot.core.seating import placed

Seats = Mapping[str, frozenset[str]]
"""By a requirement's key: the owners in whose place somebody may approve."""


def seats(
    user: str,
    requirement: Requirement,
    owners: Owners,
    *,
    membership: Membership,
    delegations: Iterable[Delegation],
    excluded: Collection[str],
    now: datetime,
) -> frozenset[str]:
    """The owners in whose place `user` may review: themselves, or those who made them a deputy.

    `owners` are the requirement's at this moment. `excluded` are the requester and who shares their
    principal: nobody decides in their place either. Raises DirectoryUnavailable where it hangs on a
    group nobody answered for.
    """
    if user in excluded:
        return frozenset()
    if belongs(user, owners, membership):
        return frozenset({user})
    limits = requirement.delegation
    if limits is None:
        return frozenset()
    return frozenset(
        one.owner
        for one in delegations
        if one.deputy == user
        and one.holds_at(now)
        and one.until - one.since <= limits.longest
        and one.owner not in excluded
        and belongs(one.owner, owners, membership)
        and (limits.among is None or belongs(user, limits.among, membership))
    )


def counted(
    requirements: Iterable[Requirement], approvers: Mapping[str, Seats]
) -> dict[str, tuple[str, ...]]:
    """Which approvers count for each requirement, at most as many as it needs.

    `approvers` are the people who approved, in the order in which they did, with their seats.
    """
    by_rule: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_rule.setdefault(one.rule, []).append(one)
    found: dict[str, tuple[str, ...]] = {}
    for parts in by_rule.values():
        found |= _counted_in_rule(parts, approvers)
    return found


def unmet(
    requirements: Iterable[Requirement], approvers: Mapping[str, Seats]
) -> tuple[Requirement, ...]:
    """The requirements that have not enough approvals."""
    every = tuple(requirements)
    have = counted(every, approvers)
    return tuple(one for one in every if len(have[one.key]) < one.required)


def as_reviewed(reviews: Iterable[Review]) -> dict[str, Seats]:
    """The approvers, with the seats that their reviews record: to show, not to decide."""
    return {
        one.reviewer: {
            key: frozenset(one.seats.get(key) or one.deputy_of or (one.reviewer,))
            for key in one.rules
        }
        for one in reviews
        if one.verdict is Verdict.APPROVE
    }


def enough_owners(
    parts: Iterable[Requirement], excluded: Collection[str], membership: Membership
) -> bool:
    """Whether the parts of one rule have enough distinct owners, without those excluded.

    A group that nobody answered for counts as empty.
    """
    slots = [part for part in parts for _ in range(part.required)]
    candidates = [_known(part.everybody, membership) - set(excluded) for part in slots]
    taken: dict[str, int] = {}
    return all(_seat(index, candidates, taken, set()) for index in range(len(slots)))


def _known(owners: Owners, membership: Membership) -> set[str]:
    members = (membership.get(group, ()) for group in owners.groups)
    return {
        user for user in {*owners.users}.union(*members) if surely_belongs(user, owners, membership)
    }


def _counted_in_rule(
    parts: list[Requirement], approvers: Mapping[str, Seats]
) -> dict[str, tuple[str, ...]]:
    """As `counted`, for the parts of one rule."""
    where = placed(approvers, {part.key: part.required for part in parts})
    return {
        part.key: tuple(user for user in approvers if where.get(user) == part.key) for part in parts
    }


def _seat(index: int, candidates: list[set[str]], taken: dict[str, int], seen: set[str]) -> bool:
    """Find a place for number `index`, moving others where that helps (an augmenting path)."""
    for one in sorted(candidates[index] - seen):
        seen.add(one)
        if one not in taken or _seat(taken[one], candidates, taken, seen):
            taken[one] = index
            return True
    return False
