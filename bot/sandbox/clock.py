"""A clock that can be moved forward, so that expiry can be watched without waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class MovableClock:
    """Real time plus an offset that only grows. `subscribe` is told of each move."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta()
        self._subscribers: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        """Seconds that never go back, and that pass as this clock does."""
        return time.monotonic() + self.offset.total_seconds()

    @property
    def offset(self) -> timedelta:
        """How far this clock is ahead of real time."""
        with self._lock:
            return self._offset

    def advance(self, by: timedelta) -> None:
        """Move forward. Raises ValueError for a move back."""
        if by < timedelta():
            raise ValueError("the sandbox's clock goes only forward")
        with self._lock:
            self._offset += by
            subscribers = list(self._subscribers)
        for told in subscribers:
            told()

    def subscribe(self, told: Callable[[], None]) -> None:
        """Have `told` called after each move."""
        with self._lock:
            self._subscribers.append(told)
