"""One worker at a time on one thing, whoever dies."""

from __future__ import annotations

import select
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from threading import Barrier
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from bot.core.errors import StoreUnavailable
from bot.store.claims import Claims
from bot.store.database import Database

only_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database)


@pytest.fixture
def replica(database_url: str) -> Iterator[Database]:
    """The same database as another replica reaches it."""
    with closing(Database(database_url)) as opened:
        yield opened


def end_sessions_that_hold_claims(database: Database) -> None:
    with database.autocommit() as connection:
        ended = connection.scalars(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM (SELECT DISTINCT pid FROM pg_locks "
                "WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())) AS sessions"
            )
        )
        assert ended.all() == [True]


def locks_by_session(database: Database) -> dict[int, int]:
    """How many claims each session of the server holds, by its process."""
    with database.reading() as tx:
        rows = tx.execute(
            text(
                "SELECT pid, count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY pid"
            )
        )
        return {row[0]: row[1] for row in rows}


def wait_until_gone(database: Database, session: int) -> None:
    gone = text("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid)")
    with database.autocommit() as connection:
        while not connection.scalar(gone, {"pid": session}):
            connection.execute(text("SELECT pg_sleep(0.01)"))


def fail_for_want_of_a_session_that_writes(database: Database) -> None:
    """Have the pool give up all its sessions."""

    def fail() -> None:
        with database.transaction() as tx:
            tx.exec_driver_sql("SET TRANSACTION READ ONLY")
            tx.exec_driver_sql("DELETE FROM requests")

    with pytest.raises(StoreUnavailable) as told:
        fail()
    assert told.value.code == "store_read_only"


def test_what_one_holds_another_does_not_get(claims: Claims) -> None:
    with claims.claim("entry:1") as held:
        assert held is not None
        assert held()
        with claims.claim("entry:1") as second:
            assert second is None
        with claims.claim("entry:2") as other:
            assert other is not None
        assert held(), "the failed claim took nothing away"


def test_a_claim_is_free_again_after_the_work(claims: Claims) -> None:
    for _ in range(2):
        with claims.claim("entry:1") as held:
            assert held is not None


def test_a_claim_is_free_again_after_work_that_failed(claims: Claims) -> None:
    def fail() -> None:
        with claims.claim("entry:1"):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with claims.claim("entry:1") as held:
        assert held is not None


def test_of_many_threads_exactly_one_gets_the_claim(claims: Claims) -> None:
    everybody = Barrier(8, timeout=10)

    def work(_: int) -> bool:
        everybody.wait()
        with claims.claim("entry:1") as held:
            everybody.wait()  # nobody lets go before all have tried
            return held is not None

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(work, range(8))) == [False] * 7 + [True]


@only_postgresql
def test_what_one_replica_holds_another_does_not_get(claims: Claims, replica: Database) -> None:
    with claims.claim("entry:1") as held:
        assert held is not None
        with Claims(replica).claim("entry:1") as second:
            assert second is None
        with Claims(replica).claim("entry:2") as other:
            assert other is not None
    with Claims(replica).claim("entry:1") as held:
        assert held is not None


@only_postgresql
def test_a_claim_lasts_no_longer_than_the_connection_of_its_holder(
    claims: Claims, replica: Database
) -> None:
    with claims.claim("entry:1") as held:
        assert held is not None
        assert held()
        end_sessions_that_hold_claims(replica)
        with Claims(replica).claim("entry:1") as taken_over:
            assert taken_over is not None
            assert not held(), "the first worker stops before its next effect"
            assert not held(), "and does not take a new connection for the old claim"
            assert taken_over()


@only_postgresql
def test_sixty_claims_are_held_by_one_session_and_leave_every_transaction_working(
    claims: Claims, database: Database
) -> None:
    """As where Slack is mute and EKS is slow: more than the pool has connections."""
    with ExitStack() as work, ExitStack() as taken:
        held = [work.enter_context(claims.claim(f"entry:{number}")) for number in range(60)]
        assert all(one is not None and one() for one in held)
        database.try_write()
        assert list(locks_by_session(database).values()) == [60]
        for _ in range(48):
            taken.enter_context(database.reading()).execute(text("SELECT 1"))
        assert all(one is not None and one() for one in held)
        with claims.claim("entry:60") as one_more:
            assert one_more is not None
    assert locks_by_session(database) == {}


