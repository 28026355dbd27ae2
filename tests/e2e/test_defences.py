"""What must hold when people, payloads or Slack misbehave: giving back, forms, floods."""

from __future__ import annotations

from collections.abc import Callable

from reading import (
    GENERAL,
    PAYMENTS,
    ask_payments,
    lab_entry,
    wait_card,
    wait_told,
)
from shared_database import SharedDatabase

from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage

LAB = "/eks-access request modern-access-lab view --namespace default --for 1h Looking"


def grant_access(stage: Stage) -> tuple[Human, str]:
    ana = stage.slack.human("U01ANA")
    ana.command(LAB, GENERAL)
    told = wait_told(stage, ana, "is active until")
    return ana, str(told.button("return")["value"])


def test_access_is_given_back_while_slack_cannot_say_who_anybody_is(stage: Stage) -> None:
    ana, grant = grant_access(stage)
    stage.slack.faults.add(method="users.info", times=100, error="internal_error")
    ana.command(f"/eks-access return {grant}", GENERAL)
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)


def test_access_is_given_back_without_a_valid_policy(stage: Stage) -> None:
    ana, grant = grant_access(stage)
    stage.stop_bot()
    stage.policy_file.write_text("deployment: [broken")
    stage.start_bot()
    ana.command(f"/eks-access return {grant}", GENERAL)
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)


def test_the_deny_form_shows_a_request_to_nobody_but_its_owners(stage: Stage) -> None:
    ask_payments(stage.slack.human("U01ANA"))
    card = wait_card(stage, stage.slack.human("U02BEN"), PAYMENTS)
    for who, said in (("U05GIA", "guest"), ("U04DAN", "owner"), ("U01ANA", "owner")):
        person = stage.slack.human(who)
        person.click(card, "deny")
        wait_told(stage, person, said, PAYMENTS)
        assert person.modal is None


def test_a_flood_of_one_person_is_stopped_and_giving_back_is_not(stage: Stage) -> None:
    ana, grant = grant_access(stage)
    ask_payments(ana)
    card = wait_card(stage, stage.slack.human("U02BEN"), PAYMENTS)
    for _ in range(40):
        ana.click(card, "approve")
    wait_told(stage, ana, "within a minute", PAYMENTS)
    ana.command(f"/eks-access return {grant}", GENERAL)
    assert stage.eks.wait_for(lambda: lab_entry(stage) is None, 25)
    stage.slack.human("U02BEN").click(card, "approve")
    wait_told(stage, ana, "aws eks update-kubeconfig --region eu-central-1")


def test_no_command_however_odd_stays_unanswered_on_postgresql(
    make_stage: Callable[..., Stage], shared_database: SharedDatabase
) -> None:
    stage = make_stage(database_url=shared_database.url)
    stage.start_bot()
    ana = stage.slack.human("U01ANA")
    ana.command(f"/eks-access request {'A' * 300} {'B' * 300} --namespace default why", GENERAL)
    answered = wait_told(stage, ana, "AAA")
    assert answered.ephemeral_to == "U01ANA"
