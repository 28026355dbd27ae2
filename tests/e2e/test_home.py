"""The App Home follows what happens, and everything on it works."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    PATIENCE_SECONDS,
    PAYMENTS,
    ask_payments,
    production_entry,
    request_id,
    wait_card,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage, sandbox_policy

LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


def wait_home(stage: Stage, person: Human, said: str) -> None:
    def says() -> bool:
        return person.home_view is not None and said in str(person.home_view.source)

    stage.slack.wait(says, PATIENCE_SECONDS)


def button(person: Human, action: str) -> str:
    """The block id of the first such button on somebody's Home."""
    assert person.home_view is not None
    for block in person.home_view.all_blocks():
        for element in [*block.get("elements", ()), block.get("accessory", {})]:
            if element.get("action_id") == action:
                return str(block["block_id"])
    raise LookupError(action)


def press(person: Human, action: str) -> None:
    assert person.home_view is not None
    assert person.click(person.home_view, action, block_id=button(person, action)).acknowledged


def wait_form(stage: Stage, person: Human) -> None:
    stage.slack.wait(lambda: person.modal is not None and person.modal.callback_id == "request")


def test_live_access_shows_its_commands_again_to_whoever_has_it_and_nobody_else(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ana.home()
    ana.command(LAB, "C00GENERAL")
    told = wait_told(stage, ana, "aws eks update-kubeconfig")
    [commands] = re.findall(r"'text': '(aws eks update-kubeconfig[^']*)'", str(told.blocks))
    wait_home(stage, ana, "Connect…")

    press(ana, "connect")
    stage.slack.wait(lambda: ana.modal is not None and ana.modal.callback_id == "connect")
    assert ana.modal is not None
    assert commands in str(ana.modal.source)

    [access_id] = re.findall(r"req ([0-9A-Z]{3}-[0-9A-Z]{3})", words(told))
    ana.command(f"/eks-access status {access_id}", "C00GENERAL")
    status = words(wait_told(stage, ana, "Looking"))
    assert commands in status
    assert "left" in status
    ben.command(f"/eks-access status {access_id}", "C00GENERAL")
    assert commands not in words(wait_told(stage, ben, "Looking"))
    ana.command("/eks-access mine", "C00GENERAL")
    assert f"/eks-access extend {access_id} 1h" in words(wait_told(stage, ana, "min left"))


def test_an_owner_who_looks_at_home_sees_what_is_asked_and_decides_there(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ben.home()
    wait_home(stage, ben, "nothing waits for your decision")
    ask_payments(ana)
    wait_home(stage, ben, "Waiting for your decision (1)")
    wait_home(stage, ana, "Your open requests (1)")
    press(ben, "approve")
    wait_told(stage, ana, "active until")
    assert production_entry(stage) is not None
    wait_home(stage, ben, "nothing waits for your decision")
    wait_home(stage, ana, "min left")


def test_a_question_is_asked_from_home(stage: Stage, ana: Human, ben: Human) -> None:
    ask_payments(ana)
    wait_card(stage, ben, PAYMENTS)
    ben.home()
    wait_home(stage, ben, "Waiting for your decision (1)")
    press(ben, "ask")
    ben.wait_modal()
    assert ben.submit(question="Which job?").errors == {}
    wait_told(stage, ana, "Answer…")


def test_home_opens_the_form_extends_returns_and_asks_again(stage: Stage, ana: Human) -> None:
    ana.command(LAB)
    wait_told(stage, ana, "active until")
    ana.home()
    wait_home(stage, ana, "min left")
    press(ana, "extend")
    assert ana.wait_modal().callback_id == "extend"
    ana.close()
    press(ana, "return")
    wait_told(stage, ana, "has ended")
    wait_home(stage, ana, "Recently over")
    press(ana, "again")
    wait_form(stage, ana)
    assert "Looking" in str(ana.modal and ana.modal.source)
    ana.close()
    press(ana, "request")
    wait_form(stage, ana)
    assert "Looking" not in str(ana.modal and ana.modal.source)


def test_home_follows_an_extension_a_denial_and_the_end(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ana.command(LAB)
    wait_told(stage, ana, "active until")
    ana.home()
    wait_home(stage, ana, "59 min left")
    press(ana, "extend")
    ana.wait_modal()
    assert ana.submit(duration="1h", reason="Still looking").errors == {}
    wait_home(stage, ana, "1 h 59 min left")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    wait_home(stage, ana, "Your open requests (1)")
    ben.click(card, "deny")
    ben.wait_modal()
    assert ben.submit(reason="Not now").errors == {}
    wait_home(stage, ana, "· denied")
    stage.advance(timedelta(hours=2))
    wait_home(stage, ana, "· ended")
    assert "Your access" not in str(ana.home_view and ana.home_view.source)


def test_a_pending_request_is_cancelled_at_home(stage: Stage, ana: Human, ben: Human) -> None:
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ana.home()
    wait_home(stage, ana, "Your open requests (1)")
    press(ana, "cancel")
    wait_home(stage, ana, "Recently over")
    stage.slack.wait(lambda: "cancelled" in card.text)


def test_whoever_has_approved_waits_for_the_others(stage: Stage, ana: Human) -> None:
    ana.command("/eks-access request prod-eu cluster-admin --for 30m Upgrading the control plane")
    cleo = stage.slack.human("U03CLEO")
    card = wait_card(stage, cleo, "C01PLATFORM")
    cleo.home()
    wait_home(stage, cleo, "Waiting for your decision (1)")
    cleo.command(f"/eks-access approve {request_id(card)}")
    wait_home(stage, cleo, "nothing waits for your decision")


def test_owners_have_a_line_of_health_and_others_do_not(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ask_payments(ana)
    wait_card(stage, ben, PAYMENTS)
    ben.home()
    wait_home(stage, ben, "1 pending request · 0 live grants · no late removal, no trouble")
    ana.home()
    wait_home(stage, ana, "Your open requests (1)")
    assert "The bot:" not in str(ana.home_view and ana.home_view.source)


def test_home_stands_without_user_groups_and_says_what_is_missing(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ask_payments(ben)
    wait_told(stage, ben, "Cancel the request")
    stage.stop_bot()
    stage.slack.faults.add(method="usergroups.users.list", times=50, error="internal_error")
    stage.start_bot()
    ana.home()
    wait_home(stage, ana, "more may wait for your decision")


def test_home_stands_without_a_policy(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(policy=sandbox_policy().replace("rules:", "rulez:"))
    stage.start_bot()
    ben = stage.slack.human("U02BEN")
    ben.home()
    wait_home(stage, ben, "You have no access")


def test_a_home_that_was_opened_long_ago_is_left_until_it_is_opened_again(
    stage: Stage, ana: Human, ben: Human
) -> None:
    ben.home()
    wait_home(stage, ben, "nothing waits for your decision")
    stage.advance(timedelta(hours=2))
    ask_payments(ana)
    wait_home(stage, ana, "Your open requests (1)")
    assert "nothing waits" in str(ben.home_view and ben.home_view.source)
    ben.home()
    wait_home(stage, ben, "Waiting for your decision (1)")
