"""Slack's published limits on asking who is who, in the whole bot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    PLATFORM,
    ask_payments,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
)
from sqlalchemy import func, select

from bot.core.model import RequestState
from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage
from bot.slack.call_budget import PUBLISHED
from bot.store import lockdowns, requests
from bot.store.tables import audit_events

ASK = "/eks-access request prod-eu view --namespace payments-{} --for 1h --ticket PAY-{} Looking"
GROUPS = "usergroups.users.list"


def test_one_person_who_asks_often_keeps_nobody_from_locking_down(stage: Stage) -> None:
    ana, iris = stage.slack.human("U01ANA"), stage.slack.human("U07IRIS")
    stage.slack.rate_limits = True
    for number in range(12):
        ana.command(ASK.format(number, number), GENERAL)
    iris.command("/eks-access lockdown on A laptop was stolen", GENERAL)
    wait_told(stage, iris, "Lockdown is on")
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        assert lockdowns.current(tx) is not None
    assert not limited(stage)


def test_fourteen_people_ask_for_the_same_and_an_owner_approves(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    people = [somebody(stage, number) for number in range(14)]
    stage.slack.rate_limits = True
    for number, person in enumerate(people):
        person.command(ASK.format(number, number), GENERAL)
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    for person in people:  # who have no principal in the sandbox's policy
        wait_told(stage, person, "You are mapped to no IAM principal")
    assert not limited(stage)


def test_what_slack_limits_waits_and_is_answered(stage: Stage) -> None:
    """An approval whose group may not be asked about now is neither refused nor lost."""
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    stage.slack.faults.add(GROUPS, ratelimited=60)
    ben.click(card, "approve")
    wait_told(stage, ben, "Yours is not lost", PAYMENTS)
    assert state(stage, request_id(card)) is RequestState.PENDING
    ana.command("/eks-access mine", GENERAL)
    wait_told(stage, ana, request_id(card))  # what needs no group does not wait
    stage.advance(timedelta(seconds=61))
    wait_card_says(stage, card, "active until")


def test_what_slack_limits_for_too_long_is_answered_too(stage: Stage) -> None:
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    stage.slack.faults.add(GROUPS, ratelimited=1800)
    ben.click(card, "approve")
    wait_told(stage, ben, "that limit is used up", PAYMENTS)
    assert state(stage, request_id(card)) is RequestState.PENDING


def test_a_revoke_that_only_a_group_allows_waits_for_slack(stage: Stage) -> None:
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    ana.command(
        "/eks-access request modern-access-lab edit --namespace default --for 1h Looking", GENERAL
    )
    card = wait_card(stage, dan, PLATFORM)
    dan.click(card, "approve")
    wait_card_says(stage, card, "active")
    # Before the time moves on: a Home that is drawn afterwards must not keep the group anew.
    stage.slack.faults.add(GROUPS, ratelimited=60, times=None)
    stage.advance(timedelta(minutes=1))
    dan.command(f"/eks-access revoke {request_id(card)}", GENERAL)
    wait_told(stage, dan, "Yours is not lost")
    stage.slack.faults.clear()
    stage.advance(timedelta(seconds=61))
    wait_card_says(stage, card, "ended")


@pytest.mark.parametrize(
    "command",
    [
        "approve {request}",
        "deny {request} I would rather not",
        "break-glass prod-eu cluster-admin --for 30m The API server is down",
        "delegate U01ANA until {day}",
    ],
)
def test_who_was_just_refused_uses_up_no_look_up_that_others_need(
    stage: Stage, command: str
) -> None:
    """Of the twenty look-ups that Slack allows a minute, each of these would take some."""
    ana, ben, iris = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U07IRIS"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    typed = f"/eks-access {command.format(request=request_id(card), day=in_three_days(stage))}"
    iris.command(typed, GENERAL)
    wait_refused(stage, 1)
    asked, tries = looked_up(stage), 9
    for number in range(tries):
        iris.command(typed, GENERAL)
        wait_refused(stage, 2 + number)
    again = looked_up(stage) - asked
    assert again < tries, "none, or those of one try a minute where this takes long"
    ben.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert looked_up(stage) > asked + again, "an approval is decided by what is new"


def test_who_was_just_refused_decides_as_soon_as_they_may(stage: Stage) -> None:
    ana, ben, noa = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    approve = f"/eks-access approve {request_id(card)}"
    noa.command(approve, GENERAL)
    wait_told(stage, noa, "You are no owner of rule payments")
    noa.command(approve, GENERAL)
    wait_told(stage, noa, "I ask again once a minute is over")
    ben.command(f"/eks-access delegate U08NOA until {in_three_days(stage)}", GENERAL)
    wait_told(stage, ben, "decides in your place")
    noa.command(approve, GENERAL)
    wait_card_says(stage, card, "active until")


def test_who_came_into_a_group_after_a_refusal_approves(stage: Stage) -> None:
    ana, ben, noa = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA"))
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    approve = f"/eks-access approve {request_id(card)}"
    noa.command(approve, GENERAL)
    wait_told(stage, noa, "You are no owner of rule payments")
    stage.slack.add_to_group("S02PAYLEADS", "U08NOA")
    stage.slack.wait(lambda: heard(stage, "subteam_updated"), PATIENCE_SECONDS)
    noa.command(approve, GENERAL)
    wait_card_says(stage, card, "active until")


def test_what_is_kept_lets_nobody_approve_who_was_just_refused(stage: Stage) -> None:
    """Noa leads payments no longer; no event has said so, and what is kept says that she does."""
    ana, ben, noa = (stage.slack.human(one) for one in ("U01ANA", "U02BEN", "U08NOA"))
    ana.command(
        "/eks-access request modern-access-lab edit --namespace default --for 1h Looking", GENERAL
    )
    lab = wait_card(stage, stage.slack.human("U04DAN"), PLATFORM)
    noa.command(f"/eks-access approve {request_id(lab)}", GENERAL)
    wait_told(stage, noa, "You are no owner of rule lab editors")
    stage.slack.set_group("S02PAYLEADS", ["U08NOA"])
    stage.slack.wait(lambda: heard(stage, "subteam_updated"), PATIENCE_SECONDS)
    noa.command(f"/eks-access approve {request_id(lab)}", GENERAL)
    wait_refused(stage, 2)
    ask_payments(ana)
    card = wait_card(stage, ben, PAYMENTS)
    with stage.slack.lock:
        stage.slack.groups["S02PAYLEADS"].users = ["U03CLEO"]
    noa.command(f"/eks-access approve {request_id(card)}", GENERAL)
    wait_told(stage, noa, "You are no owner of rule payments")
    assert state(stage, request_id(card)) is RequestState.PENDING


def test_somebody_taken_out_of_a_group_asks_for_nothing_more_by_it(
    make_stage: Callable[..., Stage],
) -> None:
    """A request may go by what is half a minute old, but not by what an event says is over."""
    stage = make_stage(policy=for_platform_alone())
    stage.start_bot()
    dan = stage.slack.human("U04DAN")
    dan.command(
        "/eks-access request modern-access-lab view --namespace default --for 1h One", GENERAL
    )
    wait_told(stage, dan, "needs nobody's approval")
    stage.slack.remove_from_group("S01PLATFORM", "U04DAN")
    stage.slack.wait(lambda: heard(stage, "subteam_updated"), PATIENCE_SECONDS)
    dan.command(
        "/eks-access request modern-access-lab view --namespace dev-1 --for 1h Two", GENERAL
    )
    wait_told(stage, dan, "No rule lets you ask")


def for_platform_alone() -> str:
    """A policy whose one rule gives the platform group access at once."""
    return """
