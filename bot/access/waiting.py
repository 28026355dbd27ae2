"""What time does to requests that nobody has decided: reminders, escalation, and their end.

Each step is done once, by whoever is first. Everything that it needs is in the store, so a restart,
a second replica or a clock that jumps changes nothing but when it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bot.access.end import lapse
from bot.core.errors import Conflict
from bot.core.model import AccessRequest, RequestState
from bot.core.steps import due_steps, next_step_at, stepped
from bot.store import audit, requests
from bot.store.database import Database

_BATCH = 100


class WaitingRequests:
    """The loop that reminds, escalates and lapses. `changed` is called after each commit."""

    def __init__(
        self,
        database: Database,
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._changed = changed
        self._clock = clock

    def due(self, beside: int = 0) -> list[str]:
        """Ids of the requests for which something is due now: `beside` more than a batch."""
        now = self._clock()
        with self._database.reading() as tx:
            lapsing = requests.lapsing(tx, now, _BATCH + beside)
            stepping = requests.stepping(tx, now, _BATCH + beside)
        return list(dict.fromkeys(lapsing + stepping))

    def work(self, request_id: str) -> None:
        """Do what is due for one request."""
        try:
            with self._database.transaction() as tx:
                pass_time(tx, request_id, self._clock())
        except Conflict:
            return  # decided at the last moment
        self._changed()


def pass_time(tx: Connection, request_id: str, now: datetime) -> AccessRequest:
    """Do what is due at `now`. Raises Conflict where the request was decided meanwhile."""
    request = requests.get_locked(tx, request_id)
    if request.lapses_at is not None and now >= request.lapses_at:
        return lapse(tx, request_id, now)
    if request.state is not RequestState.PENDING:
        return request
    steps = due_steps(request, requests.reviews_of(tx, request_id), now)
    request = replace(request, steps=request.steps + steps)
    requests.set_steps(tx, request, next_step_at(request, now))
    if steps:
        requests.touch(tx, request_id)
    audit.record(tx, [stepped(request, step) for step in steps])
    return request
