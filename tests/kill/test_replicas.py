"""Three bots on one PostgreSQL and one Slack app: they share the work, and two may die."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import pytest
from bot_process import until
from kill_points import ASSOCIATE, CREATE, Eks, Fate, Held
from kill_world import GIVEN, NOTHING, TAKEN, Case, World
from lives import ACTIVE, DENIED, EXPIRED, PENDING, REVOKED, SUPERSEDED

from bot.sandbox.interactions import Outcome


class PostgresqlServer(Protocol):
    """What is used here of the server that the tests start."""

    def create_migrated(self) -> str: ...
    def url_of(self, name: str) -> str: ...


@pytest.fixture
def world(postgresql: PostgresqlServer) -> Iterator[World]:
    with World(postgresql.url_of(postgresql.create_migrated())) as world:
        yield world


@dataclass(frozen=True)
class Doing:
    """Somebody about to do something."""

    case: Case
    act: str

    def do(self) -> Outcome:
        match self.act:
            case "approve":
                return self.case.approve()
            case "deny":
                return self.case.do("deny {} Not now", self.case.ben)
            case "extend":
                return self.case.do("extend {} 1h Still looking")
            case "ask for a second":
                return self.case.ask_reader("1s")
            case _:
                return self.case.ask_reader()

    def heard(self) -> int:
        """How much the store has heard of these two."""
        who = {"ana": self.case.ana.id, "ben": self.case.ben.id}
        query = "SELECT count(*) FROM inbox WHERE actor IN (:ana, :ben)"
        return int(self.case.world.scalar(query, **who))


def test_two_of_three_killed_in_the_middle_lose_nothing_and_double_nothing(world: World) -> None:
    world.start(3)
    editors = [asked_owners(world) for _ in range(4)]
    holder = world.begin()
    assert holder.ask_reader().acknowledged
    holder.wait_right(ACTIVE, writes=GIVEN)
    cards = {case.ids()[0]: case.cards(case.ids()[0]) for case in editors}
    readers = [world.begin() for _ in range(4)]
    world.set_owners(*(case.ben for case in editors))

    held: list[Held] = [
        Eks("CreateAccessEntry", Fate.LOST).lay(editors[0]),
        Eks("AssociateAccessPolicy", Fate.DONE).lay(editors[1]),
        Eks("CreateAccessEntry", Fate.DONE).lay(readers[0]),
        Eks("DeleteAccessEntry", Fate.DONE).lay(readers[2]),
        Eks("DeleteAccessEntry", Fate.LOST).lay(readers[3]),
    ]
    doing = [
        *(Doing(case, "approve") for case in editors[:3]),
        Doing(editors[3], "deny"),
        Doing(holder, "extend"),
        *(Doing(case, "ask") for case in readers[:2]),
        *(Doing(case, "ask for a second") for case in readers[2:]),
    ]
    heard = [one.heard() for one in doing]
    with ThreadPoolExecutor(len(doing)) as people:
        outcomes = [people.submit(one.do) for one in doing]
        until(lambda: all(one.reached() for one in held), world.all_logs)
        assert all(one.sent for one in world.stage.slack.sockets.connections)
        world.kill(*world.processes[:2])
        world.stage.eks.faults.clear()
    for one, outcome, before in zip(doing, outcomes, heard, strict=True):
        # Whom Slack told that it failed does it again, unless it did arrive.
        if not outcome.result().acknowledged and one.heard() == before:
            assert one.do().acknowledged

    # Where it was the third that got no answer, botocore has sent it again: EKS takes both, and
    # answers a creation that is repeated with its token as it did the first.
    again = {editors[1].principal: ASSOCIATE, readers[0].principal: CREATE}
    for case in (*editors[:3], *readers[:2]):
        case.wait_right(ACTIVE, writes=GIVEN, crosses=again.get(case.principal))
    editors[3].wait_right(DENIED, writes=NOTHING)
    holder.wait_right(SUPERSEDED, ACTIVE, writes=GIVEN)
    for case in readers[2:]:
        case.wait_right(EXPIRED, writes=TAKEN)
    assert cards == {case.ids()[0]: case.cards(case.ids()[0]) for case in editors}
    assert world.chain_findings() == []
    assert world.process.stop() == 0
    world.processes.clear()


def test_what_is_done_once_is_done_once_by_three(world: World) -> None:
    world.start(3)
    eks, slack = world.stage.eks, world.stage.slack
    cases = [world.begin() for _ in range(3)]
    for case in cases:
        assert case.ask_reader().acknowledged
    for case in cases:
        case.wait_right(ACTIVE, writes=GIVEN)

    world.scan()  # from here on none of them reads the cluster because it has just begun
    scans = len(eks.calls_of("ListAccessEntries"))
    world.scan()

    owner = cases[0].ben
    world.set_owners(owner)
    assert cases[0].do("lockdown on --revoke Stolen laptop", owner).acknowledged
    for case in cases:
        case.wait_right(REVOKED, writes=TAKEN)
        assert len(case.cards(case.ids()[0])) == 1
    told = [message.plain for message in slack.messages["C0SECURITY"]]
    assert len([one for one in told if "Standing access" in one]) == 1
    assert len([one for one in told if "Stolen laptop" in one]) == 1
    assert len(eks.calls_of("ListAccessEntries")) == scans + 1
    assert world.chain_findings() == []
    logged = [process.count_logged("applying") for process in world.processes]
    assert sum(logged) == sum(TAKEN) * len(cases), logged
    codes = [process.stop() for process in world.processes]
    assert codes == [0, 0, 0]
    world.processes.clear()


def asked_owners(world: World) -> Case:
    """Somebody whose request waits for its owner."""
    case = world.begin()
    assert case.ask_editor().acknowledged
    case.wait_right(PENDING, writes=NOTHING)
    return case
