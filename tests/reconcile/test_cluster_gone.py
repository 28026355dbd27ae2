"""A cluster is deleted under live access: the access ends with it, once that is proven."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backstop_world import BackstopWorld
from entry_world import HOUR, LAB, MINUTE, World

from bot.access import end
from bot.aws.clients import EksClients
from bot.core.errors import Conflict, TemporaryAwsProblem
from bot.core.gone import GONE_AFTER
from bot.core.model import EndReason, GrantState
from bot.core.removal import late
from bot.store import audit, drift, entries

OTHER_ACCOUNT = "444455556666"
both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


def pass_a_day(world: World, *, every: timedelta = HOUR) -> None:
    """Let a day pass, and a look each hour."""
    for _ in range(GONE_AFTER // every + 1):
        world.clock.advance(every)
        world.round()


def deleted_under(world: World) -> str:
    """Access that is live, at its end, on a cluster that is deleted. Returns its grant's id."""
    grant_id = world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.clock.advance(HOUR)
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    return grant_id


@both_databases
def test_access_ends_with_its_cluster_once_aws_has_known_none_for_a_day(world: World) -> None:
    grant_id = deleted_under(world)
    for _ in range(23):
        world.clock.advance(HOUR)
        world.round()
        assert world.state(grant_id) is GrantState.REVOKING
    assert late(world.grant(grant_id), world.clock())
    world.clock.advance(HOUR)
    world.round()
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.CLUSTER_GONE)
    assert grant.problem is None
    assert not late(grant, world.clock())
    assert world.bot.due() == [], "nobody looks there any more"
    with world.database.reading() as tx:
        (ended,) = [one for one in audit.of_request(tx, grant_id) if one.action == "grant.ended"]
        assert entries.clusters_in_use(tx) == ()
    assert ended.details["reason"] == "cluster gone"
    assert "AWS has known no such cluster since" in ended.details["why"]


def test_all_that_is_live_at_the_entry_ends_also_what_had_time_left(world: World) -> None:
    longer = world.active("edit", "b", length=8 * HOUR)
    first = deleted_under(world)
    pass_a_day(world)
    reasons = {world.grant(one).end_reason for one in (first, longer)}
    assert reasons == {EndReason.CLUSTER_GONE}


def test_a_cluster_that_comes_back_within_the_day_is_looked_at_as_ever(world: World) -> None:
    grant_id = deleted_under(world)
    for _ in range(20):
        world.clock.advance(HOUR)
        world.round()
    world.eks.create_cluster(LAB)
    world.clock.advance(MINUTE)
    world.round()
    assert world.grant(grant_id).end_reason is EndReason.EXPIRED
    again = world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.give_back(again)
    for _ in range(20):
        world.round()
        world.clock.advance(HOUR)
    assert world.state(again) is GrantState.REVOKING, "its day began anew"


def test_a_bot_that_was_away_for_the_day_has_proven_nothing(world: World) -> None:
    grant_id = deleted_under(world)
    world.clock.advance(3 * GONE_AFTER)
    world.bot = world.fresh_bot()
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING


def test_credentials_of_another_account_prove_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs knows no such cluster either."""
    grant_id = world.active("view", "a")
    for name, value in world.eks.environment(OTHER_ACCOUNT).items():
        monkeypatch.setenv(name, value)
    world.clients = EksClients()
    world.bot = world.fresh_bot()
    with pytest.raises(TemporaryAwsProblem, match=f"account {OTHER_ACCOUNT}"):
        world.clients.prove_account(world.policy.clusters_by_name[LAB])
    world.give_back(grant_id)
    pass_a_day(world)
    assert world.state(grant_id) is GrantState.REVOKING
    assert world.entry() is not None


def test_while_sts_does_not_say_whose_the_credentials_are_nothing_is_proven(
    world: World,
) -> None:
    grant_id = world.active("view", "a")
    world.eks.delete_cluster(LAB)
    world.eks.faults.deny("GetCallerIdentity")
    world.give_back(grant_id)
    pass_a_day(world)
    assert world.state(grant_id) is GrantState.REVOKING


def test_a_role_that_is_refused_proves_nothing(world: World) -> None:
    grant_id = world.active("view", "a")
    world.eks.faults.deny("DescribeAccessEntry")
    world.give_back(grant_id)
    pass_a_day(world)
    assert world.state(grant_id) is GrantState.REVOKING
    assert world.entry() is not None


def test_what_differs_there_is_over_and_a_schedule_is_not_looked_at_any_more(
    backed: BackstopWorld,
) -> None:
    grant_id = deleted_under(backed)
    backed.eks.faults.deny("GetSchedule")
    pass_a_day(backed)
    assert backed.state(grant_id) is GrantState.ENDED
    assert backed.keeper.due() == []
    with backed.database.reading() as tx:
        assert drift.open_by_kind(tx) == {}


# Said by an operator


@both_databases
def test_what_an_operator_forgets_ends_at_once_with_their_words(world: World) -> None:
    grant_id = deleted_under(world)
    with world.database.transaction() as tx:
        end.forget(tx, grant_id, world.clock(), why="The account is closed.")
    grant = world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.CLUSTER_GONE)
    assert grant.ended_by == "operator"
    with world.database.reading() as tx:
        events = audit.of_request(tx, grant_id)
    assert (events[-1].actor, events[-1].details["why"]) == ("operator", "The account is closed.")
    assert world.bot.due() == []


def test_what_is_forgotten_takes_no_record_from_what_is_live_beside_it(world: World) -> None:
    first, second = world.active("view", "a"), world.active("edit", "b", length=8 * HOUR)
    with world.database.transaction() as tx:
        end.forget(tx, first, world.clock(), why="mistaken")
    assert world.state(second) is GrantState.ACTIVE
    world.look_again(second)
    world.assert_union()


def test_an_extension_that_waits_is_forgotten_with_what_it_extends(world: World) -> None:
    first = world.active("view", "a")
    second = world.extend(first)
    with world.database.transaction() as tx:
        ended = end.forget(tx, first, world.clock(), why="gone")
    assert {one.id for one in ended} == {first, second}


def test_what_has_ended_cannot_be_forgotten(world: World) -> None:
    grant_id = world.active("view", "a")
    world.give_back(grant_id)
    world.settle()
    with world.database.transaction() as tx, pytest.raises(Conflict, match="already ended"):
        end.forget(tx, grant_id, world.clock(), why="gone")
