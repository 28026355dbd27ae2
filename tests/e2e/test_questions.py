"""An owner asks the requester something before deciding."""

from __future__ import annotations

import pytest
from reading import PAYMENTS, ask_payments, request_id, wait_card, wait_card_says, wait_told, words

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage
from bot.store import audit


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


@pytest.fixture
def card(stage: Stage, ana: Human, ben: Human) -> Message:
    ask_payments(ana)
    return wait_card(stage, ben, PAYMENTS)


def put(person: Human, card: Message, text: str) -> None:
    person.click(card, "ask")
    person.wait_modal()
    assert person.submit(question=text).errors == {}


def asked(stage: Stage, card: Message) -> list[str]:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        events = audit.questions(tx, request_id(card))
    return [str(one.details["question"]) for one in events if one.action == audit.ASKED]


def test_a_question_reaches_the_requester_and_stands_in_the_thread(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    put(ben, card, "Which job is <!channel> stuck?")
    direct = wait_told(stage, ana, "Answer…")
    assert direct.thread_ts is not None
    in_thread = wait_told(stage, ben, "Ben Ito asks Ana Ruiz about", PAYMENTS)
    assert in_thread.thread_ts == card.ts
    assert [one.text for one in ana.notifications if "<!channel>" in one.text] == []
    assert asked(stage, card) == ["Which job is <!channel> stuck?"]

    ana.click(direct, "answer")
    ana.wait_modal()
    assert ana.submit(answer="The nightly one").errors == {}
    answered = wait_told(stage, ben, "The nightly one", PAYMENTS)
    assert answered.thread_ts == card.ts
    assert "<@U02BEN>" in answered.text

    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert sum("Ben Ito asks about" in words(one) for one in ana.dm) == 1
    assert sum("Ben Ito asks Ana Ruiz" in words(one) for one in ben.sees(PAYMENTS)) == 1


def test_after_the_decision_nothing_more_is_asked(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    ben.click(card, "ask")
    ben.wait_modal()
    ana.command(f"/eks-access cancel {request_id(card)}")
    wait_card_says(stage, card, "cancelled")
    ben.submit(question="Why?")
    wait_told(stage, ben, "already cancelled")
    assert asked(stage, card) == []


def test_the_requester_asks_no_question(stage: Stage, ana: Human, card: Message) -> None:
    stage.slack.join(PAYMENTS, "U01ANA")
    put(ana, card, "Anybody there?")
    wait_told(stage, ana, "is your own request")
    assert asked(stage, card) == []


def test_the_bot_passes_on_ten_questions_about_a_request(
    stage: Stage, ben: Human, card: Message
) -> None:
    for number in range(11):
        put(ben, card, f"Question {number}?")
    wait_told(stage, ben, "passes on no more")
    assert len(asked(stage, card)) == 10


def test_a_question_stands_in_the_history(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    put(ben, card, "Which job?")
    wait_told(stage, ana, "Answer…")
    ana.command(f"/eks-access status {request_id(card)}")
    said = wait_told(stage, ana, "asked the requester a question")
    assert "Ben Ito" in words(said)
