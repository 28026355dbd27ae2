"""Requests and grants that end before their time: cancelled, lapsed, returned, revoked."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.access.facts import RevokingFacts
from bot.access.known import ensure_not_suspended
from bot.core import lifecycle
from bot.core.errors import Conflict, Refused
from bot.core.model import AccessRequest, EndReason, Grant, GrantState, Owners, RequestState
from bot.core.policy import Policy
from bot.core.revoking import may_revoke, revokers_now
from bot.core.rule_choice import REVOKED_WITHIN
from bot.store import audit, entries, given, grants, locks, post_reviews, requests
from bot.store.gone import end_with_cluster


def cancel(tx: Connection, request_id: str, by: str, now: datetime) -> AccessRequest:
    """The requester takes back a request that nobody has decided yet, or that has not begun."""
    request = requests.get_locked(tx, request_id)
    grant = grants.find(tx, request_id)
    if grant is not None and grant.state is GrantState.SCHEDULED and by == request.requester:
        revoke(tx, request_id, EndReason.RETURNED, by, now)  # approved, but not begun
        return request
    cancelled, events = lifecycle.cancel(request, now, by=by)
    requests.decide(tx, cancelled)
    audit.record(tx, events)
    return cancelled


def lapse(tx: Connection, request_id: str, now: datetime) -> AccessRequest:
    """Nobody decided in time."""
    request = requests.get_locked(tx, request_id)
    lapsed, events = lifecycle.lapse(request, now)
    requests.decide(tx, lapsed)
    audit.record(tx, events)
    return lapsed


def give_back(tx: Connection, request_id: str, by: str, now: datetime) -> Grant:
    """The holder returns access early. Raises Refused for anybody else."""
    request = requests.get(tx, request_id)
    if request.requester != by:
        raise Refused(
            "not_yours",
            f"{request_id} is somebody else's access; only they can return it.",
        )
    if request.state is not RequestState.APPROVED:
        raise Conflict(
            "nothing_to_return",
            f"Request {request_id} gave no access: it is {request.state.value.lower()}.",
        )
    return revoke_whole(tx, request_id, EndReason.RETURNED, by, now)


def take_away(tx: Connection, facts: RevokingFacts, request_id: str, why: str = "") -> Grant:
    """Somebody revokes access; whoever has it gives it back by the same click.

    Raises Refused for those who may not, Conflict where there is nothing to take away, and
    DirectoryUnavailable where it hangs on a group that nobody answered for.
    """
    request = requests.get(tx, request_id)
    if request.requester == facts.by:
        return give_back(tx, request_id, facts.by, facts.now)
    ensure_not_suspended(tx, facts.by)
    refusal = may_revoke(
        who_may_revoke(tx, facts.policy, request, facts.now),
        request,
        facts.by,
        facts.person,
        membership=facts.membership,
        team_id=facts.team_id,
    )
    if refusal is not None:
        raise Refused(refusal.code, refusal.sentence)
    if request.state is not RequestState.APPROVED:
        raise Conflict(
            "nothing_to_revoke",
            f"Request {request_id} gave no access: it is {request.state.value.lower()}.",
        )
    return revoke_or_note(tx, request_id, facts.by, facts.now, why=why)


def revoke_or_note(tx: Connection, grant_id: str, by: str, now: datetime, *, why: str) -> Grant:
    """Revoke the whole access. Of one that just ended otherwise, note that it counts as revoked.

    Nobody evades what follows a revocation by returning the access a moment before it. Returns the
    grant, whose reason is not REVOKED where that was noted; raises Conflict where nothing is left
    to revoke or to note.
    """
    # Before the row, as whoever grants something: what is given next sees what is noted here.
    locks.one_at_a_time(tx, grants.get(tx, grant_id).requester)
    held = _held_line(tx, grant_id)
    last = grants.of_line(tx, grant_id)[-1]
    lately = last.revoking_since is not None and now - last.revoking_since < REVOKED_WITHIN
    had = last.end_reason not in {EndReason.FAILED, EndReason.NOT_BEGUN}
    if held or not lately or not had or not given.note_late_revocation(tx, last.id, now):
        return revoke_whole(tx, grant_id, EndReason.REVOKED, by, now, why=why)
    audit.record(tx, [lifecycle.revoked_late(last, now, by=by, why=why)])
    requests.touch(tx, last.id)
    return last


def who_may_revoke(
    tx: Connection, policy: Policy | None, request: AccessRequest, now: datetime
) -> Owners:
    """Those who may revoke it under the policy, or with None as it was when it was given."""
    grant, owed = grants.find(tx, request.id), post_reviews.find(tx, request.id)
    return revokers_now(policy, request, grant, owed, now)


def revoke_whole(
    tx: Connection, grant_id: str, reason: EndReason, by: str, now: datetime, *, why: str = ""
) -> Grant:
    """As `revoke`, with what it extends and whatever takes over from it: that is one access.

    Raises Conflict where none of them is live. Returns the last of them.
    """
    chosen = _held_line(tx, grant_id) or (grants.get(tx, grant_id),)
    return [revoke(tx, one.id, reason, by, now, why=why) for one in chosen][-1]


def noted(grant: Grant) -> str:
    """What whoever revoked a grant that had just ended otherwise is told."""
    hours = REVOKED_WITHIN // timedelta(hours=1)
    return (
        f"{grant.id} had already ended, or is being removed. Your revocation is on record: for "
        f"{hours} hours no automatic rule gives this person access to {grant.cluster.name}."
    )


def _held_line(tx: Connection, grant_id: str) -> tuple[Grant, ...]:
    """What is live of one access, with the rows locked so that nothing more takes over from it.

    Whoever extends a grant holds its row. What was read is out of date once such a row was waited
    for: read again until it shows nothing new. That has a later id, so the order of locks is kept.
    """
    held = set[str]()
    while True:
        line = grants.live_of_line(tx, grant_id)
        new = {one.id for one in line} - held
        if not new:
            return line
        requests.lock(tx, new)
        held |= new


def forget(tx: Connection, grant_id: str, now: datetime, *, why: str) -> tuple[Grant, ...]:
    """An operator says that a grant's cluster is gone for good: end it, though EKS was not read.

    With it ends whatever it is one access with. Raises Conflict where it has ended.
    """
    grant, entry_id = grants.get(tx, grant_id), grants.entry_of(tx, grant_id)
    if grant.state is GrantState.ENDED or entry_id is None:
        raise Conflict("already_ended", f"Grant {grant_id} has already ended.")
    line = {grant_id, *(one.id for one in _held_line(tx, grant_id))}
    return end_with_cluster(tx, line, entry_id, now, by=lifecycle.OPERATOR, why=why)


def revoke(
    tx: Connection, grant_id: str, reason: EndReason, by: str, now: datetime, *, why: str = ""
) -> Grant:
    """End a live grant. The access loop removes it and reads back that it is gone.

    `why` are the words of whoever revokes; they go into the audit trail.
    """
    requests.get_locked(tx, grant_id)
    grant = grants.get(tx, grant_id)
    revoking, events = lifecycle.revoke(grant, now, reason, by=by, why=why)
    grants.change(tx, revoking, expected=grant.state)
    audit.record(tx, events)
    requests.touch(tx, grant_id)
    entry_id = grants.entry_of(tx, grant_id)
    if entry_id is not None:
        entries.wake(tx, entry_id, now)
    return revoking
