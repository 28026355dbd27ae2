"""Notice, each time the access loop looks at an entry, what others changed there.

A grant whose access was taken away ends, and with it what extends it. With `repair` the planner
makes the access anew instead, but only where the bot has seen the entry since it was started: what
was gone when it came back may have been taken away by a later state of its own store, of which this
one is an old backup.

So it is where the store went back under a running bot, see bot.reconcile.memory: what was seen
before then counts for nothing, and what is missing since then was taken away, however late EKS may
show what was given shortly before.

An entry that is gone while a backstop of earlier access may still strike was taken by that, and not
by anybody's wish: it is made anew, unless nothing is to be granted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from bot.core import drift, lifecycle
from bot.core.drift import Finding, Kind
from bot.core.model import AuditEvent, EndReason
from bot.core.planner import ObservedEntry
from bot.reconcile.access_grants import Snapshot
from bot.reconcile.memory import StoreMemory
from bot.reconcile.storing import store_grant
from bot.store import audit, backstops, entries, grants, lockdowns, requests
from bot.store import drift as drift_store
from bot.store.database import Database
from bot.store.entries import Entry

log = structlog.get_logger(__name__)


class DriftWatch:
    """Compares what EKS shows with what the store knows, and stores the difference.

    The caller holds the claim on the entry, so nothing else writes there.
    """

    def __init__(
        self,
        database: Database,
        repair: Callable[[], bool],
        memory: StoreMemory,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._repair = repair
        self._clock = clock
        self._started_at = clock()
        # By entry: how often the store had gone back when the look began. An earlier one is void.
        self._seen: dict[int, int] = {}
        self._memory = memory
        memory.forgets.append(self._forget)

    def saw(self, entry_id: int, epoch: int) -> None:
        """EKS was seen at the entry, and what is to be concluded from it is stored."""
        self._seen[entry_id] = epoch

    def _forget(self) -> None:
        # What is stored of looks up to now was concluded from what is not so any more.
        self._started_at = self._clock() + timedelta.resolution

    def look(
        self,
        entry: Entry,
        observed: ObservedEntry | None,
        stored: Snapshot,
        before: Collection[Finding],
    ) -> bool:
        """Note what differs at the entry, and end what others took away.

        `before` is what differed when it was looked at last. Returns whether anything differs or
        did, so that a look after the changes is worth it.
        """
        now, live = stored.at, stored.live
        unknown = self._memory.epoch > 0 and not self._was_seen(entry, now)
        found = drift.compare(
            live,
            observed,
            stored.record,
            owner=entry.owner,
            confirmed_before=self._started_at if unknown else now - entries.PROPAGATION,
            at_once=unknown,
        )
        if found is None:
            return bool(before)
        repair = bool(found) and self._may_repair(entry, found, now)
        if repair:
            self._memory.look()  # what was seen counts only if the store has not gone back since
            repair = self._may_repair(entry, found, now)
        lost = drift.lost(found, repair=repair)
        if not lost and set(found) == set(before):
            return bool(found)
        outcomes = {one: drift.outcome(one.kind, repair=repair) for one in found}
        with self._database.transaction() as tx:
            # The grants first, as everywhere: their requests' rows are locked before all others.
            requests.lock(tx, (one.id for one in drift.whole(lost, live)))
            # Read anew: until the lock somebody could extend what is lost.
            for grant in drift.whole(lost, grants.live_of_entry(tx, entry.id)):
                gone = lifecycle.revoke(grant, now, EndReason.REMOVED, by=lifecycle.BOT)
                store_grant(tx, grant, *gone)
            new = drift_store.note(tx, entry.id, found, outcomes, now)
            audit.record(tx, [_event(entry, one, outcomes[one], now) for one in new])
        for one in new:
            log.warning(
                "drift",
                kind=one.kind.value,
                outcome=outcomes[one].value,
                cluster=entry.cluster.name,
                account=entry.cluster.account,
                principal=entry.principal_arn,
                subject=one.subject,
                detail=one.detail,
                grants=list(one.grants),
            )
        return True

    def _may_repair(self, entry: Entry, found: Sequence[Finding], now: datetime) -> bool:
        return self._was_seen(entry, now) and (
            self._taken_by_backstop(entry, found, now) or self._repair()
        )

    def _taken_by_backstop(self, entry: Entry, found: Sequence[Finding], now: datetime) -> bool:
        if any(one.kind is not Kind.GONE for one in found):
            return False
        with self._database.reading() as tx:
            kept = backstops.find(tx, entry.id)
            stopped = lockdowns.current(tx) is not None
        return kept is not None and kept.may_strike(now) and not stopped

    def _was_seen(self, entry: Entry, now: datetime) -> bool:
        """Whether the entry was seen since this bot was started, by it or by another replica.

        Its own looks count whatever the clock did since. Of those in the store, one in the future
        tells nothing: an earlier process wrote it while the clock was ahead.
        """
        looked_at = entry.looked_at
        return self._seen.get(entry.id) == self._memory.epoch or (
            looked_at is not None and self._started_at <= looked_at <= now
        )


def _event(entry: Entry, finding: Finding, result: drift.Outcome, now: datetime) -> AuditEvent:
    return AuditEvent(
        at=now,
        actor=lifecycle.BOT,
        action=f"drift.{finding.kind.value}",
        cluster=entry.cluster.name,
        details={
            "principal": entry.principal_arn,
            "subject": finding.subject,
            "detail": finding.detail,
            "grants": list(finding.grants),
            "outcome": result.value,
        },
    )
