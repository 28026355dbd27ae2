"""Say that access is past its end where the store takes no writes, and with them no alarm either.

The alarms of late removals go through the store's outbox, so that they are said once. While it
takes nothing, each replica says it by itself, straight to Slack, and remembers what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from slack_sdk import WebClient

from bot.core import removal
from bot.core.errors import DirectoryUnavailable, PolicyUnavailable
from bot.core.model import Grant
from bot.core.policy import Policy
from bot.reconcile.late_removals import alarm_times
from bot.reconcile.slack_errors import NO_ANSWER
from bot.store.announcements import Said
from bot.store.watch import StoreWatch

log = structlog.get_logger(__name__)

_PAUSE = timedelta(minutes=2)
"""Between two such alarms: what becomes late meanwhile is told with the next."""

_RETRY = timedelta(seconds=30)
_DOUBLINGS = 4


class LateUnstored:
    """What is done every few seconds; by one thread.

    `message` is made of the grants that are late, since when the store has been away, and the time.
    `people` are who is told where no channel takes it, and `unfit` says why one must not.
    """

    def __init__(
        self,
        store: StoreWatch,
        client: WebClient,
        policy: Callable[[], Policy],
        *,
        people: Callable[[], Sequence[str]],
        unfit: Callable[[str], str | None],
        message: Callable[[Sequence[Grant], datetime, datetime], Said],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._policy = policy
        self._people = people
        self._unfit = unfit
        self._message = message
        self._clock = clock
        self._started_at = clock()
        self._away_since: datetime | None = None
        self._quiet_until = self._started_at
        self._told: dict[str, int] = {}
        self._refused = 0

    def look(self) -> None:
        """Tell what there is to tell, where the store is away for long enough."""
        writes, now = self._store.look().writes, self._clock()
        live = self._store.live or ()
        self._told = {one.id: self._told[one.id] for one in live if one.id in self._told}
        if writes:
            self._away_since = None
            return
        since = self._away_since = min(self._away_since or now, now)
        self._started_at = min(self._started_at, now)
        # A clock may have been ahead.
        self._quiet_until = min(self._quiet_until, now + _RETRY * (1 << _DOUBLINGS))
        numbers = {one.id: self._number(one, now) for one in live}
        new = [one for one in live if numbers[one.id] > self._told.get(one.id, 0)]
        if not new or now - since < removal.TRYING or now < self._quiet_until:
            return
        late = [one for one in live if numbers[one.id]]
        log.error(
            "access is past its end, and the store takes no writes",
            grants=[one.id for one in late],
            since=since.isoformat(),
        )
        if self._say(self._message(late, since, now)):
            self._told |= {one.id: numbers[one.id] for one in late}
            self._quiet_until, self._refused = now + _PAUSE, 0
        else:
            self._quiet_until = now + _RETRY * (1 << min(self._refused, _DOUBLINGS))
            self._refused += 1

    def _number(self, grant: Grant, now: datetime) -> int:
        late_by = removal.late_by(grant, now, since=self._started_at)
        return alarm_times(self._policy).number(late_by)

    def _say(self, said: Said) -> bool:
        """Whether somebody was told: in the channel of alarms, or else person by person."""
        try:
            policy = self._policy()
        except PolicyUnavailable:
            return False
        channel = policy.alarm_channel
        if channel is not None and self._post(channel, said):
            return True
        taken = [self._post(person, said) for person in self._people()]
        return any(taken)

    def _post(self, recipient: str, said: Said) -> bool:
        try:
            problem = self._unfit(recipient)
            if problem is None:
                self._client.chat_postMessage(
                    channel=recipient,
                    text=said.text,
                    blocks=said.blocks,
                    unfurl_links=False,
                    unfurl_media=False,
                )
                return True
        except (DirectoryUnavailable, *NO_ANSWER) as error:
            problem = str(error)
        log.warning("an alarm was not taken", recipient=recipient, problem=problem)
        return False
