"""What has to be asked, of Slack and of on-call services, to decide a stored command or click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from bot.access.known import ensure_not_suspended
from bot.access.lockdown import ensure_granting
from bot.access.tickets import ticket_to_check
from bot.core.break_glass import groups_for_break_glass, schedules_for
from bot.core.decide import groups_needed
from bot.core.delegating import delegation_groups
from bot.core.errors import Refused
from bot.core.lifecycle import ensure_extensible, ensure_open
from bot.core.model import AccessRequest, Ask
from bot.core.oncall import Schedules
from bot.core.policy import Policy
from bot.core.post_review import reviewers_now
from bot.core.review import own_request
from bot.store import delegations, grants, post_reviews, requests
from bot.store.inbox import Item, Kind

ask_adapter = TypeAdapter(Ask)

URGENT = frozenset({Kind.BREAK_GLASS, Kind.REVOKE, Kind.LOCKDOWN, Kind.SUSPEND})
"""What has the reserve of Slack's limits: it must not wait because others asked much."""

ASKS_ONLY = frozenset({Kind.REQUEST, Kind.EXTEND, Kind.ASK, Kind.ANSWER})
"""What may be decided by what Slack told half a minute ago: nobody's approval hangs on it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """People by Slack id, groups and channels whose members decide, schedules of on-call services.

    `ticket` is a service and the ticket to ask it about. `all_groups`: nothing is decided where
    Slack does not tell one of them. Otherwise what is told has to do, and a decision that hangs on
    a missing one is refused.
    """

    people: frozenset[str]
    groups: frozenset[str] = frozenset()
    schedules: frozenset[Schedules] = frozenset()
    ticket: tuple[str, str] | None = None
    all_groups: bool = True


def ensure_worth_asking(tx: Connection, item: Item, now: datetime) -> None:
    """Raise DomainError where the store alone refuses the item, so that nobody need be asked.

    The use case looks once more, in the transaction of what it does.
    """
    ensure_not_suspended(tx, item.actor)
    match item.kind:
        case Kind.REQUEST:
            ensure_granting(tx)
        case Kind.EXTEND:
            ensure_granting(tx)
            ensure_extensible(grants.get(tx, item.document["request_id"]), item.actor, now)
        case Kind.APPROVE | Kind.DENY:
            request = _request(tx, item)
            ensure_open(request, now)
            if request.requester == item.actor:
                reason = own_request(request)
                raise Refused(reason.code, reason.sentence)
        case Kind.ASK | Kind.ANSWER:
            ensure_open(_request(tx, item), now)


def needs_of(  # noqa: PLR0911 - one answer for each kind
    tx: Connection, policy: Policy, item: Item, now: datetime
) -> Needs:
    """What deciding the item needs under `policy`. Raises NotFound for an unknown request."""
    alone = frozenset({item.actor})
    match item.kind:
        case Kind.REQUEST:
            return _for_request(policy, alone, asked(item.document))
        case Kind.BREAK_GLASS:
            return _for_break_glass(policy, alone, asked(item.document))
        case Kind.EXTEND:
            return _for_request(policy, alone, _request(tx, item).ask)
        case Kind.APPROVE | Kind.DENY:
            request = _request(tx, item)
            reviewers = {one.reviewer for one in requests.reviews_of(tx, request.id)}
            people = alone | reviewers | {request.requester}
            people |= _owners_away(tx, request, people)
            if request.break_glass:
                return _for_break_glass(policy, people, request.ask)
            needs = _for_request(policy, people, request.ask)
            return needs if item.kind is Kind.APPROVE else replace(needs, ticket=None)
        case Kind.LOCKDOWN | Kind.SUSPEND | Kind.UNSUSPEND if policy.lockdown is not None:
            return Needs(alone, policy.lockdown.owners.owners.groups)
        case Kind.DELEGATE:
            people = alone | {str(item.document["deputy"])}
            return Needs(people, delegation_groups(policy), all_groups=False)
        case Kind.UNDELEGATE:
            return Needs(alone, delegation_groups(policy), all_groups=False)
        case Kind.REVIEW:
            return Needs(alone, _groups_of_reviewers(tx, policy, item, now), all_groups=False)
        case _:
            return Needs(alone)


def needs_of_start(tx: Connection, policy: Policy, request_id: str) -> Needs:
    """What deciding anew needs, whether approved access may begin."""
    request = requests.get(tx, request_id)
    reviewers = frozenset(one.reviewer for one in requests.reviews_of(tx, request_id))
    people = reviewers | {request.requester} | _owners_away(tx, request, reviewers)
    return _for_request(policy, people, request.ask)


def _owners_away(
    tx: Connection, request: AccessRequest, reviewers: frozenset[str]
) -> frozenset[str]:
    """The owners in whose place one of these people may decide, or might when they did."""
    found = delegations.of_deputies(tx, reviewers, request.created_at)
    return frozenset(one.owner for one in found)


def asked(document: Mapping[str, Any]) -> Ask:
    """The Ask that an item's document holds; without a start that was typed, which is `at`."""
    return ask_adapter.validate_python({key: document[key] for key in document if key != "at"})


def _for_request(policy: Policy, people: frozenset[str], ask: Ask) -> Needs:
    return Needs(people, groups_needed(policy, ask), ticket=ticket_to_check(policy, ask))


def _for_break_glass(policy: Policy, people: frozenset[str], ask: Ask) -> Needs:
    """At night Slack may tell half, and an on-call service the rest."""
    groups, schedules = groups_for_break_glass(policy, ask), schedules_for(policy, ask)
    return Needs(people, groups, schedules, all_groups=False)


def _groups_of_reviewers(
    tx: Connection, policy: Policy, item: Item, now: datetime
) -> frozenset[str]:
    """Where those are who may review a break-glass."""
    request = _request(tx, item)
    owed = post_reviews.find(tx, request.id)
    return reviewers_now(policy, request, owed, now).groups if owed is not None else frozenset()


def _request(tx: Connection, item: Item) -> AccessRequest:
    return requests.get(tx, item.document["request_id"])
