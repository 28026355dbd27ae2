"""Connections and transactions, the same on SQLite and PostgreSQL.

SQLite runs in WAL mode with foreign keys and a busy timeout, and a transaction that writes takes
the write lock at its start (`BEGIN IMMEDIATE`), so that it waits there and cannot fail half-way.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, false, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.core.errors import StoreUnavailable
from bot.store import tables

PATIENCE = timedelta(seconds=2)
"""How long to wait for a connection, for the server to answer it, or for SQLite's write lock."""

_SILENCE = {"idle": 5, "interval": 5, "count": 2}
_SILENCE_MS = 15_000
"""After so long without a sign of life over TCP the other side is taken to be gone, as where its
host lost power. Nobody tells then: with what operating systems set, PostgreSQL would keep the
claims of a dead replica for two hours, and a bot would wait as long for a dead PostgreSQL."""

_TO_END = (tables.requests, tables.grants, tables.entries, tables.audit_events)
_POOL_SIZE = 24
_WAL_PAUSE = 0.01


Left = Callable[[], float]
"""How many seconds are left, as of the call."""


class Database:
    """A pool of connections to the store.

    `url` is SQLAlchemy's: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, which is
    read as psycopg 3. Nothing connects before the first transaction.
    """

    def __init__(self, url: str, *, patience: timedelta = PATIENCE) -> None:
        self.engine = _engine(url, patience.total_seconds())
        self._patience = patience.total_seconds()
        self._writer = threading.RLock()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self, *, left: Left | None = None) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back on any error.

        With `left` it is rolled back as well where no time is left before the commit, and waits for
        nothing longer. Raises StoreUnavailable where the database cannot be reached or does not
        answer in time, with the code `store_unknown` where it broke off during the commit, so that
        nobody knows what was done.
        """
        with self._turn_to_write(left), _translated(), self.engine.connect() as connection:
            tx = connection.execution_options(eks_access_left=left)
            with tx.begin() as begun:
                if left is not None and not self.is_sqlite:
                    _hurry_postgresql(tx, left)
                yield tx
                if left is not None and left() <= 0:
                    raise _too_late()
                with _commit_known():
                    begun.commit()

    @contextmanager
    def _turn_to_write(self, left: Left | None = None) -> Iterator[None]:
        """Let the threads of this process write to SQLite one after the other.

        It has one writer at a time, and whoever waits for it there asks again ever more seldom:
        with many threads the lock lies idle most of the time.
        """
        if not self.is_sqlite:
            yield
            return
        patience = self._patience if left is None else min(self._patience, max(left(), 0))
        if not self._writer.acquire(timeout=patience):
            raise _unavailable(TimeoutError())
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads.

        On SQLite all that is read is of one moment, and waits for no writer. On PostgreSQL each
        statement sees what is committed when it begins, and no transaction is begun or ended for
        it: under READ COMMITTED that would show the same, and cost two more answers of the server.
        """
        how: dict[str, Any] = {"eks_access_reading": True}
        if not self.is_sqlite:
            how["isolation_level"] = "AUTOCOMMIT"
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(**how)

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement stands alone; for session locks on PostgreSQL."""
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def try_write(self) -> None:
        """Write to each table that the end of a grant needs, without a row, and roll it back.

        Raises StoreUnavailable where the store would not take it: it only reads, somebody else
        holds its write lock, or a table is locked.
        """
        with self._turn_to_write(), _translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                milliseconds = int(self._patience * 1000)
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            for table in _TO_END:
                nothing = select(*table.c).where(false())
                connection.execute(insert(table).from_select(list(table.c), nothing))
            connection.rollback()

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


def _engine(url: str, patience: float) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreUnavailable(
            "bad_database_url",
            "DATABASE_URL is no database URL. Examples: `sqlite:///eks-access.db`, "
            "`postgresql://user@host/eks_access`.",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            connect_args={"timeout": patience, "check_same_thread": False},
            pool_size=_POOL_SIZE,
            pool_timeout=patience,
        )
        event.listen(engine, "connect", partial(_prepare_sqlite, patience))
        event.listen(engine, "begin", partial(_begin_sqlite, patience))
        return engine
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": math.ceil(patience),
                "tcp_user_timeout": _SILENCE_MS,
                **{f"keepalives_{name}": value for name, value in _SILENCE.items()},
            },
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_pre_ping=True,
            pool_timeout=patience,
        )
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    raise StoreUnavailable(
        "bad_database_url",
        f"DATABASE_URL names `{parsed.get_backend_name()}`. The store runs on SQLite or "
        "PostgreSQL: `sqlite:///eks-access.db`, `postgresql://user@host/eks_access`.",
    )


def _prepare_postgresql(connection: Any, record: Any) -> None:
    """Have the server, too, notice that this host is gone; its locks go with the session."""
    del record
    connection.autocommit = True
    settings = {"tcp_user_timeout": _SILENCE_MS}
    settings |= {f"tcp_keepalives_{name}": value for name, value in _SILENCE.items()}
    connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    connection.autocommit = False


def _prepare_sqlite(patience: float, connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # transactions are begun below, not by the driver
    try:
        _switch_to_wal(connection, patience)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    except BaseException:
        connection.close()  # the pool does not know of it yet
        raise


def _switch_to_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Several that switch a new file at once give way to each other, and SQLite does not wait."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() >= deadline:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return


def _begin_sqlite(patience: float, connection: Connection) -> None:
    options = connection.get_execution_options()
    left: Left | None = options.get("eks_access_left")
    if left is None:
        reading = options.get("eks_access_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
        return
    within = min(patience, max(left(), 0))
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(within * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience * 1000)}")


def _hurry_postgresql(connection: Connection, left: Left) -> None:
    """Have the server give up by itself, the commit too, once no time is left."""
    if left() <= 0:
        raise _too_late()
    milliseconds = max(int(left() * 1000), 1)
    for name in ("lock_timeout", "statement_timeout"):
        connection.exec_driver_sql(f"SET LOCAL {name} = {milliseconds}")


def _too_late() -> StoreUnavailable:
    return StoreUnavailable(
        "store_too_slow",
        "The database of eks-access took too long, so this was not taken. Nothing was changed; do "
        "it again.",
    )


@contextmanager
def _commit_known() -> Iterator[None]:
    """Raise StoreUnavailable (`store_unknown`) where the connection breaks during a commit."""
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreUnavailable(
            "store_unknown",
            "The database of eks-access broke off just as this was stored, so it may have been "
            "taken or not. If it was, an answer follows. `/eks-access mine` shows your requests.",
        ) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _unavailable(error.orig) from error
    except (PoolTimeoutError, PendingRollbackError) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        # SQLite says just DatabaseError of a file that is damaged, or no database at all.
        if error.connection_invalidated or type(error) is DatabaseError:
            raise _unavailable(error.orig) from error
        raise


def _unavailable(cause: BaseException | None) -> StoreUnavailable:
    # The driver's message may hold the host and the user, which belong into the log alone.
    return StoreUnavailable(
        "store_unavailable",
        f"The database of eks-access does not answer ({type(cause).__name__}). "
        "Nothing was changed. Whoever runs the bot finds the cause in its log.",
    )
