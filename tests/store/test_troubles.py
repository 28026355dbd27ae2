"""A database that goes wrong in every way that the real ones offer, and comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from store_examples import request

from bot.core.errors import StoreUnavailable
from bot.store import requests
from bot.store.database import Database
from tests.store_locks import file_locked

SOON = timedelta(milliseconds=200)
only_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def told(act: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        act()
    return refused.value.code


def write(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request())
        tx.execute(text("DELETE FROM requests"))


def read(database: Database) -> object:
    with database.reading() as tx:
        return requests.pending(tx, 10)


def session(database: Database) -> int:
    with database.reading() as tx:
        return int(tx.scalar(text("SELECT pg_backend_pid()")))


def said(statement: str) -> Callable[[Database], None]:
    def say(database: Database) -> None:
        with database.transaction() as tx:
            tx.exec_driver_sql(statement)

    return say


@pytest.fixture
def by_hand(database_url: str) -> Iterator[psycopg.Connection]:
    """An operator's session."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def read_only(by_hand: psycopg.Connection, how: str, *, cut: bool) -> None:
    name = by_hand.info.dbname
    by_hand.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {how}")  # type: ignore[arg-type]
    if cut:
        by_hand.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@only_postgresql
def test_a_failover_to_a_server_that_only_reads_is_told_and_over_when_it_is_over(
    database: Database, by_hand: psycopg.Connection
) -> None:
    write(database)
    read_only(by_hand, "on", cut=True)
    for use in (read, write, Database.try_write):
        assert told(lambda use=use: use(database)) == "store_read_only"  # type: ignore[misc]
    read_only(by_hand, "off", cut=False)
    write(database)
    database.try_write()


@only_postgresql
def test_sessions_of_a_server_that_became_read_only_under_them_are_used_no_more(
    database: Database, database_url: str, by_hand: psycopg.Connection
) -> None:
    """They stay so after the server writes again, as those to a primary of yesterday do."""
    with database.autocommit() as one, database.autocommit() as other:
        for connection in (one, other):
            connection.exec_driver_sql("SET default_transaction_read_only = on")
    assert told(lambda: write(database)) == "store_read_only"
    write(database)
    with database.reading() as one, database.reading() as other, database.reading() as third:
        for connection in (one, other, third):
            assert connection.scalar(text("SHOW transaction_read_only")) == "off"
    del database_url, by_hand


@only_postgresql
def test_a_url_can_say_that_a_server_which_only_reads_will_do(
    database_url: str, by_hand: psycopg.Connection
) -> None:
    read_only(by_hand, "on", cut=False)
    with closing(Database(database_url + "&target_session_attrs=any")) as reader:
        assert read(reader) == []
        assert told(lambda: write(reader)) == "store_read_only"


@only_postgresql
def test_of_several_servers_the_one_that_writes_is_taken(database_url: str, tmp_path: Path) -> None:
    url = make_url(database_url)
    query = {"host": [str(tmp_path), str(url.query["host"])]}
    named = url.set(query=query).render_as_string(hide_password=False)
    with closing(Database(named)) as database:
        write(database)


@pytest.mark.parametrize(
    ("sqlstate", "code", "renewed"),
    [
        ("25006", "store_read_only", True),
        ("53100", "store_full", False),
        ("53200", "store_exhausted", False),
        ("40001", "store_busy", False),
        ("57014", "store_busy", False),
        ("0A000", "store_changed", True),
        ("XX001", "store_damaged", True),
        ("XX000", "store_failed", True),
        ("ZZ999", "store_failed", True),
    ],
)
@only_postgresql
def test_what_the_server_says_decides_what_is_told_and_whether_its_session_goes_on(
    database: Database, by_hand: psycopg.Connection, sqlstate: str, code: str, renewed: bool
) -> None:
    by_hand.execute(
        "CREATE FUNCTION go_wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION 'it went wrong' USING ERRCODE = '{sqlstate}'; END $$"  # type: ignore[arg-type]
    )
    by_hand.execute(
        "CREATE TRIGGER wrong BEFORE INSERT ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION go_wrong()"
    )
    before = session(database)
    assert told(database.try_write) == code
    assert (session(database) != before) is renewed
    by_hand.execute("DROP TRIGGER wrong ON audit_events")
    database.try_write()


@only_postgresql
def test_two_that_wait_for_each_other_lose_one_transaction_and_no_session(
    database_url: str,
) -> None:
    with closing(Database(database_url, patience=timedelta(seconds=20))) as database:
        holds, codes = Event(), []

        def other() -> None:
            try:
                with database.transaction() as tx:
                    tx.exec_driver_sql("SELECT pg_advisory_xact_lock(2)")
                    holds.set()
                    tx.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
            except StoreUnavailable as error:
                codes.append(error.code)

        thread = Thread(target=other)
        try:
            with database.transaction() as tx:
                tx.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
                thread.start()
                holds.wait()
                tx.exec_driver_sql("SELECT pg_advisory_xact_lock(2)")
        except StoreUnavailable as error:
            codes.append(error.code)
        thread.join()
    assert codes == ["store_busy"]


