"""The process dies at any point of a round: the next makes it good, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import pytest
from entry_world import (
    DEPLOYMENT,
    HOUR,
    LAB,
    OPEN,
    POLICY,
    PROPAGATION,
    ROOT,
    TERRAFORM,
    VIEW,
    World,
    role,
)
from points import arrive, killed_at, watched

from bot.core.model import EndReason, GrantState
from bot.core.planner import DEPLOYMENT_TAG, GRANT_TAG
from bot.store import grants

Scene = Callable[[World, str], str]
LONG = 3 * HOUR


def first_grant(world: World, who: str) -> str:
    return world.ask("view", "a", who=who)


def wider_scope(world: World, who: str) -> str:
    world.active("view", "a", who=who)
    return world.ask("view", "b", who=who)


def more_groups(world: World, who: str) -> str:
    world.active("deployer", who=who)
    return world.ask("operator", who=who)


def narrower_scope(world: World, who: str) -> str:
    world.ask("view", "a", who=who, length=LONG)
    return returned(world, world.active("view", "b", who=who))


def one_policy_less(world: World, who: str) -> str:
    world.ask("edit", "a", who=who, length=LONG)
    return returned(world, world.active("view", "b", who=who))


def fewer_groups(world: World, who: str) -> str:
    world.ask("deployer", who=who, length=LONG)
    return returned(world, world.active("operator", who=who))


def one_for_another(world: World, who: str) -> str:
    """The scope loses one namespace and gains another in one call."""
    returned(world, world.active("view", "b", who=who))
    return world.ask("view", "a", who=who)


def last_grant(world: World, who: str) -> str:
    return returned(world, world.active("view", "a", who=who))


def orphan(world: World, who: str) -> str:
    world.eks.put_entry(
        LAB, role(who), tags={DEPLOYMENT_TAG: DEPLOYMENT, GRANT_TAG: "000-000"}, policies={ROOT: ()}
    )
    return world.ask("view", "a", who=who)


def returned(world: World, grant_id: str) -> str:
    world.give_back(grant_id)
    return grant_id


OWN = [
    first_grant,
    wider_scope,
    more_groups,
    narrower_scope,
    one_policy_less,
    fewer_groups,
    one_for_another,
    last_grant,
    orphan,
]


@dataclass
class Crash:
    """One round that died: whose it was, and where."""

    who: str
    grant_id: str
    points: list[str]
    packet: Any


def entry_id_of(world: World, grant_id: str) -> int:
    with world.database.reading() as tx:
        entry_id = grants.entry_of(tx, grant_id)
    assert entry_id is not None
    return entry_id


def crash_everywhere(world: World, scene: Scene) -> list[Crash]:
    """Die once at each point of the scene's round, each time in the life of somebody else."""
    client = world.clients.for_cluster(POLICY.clusters_by_name[LAB])
    crashes: list[Crash] = []
    while True:
        who = f"ana{len(crashes)}"
        grant_id = scene(world, who)
        entry_id = entry_id_of(world, grant_id)
        with watched(world.database, client, telling=True) as points:
            died = killed_at(len(crashes), points, world.fresh_bot(), entry_id)
        if not died:
            assert len(crashes) >= 4, "a round has more points than that"
            return crashes
        crashes.append(Crash(who, grant_id, points.passed, points.packet))


def restart(world: World) -> None:
    world.bot = world.fresh_bot()


@pytest.mark.parametrize("scene", OWN, ids=lambda scene: scene.__name__)
def test_after_a_crash_anywhere_the_union_of_live_grants_is_there_and_no_more(
    world: World, scene: Scene
) -> None:
    crashes = crash_everywhere(world, scene)
    restart(world)
    world.settle()
    for crash in crashes:
        world.assert_union(crash.who)


@pytest.mark.parametrize("scene", [first_grant, orphan], ids=lambda scene: scene.__name__)
def test_after_a_crash_anywhere_nothing_outlives_its_end(world: World, scene: Scene) -> None:
    crash_everywhere(world, scene)
    world.clock.advance(LONG)
    restart(world)
    world.settle()
    assert world.eks.entries(LAB) == ()


@pytest.mark.parametrize(
    "scene", [first_grant, wider_scope, more_groups], ids=lambda scene: scene.__name__
)
def test_access_revoked_after_a_crash_anywhere_goes_whole(world: World, scene: Scene) -> None:
    for write in ("CreateAccessEntry", "AssociateAccessPolicy", "UpdateAccessEntry"):
        world.eks.faults.propagation_delay(write, reads=3, times=None)
    crashes = crash_everywhere(world, scene)
    with world.database.reading() as tx:
        live = grants.live(tx)
    for grant in live:
        world.revoke(grant.id)
    restart(world)
    world.settle()
    assert [entry.principal_arn for entry in world.eks.entries(LAB)] == []
    assert {world.state(crash.grant_id) for crash in crashes} == {GrantState.ENDED}


# Standing access beside it


def beside_terraform(world: World, who: str) -> None:
    world.eks.put_entry(
        OPEN, role(who), tags=TERRAFORM, policies={ROOT: ()}, kubernetes_groups=["theirs"]
    )


def added_to_standing(world: World, who: str) -> str:
    beside_terraform(world, who)
    return world.ask("view", "a", who=who, cluster=OPEN)


