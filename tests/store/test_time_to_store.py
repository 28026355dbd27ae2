"""A transaction that has so much time: what is not committed within it never is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Connection
from store_examples import NOW

from bot.core.errors import StoreUnavailable
from bot.store import inbox
from bot.store.database import Database
from bot.store.inbox import Kind

AT_THE_COMMIT = """
CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION break_off();
"""


def store(tx: Connection) -> None:
    inbox.add(
        tx,
        Kind.REQUEST,
        actor="U01ANA",
        team_id=None,
        document={},
        response_url=None,
        now=NOW,
    )


def stored(database: Database) -> int:
    with database.reading() as tx:
        return int(tx.exec_driver_sql("SELECT count(*) FROM inbox").scalar_one())


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else keeps everybody from writing to the inbox."""
    with closing(Database(url)) as other, other.transaction() as tx:
        if not other.is_sqlite:
            tx.exec_driver_sql("LOCK TABLE inbox")
        yield


def test_what_is_in_time_is_stored(database: Database) -> None:
    with database.transaction(left=lambda: 60.0) as tx:
        store(tx)
    assert stored(database) == 1


def test_what_comes_to_its_commit_too_late_is_rolled_back(database: Database) -> None:
    left = [60.0]

    def too_late() -> None:
        with database.transaction(left=lambda: left[0]) as tx:
            store(tx)
            left[0] = 0.0

    with pytest.raises(StoreUnavailable) as told:
        too_late()
    assert told.value.code == "store_too_slow"
    assert stored(database) == 0


def test_it_gives_up_waiting_for_a_lock_and_is_not_stored_afterwards(
    database: Database, database_url: str
) -> None:
    def wait_and_store() -> None:
        with database.transaction(left=lambda: 0.2) as tx:
            store(tx)

    with locked(database_url), pytest.raises(StoreUnavailable):
        wait_and_store()
    with database.transaction() as tx:  # those after it wait as long as ever
        if database.is_sqlite:
            assert tx.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2000
        store(tx)
    assert stored(database) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_commit_that_broke_off_is_not_called_undone(database: Database) -> None:
    def break_off() -> None:
        with database.transaction(left=lambda: 60.0) as tx:
            store(tx)

    with database.transaction() as tx:
        tx.exec_driver_sql(AT_THE_COMMIT)
    with pytest.raises(StoreUnavailable, match="may or may not have been") as told:
        break_off()
    assert told.value.code == "store_unknown"
