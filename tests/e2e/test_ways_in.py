"""The same bot over signed HTTP, on PostgreSQL, and as the headless story."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    ask_payments,
    production_entry,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage
from bot.slack.commands import FORMS
from bot.slack.replies import NEEDED_RIGHTS


def live(stage: Stage) -> None:
    """A whole life: asked, approved, active, ended."""
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert production_entry(stage) is not None
    wait_told(stage, ana, "is active until")
    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    assert production_entry(stage) is None


def test_over_signed_http(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(http_mode=True)
    stage.start_bot()
    live(stage)


def test_on_postgresql(make_stage: Callable[..., Stage], shared_database: SharedDatabase) -> None:
    stage = make_stage(database_url=shared_database.url)
    stage.start_bot()
    live(stage)


@pytest.mark.timeout(150)
def test_the_headless_story_holds() -> None:
    command = [str(Path(sys.executable).with_name("eks-access")), "sandbox", "--headless"]
    played = subprocess.run(  # noqa: S603 - the command of this very environment
        command, capture_output=True, text=True, check=False, timeout=120
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.rstrip().endswith("All held.")
    assert "a removal is late" not in played.stderr


def test_questions_are_answered_for_the_person_alone(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    told = wait_told(stage, ana, "is active until")
    request = card.text.rpartition("(")[2].rstrip(")")

    asked = {
        "mine": request,
        f"status {request}": "Approved by Ben Ito",
        "who prod-eu": "platform-admins",
        "clusters": "modern-access-lab",
    }
    for question, answer in asked.items():
        ana.command(f"/eks-access {question}", GENERAL)
        said = wait_told(stage, ana, answer, GENERAL)
        assert said.ephemeral_to in ("U01ANA", None)
    assert not any(one.ephemeral_to == "U01ANA" for one in ben.sees(GENERAL))
    assert "update-kubeconfig" in words(told)


def test_what_waits_for_somebody_is_listed_with_its_buttons(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ana.command("/eks-access pending", GENERAL)
    wait_told(stage, ana, "Nothing waits for your decision or your review.", GENERAL)
    ben.command("/eks-access pending", GENERAL)
    listed = wait_told(stage, ben, "Waiting for your decision (1)", GENERAL)
    assert listed.ephemeral_to == "U02BEN"
    ben.click(listed, "approve")
    wait_card_says(stage, card, "active until")


def test_help_on_a_command_is_answered_in_the_acknowledgement(stage: Stage) -> None:
    answer = stage.slack.human("U01ANA").command("/eks-access help request", GENERAL)
    assert answer.acknowledged
    assert "/eks-access request" in f"{answer.text} {answer.blocks}"


def test_help_fits_what_the_person_may_do_and_is_one_answer(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    answer = ana.command("/eks-access help", GENERAL)
    assert answer.acknowledged
    assert not answer.text
    told = words(wait_told(stage, ana, "/eks-access request", GENERAL))
    assert "/eks-access deny" not in told
    assert "You can ask for" in told
    assert "on `prod-eu`" in told
    ben.command("/eks-access help", GENERAL)
    assert "/eks-access deny" in words(wait_told(stage, ben, "/eks-access request", GENERAL))


@pytest.mark.parametrize(
    ("user_id", "hers"),
    [
        ("U01ANA", set()),
        ("U02BEN", {"pending", "approve", "deny", "revoke", "delegate"}),
        (
            "U03CLEO",
            {"pending", "approve", "deny", "revoke", "delegate", "break-glass"},
        ),  # is on call
        ("U04DAN", {"pending", "approve", "deny", "revoke", "delegate"}),  # comes behind her
        (
            "U07IRIS",
            {"pending", "approve", "deny", "revoke", "review", "lockdown", "suspend", "unsuspend"},
        ),
        ("U08NOA", {"break-glass"}),
    ],
)
def test_help_lists_what_the_person_has_a_right_to(
    stage: Stage, user_id: str, hers: set[str]
) -> None:
    assert restricted_in_help(stage, user_id) == hers


def test_a_deputy_is_shown_how_to_decide_as_long_as_they_stand_in(stage: Stage) -> None:
    assert restricted_in_help(stage, "U08NOA") == {"break-glass"}
    ben, noa = stage.slack.human("U02BEN"), stage.slack.human("U08NOA")
    until = f"{stage.clock() + timedelta(days=3):%Y-%m-%d}"
    ben.command(f"/eks-access delegate U08NOA until {until}", GENERAL)
    wait_told(stage, noa, "in the place of")
    assert restricted_in_help(stage, "U08NOA") == {"break-glass", "pending", "approve", "deny"}


def test_help_shows_break_glass_while_it_is_not_known_who_is_on_call(stage: Stage) -> None:
    stage.services.pagerduty.fail(status=503)
    assert "break-glass" in restricted_in_help(stage, "U01ANA")


def test_the_nearest_command_is_one_that_the_person_has_a_right_to(stage: Stage) -> None:
    ana, iris = stage.slack.human("U01ANA"), stage.slack.human("U07IRIS")
    assert not ana.command("/eks-access reveiw 7K3-QMX justified", GENERAL).text
    told = words(wait_told(stage, ana, "is no command", GENERAL))
    assert "/eks-access review" not in told
    iris.command("/eks-access reveiw 7K3-QMX justified", GENERAL)
    wait_told(stage, iris, "/eks-access review 7K3-QMX justified", GENERAL)
    answer = ana.command("/eks-access staus", GENERAL)
    assert "/eks-access status ID" in f"{answer.text}"


def restricted_in_help(stage: Stage, user_id: str) -> set[str]:
    """Of the commands that are not for everybody, those that this person's help lists."""
    person = stage.slack.human(user_id)

    def lists() -> list[str]:
        told = [words(one) for one in person.sees(GENERAL)]
        return [one for one in told if "/eks-access help" in one]

    before = len(lists())
    person.command("/eks-access help", GENERAL)
    stage.slack.wait(lambda: len(lists()) > before, PATIENCE_SECONDS)
    return {name for name in NEEDED_RIGHTS if f"/eks-access {FORMS[name]}" in lists()[-1]}


def test_a_guest_who_asks_for_help_is_told_what_a_guest_can_do(stage: Stage) -> None:
    gia = stage.slack.human("U05GIA")
    gia.command("/eks-access help", PAYMENTS)
    wait_told(stage, gia, "You are a guest", PAYMENTS)


def test_help_without_a_directory_lists_everything(stage: Stage) -> None:
    stage.slack.faults.add(method="users.info", times=20, error="internal_error")
    ana = stage.slack.human("U01ANA")
    ana.command("/eks-access help", GENERAL)
    assert "/eks-access deny" in words(wait_told(stage, ana, "/eks-access request", GENERAL))


def test_home_shows_live_access_and_returns_it(stage: Stage) -> None:
    ana: Human = stage.slack.human("U01ANA")
    ana.command(
        "/eks-access request modern-access-lab view --namespace default --for 1h Looking", GENERAL
    )
    wait_told(stage, ana, "is active until")
    ana.home()
    stage.slack.wait(lambda: ana.home_view is not None and "active until" in str(ana.home_view))
    assert ana.home_view is not None
    ana.click(ana.home_view, "return")
    wait_told(stage, ana, "has ended")
    stage.slack.wait(lambda: "You have no access" in str(ana.home_view))
