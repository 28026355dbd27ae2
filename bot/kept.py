"""Answers that are kept for a while, with one question at a time about the same thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class _Answer(Generic[V]):
    value: V
    asked: datetime
    until: datetime


class Kept(Generic[K, V]):
    """What `ask` answers, for as long as `lasts` says of the answer. Thread-safe.

    An answer's age counts from the moment it was asked for. Whoever asks while the same is being
    asked waits for that answer. A clock that goes back makes every later answer void.
    """

    def __init__(
        self,
        ask: Callable[[K], V],
        *,
        lasts: Callable[[V], timedelta],
        clock: Callable[[], datetime],
    ) -> None:
        self._ask = ask
        self._lasts = lasts
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[K, _Answer[V]] = {}
        self._asking: dict[K, Future[V]] = {}

    def get(self, key: K) -> V:
        """The answer, kept or new. Raises what `ask` raises; that is not kept."""
        now = self._clock()
        with self._lock:
            kept = self._answers.get(key)
            if kept is not None and kept.asked <= now < kept.until:
                return kept.value
            under_way = self._asking.get(key)
            if under_way is None:
                mine: Future[V] = Future()
                self._asking[key] = mine
        if under_way is not None:
            return under_way.result()
        try:
            value = self._ask(key)
        except BaseException as error:
            with self._lock:
                del self._asking[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._asking[key]
            self._keep(key, _Answer(value, now, now + self._lasts(value)), now)
        mine.set_result(value)
        return value

    @property
    def size(self) -> int:
        """How many answers are held, whether their time is over or not."""
        return len(self._answers)

    def _keep(self, key: K, answer: _Answer[V], now: datetime) -> None:
        if len(self._answers) >= MOST_KEPT:
            valid = {k: one for k, one in self._answers.items() if one.asked <= now < one.until}
            self._answers = valid if len(valid) < MOST_KEPT else {}
        self._answers[key] = answer
