"""Somebody changes by hand what the bot made: the next look makes it right, or lets go of it."""

from __future__ import annotations

from typing import Any

import pytest
from entry_world import (
    DEPLOYMENT,
    EDIT,
    HOUR,
    LAB,
    MINUTE,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)

from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.store import entries, grants

KEY = {"clusterName": LAB, "principalArn": role("ana")}
VIEW_ARN = f"arn:aws:eks::aws:cluster-access-policy/{VIEW}"


def hand(world: World) -> Any:
    """Somebody with the AWS CLI."""
    return world.eks.client("eks")


def associate(world: World, *namespaces: str) -> None:
    scope: dict[str, Any] = {"type": "namespace", "namespaces": list(namespaces)}
    hand(world).associate_access_policy(
        **KEY, policyArn=VIEW_ARN, accessScope=scope if namespaces else {"type": "cluster"}
    )


def test_an_entry_deleted_by_hand_is_made_again_while_a_grant_lives(world: World) -> None:
    grant_id = world.active("view", "a")
    hand(world).delete_access_entry(**KEY)
    world.look_again(grant_id)
    world.assert_union()
    world.clock.advance(HOUR)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_an_entry_deleted_by_hand_ends_as_it_should(world: World) -> None:
    grant_id = world.active("view", "a")
    hand(world).delete_access_entry(**KEY)
    before = world.writes()
    world.clock.advance(HOUR)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.writes() == before


@pytest.mark.parametrize("scope", [(), ("a", "b", "c"), ("a",), ("x",)], ids=str)
def test_a_scope_changed_by_hand_is_set_right_again(world: World, scope: tuple[str, ...]) -> None:
    grant_id = world.active("view", "a", "b")
    associate(world, *scope)
    world.look_again(grant_id)
    assert world.given() == {VIEW: ("a", "b")}


def test_a_scope_widened_by_hand_goes_with_the_grant(world: World) -> None:
    grant_id = world.active("view", "a")
    associate(world)
    world.clock.advance(HOUR)
    world.settle()
    assert world.entry() is None
    assert world.state(grant_id) is GrantState.ENDED


def test_an_association_removed_by_hand_comes_again_while_a_grant_lives(world: World) -> None:
    grant_id = world.active("view", "a")
    hand(world).disassociate_access_policy(**KEY, policyArn=VIEW_ARN)
    world.look_again(grant_id)
    world.assert_union()


def test_an_association_removed_by_hand_holds_no_end_up(world: World) -> None:
    world.ask("edit", "a", length=2 * HOUR)
    grant_id = world.active("view", "a")
    hand(world).disassociate_access_policy(**KEY, policyArn=VIEW_ARN)
    world.give_back(grant_id)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.given() == {EDIT: ("a",)}


def test_groups_removed_by_hand_come_again_while_a_grant_lives(world: World) -> None:
    grant_id = world.active("operator")
    hand(world).update_access_entry(**KEY, kubernetesGroups=[])
    world.look_again(grant_id)
    world.assert_union()


# The tag


def strip_tag(world: World) -> None:
    entry = world.entry()
    assert entry is not None
    hand(world).untag_resource(resourceArn=entry.arn, tagKeys=[DEPLOYMENT_TAG, GRANT_TAG])


def test_an_entry_without_our_tag_is_no_longer_ours_but_our_part_of_it_goes(
    world: World,
) -> None:
    grant_id = world.active("view", "a")
    strip_tag(world)
    world.give_back(grant_id)
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED
    assert world.given() == {}, "the entry stays and gives nothing"
    assert "DeleteAccessEntry" not in world.writes()


def test_somebody_who_takes_our_entry_over_keeps_it_and_what_they_added(world: World) -> None:
    world.active("view", "a")
    grant_id = world.active("operator")
    strip_tag(world)
    hand(world).associate_access_policy(
        **KEY,
        policyArn=VIEW_ARN.replace(VIEW, ROOT),
        accessScope={"type": "cluster"},
    )
    world.give_back(grant_id)
    world.clock.advance(HOUR)
    world.settle()
    assert world.given() == {ROOT: ()}
    entry = world.entry()
    assert entry is not None
    assert entry.kubernetes_groups == ()


