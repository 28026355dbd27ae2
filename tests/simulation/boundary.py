"""Every point at which the simulated process may die, lose its store, or be overtaken by others.

A point is a transaction's begin, its commit, and each call to AWS or Slack, before and after it
takes effect. The database and the clients are the real ones: these are hooks that SQLAlchemy, the
drivers, botocore and urllib offer to anybody. A commit is met in the driver's own connection:
SQLAlchemy's event for it would make every statement of the life dearer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from bot.store.database import Database
from bot.store.silence import ListeningConnection
from tests.simulation.store_troubles import FULL, Troubles

BEGIN, COMMIT = "begin", "commit"
STORE = frozenset({BEGIN, COMMIT})

Commit = Callable[[], None]
"""Has the driver commit."""


class StoreGone(Exception):
    """The store does not answer; the hooks below say it as its driver does."""


class Unforeseen(Exception):
    """What AWS or Slack never does, and no code can have foreseen."""


class SimulatedCrash(BaseException):
    """The process died. Not an Exception, because nothing in the bot may catch it."""


@dataclass
class _Armed:
    """`after` so many points of `where` (empty: any), `act` is called with what commits there.

    It is counted by its `kind`; of a crash and an outage, by the point as well.
    """

    kind: str
    after: int
    act: Callable[[Commit | None], None]
    where: frozenset[str]


class Boundary:
    """Counts the points passed, and does at one of them what is armed.

    `met` counts what happened, by name. Once dead, every further point raises again, because a dead
    process does not clean up either; `revive` is the new process. Only the
    thread that made it is watched.
    """

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self.dead = False
        self._armed: list[_Armed] = []
        self._watching = False
        self._acting = False
        self._committed = False
        self._thread = threading.get_ident()

    def arm_crash(self, after: int, where: frozenset[str] = frozenset()) -> None:
        """Die at the point of `where` (empty: any) that comes after so many others."""
        self._armed.append(_Armed("crash", after, self._die, where))

    def arm_crash_after_commit(self, after: int) -> None:
        """Die just after a commit: before the point that follows it."""
        self._armed.append(_Armed("crash: committed", after, self._die_soon, frozenset({COMMIT})))

    def arm_outage(self, after: int, *, applied: bool) -> None:
        """The store does not answer at one begin or commit; `applied`: that commit was done."""
        outage = _Armed("outage", after, _go, STORE)
        if applied:
            outage = _Armed("outage: committed", after, _commit_and_go, frozenset({COMMIT}))
        self._armed.append(outage)

    def arm_raise(self, after: int, where: frozenset[str]) -> None:
        """Raise at a point of `where` what nobody has foreseen."""
        self._armed.append(_Armed("raised", after, _raise, where))

    def arm(self, kind: str, after: int, act: Callable[[], None], where: frozenset[str]) -> None:
        """Let somebody else act at a point of `where`."""
        self._armed.append(_Armed(kind, after, lambda _: act(), where))

    def disarm(self) -> None:
        """Take away what is armed and was not met."""
        self._armed.clear()
        self._committed = False

    def revive(self) -> None:
        self.dead = False
        self._committed = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What is done in this block is done by the bot; only there can something be met."""
        before, self._watching = self._watching, True
        try:
            yield
        finally:
            self._watching = before
        if self._committed:
            self._committed = False
            self.dead = True
            raise SimulatedCrash

    def reach(self, point: str, commit: Commit | None = None) -> None:
        """Pass a point. Raises what is met there."""
        if not self._watching or self._acting or threading.get_ident() != self._thread:
            return
        if self.dead or self._committed:
            self.dead = True
            raise SimulatedCrash
        for armed in list(self._armed):
            if armed.where and point not in armed.where:
                continue
            armed.after -= 1
            if armed.after < 0:
                self._armed.remove(armed)
                self._meet(armed, point, commit)

    def _meet(self, armed: _Armed, point: str, commit: Commit | None) -> None:
        named = armed.kind in {"crash", "outage", "raised"}
        self.met[f"{armed.kind}: {point}" if named else armed.kind] += 1
        self._acting = True
        try:
            armed.act(commit)
        finally:
            self._acting = False

    def _die(self, _: Commit | None) -> None:
        self.dead = True
        raise SimulatedCrash

    def _die_soon(self, _: Commit | None) -> None:
        self._committed = True


