"""Connections and transactions, the same on SQLite and PostgreSQL.

SQLite runs in WAL mode with foreign keys and a busy timeout, and a transaction that writes takes
the write lock at its start (`BEGIN IMMEDIATE`), so that it waits there and cannot fail half-way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from bot.core.errors import StoreUnavailable

BUSY_TIMEOUT_SECONDS = 5
CONNECT_TIMEOUT_SECONDS = 5
_POOL_SIZE = 24


class Database:
    """A pool of connections to the store.

    `url` is SQLAlchemy's: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, which is
    read as psycopg 3. Nothing connects before the first transaction.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back on any error.

        Raises StoreUnavailable where the database cannot be reached or does not answer in time.
        """
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, and on SQLite waits for no writer."""
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(eks_access_reading=True)

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement stands alone; for session locks on PostgreSQL."""
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnavailable(
            "bad_database_url",
            "DATABASE_URL is no database URL. Examples: `sqlite:///eks-access.db`, "
            "`postgresql://user@host/eks_access`.",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            pool_size=_POOL_SIZE,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_pre_ping=True,
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
        )
    raise StoreUnavailable(
        "bad_database_url",
        f"DATABASE_URL names `{parsed.get_backend_name()}`. The store runs on SQLite or "
        "PostgreSQL: `sqlite:///eks-access.db`, `postgresql://user@host/eks_access`.",
    )


def _prepare_sqlite(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("eks_access_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unavailable(error) from error
        raise


def _unavailable(error: DBAPIError) -> StoreUnavailable:
    # The driver's message may hold the host and the user, which belong into the log alone.
    return StoreUnavailable(
        "store_unavailable",
        f"The database of eks-access does not answer ({type(error.orig).__name__}). "
        "Nothing was changed. Whoever runs the bot finds the cause in its log.",
    )