def taken_from_standing(world: World, who: str) -> str:
    beside_terraform(world, who)
    return returned(world, world.active("view", "a", who=who, cluster=OPEN))


def refused_by_standing(world: World, who: str) -> str:
    world.eks.put_entry(LAB, role(who), tags=TERRAFORM, policies={VIEW: ["a"]})
    return world.ask("view", "a", who=who)


@pytest.mark.parametrize(
    "scene",
    [added_to_standing, taken_from_standing],
    ids=lambda scene: scene.__name__,
)
def test_standing_access_outlives_a_crash_anywhere_and_our_part_is_right(
    world: World, scene: Scene
) -> None:
    crashes = crash_everywhere(world, scene)
    restart(world)
    world.settle()
    for crash in crashes:
        policies, _ = world.wanted(crash.who, OPEN)
        assert world.given(crash.who, OPEN) == {ROOT: ()} | policies
    world.clock.advance(LONG)
    world.settle()
    for entry in world.eks.entries(OPEN):
        assert entry.tags == TERRAFORM
        assert entry.kubernetes_groups == ("theirs",)
        assert [one.policy for one in entry.associations] == [ROOT]


def test_standing_access_is_untouched_by_a_refusal_that_dies_anywhere(world: World) -> None:
    before: dict[str, object] = {}

    def scene(world: World, who: str) -> str:
        grant_id = refused_by_standing(world, who)
        before[who] = asdict(world.entry(who))  # type: ignore[call-overload] # it is there
        return grant_id

    crashes = crash_everywhere(world, scene)
    restart(world)
    world.settle()
    assert world.writes() == []
    for crash in crashes:
        assert asdict(world.entry(crash.who)) == before[crash.who]  # type: ignore[call-overload] # the same
        assert world.grant(crash.grant_id).end_reason is EndReason.FAILED


# What had left before the process died, and arrives at EKS later


def left_behind(world: World, scene: Scene, write: str, cluster: str = LAB) -> Crash:
    """Die just as the write leaves. It is under way, and nothing of it is to be seen."""
    client = world.clients.for_cluster(POLICY.clusters_by_name[cluster])
    grant_id = scene(world, "ana")
    entry_id = entry_id_of(world, grant_id)
    with watched(world.database, client) as points:
        died = killed_at(write, points, world.fresh_bot(), entry_id)
    assert died
    restart(world)
    return Crash("ana", grant_id, points.passed, points.packet)


IN_FLIGHT = [
    (first_grant, "CreateAccessEntry", LAB),
    (first_grant, "AssociateAccessPolicy", LAB),
    (wider_scope, "AssociateAccessPolicy", LAB),
    (more_groups, "UpdateAccessEntry", LAB),
    (added_to_standing, "AssociateAccessPolicy", OPEN),
]


@pytest.mark.parametrize(
    ("scene", "write", "cluster"), IN_FLIGHT, ids=lambda one: getattr(one, "__name__", one)
)
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_access_revoked_while_its_write_is_under_way_is_gone_in_the_end(
    world: World, scene: Scene, write: str, cluster: str, rounds: int
) -> None:
    crash = left_behind(world, scene, write, cluster)
    with world.database.reading() as tx:
        others = [grant.id for grant in grants.live(tx)]
    for grant_id in others:
        world.revoke(grant_id)
    for _ in range(rounds):
        world.clock.advance(timedelta(seconds=1))
        world.round()
    if world.entry("ana", cluster) is not None or write == "CreateAccessEntry":
        assert rounds == 0 or world.state(crash.grant_id) is GrantState.REVOKING
        arrive(crash.packet)
    world.settle()
    assert world.state(crash.grant_id) is GrantState.ENDED
    if cluster == LAB:
        assert world.entry() is None
    else:
        assert world.given("ana", cluster) == {ROOT: ()}


def test_a_write_that_never_arrives_holds_nothing_up_for_long(world: World) -> None:
    crash = left_behind(world, first_grant, "CreateAccessEntry")
    world.give_back(crash.grant_id)
    since = world.clock()
    world.settle()
    assert PROPAGATION <= world.clock() - since <= 6 * PROPAGATION
    assert world.entry() is None


@pytest.mark.parametrize(("scene", "write", "cluster"), IN_FLIGHT)
def test_a_write_from_a_clock_that_was_ahead_holds_nothing_up_for_long(
    world: World, scene: Scene, write: str, cluster: str
) -> None:
    """Set right by a day, the clock would have the bot wait for a day for it to have arrived."""
    crash = left_behind(world, scene, write, cluster)
    with world.database.reading() as tx:
        for grant in grants.live(tx):
            world.revoke(grant.id)
    world.clock.advance(-timedelta(days=1))
    since = world.clock()
    world.settle()
    assert world.state(crash.grant_id) is GrantState.ENDED
    assert world.clock() - since <= 6 * PROPAGATION


def test_a_scope_asked_for_again_while_its_narrowing_is_under_way_is_there_in_the_end(
    world: World,
) -> None:
    crash = left_behind(world, narrower_scope, "AssociateAccessPolicy")
    again = world.ask("view", "b", length=LONG)
    world.round()
    arrive(crash.packet)
    world.settle()
    assert world.state(again) is GrantState.ACTIVE
    world.assert_union()
