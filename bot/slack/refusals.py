"""What was refused to whom within the last minute, so that to ask again costs no look-up in Slack.

For what ends access: nobody is limited in how often they may try it, and each try asks Slack.
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

_Key = tuple[str | None, str, str, str | None]
"""The policy's digest, the kind, the person, and what it was about."""

_AGAIN = "You asked for this less than a minute ago; I check again once a minute is over."


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
        """Raise Refused, as a moment ago, where the same person was just refused the same."""
        with self._lock:
            at, refused = self._refused.get(self._key(kind, actor, document), (None, None))
        if refused is not None and at is not None and self._is_fresh(at):
            raise Refused(refused.code, f"{refused.sentence} {_AGAIN}")

    def has_refused(self, actor: str) -> bool:
        """Whether the person was just refused anything."""
        with self._lock:
            kept = list(self._refused.items())
        return any(actor == who and self._is_fresh(at) for (_, _, who, _), (at, _) in kept)

    def remember(
        self, kind: Kind, actor: str, document: Mapping[str, Any], refused: Refused
    ) -> None:
        """Keep it for a minute, if it is about what ends access."""
        if kind not in inbox.REVOKING:
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
        return digest, kind.value, actor, inbox.subject(kind, document)
