"""Connections and transactions, the same on SQLite and PostgreSQL.

SQLite runs in WAL mode with foreign keys and a busy timeout, and a transaction that writes takes
the write lock at its start (`BEGIN IMMEDIATE`), so that it waits there and cannot fail half-way.
"""

from __future__ import annotations

import math
import os
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, false, insert, select, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.core.errors import StoreUnavailable
from bot.store import faults
from bot.store.silence import ListeningConnection
from bot.store.tables import audit_events, metadata

PATIENCE = timedelta(seconds=2)
"""How long to wait for a connection, for the server to answer it, or for a lock."""

STATEMENT = timedelta(seconds=15)
"""How long PostgreSQL works on one statement before it breaks it off."""

IDLE = timedelta(seconds=60)
"""How long PostgreSQL lets a transaction lie idle, and its locks keep others waiting, as where its
process is stopped in the middle. No transaction waits for anything but the database."""

_SILENCE = {"idle": 5, "interval": 5, "count": 2}
_SILENCE_MS = 15_000
"""After so long without a sign of life over TCP the other side is taken to be gone, as where its
host lost power. Nobody tells then: with what operating systems set, PostgreSQL would keep the
claims of a dead replica for two hours, and a bot would wait as long for a dead PostgreSQL."""

_POOL_SIZE = 24
_WAL_PAUSE = 0.01
_OTHERS = 0o077

_ROOM = 32_768
"""Characters of the write that is tried on SQLite: more than fits into pages that have room."""


class _TakenBackError(Exception):
    """Takes a write back that was only tried."""


Left = Callable[[], float]
"""How many seconds are left, as of the call."""


