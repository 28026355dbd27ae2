"""Whether the store can be read and written now, and which grants were live when it last was read.

For signals: they must be right where the store is away, and must not wait for it. A store that is
mute takes a thread for as long as it is; so all who ask share one, and wait for a moment only. Each
try writes; so however many ask, it begins twice a second at most, and never before the question.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.core.errors import StoreUnavailable, reason
from bot.core.model import Grant
from bot.store import grants
from bot.store.database import Database

log = structlog.get_logger(__name__)

WAIT_SECONDS = 4.0
"""How long whoever asks waits: a store that takes longer is away."""

BETWEEN_SECONDS = 0.5
"""From the beginning of one try to that of the next. Whoever asks meanwhile waits for that one."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the store did when it was asked, and why it does not do all, in a sentence."""

    reads: bool
    writes: bool
    problem: str | None = field(default=None, compare=False)


_FAILURES = (StoreUnavailable, SQLAlchemyError)
AWAY = Answers(reads=False, writes=False)


class StoreWatch:
    """Asks the store when somebody wants to know. Safe to call from several threads.

    `live` are the grants that had not ended when it was last read; None before the first time.
    `monotonic` gives seconds that never go back, and `pause` lets some pass.
    """

    def __init__(
        self,
        database: Database,
        *,
        wait_seconds: float = WAIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.database = database
        self.live: tuple[Grant, ...] | None = None
        self._wait_seconds = wait_seconds
        self._executor = ThreadPoolExecutor(1, "store-watch")
        self._lock = threading.Lock()
        self._next: Future[Answers] | None = None  # one that has not begun to ask
        self._monotonic = monotonic
        self._pause = pause
        self._begun_at: float | None = None
        self._well = True

    def look(self) -> Answers:
        """How it is now. Never waits for longer than `wait_seconds`."""
        with self._lock:
            if self._next is None:
                self._next = self._executor.submit(self._ask_in_turn)
            asked = self._next
        try:
            return asked.result(self._wait_seconds)
        except (TimeoutError, CancelledError):
            seconds = f"{self._wait_seconds:g} seconds"
            return replace(AWAY, problem=f"The database did not answer within {seconds}.")

    def close(self) -> None:
        """Ask no more; a question that is under way is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _ask_in_turn(self) -> Answers:
        if self._begun_at is not None:
            early = self._begun_at + BETWEEN_SECONDS - self._monotonic()
            if early > 0:
                self._pause(early)
        with self._lock:
            # Whoever asks from here on may want to know of something that this one does not see.
            self._next = None
        self._begun_at = self._monotonic()
        return self._ask()

    def _ask(self) -> Answers:
        try:
            with self.database.reading() as tx:
                self.live = grants.live(tx)
        except _FAILURES as error:
            return self._noted(replace(AWAY, problem=reason(error)), error)
        try:
            self.database.try_write()
        except _FAILURES as error:
            only_reads = Answers(reads=True, writes=False, problem=reason(error))
            return self._noted(only_reads, error)
        return self._noted(Answers(reads=True, writes=True))

    def _noted(self, answers: Answers, error: Exception | None = None) -> Answers:
        """The log has it when it begins and when it is over."""
        if self._well and not answers.writes:
            cause = str((error.__cause__ if error else None) or error)
            log.error("the store takes no writes, so no access can end", cause=cause)
        elif answers.writes and not self._well:
            log.info("the store takes writes again")
        self._well = answers.writes
        return answers
