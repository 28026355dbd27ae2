"""Break-glass carried out for somebody who typed or clicked it, and the answer that they read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from bot.access import break_glass, end, post_review
from bot.access.facts import Facts, RevokingFacts
from bot.core.durations import format_duration
from bot.core.model import AccessRequest, RequestState
from bot.core.post_review import PostReview
from bot.slack import blocks, phrases
from bot.slack.blocks import Message
from bot.slack.needs import asked
from bot.slack.replies import note
from bot.slack.text import date, listed, mention_channel, safe
from bot.store import post_reviews
from bot.store.inbox import Item, Kind

KINDS = frozenset({Kind.BREAK_GLASS, Kind.REVIEW})


def carry_out(tx: Connection, facts: Facts, item: Item) -> Message:
    """Do what an item of one of KINDS asks for. Raises DomainError where it cannot be done."""
    document: dict[str, Any] = dict(item.document)
    request_id = document.get("request_id")
    if item.kind is Kind.BREAK_GLASS:
        request = break_glass.begin(tx, facts, item.actor, asked(document), instead_of=request_id)
        return begun(request, post_reviews.find(tx, request.id))
    reviewed = post_review.review(
        tx,
        facts,
        str(request_id),
        item.actor,
        justified=bool(document["justified"]),
        findings=document["findings"],
    )
    verdict = "justified" if reviewed.justified else "not justified"
    return note(f"Your review of {request_id} is on record: {verdict}.")


def revoke(tx: Connection, facts: RevokingFacts, item: Item) -> Message:
    """Take access away for somebody. Raises DomainError where it cannot be done."""
    request_id = str(item.document["request_id"])
    end.take_away(tx, facts, request_id, item.document.get("reason", ""))
    return note(
        f"{request_id} is being removed. Its card says when EKS has confirmed that it is gone."
    )


def begun(request: AccessRequest, owed: PostReview | None) -> Message:
    """What whoever broke glass reads at once: that it is coming, who is told, what is owed."""
    what = f"{phrases.subject(request)} for {format_duration(request.duration)}"
    if request.state is not RequestState.APPROVED or owed is None:
        lines = [
            f"You asked to break glass: {what}. Nothing is given yet.",
            f"One of {phrases.all_owners(request)} has to approve first{_asked_in(request)}.",
        ]
    else:
        lines = [
            f"You broke glass: {what}. Access is being set up; a direct message brings the "
            "commands once EKS confirms it.",
            told(request),
            owes(owed),
        ]
    lines += [safe(sentence, 500) for sentence in request.notes]
    id_line = f"req {request.id}"
    shown = [blocks.section("begun", *lines), blocks.context("id", id_line)]
    return Message(f"{lines[0]} ({request.id})", shown)


def told(request: AccessRequest) -> str:
    """Who is told of a break-glass, now."""
    if not request.shown_in:
        return "Nobody is told by a message: the policy names no channel for it."
    places = listed([mention_channel(channel) for channel in request.shown_in], 5)
    return f"Told now: {places}."


def owes(owed: PostReview) -> str:
    """What is owed for it."""
    return f"A review by somebody else is due by {date(owed.due_at)}."


def _asked_in(request: AccessRequest) -> str:
    channels = [one.channel for one in request.requirements if one.channel]
    places = listed([mention_channel(channel) for channel in channels], 5)
    return f" in {places}" if places else ""
