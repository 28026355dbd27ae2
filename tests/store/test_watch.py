"""Whether the store takes writes is tried, and nobody who asks waits for one that is mute."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, func, select
from store_examples import add_grant

from bot.store import migrate, tables
from bot.store.database import Database
from bot.store.watch import AWAY, BETWEEN_SECONDS, Answers, StoreWatch
from tests.store_locks import file_locked, table_locked

WELL, ONLY_READS = Answers(reads=True, writes=True), Answers(reads=True, writes=False)
PATIENCE = timedelta(milliseconds=200)


@contextmanager
def only_reading(url: str) -> Iterator[None]:
    """As after a failover: new sessions may only read."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        yield
        session.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


TROUBLES = [
    ("sqlite", file_locked, ONLY_READS, "store_busy"),
    ("postgresql", table_locked, ONLY_READS, "store_busy"),
    # It may lag behind, so it is not asked at all.
    ("postgresql", only_reading, AWAY, "store_read_only"),
]


@pytest.fixture
def watch(database_url: str) -> Iterator[StoreWatch]:
    """A watch on a store in which one grant is live."""
    with closing(Database(database_url, patience=PATIENCE)) as database:
        with database.transaction() as tx:
            add_grant(tx)
        watch = StoreWatch(database)
        yield watch
        watch.close()


@pytest.mark.parametrize(("database_kind", "trouble", "answers", "code"), TROUBLES)
def test_a_store_that_reads_and_takes_no_writes_is_told_as_such(
    watch: StoreWatch,
    database_url: str,
    trouble: Callable[[str], AbstractContextManager[None]],
    answers: Answers,
    code: str,
) -> None:
    assert watch.look() == WELL
    assert watch.look().problem is None
    with trouble(database_url):
        watch.database.engine.dispose()
        found = watch.look()
        assert found == answers
        assert re.fullmatch(rf"The database of .*\. \({code}\)", found.problem or "")
        assert len(watch.live or ()) == 1
    watch.database.engine.dispose()
    assert watch.look() == WELL


def test_what_was_tried_leaves_nothing_behind(watch: StoreWatch) -> None:
    def rows() -> list[int]:
        with watch.database.reading() as tx:
            counts = (
                select(func.count()).select_from(one) for one in tables.metadata.tables.values()
            )
            return [int(tx.scalar(one) or 0) for one in counts]

    before = rows()
    watch.look()
    assert rows() == before


def test_what_was_live_is_still_known_where_the_store_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "eks-access.db"
    with closing(Database(f"sqlite:///{file}", patience=PATIENCE)) as database:
        migrate.upgrade(database)
        watch = StoreWatch(database)
        assert (watch.look(), watch.live) == (WELL, ())
        with database.transaction() as tx:
            add_grant(tx)
        watch.look()
        database.close()
        for one in tmp_path.glob("eks-access.db*"):
            one.rename(f"{one}.away")
        file.mkdir()
        assert watch.look() == AWAY
        assert len(watch.live or ()) == 1
        watch.close()


class Seconds:
    """Time that passes only where somebody pauses."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.passed += seconds


@pytest.fixture
def tries(database: Database) -> Iterator[list[str]]:
    """What was asked of the store, one a try: that which reads what is live."""
    asked: list[str] = []

    def asks(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM grants" in statement and "WHERE false" not in statement:  # nor a check of rights
            asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", asks)
    yield asked
    event.remove(database.engine, "before_cursor_execute", asks)


def test_however_many_ask_a_write_is_tried_twice_a_second(
    database: Database, tries: list[str]
) -> None:
    seconds = Seconds()
    watch = StoreWatch(database, monotonic=seconds, pause=seconds.pause)
    with ThreadPoolExecutor(4) as askers:
        assert set(askers.map(lambda _: watch.look(), range(40))) == {WELL}
    assert len(tries) >= 10, "each asks again once it is answered"
    assert len(tries) == seconds.passed / BETWEEN_SECONDS + 1
    watch.close()


def test_nobody_is_answered_by_a_try_from_before_the_question(
    watch: StoreWatch, database_url: str
) -> None:
    """Whoever asks again at once waits, and is told what is so by then."""
    no_writes = file_locked if database_url.startswith("sqlite") else table_locked
    for _ in range(2):
        assert watch.look() == WELL
        with no_writes(database_url):
            assert watch.look() == ONLY_READS


def test_nobody_waits_for_a_store_that_is_mute_and_no_threads_pile_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://somebody@127.0.0.1:{mute.getsockname()[1]}/eks_access"
        with closing(Database(url, patience=timedelta(hours=1))) as database:
            watch = StoreWatch(database, wait_seconds=0.01)
            before = threading.active_count()
            assert [watch.look() for _ in range(20)] == [AWAY] * 20
            assert watch.look().problem == "The database did not answer within 0.01 seconds."
            assert threading.active_count() <= before + 1
            watch.close()
