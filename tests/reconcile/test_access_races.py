"""What happens while a round is under way, and rounds beside each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any, Protocol

import pytest
from entry_world import (
    EDIT,
    HOUR,
    LAB,
    POLICY,
    TERRAFORM,
    VIEW,
    World,
    role,
)
from points import watched
from sqlalchemy import Connection, event

from bot.access import end, suspension
from bot.core.errors import StoreUnavailable
from bot.core.lifecycle import OPERATOR
from bot.core.model import EndReason, GrantState
from bot.reconcile.access import AccessReconciler
from bot.store import grants, suspensions
from bot.store.database import Database

POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"])
VIEW_ARN = f"arn:aws:eks::aws:cluster-access-policy/{VIEW}"


class PostgresqlServer(Protocol):
    """What is used here of the server that the tests start."""

    def execute(self, *statements: str) -> None: ...


def entry_of(world: World, grant_id: str) -> int:
    with world.database.reading() as tx:
        entry_id = grants.entry_of(tx, grant_id)
    assert entry_id is not None
    return entry_id


def interrupted(
    world: World, prepare: Callable[[str], str], act: Callable[[str, str], object]
) -> Iterator[tuple[str, str]]:
    """Play a round once for each of its points, each time for somebody else; `act` comes between.

    Gives the person and their grant after each such round.
    """
    client = world.clients.for_cluster(POLICY.clusters_by_name[LAB])
    for number in range(100):
        who = f"ana{number}"
        grant_id = prepare(who)
        entry_id = entry_of(world, grant_id)
        with watched(world.database, client) as points:
            points.at(number, lambda who=who, grant_id=grant_id: act(who, grant_id))
            world.bot.reconcile(entry_id)
        if number >= len(points.passed):
            assert number >= 6, "a round has more points than that"
            return
        yield who, grant_id
    raise AssertionError("a round does not have so many points")


# Somebody acts in the middle of a round


def beside_other_access(world: World, who: str) -> str:
    world.ask("view", "b", who=who, length=3 * HOUR)
    return world.active("view", "a", who=who)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda world, who: world.ask("view", "a", who=who),
        lambda world, who: world.active("view", "a", who=who),
        beside_other_access,
    ],
    ids=["being given", "given", "beside other access"],
)
def test_access_returned_at_any_point_of_a_round_is_called_ended_only_once_it_is_gone(
    world: World, prepare: Callable[[World, str], str]
) -> None:
    def returned(_: str, grant_id: str) -> None:
        world.give_back(grant_id)

    for who, grant_id in interrupted(world, lambda who: prepare(world, who), returned):
        if world.state(grant_id) is GrantState.ENDED:
            assert "a" not in (world.given(who) or {}).get(VIEW, ())
        world.settle()
        assert world.state(grant_id) is GrantState.ENDED
        world.assert_union(who)


def test_access_asked_for_at_any_point_of_the_removal_of_other_access_is_given(
    world: World,
) -> None:
    def ending(who: str) -> str:
        grant_id = world.active("view", "a", who=who)
        world.give_back(grant_id)
        return grant_id

    def asked(who: str, _: str) -> None:
        world.ask("view", "b", who=who)

    for who, grant_id in interrupted(world, ending, asked):
        world.settle()
        assert world.state(grant_id) is GrantState.ENDED
        assert world.given(who) == {VIEW: ("b",)}
        world.assert_union(who)


def test_an_entry_that_somebody_makes_at_any_point_before_ours_is_theirs(world: World) -> None:
    ours, theirs = 0, 0

    def somebody_makes_it(who: str, _: str) -> None:
        with contextlib.suppress(Exception):  # ours is there already
            world.eks.put_entry(LAB, role(who), tags=TERRAFORM, policies={VIEW: ["a"]})

    for who, grant_id in interrupted(
        world, lambda who: world.ask("view", "a", who=who), somebody_makes_it
    ):
        entry = world.entry(who)
        assert entry is not None
        if entry.tags != TERRAFORM:
            ours += 1
            world.settle()
            continue
        theirs += 1
        with world.untouched(who):
            world.settle()
        grant = world.grant(grant_id)
        assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.FAILED)
        assert "grant.confirmed" not in world.actions(grant_id)
    assert ours
    assert theirs >= 5


def test_what_somebody_adds_to_our_entry_at_any_point_of_a_round_stays(world: World) -> None:
    """Between the look and the deletion nobody can know: that gap is EKS's, and the shortest."""
    eks = world.eks.client("eks")

    def ending(who: str) -> str:
        world.ask("edit", "a", who=who, length=3 * HOUR)
        grant_id = world.active("view", "a", who=who)
        world.give_back(grant_id)
        return grant_id

    def somebody_adds(who: str, _: str) -> None:
        eks.associate_access_policy(
            clusterName=LAB,
            principalArn=role(who),
            policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminViewPolicy",
            accessScope={"type": "cluster"},
        )

    for who, _ in interrupted(world, ending, somebody_adds):
        world.settle()
        assert world.given(who) == {EDIT: ("a",), "AmazonEKSAdminViewPolicy": ()}


