"""An owner goes away and names a deputy: in the form, told to whom it concerns, ended early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
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
from bot.sandbox.stage import Stage

DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, make_stage: Callable[..., Stage]) -> Stage:
    """The sandbox with a running bot, on each kind of database."""
    url = None
    if request.param == "postgresql":
        shared: SharedDatabase = request.getfixturevalue("shared_database")
        url = shared.url
    stage = make_stage(database_url=url)
    stage.start_bot()
    return stage


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


@pytest.fixture
def dan(stage: Stage) -> Human:
    return stage.slack.human("U04DAN")


def until(stage: Stage) -> str:
    return f"{stage.clock() + 3 * DAY:%Y-%m-%d}"


def test_a_typed_name_opens_a_form_and_the_deputy_decides_until_it_is_taken_back(
    stage: Stage, ben: Human, dan: Human
) -> None:
    ana = stage.slack.human("U01ANA")
    ben.command(f"/eks-access delegate @dan until {until(stage)}", GENERAL)
    stage.slack.wait(lambda: ben.modal and ben.modal.callback_id == "delegate", PATIENCE_SECONDS)
    assert until(stage) in str(ben.modal and ben.modal.source)
    assert not ben.submit(deputy=dan.id).errors
    stage.slack.wait(
        lambda: any("in the place of" in words(one) for one in ben.sees(PAYMENTS)),
        PATIENCE_SECONDS,
    )
    wait_told(stage, dan, "decides in the place of")
    ana.command("/eks-access delegations", GENERAL)
    wait_told(stage, ana, "Dan Okafor decides for Ben Ito until")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS, 2)
    dan.home()
    stage.slack.wait(
        lambda: "Waiting for your decision" in str(dan.home_view and dan.home_view.source),
        PATIENCE_SECONDS,
    )
    dan.click(card, "approve")
    wait_card_says(stage, card, "approved by dan okafor for ben ito")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}
    ben.command("/eks-access delegate off", GENERAL)
    wait_told(stage, ben, "1 deputy no longer decides in your place.")
    ask_payments(ana, level="view")
    second = wait_card(stage, ben, PAYMENTS, 4)
    dan.click(second, "approve")
    wait_told(stage, dan, "You are no owner of rule payments", PAYMENTS)


def test_an_id_needs_no_form_and_what_the_rules_do_not_allow_is_said(
    stage: Stage, ben: Human, dan: Human
) -> None:
    ben.command(f"/eks-access delegate U04DAN until {until(stage)}", GENERAL)
    wait_told(stage, ben, "decides in your place until")
    ben.command("/eks-access delegate U04DAN until 2099-01-01", GENERAL)
    wait_told(stage, ben, "longer than 14 days")
    ben.command(f"/eks-access delegate U05GIA until {until(stage)}", GENERAL)
    wait_told(stage, ben, "is no full member of this workspace")
    dan.command(f"/eks-access delegate U01ANA until {until(stage)}", GENERAL)
    wait_told(stage, dan, "decides in your place until")  # Dan comes in by escalation


def test_a_deputy_who_is_deactivated_decides_nothing(stage: Stage, ben: Human, dan: Human) -> None:
    ben.command(f"/eks-access delegate U04DAN until {until(stage)}", GENERAL)
    wait_told(stage, ben, "decides in your place until")
    ask_payments(stage.slack.human("U01ANA"))
    card = wait_card(stage, ben, PAYMENTS, 2)
    stage.slack.change_person("U04DAN", is_restricted=True)
    dan.click(card, "approve")
    wait_told(stage, dan, "guest", PAYMENTS)
    assert production_entry(stage) is None
