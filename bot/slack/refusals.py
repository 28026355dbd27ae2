"""What was refused to whom within the last minute: to try again then costs no look-up in Slack.

What ends access is not limited, so the same is refused as before. Anything else is refused again by
what Slack told within that minute, and by nothing older.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import PolicyUnavailable, Refused
from bot.policy_file import LoadedPolicy
from bot.store import inbox
from bot.store.inbox import Kind

REMEMBERED = timedelta(minutes=1)

_Key = tuple[str | None, Kind, str, str | None]
"""The policy's digest, the kind, the person, and what it was about."""

_AGAIN = "You asked for this less than a minute ago; I check again once a minute is over."
_NOT_ASKED = "I asked Slack less than a minute ago; I ask again once a minute is over."

_WHO_THEY_ARE = frozenset(
    {
        *("not_owner", "not_on_call", "nothing_to_delegate", "not_among"),
        *("other_organisation", "deactivated", "is_bot", "is_guest"),
    }
)
"""Refusals for who somebody is, each of which costs look-ups."""


def is_about_the_person(refused: Refused) -> bool:
    """Whether it is for who somebody is: then only a look-up can end otherwise."""
    return refused.code in _WHO_THEY_ARE


def refused_again(refused: Refused) -> Refused:
    """The same refusal, of somebody for whom Slack is not asked anew."""
    return Refused(refused.code, f"{refused.sentence} {_NOT_ASKED}")


class Refusals:
    """Refusals of this process, under the policy in force. Safe to use from several threads."""

    def __init__(self, policy: Callable[[], LoadedPolicy], clock: Callable[[], datetime]) -> None:
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: dict[_Key, tuple[datetime, Refused]] = {}

    def forget(self) -> None:
        """Refuse nothing as before: the store went back, or people came into a user group."""
        with self._lock:
            self._refused = {}

    def ensure_not_refused(self, kind: Kind, actor: str, document: Mapping[str, Any]) -> None:
        """Raise Refused, as a moment ago, where the same person was just refused the same.

        Only for what ends access.
        """
        if kind not in inbox.REVOKING:
            return
        with self._lock:
            at, refused = self._refused.get(self._key(kind, actor, document), (None, None))
        if refused is not None and at is not None and self._is_fresh(at):
            raise Refused(refused.code, f"{refused.sentence} {_AGAIN}")

    def has_refused(self, actor: str, kinds: frozenset[Kind] = frozenset(Kind)) -> bool:
        """Whether the person was just refused anything of these kinds."""
        with self._lock:
            kept = list(self._refused.items())
        return any(
            actor == who and kind in kinds and self._is_fresh(at)
            for (_, kind, who, _), (at, _) in kept
        )

    def remember(
        self, kind: Kind, actor: str, document: Mapping[str, Any], refused: Refused
    ) -> None:
        """Keep it for a minute, if it is about what ends access or about who the person is."""
        if kind not in inbox.REVOKING and not is_about_the_person(refused):
            return
        with self._lock:
            self._refused = {
                key: kept for key, kept in self._refused.items() if self._is_fresh(kept[0])
            }
            key = self._key(kind, actor, document)
            self._refused.setdefault(key, (self._clock(), refused))

    def _is_fresh(self, at: datetime) -> bool:
        return timedelta(0) <= self._clock() - at < REMEMBERED

    def _key(self, kind: Kind, actor: str, document: Mapping[str, Any]) -> _Key:
        try:
            digest = self._policy().digest
        except PolicyUnavailable:
            digest = None
        return digest, kind, actor, inbox.subject(kind, document)
