"""A store that goes back to an earlier state under a running bot gives nothing anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from entry_world import DOCUMENT, HOUR, LAB, MINUTE, POLICY, VIEW, World
from message_world import MessageWorld
from points import TRANSACTION, watched
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from bot.core.audit_chain import Head
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import AuditEvent, EndReason, GrantState
from bot.core.policy import Policy
from bot.reconcile.access import AccessReconciler
from bot.reconcile.audit import AuditSealer
from bot.reconcile.memory import NOT_GIVEN, StoreMemory
from bot.store import audit, audit_seals, grants, inbox
from bot.store.claims import Claims
from bot.store.inbox import ItemState, Kind
from bot.store.newest import WENT_BACK
from tests.store_set_back import SetBack

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
SECOND = timedelta(seconds=1)


class Running:
    """The bot with `drift: {repair: true}`, on a store that can be set back under it."""

    def __init__(self, world: World, store: SetBack) -> None:
        self.world = world
        self.store = store
        self.announced: list[tuple[str, ...]] = []
        self.memory = self.fresh_memory()
        world.bot = self.with_memory(self.memory)
        world.clock.advance(MINUTE)

    def fresh_memory(self, anchored: Callable[[Head], Head | None] = lambda _: None) -> StoreMemory:
        return StoreMemory(
            self.world.database, clock=self.world.clock, announce=self._told, anchored=anchored
        )

    def with_memory(self, memory: StoreMemory) -> AccessReconciler:
        return AccessReconciler(
            self.world.database,
            self.world.clients,
            Claims(self.world.database),
            clock=self.world.clock,
            repair=lambda: True,
            memory=memory,
        )

    def _told(self, _: Connection, key: str, ended: tuple[str, ...], now: datetime) -> None:
        assert key
        assert now == self.world.clock()
        self.announced.append(ended)

    def shown(self, grant_id: str) -> None:
        """A look shows the access, a while after it was given."""
        self.world.clock.advance(MINUTE)
        self.world.look_again(grant_id)

    def revoked(self, grant_id: str) -> None:
        self.world.revoke(grant_id)
        self.world.settle()
        assert self.world.entry() is None

    def rounds(self) -> None:
        for _ in range(4):
            self.world.round()
            self.world.clock.advance(SECOND)

    def told(self) -> list[str]:
        with self.world.database.reading() as tx:
            return [one.action for one in audit.latest(tx, 100) if one.action == WENT_BACK]


NO_EVENT_COMMITS = (
    "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'not now'; END $$",
    "CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON audit_events "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fails()",
)
"""PostgreSQL takes what records an event, and refuses it at the commit."""


@pytest.fixture
def running(
    make_world: Callable[[Policy], World],
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Running:
    store = SetBack(database_url, lambda: request.getfixturevalue("postgresql"), tmp_path)
    return Running(make_world(Policy.model_validate(DOCUMENT)), store)


@BOTH
def test_what_was_revoked_is_not_given_anew(running: Running) -> None:
    world = running.world
    grant_id = world.active("view", "a")
    running.shown(grant_id)
    running.store.keep()
    running.revoked(grant_id)

    running.store.go_back()
    before = len(world.writes())
    running.shown(grant_id)
    assert world.writes()[before:] == []
    ended = world.grant(grant_id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.REMOVED)
    assert running.told() == [WENT_BACK]
    assert running.announced == [()]
    assert running.memory.epoch == 1


@BOTH
def test_nor_what_was_given_a_moment_before(running: Running) -> None:
    """EKS may not show it yet, and so it was made anew without a word."""
    world = running.world
    grant_id = world.active("view", "a")
    running.store.keep()
    running.revoked(grant_id)
    running.store.go_back()
    before = len(world.writes())
    world.look_again(grant_id)
    running.rounds()
    assert "CreateAccessEntry" not in world.writes()[before:]
    assert world.entry() is None
    assert world.grant(grant_id).end_reason is EndReason.REMOVED


@BOTH
def test_what_was_approved_and_not_given_yet_ends(running: Running) -> None:
    world = running.world
    grant_id = world.ask("view", "a")
    running.store.keep()
    world.settle()
    running.revoked(grant_id)
    running.store.go_back()
    before = len(world.writes())
    running.rounds()
    assert world.writes()[before:] == []
    ended = world.grant(grant_id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.FAILED)
    assert ended.problem == NOT_GIVEN
    assert running.announced == [(grant_id,)]


@BOTH
def test_what_was_revoked_before_it_was_given_is_not_given_either(running: Running) -> None:
    """Nothing had to be removed from EKS, and nothing had looked at the store since."""
    world = running.world
    world.round()  # the first one looks at the store before anything else
    grant_id = world.ask("view", "a")
    running.store.keep()
    world.revoke(grant_id)
    world.round()
    assert world.state(grant_id) is GrantState.ENDED
    running.store.go_back()
    running.rounds()
    assert "CreateAccessEntry" not in world.writes()
    assert world.grant(grant_id).end_reason is EndReason.FAILED


@BOTH
def test_what_was_revoked_while_a_round_was_under_way_is_not_given_either(running: Running) -> None:
    world = running.world
    world.round()
    grant_id = world.ask("view", "a")
    running.store.keep()
    client = world.clients.for_cluster(POLICY.clusters_by_name[LAB])
    with watched(world.database, client) as points:
        points.at("DescribeAccessEntry", lambda: world.revoke(grant_id))
        world.round()
    assert world.state(grant_id) is GrantState.ENDED
    running.store.go_back()
    running.rounds()
    assert "CreateAccessEntry" not in world.writes()
    assert world.grant(grant_id).end_reason is EndReason.FAILED


def test_what_was_approved_and_lost_while_a_round_was_under_way_is_not_given(
    running: Running,
) -> None:
    """The round had planned it; nothing else had looked at the store since."""
    world = running.world
    world.round()  # the first one does more
    client = world.clients.for_cluster(POLICY.clusters_by_name[LAB])
    world.ask("view", "a", who="ben")
    with watched(world.database, client) as points:
        world.round()
    intends = points.passed.index("CreateAccessEntry") - 1
    assert points.passed[intends] == TRANSACTION
    running.memory.look()
    running.store.keep()
    world.ask("view", "a")
    before = len(world.writes())
    with watched(world.database, client) as points:
        points.at(intends, running.store.go_back)
        world.round()
    assert points.passed[-1] == TRANSACTION
    assert len(points.passed) > intends
    assert world.writes()[before:] == []
    assert running.told() == [WENT_BACK]


@BOTH
def test_a_return_is_remembered_though_eks_did_not_answer(running: Running) -> None:
    """Its card said that the access goes, and nothing but the process knows that now."""
    world = running.world
    grant_id = world.active("view", "a")
    running.memory.look()
    running.store.keep()
    world.give_back(grant_id)
    world.eks.faults.server_error("DescribeAccessEntry")
    world.round()
    assert world.state(grant_id) is GrantState.REVOKING
    running.store.go_back()
    running.memory.look()
    assert running.told() == [WENT_BACK]


@BOTH
def test_what_a_card_shows_is_remembered(
    messages: MessageWorld, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing at EKS changes, and nothing had looked at the store since it was denied."""
    store = SetBack(database_url, lambda: request.getfixturevalue("postgresql"), tmp_path)
    memory = StoreMemory(messages.desk.database, clock=messages.clock)
    messages.loop = messages.fresh_loop(note=memory.note)
    asked = messages.desk.ask()
    messages.settle()
    memory.look()
    store.keep()
    messages.desk.deny(asked.id)
    messages.settle()
    assert "DENIED" in messages.card().plain
    store.go_back()
    memory.look()
    messages.settle()
    assert "DENIED" not in messages.card().plain


