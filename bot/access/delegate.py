"""An owner who is away lets somebody decide in their place, and takes that back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.access.known import as_stored
from bot.core.delegating import MOST_DEPUTIES, delegable
from bot.core.errors import Conflict, DirectoryUnavailable, NotFound, Refused
from bot.core.model import AccessRequest, AuditEvent, Delegation, Requirement
from bot.core.people import not_full_member
from bot.core.review import no_reviewer, principal_to_compare
from bot.store import audit, delegations, locks

_OUTSIDER = "no full member of this workspace, and only those decide"
_NO_DEPUTY = {"suspended": "suspended, and decides nothing now"}


def begin(
    tx: Connection, facts: Facts, owner: str, deputy: str, until: datetime
) -> tuple[Delegation, tuple[Requirement, ...]]:
    """Let `deputy` decide in the place of `owner` from now until then.

    Returns for which requirements. The same deputy named again takes the place of the first time.
    Raises Refused with the reason, and DirectoryUnavailable where it hangs on a group that nobody
    answered for.
    """
    locks.while_granting(tx)  # as it can come to be granted by it: no suspension begins meanwhile
    facts = as_stored(tx, facts)
    for user in (owner, deputy):
        outsider = not_full_member(facts.person(user), facts.team_id)
        if outsider is not None and user == owner:
            raise Refused(outsider.code, outsider.sentence)
        if outsider is not None:
            raise Refused(
                "no_deputy",
                f"{facts.person(deputy).name} is {_NO_DEPUTY.get(outsider.code, _OUTSIDER)}. "
                "Nothing was changed; name somebody else.",
            )
    if deputy == owner:
        raise Refused("own_deputy", "Nobody is their own deputy. Name somebody else.")
    may = delegable(facts.policy, owner, deputy, until - facts.now, facts.membership)
    if may.refusal is not None and may.refusal.code == "group_unknown":
        raise DirectoryUnavailable(may.refusal.code, may.refusal.sentence)
    if may.refusal is not None:
        raise Refused(may.refusal.code, may.refusal.sentence)
    locks.one_at_a_time(tx, owner)
    held = [one for one in delegations.holding(tx, facts.now) if one.owner == owner]
    for one in held:
        if one.deputy == deputy:
            _end(tx, one, owner, facts.now)
    if sum(one.deputy != deputy for one in held) >= MOST_DEPUTIES:
        raise Conflict(
            "too_many_deputies",
            f"You have {MOST_DEPUTIES} deputies, which is the most. `/eks-access delegations` "
            "lists them; `/eks-access delegate off` ends them.",
        )
    begun = delegations.add(tx, owner=owner, deputy=deputy, since=facts.now, until=until)
    details = {
        "delegation": begun.id,
        "deputy": deputy,
        "until": until.isoformat(),
        "rules": [one.key for one in may.requirements],
    }
    audit.record(tx, [AuditEvent(facts.now, owner, "delegation.begun", details=details)])
    return begun, may.requirements


def end(tx: Connection, owner: str, deputy: str | None, now: datetime) -> tuple[Delegation, ...]:
    """Take back what `owner` handed to `deputy`, or to everybody. Raises NotFound: to nobody."""
    locks.one_at_a_time(tx, owner)
    held = tuple(
        one
        for one in delegations.holding(tx, now)
        if one.owner == owner and deputy in {None, one.deputy}
    )
    if not held:
        raise NotFound(
            "no_deputy",
            "Nobody decides in your place now. `/eks-access delegations` lists all deputies.",
        )
    for one in held:
        _end(tx, one, owner, now)
    return tuple(replace(one, ended_at=now) for one in held)


def end_all_of(tx: Connection, person: str, by: str, now: datetime) -> tuple[Delegation, ...]:
    """End every delegation that this person gave or was given, in the name of `by`."""
    held = tuple(one for one in delegations.holding(tx, now) if person in {one.owner, one.deputy})
    for one in held:
        _end(tx, one, by, now)
    return tuple(replace(one, ended_at=now) for one in held)


def with_deputies(
    tx: Connection, facts: Facts, request: AccessRequest, reviewers: Collection[str]
) -> Facts:
    """The facts with what the store says now of whom these people stand in for.

    An owner who could not review the request themselves has no deputy for it: whoever is no full
    member any more, and whoever may be the requester under another account. Raises Conflict
    (`try_again`) where an owner was not looked up, because they named their deputy only just now.
    """
    facts = as_stored(tx, facts)
    found = delegations.of_deputies(tx, reviewers, request.created_at)
    usable = tuple(one for one in found if _may_review(facts, request, one.owner))
    return replace(facts, delegations=usable)


def _may_review(facts: Facts, request: AccessRequest, owner_id: str) -> bool:
    owner = facts.person(owner_id)
    arn = principal_to_compare(facts.policy, request, owner)
    return no_reviewer(facts.policy, request, owner, arn, facts.team_id) is None


def _end(tx: Connection, one: Delegation, by: str, now: datetime) -> None:
    if delegations.end(tx, one, now):
        details = {"delegation": one.id, "deputy": one.deputy}
        if by != one.owner:
            details["owner"] = one.owner
        audit.record(tx, [AuditEvent(now, by, "delegation.ended", details=details)])
