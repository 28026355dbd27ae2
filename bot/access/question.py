"""Somebody asks the requester a question before deciding."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.core import lifecycle
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.model import AccessRequest, AuditEvent
from bot.core.people import not_full_member
from bot.store import audit, requests

LONGEST = 3000
"""The most letters a question may have."""

MOST = 10
"""The most questions about one request: each of them notifies the requester."""


def ask(
    tx: Connection, facts: Facts, request_id: str, asker_id: str, question: str
) -> AccessRequest:
    """Put a question about a request that waits. It decides nothing, so any full member may ask.

    Raises Refused for outsiders, for the requester and past the limit, Conflict where the request
    is decided, and InvalidInput for a question that is empty or too long.
    """
    text = question.strip()
    if not text or len(text) > LONGEST:
        raise InvalidInput(
            "bad_question",
            f"A question has 1 to {LONGEST:,} letters; this one has {len(text):,}.",
            field="question",
        )
    request = requests.get_locked(tx, request_id)
    outsider = not_full_member(facts.person(asker_id), facts.team_id)
    if outsider is not None:
        raise Refused(outsider.code, outsider.sentence)
    lifecycle.ensure_open(request, facts.now)
    if asker_id == request.requester:
        raise Refused(
            "own_request",
            f"{request_id} is your own request. Its owners read what you write in the thread of "
            "its card.",
        )
    if len(audit.questions(tx, request_id)) >= MOST:
        raise Conflict(
            "too_many_questions",
            f"{MOST} questions were asked about {request_id}, and the bot passes on no more. "
            "Write in the thread of its card.",
        )
    event = AuditEvent(
        at=facts.now,
        actor=asker_id,
        action=audit.ASKED,
        request_id=request_id,
        cluster=request.cluster.name,
        details={"question": text},
    )
    audit.record(tx, [event])
    requests.touch(tx, request_id)
    return request
