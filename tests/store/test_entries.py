"""Access entries: when to look at them next, and what the bot put there."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from entry_model import DEPLOYMENT, MemoryKeeper, World
from entry_stories import TOLD, Step, lags, stories, tell
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from race import race
from sqlalchemy import Connection
from store_examples import HOUR, LAB, MINUTE, NOW, ROLE, SECOND

from bot.core.model import AccessScope, Cluster, Standing
from bot.core.planner import (
    Action,
    Associate,
    CreateEntry,
    DeleteEntry,
    Disassociate,
    EntryRecord,
    ObservedEntry,
    SetGroups,
)
from bot.store import entries
from bot.store.database import Database


def wish(
    tx: Connection,
    *,
    cluster: Cluster = LAB,
    principal: str = ROLE,
    deployment: str = "acme-test",
    now: datetime = NOW,
) -> int:
    return entries.wish(tx, cluster, principal, deployment=deployment, now=now)


# What to look at


def test_a_wish_makes_the_entry_and_makes_it_due_at_once(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx)
        assert entries.due(tx, NOW - SECOND, 10) == []
        assert entries.due(tx, NOW, 10) == [entry_id]
        entry = entries.get(tx, entry_id, NOW)
    assert (entry.id, entry.cluster, entry.principal_arn) == (entry_id, LAB, ROLE)
    assert (entry.owner.deployment, entry.attempts, entry.problem) == ("acme-test", 0, None)
    assert entry.record == EntryRecord()


def test_there_is_one_entry_for_each_cluster_and_principal(database: Database) -> None:
    with database.transaction() as tx:
        first = wish(tx)
        assert wish(tx) == first
        others = {
            wish(tx, cluster=replace(LAB, name="prod-eu")),
            wish(tx, cluster=replace(LAB, region="eu-central-1")),
            wish(tx, cluster=replace(LAB, account="444455556666")),
            wish(tx, principal=ROLE + "-2"),
        }
    assert len(others - {first}) == 4


def test_two_first_wishes_at_once_share_the_entry(database: Database) -> None:
    results = race(database, wish, wish, wish)
    assert len(set(results)) == 1
    assert isinstance(results[0], int)


def test_the_newest_wish_knows_how_to_reach_the_cluster(database: Database) -> None:
    moved = replace(LAB, assume_role="arn:aws:iam::1:role/bot", standing=Standing.AUGMENT)
    with database.transaction() as tx:
        entry_id = wish(tx)
        wish(tx, cluster=moved)
        assert entries.get(tx, entry_id, NOW).cluster == moved


def test_an_entry_keeps_the_deployment_under_which_it_was_made(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx, deployment="old")
        wish(tx, deployment="new")
        assert entries.get(tx, entry_id, NOW).owner.deployment == "new"
        entries.intend_creation(tx, entry_id, frozenset(), NOW)
        wish(tx, deployment="newer")
        assert entries.get(tx, entry_id, NOW).owner.deployment == "new"
        entries.reset(tx, entry_id)
        wish(tx, deployment="newer")
        assert entries.get(tx, entry_id, NOW).owner.deployment == "newer"


def test_entries_are_due_in_the_order_of_their_times(database: Database) -> None:
    with database.transaction() as tx:
        later, sooner, never = (
            wish(tx, principal=f"{ROLE}-{number}", now=NOW + number * MINUTE)
            for number in (3, 1, 2)
        )
        entries.rest(tx, entries.get(tx, never, NOW), None, attempts=0, problem=None)
        assert entries.due(tx, NOW + HOUR, 10) == [sooner, later]
        assert entries.due(tx, NOW + HOUR, 1) == [sooner]
        assert entries.due(tx, NOW + 2 * MINUTE, 10) == [sooner]


def test_what_failed_before_waits_for_what_is_new(database: Database) -> None:
    with database.transaction() as tx:
        failed, new = wish(tx, principal=f"{ROLE}-1"), wish(tx, principal=f"{ROLE}-2")
        entry = entries.get(tx, failed, NOW)
        entries.rest(tx, entry, NOW - HOUR, attempts=4, problem="away")
        assert entries.due(tx, NOW, 10) == [new, failed]


def test_at_a_start_what_is_put_off_is_due_and_what_rests_is_not(database: Database) -> None:
    with database.transaction() as tx:
        put_off, resting = wish(tx, principal=f"{ROLE}-1"), wish(tx, principal=f"{ROLE}-2")
        for one, attempts in ((put_off, 4), (resting, 0)):
            entry = entries.get(tx, one, NOW)
            entries.rest(tx, entry, NOW + MINUTE, attempts=attempts, problem=None)
        entries.try_now(tx, NOW)
        assert entries.due(tx, NOW, 10) == [put_off]
        assert entries.get(tx, put_off, NOW).attempts == 4


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_start_waits_for_no_entry_that_is_being_changed(
    database: Database, database_url: str
) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx)
        entries.rest(tx, entries.get(tx, entry_id, NOW), NOW + MINUTE, attempts=4, problem="away")
    with closing(Database(database_url)) as other, other.transaction() as changing:
        entries.intend_deletion(changing, entry_id)
        with database.transaction() as tx:
            entries.try_now(tx, NOW)
            assert entries.due(tx, NOW, 10) == []


def test_a_round_says_when_to_look_again(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx)
        entry = entries.get(tx, entry_id, NOW)
        entries.rest(tx, entry, NOW + MINUTE, attempts=3, problem="throttled")
        assert entries.due(tx, NOW + MINUTE - SECOND, 10) == []
        assert entries.due(tx, NOW + MINUTE, 10) == [entry_id]
        after = entries.get(tx, entry_id, NOW)
        assert (after.attempts, after.problem) == (3, "throttled")


@pytest.mark.parametrize("how", ["wish", "wake"])
def test_a_wish_made_during_a_round_is_not_lost(database: Database, how: str) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx)
    with database.reading() as tx:
        round_of = entries.get(tx, entry_id, NOW)
    with database.transaction() as tx:
        if how == "wish":
            wish(tx, now=NOW + SECOND)
        else:
            entries.wake(tx, entry_id, NOW + SECOND)
    with database.transaction() as tx:
        entries.rest(tx, round_of, None, attempts=0, problem=None)
        assert entries.due(tx, NOW + SECOND, 10) == [entry_id]
        entries.rest(tx, entries.get(tx, entry_id, NOW), None, attempts=0, problem=None)
        assert entries.due(tx, NOW + HOUR, 10) == []


def test_a_wish_starts_the_count_of_failures_anew(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = wish(tx)
        entries.rest(
            tx, entries.get(tx, entry_id, NOW), NOW + MINUTE, attempts=9, problem="throttled"
        )
        entries.wake(tx, entry_id, NOW)
        assert entries.get(tx, entry_id, NOW).attempts == 0


def test_the_entries_on_which_something_is_of_the_bot_are_known(database: Database) -> None:
    with database.transaction() as tx:
        made, gone = wish(tx), wish(tx, principal=ROLE + "-gone")
        wish(tx, principal=ROLE + "-asked-for")
        elsewhere = wish(tx, cluster=replace(LAB, name="prod-eu"), principal=ROLE + "-prod")
        for entry_id in (made, gone, elsewhere):
            entries.intend_creation(tx, entry_id, frozenset(), NOW)
        entries.reset(tx, gone)
        beside = wish(tx, principal=ROLE + "-of-others")
        entries.intend_association(tx, beside, "arn:policy", AccessScope(), NOW)
        placed = {one.principal_arn: one.record for one in entries.placed_on(tx, LAB, NOW)}
        assert set(placed) == {ROLE, ROLE + "-of-others"}
        assert placed[ROLE].created
        assert not placed[ROLE + "-of-others"].created


# What the bot put there


class BothKeepers:
    """The store, held against a record keeper in memory at every step."""

    def __init__(self, database: Database, principal: str) -> None:
        self._database = database
        self._memory = MemoryKeeper()
        with database.transaction() as tx:
            self._id = wish(tx, principal=principal, deployment=DEPLOYMENT)

    def record(self, now: datetime) -> EntryRecord:
        with self._database.reading() as tx:
            record = entries.get(tx, self._id, now).record
        assert record == self._memory.record(now)
        return record

    def reset(self) -> None:
        self._memory.reset()
        with self._database.transaction() as tx:
            entries.reset(tx, self._id)

    def forget(self, policy_arns: Collection[str]) -> None:
        self._memory.forget(policy_arns)
        with self._database.transaction() as tx:
            entries.forget_associations(tx, self._id, policy_arns)

    def sent(self, action: Action, now: datetime) -> None:
        self._memory.sent(action, now)
        with self._database.transaction() as tx:
            entries.sent(tx, self._id, action, now)

    def intend(self, action: Action, now: datetime) -> None:
        self._memory.intend(action, now)
        with self._database.transaction() as tx:
            match action:
                case CreateEntry(groups):
                    entries.intend_creation(tx, self._id, groups, now)
                case SetGroups(_, own):
                    entries.intend_groups(tx, self._id, own, now)
                case Associate(arn, scope):
                    entries.intend_association(tx, self._id, arn, scope, now)
                case Disassociate(arn):
                    entries.intend_disassociation(tx, self._id, arn)
                case DeleteEntry():
                    entries.intend_deletion(tx, self._id)

    def read_back(self, seen: ObservedEntry, now: datetime) -> None:
        self._memory.read_back(seen, now)
        with self._database.transaction() as tx:
            entries.read_back(tx, entries.get(tx, self._id, now), seen)


principals = map(f"{ROLE}-{{}}".format, count())


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(standing=st.sampled_from(Standing), lag=lags, story=stories)
def test_the_store_remembers_all_that_the_planner_needs(
    database: Database, standing: Standing, lag: timedelta, story: list[Step]
) -> None:
    tell(World(BothKeepers(database, next(principals)), standing=standing, lag=lag), story)


@pytest.mark.parametrize("name", TOLD)
def test_the_store_remembers_where(database: Database, name: str) -> None:
    keepers = BothKeepers(database, ROLE)
    tell(World(keepers, standing=Standing.REFUSE, lag=timedelta(seconds=3)), TOLD[name])
