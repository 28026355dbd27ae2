"""A user group is disabled or deleted in Slack, in the whole bot."""

from __future__ import annotations

import pytest
from reading import (
    GENERAL,
    PAYMENTS,
    ask_payments,
    given,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
)

from bot.core.model import RequestState
from bot.sandbox.stage import Stage
from bot.store import requests

LEADS = "S02PAYLEADS"


@pytest.mark.parametrize("change", ["disable_group", "delete_group"])
def test_an_owner_who_is_named_still_approves_and_the_alarm_names_the_group(
    stage: Stage, change: str
) -> None:
    ana, ben, cleo = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U03CLEO"))
    getattr(stage.slack, change)(LEADS)
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    cleo.command(f"/eks-access approve {request_id(card)}", GENERAL)
    wait_told(stage, cleo, f"User group {LEADS} is disabled or deleted in Slack", GENERAL)
    wait_told(stage, cleo, "in rule payments", GENERAL)
    assert state(stage, request_id(card)) is RequestState.PENDING
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}
    for channel in ("C0AUDIT", "C0SECURITY"):
        wait_told(stage, ben, f"`{LEADS}` is disabled or deleted in Slack", channel)


def test_break_glass_goes_on_by_whoever_is_named_or_on_call(stage: Stage) -> None:
    """Noa responds by her group alone; Cleo is on call by PagerDuty."""
    noa, cleo = stage.slack.human("U08NOA"), stage.slack.human("U03CLEO")
    stage.slack.disable_group("S04RESPOND")
    command = "/eks-access break-glass prod-eu edit --namespace payments --for 30m It is down"
    noa.command(command, GENERAL)
    wait_told(stage, noa, "User group S04RESPOND is disabled or deleted", GENERAL)
    cleo.command(command, GENERAL)
    wait_told(stage, cleo, "is active until")


def state(stage: Stage, request: str) -> RequestState:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return requests.get(tx, request).state
