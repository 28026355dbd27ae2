"""Standing access: entries and associations that the bot did not make stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from entry_world import (
    DEPLOYMENT,
    DOCUMENT,
    EDIT,
    HOUR,
    LAB,
    OPEN,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)

from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG
from bot.core.policy import Policy

ADMIN_VIEW = "AmazonEKSAdminViewPolicy"
ARN = "arn:aws:eks::aws:cluster-access-policy/"


def theirs(world: World, cluster: str = LAB, **more: Any) -> None:
    """Make an entry for Ana by somebody else's hand."""
    world.eks.put_entry(cluster, role("ana"), **{"tags": TERRAFORM, **more})


def refused(world: World, grant_id: str, said: str) -> None:
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert said in grant.problem, grant.problem
    assert "grant.confirmed" not in world.actions(grant_id)


# Where a cluster refuses beside standing access


ENTRIES: dict[str, dict[str, Any]] = {
    "Terraform's": {"policies": {VIEW: ["b"], ROOT: ()}, "kubernetes_groups": ["theirs"]},
    "one that gives the same": {"policies": {VIEW: ["a"]}},
    "one that gives more": {"policies": {VIEW: ()}},
    "one that gives nothing": {},
    "the cluster creator's": {"tags": {}, "policies": {ROOT: ()}},
    "another deployment's": {"tags": {DEPLOYMENT_TAG: "another"}, "policies": {VIEW: ["a"]}},
    "one whose tag only looks like ours": {"tags": {DEPLOYMENT_TAG: DEPLOYMENT.upper()}},
}


