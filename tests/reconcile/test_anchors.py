"""The audit chain's head is written down outside of the database, at intervals and at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.core.audit_anchors import anchors_in, line
from bot.core.audit_chain import Head
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import AuditEvent
from bot.core.policy import Policy
from bot.policy_file import check_policy
from bot.reconcile.anchors import BUCKET_EVERY, CHANNEL_EVERY, LOG_EVERY, Anchors
from bot.reconcile.audit import AuditSealer
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.stage import sandbox_policy
from bot.store import audit, audit_seals, tables
from bot.store.claims import Claims
from bot.store.database import Database

SECOND = timedelta(seconds=1)


@dataclass
class Safe:
    """A bucket in memory, that refuses while `shut`."""

    held: list[tuple[str, Head]] = field(default_factory=list)
    shut: bool = False

    def put(self, deployment: str, head: Head, now: datetime) -> None:
        assert now.tzinfo is UTC
        if self.shut:
            raise TemporaryAwsProblem("anchor_bucket", "The bucket is shut.")
        self.held.append((deployment, head))


class Trail:
    """A store whose audit trail grows, and what is told of it."""

    def __init__(self, database: Database) -> None:
        policy, findings = check_policy(sandbox_policy(), "policy.yaml")
        assert policy is not None, findings
        self.policy: Policy | None = policy
        self.database = database
        self.clock = HandClock()
        self.safe = Safe()
        self.logged: list[dict] = []
        self.sealer = AuditSealer(database, Claims(database), clock=self.clock)
        self.anchors = self.replica()

    def replica(self) -> Anchors:
        return Anchors(self.database, lambda: self.policy, self.safe, clock=self.clock)

    def grow(self) -> Head:
        """Record and seal an event. Returns the head."""
        with self.database.transaction() as tx:
            audit.record(tx, [AuditEvent(self.clock(), "bot", "policy.loaded")])
        self.sealer.seal()
        with self.database.reading() as tx:
            return audit_seals.head(tx)

    def look(self, after: timedelta = timedelta(), anchors: Anchors | None = None) -> None:
        self.clock.advance(after)
        with capture_logs() as logged:
            (anchors or self.anchors).look()
        self.logged += logged

    def lines(self) -> list[tuple[str, int, str]]:
        """What the log says of the head."""
        return [
            (one["deployment"], one["position"], one["hash"])
            for one in self.logged
            if one["event"] == "audit head"
        ]

    def announced(self) -> list[tuple[str, str]]:
        with self.database.reading() as tx:
            columns = tables.announcements.c
            query = select(columns.channel, columns.text).order_by(columns.id)
            return [tuple(row) for row in tx.execute(query)]


@pytest.fixture
def trail(database: Database) -> Trail:
    return Trail(database)


def test_the_head_is_logged_at_once_and_then_each_minute_if_it_moved(trail: Trail) -> None:
    trail.look()
    assert trail.lines() == [], "there is no head yet"
    first = trail.grow()
    trail.look()
    assert trail.lines() == [("sandbox", *first)]
    trail.look(LOG_EVERY)
    assert len(trail.lines()) == 1, "it has not moved"
    trail.grow()
    second = trail.grow()
    trail.look()
    trail.look(LOG_EVERY)
    assert trail.lines() == [("sandbox", *first), ("sandbox", *second)]


def test_a_head_that_moves_often_is_logged_once_a_minute(trail: Trail) -> None:
    for _ in range(12):
        trail.grow()
        trail.look(10 * SECOND)
    assert [position for _, position, _ in trail.lines()] == [1, 7]


def test_the_bucket_is_told_every_five_minutes(trail: Trail) -> None:
    first = trail.grow()
    trail.look()
    second = trail.grow()
    trail.look(BUCKET_EVERY - SECOND)
    assert trail.safe.held == [("sandbox", first)]
    trail.look(SECOND)
    assert trail.safe.held == [("sandbox", first), ("sandbox", second)]


def test_a_bucket_that_refuses_is_told_again_and_the_log_says_so(trail: Trail) -> None:
    head = trail.grow()
    trail.safe.shut = True
    trail.look()
    (error,) = [one for one in trail.logged if one["log_level"] == "error"]
    assert (error["event"], error["problem"]) == (
        "the audit head was not anchored",
        "The bucket is shut.",
    )
    trail.safe.shut = False
    trail.look(BUCKET_EVERY)
    assert trail.safe.held == [("sandbox", head)]


def test_at_the_end_what_moved_is_told_at_once(trail: Trail) -> None:
    trail.grow()
    trail.look()
    head = trail.grow()
    with capture_logs() as logged:
        trail.anchors.finish()
        trail.anchors.finish()
    assert [one["hash"] for one in logged] == [head.hash]
    assert trail.safe.held[-1] == ("sandbox", head)
    assert len(trail.safe.held) == 2


def test_the_audit_channel_is_told_each_hour_in_which_the_head_moved(trail: Trail) -> None:
    first = trail.grow()
    trail.look()
    trail.look(CHANNEL_EVERY - SECOND)
    assert trail.announced() == []
    trail.look(SECOND)
    assert trail.policy is not None
    channel = trail.policy.audit_channel
    assert trail.announced() == [(channel, line(first, "sandbox"))]
    trail.look(2 * CHANNEL_EVERY)
    assert len(trail.announced()) == 1, "it has not moved"
    trail.grow()
    second = trail.grow()
    trail.look()
    assert trail.announced()[1:] == [(channel, line(second, "sandbox"))]
    trail.grow()
    trail.look(CHANNEL_EVERY - SECOND)
    assert len(trail.announced()) == 2


def test_replicas_announce_a_head_once(trail: Trail) -> None:
    trail.grow()
    others = [trail.replica() for _ in range(3)]
    trail.look(CHANNEL_EVERY)
    for other in others:
        trail.look(anchors=other)
    assert len(trail.announced()) == 1


def test_what_is_announced_and_logged_is_read_as_an_anchor(trail: Trail) -> None:
    head = trail.grow()
    trail.look(CHANNEL_EVERY)
    ((_, text),) = trail.announced()
    (anchor,) = anchors_in([text], "Slack")
    assert (anchor.position, anchor.hash, anchor.deployment) == (*head, "sandbox")


def test_a_clock_that_went_back_does_not_keep_the_head_from_being_told(trail: Trail) -> None:
    trail.grow()
    trail.look()
    head = trail.grow()
    trail.look(-timedelta(days=1))
    assert trail.lines()[-1] == ("sandbox", *head)


def test_a_policy_that_breaks_later_does_not_end_the_anchors_and_none_at_all_makes_none(
    trail: Trail,
) -> None:
    policy, trail.policy = trail.policy, None
    trail.grow()
    trail.look(CHANNEL_EVERY)
    assert (trail.lines(), trail.announced(), trail.safe.held) == ([], [], [])
    trail.policy = policy
    trail.look()
    trail.policy = None
    head = trail.grow()
    trail.look(BUCKET_EVERY)
    assert trail.lines()[-1] == ("sandbox", *head)
    assert trail.safe.held[-1] == ("sandbox", head)
