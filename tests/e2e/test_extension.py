"""More time for live access: within the rule's maximum in all, decided as the rule says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PAYMENTS,
    ask_payments,
    given,
    lab_entry,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage
from bot.store import grants

LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"
HOUR = timedelta(hours=1)


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


def lab_grant(stage: Stage, ana: Human) -> str:
    ana.command(LAB, GENERAL)
    return button_value(wait_told(stage, ana, "is active until"), "extend")


def production_grant(stage: Stage, ana: Human, ben: Human) -> Message:
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    wait_told(stage, ana, "aws eks update-kubeconfig")
    return card


def button_value(message: Message, action: str) -> str:
    return str(message.button(action)["value"])


def ends(stage: Stage) -> list[timedelta]:
    """How long each live grant still lasts, rounded to minutes."""
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        live = grants.live(tx)
    left = [one.ends_at - stage.clock() for one in live if one.gives_access]
    return [timedelta(minutes=round(one.total_seconds() / 60)) for one in left]


def test_an_automatic_rule_extends_at_once_and_eks_is_not_touched(stage: Stage, ana: Human) -> None:
    grant = lab_grant(stage, ana)
    writes = len(stage.eks.writes())
    ana.command(f"/eks-access extend {grant} 2h Still looking", GENERAL)
    wait_told(stage, ana, f"More time for {grant} is approved")
    stage.slack.wait(lambda: ends(stage) == [3 * HOUR], 20)
    assert len(stage.eks.writes()) == writes

    stage.advance(HOUR)
    stage.bot.wake()
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}
    stage.advance(2 * HOUR)
    wait_told(stage, ana, "has ended: its time was over")
    assert lab_entry(stage) is None


def test_the_button_and_an_owner_extend_what_an_owner_gave(
    stage: Stage, ana: Human, ben: Human
) -> None:
    first = production_grant(stage, ana, ben)
    told = wait_told(stage, ana, "aws eks update-kubeconfig")
    ana.click(told, "extend")
    ana.wait_modal()
    assert ana.submit(duration="1h", reason="The job still runs").errors == {}
    card = wait_card(stage, ben, PAYMENTS, 2)
    assert "to extend" in words(card)
    assert "2 h in all" in words(card)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    stage.slack.wait(lambda: ends(stage) == [2 * HOUR], 20)
    wait_card_says(stage, first, "ended")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}


def test_an_extension_cannot_add_up_past_the_rules_maximum(
    stage: Stage, ana: Human, ben: Human
) -> None:
    card = production_grant(stage, ana, ben)
    ana.command(f"/eks-access extend {request_id(card)} 3h1m More", GENERAL)
    told = words(wait_told(stage, ana, "4 h 1 min in all", GENERAL))
    assert "rule payments gives at most 4 h" in told
    assert f"/eks-access extend {request_id(card)} 3h" in told
    assert "/eks-access request" not in told
    ana.command(f"/eks-access extend {request_id(card)} 3h More", GENERAL)
    second = wait_card(stage, ben, PAYMENTS, 2)
    ben.click(second, "approve")
    wait_card_says(stage, second, "active until")
    stage.slack.wait(lambda: ends(stage) == [4 * HOUR], 20)
    ana.command(f"/eks-access extend {request_id(second)} 1m And more", GENERAL)
    told = words(wait_told(stage, ana, "cannot be extended", GENERAL))
    assert "4 h 1 min in all" in told
    assert ends(stage) == [4 * HOUR]


def test_nobody_extends_for_somebody_else(stage: Stage, ana: Human, ben: Human) -> None:
    card = production_grant(stage, ana, ben)
    ben.command(f"/eks-access extend {request_id(card)} 1h For her", GENERAL)
    wait_told(stage, ben, "somebody else's access", GENERAL)
    assert ends(stage) == [HOUR]


def test_what_has_ended_is_not_extended(stage: Stage, ana: Human) -> None:
    grant = lab_grant(stage, ana)
    stage.advance(HOUR)
    wait_told(stage, ana, "has ended")
    ana.command(f"/eks-access extend {grant} 1h Late", GENERAL)
    wait_told(stage, ana, "is not active", GENERAL)
    assert lab_entry(stage) is None


def test_an_approval_after_the_end_gives_nothing(stage: Stage, ana: Human, ben: Human) -> None:
    card = production_grant(stage, ana, ben)
    ana.command(f"/eks-access extend {request_id(card)} 1h More", GENERAL)
    second = wait_card(stage, ben, PAYMENTS, 2)
    old = second.copy_as_seen()
    stage.advance(HOUR)
    wait_card_says(stage, second, "lapsed")
    ben.click(old, "approve")
    wait_told(stage, ben, "lapsed", PAYMENTS)
    stage.eks.wait_for(lambda: production_entry(stage) is None, 20)
    assert production_entry(stage) is None


def test_ten_minutes_before_the_end_the_holder_is_told_once(stage: Stage, ana: Human) -> None:
    grant = lab_grant(stage, ana)
    stage.advance(timedelta(minutes=49))
    assert not any("/eks-access extend" in words(one) for one in ana.dm)
    stage.advance(timedelta(minutes=1))
    told = wait_told(stage, ana, f"/eks-access extend {grant} 1h")
    assert told.thread_ts is not None
    assert told.has("return")
    ana.click(told, "extend")
    ana.wait_modal()
    assert ana.submit(duration="30m", reason="Still looking").errors == {}
    stage.slack.wait(lambda: ends(stage) == [timedelta(minutes=40)], 20)
    stage.slack.wait(lambda: "was extended before it ended" in words(told), 20)
    assert not told.buttons
    assert not any("/eks-access extend" in words(one) for one in ana.dm)


def test_what_ends_soon_is_returned_where_it_is_said(stage: Stage, ana: Human) -> None:
    lab_grant(stage, ana)
    stage.advance(timedelta(minutes=50))
    told = wait_told(stage, ana, "If you need it longer")
    ana.click(told, "return")
    stage.slack.wait(lambda: "has ended: returned by Ana Ruiz" in words(told), 20)
    assert not told.buttons
    assert lab_entry(stage) is None
