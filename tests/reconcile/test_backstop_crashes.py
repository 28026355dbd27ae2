"""The bot dies at any point of keeping a backstop, or AWS fails there: access ends all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from backstop_world import AFTER, POLICY, BackstopWorld
from entry_world import HOUR, LAB, MINUTE
from points import Killed, die
from sqlalchemy import event

from bot.core.backstop import fires_at
from bot.core.model import GrantState
from bot.sandbox.eks_faults import Faults

Scene = Callable[[BackstopWorld, str], str]


def first(world: BackstopWorld, who: str) -> str:
    return world.ask("view", "a", who=who)


def extended(world: BackstopWorld, who: str) -> str:
    return world.extend(given(world, who))


def returned(world: BackstopWorld, who: str) -> str:
    grant_id = given(world, who)
    world.give_back(grant_id)
    return grant_id


def expired(world: BackstopWorld, who: str) -> str:
    grant_id = given(world, who)
    world.clock.advance(HOUR)
    return grant_id


def given(world: BackstopWorld, who: str) -> str:
    grant_id = world.active("view", "a", who=who)
    world.quiet()
    return grant_id


SCENES: list[Scene] = [first, extended, returned, expired]


@contextmanager
def dies_at(world: BackstopWorld, point: int) -> Iterator[list[str]]:
    """The process dies at the point of this number: before a call leaves, or a transaction."""
    passed: list[str] = []

    def reach(name: str) -> None:
        passed.append(name)
        if len(passed) == point + 1:
            die()

    def begins(*_: object) -> None:
        reach("a transaction")

    def leaves(event_name: str, **_: Any) -> None:
        reach(event_name.rpartition(".")[2])

    cluster = POLICY.clusters_by_name[LAB]
    eks, scheduler = world.clients.for_cluster(cluster), world.clients.scheduler_for(cluster)
    event.listen(world.database.engine, "checkout", begins)
    eks.meta.events.register_first("before-send.eks", leaves)
    scheduler.meta.events.register_first("before-send.scheduler", leaves)
    try:
        yield passed
    finally:
        event.remove(world.database.engine, "checkout", begins)
        eks.meta.events.unregister("before-send.eks", leaves)
        scheduler.meta.events.unregister("before-send.scheduler", leaves)


def run_until_killed(world: BackstopWorld, point: int) -> bool:
    """Let both loops run, and die there. False where they come to rest before."""
    with dies_at(world, point) as passed:
        try:
            for _ in range(8):
                before = len(passed)
                world.round()
                if len(passed) == before + 2:
                    return False  # two looks at what is due, and nothing was
        except Killed:
            return True
    return False


def assert_no_access_without_its_schedule(world: BackstopWorld) -> None:
    for entry in world.eks.entries(LAB):
        who = entry.principal_arn.rpartition("/")[2]
        assert who in world.schedules(), f"{who} has access, and nothing would end it"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_wherever_the_bot_dies_for_good_no_access_is_left_behind(
    backed: BackstopWorld, scene: Scene
) -> None:
    died, point = True, 0
    while died:
        scene(backed, f"ana{point}")
        died = run_until_killed(backed, point)
        assert_no_access_without_its_schedule(backed)
        backed.clock.advance(24 * HOUR)
        assert backed.eks.entries(LAB) == ()
        backed.restart()
        backed.quiet()
        point += 2
    assert point >= 10, "a round has more points than that"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_wherever_it_dies_it_comes_back_to_what_should_be(
    backed: BackstopWorld, scene: Scene
) -> None:
    died, point = True, 1
    while died:
        who = f"ana{point}"
        grant_id = scene(backed, who)
        died = run_until_killed(backed, point)
        backed.restart()
        backed.quiet()
        backed.assert_union(who)
        if backed.state(grant_id) is GrantState.ACTIVE:
            assert backed.schedules()[who] == fires_at(backed.grant(grant_id), AFTER)
            backed.give_back(grant_id)
            backed.quiet()
        assert backed.schedules() == {}
        point += 3


FAULTS: dict[str, Callable[[Faults, str], object]] = {
    "is throttled": lambda faults, operation: faults.throttle(operation, times=2),
    "meets a fault of AWS": lambda faults, operation: faults.server_error(operation, times=2),
    "is cut off before it took effect": lambda faults, operation: faults.drop(operation),
    "took effect and its answer is lost": lambda faults, operation: faults.lose_answer(operation),
}
CALLS: list[tuple[Scene, str]] = [
    (first, "GetSchedule"),
    (first, "CreateSchedule"),
    (first, "UpdateSchedule"),
    (extended, "GetSchedule"),
    (extended, "UpdateSchedule"),
    (returned, "DeleteSchedule"),
    (returned, "GetSchedule"),
    (expired, "DeleteSchedule"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("scene", "operation"), CALLS, ids=lambda one: getattr(one, "__name__", one)
)
def test_a_call_that_fails_delays_and_does_no_more(
    backed: BackstopWorld, scene: Scene, operation: str, fault: str
) -> None:
    grant_id = scene(backed, "ana")
    met: Any = FAULTS[fault](backed.eks.faults, operation)
    for _ in range(6):
        backed.round()
        assert_no_access_without_its_schedule(backed)
    backed.quiet()
    assert met.hits
    backed.assert_union()
    if scene in (returned, expired):
        assert backed.state(grant_id) is GrantState.ENDED
        assert backed.schedules() == {}
    else:
        assert backed.schedules() == {"ana": fires_at(backed.grant(grant_id), AFTER)}


def test_two_replicas_keep_one_schedule(backed: BackstopWorld) -> None:
    backed.ask("view", "a")
    backed.bot.reconcile(backed.bot.due()[0])
    other = backed.fresh_keeper()
    for entry_id in backed.keeper.due():
        backed.keeper.keep(entry_id)
        other.keep(entry_id)
    assert len(backed.held()) == 1
    assert len(backed.eks.calls_of("CreateSchedule")) == 1


def test_access_approved_while_its_old_schedule_is_being_taken_away_has_one_all_the_same(
    backed: BackstopWorld,
) -> None:
    """Approved just before the deletion leaves, or just after: never access without a schedule."""
    for place, operation in enumerate(("GetSchedule", "DeleteSchedule")):
        who = f"ana{place}"
        backed.give_back(given(backed, who))
        while backed.entry(who) is not None or backed.live_of(who):
            backed.bot.reconcile(backed.bot.due()[0])
        asked: list[str] = []
        scheduler = backed.clients.scheduler_for(POLICY.clusters_by_name[LAB])

        def ask(who: str = who, asked: list[str] = asked, **_: Any) -> None:
            if not asked:
                # Short enough for the schedule of before to cover it.
                asked.append(backed.ask("view", "b", who=who, length=20 * MINUTE))
                for entry_id in backed.bot.due():
                    backed.bot.reconcile(entry_id)
                assert_no_access_without_its_schedule(backed)

        event_name = f"before-send.scheduler.{operation}"
        scheduler.meta.events.register_first(event_name, ask)
        try:
            backed.keep()
        finally:
            scheduler.meta.events.unregister(event_name, ask)
        assert asked, operation
        for _ in range(6):
            assert_no_access_without_its_schedule(backed)
            backed.round()
            backed.clock.advance(timedelta(seconds=1))
        backed.quiet()
        assert backed.state(asked[0]) is GrantState.ACTIVE
        assert who in backed.schedules()
