"""Find rows that are live and never due, have them looked at, and tell people.

There are none: that is what the database refuses and what the tests show. Where one is found all
the same, something was done to the store that nobody thought of, and access may hang on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.store import audit, never_due
from bot.store.database import Database
from bot.store.never_due import Found

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)


class Sweep:
    """The loop that looks every minute; used from one thread.

    `announce` tells people, in the transaction that it is given. `found` counts the rows.
    """

    def __init__(
        self,
        database: Database,
        *,
        announce: Callable[[Connection, Sequence[Found], datetime], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock
        self._looked_at: datetime | None = None
        self.found = 0

    def due(self) -> list[str]:
        """One item of work where a minute has passed and there is such a row."""
        now = self._clock()
        if self._looked_at is not None and abs(now - self._looked_at) < EVERY:
            return []
        with self._database.reading() as tx:
            found = never_due.find(tx)
        self._looked_at = now
        return ["rows"] if found else []

    def work(self, _: str) -> None:
        """Have all such rows looked at now."""
        now = self._clock()
        with self._database.transaction() as tx:
            found = never_due.find(tx)
            if not found:
                return  # another replica was faster
            never_due.make_due(tx, now)
            rows = [f"{one.table} {one.key}" for one in found]
            audit.record(tx, [AuditEvent(now, BOT, "store.made_due", details={"rows": rows})])
            self._announce(tx, found, now)
        self.found += len(found)
        log.error("rows were live and nothing would have looked at them again", rows=rows)
