"""What can be wrong with a store that answers: it only reads, is locked, is full, or went back.

The errors are the databases' own: a session that only reads is told so by SQLite and PostgreSQL,
and a lock is held by another session. Only of a full disk they are not told: the driver's own error
is raised in place of a commit.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg

from bot.store.database import Database

READS, LOCKED, FULL = "only reads", "locked", "full"


class Copies(Protocol):
    """A database that can be kept as it is, and be put back to that under a running bot.

    `leave` ends the session of whoever else reads it: PostgreSQL copies none that is in use.
    """

    leave: Callable[[], None]

    def keep(self) -> None: ...
    def go_back(self) -> bool: ...
    def lock(self) -> Any: ...


class Troubles:
    """What is wrong with the store now; each session meets it as the bot takes it from its pool.

    A session that only reads does so for ever, as one to a server that is no primary any more:
    once the store writes again, only new sessions do. `met` counts what was refused, by kind.
    """

    def __init__(self, met: Counter[str]) -> None:
        self.kind: str | None = None
        self._met = met
        self._lock: Any = None

    def begin(self, kind: str, copies: Copies) -> None:
        """From now on the store has this trouble."""
        self.end()
        self.kind = kind
        if kind == LOCKED:
            self._lock = copies.lock()

    def end(self) -> None:
        """The store is as it should be."""
        self.kind = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def refused(self, _: Any) -> None:
        """The database said no to something."""
        if self.kind is not None:
            self._met[f"store {self.kind}"] += 1

    def sqlite(self, session: Any) -> None:
        """Have this session meet the trouble, or be rid of it."""
        if self.kind == READS:
            session.execute("PRAGMA query_only = ON")
            return
        # Nobody waits in real time for a lock that the simulation holds.
        hurries = self.kind == LOCKED
        if hurries != session.hurries:
            session.hurries = False
            session.execute(f"PRAGMA busy_timeout = {0 if hurries else 2000}")
            session.hurries = hurries

    def postgresql(self, session: Any) -> None:
        """Have this session meet the trouble, or be rid of it."""
        if self.kind == READS:
            _set(session, "SET default_transaction_read_only = on")
            return
        session.hurries, hurried = self.kind == LOCKED, session.hurries
        if session.hurries and not hurried:
            session.patience = _set(session, "SHOW lock_timeout")
            _set(session, "SET lock_timeout = '1ms'")
        elif hurried and not session.hurries:
            _set(session, f"SET lock_timeout = '{session.patience}'")


def _set(session: Any, statement: str) -> str:
    session.autocommit = True
    shown = session.execute(statement)
    value = str(shown.fetchone()[0]) if shown.description else ""
    session.autocommit = False
    return value


class SqliteCopies:
    """The file of a life and what was kept of it."""

    def __init__(self, file: Path, database: Database) -> None:
        self.leave = lambda: None
        self._file, self._kept = file, file.with_suffix(".kept")
        self._database = database
        self._kept.unlink(missing_ok=True)

    def keep(self) -> None:
        with (
            closing(sqlite3.connect(self._file)) as source,
            closing(sqlite3.connect(self._kept)) as to,
        ):
            source.backup(to)

    def go_back(self) -> bool:
        """Put the store back to what was kept, and end its sessions. False: nothing was kept."""
        if not self._kept.exists():
            return False
        self._database.close()
        with (
            closing(sqlite3.connect(self._kept)) as source,
            closing(sqlite3.connect(self._file)) as to,
        ):
            source.backup(to)
        self._kept.unlink()
        return True

    def lock(self) -> Any:
        other = sqlite3.connect(self._file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other


class PostgresqlCopies:
    """A database of the server's and the one that was copied from it."""

    def __init__(self, server: Any, name: str, database: Database) -> None:
        self._server, self._name, self._database = server, name, database
        self.leave = lambda: None
        self._kept: str | None = None

    def keep(self) -> None:
        self.drop()
        self._alone()
        self._kept = self._server.create(self._name)

    def go_back(self) -> bool:
        """Put the store back to what was kept, and end its sessions. False: nothing was kept."""
        if self._kept is None:
            return False
        self._alone()
        self._server.drop(self._name)
        self._server.execute(f"ALTER DATABASE {self._kept} RENAME TO {self._name}")
        self._kept = None
        return True

    def drop(self) -> None:
        """Take away what was kept."""
        if self._kept is not None:
            self._server.drop(self._kept)
            self._kept = None

    def lock(self) -> Any:
        other = psycopg.connect(self._server.url_of(self._name))
        with suppress(psycopg.errors.LockNotAvailable):
            other.execute("LOCK TABLE audit_events, inbox IN SHARE ROW EXCLUSIVE MODE")
        return other

    def _alone(self) -> None:
        self._database.close()
        self.leave()