@pytest.mark.parametrize("level", ["view", "deployer"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_of_others_is_untouched_and_the_grant_fails_with_a_sentence(
    world: World, entry: str, level: str
) -> None:
    theirs(world, **ENTRIES[entry])
    with world.untouched():
        grant_id = world.ask(level, *(["a"] if level == "view" else []))
        world.settle()
        world.clock.advance(HOUR)
        world.settle()
    refused(world, grant_id, "already has an access entry for `ana` that somebody else manages")
    assert world.writes() == []
    assert world.bot.due() == []


@pytest.mark.parametrize("cluster", [LAB, OPEN])
@pytest.mark.parametrize("kind", ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX"])
def test_a_node_roles_entry_is_untouched(world: World, cluster: str, kind: str) -> None:
    theirs(world, cluster, type=kind)
    with world.untouched("ana", cluster):
        grant_id = world.ask("view", "a", cluster=cluster)
        world.settle()
    refused(world, grant_id, f"of type {kind}, which takes no access policies")
    assert world.writes() == []


def test_a_refusal_says_who_can_help(world: World) -> None:
    theirs(world)
    grant_id = world.ask("view", "a")
    world.settle()
    refused(world, grant_id, "I changed nothing of it. The owners of the cluster can add")


def test_once_the_foreign_entry_is_gone_access_can_be_asked_for(world: World) -> None:
    theirs(world)
    first = world.ask("view", "a")
    world.settle()
    world.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    second = world.active("view", "a")
    assert (world.state(first), world.state(second)) == (GrantState.ENDED, GrantState.ACTIVE)
    world.assert_union()


# Where a cluster lets standing access be augmented


def test_only_what_is_not_there_is_added_and_only_that_is_removed(world: World) -> None:
    theirs(world, OPEN, policies={ROOT: ()}, kubernetes_groups=["theirs"])
    before = world.entry("ana", OPEN)
    grant_id = world.active("view", "a", cluster=OPEN)
    assert world.given("ana", OPEN) == {ROOT: (), VIEW: ("a",)}
    world.active("view", "b", cluster=OPEN, length=2 * HOUR)
    assert world.given("ana", OPEN) == {ROOT: (), VIEW: ("a", "b")}
    world.clock.advance(HOUR)
    world.settle()
    assert world.given("ana", OPEN) == {ROOT: (), VIEW: ("b",)}
    world.clock.advance(HOUR)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert set(world.writes()) == {"AssociateAccessPolicy", "DisassociateAccessPolicy"}
    after = world.entry("ana", OPEN)
    assert before is not None
    assert after is not None
    assert (after.arn, after.tags, after.kubernetes_groups, after.associations) == (
        before.arn,
        before.tags,
        before.kubernetes_groups,
        before.associations,
    )


@pytest.mark.parametrize("namespaces", [["a"], ["b"], []])
def test_an_association_of_the_same_policy_is_refused_and_untouched(
    world: World, namespaces: list[str]
) -> None:
    theirs(world, OPEN, policies={VIEW: namespaces})
    with world.untouched("ana", OPEN):
        grant_id = world.ask("view", "a", cluster=OPEN)
        world.settle()
    refused(world, grant_id, f"already has {VIEW} ({', '.join(namespaces) or 'cluster'})")
    assert world.writes() == []


def test_groups_are_refused_and_untouched(world: World) -> None:
    theirs(world, OPEN, kubernetes_groups=["deployers"])
    with world.untouched("ana", OPEN):
        grant_id = world.ask("deployer", cluster=OPEN)
        world.settle()
    refused(world, grant_id, "the Kubernetes groups of `ana` are managed by somebody else")


def test_one_refused_grant_takes_no_other_with_it(world: World) -> None:
    theirs(world, OPEN, policies={EDIT: ["b"]})
    edit = world.ask("edit", "a", cluster=OPEN)
    groups = world.ask("deployer", cluster=OPEN)
    view = world.ask("view", "a", cluster=OPEN)
    world.settle()
    refused(world, edit, "already has AmazonEKSEditPolicy")
    refused(world, groups, "Kubernetes groups")
    assert world.state(view) is GrantState.ACTIVE
    assert world.given("ana", OPEN) == {EDIT: ("b",), VIEW: ("a",)}


def test_where_there_is_no_entry_one_is_made_and_removed_as_anywhere(world: World) -> None:
    grant_id = world.active("view", "a", cluster=OPEN)
    world.give_back(grant_id)
    world.settle()
    assert world.entry("ana", OPEN) is None


def test_an_entry_that_terraform_made_anew_keeps_nothing_of_ours_and_loses_nothing(
    world: World,
) -> None:
    """EKS puts another UUID into the ARN: what was on the old entry is not on this one."""
    theirs(world, OPEN)
    grant_id = world.active("view", "a", cluster=OPEN)
    world.eks.client("eks").delete_access_entry(clusterName=OPEN, principalArn=role("ana"))
    theirs(world, OPEN, policies={VIEW: ["a"]})
    with world.untouched("ana", OPEN):
        world.give_back(grant_id)
        world.settle()
    assert world.state(grant_id) is GrantState.ENDED


def test_a_cluster_that_no_longer_allows_it_gets_our_part_taken_away(
    make_world: Callable[[Policy], World], world: World
) -> None:
    theirs(world, OPEN, policies={ROOT: ()})
    world.active("view", "a", cluster=OPEN, length=2 * HOUR)
    clusters = [{**one, "standing": "refuse"} for one in DOCUMENT["clusters"]]
    strict = make_world(Policy.model_validate({**DOCUMENT, "clusters": clusters}))
    grant_id = strict.ask("edit", "a", cluster=OPEN)
    strict.settle()
    refused(strict, grant_id, "somebody else manages")
    assert strict.given("ana", OPEN) == {ROOT: ()}


# What others put on our own entry


def associate(world: World, policy: str, *namespaces: str, cluster: str = LAB) -> None:
    scope: dict[str, Any] = {"type": "namespace", "namespaces": list(namespaces)}
    world.eks.client("eks").associate_access_policy(
        clusterName=cluster,
        principalArn=role("ana"),
        policyArn=ARN + policy,
        accessScope=scope if namespaces else {"type": "cluster"},
    )


def test_a_foreign_association_on_our_entry_survives_and_so_does_the_entry(world: World) -> None:
    grant_id = world.active("view", "a")
    associate(world, ADMIN_VIEW)
    world.give_back(grant_id)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.given() == {ADMIN_VIEW: ()}
    assert "DeleteAccessEntry" not in world.writes()


def test_foreign_groups_on_our_entry_survive_and_so_does_the_entry(world: World) -> None:
    grant_id = world.active("deployer")
    world.eks.client("eks").update_access_entry(
        clusterName=LAB, principalArn=role("ana"), kubernetesGroups=["deployers", "theirs"]
    )
    world.give_back(grant_id)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    entry = world.entry()
    assert entry is not None
    assert entry.kubernetes_groups == ("theirs",)


def test_a_foreign_association_on_our_entry_stands_against_that_policy_alone(
    world: World,
) -> None:
    world.active("view", "a", length=2 * HOUR)
    associate(world, EDIT, "b")
    edit = world.ask("edit", "a")
    view = world.ask("view", "c")
    world.settle()
    refused(world, edit, "already has AmazonEKSEditPolicy (b)")
    assert world.state(view) is GrantState.ACTIVE
    assert world.given() == {VIEW: ("a", "c"), EDIT: ("b",)}


def test_somebody_faster_with_the_same_policy_is_not_taken_for_us(world: World) -> None:
    """Our write did not take effect, and before it is tried again somebody else associates."""
    theirs(world, OPEN)
    grant_id = world.ask("view", "a", cluster=OPEN)
    world.eks.faults.server_error("AssociateAccessPolicy")
    world.round()
    associate(world, VIEW, "b", cluster=OPEN)
    with world.untouched("ana", OPEN):
        world.settle()
    refused(world, grant_id, f"already has {VIEW} (b)")
