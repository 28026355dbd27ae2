"""Writing the audit chain's head down outside of the database, at intervals and at the end.

What the database's owner cannot reach vouches for what is in it: the log each minute, S3 every five
minutes where a bucket is set, the audit channel each hour; each only where the head has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot.core.audit_anchors import EVENT, line
from bot.core.audit_chain import EMPTY, Head
from bot.core.errors import AwsProblem
from bot.core.policy import Policy
from bot.store import announcements, audit_seals
from bot.store.database import Database

log = structlog.get_logger(__name__)

LOG_EVERY = timedelta(minutes=1)
BUCKET_EVERY = timedelta(minutes=5)
CHANNEL_EVERY = timedelta(hours=1)

_KEY = "audit.head:"


class Bucket(Protocol):
    """Where anchors are put under a lock: bot.aws.anchor_bucket."""

    def put(self, deployment: str, head: Head, now: datetime) -> None: ...


@dataclass(slots=True)
class _Place:
    """A place that is told of the head at intervals, by this process."""

    every: timedelta
    tell: Callable[[str, Head, datetime], None]
    told: Head = EMPTY
    told_at: datetime | None = None

    def due(self, head: Head, now: datetime) -> bool:
        # Also after a clock that went back.
        waited = self.told_at is None or abs(now - self.told_at) >= self.every
        return waited and head not in (self.told, EMPTY)


class Anchors:
    """Call `look` at intervals, from one thread, and `finish` once at the end."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy | None],
        bucket: Bucket | None,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._deployment: str | None = None
        self._places = [_Place(LOG_EVERY, _log)]
        if bucket is not None:
            self._places.append(_Place(BUCKET_EVERY, bucket.put))

    def forget(self) -> None:
        """Tell every place anew: the store went back to an earlier state, and has another head."""
        for place in self._places:
            place.told, place.told_at = EMPTY, None

    def look(self) -> None:
        """Tell every place that is due. Raises StoreUnavailable."""
        now = self._clock()
        with self._database.reading() as tx:
            head = audit_seals.head(tx)
        policy = self._policy()
        if policy is not None:
            self._deployment = policy.deployment
        self._tell(head, now, [place for place in self._places if place.due(head, now)])
        if policy is not None and policy.audit_channel is not None:
            self._announce(policy.deployment, policy.audit_channel, head, now)

    def finish(self) -> None:
        """Tell every place of a head that it has not been told of. Raises StoreUnavailable."""
        with self._database.reading() as tx:
            head = audit_seals.head(tx)
        moved = [place for place in self._places if head not in (place.told, EMPTY)]
        self._tell(head, self._clock(), moved)

    def _tell(self, head: Head, now: datetime, places: Sequence[_Place]) -> None:
        if self._deployment is None:
            return  # whose head it is is not known before there was a policy
        for place in places:
            place.told_at = now
            try:
                place.tell(self._deployment, head, now)
            except AwsProblem as problem:
                log.error("the audit head was not anchored", problem=problem.sentence)  # noqa: TRY400 - the sentence says it
            else:
                place.told = head

    def _announce(self, deployment: str, channel: str, head: Head, now: datetime) -> None:
        """Have the head posted, once an hour by all replicas together."""
        with self._database.reading() as tx:
            last = announcements.newest(tx, _KEY)
            since = last.created_at if last is not None else audit_seals.first_sealed_at(tx)
        if since is None or abs(now - since) < CHANNEL_EVERY:
            return
        text = line(head, deployment)
        if last is not None and last.text == text:
            return
        with self._database.transaction() as tx:
            announcements.announce(
                tx,
                key=f"{_KEY}{head.position}:{head.hash}",
                channel=channel,
                text=text,
                blocks=[{"type": "section", "text": {"type": "plain_text", "text": text}}],
                now=now,
            )


def _log(deployment: str, head: Head, now: datetime) -> None:
    del now  # a log line has its time
    log.info(EVENT, deployment=deployment, position=head.position, hash=head.hash)
