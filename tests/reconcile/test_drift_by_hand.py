"""Others change at EKS what the bot gave: it is told, and access taken away is not given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from entry_world import (
    DOCUMENT,
    EDIT,
    HOUR,
    LAB,
    MINUTE,
    OPEN,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)

from bot.core.drift import Kind
from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.core.policy import Policy
from bot.reconcile.access import AccessReconciler
from bot.store import audit, drift, entries, grants
from bot.store.claims import Claims

KEY = {"clusterName": LAB, "principalArn": role("ana")}
ARN = "arn:aws:eks::aws:cluster-access-policy/"


@pytest.fixture
def repairing(make_world: Callable[[Policy], World]) -> World:
    """The bot with `drift: {repair: true}`, started a while ago."""
    world = make_world(Policy.model_validate({**DOCUMENT, "drift": {"repair": True}}))
    world.clock.advance(MINUTE)
    return world


def later(world: World, grant_id: str) -> None:
    """Access is shown for a while, as a look confirms, and then somebody's hand comes."""
    world.clock.advance(MINUTE)
    world.look_again(grant_id)


def delete(world: World) -> None:
    world.eks.client("eks").delete_access_entry(**KEY)


def associate(world: World, policy: str, *namespaces: str) -> None:
    scope: dict[str, Any] = {"type": "namespace", "namespaces": list(namespaces)}
    world.eks.client("eks").associate_access_policy(
        **KEY,
        policyArn=ARN + policy,
        accessScope=scope if namespaces else {"type": "cluster"},
    )


def disassociate(world: World, policy: str) -> None:
    world.eks.client("eks").disassociate_access_policy(**KEY, policyArn=ARN + policy)


def set_groups(world: World, *groups: str) -> None:
    world.eks.client("eks").update_access_entry(**KEY, kubernetesGroups=list(groups))


def told(world: World) -> list[tuple[str, str]]:
    """The drift events, oldest first: kind and outcome."""
    with world.database.reading() as tx:
        events = reversed(audit.latest(tx, 1000))
        return [
            (one.action.removeprefix("drift."), one.details["outcome"])
            for one in events
            if one.action.startswith("drift.")
        ]


def still_open(world: World) -> set[Kind]:
    with world.database.reading() as tx:
        return set(drift.open_by_kind(tx))


def ended_as_removed(world: World, grant_id: str) -> bool:
    grant = world.grant(grant_id)
    return grant.state is GrantState.ENDED and grant.end_reason is EndReason.REMOVED


TAKEN_AWAY: dict[str, tuple[Callable[[World], None], str]] = {
    "the entry": (delete, "gone"),
    "the association": (lambda world: disassociate(world, VIEW), "missing"),
    "a namespace": (lambda world: associate(world, VIEW, "a"), "narrowed"),
}
BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
TAKEN = pytest.mark.parametrize(("hand", "kind"), TAKEN_AWAY.values(), ids=TAKEN_AWAY)


@TAKEN
def test_access_that_others_took_away_is_not_given_back(
    world: World, hand: Callable[[World], None], kind: str
) -> None:
    grant_id = world.active("view", "a", "b")
    later(world, grant_id)
    hand(world)
    before = len(world.writes())
    later(world, grant_id)
    assert ended_as_removed(world, grant_id)
    assert world.entry() is None
    assert told(world) == [(kind, "ended")]
    assert set(world.writes()[before:]) <= {"DeleteAccessEntry"}


@TAKEN
def test_where_it_is_to_be_repaired_it_is_given_back(
    repairing: World, hand: Callable[[World], None], kind: str
) -> None:
    grant_id = repairing.active("view", "a", "b")
    later(repairing, grant_id)
    hand(repairing)
    later(repairing, grant_id)
    assert repairing.state(grant_id) is GrantState.ACTIVE
    assert repairing.given() == {VIEW: ("a", "b")}
    assert told(repairing) == [(kind, "repaired")]
    later(repairing, grant_id)
    assert still_open(repairing) == set()


