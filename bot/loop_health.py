"""What can be told of a loop: whether its work succeeds, and not only that it is tried."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from datetime import datetime, timedelta

import structlog

from bot.core.errors import StoreUnavailable, reason

log = structlog.get_logger(__name__)

STALE = timedelta(seconds=10)
"""How long a loop may neither look nor succeed before it counts as not well."""


class LoopHealth:
    """The health of one loop, by the times that its threads tell.

    `last_look` is when it last learned what is due, `last_success` when work was last done.
    `failing_since` is since when it fails, None while it does not: a look, or work, that the store
    did not answer, or two different items that failed with no success between. One item alone that
    fails may be at fault itself, but where `one_by_one`, and must not make the whole bot unready.
    """

    def __init__(self, name: str, *, one_by_one: bool) -> None:
        self._name = name
        self._one_by_one = one_by_one
        self._lock = threading.Lock()
        self._failed: set[Hashable] = set()
        self.last_look: datetime | None = None
        self.last_success: datetime | None = None
        self.failing_since: datetime | None = None
        self._why = ""

    def problem(self, now: datetime) -> str | None:
        """Why it does not do its work now, in a sentence; None where it does.

        A time in the future was written before somebody set the clock back, and tells nothing.
        """
        since, last_look = self.failing_since, self.last_look
        if since is not None and abs(now - since) >= STALE:
            return f"Its work has failed since {since:%Y-%m-%d %H:%M:%S} UTC. {self._why}"
        if last_look is None:
            return "It has not read the database since the bot started."
        if abs(now - last_look) >= STALE:
            return f"It has not read the database since {last_look:%Y-%m-%d %H:%M:%S} UTC."
        return None

    def looked(self, now: datetime, *, idle: bool) -> None:
        """It learned what is due; `idle`: that is nothing, and nothing is under way."""
        self.last_look = now
        if idle:
            self._recovered(now)

    def succeeded(self, now: datetime) -> None:
        """Work was done."""
        self.last_success = now
        self._recovered(now)

    def failed(self, now: datetime, error: BaseException, item: Hashable = None) -> None:
        """Work on an item failed, or with no item the look."""
        away = isinstance(error, StoreUnavailable)
        with self._lock:
            if item is not None:
                self._failed.add(item)
            whole = away or self._one_by_one or len(self._failed) > 1
            begins = whole and self.failing_since is None
            if whole:
                self._why = reason(error)
            if begins:
                self.failing_since = now
        if begins and away:
            cause = str(error.__cause__)
            log.error("the store does not take this loop's work", loop=self._name, cause=cause)

    def _recovered(self, now: datetime) -> None:
        with self._lock:
            since, self.failing_since = self.failing_since, None
            self._failed.clear()
        if since is not None:
            seconds = round((now - since).total_seconds())
            log.info("a loop that failed works again", loop=self._name, after_seconds=seconds)