deployment: sandbox
audit_channel: C0AUDIT
security_channel: C0SECURITY
clusters: [{name: modern-access-lab, region: eu-west-1, account: "111122223333"}]
levels: {view: {policy: AmazonEKSViewPolicy}}
principals: {users: {U04DAN: "arn:aws:iam::{account}:role/eks-jit/dan"}}
rules:
  - name: lab readers
    clusters: ["*"]
    levels: [view]
    namespaces: [default, "dev-*"]
    requesters: {groups: [S01PLATFORM]}
    approval: automatic
    max_duration: 8h
"""


def somebody(stage: Stage, number: int) -> Human:
    stage.slack.add_person(f"U5{number:03}", f"person.{number}")
    stage.slack.join(GENERAL, f"U5{number:03}")
    return stage.slack.human(f"U5{number:03}")


def in_three_days(stage: Stage) -> str:
    return f"{stage.clock() + timedelta(days=3):%Y-%m-%d}"


def wait_refused(stage: Stage, number: int) -> None:
    """Until so many commands were refused."""
    stage.slack.wait(lambda: refused(stage) >= number, PATIENCE_SECONDS)


def refused(stage: Stage) -> int:
    """How many commands were refused so far."""
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        of_these = audit_events.c.action.endswith(".refused")
        return tx.scalars(select(func.count()).where(of_these)).one()


def looked_up(stage: Stage) -> int:
    """How often Slack was asked who is in a user group."""
    with stage.slack.lock:
        return sum(call.method == GROUPS for call in stage.slack.calls)


def heard(stage: Stage, event: str) -> bool:
    """Whether the bot has acknowledged an event of this type."""
    return any(one.type == event and one.acknowledged for one in stage.slack.deliveries)


def limited(stage: Stage) -> list[str]:
    """The look-ups that Slack refused."""
    asking = {method.replace("_", ".") for method in PUBLISHED}
    with stage.slack.lock:
        calls = [one for one in stage.slack.calls if one.error == "ratelimited"]
    return [one.method for one in calls if one.method.replace("_", ".") in asking]


def state(stage: Stage, request: str) -> RequestState:
    assert stage.bot is not None
    with stage.bot.database.reading() as tx:
        return requests.get(tx, request).state
