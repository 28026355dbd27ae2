"""Automatic within limits, and channels: who owns by being in one, and where nothing is posted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from reading import (
    GENERAL,
    PATIENCE_SECONDS,
    PAYMENTS,
    PLATFORM,
    ask_payments,
    given,
    production_entry,
    request_id,
    wait_card,
    wait_card_says,
    wait_told,
    words,
)
from shared_database import SharedDatabase

from bot.sandbox.stage import Stage, sandbox_policy

MakeStage = Callable[..., Stage]


def changed(rule: str, **approval: object) -> str:
    """The sandbox's policy with another approval of one rule."""
    policy = yaml.safe_load(sandbox_policy())
    next(one for one in policy["rules"] if one["name"] == rule)["approval"] = approval
    text: str = yaml.safe_dump(policy, sort_keys=False)
    return text


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_given_without_a_review_is_shown_and_beyond_the_cap_owners_are_asked(
    make_stage: MakeStage, shared_database: SharedDatabase, kind: str
) -> None:
    policy = yaml.safe_load(sandbox_policy())
    first = next(one for one in policy["rules"] if one["name"] == "lab readers")
    first |= {"approval": {"automatic": {"per_day": 1}, "channel": GENERAL}}
    asked = {"channel": PLATFORM, "owners": {"groups": ["S01PLATFORM"]}}
    policy["rules"].insert(1, first | {"name": "lab readers, more", "approval": asked})
    url = shared_database.url if kind == "postgresql" else None
    stage = make_stage(policy=yaml.safe_dump(policy, sort_keys=False), database_url=url)
    stage.start_bot()
    ana, dan = stage.slack.human("U01ANA"), stage.slack.human("U04DAN")
    ana.command("/eks-access request modern-access-lab view --namespace default Looking")
    shown = wait_card(stage, dan, GENERAL)
    wait_card_says(stage, shown, "active until")
    ana.command("/eks-access request modern-access-lab view --namespace dev-a Looking")
    why = "at most once in 24 hours without a review"
    card = wait_card(stage, dan, PLATFORM)
    assert why in words(card)
    stage.slack.wait(lambda: any(why in words(one) for one in ana.dm), PATIENCE_SECONDS)
    ana.home()
    stage.slack.wait(lambda: why in str(ana.home_view and ana.home_view.source), PATIENCE_SECONDS)


def test_the_members_of_a_channel_approve_as_long_as_they_are_in_it(
    make_stage: MakeStage,
) -> None:
    owners = {"channels": [PAYMENTS]}
    stage = make_stage(policy=changed("payments", channel=PAYMENTS, owners=owners))
    stage.slack.leave(PAYMENTS, "U04DAN")
    stage.start_bot()
    ana, cleo, dan = (stage.slack.human(one) for one in ("U01ANA", "U03CLEO", "U04DAN"))
    ask_payments(ana)
    card = wait_card(stage, cleo, PAYMENTS)
    assert f"the members of <#{PAYMENTS}>" in words(card)
    dan.command(f"/eks-access approve {request_id(card)}", GENERAL)
    wait_told(stage, dan, "You are no owner of rule payments")
    cleo.click(card, "approve")
    wait_card_says(stage, card, "active until")
    assert given(production_entry(stage)) == {"AmazonEKSEditPolicy": ("payments",)}


def test_a_channel_of_owners_that_others_joined_decides_nothing(make_stage: MakeStage) -> None:
    owners = {"channels": [PAYMENTS]}
    stage = make_stage(policy=changed("payments", channel=PLATFORM, owners=owners))
    stage.start_bot()
    ana, cleo = stage.slack.human("U01ANA"), stage.slack.human("U03CLEO")
    ask_payments(ana)
    card = wait_card(stage, cleo, PLATFORM)
    stage.slack.share(PAYMENTS)
    cleo.click(card, "approve")
    wait_told(stage, cleo, "shared with another organisation", PLATFORM)
    assert production_entry(stage) is None


def test_nothing_is_posted_where_others_read_it_and_the_requester_is_told(
    make_stage: MakeStage,
) -> None:
    stage = make_stage()
    stage.slack.share(PAYMENTS)
    stage.start_bot()
    ana, ben = stage.slack.human("U01ANA"), stage.slack.human("U02BEN")
    ask_payments(ana)
    told = wait_told(stage, ana, "is shared with another organisation, so I post nothing there")
    assert ben.sees(PAYMENTS) == []
    identity = words(told).partition("/eks-access approve ")[2][:7]
    ben.command(f"/eks-access approve {identity}", GENERAL)
    wait_told(stage, ana, "active until")
    assert ben.sees(PAYMENTS) == []
