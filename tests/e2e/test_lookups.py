"""Slack's published limits on asking who is who, in the whole bot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

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

from bot.core.model import RequestState
from bot.sandbox.humans import Human
from bot.sandbox.stage import Stage
from bot.slack.call_budget import PUBLISHED
from bot.store import lockdowns, requests

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