@only_postgresql
def test_with_their_session_all_claims_are_lost_and_another_replica_takes_them(
    claims: Claims, replica: Database
) -> None:
    with ExitStack() as work:
        held = [work.enter_context(claims.claim(f"entry:{number}")) for number in range(3)]
        end_sessions_that_hold_claims(replica)
        others = Claims(replica)
        taken = [work.enter_context(others.claim(f"entry:{number}")) for number in range(3)]
        assert [one() for one in taken if one is not None] == [True] * 3
        assert [one() for one in held if one is not None] == [False] * 3
        with claims.claim("entry:3") as anew:
            assert anew is not None
            assert anew()
            assert [one() for one in held if one is not None] == [False] * 3
        with claims.claim("entry:1") as again:
            assert again is None, "this process is still at it"
    with claims.claim("entry:1") as again:
        assert again is not None
        assert again()


@only_postgresql
def test_new_claims_are_not_in_a_session_as_old_as_those_that_the_pool_gave_up(
    claims: Claims, database: Database
) -> None:
    """It may be at the server of before a failover. Work under way keeps its claim meanwhile."""
    with claims.claim("entry:1") as before:
        (session,) = locks_by_session(database)
        fail_for_want_of_a_session_that_writes(database)
        with claims.claim("entry:2") as after:
            assert before is not None
            assert after is not None
            assert before()
            assert after()
            assert sorted(locks_by_session(database).values()) == [1, 1]
        assert before()
    wait_until_gone(database, session)
    with claims.claim("entry:3") as last:
        assert last is not None


@only_postgresql
def test_a_session_that_only_reads_is_replaced_at_the_next_claim(
    claims: Claims, database: Database
) -> None:
    sessions: list[Any] = []
    event.listen(database.engine, "checkout", lambda session, *_: sessions.append(session))
    with claims.claim("entry:1") as before:
        sessions[-1].execute("SET default_transaction_read_only = on")
        with claims.claim("entry:2") as after:
            assert before is not None
            assert after is not None
            assert after()
            assert not before()


@only_postgresql
def test_a_session_that_the_server_ends_when_idle_does_not_take_the_claims_with_it(
    claims: Claims, database: Database, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as by_hand:
        name = by_hand.info.dbname
        by_hand.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '100ms'")
    with claims.claim("entry:1") as held:
        assert held is not None
        (session,) = locks_by_session(database)
        with psycopg.connect(database_url, autocommit=True) as idle:
            assert select.select([idle], [], [], 60)[0], "the server ends what is idle"
            with pytest.raises(psycopg.OperationalError):
                idle.execute("SELECT 1")
        assert held()
        assert list(locks_by_session(database)) == [session]


@only_postgresql
def test_no_lock_stays_behind_whenever_sessions_end(claims: Claims, replica: Database) -> None:
    rounds = iter(range(200))

    def work(worker: int) -> None:
        for number in rounds:
            with (
                suppress(StoreUnavailable),
                claims.claim(f"entry:{number % 3}") as held,
            ):
                if held is not None:
                    held()
            if worker == 0 and number % 5 == 0:
                for session in locks_by_session(replica):
                    with replica.autocommit() as server:
                        server.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": session})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    others = Claims(replica)
    for number in range(3):
        with claims.claim(f"entry:{number}") as mine:
            assert mine is not None
        with others.claim(f"entry:{number}") as theirs:
            assert theirs is not None


@only_postgresql
def test_a_worker_that_lost_its_claim_ends_in_peace_and_can_claim_again(
    claims: Claims, replica: Database
) -> None:
    with claims.claim("entry:1") as held:
        assert held is not None
        end_sessions_that_hold_claims(replica)
    with claims.claim("entry:1") as again:
        assert again is not None
        assert again()


@only_postgresql
def test_a_connection_is_given_back_without_the_claim(database: Database) -> None:
    with Claims(database).claim("entry:1"):
        pass
    with database.reading() as tx:
        assert tx.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0


@only_postgresql
def test_a_claim_that_the_database_could_not_answer_is_not_held(database_url: str) -> None:
    with closing(Database(database_url + "&port=1")) as unreachable:
        claims = Claims(unreachable)
        for _ in range(2):
            with pytest.raises(StoreUnavailable), claims.claim("entry:1"):
                pytest.fail("claimed nothing")


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_claim_whose_session_only_reads_by_now_holds_no_more(
    claims: Claims, database: Database
) -> None:
    """After a failover another replica may hold it at the server that took over."""
    sessions: list[Any] = []
    event.listen(database.engine, "checkout", lambda session, *_: sessions.append(session))
    with claims.claim("entry:1") as still_held:
        assert still_held is not None
        assert still_held()
        sessions[-1].execute("SET default_transaction_read_only = on")
        assert not still_held()
