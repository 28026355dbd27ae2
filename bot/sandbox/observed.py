"""A change counter under one lock: who waits is woken at each change, nobody polls."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bot.sandbox.slack_model import Json

T = TypeVar("T")

LOG_LENGTH = 2000


@dataclass
class Rejection:
    """Something the app sent that Slack refuses whatever the circumstances: a bug in the app."""

    method: str
    error: str
    messages: list[str]
    arguments: Json


@dataclass
class Call:
    """One Web API call, as it was answered. `error` is None where Slack said ok."""

    method: str
    arguments: Json
    error: str | None
    status: int


@dataclass
class Change:
    seq: int
    kind: str


class Observed:
    """State guarded by one re-entrant lock, with a log of changes and of what the app did."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._woken = threading.Condition(self.lock)
        self.seq = 0
        self.log: deque[Change] = deque(maxlen=LOG_LENGTH)
        self.on_change: list[Callable[[Change], None]] = []
        self.calls: list[Call] = []
        self.rejections: list[Rejection] = []

    def dump(self) -> str:
        """The state in lines a person can read, for a failed test."""
        raise NotImplementedError

    def reject(self, method: str, error: str, messages: list[str], arguments: Json) -> None:
        with self.lock:
            self.rejections.append(Rejection(method, error, messages, arguments))

    def changed(self, kind: str) -> None:
        """Say that something changed. Call it with the lock held, after the change."""
        with self.lock:
            self.seq += 1
            change = Change(self.seq, kind)
            self.log.append(change)
            self._woken.notify_all()
            for listener in list(self.on_change):
                listener(change)

    def wait(self, predicate: Callable[[], T], timeout: float = 5) -> T:
        """Wait until `predicate()` is true and give its value; asked again after each change.

        A `LookupError` inside it means "not yet". The lock is not held while it is asked. What
        changes elsewhere, in a database say, wakes nobody; it is seen at the next change here, or
        at the end. Raises `AssertionError` with the workspace's content after `timeout` seconds of
        real time.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self.lock:
                seq = self.seq
            missing: LookupError | None = None
            try:
                result = predicate()
            except LookupError as error:
                missing = error
            else:
                if result:
                    return result
            left = deadline - time.monotonic()
            if left <= 0:
                holds = f"the workspace holds:\n{self.dump()}"
                raise AssertionError(f"not so within {timeout} s; {holds}") from missing
            with self._woken:
                if self.seq == seq:
                    self._woken.wait(left)
