"""Break-glass over the real protocols: access at once, an alarm, and a review by somebody else."""

from __future__ import annotations

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PLATFORM,
    given,
    production_entry,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage
from bot.store import audit

SECURITY = "C0SECURITY"
ALL_OF_IT = {"AmazonEKSClusterAdminPolicy": ()}
COMMAND = "/eks-access break-glass prod-eu cluster-admin --for 30m The API server is down"


@pytest.fixture
def cleo(stage: Stage) -> Human:
    """On call, by PagerDuty."""
    return stage.slack.human("U03CLEO")


@pytest.fixture
def iris(stage: Stage) -> Human:
    """Security: she reviews."""
    return stage.slack.human("U07IRIS")


def break_glass(stage: Stage, who: Human, name: str, line: str = COMMAND) -> Message:
    """Break glass, and wait until EKS has it. Returns the card in the security channel."""
    known = len(who.sees(SECURITY))
    assert who.command(line, GENERAL).acknowledged
    assert stage.eks.wait_for(lambda: given(production_entry(stage, name)), PATIENCE_SECONDS)
    stage.slack.wait(lambda: len(who.sees(SECURITY)) > known, PATIENCE_SECONDS)
    return who.sees(SECURITY)[known]


def actions(stage: Stage) -> list[str]:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return [event.action for event in audit.latest(tx, 100)]


def test_whoever_is_on_call_has_access_at_once_and_everybody_concerned_is_told(
    stage: Stage, cleo: Human, iris: Human
) -> None:
    card = break_glass(stage, cleo, "cleo")
    assert given(production_entry(stage, "cleo")) == ALL_OF_IT
    answer = words(wait_told(stage, cleo, "You broke glass"))
    assert "<#C0SECURITY>" in answer
    assert "<#C01PLATFORM>" in answer
    assert "A review by somebody else is due by" in answer
    wait_card_says(stage, card, "ACTIVE until")
    alarm = words(card)
    assert "Break-glass: <@U03CLEO> has cluster-admin on prod-eu / whole cluster" in alarm
    assert "The API server is down" in alarm
    assert "about 30 min left" in alarm
    assert "<!subteam^S05SECURITY>" in alarm
    wait_card_says(stage, wait_card(stage, iris, PLATFORM), "ACTIVE until")
    wait_told(stage, cleo, "aws eks update-kubeconfig")
    assert any(one.channel == SECURITY for one in iris.notifications)
