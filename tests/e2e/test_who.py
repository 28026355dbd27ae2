"""`who CLUSTER` shows what the bot gave, and beside it what others put there, marked as such."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
import yaml
from reading import GENERAL, PATIENCE_SECONDS, lab_entry, wait_told, words

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import Message
from bot.sandbox.stage import LAB_ACCOUNT, Stage, sandbox_policy

LAB = "modern-access-lab"
SLOW_SECONDS = 0.5
ASK = f"/eks-access request {LAB} view --namespace default --for 1h Looking"


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


def who(stage: Stage, person: Human) -> Message:
    person.command(f"/eks-access who {LAB}", GENERAL)
    return wait_told(stage, person, f"Access to {LAB} through this bot")


def add_others(stage: Stage, number: int) -> None:
    for index in range(number):
        arn = f"arn:aws:iam::{LAB_ACCOUNT}:role/team-{index:03}"
        stage.eks.put_entry(LAB, arn, account=LAB_ACCOUNT, policies={"AmazonEKSViewPolicy": ()})


def test_what_somebody_added_to_an_entry_of_the_bot_is_shown_as_added_by_hand(
    stage: Stage, ana: Human
) -> None:
    ana.command(ASK, GENERAL)
    wait_told(stage, ana, "is active until")
    entry = lab_entry(stage)
    assert entry is not None
    stage.eks.client("eks").associate_access_policy(
        clusterName=LAB,
        principalArn=entry.principal_arn,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        accessScope={"type": "cluster"},
    )
    said = words(who(stage, ana))
    by_hand = said[said.index("Added by hand") :]
    assert "role/eks-jit/ana" in by_hand
    assert "AmazonEKSClusterAdminPolicy" in by_hand
    assert "AmazonEKSViewPolicy" not in by_hand


def test_only_those_who_are_concerned_with_a_cluster_read_whose_entries_are_on_it(
    make_stage: Callable[..., Stage],
) -> None:
    policy = yaml.safe_load(sandbox_policy())
    for rule in policy["rules"]:
        rule["requesters"] = {"users": ["U01ANA"]}
    stage = make_stage(policy=yaml.safe_dump(policy))
    stage.start_bot()
    asked = "/eks-access who prod-eu"
    for person in ("U01ANA", "U04DAN", "U07IRIS", "U08NOA"):  # asks, owns, is security, responds
        human = stage.slack.human(person)
        human.command(asked, GENERAL)
        said = words(wait_told(stage, human, "Access to prod-eu through this bot"))
        assert "role/platform-admins" in said, person
    stage.slack.add_person("U09NEW", "new.hire")
    stage.slack.join(GENERAL, "U09NEW")
    new = stage.slack.human("U09NEW")
    new.command(asked, GENERAL)
    said = words(wait_told(stage, new, "Access to prod-eu through this bot"))
    assert "Managed by others, not this bot (2)" in said
    assert "role/" not in said
    assert "AmazonEKS" not in said


def test_of_many_entries_of_others_fifty_are_read_side_by_side_and_the_rest_counted(
    stage: Stage, ana: Human
) -> None:
    add_others(stage, 63)
    stage.eks.faults.delay(SLOW_SECONDS, "DescribeAccessEntry", times=None)
    begun = time.monotonic()
    said = words(who(stage, ana))
    took = time.monotonic() - begun
    assert "Managed by others, not this bot (63)" in said
    assert len(set(re.findall(r"role/team-\d+", said))) == 50
    assert "… and 13 more that were not read." in said
    assert took < 50 * SLOW_SECONDS / 2, "one after the other they take twice as long at least"


def test_where_eks_does_not_answer_the_grants_are_shown_and_the_rest_is_not_claimed(
    stage: Stage, ana: Human
) -> None:
    ana.command(ASK, GENERAL)
    wait_told(stage, ana, "is active until")
    add_others(stage, 20)
    stage.eks.faults.deny("DescribeAccessEntry", times=None)
    said = words(who(stage, ana))
    assert "Ana Ruiz" in said
    assert "… and 20 more that were not read." in said
    assert "Not all was read." in said
    stage.eks.faults.deny("ListAccessEntries", times=None)
    ana.command(f"/eks-access who {LAB}", GENERAL)

    def answered() -> bool:
        last = words(ana.sees(GENERAL)[-1])
        return "Not all was read." in last and "Managed by others" not in last

    stage.slack.wait(answered, PATIENCE_SECONDS)
    assert "Ana Ruiz" in words(ana.sees(GENERAL)[-1])
