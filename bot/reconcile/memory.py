"""What this process remembers of the store must not outlive a store that went back.

A failover that loses the last commits, or a backup restored under a running bot, takes away what
was decided last: a grant that was revoked, and is gone from EKS, is ACTIVE again in the store. What
the bot has seen before then speaks for giving it anew, and nothing in the store against it.

So the newest of the audit trail is remembered here, by each replica for itself. Where the store has
it no more, all that was seen is forgotten; what is approved and not given yet ends, because nobody
knows whether it was taken back; and people are told. The transaction that stores the intent of a
write that gives access asks first. What takes access away waits for none of this.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from bot.core import lifecycle
from bot.core.audit_chain import EMPTY, Head
from bot.core.errors import AwsProblem
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent, EndReason, GrantState
from bot.reconcile.storing import store_grant
from bot.store import audit, entries, grants, inbox, messages, newest, requests
from bot.store.database import Database
from bot.store.newest import WENT_BACK, Event, Newest

log = structlog.get_logger(__name__)

NOT_GIVEN = (
    "The database of eks-access went back to an earlier state before this access was confirmed. "
    "The bot cannot tell whether somebody took it back in between, so it does not give it. "
    "Ask again."
)
REFUSED = (
    "The database of eks-access went back to an earlier state just now. The bot cannot tell "
    "whether this was carried out before, so it did nothing. Look at `/eks-access mine`, and send "
    "it again if you still want it."
)
_BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": REFUSED, "verbatim": True}}
_ANSWER = {"text": REFUSED, "blocks": [_BLOCK], "good": False}

_NOT_YET_GIVEN = (GrantState.SCHEDULED, GrantState.PROVISIONING)


class WentBack(Exception):
    """The store is not what it was when this piece of work began: it gives nothing more."""


class StoreMemory:
    """Safe to call from several threads.

    `announce` tells people, in the transaction that it is given, and takes the ids of the grants
    that ended. `anchored` gives the newest head of the audit trail that is known outside of the
    store; it is asked once, because a process that has just started remembers nothing. Each of
    `forgets` is called where the store went back; `epoch` counts how often that was.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        announce: Callable[[Connection, str, tuple[str, ...], datetime], None] = lambda *_: None,
        anchored: Callable[[Head], Head | None] = lambda _: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._announce = announce
        self._anchored: Callable[[Head], Head | None] | None = anchored
        self._lock = threading.Lock()
        self._known = Newest()
        self._known_at = clock()
        self._note_lock = threading.Lock()  # nobody who holds it waits for the store
        self._noted: Event | None = None
        self.forgets: list[Callable[[], None]] = []
        self.epoch = 0

    def due(self) -> list[str]:
        """Nothing: the look is all that its loop does. Raises StoreUnavailable."""
        self.look()
        return []

    def work(self, _: str) -> None:
        """Never called."""

    def note(self, tx: Connection) -> None:
        """Remember the newest event, because something is done or shown by what the store says.

        Called before `tx` records events of its own: those may never be committed.
        """
        epoch = self.epoch
        event = newest.newest_event(tx)
        if event is None or not self._is_newer(event):
            return
        # What a store that went back has no more is not to be forgotten for something newer. The
        # seal is left out: it may come from outside, and where it is wrong removals go on.
        if newest.holds(tx, Newest(event=self._known.event), self._noted):
            with self._note_lock:
                if epoch == self.epoch and self._is_newer(event):
                    self._noted = event

    def _is_newer(self, event: Event) -> bool:
        return all(one is None or event.id > one.id for one in (self._known.event, self._noted))

    def is_same(self, tx: Connection, epoch: int) -> bool:
        """Whether the store has not gone back since `epoch` was read."""
        return epoch == self.epoch and self._holds(tx)

    def _holds(self, tx: Connection) -> bool:
        return newest.holds(tx, self._known, self._noted)

    def look(self) -> None:
        """Remember what is newest, or deal with a store that went back. Raises StoreUnavailable."""
        with self._lock:
            # First: what another thread notes while this one reads is newer than what it reads.
            noted = self._noted
            with self._database.reading() as tx:
                found = newest.newest(tx)
                self._ask_outside(tx, found.head)
                well = newest.holds(tx, self._known, noted)
                told = newest.told_after(tx, self._known)
            if not well:
                self._start_anew(found)
                with self._database.reading() as tx:
                    found = newest.newest(tx)
                with self._note_lock:
                    self._noted = None
            elif told:
                # What this one remembers was not lost, and what it saw since may have been.
                self._forget()
            self._known, self._known_at = found, self._clock()

    def _ask_outside(self, tx: Connection, head: Head) -> None:
        """Take what is anchored for what was seen, where this process has seen nothing yet."""
        if self._anchored is None:
            return
        try:
            anchored = self._anchored(head)
        except AwsProblem as problem:
            log.warning("no anchor tells whether the store went back", problem=problem.sentence)
            anchored = None
        if anchored is not None:
            self._known = Newest(anchored)  # first: where what follows fails, nothing is given
            # Whether it was told, the whole trail has to be read for; so that is asked last.
            if self._holds(tx) or newest.was_told(tx, anchored):
                self._known = Newest()
        self._anchored = None

    def _forget(self) -> None:
        self.epoch += 1  # first, so that no work under way counts as seen what it began before
        for forget in self.forgets:
            forget()

    def _start_anew(self, found: Newest) -> None:
        self._forget()
        known, now = self._known, self._clock()
        details = {
            "position": known.head.position,
            "hash": known.head.hash if known.head != EMPTY else None,
            "found_position": found.head.position,
            "last_event": max((one.id for one in (known.event, self._noted) if one), default=None),
            "found_event": found.event.id if found.event is not None else None,
        }
        log.error("the store went back to an earlier state: what was seen is forgotten", **details)
        with self._database.transaction() as tx:
            inbox.refuse_new(tx, _ANSWER, now)
        with self._database.transaction() as tx:
            # The clocks of replicas differ a little, and one that looks again does no harm.
            if not newest.told_since(tx, self._known_at):
                self._settle(tx, details, now)

    def _settle(self, tx: Connection, details: Mapping[str, Any], now: datetime) -> None:
        """End what is not given yet, and have the rest looked at."""
        requests.lock(tx, (one.id for one in grants.live(tx, states=_NOT_YET_GIVEN)))
        ended = grants.live(tx, states=_NOT_YET_GIVEN)  # as it is now that they are locked
        for grant in ended:
            failed = lifecycle.revoke(grant, now, EndReason.FAILED, by=BOT, problem=NOT_GIVEN)
            store_grant(tx, grant, *failed)
        messages.show_anew(tx)
        entries.wake_in_use(tx, now)
        ids = tuple(one.id for one in ended)
        audit.record(tx, [AuditEvent(now, BOT, WENT_BACK, details={**details, "ended": list(ids)})])
        self._announce(tx, f"{details['position']}:{details['last_event']}", ids, now)
