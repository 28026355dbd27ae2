"""Alarms that no channel takes go to people: an archived channel must not silence the bot.

Nor must one that others read, or of which the bot cannot know who does: nothing is posted there.
An alarm that was refused wherever it was to be said is announced anew, under its own key, to each
of the people who look after the bot, by direct message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.reconcile.slack_errors import REFUSED, UNFIT
from bot.store import announcements, audit
from bot.store.announcements import ALARMS, Announcement, Said
from bot.store.claims import Claims
from bot.store.database import Database

log = structlog.get_logger(__name__)

_NEWS_FOR = timedelta(hours=24)


class Unheard:
    """The loop that looks for such alarms. Safe to call from several threads.

    `people` are who is told, and `instead` is what they read.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        *,
        people: Callable[[], Sequence[str]],
        instead: Callable[[Announcement], Said],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._people = people
        self._instead = instead
        self._clock = clock
        self._nobody: set[str] = set()

    def forget(self) -> None:
        """Try every alarm again: the store went back to an earlier state."""
        self._nobody = set()

    def due(self) -> list[str]:
        """The keys of alarms that nobody heard."""
        with self._database.reading() as tx:
            found = self._unheard(tx)
        return [one.key for one in found if one.key not in self._nobody]

    def tell(self, key: str) -> None:
        """Announce one to people, unless another worker is at it."""
        with self._claims.claim(f"unheard:{key}") as still_held:
            if still_held is None:
                return
            with self._database.reading() as tx:
                alarm = next((one for one in self._unheard(tx) if one.key == key), None)
            if alarm is None:
                return
            people = [one for one in self._people() if one != alarm.channel]
            said, now = self._instead(alarm), self._clock()
            with self._database.transaction() as tx:
                new = [
                    announcements.announce(
                        tx, key=key, channel=one, text=said.text, blocks=said.blocks, now=now
                    )
                    for one in people
                ]
                if any(new):
                    audit.record(tx, [_event(alarm, people, now)])
            if not any(new):
                self._nobody.add(key)
                log.error(
                    "an alarm reaches nobody",
                    key=key,
                    channel=alarm.channel,
                    error=alarm.problem,
                    text=alarm.text,
                )

    def _unheard(self, tx: Any) -> tuple[Announcement, ...]:
        since = self._clock() - _NEWS_FOR
        return announcements.unheard(tx, ALARMS, REFUSED | UNFIT, since)


def _event(alarm: Announcement, people: Sequence[str], now: datetime) -> AuditEvent:
    details = {
        "key": alarm.key,
        "recipient": alarm.channel,
        "error": alarm.problem,
        "people": list(people),
    }
    return AuditEvent(now, BOT, "alarm.sent_to_people", details=details)
