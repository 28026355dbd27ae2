"""A PostgreSQL that is frozen: the kernel acknowledges what is sent, and nobody answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from bot.core.errors import StoreUnavailable
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.watch import AWAY, Answers, StoreWatch
from tests.store_locks import server_frozen

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])

SECOND = timedelta(seconds=1)
WELL = Answers(reads=True, writes=True)

Freeze = Callable[[int], None]


@pytest.fixture
def hasty(database_url: str) -> Iterator[Database]:
    """A database that gives a silent server up after three seconds."""
    with closing(Database(database_url, patience=SECOND, statement=SECOND)) as opened:
        yield opened


@pytest.fixture
def freeze(hasty: Database) -> Iterator[Freeze]:
    """Stops a process until the end of the test."""
    del hasty
    stopped: list[int] = []

    def stop(process: int) -> None:
        os.kill(process, signal.SIGSTOP)
        stopped.append(process)

    yield stop
    for process in stopped:
        os.kill(process, signal.SIGCONT)


def process_of(tx: Connection) -> int:
    return int(tx.scalar(text("SELECT pg_backend_pid()")))


def read(database: Database, freeze: Freeze) -> None:
    with database.reading() as tx:
        freeze(process_of(tx))
        tx.execute(text("SELECT 1"))


def write(database: Database, freeze: Freeze) -> None:
    with database.transaction() as tx:
        freeze(process_of(tx))
        tx.execute(text("SELECT 1"))


def commit(database: Database, freeze: Freeze) -> None:
    with database.transaction() as tx:
        freeze(process_of(tx))


@pytest.mark.parametrize(
    ("use", "code"),
    [(read, "store_unavailable"), (write, "store_unavailable"), (commit, "store_unknown")],
)
def test_a_frozen_session_is_given_up_and_the_next_one_works(
    hasty: Database, freeze: Freeze, use: Callable[[Database, Freeze], None], code: str
) -> None:
    with pytest.raises(StoreUnavailable) as told:
        use(hasty, freeze)
    assert told.value.code == code
    hasty.try_write()


def test_a_session_that_froze_in_the_pool_is_not_noticed(hasty: Database, freeze: Freeze) -> None:
    with hasty.reading() as tx:
        idle = process_of(tx)
    freeze(idle)
    with hasty.transaction() as tx:
        assert process_of(tx) != idle


def test_claims_in_a_frozen_session_are_lost_and_others_are_to_be_had(
    hasty: Database, freeze: Freeze
) -> None:
    claims = Claims(hasty)
    with claims.claim("entry:1") as held:
        assert held is not None
        with hasty.reading() as tx:
            holder = tx.scalar(text("SELECT pid FROM pg_locks WHERE locktype = 'advisory'"))
        freeze(int(holder or 0))
        assert not held()
        with claims.claim("entry:2") as other:
            assert other is not None
            assert other()
            assert not held()


def test_a_frozen_server_is_told_and_works_again_when_it_goes_on(
    hasty: Database, database_url: str
) -> None:
    hasty.try_write()
    watch = StoreWatch(hasty, wait_seconds=0.05)
    with server_frozen(database_url):
        with pytest.raises(StoreUnavailable) as told:
            hasty.try_write()
        assert told.value.code == "store_unavailable"
        assert watch.look() == AWAY
    hasty.try_write()
    while watch.look() != WELL:
        pass
    watch.close()


def test_a_statement_that_may_take_as_long_as_it_needs_is_not_taken_for_a_frozen_server(
    database_url: str,
) -> None:
    hurry = timedelta(milliseconds=50)
    with (
        closing(Database(database_url, patience=hurry, statement=SECOND)) as database,
        database.reading(unhurried=True) as tx,
    ):
        assert tx.scalar(text("SELECT true FROM pg_sleep(2)"))