# Several replicas


@pytest.fixture
def replica(database_url: str, world: World) -> Iterator[AccessReconciler]:
    """The loop of another process on the same store."""
    with contextlib.closing(Database(database_url)) as database:
        yield world.fresh_bot(database)


@POSTGRESQL
def test_one_replica_works_and_the_other_leaves_it(world: World, replica: AccessReconciler) -> None:
    grant_id = world.ask("view", "a")
    entry_id = entry_of(world, grant_id)
    entered: list[str] = []

    def other(call: Any) -> None:
        entered.append(call.operation)
        replica.reconcile(entry_id)

    stop = world.eks.subscribe(other)
    world.round()
    stop()
    assert [call.operation for call in world.eks.calls] == entered
    assert world.writes() == ["CreateAccessEntry", "AssociateAccessPolicy"]
    assert world.state(grant_id) is GrantState.ACTIVE
    assert world.actions(grant_id).count("grant.confirmed") == 1


@POSTGRESQL
def test_what_one_replica_left_the_other_takes_up(world: World, replica: AccessReconciler) -> None:
    grant_id = world.ask("view", "a")
    world.eks.faults.server_error("AssociateAccessPolicy")
    world.round()
    world.clock.advance(HOUR / 60)
    world.round(replica)
    assert world.state(grant_id) is GrantState.ACTIVE
    world.assert_union()


@POSTGRESQL
def test_many_replicas_at_once_do_everything_once(world: World, replica: AccessReconciler) -> None:
    people = [f"ana{number}" for number in range(6)]
    ids = [world.ask("view", "a", who=who) for who in people]
    entry_ids = [entry_of(world, grant_id) for grant_id in ids]
    loops = [world.bot, replica, world.fresh_bot()]
    with ThreadPoolExecutor(12) as threads:
        work = [
            threads.submit(loop.reconcile, entry_id) for entry_id in entry_ids for loop in loops
        ]
        for one in work:
            one.result()
    assert sorted(world.writes()) == ["AssociateAccessPolicy"] * 6 + ["CreateAccessEntry"] * 6
    assert {world.state(one) for one in ids} == {GrantState.ACTIVE}
    for grant_id in ids:
        assert world.actions(grant_id).count("grant.confirmed") == 1


@POSTGRESQL
def test_a_replica_that_lost_its_claim_makes_no_further_change(
    world: World, postgresql: PostgresqlServer
) -> None:
    """Its session is gone, so another may have begun: it stops before its next call."""
    grant_id = world.ask("view", "a")
    cut: list[str] = []

    def cut_the_claim(call: Any) -> None:
        if call.operation == "CreateAccessEntry" and not cut:
            cut.append(call.operation)
            postgresql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )

    stop = world.eks.subscribe(cut_the_claim)
    world.round()
    stop()
    assert cut
    assert world.writes() == ["CreateAccessEntry"]
    assert world.state(grant_id) is GrantState.PROVISIONING
    world.settle()
    world.assert_union()


