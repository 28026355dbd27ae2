"""What each kind of command or click does: the use case it calls, and the sentence that answers it.

A stored item may be anything that anybody could have sent; what it asks for is decided in the use
cases, from the facts and the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.access import (
    break_glass,
    delegate,
    end,
    lockdown,
    post_review,
    question,
    review,
    suspension,
)
from bot.access.extend import extend
from bot.access.facts import Facts, RevokingFacts
from bot.access.submit import submit
from bot.core.durations import format_duration
from bot.core.model import AccessRequest, Ask, EndReason, GrantState, RequestState
from bot.core.names import listed
from bot.core.starts import parse_moment, parse_until, place, shown_in
from bot.slack import delegations, suspensions
from bot.slack.blocks import Message
from bot.slack.glass_card import verdict
from bot.slack.glass_messages import begun
from bot.slack.lockdowns import announce_begun, announce_ended
from bot.slack.needs import asked
from bot.slack.replies import note
from bot.store import post_reviews
from bot.store.inbox import Item, Kind


def carry_out(tx: Connection, facts: Facts, item: Item) -> Message:
    """Do what the item asks for, unless it is for `give_back` or `revoke`. Returns what to answer.

    Raises DomainError where it cannot be done; then `tx` must not be committed.
    """
    if item.kind is Kind.BREAK_GLASS:
        return _break_glass(tx, facts, item)
    if item.kind is Kind.SUSPEND:
        return _suspend(tx, facts, item)
    return note(_BY_KIND[item.kind](tx, facts, item))


def give_back(tx: Connection, item: Item, now: datetime) -> str:
    """Cancel a request or return access. Returns the sentence that tells the person."""
    request_id = item.document["request_id"]
    if item.kind is Kind.CANCEL:
        end.cancel(tx, request_id, item.actor, now)
        return f"Request {request_id} is cancelled."
    if end.give_back(tx, request_id, item.actor, now).state is GrantState.ENDED:
        return f"{request_id} will not start. Nothing was given."
    return (
        f"{request_id} is being removed. A direct message says when EKS has confirmed that it is "
        "gone."
    )


def revoke(tx: Connection, facts: RevokingFacts, item: Item) -> str:
    """Take access away for somebody. Returns the sentence that tells the person."""
    request_id = str(item.document["request_id"])
    grant = end.take_away(tx, facts, request_id, item.document.get("reason", ""))
    if grant.requester != item.actor and grant.end_reason is not EndReason.REVOKED:
        return end.noted(grant)
    return f"{request_id} is being removed. Its card says when EKS has confirmed that it is gone."


def _placed(item: Item, facts: Facts) -> Ask:
    """What a request asks for, with a start that was typed in the person's own time."""
    ask, at = asked(item.document), item.document.get("at")
    if not at:
        return ask
    zone = facts.person(item.actor).time_zone
    return replace(ask, start_at=place(parse_moment(at), zone, item.received_at))


def _starts(request: AccessRequest, facts: Facts) -> str:
    """When access begins, in the requester's time zone; "" where it does at once, as asked."""
    if request.start_at is None:
        return ""
    at = shown_in(request.start_at, facts.person(request.requester).time_zone)
    if request.start_missed:
        return (
            f"Its start, {at}, has passed: access is being set up now, and lasts "
            f"{format_duration(request.duration)} from its confirmation."
        )
    return f"Access starts at {at}, if the rules still allow it then."


def _request(tx: Connection, facts: Facts, item: Item) -> str:
    request = submit(tx, facts, item.actor, _placed(item, facts))
    if request.state is RequestState.APPROVED:
        starts = _starts(request, facts)
        if starts:
            return f"Request {request.id} needs nobody's approval. {starts}"
        return (
            f"Request {request.id} needs nobody's approval. Access is being set up; a direct "
            "message brings the commands once EKS confirms it."
        )
    why = "".join(f"{one} " for one in request.notes)
    return (
        f"{why}Request {request.id} is with its owners. A direct message tells you what becomes of "
        f"it; `/eks-access cancel {request.id}` takes it back."
    )


def _approve(tx: Connection, facts: Facts, item: Item) -> str:
    request = review.approve(tx, facts, item.document["request_id"], item.actor)
    if request.state is RequestState.APPROVED:
        starts = _starts(request, facts)
        return f"You approved {request.id}. {starts or 'Access is being set up.'}"
    return f"Your approval of {request.id} is counted. It needs more of its owners."


def _deny(tx: Connection, facts: Facts, item: Item) -> str:
    document = item.document
    request = review.deny(tx, facts, document["request_id"], item.actor, document["reason"])
    return f"You denied {request.id}. The requester reads your reason."