@BOTH
def test_what_a_store_has_lost_is_not_forgotten_for_what_is_newer(running: Running) -> None:
    """It has grown past what was lost before anything looks at it again."""
    world = running.world
    running.store.keep()
    world.ask("view", "a")
    with world.database.reading() as tx:
        running.memory.note(tx)
    running.store.go_back()
    with world.database.transaction() as tx:
        other = [AuditEvent(world.clock(), "operator", "grant.looked_at") for _ in range(20)]
        audit.record(tx, other)
    with world.database.reading() as tx:
        running.memory.note(tx)
    running.memory.look()
    assert running.told() == [WENT_BACK]


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_what_is_rolled_back_was_never_there(running: Running) -> None:
    """A round writes that access has ended, and the store does not take it."""
    world = running.world
    grant_id = world.active("view", "a")
    running.memory.look()
    world.clock.advance(2 * HOUR)
    with world.database.transaction() as tx:
        for statement in NO_EVENT_COMMITS:
            tx.execute(text(statement))
    with pytest.raises(ProgrammingError):
        world.round()
    assert world.state(grant_id) is GrantState.ACTIVE
    running.memory.look()
    assert running.told() == []
    assert running.memory.epoch == 0


def test_what_waits_for_its_time_ends_too(running: Running) -> None:
    world = running.world
    grant_id = world.ask("view", "a")
    with world.database.transaction() as tx:
        tx.execute(
            text("UPDATE grants SET state = 'SCHEDULED', starts_at = :at, provision_by = :at"),
            {"at": "2099-01-01 00:00:00.000000"},
        )
    running.memory.look()
    running.store.keep()
    other = world.ask("view", who="ben")
    world.revoke(other)
    running.memory.look()
    running.store.go_back()
    running.memory.look()
    assert world.grant(grant_id).end_reason is EndReason.FAILED