@POSTGRESQL
@pytest.mark.parametrize("number", range(5))
def test_a_database_that_goes_away_at_any_call_leaves_nothing_half_done(
    world: World, postgresql: PostgresqlServer, number: int
) -> None:
    grant_id = world.ask("view", "a")
    calls: list[str] = []

    def cut(call: Any) -> None:
        calls.append(call.operation)
        if len(calls) - 1 == number:
            postgresql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
            )

    stop = world.eks.subscribe(cut)
    with contextlib.suppress(StoreUnavailable):
        world.round()
    stop()
    assert len(calls) > number
    world.settle()
    assert world.state(grant_id) is GrantState.ACTIVE
    world.assert_union()
    world.give_back(grant_id)
    world.settle()
    assert world.entry() is None


@POSTGRESQL
def test_a_return_and_a_round_at_the_same_moment_do_not_block_each_other(
    world: World, database_url: str
) -> None:
    """Both change the request and its grant; whoever comes second waits, and is told the truth."""
    grant_id = world.ask("view", "a")
    locked, outcome = Event(), []

    def give_back() -> None:
        with contextlib.closing(Database(database_url)) as other:
            event.listen(other.engine, "after_cursor_execute", on_lock)
            try:
                with other.transaction() as tx:
                    end.give_back(tx, grant_id, "UANA", world.clock())
                outcome.append("returned")
            except StoreUnavailable as error:
                outcome.append(str(error.__cause__))
            locked.set()

    def on_lock(_: object, __: object, statement: str, *___: object) -> None:
        if "FOR UPDATE" in statement:
            locked.set()

    person = Thread(target=give_back)

    def before(_: Connection, __: object, statement: str, *___: object) -> None:
        if statement.startswith("UPDATE requests") and not person.ident:
            person.start()
            assert locked.wait(10)

    event.listen(world.database.engine, "before_cursor_execute", before)
    world.round()
    event.remove(world.database.engine, "before_cursor_execute", before)
    person.join(10)
    assert outcome == ["returned"]
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.RETURNED
    assert world.entry() is None


# The last look before EKS is asked to give


def _suspended(world: World, who: str, grant_id: str) -> None:
    del grant_id
    with world.database.transaction() as tx:
        suspension.begin(tx, f"U{who.upper()}", by=OPERATOR, reason="INC-77", now=world.clock())


def _revoked(world: World, who: str, grant_id: str) -> None:
    del who
    world.revoke(grant_id)


@pytest.mark.parametrize("ends", [_suspended, _revoked])
def test_eks_is_not_asked_to_give_what_was_ended_since_the_plan(
    world: World, ends: Callable[[World, str, str], None]
) -> None:
    client = world.clients.for_cluster(POLICY.clusters_by_name[LAB])
    before = world.ask(who="ben")
    with watched(world.database, client) as points:
        world.bot.reconcile(entry_of(world, before))
    last = points.passed.index("CreateAccessEntry") - 1
    grant_id = world.ask(who="ana")
    with watched(world.database, client) as points:
        points.at(last, lambda: ends(world, "ana", grant_id))
        world.bot.reconcile(entry_of(world, grant_id))
    assert "CreateAccessEntry" not in points.passed
    world.settle()
    grant = world.grant(grant_id)
    assert (grant.state, grant.confirmed_at) == (GrantState.ENDED, None)


def test_whoever_is_suspended_keeps_nothing_whatever_gave_it(world: World) -> None:
    grant_id = world.active("view", "a", who="ana")
    with world.database.transaction() as tx:
        suspensions.begin(tx, "UANA", by=OPERATOR, reason="INC-77", now=world.clock())
    world.bot.reconcile(entry_of(world, grant_id))
    world.settle()
    assert world.grant(grant_id).end_reason is EndReason.REVOKED
    assert world.entry(role("ana")) is None
