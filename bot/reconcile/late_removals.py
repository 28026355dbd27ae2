"""Say that a removal is late, again and again until EKS has confirmed it, and then say that it has.

What is said follows from the store and the time alone, and each alarm has a key of its own, so that
several replicas say it once. What came due while nobody could say it is said once, as the latest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.core import removal
from bot.core.drift import Kind
from bot.core.errors import PolicyUnavailable
from bot.core.lifecycle import BOT
from bot.core.model import AccessRequest, AuditEvent, EndReason, Grant, GrantState
from bot.core.policy import Policy
from bot.store import announcements, audit, drift, entries, grants, requests
from bot.store.announcements import LATE, Said
from bot.store.claims import Claims
from bot.store.database import Database

log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=24)
"""How far back a bot that starts looks for ends that nobody was told of."""

_SHARED = frozenset({Kind.UNTAGGED, Kind.REPLACED, Kind.FOREIGN_POLICY, Kind.FOREIGN_GROUPS})

_OVERLAP = timedelta(minutes=2)
"""How much of what was looked at is looked at again: replicas commit in any order."""


@dataclass(frozen=True, slots=True)
class LateRemoval:
    """A removal that is late by `late_by` and was told `number` times, this time included.

    `commands` take the access away by hand. `unknown_since` is since when AWS has known no such
    cluster, where it does not.
    """

    request: AccessRequest
    grant: Grant
    number: int
    late_by: timedelta
    commands: tuple[tuple[str, ...], ...]
    unknown_since: datetime | None = None


def alarm_times(policy: Callable[[], Policy]) -> removal.AlarmTimes:
    """When late removals are told, under the policy in force or else as where it says nothing."""
    try:
        return policy().alarm_times
    except PolicyUnavailable:
        return removal.AlarmTimes()


class LateRemovals:
    """The loop that announces. Safe to call from several threads.

    `alarm` says that a removal is late, `over` that it is confirmed at last. `people` are who is
    told where the policy names no channel for it.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        policy: Callable[[], Policy],
        *,
        alarm: Callable[[LateRemoval], Said],
        over: Callable[[AccessRequest, Grant], Said],
        people: Callable[[], Sequence[str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._policy = policy
        self._alarm = alarm
        self._over = over
        self._people = people
        self._clock = clock
        self._started_at = clock()
        self._ended_since = self._started_at - _LOOK_BACK
        self._lock = threading.Lock()
        self._told: dict[str, int] = {}

    def forget(self) -> None:
        """Ask the store what was told: it went back to an earlier state."""
        self._told = {}
        self._ended_since = self._clock() - _LOOK_BACK

    def due(self) -> list[str]:
        """Ids of the grants of which there is something to say now."""
        now = self._clock()
        self._started_at = min(self._started_at, now)
        times = alarm_times(self._policy)
        late_before = now - times.after[0]
        with self._database.reading() as tx:
            past = grants.past_end(tx, late_before)
            unknown = entries.unknown_to_aws(tx) if past else {}
            since = min(self._ended_since, now - _OVERLAP)
            ended = grants.ended_since(tx, since, due_by=late_before)
        self._ended_since = now - _OVERLAP
        gone = [
            one.id for one in ended if (lag := removal.lag(one)) is not None and times.late(lag)
        ]
        with self._lock:
            self._told = {one.id: self._told[one.id] for one in past if one.id in self._told}
            told = dict(self._told)
        numbers = {one.id: self._number(one, now, unknown=one.id in unknown) for one in past}
        return [one for one, number in numbers.items() if number > told.get(one, 0)] + [
            one for one in gone if not self._was_told_over(one)
        ]

    def tell(self, grant_id: str) -> None:
        """Announce what there is to say of one grant, unless another worker is at it."""
        with self._claims.claim(f"late removal:{grant_id}") as still_held:
            if still_held is None:
                return
            now = self._clock()
            with self._database.reading() as tx:
                grant = grants.get(tx, grant_id)
                unknown_since = entries.unknown_to_aws(tx).get(grant_id)
            number = self._number(grant, now, unknown=unknown_since is not None)
            if grant.state is GrantState.ENDED:
                self._say_over(grant, now)
            elif number:
                self._say_late(grant, number, now, unknown_since)
                with self._lock:
                    self._told[grant_id] = number

    def _say_late(
        self, grant: Grant, number: int, now: datetime, unknown_since: datetime | None
    ) -> None:
        to_end = removal.due(grant) or now
        with self._database.reading() as tx:
            request = requests.get(tx, grant.id)
            entry_id = grants.entry_of(tx, grant.id)
            same = grants.live_of_entry(tx, entry_id) if entry_id is not None else ()
            alone = entry_id is not None and self._is_alone(tx, entry_id, now)
        others = [one for one in same if one.id != grant.id and one.gives_access]
        commands = removal.by_hand(grant, others, alone=alone)
        late = LateRemoval(request, grant, number, now - to_end, commands, unknown_since)
        said = self._alarm(late)
        log.error(
            "a removal is late",
            grant=grant.id,
            cluster=grant.cluster.name,
            account=grant.cluster.account,
            principal=grant.principal_arn,
            seconds=round((now - to_end).total_seconds()),
            alarm=number,
            problem=grant.problem,
        )
        details = {
            "alarm": number,
            "late_seconds": round((now - to_end).total_seconds()),
            "principal": grant.principal_arn,
        }
        event = AuditEvent(now, BOT, "removal.late", grant.id, grant.cluster.name, details)
        self._announce(f"{LATE}{grant.id}:{number}", self._channels(), said, event, now)

    def _say_over(self, grant: Grant, now: datetime) -> None:
        with self._database.reading() as tx:
            request = requests.get(tx, grant.id)
            told = announcements.said_in(tx, f"{LATE}{grant.id}:")
        lag = removal.lag(grant) or timedelta()
        details = {
            "late_seconds": round(lag.total_seconds()),
            "principal": grant.principal_arn,
        }
        gone = grant.end_reason is EndReason.CLUSTER_GONE
        action = "removal.cluster_gone" if gone else "removal.confirmed"
        event = AuditEvent(now, BOT, action, grant.id, grant.cluster.name, details)
        channels = told or self._channels()
        self._announce(f"{LATE}{grant.id}:over", channels, self._over(request, grant), event, now)

    def _announce(
        self, key: str, channels: Sequence[str], said: Said, event: AuditEvent, now: datetime
    ) -> None:
        with self._database.transaction() as tx:
            new = [
                announcements.announce(
                    tx, key=key, channel=channel, text=said.text, blocks=said.blocks, now=now
                )
                for channel in channels
            ]
            if any(new):
                audit.record(tx, [event])

    def _channels(self) -> Sequence[str]:
        """The security channel, or else the audit channel, or else people by direct message."""
        try:
            policy = self._policy()
        except PolicyUnavailable:
            return ()
        channel = policy.alarm_channel
        return (channel,) if channel is not None else tuple(self._people())

    def _number(self, grant: Grant, now: datetime, *, unknown: bool) -> int:
        """How many alarms there are by now.

        Of a cluster that AWS does not know there are none every so often in the first day: by then
        it is proven to be gone, and that is told, or the alarms go on.
        """
        times, late_by = (
            alarm_times(self._policy),
            removal.late_by(grant, now, since=self._started_at),
        )
        number = times.number(late_by)
        if unknown and late_by < removal.FIRST_DAY:
            return min(number, len(times.after))
        return number

    def _was_told_over(self, grant_id: str) -> bool:
        with self._database.reading() as tx:
            return announcements.newest(tx, f"{LATE}{grant_id}:over") is not None

    def _is_alone(self, tx: Any, entry_id: int, now: datetime) -> bool:
        """Whether the whole entry is the bot's, as far as the store knows."""
        shared = any(one.kind in _SHARED for one in drift.open_at(tx, entry_id))
        return entries.get(tx, entry_id, now).record.created and not shared
