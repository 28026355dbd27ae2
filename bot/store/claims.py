"""Claims on work, so that one worker at a time looks after one thing.

A claim lasts as long as its holder lives: on PostgreSQL it is a session advisory lock, which the
server drops with the connection; on SQLite, which one process uses at a time, it is a set in
memory. There is no lease that could run out under a slow worker or outlive a dead one.

All claims of a process are held by one session beside the pool, however long their work takes: so
many that wait for Slack or EKS take no connection from transactions. The set in memory is there on
PostgreSQL too, for a session gets a lock again that it has.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from bot.core.errors import StoreUnavailable
from bot.store import faults
from bot.store.database import STATEMENT, Database

_WRITES = "SELECT current_setting('transaction_read_only') = 'off'"
_TAKE = f"{_WRITES}, pg_try_advisory_lock(%s)"
_LET_GO = f"{_WRITES}, pg_advisory_unlock(%s)"

StillHeld = Callable[[], bool]


class ClaimLost(Exception):
    """Another worker may hold the claim by now, so this one stops before its next effect."""


class Claims:
    """Claims by name, such as `entry:17`. Safe to call from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._session: _Session | None = None

    @contextmanager
    def claim(self, name: str) -> Iterator[StillHeld | None]:
        """Hold `name` for the block; None where another holds it.

        The value tells whether the claim still holds: a worker asks before each effect that must
        not come from two workers. Raises StoreUnavailable where PostgreSQL does not answer.
        """
        with self._lock:
            free = name not in self._held
            self._held.add(name)
        if not free:
            yield None
            return
        try:
            if self._database.is_sqlite:
                yield lambda: True
            else:
                with self._advisory(name) as still_held:
                    yield still_held
        finally:
            with self._lock:
                self._held.discard(name)

    @contextmanager
    def _advisory(self, name: str) -> Iterator[StillHeld | None]:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        session, taken = self._take(key)
        try:
            yield session.holds if taken else None
        finally:
            if taken:
                session.let_go(key)
            self._leave(session)

    def _take(self, key: int) -> tuple[_Session, bool]:
        """The session, and whether it got the lock. One that died since it was used is replaced."""
        session = self._enter()
        try:
            return session, session.take(key)
        except StoreUnavailable:
            self._leave(session)
        session = self._enter()
        try:
            return session, session.take(key)
        except StoreUnavailable:
            self._leave(session)
            raise

    def _enter(self) -> _Session:
        """The session of new claims, opened where there is none that is fit for them."""
        if not self._opening.acquire(timeout=self._database.patience):
            raise faults.AWAY.error(TimeoutError())
        try:
            if self._session is None or not self._session.fit:
                before, self._session = self._session, _Session(self._database)
                if before is not None:
                    self._end_unused(before)
            with self._lock:
                self._session.claims += 1
                return self._session
        finally:
            self._opening.release()

    def _leave(self, session: _Session) -> None:
        with self._lock:
            session.claims -= 1
        self._end_unused(session)

    def _end_unused(self, session: _Session) -> None:
        """A session that was replaced lasts until the last claim in it is given back."""
        with self._lock:
            unused = session.claims == 0 and session is not self._session
        if unused:
            session.end()


class _Session:
    """A session of PostgreSQL that holds claims. Its statements run one after the other.

    Once it fails to answer, or only reads, it is over, and every claim in it is lost for good:
    after a failover it may live on where nothing is written, and another hold them at the new one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renewals = database.renewals
        self._wire = database.own_session()
        self._turn = threading.Lock()
        self._over = False
        self.claims = 0
        """How many use it. Written under the lock of Claims."""

    @property
    def fit(self) -> bool:
        """Whether new claims may be in it: not where the pool has given up what is as old."""
        return not self._over and self._renewals == self._database.renewals

    def take(self, key: int) -> bool:
        """Whether the lock was free. Raises StoreUnavailable."""
        return bool(self._ask(_TAKE, key)[1])

    def holds(self) -> bool:
        """Whether the claims in it still hold."""
        try:
            self._ask(_WRITES)
        except StoreUnavailable:
            return False
        return True

    def let_go(self, key: int) -> None:
        """Give the lock back; where that fails it goes with the session."""
        with suppress(StoreUnavailable):
            self._ask(_LET_GO, key)

    def end(self) -> None:
        """End it, or leave that to the thread whose statement is under way."""
        self._over = True
        if self._turn.acquire(blocking=False):
            self._wire.close()
            self._turn.release()

    def _ask(self, statement: str, *values: int) -> tuple[Any, ...]:
        """The server's answer. Raises StoreUnavailable, after which the session is over."""
        if not self._turn.acquire(timeout=STATEMENT.total_seconds()):
            self._over = True
            raise faults.BUSY.error(TimeoutError())
        try:
            return self._answer(statement, values)
        except psycopg.Error as error:
            self._over = True
            raise faults.fault_of(error).error(error) from error
        finally:
            self._turn.release()
            if self._over:
                self.end()

    def _answer(self, statement: str, values: tuple[int, ...]) -> tuple[Any, ...]:
        if self._over:
            raise psycopg.OperationalError
        row = self._wire.execute(statement.encode(), values).fetchone()
        if row is None or not row[0]:
            raise psycopg.errors.ReadOnlySqlTransaction
        return row
