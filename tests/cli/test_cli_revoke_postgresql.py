"""`eks-access revoke` on PostgreSQL, which breaks off one of two that wait for each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from cli_steps import states
from sqlalchemy import text

import bot.sandbox
from bot.access.facts import Facts
from bot.access.submit import submit
from bot.core.model import Ask, GrantState, Person
from bot.policy_file import load_policy
from bot.store import entries, grants, requests
from bot.store.database import Database
from bot.wiring import utc_now
from tests.postgresql_server import PostgresqlServer

SANDBOX = load_policy(Path(bot.sandbox.__file__).with_name("policy.yaml")).policy
LAB = Ask("modern-access-lab", "view", ("default",), reason="a failing pod")
WAITING = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])


@pytest.fixture
def three(database: Database) -> list[str]:
    """The grants of three people, whom a rule gave access by itself."""
    return [given(database, user) for user in ("U01ANA", "U02BEN", "U03CLEO")]


def given(database: Database, user: str) -> str:
    who = Person(user, "T01", user)
    facts = Facts(SANDBOX, "digest", "T01", {who.id: who}, {}, utc_now())
    with database.transaction() as tx:
        return submit(tx, facts, who.id, LAB).id


@contextmanager
def meanwhile(work: Callable[[Event, Event], None]) -> Iterator[None]:
    """Another process, which says by the first event that it has begun; the second one ends it."""
    begun, over = Event(), Event()
    other = Thread(target=work, args=(begun, over))
    other.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        over.set()
        other.join(20)
        assert not other.is_alive()


def test_a_revocation_that_is_broken_off_is_tried_again(
    cli, database: Database, database_url: str, three: list[str]
) -> None:
    """It holds a request's row and waits for the entry; another waits the other way round."""
    first = three[0]

    def wait_for_each_other(begun: Event, over: Event) -> None:
        with database.transaction() as tx:
            # Whoever looks for a deadlock first is broken off: never this one, however late it is.
            tx.execute(text("SET LOCAL deadlock_timeout = '10s'"))
            entry_id = grants.entry_of(tx, first)
            assert entry_id is not None
            entries.wake(tx, entry_id, utc_now())
            begun.set()
            while not over.is_set() and not tx.scalar(text(f"SELECT count(*) {WAITING}")):
                time.sleep(0.01)
                tx.execute(text("SELECT pg_stat_clear_snapshot()"))
            requests.get_locked(tx, first)

    with meanwhile(wait_for_each_other):
        result = cli("revoke", "--all", "--reason", "All", DATABASE_URL=database_url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line[:7] for line in result.stdout.splitlines()] == three
    assert states(database_url) == dict.fromkeys(three, GrantState.REVOKING)


@pytest.mark.parametrize("everything", [True, False])
def test_one_that_is_broken_off_each_time_is_named_and_keeps_no_other(
    cli, database: Database, database_url: str, three: list[str], everything: bool
) -> None:
    first, *others = three

    def end_whoever_waits(begun: Event, over: Event) -> None:
        with database.transaction() as tx, database.autocommit() as watch:
            requests.get_locked(tx, first)
            begun.set()
            while not over.is_set():
                watch.execute(text(f"SELECT pg_terminate_backend(pid) {WAITING}"))
                time.sleep(0.01)

    with meanwhile(end_whoever_waits):
        result = cli("revoke", "--all" if everything else first, DATABASE_URL=database_url)
    assert result.exit_code == 2
    assert "The database of eks-access does not answer" in result.stderr
    revoked = others if everything else []
    assert [line[:7] for line in result.stdout.splitlines()] == revoked
    assert (f"Not revoked: {first}. Run the command again." in result.stderr) is everything
    found = states(database_url)
    assert found.pop(first) is GrantState.PROVISIONING
    ended = GrantState.REVOKING if everything else GrantState.PROVISIONING
    assert found == dict.fromkeys(others, ended)


def test_a_database_that_goes_away_is_not_asked_for_each_of_the_rest(
    cli,
    database: Database,
    database_url: str,
    postgresql: PostgresqlServer,
    three: list[str],
) -> None:
    first, second, third = three
    name = database.engine.url.database

    def shut_it(begun: Event, over: Event) -> None:
        with database.transaction() as tx, closing(Database(postgresql.url_of("postgres"))) as all_:
            requests.get_locked(tx, second)
            begun.set()
            while not over.is_set() and not tx.scalar(text(f"SELECT count(*) {WAITING}")):
                time.sleep(0.01)
                tx.execute(text("SELECT pg_stat_clear_snapshot()"))
            with all_.autocommit() as server:
                server.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
            tx.execute(text(f"SELECT pg_terminate_backend(pid) {WAITING}"))
            over.wait(20)

    with meanwhile(shut_it):
        result = cli("revoke", "--all", DATABASE_URL=database_url)
    assert result.exit_code == 2
    assert [line[:7] for line in result.stdout.splitlines()] == [first]
    assert f"Not revoked: {second}, {third}. Run the command again." in result.stderr
    assert f"{third}:" not in result.stderr
