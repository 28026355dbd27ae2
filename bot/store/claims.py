"""Claims on work, so that one worker at a time looks after one thing.

A claim lasts as long as its holder lives: on PostgreSQL it is a session advisory lock, which the
server drops with the connection; on SQLite, which one process uses at a time, it is a set in
memory. There is no lease that could run out under a slow worker or outlive a dead one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.store.database import Database

_STILL_WRITES = text("SELECT current_setting('transaction_read_only') = 'off'")

StillHeld = Callable[[], bool]


class ClaimLost(Exception):
    """Another worker may hold the claim by now, so this one stops before its next effect."""


class Claims:
    """Claims by name, such as `entry:17`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, name: str) -> Iterator[StillHeld | None]:
        """Hold `name` for the block; None where another holds it.

        The value tells whether the claim still holds: a worker asks before each effect that must
        not come from two workers.
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
        with self._database.autocommit() as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
                yield None
                return

            def still_held() -> bool:
                # Answers only while the session that holds the lock is alive. After a failover it
                # may live on where nothing is written, and another hold the claim at the new one.
                try:
                    return bool(connection.scalar(_STILL_WRITES))
                except SQLAlchemyError:
                    return False

            try:
                yield still_held
            finally:
                try:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                except SQLAlchemyError:
                    connection.invalidate()  # the lock goes with the session