GIVING = [(Kind.REQUEST, False), (Kind.APPROVE, False), (Kind.LOCKDOWN, False)]
TAKING = [(Kind.REVOKE, False), (Kind.RETURN, False), (Kind.LOCKDOWN, True)]


@BOTH
def test_what_people_sent_is_not_carried_out_twice_and_what_takes_away_is(running: Running) -> None:
    world = running.world
    with world.database.transaction() as tx:
        items = [
            inbox.add(
                tx,
                kind,
                actor="U1",
                team_id=None,
                document={"on": on},
                response_url=None,
                now=world.clock(),
            )
            for kind, on in GIVING + TAKING
        ]
    running.store.keep()
    world.ask("view", "a")
    running.memory.look()
    running.store.go_back()
    running.memory.look()
    with world.database.reading() as tx:
        states = [inbox.get(tx, one).state for one in items]
        answer = inbox.get(tx, items[0]).answer
    assert states == [ItemState.ANSWERING] * len(GIVING) + [ItemState.NEW] * len(TAKING)
    assert answer is not None
    assert "went back to an earlier state" in answer["text"]
    assert answer["good"] is False


@BOTH
def test_sessions_that_end_while_nothing_is_lost_change_nothing(running: Running) -> None:
    world = running.world
    grant_id = world.active("view", "a")
    running.shown(grant_id)
    running.store.keep()
    entry = world.entry()
    assert entry is not None
    world.eks.client("eks").delete_access_entry(clusterName="lab", principalArn=entry.principal_arn)
    running.shown(grant_id)
    assert world.given() == {VIEW: ("a",)}
    assert running.memory.epoch == 0
    assert running.told() == []


@BOTH
def test_replicas_forget_each_for_itself_and_end_once(running: Running) -> None:
    world = running.world
    other = running.fresh_memory()
    other.look()
    running.store.keep()
    world.clock.advance(SECOND)
    grant_id = world.active("view", "a")
    other.look()
    running.memory.look()
    running.store.go_back()
    world.clock.advance(SECOND)
    running.memory.look()
    later = world.ask("view", "b", who="ben")
    other.look()
    assert (running.memory.epoch, other.epoch) == (1, 1)
    assert running.told() == [WENT_BACK]
    assert world.state(later) is GrantState.PROVISIONING
    with world.database.reading() as tx:
        assert grants.find(tx, grant_id) is None


