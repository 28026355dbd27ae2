"""What was asked for once is asked for again with two clicks."""

from __future__ import annotations

import pytest
from reading import (
    PAYMENTS,
    ask_payments,
    production_entry,
    request_id,
    wait_card,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


@pytest.fixture
def denied(stage: Stage, ana: Human, ben: Human) -> Message:
    """The direct message about a request that was denied."""
    ask_payments(ana)
    first = request_id(wait_card(stage, ben, PAYMENTS))
    ben.command(f"/eks-access deny {first} Wait for the window")
    return wait_told(stage, ana, "Ask again")


def wait_form(stage: Stage, person: Human) -> None:
    stage.slack.wait(lambda: person.modal is not None and person.modal.callback_id == "request")


def test_the_form_opens_with_what_was_asked_for(
    stage: Stage, ana: Human, ben: Human, denied: Message
) -> None:
    ana.click(denied, "again")
    wait_form(stage, ana)
    assert ana.submit().errors == {}
    card = wait_card(stage, ben, PAYMENTS, 2)
    for said in ("edit on prod-eu / `payments`", "for 1 h", "Clearing a stuck job", "PAY-1"):
        assert said in words(card)
    ben.click(card, "approve")
    wait_told(stage, ana, "active until")
    assert production_entry(stage) is not None


def test_nobody_asks_again_with_somebody_elses_words(
    stage: Stage, ben: Human, denied: Message
) -> None:
    value = str(denied.button("again")["value"])
    ask_payments(ben)
    mine = wait_told(stage, ben, "Cancel the request")
    ben.click(mine, "again", value=value, forge=True)
    stage.slack.wait(lambda: ben.modal is not None and ben.modal.callback_id == "notice")
    assert ben.modal is not None
    assert "somebody else" in str(ben.modal.source)
    assert "stuck job" not in str(ben.modal.source)


@pytest.mark.parametrize("value", ["", "nonsense", "ZZZ-ZZZ", "<!channel>"])
def test_a_forged_id_is_answered_with_a_sentence(
    stage: Stage, ana: Human, denied: Message, value: str
) -> None:
    ana.click(denied, "again", value=value, forge=True)
    stage.slack.wait(lambda: ana.modal is not None and ana.modal.callback_id == "notice")