def test_a_grant_asked_for_on_an_entry_that_was_taken_over_is_refused(world: World) -> None:
    world.active("view", "a")
    strip_tag(world)
    grant_id = world.ask("edit", "a")
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.FAILED
    assert EDIT not in (world.given() or {})


# Entries that are not the one the store knows


def orphan(world: World) -> None:
    world.eks.put_entry(
        LAB,
        role("ana"),
        tags={DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: "000-000"},
        policies={ROOT: ()},
        kubernetes_groups=["admins"],
    )


def test_an_entry_with_our_tag_and_no_record_is_removed_and_made_anew(world: World) -> None:
    """As after a restore of the database: what hangs on it was granted by nobody known."""
    orphan(world)
    before = world.entry()
    grant_id = world.ask("view", "a")
    world.settle()
    assert world.state(grant_id) is GrantState.ACTIVE
    after = world.entry()
    assert before is not None
    assert after is not None
    assert after.arn != before.arn
    assert after.kubernetes_groups == ()
    assert after.tags[GRANT_TAG] == grant_id
    world.assert_union()


def test_access_is_never_called_active_on_the_strength_of_an_entry_the_store_does_not_know(
    world: World,
) -> None:
    world.eks.put_entry(
        LAB,
        role("ana"),
        tags={DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: "000-000"},
        policies={VIEW: ["a"]},
    )
    world.eks.faults.deny("DeleteAccessEntry")
    grant_id = world.ask("view", "a")
    world.round()
    assert world.grant(grant_id).end_reason is EndReason.FAILED
    assert "grant.confirmed" not in world.actions(grant_id)


def test_an_entry_made_anew_by_others_where_ours_was_is_theirs(world: World) -> None:
    grant_id = world.active("view", "a")
    hand(world).delete_access_entry(**KEY)
    world.eks.put_entry(LAB, role("ana"), tags=TERRAFORM, policies={VIEW: ["a"]})
    with world.untouched():
        world.clock.advance(HOUR)
        world.settle()
    assert world.state(grant_id) is GrantState.ENDED


def test_an_entry_made_anew_by_others_is_told_to_whoever_had_access_and_whoever_asks(
    world: World,
) -> None:
    first = world.active("view", "a")
    hand(world).delete_access_entry(**KEY)
    world.eks.put_entry(LAB, role("ana"), tags=TERRAFORM)
    with world.untouched():
        second = world.ask("edit", "a")
        world.settle()
    assert world.grant(second).end_reason is EndReason.FAILED
    first_now = world.grant(first)
    assert first_now.end_reason is EndReason.FAILED
    assert first_now.problem is not None
    assert "somebody else manages" in first_now.problem


def test_an_orphan_where_live_access_should_be_is_deleted_and_the_access_ends(
    world: World,
) -> None:
    """As after a database was restored: tagged as ours, and unknown to the store."""
    grant_id = world.active("view", "default")
    with world.database.transaction() as tx:
        entry_id = grants.entry_of(tx, grant_id)
        assert entry_id is not None
        entries.reset(tx, entry_id)
    world.clock.advance(MINUTE)
    world.look_again(grant_id)
    assert world.entry() is None
    assert world.grant(grant_id).end_reason is EndReason.REMOVED


def test_an_entry_that_others_make_just_before_we_make_ours_again_is_theirs(world: World) -> None:
    """What the store knew of the old entry says nothing of theirs, not even the same policy."""
    grant_id = world.active("view", "a")
    hand(world).delete_access_entry(**KEY)

    def faster(call: Any) -> None:
        if call.operation == "DescribeAccessEntry" and world.entry() is None:
            world.eks.put_entry(LAB, role("ana"), tags=TERRAFORM, policies={VIEW: ()})

    stop = world.eks.subscribe(faster)
    world.look_again(grant_id)
    stop()
    with world.untouched():
        world.clock.advance(HOUR)
        world.settle()
    assert world.given() == {VIEW: ()}
    assert world.state(grant_id) is GrantState.ENDED
