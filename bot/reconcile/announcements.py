"""Post what was announced, one channel at a time, in the order in which it was announced.

A crash between posting and storing may post twice; nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.core.errors import DirectoryUnavailable, StoreUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AuditEvent
from bot.reconcile.backoff import pause, worth_telling
from bot.reconcile.slack_errors import NO_ANSWER, REFUSED, Delayed, code_of, delayed_by, problem_of
from bot.store import announcements, audit
from bot.store.announcements import Announcement
from bot.store.claims import Claims, StillHeld
from bot.store.database import Database

log = structlog.get_logger(__name__)

GIVEN_UP_AFTER = timedelta(hours=24)
"""How old an announcement may be that Slack still refuses: after that it is no news."""

_BATCH = 50


class Announcer:
    """The loop that posts announcements. Safe to call from several threads.

    `unfit` says why nothing may be posted to a channel, or None; it raises DirectoryUnavailable
    where that is not known.
    """

    def __init__(
        self,
        database: Database,
        client: WebClient,
        claims: Claims,
        *,
        unfit: Callable[[str], str | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._client = client
        self._claims = claims
        self._unfit = unfit
        self._clock = clock
        # What Slack has taken and the store has not: not posted again while it takes no writes.
        self._unstored: dict[tuple[str, str], tuple[str, str]] = {}

    def due(self) -> list[str]:
        """The channels to post to now."""
        with self._database.reading() as tx:
            return announcements.channels_due(tx, self._clock())

    def post(self, channel: str) -> None:
        """Post what waits for a channel, unless another worker is at it."""
        with self._claims.claim(f"announcements:{channel}") as still_held:
            if still_held is not None:
                self._round(channel, still_held)

    def _round(self, channel: str, still_held: StillHeld) -> None:
        with self._database.reading() as tx:
            waiting = announcements.due_in(tx, channel, self._clock(), _BATCH)
        for announcement in waiting:
            if not still_held() or not self._try(announcement):
                return

    def _try(self, announcement: Announcement) -> bool:
        """Post one. False where the others for its channel must wait as well."""
        try:
            if _said(announcement) in self._unstored:
                self._store(announcement)
                return True
            return self._post(announcement)
        except StoreUnavailable:
            raise
        except Exception as error:
            if worth_telling(announcement.attempts + 1):
                log.exception("cannot post an announcement", key=announcement.key)
            problem = type(error).__name__
            self._failed(announcement, problem, Delayed(problem), whole=False)
            return True

    def _post(self, announcement: Announcement) -> bool:
        try:
            problem = self._unfit(announcement.channel)
        except DirectoryUnavailable as error:
            # Who reads what is posted there is not known, and alarms are for one's own people.
            self._failed(announcement, error.code, Delayed(error.code), whole=True)
            return False
        if problem is not None:
            self._refused(announcement, problem)
            return False
        try:
            answer = self._client.chat_postMessage(
                channel=announcement.channel,
                text=announcement.text,
                blocks=announcement.blocks,
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            if code_of(error) in REFUSED:
                self._refused(announcement, code_of(error))
                return False
            delayed = delayed_by(error)
            # Without a time to wait, the fault may lie in this one message: the others go on.
            self._failed(announcement, str(delayed), delayed, whole=delayed.after is not None)
            return delayed.after is None
        except NO_ANSWER as error:
            delayed = delayed_by(error)
            self._failed(announcement, str(delayed), delayed, whole=True)
            return False
        self._unstored[_said(announcement)] = str(answer["channel"]), str(answer["ts"])
        self._store(announcement)
        return True

    def _store(self, announcement: Announcement) -> None:
        said = _said(announcement)
        with self._database.transaction() as tx:
            announcements.posted(tx, announcement.id, *self._unstored[said])
        del self._unstored[said]

    def _refused(self, announcement: Announcement, code: str) -> None:
        if announcement.problem != code:
            log.warning(
                "Slack refuses an announcement",
                recipient=announcement.channel,
                error=code,
                key=announcement.key,
            )
            details = {"recipient": announcement.channel, "error": code, "key": announcement.key}
            event = AuditEvent(self._clock(), BOT, "message.refused", details=details)
            with self._database.transaction() as tx:
                audit.record(tx, [event])
        self._failed(announcement, code, Delayed(code), whole=True)

    def _failed(
        self, announcement: Announcement, problem: str, delayed: Delayed, *, whole: bool
    ) -> None:
        now = self._clock()
        tries = announcement.attempts + 1
        due_at: datetime | None = now + max(pause(tries), delayed.after or timedelta())
        if worth_telling(tries):
            known = problem_of(problem)
            tell = log.error if known.stays else log.warning
            tell(
                "Slack did not take an announcement",
                recipient=announcement.channel,
                error=problem,
                said=known.sentence,
                key=announcement.key,
                tries=tries,
            )
        with self._database.transaction() as tx:
            if whole and due_at is not None:
                announcements.put_off(tx, announcement.channel, due_at, now)
            # That Slack asks to be left alone is no answer: it is asked again, however late.
            if delayed.after is None and now - announcement.created_at >= GIVEN_UP_AFTER:
                due_at = None
            announcements.failed(tx, announcement.id, problem, due_at, now)
        if due_at is None:
            log.error(
                "an announcement is given up, because Slack did not take it for a day",
                recipient=announcement.channel,
                error=problem,
                key=announcement.key,
                text=announcement.text,
            )


def _said(announcement: Announcement) -> tuple[str, str]:
    """What tells it from all others, also in a store that went back."""
    return announcement.key, announcement.channel
