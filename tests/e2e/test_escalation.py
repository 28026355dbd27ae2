"""Nobody decides: owners are reminded, then others are asked, who knew nothing of it before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    PLATFORM,
    ask_payments,
    given,
    production_entry,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage

MINUTE = timedelta(minutes=1)
MakeStage = Callable[..., Stage]


@pytest.fixture
def stages(make_stage: MakeStage, shared_database: SharedDatabase) -> Callable[[str], Stage]:
    """Makes a stage with a running bot on either kind of database."""

    def make(kind: str) -> Stage:
        url = {"postgresql": shared_database.url, "sqlite": None}[kind]
        stage = make_stage(database_url=url)
        stage.start_bot()
        return stage

    return make


def thread(person: Human, card: Message, channel: str = PAYMENTS) -> list[str]:
    """What stands in the card's thread."""
    seen = person.sees(channel)
    return [words(one) for one in seen if one.thread_ts == card.ts and one.ts != card.ts]


def rang(person: Human) -> int:
    return len(person.notifications)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_owners_are_reminded_then_others_are_asked_and_one_of_them_decides(
    stages: Callable[[str], Stage], kind: str
) -> None:
    stage = stages(kind)
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    asked, quiet = rang(ben), rang(dan)
    stage.advance(15 * MINUTE)
    stage.slack.wait(lambda: len(thread(ben, card)) == 1, PATIENCE_SECONDS)
    assert "Ana Ruiz has waited 15 min" in thread(ben, card)[0]
    assert rang(ben) > asked
    assert rang(dan) == quiet  # Dan is asked later, and was neither told nor could decide
    dan.command(f"/eks-access approve {card.text.rpartition('(')[2].rstrip(')')}", GENERAL)
    wait_told(stage, dan, "You are no owner of rule payments")
    quiet = rang(dan)
    stage.advance(15 * MINUTE)
    second = wait_card(stage, dan, PLATFORM)
    stage.slack.wait(lambda: rang(dan) > quiet, PATIENCE_SECONDS)
    stage.slack.wait(lambda: len(thread(ben, card)) == 2, PATIENCE_SECONDS)
    assert "nobody has decided for 30 min" in thread(ben, card)[1]
    wait_card_says(stage, card, "<!subteam^S01PLATFORM>")
    wait_told(stage, ana, "Nobody has decided yet")
    dan.click(second, "approve")
    wait_card_says(stage, card, "active until")
    wait_card_says(stage, second, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}


def test_what_was_due_while_the_bot_was_down_is_done_when_it_is_back(stage: Stage) -> None:
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    stage.stop_bot()
    stage.advance(40 * MINUTE)
    stage.start_bot()
    wait_card(stage, dan, PLATFORM)
    stage.slack.wait(lambda: thread(ben, card), PATIENCE_SECONDS)
    assert ["nobody has decided for 40 min" in one for one in thread(ben, card)] == [True]
