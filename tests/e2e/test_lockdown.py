"""Lockdown from Slack: one command stops everything, and everybody who asks is told why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
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

from bot.sandbox.stage import Stage, sandbox_policy
from bot.store import inbox
from bot.store.database import Database

SECURITY = "C0SECURITY"
OWNERS = "lockdown: {owners: {groups: [S05SECURITY]}}"
DAN_OWNS = "lockdown: {owners: {users: [U04DAN]}}"


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage(policy=sandbox_policy().replace(OWNERS, DAN_OWNS))
    stage.start_bot()
    return stage


def test_a_security_owner_stops_everything_and_lets_it_go_on(stage: Stage) -> None:
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)

    assert dan.command("/eks-access lockdown on Stolen laptop, INC-77").acknowledged
    wait_told(stage, dan, "Lockdown is on: nothing new is granted")
    announced = wait_told(stage, ben, "no request, no approval, no extension", SECURITY)
    assert "Stolen laptop, INC-77" in words(announced)

    ben.click(card, "approve")
    wait_told(stage, ben, "Nothing new is granted until it is over", PAYMENTS)
    ana.command("/eks-access request modern-access-lab view --namespace default Looking")
    wait_told(stage, ana, "Nothing new is granted until it is over")
    ana.command("/eks-access lockdown status")
    told = words(wait_told(stage, ana, "Lockdown is on: nothing new is granted"))
    assert "by <@U04DAN>" in told
    assert "Stolen laptop, INC-77" in told
    ana.command("/eks-access")
    stage.slack.wait(lambda: ana.modal is not None and "Lockdown" in str(ana.modal.source))
    assert production_entry(stage) is None

    dan.command("/eks-access lockdown off")
    wait_told(stage, dan, "Lockdown is over", SECURITY)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    ana.command("/eks-access lockdown status")
    wait_told(stage, ana, "Lockdown is not on: access is granted as the policy says.")


def test_status_of_what_a_lockdown_took_away_says_who_and_why(stage: Stage) -> None:
    ana, ben, dan = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    dan.command("/eks-access lockdown on --revoke Stolen laptop, INC-77")
    wait_card_says(stage, card, "revoked by Dan Okafor")
    ben.command(f"/eks-access status {request_id(card)}", GENERAL)
    told = words(wait_told(stage, ben, "The reason for the revocation:", GENERAL))
    assert "Lockdown: Stolen laptop, INC-77" in told
    assert "revoked by dan okafor" in told.lower()


def test_its_end_is_not_carried_out_late(stage: Stage) -> None:
    """As with a command that waited for Slack, or came out of a backup: granting would begin."""
    dan = stage.slack.human("U04DAN")
    dan.command("/eks-access lockdown on Stolen laptop, INC-77")
    wait_told(stage, dan, "Lockdown is on: nothing new is granted")
    stage.stop_bot()
    with closing(Database(stage.database_url)) as database, database.transaction() as tx:
        inbox.add(
            tx,
            inbox.Kind.LOCKDOWN,
            actor="U04DAN",
            team_id=None,
            document={"on": False},
            response_url=None,
            now=stage.clock() - timedelta(minutes=11),
        )
    stage.start_bot()
    wait_told(stage, dan, "too late to be acted on")
    dan.command("/eks-access lockdown status")
    wait_told(stage, dan, "Lockdown is on: nothing new is granted")


def test_nobody_else_turns_it_on_or_off(stage: Stage) -> None:
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    ana.command("/eks-access lockdown on --revoke I would like to")
    wait_told(stage, ana, "you are none of them", GENERAL)
    dan.command("/eks-access lockdown on --revoke Drill")
    wait_told(stage, dan, "Being removed: 0 live", GENERAL)
    ana.command("/eks-access lockdown off")
    refused = "you are none of them"
    stage.slack.wait(
        lambda: sum(refused in words(one) for one in [*ana.dm, *ana.sees(GENERAL)]) == 2,
        PATIENCE_SECONDS,
    )
    ana.command("/eks-access lockdown")
    wait_told(stage, ana, "Drill", GENERAL)
