"""A steady pace for work that is in no hurry, so that it takes no quota from work that is."""

from __future__ import annotations

import threading
import time


class Stopped(Exception):
    """The bot stops, so what is in no hurry is left for the next time."""


class Pace:
    """At most `per_second` calls, one after the other. For one thread."""

    def __init__(self, per_second: float, stopping: threading.Event) -> None:
        self._pause = 1 / per_second
        self._stopping = stopping
        self._next = time.monotonic()

    def take(self, calls: int = 1) -> None:
        """Wait until so many calls may be made. Raises Stopped."""
        now = time.monotonic()
        if self._stopping.wait(max(0.0, self._next - now)):
            raise Stopped
        self._next = max(self._next, now) + calls * self._pause