def _extend(tx: Connection, facts: Facts, item: Item) -> str:
    extended = item.document["request_id"]
    more = timedelta(seconds=item.document["seconds"])
    reason = item.document["reason"]
    request = extend(tx, facts, extended, by=item.actor, more=more, reason=reason)
    if request.state is RequestState.APPROVED:
        return (
            f"More time for {extended} is approved; {request.id} takes over from it once EKS is "
            "seen to give it."
        )
    return (
        f"Request {request.id} to extend {extended} is with its owners. The access ends as it was "
        "going to, unless they approve in time."
    )


def _ask(tx: Connection, facts: Facts, item: Item) -> str:
    document = item.document
    request = question.ask(tx, facts, document["request_id"], item.actor, document["question"])
    return f"Your question about {request.id} goes into the thread of its card."


def _answer(tx: Connection, facts: Facts, item: Item) -> str:
    document = item.document
    request = question.answer(tx, facts, document["request_id"], item.actor, document["answer"])
    return f"Your answer about {request.id} goes into the thread of its card."


def _lockdown(tx: Connection, facts: Facts, item: Item) -> str:
    lockdown.ensure_may_change(tx, facts, item.actor)
    if not item.document["on"]:
        over = lockdown.end(tx, by=item.actor, now=facts.now)
        announce_ended(tx, facts.policy, over)
        return "Lockdown is over. Access is granted as the policy says."
    begun, revoked = lockdown.begin(
        tx,
        by=item.actor,
        reason=item.document["reason"],
        revoking=item.document["revoking"],
        now=facts.now,
    )
    announce_begun(tx, facts.policy, begun, len(revoked))
    live = f" Being removed: {len(revoked)} live." if begun.revoking else ""
    return f"Lockdown is on: nothing new is granted.{live} `/eks-access lockdown off` ends it."


def _suspend(tx: Connection, facts: Facts, item: Item) -> Message:
    suspension.ensure_may_suspend(tx, facts, item.actor)
    person, reason = str(item.document["person"]), str(item.document["reason"])
    done = suspension.begin(tx, person, by=item.actor, reason=reason, now=facts.now)
    suspensions.announce_begun(tx, facts.policy, done)
    return suspensions.begun_reply(done)


def _unsuspend(tx: Connection, facts: Facts, item: Item) -> str:
    suspension.ensure_may_suspend(tx, facts, item.actor)
    person = str(item.document["person"])
    over = suspension.end(tx, person, by=item.actor, now=facts.now)
    suspensions.announce_ended(tx, facts.policy, over)
    return f"{person} is no longer suspended. What was removed does not come back."


def _break_glass(tx: Connection, facts: Facts, item: Item) -> Message:
    document: dict[str, Any] = dict(item.document)
    instead_of = document.get("request_id")
    request = break_glass.begin(tx, facts, item.actor, asked(document), instead_of=instead_of)
    return begun(request, post_reviews.find(tx, request.id))


def _review(tx: Connection, facts: Facts, item: Item) -> str:
    document = item.document
    reviewed = post_review.review(
        tx,
        facts,
        str(document["request_id"]),
        item.actor,
        justified=bool(document["justified"]),
        findings=document["findings"],
    )
    return f"Your review of {reviewed.request_id} is on record: {verdict(reviewed)}."


def _delegate(tx: Connection, facts: Facts, item: Item) -> str:
    deputy, zone = str(item.document["deputy"]), facts.person(item.actor).time_zone
    until = place(parse_until(str(item.document["until"])), zone, item.received_at)
    begun, requirements = delegate.begin(tx, facts, item.actor, deputy, until)
    delegations.announce_begun(tx, begun, requirements)
    rules = listed((one.key for one in requirements), "and")
    return (
        f"{facts.person(deputy).name} decides in your place until {shown_in(until, zone)}, for "
        f"{rules}. `/eks-access delegate off {deputy}` ends it."
    )


def _undelegate(tx: Connection, facts: Facts, item: Item) -> str:
    ended = delegate.end(tx, item.actor, item.document["deputy"], facts.now)
    for one in ended:
        delegations.announce_ended(tx, facts.policy, one, facts.membership)
    if len(ended) == 1:
        return "1 deputy no longer decides in your place."
    return f"{len(ended)} deputies no longer decide in your place."


_BY_KIND: dict[Kind, Callable[[Connection, Facts, Item], str]] = {
    Kind.REQUEST: _request,
    Kind.APPROVE: _approve,
    Kind.DENY: _deny,
    Kind.EXTEND: _extend,
    Kind.ASK: _ask,
    Kind.ANSWER: _answer,
    Kind.LOCKDOWN: _lockdown,
    Kind.UNSUSPEND: _unsuspend,
    Kind.DELEGATE: _delegate,
    Kind.UNDELEGATE: _undelegate,
    Kind.REVIEW: _review,
}
