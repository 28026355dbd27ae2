"""How often Slack may be asked: the published limits, a part of each kept for what must not wait.

Source: Slack, "Rate limits", and each method's page. The limits are an app's in a workspace, and a
budget is one process's: with several replicas it is Slack's own 429 that counts.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from bot.core.errors import DirectoryUnavailable

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 61.0
"""Slack counts by the minute; one second more, because a call takes some time to get there."""

_UNSAID = timedelta(seconds=30)
"""How long a method is left alone after a 429 that does not say how long."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Calls of one method: so many a minute, of which some are reserved."""

    a_minute: int
    reserved: int


PUBLISHED: Final = {
    "usergroups_users_list": Allowance(20, 6),
    "conversations_info": Allowance(50, 10),
    "conversations_members": Allowance(100, 20),
    "users_info": Allowance(100, 20),
}
"""By the SDK's name of the method. Tier 2, 3, 4 and 4."""


class Limited(DirectoryUnavailable):
    """Slack may not be asked now. `after` is how long until it may."""

    def __init__(self, after: timedelta) -> None:
        seconds = max(1, round(after.total_seconds()))
        shown = f"{seconds} s" if seconds < 100 else f"{round(seconds / 60)} min"  # noqa: PLR2004
        super().__init__(
            "slack_limited",
            "Slack limits how often I may ask it who is in a group, and that limit is used up. "
            f"Nothing was changed. It works again in {shown}.",
        )
        self.after = after


class CallBudget:
    """Counts the calls of the last minute. `now` is in seconds and never goes back.

    Ordinary calls stop where the reserve begins. Safe to use from several threads.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._closed_until: dict[str, float] = {}

    def take(self, method: str, *, reserved: bool) -> None:
        """Count a call that is about to be made. Raises Limited where it must not be."""
        now = self._now()
        with self._lock:
            closed_until = self._closed_until.get(method, now)
            if closed_until > now:
                raise Limited(timedelta(seconds=closed_until - now))
            allowance = PUBLISHED.get(method)
            if allowance is None:
                return
            calls = self._calls[method]
            while calls and now - calls[0] >= WINDOW_SECONDS:
                calls.popleft()
            most = allowance.a_minute if reserved else allowance.a_minute - allowance.reserved
            if len(calls) >= most:
                raise Limited(timedelta(seconds=calls[len(calls) - most] + WINDOW_SECONDS - now))
            calls.append(now)

    def refused(self, method: str, after: timedelta | None) -> Limited:
        """Slack said 429: nobody asks this method before it is over. Returns what to raise."""
        wait = after or _UNSAID
        log.warning("Slack limits a method", method=method, seconds=wait.total_seconds())
        with self._lock:
            until = self._now() + wait.total_seconds()
            self._closed_until[method] = max(until, self._closed_until.get(method, until))
        return Limited(wait)
