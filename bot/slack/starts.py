"""The loop that begins access which was approved for later, once its time has come.

Like a click, each start is decided from what Slack and the policy say then. Where Slack does not
answer it is tried again, until the access loop gives up what could not begin in time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from bot.access.start import begin
from bot.core.errors import Conflict, DomainError, StoreUnavailable
from bot.policy_file import LoadedPolicy
from bot.reconcile.backoff import pause
from bot.slack.fact_finder import FactFinder
from bot.store import grants
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.due import LONGEST_PAUSE

log = structlog.get_logger(__name__)

_BATCH = 100


class Starts:
    """Begins what is due. Safe to call from several threads; `changed` is called after a commit."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        facts: FactFinder,
        policy: Callable[[], LoadedPolicy],
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._facts = facts
        self._policy = policy
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        # What could not be decided, how often that was tried, and when it is tried again.
        self._put_off: dict[str, tuple[int, datetime]] = {}

    def forget(self) -> None:
        """Put nothing off: the store went back to an earlier state."""
        with self._lock:
            self._put_off = {}

    def due(self, beside: int = 0) -> list[str]:
        """Ids of the grants to begin now: a batch beside those put off, and `beside` more."""
        now = self._clock()
        with self._lock:
            most = _BATCH + beside + len(self._put_off)
        with self._database.reading() as tx:
            found = grants.starting(tx, now, most)
        with self._lock:
            self._put_off = {one: at for one, at in self._put_off.items() if one in found}
            return [one for one in found if self._may_be_tried(one, now)]

    def work(self, grant_id: str) -> None:
        """Begin one, unless another worker is at it."""
        with self._claims.claim(f"start:{grant_id}") as still_held:
            if still_held is not None:
                self._begin(grant_id)

    def _may_be_tried(self, grant_id: str, now: datetime) -> bool:
        again_at = self._put_off.get(grant_id, (0, now))[1]
        # None is put off for so long: the clock was ahead.
        return again_at <= now or again_at > now + LONGEST_PAUSE

    def _begin(self, grant_id: str) -> None:
        try:
            facts = self._facts.of_start(grant_id)
            with self._database.transaction() as tx:
                if self._policy().digest != facts.digest:
                    raise Conflict("try_again", "The policy changed just now.")
                begin(tx, facts, grant_id)
        except StoreUnavailable:
            raise
        except DomainError as error:
            with self._lock:
                tries = self._put_off.get(grant_id, (0, None))[0] + 1
                self._put_off[grant_id] = (tries, self._clock() + pause(tries))
            log.warning("cannot begin access now", grant=grant_id, code=error.code, tries=tries)
            return
        self._changed()
