"""Who may approve, decided at the click by Slack user id, from the store and the policy of then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    PAYMENTS,
    ask_payments,
    given,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import Stage, sandbox_policy

EDIT_PAYMENTS = {"AmazonEKSEditPolicy": ("payments",)}


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


@pytest.fixture
def ben(stage: Stage) -> Human:
    return stage.slack.human("U02BEN")


@pytest.fixture
def card(stage: Stage, ana: Human, ben: Human) -> Message:
    ask_payments(ana)
    return wait_card(stage, ben, PAYMENTS)


def refuse(stage: Stage, person: Human, card: Message, why: str, action: str = "approve") -> None:
    """The click is acknowledged, answered with why not, and changes nothing."""
    outcome = person.click(card, action)
    assert outcome.acknowledged
    assert outcome.error is None
    wait_told(stage, person, why, PAYMENTS)
    assert production_entry(stage) is None


def test_an_owner_approves_and_the_card_follows_until_eks_confirms(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    assert "pending" in card.text
    assert "https://acme.example/browse/PAY-1" in words(card)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == EDIT_PAYMENTS
    assert not any(block["type"] == "actions" for block in card.blocks or [])
    told = wait_told(stage, ana, "aws eks update-kubeconfig")
    assert "--region eu-central-1 --name prod-eu" in words(told)


def test_a_member_of_an_owners_user_group_approves(stage: Stage, ana: Human, card: Message) -> None:
    stage.slack.human("U03CLEO").click(card, "approve")
    wait_told(stage, ana, "active until")


def test_the_requester_cannot_approve(stage: Stage, ana: Human, card: Message) -> None:
    refuse(stage, ana, card, "your own request")


def test_the_requester_cannot_approve_as_an_owner_either(stage: Stage, ben: Human) -> None:
    ask_payments(ben)
    refuse(stage, ben, wait_card(stage, ben, PAYMENTS), "your own request")


def test_somebody_who_is_no_owner_cannot_approve(stage: Stage, card: Message) -> None:
    refuse(stage, stage.slack.human("U04DAN"), card, "owner")


def test_somebody_who_was_an_owner_until_a_moment_ago_cannot_approve(
    stage: Stage, card: Message
) -> None:
    stage.slack.remove_from_group("S02PAYLEADS", "U03CLEO")
    refuse(stage, stage.slack.human("U03CLEO"), card, "owner")


def test_a_guest_cannot_approve_even_as_an_owner(stage: Stage, card: Message) -> None:
    stage.slack.add_to_group("S02PAYLEADS", "U05GIA")
    refuse(stage, stage.slack.human("U05GIA"), card, "guest")


def test_an_outsider_over_slack_connect_cannot_approve_though_the_payload_names_our_team(
    stage: Stage, card: Message
) -> None:
    stage.slack.share(PAYMENTS)
    stage.slack.join(PAYMENTS, "U06OTTO")
    stage.slack.add_to_group("S02PAYLEADS", "U06OTTO")
    refuse(stage, stage.slack.human("U06OTTO"), card, "organisation")


def test_an_owner_deactivated_after_the_card_was_shown_cannot_approve(
    stage: Stage, ben: Human, card: Message
) -> None:
    seen = card.copy_as_seen()
    stage.slack.people["U02BEN"].deleted = True
    ben.click(seen, "approve", forge=True)
    stage.slack.wait(lambda: stage.bot is not None and _refused(stage, "approve.refused"))
    assert production_entry(stage) is None


def _refused(stage: Stage, action: str) -> bool:
    from bot.store import audit  # noqa: PLC0415 - only here the store itself is read

    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return any(event.action == action for event in audit.latest(tx, 50))


def test_two_owners_click_at_once_and_one_grant_results(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    cleo = stage.slack.human("U03CLEO")
    ben.click(card, "approve")
    cleo.click(card, "approve")
    wait_told(stage, ana, "active until")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == EDIT_PAYMENTS
    creates = stage.eks.calls_of("CreateAccessEntry")
    assert len(creates) == 1


def test_approve_and_deny_race_and_only_the_first_counts(
    stage: Stage, ben: Human, card: Message
) -> None:
    cleo = stage.slack.human("U03CLEO")
    ben.click(card, "deny")
    ben.wait_modal()
    cleo.click(card, "approve")
    wait_card_says(stage, card, "active until")
    ben.submit(reason="Too late")
    wait_told(stage, ben, "already approved", PAYMENTS)
    assert given(production_entry(stage)) == EDIT_PAYMENTS


def test_a_click_on_an_old_copy_after_the_end_changes_nothing_and_is_answered(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    old = card.copy_as_seen()
    ben.click(card, "approve")
    wait_told(stage, ana, "active until")
    stage.advance(timedelta(hours=1))
    wait_told(stage, ana, "has ended")
    refuse(stage, stage.slack.human("U03CLEO"), old, "already approved")


def test_a_click_after_the_request_lapsed_is_told_so(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    old = card.copy_as_seen()
    stage.advance(timedelta(hours=1))
    wait_card_says(stage, card, "lapsed")
    wait_told(stage, ana, "Nobody decided by")
    refuse(stage, ben, old, "lapsed")


def test_a_cancelled_request_cannot_be_approved(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    old = card.copy_as_seen()
    ana.command(f"/eks-access cancel {request_id(card)}")
    wait_card_says(stage, card, "cancelled")
    refuse(stage, ben, old, "cancelled")


def test_a_denial_needs_a_reason_which_the_requester_reads(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    ben.click(card, "deny")
    ben.wait_modal()
    assert ben.submit(reason=" ").errors or ben.modal is not None
    ben.submit(reason="Not during the freeze")
    told = wait_told(stage, ana, "Not during the freeze")
    assert "Ben Ito" in words(told)
    assert production_entry(stage) is None


def test_approve_and_deny_work_as_text_too(stage: Stage, ana: Human, ben: Human) -> None:
    ask_payments(ana, level="view")
    first = request_id(wait_card(stage, ben, PAYMENTS, 1))
    ask_payments(ana)
    second = request_id(wait_card(stage, ben, PAYMENTS, 2))
    ben.command(f"/eks-access approve {first.lower().replace('-', '')}")
    wait_told(stage, ana, "active until")
    ben.command(f"/eks-access deny {second} Use view")
    wait_told(stage, ana, "Use view")
    assert given(production_entry(stage)) == {"AmazonEKSViewPolicy": ("payments",)}


def test_a_policy_narrowed_after_the_request_refuses_the_approval(
    stage: Stage, ben: Human, card: Message
) -> None:
    narrowed = sandbox_policy().replace("levels: [view, edit]", "levels: [view]")
    replacement = stage.policy_file.with_suffix(".new")
    replacement.write_text(narrowed)
    replacement.replace(stage.policy_file)
    refuse(stage, ben, card, "edit")


def test_two_approvers_are_needed_where_the_rule_says_two(stage: Stage, ana: Human) -> None:
    ana.command("/eks-access request prod-eu cluster-admin --for 30m Upgrading the control plane")
    cleo, dan = stage.slack.human("U03CLEO"), stage.slack.human("U04DAN")
    card = wait_card(stage, cleo, "C01PLATFORM")
    cleo.click(card, "approve")
    wait_told(stage, cleo, "needs more", "C01PLATFORM")
    cleo.click(card, "approve")
    wait_told(stage, cleo, "already counted", "C01PLATFORM")
    assert production_entry(stage) is None
    dan.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSClusterAdminPolicy": ()}


def test_a_second_account_on_the_same_principal_can_neither_ask_nor_approve(
    make_stage: Callable[..., Stage],
) -> None:
    policy = sandbox_policy().replace("role/eks-jit/ben", "role/eks-jit/ana")
    shared = policy.replace(
        "principals:\n", 'principals:\n  shared: ["arn:aws:iam::{account}:role/eks-jit/ana"]\n'
    )
    stage = make_stage(policy=shared)
    stage.start_bot()
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    assert "Ben Ito" in words(card)  # approvers are told whom else it elevates
    refuse(stage, ben, card, "your own IAM principal")


def test_an_unreachable_directory_refuses_and_says_so(
    stage: Stage, ana: Human, ben: Human, card: Message
) -> None:
    stage.slack.faults.add(method="users.info", times=20, error="internal_error")
    refuse(stage, ben, card, "did not say who is who")
    stage.slack.faults.clear()
    ben.click(card, "approve")
    wait_told(stage, ana, "active until")
