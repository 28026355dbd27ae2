"""Say that this may be the wrong database, until it is put right or an operator adopts.

A store that meets entries of its own deployment before it gave any access may be an empty one that
was taken for the bot's by mistake, while another bot runs on the right one. Nothing of theirs is
taken away; see bot.core.planner. This loop says so at once, and again as late removals are told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.core.policy import Policy
from bot.reconcile.late_removals import alarm_times
from bot.store import audit, stores
from bot.store.announcements import ADOPTION
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.stores import Strangers

log = structlog.get_logger(__name__)

_CLAIM = "adoption"


class AdoptionAlarm:
    """The loop that announces. Safe to call from several threads.

    `announce` has it said under a key, in the transaction that it is given; False where it was.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        policy: Callable[[], Policy],
        announce: Callable[[Connection, str, Strangers, datetime], bool],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._policy = policy
        self._announce = announce
        self._clock = clock
        self._told = 0

    def forget(self) -> None:
        """Ask the store what was told: it went back to an earlier state."""
        self._told = 0

    def strangers(self) -> Strangers | None:
        """Whether this may be the wrong database. None, too, where nobody knows the deployment."""
        try:
            deployment = self._policy().deployment
        except PolicyUnavailable:
            return None
        with self._database.reading() as tx:
            return stores.strangers(tx, deployment)

    def problem(self) -> str | None:
        """Why the bot is not ready, as a sentence; None where nothing speaks against the store."""
        found = self.strangers()
        if found is None:
            return None
        return (
            f"This database gave no access yet, and {found.number} access entries of this "
            "deployment were made from another. Set DATABASE_URL right, or run `eks-access adopt`."
        )

    def due(self) -> list[int]:
        """The number of the alarm that is to be given now, if one is."""
        found = self.strangers()
        number = self._number(found)
        if number == 0:
            self._told = 0
        return [number] if number > self._told else []

    def tell(self, number: int) -> None:
        """Give it, unless another worker is at it."""
        with self._claims.claim(_CLAIM) as still_held:
            found = self.strangers()
            if still_held is None or found is None:
                return
            now = self._clock()
            details = {"since": found.since.isoformat(), "entries": found.number, "alarm": number}
            key = f"{ADOPTION}{found.since:%Y%m%d%H%M%S}:{number}"
            with self._database.transaction() as tx:
                if self._announce(tx, key, found, now):
                    audit.record(tx, [AuditEvent(now, BOT, "store.unsure", details=details)])
            self._told = number
            log.error(
                "this may be the wrong database: it gave no access yet, and met access entries of "
                "this deployment that were made from another one. None of them is touched. Set "
                "DATABASE_URL right, or run `eks-access adopt`",
                **details,
            )

    def _number(self, found: Strangers | None) -> int:
        """How many alarms there are by now: the first at once, and then as of late removals."""
        if found is None:
            return 0
        return 1 + alarm_times(self._policy).number(max(self._clock() - found.since, timedelta()))
