"""One person is kept out: from Slack, told to whom it concerns, and let in again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    ask_payments,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.sandbox.stage import Stage, sandbox_policy

SECURITY = "C0SECURITY"
OWNERS = "lockdown: {owners: {groups: [S05SECURITY]}}"
DAN_OWNS = "lockdown: {owners: {users: [U04DAN]}}"


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, make_stage: Callable[..., Stage]) -> Stage:
    url = None
    if request.param == "postgresql":
        shared: SharedDatabase = request.getfixturevalue("shared_database")
        url = shared.url
    policy = sandbox_policy().replace(OWNERS, DAN_OWNS)
    assert DAN_OWNS in policy
    stage = make_stage(policy=policy, database_url=url)
    stage.start_bot()
    return stage


def test_a_suspended_person_loses_what_they_have_and_gets_nothing_new(stage: Stage) -> None:
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    ask_payments(ana, level="view")
    waiting = wait_card(stage, ben, PAYMENTS, 2)

    assert dan.command("/eks-access suspend U01ANA Stolen laptop, INC-77").acknowledged
    told = words(wait_told(stage, dan, "is suspended. Being removed: 1 grant"))
    assert "Closed: 1 open request" in told
    assert "Stolen laptop, INC-77" in words(wait_told(stage, ben, "is suspended", SECURITY))
    assert "INC-77" not in words(wait_told(stage, ana, "You are suspended here"))
    wait_card_says(stage, card, "revoked by Dan Okafor")
    wait_card_says(stage, waiting, "denied by Dan Okafor")
    stage.slack.wait(lambda: production_entry(stage) is None, PATIENCE_SECONDS)

    ana.command("/eks-access request modern-access-lab view --namespace default Looking", GENERAL)
    wait_told(stage, ana, "You are suspended here", GENERAL)
    ana.command("/eks-access")
    stage.slack.wait(lambda: ana.modal is not None and "suspended" in str(ana.modal.source))
    ana.home()
    stage.slack.wait(lambda: "suspended" in str(ana.home_view and ana.home_view.source))

    dan.command("/eks-access suspend")
    listed = words(wait_told(stage, dan, "Suspended (1)"))
    assert "Stolen laptop, INC-77" in listed
    ben.command("/eks-access suspend", GENERAL)
    wait_told(stage, ben, "you are none of them", GENERAL)
    dan.command("/eks-access unsuspend U01ANA")
    wait_told(stage, dan, "no longer suspended")
    wait_told(stage, ana, "You are no longer suspended")
    ask_payments(ana)
    wait_card(stage, ben, PAYMENTS, 3)


def test_a_typed_name_opens_a_form(stage: Stage) -> None:
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    dan.command("/eks-access suspend @ana Stolen laptop, INC-77", GENERAL)
    stage.slack.wait(lambda: dan.modal and dan.modal.callback_id == "suspend", PATIENCE_SECONDS)
    assert not dan.submit(person=ana.id, reason="Stolen laptop, INC-77").errors
    wait_told(stage, dan, "is suspended. Being removed: 0 grants")
    wait_told(stage, ana, "You are suspended here")


def test_a_return_just_before_a_revoke_is_noted(stage: Stage) -> None:
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    typed = "/eks-access request modern-access-lab view --namespace default Looking"
    ana.command(typed, GENERAL)
    given = words(wait_told(stage, ana, "is active"))
    id_ = next(one for one in given.replace("`", " ").split() if len(one) == 7 and one[3] == "-")
    ana.command(f"/eks-access return {id_}", GENERAL)
    wait_told(stage, ana, "is being removed")
    dan.command(f"/eks-access revoke {id_} Odd calls", GENERAL)
    wait_told(stage, dan, "Your revocation is on record", GENERAL)
    ana.command(typed, GENERAL)
    wait_told(stage, ana, "was revoked less than 24 hours before", GENERAL)


def test_nobody_else_suspends_and_an_owner_is_told_of_a_deputy_in_their_name(stage: Stage) -> None:
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ana.command("/eks-access suspend U02BEN I would like to", GENERAL)
    wait_told(stage, ana, "you are none of them", GENERAL)
    until = f"{stage.clock() + timedelta(days=3):%Y-%m-%d}"
    ben.command(f"/eks-access delegate U04DAN until {until}", GENERAL)
    wait_told(stage, ben, "If you did not do this")
    dan.command("/eks-access suspend U02BEN Stolen laptop, INC-77", GENERAL)
    wait_told(stage, dan, "Ended: 1 delegation", GENERAL)
    ana.command("/eks-access delegations", GENERAL)
    wait_told(stage, ana, "Nobody.", GENERAL)
    ask_payments(ana)
    card = wait_card(stage, dan, PAYMENTS, 2)
    ben.click(card, "approve")
    wait_told(stage, ben, "You are suspended here", PAYMENTS)
    assert request_id(card)