@TAKEN
def test_what_was_gone_when_the_bot_came_back_is_not_repaired_either(
    repairing: World, hand: Callable[[World], None], kind: str
) -> None:
    grant_id = repairing.active("view", "a", "b")
    later(repairing, grant_id)
    hand(repairing)
    repairing.clock.advance(MINUTE)
    repairing.bot = repairing.fresh_bot()
    repairing.look_again(grant_id)
    assert ended_as_removed(repairing, grant_id)
    assert told(repairing) == [(kind, "ended")]


def test_a_clock_that_is_set_back_does_not_stop_repairs(repairing: World) -> None:
    grant_id = repairing.active("view", "a", "b")
    repairing.clock.advance(10 * MINUTE)
    repairing.bot = repairing.fresh_bot()
    repairing.clock.advance(-MINUTE)
    repairing.look_again(grant_id)
    delete(repairing)
    repairing.look_again(grant_id)
    assert repairing.state(grant_id) is GrantState.ACTIVE
    assert repairing.given() == {VIEW: ("a", "b")}


def test_what_an_earlier_bot_saw_while_the_clock_was_ahead_is_not_repaired(
    repairing: World,
) -> None:
    grant_id = repairing.active("view", "a", "b")
    later(repairing, grant_id)
    repairing.clock.advance(MINUTE)
    repairing.look_again(grant_id)
    repairing.clock.advance(-MINUTE)
    delete(repairing)
    repairing.bot = repairing.fresh_bot()
    repairing.look_again(grant_id)
    assert ended_as_removed(repairing, grant_id)


def test_only_the_grants_end_whose_access_was_taken(world: World) -> None:
    view = world.active("view", "a")
    edit = world.active("edit", "a")
    later(world, view)
    disassociate(world, EDIT)
    later(world, view)
    assert ended_as_removed(world, edit)
    assert world.state(view) is GrantState.ACTIVE
    assert world.given() == {VIEW: ("a",)}
    world.assert_union()


def test_new_access_for_the_same_person_does_not_bring_the_old_back(world: World) -> None:
    """The entry is made for the new grant, and with it nothing of the old one."""
    old = world.active("edit", "a")
    later(world, old)
    delete(world)
    world.clock.advance(MINUTE)
    new = world.active("view", "b")
    assert ended_as_removed(world, old)
    assert world.state(new) is GrantState.ACTIVE
    assert world.given() == {VIEW: ("b",)}
    assert not any(
        call.operation == "AssociateAccessPolicy" and EDIT in str(call)
        for call in world.eks.writes()[2:]
    )


@BOTH
@TAKEN
def test_an_extension_that_waits_does_not_bring_back_what_others_took_away(
    world: World, hand: Callable[[World], None], kind: str
) -> None:
    """It was approved before, and EKS is to be told of it after."""
    first = world.active("view", "a", "b")
    later(world, first)
    longer, sibling = world.extend(first), world.extend(first, 2 * HOUR)
    hand(world)
    before = len(world.writes())
    later(world, first)
    for grant_id in (first, longer, sibling):
        assert ended_as_removed(world, grant_id)
    assert world.entry() is None
    assert told(world) == [(kind, "ended")]
    assert set(world.writes()[before:]) <= {"DeleteAccessEntry"}


@BOTH
def test_nor_does_one_that_is_approved_while_the_bot_finds_it_gone(world: World) -> None:
    first = world.active("view", "a")
    extended: list[str] = []

    def asked_just_then() -> bool:
        extended.append(world.extend(first))
        return False

    world.bot = AccessReconciler(
        world.database,
        world.clients,
        Claims(world.database),
        clock=world.clock,
        repair=asked_just_then,
    )
    later(world, first)
    delete(world)
    later(world, first)
    assert ended_as_removed(world, extended[0])
    assert world.entry() is None


def test_where_it_is_to_be_repaired_the_extension_is_given(repairing: World) -> None:
    first = repairing.active("view", "a", "b")
    later(repairing, first)
    longer = repairing.extend(first)
    delete(repairing)
    later(repairing, first)
    assert repairing.state(longer) is GrantState.ACTIVE
    assert repairing.given() == {VIEW: ("a", "b")}


