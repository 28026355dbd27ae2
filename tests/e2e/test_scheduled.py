"""Access for later: asked for in one's own time, and decided anew at its start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    given,
    lab_entry,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage, sandbox_policy

HOUR = timedelta(hours=1)
EDIT = {"AmazonEKSEditPolicy": ("payments",)}
MakeStage = Callable[..., Stage]


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> Stage:
    """The sandbox with a running bot, on each kind of database."""
    url = None
    if request.param == "postgresql":
        shared: SharedDatabase = request.getfixturevalue("shared_database")
        url = shared.url
    stage = make_stage(database_url=url)
    stage.start_bot()
    return stage


def in_two_hours(stage: Stage, zone: str) -> datetime:
    return (stage.clock() + 2 * HOUR).astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)


def ask_for_later(stage: Stage, ana: Human) -> datetime:
    """Ana, who is in Madrid, asks for payments in two hours from now."""
    start = in_two_hours(stage, "Europe/Madrid")
    ana.command(
        f"/eks-access request prod-eu edit --namespace payments --for 1h --ticket PAY-1 "
        f"--at {start:%Y-%m-%d %H:%M} Planned upgrade",
        GENERAL,
    )
    return start


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


@pytest.fixture
def card(stage: Stage, ana: Human, ben: Human) -> Message:
    """The card of access that Ben has approved for two hours from now."""
    start = ask_for_later(stage, ana)
    card = wait_card(stage, ben, PAYMENTS)
    assert f"<!date^{int(start.timestamp())}^" in words(card)
    ben.click(card, "approve")
    wait_card_says(stage, card, "scheduled")
    wait_told(stage, ben, f"Access starts at {start:%Y-%m-%d %H:%M} (Europe/Madrid)", PAYMENTS)
    wait_told(stage, ana, "It starts")
    return card


def test_an_approval_after_the_start_that_was_asked_for_says_so(
    stage: Stage, ana: Human, ben: Human
) -> None:
    start = (stage.clock() + timedelta(minutes=30)).astimezone(ZoneInfo("Europe/Madrid"))
    ana.command(
        f"/eks-access request prod-eu edit --namespace payments --for 1h --ticket PAY-1 "
        f"--at {start:%Y-%m-%d %H:%M} Planned upgrade",
        GENERAL,
    )
    card = wait_card(stage, ben, PAYMENTS)
    stage.advance(timedelta(minutes=45))
    ben.click(card, "approve")
    wait_told(
        stage,
        ben,
        f"Its start, {start:%Y-%m-%d %H:%M} (Europe/Madrid), has passed: access is being set up "
        "now, and lasts 1 h from its confirmation.",
        PAYMENTS,
    )
    wait_card_says(stage, card, "starting at the approval; asked for from")


def change_policy(stage: Stage, old: str, new: str) -> None:
    text = sandbox_policy()
    assert text.count(old) == 1
    replacement = stage.policy_file.with_suffix(".new")
    replacement.write_text(text.replace(old, new))
    replacement.replace(stage.policy_file)


def test_it_begins_at_its_time_and_its_own_time_counts_from_then(
    stage: Stage, ana: Human, card: Message
) -> None:
    assert production_entry(stage) is None
    stage.advance(HOUR)
    home = ana.home()
    stage.slack.wait(lambda: "scheduled" in str(ana.home_view and ana.home_view.source))
    assert any(block.get("accessory") for block in home.source["blocks"])
    assert production_entry(stage) is None
    stage.advance(HOUR)
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == EDIT
    stage.advance(HOUR - timedelta(minutes=1))
    assert given(production_entry(stage)) == EDIT
    stage.advance(timedelta(minutes=2))
    wait_told(stage, ana, "has ended")


def test_after_a_restart_it_begins_late(stage: Stage, card: Message) -> None:
    stage.stop_bot()
    stage.advance(2 * HOUR + timedelta(minutes=5))
    stage.start_bot()
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == EDIT


def test_who_was_down_for_too_long_does_not_begin_it(
    stage: Stage, ana: Human, card: Message
) -> None:
    stage.stop_bot()
    stage.advance(2 * HOUR + timedelta(minutes=16))
    stage.start_bot()
    wait_told(stage, ana, "could not be decided anew")
    wait_card_says(stage, card, "failed")
    assert production_entry(stage) is None


def test_a_policy_that_has_become_tighter_ends_it_before_it_begins(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    change_policy(stage, "levels: [view, edit]", "levels: [view]")
    stage.advance(2 * HOUR)
    wait_card_says(stage, card, "not begun")
    wait_told(stage, ana, "does not begin")
    notices = [one for one in ben.sees(PAYMENTS) if one.thread_ts == card.ts]
    assert any("does not begin" in words(one) for one in notices)
    assert production_entry(stage) is None


def test_a_requester_who_was_deactivated_gets_nothing(stage: Stage, card: Message) -> None:
    stage.slack.deactivate("U01ANA")
    stage.advance(2 * HOUR)
    wait_card_says(stage, card, "not begun")
    wait_card_says(stage, card, "deactivated")
    assert production_entry(stage) is None
    assert stage.eks.calls_of("CreateAccessEntry") == []


def test_a_directory_that_is_away_holds_it_up_until_it_is_back(stage: Stage, card: Message) -> None:
    fault = stage.slack.faults.add(method="users.info", times=1000, error="internal_error")
    stage.advance(2 * HOUR)
    stage.slack.wait(lambda: fault.times < 1000, PATIENCE_SECONDS)
    assert production_entry(stage) is None
    stage.slack.faults.clear()
    wait_card_says(stage, card, "active until")


def test_the_requester_takes_it_back(stage: Stage, ana: Human, card: Message) -> None:
    ana.command(f"/eks-access cancel {request_id(card)}")
    wait_card_says(stage, card, "not begun")
    wait_told(stage, ana, "does not begin: returned by Ana Ruiz")
    stage.advance(2 * HOUR)
    assert production_entry(stage) is None


def test_automatic_access_for_later_is_chosen_in_the_form(stage: Stage, ana: Human) -> None:
    ana.command("/eks-access", GENERAL)
    stage.slack.wait(lambda: ana.modal and ana.modal.callback_id == "request", PATIENCE_SECONDS)
    ana.choose("cluster", "modern-access-lab")
    stage.slack.wait(lambda: "level" in str(ana.modal and ana.modal.source), PATIENCE_SECONDS)
    ana.choose("level", "view")
    stage.slack.wait(lambda: "AdminView" in str(ana.modal) or "Automatic" in str(ana.modal.source))
    start = in_two_hours(stage, "Europe/Madrid")
    errors = ana.submit(
        namespaces="default", start=int((start - 4 * HOUR).timestamp()), reason="Looking"
    ).errors
    assert "The start has passed" in str(errors)
    assert not ana.submit(start=int(start.timestamp())).errors
    wait_told(stage, ana, "It starts")
    assert lab_entry(stage) is None
    stage.advance(2 * HOUR)
    wait_told(stage, ana, "is active until")


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("9am", "is no time. Did you mean"),
        ("2020-01-01 09:00", "has passed"),
        ("2099-01-01 09:00", "more than 30 days ahead"),
    ],
)
def test_a_time_that_cannot_be_is_answered(make_stage: MakeStage, at: str, says: str) -> None:
    stage = make_stage()
    stage.start_bot()
    ana = stage.slack.human("U01ANA")
    ana.command(
        f"/eks-access request modern-access-lab view --namespace default --at {at} x", GENERAL
    )
    wait_told(stage, ana, says)
