"""One worker at a time on one thing, whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

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
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        assert ended.all() == [True]


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