@BOTH
def test_a_replica_that_had_not_looked_since_forgets_once_another_says_so(
    running: Running,
) -> None:
    world = running.world
    world.active("view", "a")
    running.store.keep()
    other = running.fresh_memory()
    forgotten: list[str] = []
    other.forgets.append(lambda: forgotten.append("all"))
    other.look()
    world.ask("view", "b", who="ben")
    running.memory.look()
    running.store.go_back()
    running.memory.look()
    other.look()
    assert forgotten == ["all"]
    assert other.epoch == 1
    assert running.told() == [WENT_BACK]
    for memory in (running.memory, other):
        memory.look()
        assert memory.epoch == 1


@BOTH
def test_a_store_that_has_grown_since_is_found_by_what_it_has_instead(running: Running) -> None:
    world = running.world
    running.store.keep()
    world.active("view", "a")
    running.memory.look()
    running.store.go_back()
    with world.database.transaction() as tx:
        other = [AuditEvent(world.clock(), "operator", "grant.looked_at") for _ in range(20)]
        audit.record(tx, other)
    running.memory.look()
    assert running.memory.epoch == 1


@BOTH
def test_it_is_found_once(running: Running) -> None:
    world = running.world
    running.store.keep()
    world.active("view", "a")
    running.memory.look()
    running.store.go_back()
    for _ in range(3):
        running.memory.look()
    assert running.told() == [WENT_BACK]
    grant_id = world.active("view", "a")
    assert world.given() == {VIEW: ("a",)}
    assert world.state(grant_id) is GrantState.ACTIVE


# A bot that has just started remembers nothing


def head_of(running: Running) -> Head:
    sealer = AuditSealer(
        running.world.database, Claims(running.world.database), clock=running.world.clock
    )
    sealer.seal()
    with running.world.database.reading() as tx:
        return audit_seals.head(tx)


@BOTH
def test_a_bot_that_starts_asks_the_anchors_and_finds_it_once(running: Running) -> None:
    world = running.world
    grant_id = world.ask("view", "a")
    running.store.keep()
    world.settle()
    running.revoked(grant_id)
    anchored = head_of(running)
    running.store.go_back()
    started = running.fresh_memory(lambda _: anchored)
    started.look()
    assert started.epoch == 1
    assert world.grant(grant_id).end_reason is EndReason.FAILED
    again = running.fresh_memory(lambda _: anchored)
    again.look()
    assert again.epoch == 0
    assert running.told() == [WENT_BACK]


def test_anchors_that_agree_or_do_not_answer_stop_nothing(running: Running) -> None:
    running.world.active("view", "a")
    anchored = head_of(running)

    def mute(_: Head) -> Head | None:
        raise TemporaryAwsProblem("anchor_bucket", "S3 does not answer.")

    for known in (lambda _: anchored, mute):
        started = running.fresh_memory(known)
        started.look()
        assert started.epoch == 0


@BOTH
def test_where_the_memory_fails_access_is_taken_away_and_none_is_given(running: Running) -> None:
    """As where an anchor is at a position that no database can hold."""
    world = running.world
    live = world.active("view", "a")
    world.bot = running.with_memory(running.fresh_memory(lambda _: Head(10**30, "ab" * 32)))
    world.give_back(live)
    running.rounds()
    assert world.state(live) is GrantState.ENDED
    asked = world.ask("view", "a")
    running.rounds()
    assert world.state(asked) is GrantState.PROVISIONING
    assert world.entry() is None


@BOTH
def test_what_another_thread_does_while_the_store_is_read_is_no_store_that_went_back(
    running: Running,
) -> None:
    """What is read is as of the first look, and what is noted meanwhile may be newer."""

    def meanwhile(_: Head) -> None:
        database = running.world.database
        running.world.ask("view", "a", who="ben")
        with database.reading() as tx:
            memory.note(tx)

    memory = running.fresh_memory(anchored=meanwhile)
    memory.look()
    memory.look()
    assert memory.epoch == 0
    assert running.told() == []
