"""Somebody asks the requester a question before deciding, and the requester answers it."""

from __future__ import annotations

from sqlalchemy import Connection

from bot.access.facts import Facts
from bot.access.known import as_stored
from bot.core import lifecycle
from bot.core.errors import Conflict, InvalidInput, Refused
from bot.core.model import AccessRequest, AuditEvent
from bot.core.people import not_full_member
from bot.store import audit, requests

LONGEST = 3000
"""The most letters a question or an answer may have."""

MOST = 10
"""The most questions about one request, and the most answers: each of them notifies somebody."""


def ask(
    tx: Connection, facts: Facts, request_id: str, asker_id: str, question: str
) -> AccessRequest:
    """Put a question about a request that waits. It decides nothing, so any full member may ask.

    Raises Refused for outsiders, for the requester and past the limit, Conflict where the request
    is decided, and InvalidInput for a question that is empty or too long.
    """
    text = _checked("question", question)
    request = requests.get_locked(tx, request_id)
    facts = as_stored(tx, facts)
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
    if len(_said(tx, request_id, audit.ASKED)) >= MOST:
        raise Conflict(
            "too_many_questions",
            f"{MOST} questions were asked about {request_id}, and the bot passes on no more. "
            "Write in the thread of its card.",
        )
    _record(tx, facts, request, audit.ASKED, (asker_id, "question", text))
    return request


def answer(
    tx: Connection, facts: Facts, request_id: str, answerer_id: str, words: str
) -> AccessRequest:
    """The requester answers what was asked. It goes where the question went, and on record.

    Raises Refused for anybody else and where nothing was asked, Conflict where the request is
    decided or the limit is reached, and InvalidInput as `ask` does.
    """
    text = _checked("answer", words)
    request = requests.get_locked(tx, request_id)
    ensure_asked(tx, request, answerer_id)
    lifecycle.ensure_open(request, facts.now)
    if len(_said(tx, request_id, audit.ANSWERED)) >= MOST:
        raise Conflict(
            "too_many_answers",
            f"{MOST} answers about {request_id} were passed on, and the bot passes on no more. "
            "Write to the people who asked.",
        )
    _record(tx, facts, request, audit.ANSWERED, (answerer_id, "answer", text))
    return request


def ensure_asked(tx: Connection, request: AccessRequest, answerer_id: str) -> AuditEvent:
    """The newest question to this person about their request. Raises Refused."""
    asked = _said(tx, request.id, audit.ASKED)
    if answerer_id != request.requester or not asked:
        raise Refused(
            "not_asked",
            f"Nobody asked you about {request.id}, so there is nothing to answer.",
        )
    return asked[-1]


def _checked(what: str, typed: str) -> str:
    text = typed.strip()
    if not text or len(text) > LONGEST:
        shown = "A question" if what == "question" else "An answer"
        raise InvalidInput(
            f"bad_{what}",
            f"{shown} has 1 to {LONGEST:,} letters; this one has {len(text):,}.",
            field=what,
        )
    return text


def _said(tx: Connection, request_id: str, action: str) -> list[AuditEvent]:
    return [event for event in audit.questions(tx, request_id) if event.action == action]


def _record(
    tx: Connection, facts: Facts, request: AccessRequest, action: str, said: tuple[str, str, str]
) -> None:
    """`said` is by whom, under which name in the details, and what."""
    by, name, text = said
    event = AuditEvent(
        at=facts.now,
        actor=by,
        action=action,
        request_id=request.id,
        cluster=request.cluster.name,
        details={name: text},
    )
    audit.record(tx, [event])
    requests.touch(tx, request.id)
