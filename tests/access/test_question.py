"""Who may put a question about a request, and until when."""

from __future__ import annotations

import pytest
from desk import ANA, BEN, EVE, Desk

from bot.access import question
from bot.access.question import LONGEST, MOST
from bot.core.errors import Conflict, DomainError, InvalidInput, Refused
from bot.core.model import AccessRequest
from bot.store import audit


def ask(desk: Desk, request: AccessRequest, who: str = BEN, text: str = "Which job?") -> None:
    with desk.database.transaction() as tx:
        question.ask(tx, desk.facts(), request.id, who, text)


def asked(desk: Desk, request: AccessRequest) -> list[tuple[str, str]]:
    with desk.database.reading() as tx:
        return [(one.actor, one.details["question"]) for one in audit.questions(tx, request.id)]


def refused(desk: Desk, request: AccessRequest, kind: type[DomainError], *more: str) -> str:
    before = asked(desk, request)
    with pytest.raises(kind) as error:
        ask(desk, request, *more)
    assert asked(desk, request) == before
    return error.value.code


def test_any_full_member_may_ask_and_it_is_on_record(desk: Desk) -> None:
    request = desk.ask()
    ask(desk, request)
    ask(desk, request, EVE, "  Why so long? ")
    assert asked(desk, request) == [(BEN, "Which job?"), (EVE, "Why so long?")]


@pytest.mark.parametrize("change", [{"is_guest": True}, {"deleted": True}, {"is_stranger": True}])
def test_whoever_is_no_full_member_asks_nothing(desk: Desk, change: dict[str, bool]) -> None:
    request = desk.ask()
    desk.become(BEN, **change)
    refused(desk, request, Refused)


def test_the_requester_asks_nothing(desk: Desk) -> None:
    assert refused(desk, desk.ask(), Refused, ANA) == "own_request"


def test_after_the_decision_nothing_is_asked(desk: Desk) -> None:
    request = desk.ask()
    desk.deny(request.id)
    assert refused(desk, request, Conflict) == "already_decided"


@pytest.mark.parametrize("text", ["", "  \n", "x" * (LONGEST + 1)])
def test_a_question_has_some_letters_and_not_too_many(desk: Desk, text: str) -> None:
    assert refused(desk, desk.ask(), InvalidInput, BEN, text) == "bad_question"


def test_there_is_an_end_to_questions(desk: Desk) -> None:
    request = desk.ask()
    for number in range(MOST):
        ask(desk, request, text=f"Question {number}?")
    assert refused(desk, request, Conflict) == "too_many_questions"


def answered(desk: Desk, request: AccessRequest, who: str = ANA, text: str = "The nightly") -> None:
    with desk.database.transaction() as tx:
        question.answer(tx, desk.facts(), request.id, who, text)


def test_the_requester_answers_and_it_is_on_record(desk: Desk) -> None:
    request = desk.ask()
    ask(desk, request)
    answered(desk, request, text="  The nightly one ")
    with desk.database.reading() as tx:
        last = audit.questions(tx, request.id)[-1]
    assert (last.action, last.actor, last.details) == (
        "request.answered",
        ANA,
        {"answer": "The nightly one"},
    )


def test_only_what_was_asked_is_answered_and_by_the_requester(desk: Desk) -> None:
    request = desk.ask()
    with desk.refuses(Refused, "not_asked"):
        answered(desk, request)
    ask(desk, request)
    with desk.refuses(Refused, "not_asked"):
        answered(desk, request, BEN)


def test_an_answer_has_its_limits_as_a_question_has(desk: Desk) -> None:
    request = desk.ask()
    ask(desk, request)
    for text in ("", " \n", "x" * (LONGEST + 1)):
        with desk.refuses(InvalidInput, "bad_answer"):
            answered(desk, request, text=text)
    for _ in range(MOST):
        answered(desk, request)
    with desk.refuses(Conflict, "too_many_answers"):
        answered(desk, request)


def test_after_the_decision_nothing_is_answered(desk: Desk) -> None:
    request = desk.ask()
    ask(desk, request)
    desk.deny(request.id)
    with desk.refuses(Conflict, "already_decided"):
        answered(desk, request)
