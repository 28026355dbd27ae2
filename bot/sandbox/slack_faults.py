"""What can go wrong between the app and Slack: faults on request, and Slack's rate limits."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(eq=False)
class Fault:
    """One thing to go wrong, the next `times` calls of `method` (None: until removed).

    `status` answers with this HTTP status and no JSON; `ratelimited` answers 429 with so many
    seconds of Retry-After, or that text; `error` answers `ok: false`; `drop` cuts the connection;
    `delay` waits so many seconds first; `hold` waits until `release()`. With `after` the call takes
    effect and only its answer is lost, replaced or late.
    """

    method: str = "*"
    times: int | None = 1
    status: int | None = None
    ratelimited: int | str | None = None
    delay: float = 0
    drop: bool = False
    error: str | None = None
    hold: bool = False
    after: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    released: Future[None] = field(default_factory=Future)

    def release(self) -> None:
        """Let the calls go on that a `hold` keeps."""
        if not self.released.done():
            self.released.set_result(None)


class Faults:
    """The faults in waiting, oldest first. `hit` counts by method how often one struck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self.hit: dict[str, int] = defaultdict(int)

    def add(
        self,
        method: str = "*",
        *,
        times: int | None = 1,
        status: int | None = None,
        ratelimited: int | str | None = None,
        delay: float = 0,
        drop: bool = False,
        error: str | None = None,
        hold: bool = False,
        after: bool = False,
    ) -> Fault:
        """Add a fault: see `Fault`.

        `"*"` is every Web API method; `response_url`, `upload`, `link` (the WebSocket handshake)
        and `hello` (what Slack says first on it; `error` is a reason to end it) are named alone.
        """
        fault = Fault(method, times, status, ratelimited, delay, drop, error, hold, after)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults and let go what they hold."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for fault in waiting:
            fault.release()

    def take(self, method: str) -> Fault | None:
        """The fault that strikes this call, if any; counts it."""
        with self._lock:
            for fault in self._waiting:
                if fault.method == method or (fault.method == "*" and "." in method):
                    self.hit[method] += 1
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._waiting.remove(fault)
                    return fault
        return None


TIERS = {
    **dict.fromkeys(
        ("usergroups.list", "usergroups.users.list", "users.list", "conversations.list"), 20
    ),
    **dict.fromkeys(
        (
            "chat.update",
            "chat.delete",
            "users.lookupByEmail",
            "conversations.open",
            "conversations.info",
            "conversations.history",
            "conversations.replies",
            "team.info",
        ),
        50,
    ),
    **dict.fromkeys(
        (
            "chat.postEphemeral",
            "views.open",
            "views.push",
            "views.update",
            "views.publish",
            "users.info",
            "conversations.members",
            "files.getUploadURLExternal",
            "files.completeUploadExternal",
        ),
        100,
    ),
}
"""Calls a minute, by method. Source: Slack, "Rate limits" and each method's page.

`apps.connections.open` is Tier 1 (one a minute and bursts of unknown size), so it is not limited.
"""

POSTS_A_SECOND = 1


class RateLimits:
    """Counts calls by the workspace's clock. Slack's allowance for bursts is not modelled."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[str, deque[datetime]] = defaultdict(deque)

    def retry_after(self, method: str, channel: str | None) -> int | None:
        """Count a call: None where it may pass, else the seconds to wait (at least 1)."""
        if method == "chat.postMessage":
            return self._count(f"{method} {channel}", POSTS_A_SECOND, timedelta(seconds=1))
        if method in TIERS:
            return self._count(method, TIERS[method], MINUTE)
        return None

    def _count(self, key: str, limit: int, window: timedelta) -> int | None:
        now = self._clock()
        with self._lock:
            calls = self._calls[key]
            while calls and now - calls[0] >= window:
                calls.popleft()
            if len(calls) < limit:
                calls.append(now)
                return None
            return max(1, math.ceil((calls[0] + window - now).total_seconds()))