def _raise(_: Commit | None) -> None:
    raise Unforeseen("what nobody has foreseen")


def _go(_: Commit | None) -> None:
    raise StoreGone


def _commit_and_go(commit: Commit | None) -> None:
    if commit is not None:
        commit()
    raise StoreGone


@contextmanager
def store_boundary(database: Database, boundary: Boundary, troubles: Troubles) -> Iterator[None]:
    """Let the boundary see each transaction of this database, which has no session yet, and each
    session meet what is wrong with the store."""
    kind = _sqlite if database.is_sqlite else _postgresql
    hooks = {**kind(boundary, troubles), "handle_error": troubles.refused}
    for name, hook in hooks.items():
        event.listen(database.engine, name, hook)
    try:
        yield
    finally:
        for name, hook in hooks.items():
            event.remove(database.engine, name, hook)


def _begin(boundary: Boundary) -> None:
    try:
        boundary.reach(BEGIN)
    except StoreGone as gone:
        # Here the pool gives a session out, and no driver is asked.
        raise OperationalError("the simulated store", None, gone) from gone


def _sqlite(boundary: Boundary, troubles: Troubles) -> dict[str, Callable[..., Any]]:
    class Watched(sqlite3.Connection):
        hurries = False

        def cursor(self, factory: type[sqlite3.Cursor] = sqlite3.Cursor) -> sqlite3.Cursor:
            return super().cursor(_Impatient if self.hurries else factory)

        def commit(self) -> None:
            if troubles.kind == FULL and self.in_transaction:
                self.rollback()
                raise _disk_full()
            try:
                boundary.reach(COMMIT, super().commit)
            except BaseException as met:
                # As SQLite does. One that is only closed keeps its lock while any cursor lives.
                self.rollback()
                if isinstance(met, StoreGone):
                    raise sqlite3.OperationalError("disk I/O error") from met
                raise
            super().commit()

    def connects(_: Any, __: Any, ___: Any, options: dict[str, Any]) -> None:
        options["factory"] = Watched

    def connected(session: Any, _: Any) -> None:
        # The simulated process dies, its machine never does.
        session.execute("PRAGMA synchronous = OFF")

    def taken(session: Any, *_: Any) -> None:
        troubles.sqlite(session)
        _begin(boundary)

    return {"do_connect": connects, "connect": connected, "checkout": taken}


class _Impatient(sqlite3.Cursor):
    """Waits for no lock, whatever patience is set."""

    def execute(self, statement: str, *values: Any) -> _Impatient:
        if not statement.startswith("PRAGMA busy_timeout"):
            super().execute(statement, *values)
        return self


def _disk_full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    error.sqlite_errorname = "SQLITE_FULL"
    return error


def _postgresql(boundary: Boundary, troubles: Troubles) -> dict[str, Callable[..., Any]]:
    class Watched(ListeningConnection):
        hurries = False
        patience = ""

        def commit(self) -> None:
            if troubles.kind == FULL:
                self.rollback()
                raise psycopg.errors.DiskFull("could not extend file: No space left on device")
            try:
                boundary.reach(COMMIT, super().commit)
            except StoreGone as gone:
                raise psycopg.OperationalError("server closed the connection") from gone
            super().commit()

    def connected(session: Any, _: Any) -> None:
        session.__class__ = Watched  # the bot makes its sessions itself, of the class above

    def taken(session: Any, *_: Any) -> None:
        troubles.postgresql(session)
        _begin(boundary)

    return {"connect": connected, "checkout": taken}