def test_groups_that_others_took_away_end_the_grants_that_gave_them(world: World) -> None:
    operator = world.active("operator")
    deployer = world.active("deployer")
    later(world, operator)
    set_groups(world, "deployers")
    later(world, operator)
    assert ended_as_removed(world, operator)
    assert world.state(deployer) is GrantState.ACTIVE
    entry = world.entry()
    assert entry is not None
    assert entry.kubernetes_groups == ("deployers",)


def test_a_scope_that_others_widened_is_set_right_and_told(world: World) -> None:
    grant_id = world.active("view", "a")
    later(world, grant_id)
    associate(world, VIEW)
    later(world, grant_id)
    assert world.given() == {VIEW: ("a",)}
    assert world.state(grant_id) is GrantState.ACTIVE
    assert told(world) == [("widened", "repaired")]
    later(world, grant_id)
    assert still_open(world) == set()


def test_what_others_added_is_told_once_and_stays(world: World) -> None:
    grant_id = world.active("view", "a")
    later(world, grant_id)
    associate(world, ROOT)
    set_groups(world, "admins")
    for _ in range(3):
        later(world, grant_id)
    assert sorted(told(world)) == [("foreign_groups", "left"), ("foreign_policy", "left")]
    assert still_open(world) == {Kind.FOREIGN_GROUPS, Kind.FOREIGN_POLICY}
    with world.untouched():
        later(world, grant_id)
    disassociate(world, ROOT)
    set_groups(world)
    later(world, grant_id)
    assert still_open(world) == set()
    associate(world, ROOT)
    later(world, grant_id)
    assert told(world)[2:] == [("foreign_policy", "left")], "what comes back is told again"


def test_an_entry_without_its_tag_is_told(world: World) -> None:
    grant_id = world.active("view", "a")
    later(world, grant_id)
    entry = world.entry()
    assert entry is not None
    world.eks.client("eks").untag_resource(
        resourceArn=entry.arn, tagKeys=[DEPLOYMENT_TAG, GRANT_TAG]
    )
    later(world, grant_id)
    assert told(world)[0] == ("untagged", "left")
    assert world.given() == {}
    assert world.state(grant_id) is GrantState.ENDED


def test_an_entry_that_others_made_in_place_of_ours_is_untouched_and_the_grant_ends(
    repairing: World,
) -> None:
    grant_id = repairing.active("view", "a")
    later(repairing, grant_id)
    delete(repairing)
    repairing.eks.put_entry(LAB, role("ana"), tags=TERRAFORM, policies={VIEW: ["a"]})
    with repairing.untouched():
        later(repairing, grant_id)
    assert ended_as_removed(repairing, grant_id)
    assert told(repairing) == [("replaced", "ended")]


def test_beside_standing_access_what_others_took_away_ends_and_theirs_stays(world: World) -> None:
    world.eks.put_entry(OPEN, role("ana"), tags=TERRAFORM, policies={ROOT: ()})
    grant_id = world.active("view", "a", cluster=OPEN)
    later(world, grant_id)
    world.eks.client("eks").disassociate_access_policy(
        clusterName=OPEN, principalArn=role("ana"), policyArn=ARN + VIEW
    )
    with world.untouched("ana", OPEN):
        later(world, grant_id)
    assert ended_as_removed(world, grant_id)
    assert told(world) == [("missing", "ended")]


def test_expired_access_that_others_took_away_has_just_expired(world: World) -> None:
    grant_id = world.active("view", "a")
    delete(world)
    world.clock.advance(HOUR)
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.EXPIRED
    assert told(world) == []


def test_eks_that_is_mute_takes_no_access_away(world: World) -> None:
    grant_id = world.active("view", "a")
    later(world, grant_id)
    world.eks.faults.server_error("DescribeAccessEntry", times=None)
    with world.database.transaction() as tx:
        entry_id = grants.entry_of(tx, grant_id)
        assert entry_id is not None
        entries.wake(tx, entry_id, world.clock())
    world.round()
    world.eks.faults.clear()
    assert world.state(grant_id) is GrantState.ACTIVE
    assert told(world) == []
