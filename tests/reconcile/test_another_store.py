"""Access entries of this deployment that were made from another store: nobody's to take away here.

The other bot may be running, and this one's database an empty file in a wrong folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from drift_world import CLUSTER, EVERY, OURS, TOLD, DriftWorld
from entry_world import DEPLOYMENT, HOUR, LAB, MINUTE, OPEN, ROOT, VIEW, World, role
from sqlalchemy import Connection

from bot.access.adopt import adopt
from bot.aws.clients import EksClients
from bot.core.drift import Kind
from bot.core.model import EndReason, GrantState
from bot.core.planner import STORE_TAG
from bot.core.removal import AlarmTimes
from bot.reconcile.adoption import AdoptionAlarm
from bot.sandbox.eks import EksStandIn
from bot.store import audit, stores
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.stores import Strangers

THEIRS = OURS | {STORE_TAG: "another"}
STRANGE = {"named": THEIRS, "from before there were names": OURS}


@pytest.fixture
def new(database: Database, eks: EksStandIn, clients: EksClients) -> DriftWorld:
    """A store that gave no access yet."""
    return DriftWorld(World(database, eks, clients, new=True))


@pytest.fixture
def drift(world: World) -> DriftWorld:
    """A store that gave access before there were identities."""
    return DriftWorld(world)


@contextmanager
def untouched(drift: DriftWorld, who: str = "ana", cluster: str = LAB) -> Iterator[None]:
    """The entry is there and bit for bit the same at the end, and nothing was sent to change it."""
    before = drift.world.entry(who, cluster)
    assert before is not None
    yield
    after = drift.world.entry(who, cluster)
    assert after is not None, "it was taken away"
    assert asdict(after) == asdict(before)
    sent = {one.principal for one in drift.eks.writes() if one.cluster == cluster}
    assert role(who) not in sent


def strangers(drift: DriftWorld) -> Strangers | None:
    with drift.database.reading() as tx:
        return stores.strangers(tx, DEPLOYMENT)


def adopted(drift: DriftWorld, *identities: str) -> None:
    with drift.database.transaction() as tx:
        adopt(tx, DEPLOYMENT, identities, 1, by="operator", now=drift.clock())


# What a store does not take away


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("tags", STRANGE.values(), ids=STRANGE)
def test_a_new_store_takes_away_no_entry_that_another_made_and_tells_of_it_once(
    new: DriftWorld, tags: dict[str, str]
) -> None:
    new.put("ana", tags=tags, policies={ROOT: ()}, kubernetes_groups=["admins"])
    with untouched(new):
        new.scan()
        for _ in range(3):
            new.restart()
            new.next_scan()
        assert new.events() == [("another_store", "ana")]
        assert new.open() == {Kind.ANOTHER_STORE: 1}
        new.report()
    [said] = [one for one in new.said() if "Standing access" not in one]
    assert "made from another database" in said
    assert "eks-access adopt" in said
    assert ("another`" in said) is (tags == THEIRS)


def test_a_store_that_gave_access_leaves_an_entry_that_names_another(drift: DriftWorld) -> None:
    drift.world.active("view", "a", who="ben", length=2 * HOUR)
    drift.put("ana", tags=THEIRS, policies={ROOT: ()})
    drift.put("cleo", tags=OURS, policies={ROOT: ()})
    with untouched(drift):
        drift.scan()
        drift.next_scan()
    assert drift.world.entry("cleo") is None, "from before there were identities, and so its own"
    assert drift.events() == [("another_store", "ana"), ("orphan", "cleo")]
    assert strangers(drift) is None, "it knows that it is the right one"


def test_what_its_own_store_has_lost_is_taken_away_whatever_else_is_there(new: DriftWorld) -> None:
    new.put("ana", tags=THEIRS, policies={ROOT: ()})
    new.put("ben", tags=new.world.tags("000-000"), policies={ROOT: ()})
    with untouched(new):
        new.scan()
    assert new.world.entry("ben") is None


def test_it_gives_and_takes_its_own_access_beside_what_another_made(new: DriftWorld) -> None:
    new.put("ana", tags=OURS, policies={ROOT: ()})
    with untouched(new):
        new.scan()
        new.world.active("view", "a", who="ben")
        new.next_scan()
        new.clock.advance(HOUR)
        new.world.settle()
        new.next_scan()
    assert new.world.entry("ben") is None
    assert new.events() == [("another_store", "ana")]


@pytest.mark.parametrize("cluster", [LAB, OPEN], ids=["refuse", "augment"])
@pytest.mark.parametrize("tags", STRANGE.values(), ids=STRANGE)
def test_nothing_is_built_upon_an_entry_that_another_made(
    new: DriftWorld, cluster: str, tags: dict[str, str]
) -> None:
    new.put("ana", cluster, tags=tags, policies={VIEW: ["b"]})
    grant_id = new.world.ask("edit", "a", cluster=cluster)
    with untouched(new, cluster=cluster):
        new.world.settle()
        new.scan(cluster)
    grant = new.world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert grant.problem is not None
    assert "made from another database" in grant.problem


def test_an_entry_that_another_made_in_place_of_its_own_ends_its_grants(new: DriftWorld) -> None:
    grant_id = new.world.active("view", "a")
    new.clock.advance(MINUTE)
    new.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    new.put("ana", tags=THEIRS, policies={VIEW: ["a"]})
    writes = len(new.world.writes())
    new.scan()
    new.next_scan()
    assert new.world.grant(grant_id).end_reason is EndReason.REMOVED
    assert len(new.world.writes()) == writes
    assert set(new.events()) == {("another_store", "ana"), ("replaced", "ana")}


def test_where_another_was_faster_to_make_the_entry_it_is_that_ones(new: DriftWorld) -> None:
    """The bot is about to create it, and finds that it is there."""
    grant_id = new.world.ask("view", "a")
    new.eks.faults.drop("CreateAccessEntry")
    new.world.round()
    new.put("ana", tags=THEIRS, policies={ROOT: ()})
    before = new.world.writes()
    new.world.settle()
    assert new.world.grant(grant_id).end_reason is EndReason.FAILED
    assert new.world.given() == {ROOT: ()}
    assert new.world.writes() == before


def test_what_the_other_takes_away_itself_is_over(new: DriftWorld) -> None:
    new.put("ana", tags=THEIRS)
    new.scan()
    assert strangers(new) is not None
    new.eks.client("eks").delete_access_entry(clusterName=LAB, principalArn=role("ana"))
    new.next_scan()
    assert new.open() == {}
    assert strangers(new) is None


# Adopting


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_what_is_adopted_is_taken_away_as_any_entry_that_the_store_does_not_know(
    new: DriftWorld,
) -> None:
    new.put("ana", tags=THEIRS, policies={ROOT: ()})
    new.put("ben", tags=OURS, policies={ROOT: ()})
    new.put("cleo", tags=OURS | {STORE_TAG: "a third"}, policies={ROOT: ()})
    new.scan()
    adopted(new, "another", "")
    with untouched(new, "cleo"):
        new.world.settle()
        new.next_scan()
    assert new.world.entry("ana") is None
    assert new.world.entry("ben") is None
    assert new.open() == {Kind.ANOTHER_STORE: 1}
    new.put("ana", tags=THEIRS, policies={ROOT: ()})
    new.next_scan()
    assert new.world.entry("ana") is None, "also what comes to be seen later"
    with new.database.reading() as tx:
        [event] = [one for one in audit.latest(tx, 1000) if one.action == "store.adopted"]
    assert (event.actor, event.details["stores"]) == ("operator", ["", "another"])


def test_adopting_for_one_deployment_is_not_for_another(new: DriftWorld) -> None:
    with new.database.transaction() as tx:
        stores.adopt(tx, "renamed", ["another"])
    new.put("ana", tags=THEIRS)
    with untouched(new):
        new.scan()


# Whether it may be the wrong database


def test_it_stays_unsure_also_once_it_gives_access_itself(new: DriftWorld) -> None:
    new.put("ana", tags=OURS)
    new.scan()
    found = strangers(new)
    assert found == Strangers(new.clock(), 1)
    new.clock.advance(MINUTE)
    new.world.active("view", "a", who="ben", length=2 * HOUR)
    new.next_scan()
    assert strangers(new) == found
    adopted(new, "")
    new.world.settle()
    new.next_scan()
    assert strangers(new) is None
    assert new.world.given("ben") == {VIEW: ("a",)}


def test_the_alarm_comes_at_once_and_then_as_of_late_removals(new: DriftWorld) -> None:
    alarms: list[str] = []

    def alarm() -> AdoptionAlarm:
        def announce(_: Connection, key: str, *__: Any) -> bool:
            alarms.append(key)
            return True

        claims = Claims(new.database)
        return AdoptionAlarm(new.database, claims, lambda: TOLD, announce, clock=new.clock)

    first, other = alarm(), alarm()
    assert first.due() == []
    new.put("ana", tags=OURS)
    new.scan()
    began: datetime = new.clock()
    for one in (first, other):
        for number in one.due():
            one.tell(number)
        assert one.due() == []
    assert len(alarms) == 2
    assert len(set(alarms)) == 1, "under one key, which is announced once"
    told = 0
    for after in (*AlarmTimes().after, timedelta(minutes=90)):
        new.clock.advance(began + after - new.clock() - timedelta(seconds=1))
        assert first.due() == []
        new.clock.advance(1)
        for number in first.due():
            first.tell(number)
            told += 1
    assert told == len(AlarmTimes().after) + 1
    assert len(set(alarms)) == 1 + told
    first.forget()
    assert first.due() != []


def test_the_identity_is_made_once_and_goes_into_every_entry(new: DriftWorld) -> None:
    before = new.world.identity
    assert before
    grant_id = new.world.active("view", "a")
    new.restart()
    new.scan()
    entry = new.world.entry()
    assert entry is not None
    assert entry.tags == new.world.tags(grant_id)
    assert new.world.identity == before
    assert CLUSTER.name == LAB
    assert EVERY
