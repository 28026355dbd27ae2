"""Tell people what was found to differ, and once a week who has standing access.

A message a cluster and a minute at most: a thousand findings at once are no thousand messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Connection

from bot.core.errors import PolicyUnavailable
from bot.core.policy import Policy
from bot.core.policy_names import groups_of
from bot.store import announcements, drift
from bot.store.announcements import DRIFT, Said
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.drift import Found, Scan

AT_MOST_EVERY = timedelta(minutes=1)
"""How often at most one cluster's findings are told."""

DIGEST_WEEKDAY = 0
"""Monday, as `date.weekday` counts."""

DIGEST_AT = time(9, 0, tzinfo=UTC)

_DIGEST = ("digest",)

Item = tuple[str, ...]
"""A cluster's account, region and name, or _DIGEST."""


class DriftReporter:
    """The loop that announces. Safe to call from several threads.

    `found` says what was found at one cluster, `digest` who has standing access anywhere, and
    through which user groups and channels of the policy nobody counts.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        policy: Callable[[], Policy],
        *,
        found: Callable[[Sequence[Found]], Said],
        digest: Callable[[Sequence[Scan], Sequence[str]], Said],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._policy = policy
        self._found = found
        self._digest = digest
        self._clock = clock
        self._digested: str | None = None

    def forget(self) -> None:
        """Ask the store what was said: it went back to an earlier state."""
        self._digested = None

    def due(self) -> list[Item]:
        """What there is to say now: of what was found at a cluster, and the digest."""
        now = self._clock()
        with self._database.reading() as tx:
            items = list(_by_cluster(drift.untold(tx, now - AT_MOST_EVERY)))
            if self._digested != digest_key(now) and self._digest_of(tx) is not None:
                items.append(_DIGEST)
        return items

    def report(self, item: Item) -> None:
        """Announce one of these, unless another worker is at it."""
        with self._claims.claim(f"drift report:{'/'.join(item)}") as still_held:
            if still_held is None:
                return
            try:
                policy = self._policy()
            except PolicyUnavailable:
                return  # where to say it is not known now
            with self._database.transaction() as tx:
                if item == _DIGEST:
                    self._say_digest(tx, policy)
                else:
                    self._say_findings(tx, policy, item)

    def _say_findings(self, tx: Connection, policy: Policy, place: Item) -> None:
        now = self._clock()
        found = _by_cluster(drift.untold(tx, now - AT_MOST_EVERY)).get(place)
        if found is None:
            return  # told meanwhile
        said = self._found(found)
        named = (policy.security_channel, policy.audit_channel)
        for channel in dict.fromkeys(one for one in named if one is not None):
            _announce(tx, f"{DRIFT}{found[-1].id}", channel, said, now)
        drift.told(tx, [one.id for one in found], now)

    def _say_digest(self, tx: Connection, policy: Policy) -> None:
        now = self._clock()
        scans = self._digest_of(tx)
        if scans is not None and policy.security_channel is not None:
            key = digest_key(now)
            gone = [one for one in groups_of(policy) if announcements.group_is_gone(tx, one)]
            _announce(tx, key, policy.security_channel, self._digest(scans, gone), now)
            self._digested = key

    def _digest_of(self, tx: Connection) -> list[Scan] | None:
        """What the digest would be made of; None where it has no channel, or comes too early.

        Too early is before every cluster of the policy was looked at, be it in vain.
        """
        try:
            policy = self._policy()
        except PolicyUnavailable:
            return None
        if policy.security_channel is None:
            return None
        scans = [one for one in drift.scans(tx) if one.scanned_at is not None or one.problem]
        named = {(one.account, one.region, one.name) for one in policy.clusters}
        looked_at = {(one.account, one.region, one.cluster) for one in scans}
        return scans if named <= looked_at else None


def _by_cluster(untold: Sequence[Found]) -> dict[Item, list[Found]]:
    found: dict[Item, list[Found]] = {}
    for one in untold:
        found.setdefault((one.account, one.region, one.cluster), []).append(one)
    return found


def digest_key(now: datetime) -> str:
    """The key of the digest that is due at `now`: one a week, from Monday at nine, UTC."""
    begun = now.astimezone(UTC) - timedelta(
        days=DIGEST_WEEKDAY, hours=DIGEST_AT.hour, minutes=DIGEST_AT.minute
    )
    year, week, _ = begun.isocalendar()
    return f"standing:{year}-W{week:02}"


def _announce(tx: Connection, key: str, channel: str, said: Said, now: datetime) -> None:
    announcements.announce(
        tx, key=key, channel=channel, text=said.text, blocks=said.blocks, now=now
    )
