"""Publishing App Homes: in the background, one at a time for a person, the latest state last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from slack_sdk import WebClient

from bot.slack.blocks import View

log = structlog.get_logger(__name__)

LOOKED_AT_WITHIN = timedelta(hours=1)
"""How long after somebody opened their Home it follows what others do."""

MOST_FOLLOWED = 50
"""How many such Homes are kept; beyond that, whoever opened theirs first is dropped."""


class Homes:
    """Brings Homes up to date. Safe to call from several threads.

    Slack does not tell when a Home is closed, so those opened lately count as open. They are
    remembered in this process alone: another replica does not know of them, and nothing depends
    on it, because opening Home publishes it anew. The threads are of their own, so that no form
    waits behind fifty Homes.
    """

    def __init__(
        self,
        client: WebClient,
        view: Callable[[str], View],
        *,
        clock: Callable[[], datetime],
        in_background: Callable[[int, str], Executor] = ThreadPoolExecutor,
    ) -> None:
        self._client = client
        self._view = view
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[str, datetime] = {}
        # Who is to be published, and whether something changed since that began.
        self._due: dict[str, bool] = {}
        self._threads = in_background(2, "slack-homes")
        self._closed = False

    def opened(self, user_id: str) -> None:
        """Somebody looks at their Home."""
        with self._lock:
            self._opened.pop(user_id, None)
            self._opened[user_id] = self._clock()
            while len(self._opened) > MOST_FOLLOWED:
                del self._opened[next(iter(self._opened))]
        self._publish(user_id)

    def changed(self, requester: str) -> None:
        """A request of this person changed: for them, and for whoever looks at their Home."""
        oldest = self._clock() - LOOKED_AT_WITHIN
        with self._lock:
            looking = [user for user, at in self._opened.items() if at > oldest]
        for user_id in dict.fromkeys([requester, *looking]):
            self._publish(user_id)

    def close(self) -> None:
        """Let what is under way finish; drop the rest, which the next opening shows."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _publish(self, user_id: str) -> None:
        with self._lock:
            if self._closed:
                return  # the message loop goes on a little longer than Slack's payloads
            waiting = user_id in self._due
            self._due[user_id] = waiting
            if not waiting:
                self._threads.submit(self._run, user_id)

    def _run(self, user_id: str) -> None:
        while True:
            with self._lock:
                self._due[user_id] = False
            try:
                self._client.views_publish(user_id=user_id, view=self._view(user_id))
            except Exception:
                log.exception("cannot publish a Home", user=user_id)
            with self._lock:
                if not self._due[user_id]:
                    del self._due[user_id]
                    return
