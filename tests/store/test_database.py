"""Transactions on both databases, and what is said where there is none to be had."""

from __future__ import annotations

import os
import socket
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread, Timer
from typing import Protocol

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from store_examples import request

from bot.core.errors import StoreUnavailable
from bot.store import requests
from bot.store.database import PATIENCE, Database

AT_ONCE = timedelta(milliseconds=50)


class PostgresqlServer(Protocol):
    """What is used here of the server that the tests start."""

    url: str


@pytest.fixture
def impatient(database_url: str) -> Iterator[Database]:
    """A second connection to the database of the test, that gives up waiting at once."""
    with closing(Database(database_url, patience=AT_ONCE)) as opened:
        yield opened


def test_a_transaction_is_committed_at_its_end(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request())
    with database.reading() as tx:
        assert requests.get(tx, request().id) == request()


def test_an_error_inside_takes_everything_back(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            requests.add(tx, request())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.reading() as tx:
        assert requests.pending(tx, 10) == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_session_that_is_given_up_keeps_no_lock_though_its_error_is_kept(
    database: Database, impatient: Database
) -> None:
    with pytest.raises(OverflowError) as kept, database.transaction() as tx:
        tx.exec_driver_sql("SELECT ?", (10**30,))
    assert kept.value.__traceback__ is not None
    with impatient.transaction() as tx:
        requests.add(tx, request())


def test_what_people_typed_is_in_no_error_of_the_database(database: Database) -> None:
    """The log has the cause of an error, and a traceback has it too."""
    typed = replace(request(), reason="the password is hunter2")
    only_reads = "PRAGMA query_only = ON" if database.is_sqlite else "SET TRANSACTION READ ONLY"

    def fail() -> None:
        with database.transaction() as tx:
            tx.exec_driver_sql(only_reads)
            requests.add(tx, typed)

    with pytest.raises(StoreUnavailable) as told:
        fail()
    assert "INSERT INTO requests" in str(told.value.__cause__)
    assert "hunter2" not in "".join(traceback.format_exception(told.value))


def test_a_reader_sees_nothing_that_is_not_committed_and_waits_for_no_writer(
    database: Database, impatient: Database
) -> None:
    with database.transaction() as writing:
        requests.add(writing, request())
        with impatient.reading() as tx:
            assert requests.pending(tx, 10) == []
    with impatient.reading() as tx:
        assert requests.pending(tx, 10) == [request()]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_on_sqlite_a_writer_waits_for_another_at_its_start_and_not_for_ever(
    database: Database, impatient: Database
) -> None:
    def write() -> None:
        with impatient.transaction():
            pytest.fail("two writers at once")

    with database.transaction(), pytest.raises(StoreUnavailable) as refused:
        write()
    assert refused.value.code == "store_busy"
    with impatient.transaction() as tx:
        requests.add(tx, request())


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_threads_of_one_process_take_turns_to_write_and_no_turn_is_kept(
    impatient: Database,
) -> None:
    """SQLite itself is never asked while it is another thread's turn, so nobody polls for it."""
    said: list[str] = []
    event.listen(
        impatient.engine, "before_cursor_execute", lambda *arguments: said.append(arguments[2])
    )
    refused: list[StoreUnavailable] = []

    def write() -> None:
        try:
            with impatient.transaction():
                pytest.fail("two writers at once")
        except StoreUnavailable as error:
            refused.append(error)

    def fail_while_another_waits() -> None:
        with impatient.transaction():
            other = Thread(target=write)
            other.start()
            other.join()
            raise LookupError

    with pytest.raises(LookupError):
        fail_while_another_waits()
    assert [one.code for one in refused] == ["store_busy"]
    assert said == ["BEGIN IMMEDIATE"]
    with impatient.transaction() as tx:
        requests.add(tx, request())


def test_a_new_sqlite_file_that_another_writes_to_is_waited_for(tmp_path: Path) -> None:
    # While another writes, SQLite refuses to switch to WAL at once, whatever its busy timeout.
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE one (number INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    writing = Timer(0.1, other.rollback)
    writing.start()
    with closing(Database(f"sqlite:///{file}")) as database, database.transaction() as tx:
        tx.execute(text("INSERT INTO one VALUES (1)"))
    writing.join()
    other.close()


def modes(file: Path) -> dict[str, str]:
    """The permissions of a SQLite file and of those beside it."""
    return {one.name: f"{one.stat().st_mode & 0o777:o}" for one in file.parent.glob("store.db*")}


def test_nobody_else_reads_a_sqlite_file_nor_those_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    before = os.umask(0)
    try:
        with closing(Database(f"sqlite:///{file}")) as database, database.transaction() as tx:
            tx.execute(text("CREATE TABLE one (a INTEGER)"))
            private = {"store.db": "600", "store.db-wal": "600", "store.db-shm": "600"}
            assert modes(file) == private
    finally:
        os.umask(before)


def test_a_sqlite_file_of_before_is_closed_to_others_and_gets_no_right_that_it_had_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE one (a INTEGER)")
    for before, after in ((0o644, "600"), (0o660, "600"), (0o444, "400")):
        file.chmod(before)
        with closing(Database(f"sqlite:///{file}")) as database:
            with suppress(StoreUnavailable), database.reading() as tx:
                tx.execute(text("SELECT * FROM one")).all()
            assert modes(file)["store.db"] == after


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_every_sqlite_connection_keeps_what_it_commits_and_its_references(
    database: Database,
) -> None:
    with database.reading() as one, database.reading() as other:
        for tx in (one, other):
            settings = {
                name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert settings == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": PATIENCE.total_seconds() * 1000,
            }


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_on_sqlite_a_writing_transaction_takes_the_lock_before_its_first_statement(
    database: Database,
) -> None:
    said: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *arguments: said.append(arguments[2])
    )
    with database.transaction():
        pass
    with database.reading() as tx:
        tx.execute(text("SELECT 1"))
    assert said == ["BEGIN IMMEDIATE", "BEGIN", "SELECT 1"]


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_connection_that_the_server_ends_is_told_as_such_and_the_next_one_works(
    database: Database,
) -> None:
    def lose_the_connection() -> None:
        with database.transaction() as tx:
            requests.add(tx, request())
            with database.autocommit() as other:
                mine = tx.scalar(text("SELECT pg_backend_pid()"))
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": mine})
            requests.pending(tx, 10)

    with pytest.raises(StoreUnavailable) as refused:
        lose_the_connection()
    assert "Nothing was changed" in refused.value.sentence
    with database.transaction() as tx:
        assert requests.pending(tx, 10) == []


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_connections_that_died_in_the_pool_are_not_noticed(
    database: Database, impatient: Database
) -> None:
    with database.reading() as tx:
        idle = tx.scalar(text("SELECT pg_backend_pid()"))
    with impatient.autocommit() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": idle})
    with database.transaction() as tx:
        requests.add(tx, request())


def test_a_pool_without_a_free_connection_is_told_as_such(impatient: Database) -> None:
    def take_all_and_one_more() -> None:
        with ExitStack() as taken:
            for _ in range(1000):
                taken.enter_context(impatient.reading()).execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable) as refused:
        take_all_and_one_more()
    assert refused.value.code == "store_busy"
    with impatient.reading() as tx:
        assert requests.pending(tx, 10) == []


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_unreachable_postgresql_is_told_without_its_address() -> None:
    url = f"postgresql://keeper:secret@127.0.0.1:{closed_port()}/eks_access"
    with closing(Database(url)) as unreachable:
        for use in (unreachable.transaction, unreachable.reading, unreachable.autocommit):
            with pytest.raises(StoreUnavailable) as refused, use() as tx:
                tx.execute(text("SELECT 1"))
            for secret in ("keeper", "secret", "127.0.0.1"):
                assert secret not in refused.value.sentence


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("wrong", [{"database": "nowhere"}, {"username": "nobody"}])
def test_a_database_or_user_that_does_not_exist_is_told(
    database_url: str, wrong: dict[str, str]
) -> None:
    url = make_url(database_url).set(**wrong).render_as_string(hide_password=False)
    with closing(Database(url)) as other, pytest.raises(StoreUnavailable), other.reading() as tx:
        tx.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "eks-access.db",
        "postgresql://user@host:port/name",
        "mysql://user@host/name",
        "postgres://user@host/name",
    ],
)
def test_what_is_no_url_of_a_database_is_refused_with_examples(url: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        Database(url)
    assert refused.value.code == "bad_database_url"
    assert "DATABASE_URL" in refused.value.sentence
    assert "`sqlite:///eks-access.db`" in refused.value.sentence


def test_nothing_connects_before_the_first_transaction(tmp_path: Path) -> None:
    file = tmp_path / "eks-access.db"
    with closing(Database(f"sqlite:///{file}")):
        assert not file.exists()


def folder_that_is_missing(folder: Path) -> Path:
    return folder / "missing" / "eks-access.db"


def folder_in_place_of_a_file(folder: Path) -> Path:
    return folder


def file_of_another_kind(folder: Path) -> Path:
    file = folder / "policy.yaml"
    file.write_text("deployment: acme-prod\n" * 100)
    return file


@pytest.mark.parametrize(
    "make", [folder_that_is_missing, folder_in_place_of_a_file, file_of_another_kind]
)
def test_a_file_that_cannot_be_a_database_is_told(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    with closing(Database(f"sqlite:///{make(tmp_path)}")) as database:
        for use in (database.reading, database.transaction):
            with pytest.raises(StoreUnavailable), use() as tx:
                tx.execute(text("SELECT 1"))


def test_both_sides_notice_soon_that_the_other_is_gone_without_a_word(
    postgresql: PostgresqlServer,
) -> None:
    # Cutting a cable takes a network of one's own. This is what was seen to work with one: within
    # 16 seconds a claim of the lost side was free, and the lost side knew that it is lost.
    file = make_url(postgresql.url).query["host"]
    with over_tcp(f"{file}/.s.PGSQL.5432") as port:
        url = make_url(postgresql.url).set(host="127.0.0.1", port=port, query={})
        with (
            closing(Database(url.render_as_string(hide_password=False))) as opened,
            opened.reading() as tx,
        ):
            wire = tx.connection.driver_connection
            assert wire is not None
            with socket.socket(fileno=os.dup(wire.fileno())) as ours:
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                seconds = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                unanswered = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            # On a socket of a file the server shows no values, but who has set them.
            set_by = tx.execute(
                text("SELECT name, source FROM pg_settings WHERE name LIKE 'tcp\\_%'")
            )
            sources = {row.name: row.source for row in set_by}
    assert (seconds, unanswered) == (5, 15_000)
    assert sources == dict.fromkeys(
        (
            "tcp_keepalives_count",
            "tcp_keepalives_idle",
            "tcp_keepalives_interval",
            "tcp_user_timeout",
        ),
        "session",
    )


@contextmanager
def over_tcp(file: str) -> Iterator[int]:
    """The port of one TCP connection to a server that listens on a file."""

    def relay(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(file)
            with ThreadPoolExecutor(2) as both:
                both.submit(relay, client, server)
                both.submit(relay, server, client)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as serving:
        serving.submit(serve)
        yield int(listener.getsockname()[1])


def test_the_place_of_a_database_is_told_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "eks-access.db"
    assert Database(f"sqlite:///{file}").place == f"sqlite:///{file}"
    here = Path("eks-access.db").absolute()
    assert Database("sqlite:///eks-access.db").place == f"sqlite:///{here}"
    for url in (
        "postgresql://bot:hunter2@db.example.com:5433/access?sslmode=require&password=hunter2",
        "postgresql://bot:hunter2@/access?host=db.example.com&port=5433",
    ):
        place = Database(url).place
        assert "hunter2" not in place
        assert place.startswith("postgresql://db.example.com")
        assert place.endswith("/access")
