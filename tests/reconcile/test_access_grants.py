"""From an approved request to access that EKS shows, and to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from entry_world import (
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

from bot.core.lifecycle import PROVISION_WITHIN
from bot.core.model import EndReason, GrantState
from bot.core.planner import GRANT_TAG
from bot.store import entries, grants

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
SECOND = timedelta(seconds=1)
READ = ["DescribeAccessEntry", "ListAssociatedAccessPolicies"]


# One grant


@BOTH
def test_a_grant_is_given_read_back_and_called_active_and_at_its_end_taken_away(
    world: World,
) -> None:
    grant_id = world.ask("view", "default")
    assert world.state(grant_id) is GrantState.PROVISIONING
    assert world.entry() is None

    world.round()
    entry = world.entry()
    assert entry is not None
    assert entry.tags == world.tags(grant_id)
    assert entry.type == "STANDARD"
    assert entry.kubernetes_groups == ()
    assert world.given() == {VIEW: ("default",)}
    assert world.state(grant_id) is GrantState.ACTIVE
    assert world.bot.due() == []

    world.clock.advance(HOUR)
    world.round()
    assert world.entry() is None
    ended = world.grant(grant_id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.EXPIRED)
    assert world.bot.due() == []
    assert world.actions(grant_id) == [
        "request.submitted",
        "request.approved",
        "grant.confirmed",
        "grant.revoking",
        "grant.ended",
    ]


def test_eks_is_looked_at_before_anything_is_written_and_after_everything_was(
    world: World,
) -> None:
    world.active("view", "default")
    made = [call.operation for call in world.eks.calls]
    assert made == ["DescribeAccessEntry", "CreateAccessEntry", "AssociateAccessPolicy", *READ]
    world.clock.advance(HOUR)
    world.round()
    taken = [call.operation for call in world.eks.calls[len(made) :]]
    assert taken == [*READ, "DeleteAccessEntry", "DescribeAccessEntry"]


def test_an_entry_is_made_as_plain_as_it_can_be(world: World) -> None:
    grant_id = world.active("view", "default")
    [created] = world.eks.calls_of("CreateAccessEntry")
    assert {name for name, value in created.params.items() if value} == {
        "clusterName",
        "principalArn",
        "type",
        "tags",
        "clientRequestToken",
    }
    assert created.params["tags"] == world.tags(grant_id)


def test_access_is_active_only_once_eks_shows_it(world: World) -> None:
    world.eks.faults.propagation_delay("AssociateAccessPolicy", reads=4)
    grant_id = world.ask("view", "default")
    world.round()
    assert world.given() == {VIEW: ("default",)}, "it is there, and not shown yet"
    assert world.state(grant_id) is GrantState.PROVISIONING
    world.clock.advance(SECOND)
    world.settle()
    assert world.state(grant_id) is GrantState.ACTIVE
    assert world.grant(grant_id).confirmed_at == world.clock()


def test_the_time_runs_from_confirmation(world: World) -> None:
    asked_at = world.clock()
    grant_id = world.ask("view", "default", length=2 * HOUR)
    committed = world.grant(grant_id).ends_at
    assert committed == asked_at + PROVISION_WITHIN + 2 * HOUR
    confirmed = world.clock.advance(3 * MINUTE)
    world.round()
    grant = world.grant(grant_id)
    assert grant.confirmed_at == confirmed
    assert grant.ends_at == confirmed + 2 * HOUR
    assert grant.ends_at <= committed


def test_the_end_is_never_later_than_what_was_committed_before_the_first_write(
    world: World,
) -> None:
    grant_id = world.ask("view", "default", length=2 * HOUR)
    latest = world.clock() + HOUR
    with world.database.transaction() as tx:
        grants.change(
            tx,
            replace(grants.get(tx, grant_id), ends_at=latest),
            expected=GrantState.PROVISIONING,
        )
    world.clock.advance(MINUTE)
    world.round()
    assert world.grant(grant_id).ends_at == latest


def test_it_is_due_again_exactly_at_its_end(world: World) -> None:
    grant_id = world.active("view", "default")
    assert world.next_due() == world.grant(grant_id).ends_at
    world.clock.advance(HOUR - SECOND)
    assert world.bot.due() == []
    world.clock.advance(SECOND)
    world.round()
    assert world.state(grant_id) is GrantState.ENDED


def test_a_round_before_the_end_changes_nothing(world: World) -> None:
    grant_id = world.active("view", "default")
    before = world.writes()
    world.clock.advance(HOUR - SECOND)
    with world.untouched():
        world.look_again(grant_id)
    assert world.writes() == before
    assert world.state(grant_id) is GrantState.ACTIVE


def test_what_ended_while_nobody_looked_is_taken_away_at_the_next_look(world: World) -> None:
    grant_id = world.active("view", "default")
    world.clock.advance(timedelta(days=3))
    world.round(world.fresh_bot())
    assert world.entry() is None
    assert world.grant(grant_id).ended_at == world.clock()


def test_a_grant_that_nobody_could_confirm_in_time_is_taken_back(world: World) -> None:
    world.eks.faults.propagation_delay("AssociateAccessPolicy", reads=200)
    grant_id = world.ask("view", "default")
    world.round()
    assert world.given() == {VIEW: ("default",)}
    world.clock.advance(PROVISION_WITHIN)
    world.round()
    assert world.entry() is None
    grant = world.grant(grant_id)
    assert grant.end_reason is EndReason.FAILED
    assert grant.confirmed_at is None


def test_returned_access_goes_at_once(world: World) -> None:
    grant_id = world.active("view", "default")
    world.give_back(grant_id)
    assert world.state(grant_id) is GrantState.REVOKING
    assert world.given() == {VIEW: ("default",)}
    world.round()
    assert world.entry() is None
    assert world.grant(grant_id).end_reason is EndReason.RETURNED


def test_access_given_back_before_it_was_given_is_never_given(world: World) -> None:
    grant_id = world.ask("view", "default")
    world.give_back(grant_id)
    world.round()
    assert world.writes() == []
    assert world.state(grant_id) is GrantState.ENDED


def test_ended_is_said_only_once_eks_shows_nothing(world: World) -> None:
    grant_id = world.active("view", "default")
    world.eks.faults.propagation_delay("DeleteAccessEntry", reads=3)
    world.give_back(grant_id)
    world.round()
    assert world.entry() is None
    assert world.state(grant_id) is GrantState.REVOKING, "EKS still shows it"
    world.settle()
    assert world.state(grant_id) is GrantState.ENDED


def test_a_second_grant_after_the_end_is_a_new_entry(world: World) -> None:
    first = world.active("view", "default")
    before = world.entry()
    world.give_back(first)
    world.settle()
    second = world.active("view", "default")
    after = world.entry()
    assert before is not None
    assert after is not None
    assert after.arn != before.arn
    assert after.tags[GRANT_TAG] == second


# Several grants of one person: the union


def test_the_first_end_narrows_and_keeps_the_second(world: World) -> None:
    first = world.active("view", "a", "b")
    second = world.active("view", "b", "c", length=2 * HOUR)
    assert world.given() == {VIEW: ("a", "b", "c")}
    world.clock.advance(HOUR)
    world.round()
    assert world.given() == {VIEW: ("b", "c")}
    assert (world.state(first), world.state(second)) == (GrantState.ENDED, GrantState.ACTIVE)
    world.clock.advance(HOUR)
    world.round()
    assert world.entry() is None


def test_a_second_grant_never_takes_away_what_the_first_gives(world: World) -> None:
    world.active("view", "a")
    world.eks.calls_of()
    seen: list[object] = []
    stop = world.eks.subscribe(lambda call: seen.append((call.operation, world.given())))
    world.active("view", "b")
    stop()
    assert seen
    assert all("a" in given[VIEW] for _, given in seen)  # type: ignore[index] # as appended above


def test_the_narrowed_scope_is_read_back_before_the_first_is_called_ended(world: World) -> None:
    first = world.active("view", "a")
    world.active("view", "b", length=2 * HOUR)
    world.eks.faults.propagation_delay("AssociateAccessPolicy", reads=3)
    world.clock.advance(HOUR)
    world.round()
    assert world.given() == {VIEW: ("b",)}
    assert world.state(first) is GrantState.REVOKING
    world.settle()
    assert world.state(first) is GrantState.ENDED


def test_the_whole_cluster_covers_namespaces_and_leaves_them_behind(world: World) -> None:
    world.active("view", "a", length=3 * HOUR)
    whole = world.active("view")
    assert world.given() == {VIEW: ()}
    world.clock.advance(HOUR)
    world.round()
    assert world.state(whole) is GrantState.ENDED
    assert world.given() == {VIEW: ("a",)}


def test_a_namespace_under_the_whole_cluster_changes_nothing_at_eks(world: World) -> None:
    world.active("view")
    writes = world.writes()
    inner = world.active("view", "a")
    assert world.given() == {VIEW: ()}
    world.give_back(inner)
    world.settle()
    assert world.given() == {VIEW: ()}
    assert world.writes() == writes


def test_different_policies_stand_side_by_side_and_end_one_by_one(world: World) -> None:
    world.active("view", "a", "b")
    edit = world.active("edit", "a", length=2 * HOUR)
    root = world.active("root", length=3 * HOUR)
    assert world.given() == {VIEW: ("a", "b"), EDIT: ("a",), ROOT: ()}
    world.clock.advance(HOUR)
    world.round()
    assert world.given() == {EDIT: ("a",), ROOT: ()}
    world.clock.advance(HOUR)
    world.round()
    assert world.given() == {ROOT: ()}
    assert (world.state(edit), world.state(root)) == (GrantState.ENDED, GrantState.ACTIVE)


def test_groups_come_with_the_entry_and_go_with_the_last_grant_that_gives_them(
    world: World,
) -> None:
    deployer = world.active("deployer")
    entry = world.entry()
    assert entry is not None
    assert entry.kubernetes_groups == ("deployers",)
    assert entry.associations == ()
    world.active("operator", length=2 * HOUR)
    world.active("view", "a", length=3 * HOUR)
    world.assert_union()
    world.clock.advance(HOUR)
    world.round()
    assert world.state(deployer) is GrantState.ENDED
    world.assert_union()
    entry = world.entry()
    assert entry is not None
    assert set(entry.kubernetes_groups) == {"deployers", "operators"}
    world.clock.advance(HOUR)
    world.round()
    entry = world.entry()
    assert entry is not None
    assert entry.kubernetes_groups == ()
    assert world.given() == {VIEW: ("a",)}


def test_many_grants_that_end_in_one_second_end_in_one_round(world: World) -> None:
    ids = [world.ask("view", f"team-{number}") for number in range(12)]
    ids += [world.ask("edit", "a", who=who) for who in ("ben", "cleo", "dan")]
    world.settle()
    assert {world.state(one) for one in ids} == {GrantState.ACTIVE}
    world.clock.advance(HOUR)
    world.round()
    assert {world.state(one) for one in ids} == {GrantState.ENDED}
    assert world.eks.entries(LAB) == ()


def test_people_and_clusters_do_not_share_anything(world: World) -> None:
    ana = world.active("view", "a")
    world.active("view", "b", who="ben")
    world.active("edit", "a", cluster=OPEN)
    with world.untouched("ben"), world.untouched("ana", OPEN):
        world.give_back(ana)
        world.settle()
    assert world.entry() is None


# What the loop asks of the store


def test_a_grant_is_found_by_the_next_round_only_while_there_is_something_to_do(
    world: World,
) -> None:
    world.ask("view", "a")
    world.ask("view", "a", who="ben")
    assert len(world.bot.due()) == 2
    world.round()
    assert world.bot.due() == []


def test_a_grant_made_while_the_entry_was_worked_on_is_not_forgotten(world: World) -> None:
    world.ask("view", "a")
    later: list[str] = []

    def ask_more(_: object) -> None:
        if not later:
            later.append(world.ask("edit", "b"))

    stop = world.eks.subscribe(ask_more)
    world.round()
    stop()
    assert world.bot.due() != [], "the entry is still due"
    world.settle()
    world.assert_union()
    assert world.state(later[0]) is GrantState.ACTIVE


def test_the_grant_row_holds_all_that_revoking_needs(world: World) -> None:
    """A cluster or a rule may be taken out of the policy file: the loop does not read it."""
    grant_id = world.active("view", "a")
    world.policy = world.policy.model_copy(update={"clusters": (), "rules": (), "levels": {}})
    world.clock.advance(HOUR)
    world.round(world.fresh_bot())
    assert world.state(grant_id) is GrantState.ENDED
    assert world.entry() is None


def test_the_entry_keeps_the_deployment_it_was_tagged_with(world: World) -> None:
    first = world.active("view", "a")
    world.policy = world.policy.model_copy(update={"deployment": "renamed"})
    world.active("edit", "a", length=2 * HOUR)
    entry = world.entry()
    assert entry is not None
    assert entry.tags == world.tags(first)
    world.clock.advance(2 * HOUR)
    world.settle()
    assert world.entry() is None


def test_the_record_of_what_the_bot_made_goes_with_the_entry(world: World) -> None:
    grant_id = world.active("operator")
    world.give_back(grant_id)
    world.settle()
    with world.database.reading() as tx:
        entry_id = grants.entry_of(tx, grant_id)
        assert entry_id is not None
        record = entries.get(tx, entry_id, world.clock()).record
    assert not record.created
    assert record.arn is None
    assert not record.associations
    assert not record.kubernetes_groups
    world.eks.put_entry(LAB, role("ana"), tags=TERRAFORM)
    with world.untouched():
        world.look_again(grant_id)
