"""The loop that seals audit events, one after the other, while requests do not wait for it.

Events are written without a seal, in the transaction of what they record. Afterwards one sealer at
a time gives each its place in the chain. A crash leaves events that wait, and nothing half sealed:
the seals and the end of the waiting are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.exc import IntegrityError

from bot.core.audit_chain import seal
from bot.store import audit_seals
from bot.store.claims import Claims
from bot.store.database import Database

log = structlog.get_logger(__name__)

BATCH = 500
"""Seals in one transaction: on SQLite others wait for it, some milliseconds."""

_CLAIM = "audit:seal"


class AuditSealer:
    """Seals what waits. Safe to call from several threads and replicas."""

    def __init__(
        self, database: Database, claims: Claims, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._claims = claims
        self._clock = clock

    def due(self) -> Sequence[str]:
        """One item of work while any event waits for its seal."""
        with self._database.reading() as tx:
            return [_CLAIM] if audit_seals.any_waiting(tx) else []

    def seal(self, name: str = _CLAIM) -> None:
        """Seal all that waits, unless another is at it."""
        after: int | None = 0
        with self._claims.claim(name) as still_held:
            while still_held is not None and after is not None and still_held():
                after = self._seal_some(after)

    def _seal_some(self, after: int) -> int | None:
        """Seal a batch of events with ids behind `after`. Returns the last id where more may wait.

        What the bot cannot have written is left: `audit verify` tells of it.
        """
        with self._database.reading() as tx:
            events = audit_seals.to_seal(tx, after=after, limit=BATCH)
            head = audit_seals.head(tx)
        seals = seal(head, events, self._clock())
        try:
            with self._database.transaction() as tx:
                audit_seals.append(tx, seals)
        except IntegrityError:
            # A sealer whose claim was lost just now was faster. What it sealed waits no more.
            log.info("sealed by another at the same moment, left to the next round")
            return None
        return events[-1].id if len(events) == BATCH else None