class Database:
    """A pool of connections to the store.

    `url` is SQLAlchemy's: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, which is
    read as psycopg 3. Nothing connects before the first transaction. `patience` is in seconds, and
    `renewals` counts how often the sessions until then were given up, after an error. `operator`
    is who works on it from the command line; the audit trail says so (see `bot.core.operators`).
    """

    def __init__(
        self,
        url: str,
        *,
        patience: timedelta = PATIENCE,
        statement: timedelta = STATEMENT,
        operator: Mapping[str, str] | None = None,
    ) -> None:
        self.engine = _engine(url, patience.total_seconds(), statement.total_seconds())
        self.patience = patience.total_seconds()
        self.renewals = 0
        self._operator = dict(operator or {})
        event.listen(self.engine, "handle_error", self._count_renewals)
        self._writer = threading.RLock()
        self._thread = threading.local()
        self._own_sessions: list[ListeningConnection] = []

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def place(self) -> str:
        """Which database it is, for people: a file by its whole path, a server without secrets."""
        url = self.engine.url
        if self.is_sqlite:
            return f"sqlite:///{Path(url.database or '').absolute()}"
        host = url.host or ",".join(url.normalized_query.get("host", ()))
        port = f":{url.port}" if url.port else ""
        return f"postgresql://{host}{port}/{url.database or ''}"

    @contextmanager
    def transaction(self, *, left: Left | None = None) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back on any error.

        With `left` it is rolled back as well where no time is left before the commit, and waits for
        nothing longer. Raises StoreUnavailable, which names the kind of trouble, where the database
        does not do it, with the code `store_unknown` where it broke off during the commit, so that
        nobody knows what was done; and RuntimeError inside another transaction of the same thread,
        which would wait for itself.
        """
        if getattr(self._thread, "writes", False):
            raise RuntimeError("a transaction inside another one of the same thread")
        with self._turn_to_write(left), _translated(), self.engine.connect() as connection:
            tx = connection.execution_options(
                eks_access_left=left, eks_access_operator=self._operator
            )
            with tx.begin() as begun:
                if left is not None and not self.is_sqlite:
                    _hurry_postgresql(tx, left)
                self._thread.writes = True
                try:
                    yield tx
                finally:
                    self._thread.writes = False
                if left is not None and left() <= 0:
                    raise _too_late()
                with _commit_known():
                    begun.commit()

    @contextmanager
    def trying(self) -> Iterator[Connection]:
        """As `transaction`, but rolled back at the end, too."""
        with suppress(_TakenBackError), self.transaction() as tx:
            yield tx
            raise _TakenBackError

    def try_write(self) -> None:
        """Try a write as the bot makes it, and take it back. Leaves nothing behind.

        Raises StoreUnavailable, with the kind of trouble as its `code`, where the database cannot
        be reached, only reads, is full or damaged, or where others hold the lock of any table.
        Takes some milliseconds, and in the worst case five times `patience` (10 seconds): a free
        connection, the server's answer, and locks, each of which it gives up by itself.
        """
        if not self.is_sqlite:
            self._check_tables()
        with self.trying() as tx, _written_through(tx):
            # An event that nobody sees, and an id that no sequence gives.
            tx.execute(
                insert(audit_events).values(
                    id=-1 - secrets.randbits(62),
                    at=datetime.now(UTC),
                    actor="",
                    action="try_a_write",
                    details={"room": "." * _ROOM},
                )
            )

    def _check_tables(self) -> None:
        """Ask for each table's lock as a write does. One at a time: so nobody waits for us."""
        deadline = time.monotonic() + 2 * self.patience
        with self.autocommit() as connection:
            for table in metadata.sorted_tables:
                nothing = select(*table.columns).where(false())
                connection.execute(insert(table).from_select(list(table.columns), nothing))
                if time.monotonic() > deadline:
                    raise faults.BUSY.error(TimeoutError())

    @contextmanager
    def _turn_to_write(self, left: Left | None = None) -> Iterator[None]:
        """Let the threads of this process write to SQLite one after the other.

        It has one writer at a time, and whoever waits for it there asks again ever more seldom:
        with many threads the lock lies idle most of the time.
        """
        if not self.is_sqlite:
            yield
            return
        patience = self.patience if left is None else min(self.patience, max(left(), 0))
        if not self._writer.acquire(timeout=patience):
            raise faults.BUSY.error(TimeoutError())
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def reading(self, *, unhurried: bool = False) -> Iterator[Connection]:
        """A connection that only reads; `unhurried` ones may take as long as they need.

        On SQLite all that is read is of one moment, and waits for no writer. On PostgreSQL each
        statement sees what is committed when it begins, and no transaction is begun or ended for
        it: under READ COMMITTED that would show the same, and cost two more answers of the server.
        """
        how: dict[str, Any] = {"eks_access_reading": True}
        if not self.is_sqlite:
            how["isolation_level"] = "AUTOCOMMIT"
        with _translated(), self.engine.connect() as connection:
            reading = connection.execution_options(**how)
            if self.is_sqlite or not unhurried:
                yield reading
                return
            try:
                with unhurried_statements(reading, "SET"):
                    yield reading
            finally:
                connection.invalidate()  # its session keeps the setting

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement stands alone."""
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def own_session(self) -> ListeningConnection:
        """A session of PostgreSQL for locks, which takes no place in the pool; to be closed.

        Each statement stands alone and is broken off after `patience`. The session may lie idle for
        as long as it likes: its locks would go with it, and nobody would hear of that.
        """
        settings = {"statement_timeout": int(self.patience * 1000), "idle_session_timeout": 0}
        with _translated(), ExitStack() as until_detached:
            taken = until_detached.enter_context(self.engine.connect())
            taken.execution_options(isolation_level="AUTOCOMMIT")
            for name, value in settings.items():
                known = text(
                    "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"
                )  # PostgreSQL 13 has no `idle_session_timeout`
                taken.execute(known, {"name": name, "value": str(value)})
            session = _session_of(taken)
            session.most_silence = _silence(self.patience, self.patience)
            taken.detach()
            until_detached.pop_all()
        self._own_sessions = [one for one in self._own_sessions if not one.closed] + [session]
        return session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        for session in self._own_sessions:
            session.close()

    def _count_renewals(self, context: ExceptionContext) -> None:
        self.renewals += context.is_disconnect


@contextmanager
def unhurried_statements(connection: Connection, how: str = "SET LOCAL") -> Iterator[None]:
    """Let PostgreSQL take as long as it needs for statements of this transaction, or session."""
    session = _session_of(connection)
    connection.exec_driver_sql(f"{how} statement_timeout = 0")
    most, session.most_silence = session.most_silence, None
    try:
        yield
    finally:
        session.most_silence = most


def _session_of(connection: Connection) -> ListeningConnection:
    """The session of PostgreSQL under it."""
    return cast("ListeningConnection", connection.connection.driver_connection)


def operator_of(tx: Connection) -> Mapping[str, str]:
    """Who works on the database from the command line; empty where that is the bot."""
    operator: Mapping[str, str] = tx.get_execution_options().get("eks_access_operator", {})
    return operator


def _engine(url: str, patience: float, statement: float) -> Engine:
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
            hide_parameters=True,  # what people typed does not get into the log with an error
            pool_size=_POOL_SIZE,
            pool_timeout=patience,
        )
        event.listen(engine, "do_connect", _keep_private)
        event.listen(engine, "connect", partial(_prepare_sqlite, patience))
        event.listen(engine, "handle_error", _sort)
        event.listen(engine, "begin", partial(_begin_sqlite, patience))
        return engine
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={
                "target_session_attrs": parsed.query.get("target_session_attrs", "read-write"),
                "connect_timeout": math.ceil(patience),
                "tcp_user_timeout": _SILENCE_MS,
                **{f"keepalives_{name}": value for name, value in _SILENCE.items()},
            },
            hide_parameters=True,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_pre_ping=True,
            pool_timeout=patience,
        )
        event.listen(engine, "do_connect", _connect_to_postgresql)
        event.listen(engine, "connect", partial(_prepare_postgresql, patience, statement))
        event.listen(engine, "handle_error", _sort)
        return engine
    raise StoreUnavailable(
        "bad_database_url",
        f"DATABASE_URL names `{parsed.get_backend_name()}`. The store runs on SQLite or "
        "PostgreSQL: `sqlite:///eks-access.db`, `postgresql://user@host/eks_access`.",
    )


def _connect_to_postgresql(dialect: Any, record: Any, args: Any, named: Any) -> ListeningConnection:
    del dialect, record
    return ListeningConnection.connect(*args, **named)


def _silence(statement: float, patience: float) -> float:
    """Seconds of silence after which the server counts as frozen, as it broke nothing off."""
    return statement + 2 * patience


def _prepare_postgresql(
    patience: float, statement: float, connection: ListeningConnection, record: Any
) -> None:
    """Have nothing wait for ever, and the server, too, notice that this host is gone.

    Its locks go with the session.
    """
    del record
    connection.most_silence = _silence(statement, patience)
    connection.autocommit = True
    settings = {"tcp_user_timeout": _SILENCE_MS}
    settings |= {f"tcp_keepalives_{name}": value for name, value in _SILENCE.items()}
    settings |= {
        "lock_timeout": int(patience * 1000),
        "statement_timeout": int(statement * 1000),
        "idle_in_transaction_session_timeout": int(IDLE.total_seconds() * 1000),
    }
    connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    connection.autocommit = False


def _keep_private(dialect: Any, record: Any, arguments: list[Any], options: Any) -> None:
    """Let nobody else read the file: it holds who has access to what, and why they asked.

    SQLite gives the files beside it, `-wal` and `-shm`, the permissions that this one has when it
    makes them. A file of somebody else stays as it is.
    """
    del dialect, record, options
    name = arguments[0]
    if name in ("", ":memory:") or name.startswith("file:"):
        return
    with suppress(OSError):
        os.close(os.open(name, os.O_RDWR | os.O_CREAT, 0o600))
    for file in (Path(name), Path(f"{name}-wal"), Path(f"{name}-shm")):
        with suppress(OSError):
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & _OTHERS:
                file.chmod(mode & ~_OTHERS)


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
        "The database of eks-access took too long, so this was not stored. Nothing was changed. "
        "Send it again.",
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
            "The connection to the database of eks-access broke just as this was being stored, so "
            "it may or may not have been. If it was, an answer follows. `/eks-access mine` shows "
            "your requests.",
        ) from error


@contextmanager
def _written_through(tx: Connection) -> Iterator[None]:
    """Have SQLite write to its file what does not fit into a cache of one page.

    Otherwise it writes at the commit, and only there would it notice that the disk is full.
    """
    if tx.dialect.name != "sqlite":
        yield
        return
    usual = tx.exec_driver_sql("PRAGMA cache_size").scalar()
    tx.exec_driver_sql("PRAGMA cache_size = 1")
    try:
        yield
    finally:
        tx.exec_driver_sql(f"PRAGMA cache_size = {usual}")


def _sort(context: ExceptionContext) -> None:
    """Where an error calls for a new session, use none again that is older than the error."""
    fault = faults.fault_of(context.original_exception)
    if fault.handling is faults.Handling.NEW_SESSION:
        context.is_disconnect = True
        _give_way(context.connection)


def _give_way(connection: Connection | None) -> None:
    """Let a session of SQLite hold no lock any more, before it is closed.

    Closed alone it keeps its lock for as long as a statement of it lives, in a traceback perhaps.
    """
    session = connection.connection.dbapi_connection if connection is not None else None
    if isinstance(session, sqlite3.Connection):
        with suppress(sqlite3.Error):
            session.rollback()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise faults.BUSY.error(error) from error
    except PendingRollbackError as error:
        raise faults.AWAY.error(error) from error
    except DBAPIError as error:
        fault = faults.fault_of(error.orig)
        if fault.handling is faults.Handling.OURS:
            raise
        raise fault.error(error.orig) from error
