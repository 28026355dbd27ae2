"""A clock that stands still until somebody moves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class HandClock:
    """Call it for the time, an aware UTC `datetime`. `subscribe`d callbacks run at each move."""

    def __init__(self, start: datetime = START) -> None:
        self._lock = threading.Lock()
        self._now = start
        self._listeners: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Move on, by seconds or a `timedelta`; the new time."""
        with self._lock:
            self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
            now = self._now
        for listener in list(self._listeners):
            listener()
        return now

    def subscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)
