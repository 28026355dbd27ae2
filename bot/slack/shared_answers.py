"""One call of Slack for all who wait for the same answer, and its answer for as long as it may be.

**The rule.** An answer serves an asking if its call *began* no earlier than the asking's `since`.
For a decision `since` is when the click or command was received: what Slack tells then is how it
was at or after the click, and whoever comes to wait before a call is sent shares it. For a request
`since` lies half a minute back. A call that was sent too early for somebody is waited for, and they
share the next one; what must not wait sends its own at once. What an event says has changed is
forgotten, together with a call that is under way: it may have been read just before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bot.slack.call_budget import Limited

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Answer(Generic[V]):
    began: float
    value: V


@dataclass(eq=False, slots=True)
class _Call(Generic[V]):
    began: float
    urgent: bool
    answer: Future[V] = field(default_factory=Future)


class SharedAnswers(Generic[V]):
    """Answers by key. `now` is in seconds and never goes back. Safe to use from several threads."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._cached: dict[str, _Answer[V]] = {}
        self._under_way: dict[str, _Call[V]] = {}

    def get(self, key: str, ask: Callable[[], V], *, since: float, urgent: bool = False) -> V:
        """An answer whose call began at `since` or later, by `ask` where nobody has one.

        Raises what `ask` raised, to everybody who shares the call. An urgent asking waits behind
        no call that is too early for it, and shares no limit that holds for others alone.
        """
        while True:
            with self._lock:
                cached = self._cached.get(key)
                if cached is not None and cached.began >= since:
                    return cached.value
                call = self._under_way.get(key)
                shares = call is not None and call.began >= since
                if call is None or (urgent and not shares):
                    mine = self._under_way[key] = _Call(self._now(), urgent)
                    break
            if not shares:
                wait([call.answer])
                continue
            try:
                return call.answer.result()
            except Limited:
                if call.urgent or not urgent:
                    raise
        return self._led(key, mine, ask)

    def cached(self, key: str, seconds: float) -> V | None:
        """What is kept and at most so old, without a question."""
        with self._lock:
            cached = self._cached.get(key)
        return (
            cached.value if cached is not None and self._now() - cached.began <= seconds else None
        )

    def forget(self, key: str) -> None:
        """It changed: the next asking needs a call that begins from now on."""
        with self._lock:
            self._cached.pop(key, None)
            self._under_way.pop(key, None)

    def _led(self, key: str, mine: _Call[V], ask: Callable[[], V]) -> V:
        try:
            value = ask()
        except BaseException as error:
            with self._lock:
                if self._under_way.get(key) is mine:
                    del self._under_way[key]
            mine.answer.set_exception(error)
            raise
        with self._lock:
            if self._under_way.get(key) is mine:
                del self._under_way[key]
                self._cached[key] = _Answer(mine.began, value)
        mine.answer.set_result(value)
        return value
