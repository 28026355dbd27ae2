"""When what arrived from Slack was received: Slack waits three seconds for an answer from then on.

A payload may wait for a thread, so the moment travels with it to the thread that handles it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

_received: ContextVar[float] = ContextVar("received")


def receive() -> None:
    """Note that what this thread or task handles from here on was received now."""
    _received.set(time.monotonic())


def seconds_since() -> float:
    """How long ago it was received; 0 where nobody noted it."""
    now = time.monotonic()
    return now - _received.get(now)


class ReceivingPool(ThreadPoolExecutor):
    """Threads for what was received when it was submitted."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        received = time.monotonic()

        def handle() -> Any:
            _received.set(received)
            return work(*args, **options)

        return super().submit(handle)
