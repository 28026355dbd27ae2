"""Suspend one person: nothing new for them, and what they have ends now; let them in again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.access.delegate import end_all_of
from bot.access.end import revoke
from bot.access.facts import Facts
from bot.access.known import as_stored
from bot.core import lifecycle
from bot.core import suspension as rules
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.lifecycle import OPERATOR
from bot.core.lockdown import MOST_REASON_LETTERS, SUSPENDING, not_security
from bot.core.model import AccessRequest, Delegation, EndReason, Grant, GrantState, RequestState
from bot.core.suspension import SUSPENDED, Suspension
from bot.store import audit, grants, locks, requests, suspensions

_MOST_CLOSED = 1000


@dataclass(frozen=True, slots=True)
class Suspended:
    """What came of it: grants being removed, requests closed, deputies that are none any more."""

    suspension: Suspension
    revoked: tuple[Grant, ...]
    closed: tuple[AccessRequest, ...]
    delegations: tuple[Delegation, ...]


def ensure_may_suspend(tx: Connection, facts: Facts, by: str) -> None:
    """Raise Refused unless the policy lets this person suspend others, and end that."""
    facts = as_stored(tx, facts)
    problem = not_security(
        facts.policy, facts.person(by), facts.membership, SUSPENDING, team_id=facts.team_id
    )
    if problem is not None:
        raise Refused(problem.code, problem.sentence)


def begin(tx: Connection, person: str, *, by: str, reason: str, now: datetime) -> Suspended:
    """Suspend `person` and end what they have. `by` is a Slack user id, or `operator`.

    Raises InvalidInput without a reason, Refused for oneself, and Conflict where they are
    suspended already.
    """
    why = reason.strip()
    if not why or len(why) > MOST_REASON_LETTERS:
        raise InvalidInput(
            "bad_reason",
            f"A suspension needs a reason of 1 to {MOST_REASON_LETTERS} characters. It goes to "
            "security and into the audit trail.",
            field="reason",
        )
    if person == by:
        raise Refused("own_suspension", "You cannot suspend yourself. Nothing was changed.")
    locks.until_nobody_grants(tx)
    begun = suspensions.begin(tx, person, by=by, reason=why, now=now)
    audit.record(tx, [rules.begun(begun)])
    live = [one for one in grants.live(tx, requester=person) if one.state != GrantState.REVOKING]
    waiting = requests.of_requester(tx, person, state=RequestState.PENDING, limit=_MOST_CLOSED)
    requests.lock(tx, [*(one.id for one in live), *(one.id for one in waiting)])
    return Suspended(
        begun,
        tuple(_revoked(tx, live, by, now)),
        tuple(_closed(tx, waiting, by, now)),
        end_all_of(tx, person, by, now),
    )


def end(tx: Connection, person: str, *, by: str, now: datetime, why: str = "") -> Suspension:
    """Let the person ask and decide again; what ended by the suspension is not given back.

    Raises Conflict where they are not suspended, and Refused for anybody in Slack where an operator
    began it: it may be the answer to a stolen account of somebody who may end suspensions.
    """
    current = suspensions.current(tx, person)
    if current is not None and current.began_by == OPERATOR and by != OPERATOR:
        raise Refused(
            "operators_suspension",
            "An operator began this suspension, and only an operator ends it: "
            f"`eks-access unsuspend {person}`.",
        )
    over = suspensions.end(tx, person, by=by, now=now)
    audit.record(tx, [rules.ended(over, why)])
    return over


def _revoked(tx: Connection, live: list[Grant], by: str, now: datetime) -> Iterator[Grant]:
    for grant in live:
        try:
            yield revoke(tx, grant.id, EndReason.REVOKED, by, now, why=SUSPENDED)
        except Conflict:
            continue  # it ended by itself meanwhile, and must not keep the rest


def _closed(
    tx: Connection, waiting: list[AccessRequest], by: str, now: datetime
) -> Iterator[AccessRequest]:
    for request in waiting:
        try:
            closed, events = lifecycle.close(request, now, by=by, reason=SUSPENDED)
            requests.decide(tx, closed)
        except Conflict:
            continue
        audit.record(tx, events)
        yield closed