@only_postgresql
def test_a_result_that_a_prepared_statement_no_longer_has_is_told_and_asked_for_anew(
    database: Database, by_hand: psycopg.Connection
) -> None:
    said("CREATE TABLE shapes (one INTEGER)")(database)
    with database.autocommit() as connection:
        for _ in range(10):
            connection.exec_driver_sql("SELECT * FROM shapes")
    by_hand.execute("ALTER TABLE shapes ADD COLUMN two INTEGER")

    def look() -> None:
        with database.reading() as tx:
            tx.exec_driver_sql("SELECT * FROM shapes")

    assert told(look) == "store_changed"
    look()


@only_postgresql
def test_a_server_without_a_free_connection_is_told(
    database: Database, by_hand: psycopg.Connection, database_url: str
) -> None:
    name = by_hand.info.dbname
    by_hand.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 1")
    by_hand.execute(f"GRANT ALL ON DATABASE {name} TO crowd")  # type: ignore[arg-type]
    url = make_url(database_url).set(username="crowd").render_as_string(hide_password=False)
    try:
        with (
            closing(Database(url)) as first,
            closing(Database(url)) as second,
            first.reading() as tx,
        ):
            tx.execute(text("SELECT 1"))
            assert told(lambda: read(second)) == "store_exhausted"
    finally:
        database.close()
        by_hand.execute("DROP OWNED BY crowd; DROP ROLE crowd")


@pytest.mark.parametrize("table", ["audit_events", "grants", "inbox", "entries"])
@only_postgresql
def test_a_table_locked_for_maintenance_is_waited_for_as_long_as_patience_lasts(
    database: Database, database_url: str, by_hand: psycopg.Connection, table: str
) -> None:
    with closing(Database(database_url, patience=SOON)) as impatient, by_hand.transaction():
        by_hand.execute(f"LOCK TABLE {table}")  # type: ignore[arg-type]
        assert told(impatient.try_write) == "store_busy"
        reading = said(f"SELECT * FROM {table} FOR UPDATE")  # noqa: S608
        assert told(lambda: reading(impatient)) == "store_busy"
    database.try_write()


@only_postgresql
def test_no_statement_and_no_idle_transaction_lasts_for_ever(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

    def settings(*, unhurried: bool) -> list[object]:
        with database.reading(unhurried=unhurried) as tx:
            return [tx.scalar(text(f"SHOW {name}")) for name in names]

    assert settings(unhurried=False) == ["15s", "2s", "1min"]
    assert settings(unhurried=True) == ["0", "2s", "1min"]
    assert settings(unhurried=False) == ["15s", "2s", "1min"]


def test_a_transaction_inside_another_is_refused_before_it_waits_for_itself(
    database: Database,
) -> None:
    with database.transaction(), pytest.raises(RuntimeError, match="inside another"):
        write(database)
    write(database)


def test_a_write_that_is_tried_leaves_nothing_behind(database: Database) -> None:
    database.try_write()
    with database.transaction() as tx:
        for table in ("audit_events", "audit_unsealed"):
            assert tx.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608
    with database.reading() as tx:
        if database.is_sqlite:
            assert tx.exec_driver_sql("PRAGMA cache_size").scalar() == -2000


@only_sqlite
def test_a_file_that_another_program_keeps_locked_is_told_and_works_after(
    database: Database, database_url: str
) -> None:
    with (
        closing(Database(database_url, patience=SOON)) as impatient,
        file_locked(database_url),
    ):
        assert told(impatient.try_write) == "store_busy"
        assert told(lambda: write(impatient)) == "store_busy"
        assert read(impatient) == []
    database.try_write()


@only_sqlite
def test_a_file_that_may_not_grow_is_full_until_it_may(database: Database) -> None:
    with database.transaction() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
        most = tx.exec_driver_sql("PRAGMA max_page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    assert told(database.try_write) == "store_full"
    with database.transaction() as tx:
        tx.exec_driver_sql(f"PRAGMA max_page_count = {most}")
    database.try_write()


@only_sqlite
def test_a_write_that_is_tried_reaches_the_disk(database: Database, database_url: str) -> None:
    """A disk that is full is noticed there, and not when something is to be kept."""
    file = Path(database_url.removeprefix("sqlite:///"))
    log = Path(f"{file}-wal")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert log.stat().st_size == 0
        database.try_write()
        assert log.stat().st_size > 0


@only_sqlite
def test_a_connection_that_only_reads_is_not_used_again(database: Database) -> None:
    with database.autocommit() as connection:
        connection.exec_driver_sql("PRAGMA query_only = on")
    assert told(database.try_write) == "store_read_only"
    database.try_write()


@only_sqlite
def test_a_damaged_file_is_told_as_such(database_url: str) -> None:
    file = Path(database_url.removeprefix("sqlite:///"))
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xff" * (file.stat().st_size - 4096))
    with closing(Database(database_url)) as database:
        assert told(database.try_write) == "store_damaged"
