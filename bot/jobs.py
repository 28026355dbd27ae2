"""What drives the loops: recurring ticks of APScheduler in memory, woken early after a commit.

A tick asks its loop what is due and hands each item to a worker thread. Nothing is kept here that
matters: a missed or doubled tick changes nothing but latency, and the truth stays in the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from bot.core.errors import StoreUnavailable
from bot.loop_signs import LoopSigns

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
"""How often each loop looks for due work by itself; an expiry is noticed within this time."""

_BETWEEN_LOOKS = timedelta(seconds=0.05)
"""How soon a loop that is woken again and again looks again: a thousand ends wake it as often."""


def _now() -> datetime:
    return datetime.now(UTC)


class Loop:
    """One loop: `due` lists the items to work on, `work` does one of them."""

    def __init__(
        self,
        name: str,
        due: Callable[[], Sequence[Any]],
        work: Callable[[Any], None],
        *,
        workers: int,
    ) -> None:
        self.name = name
        self.due = due
        self.work = work
        self._executor = ThreadPoolExecutor(workers, name)
        self._lock = threading.Lock()
        self._under_way: set[Hashable] = set()
        self._look_again = False
        self.wake: Callable[[], None] = lambda: None
        self.woken = False
        self.signs = LoopSigns(name, one_by_one=workers == 1)

    def tick(self) -> None:
        """Hand out what is due, and once more if somebody woke the loop meanwhile.

        The scheduler begins no second tick beside this one, so they would wait for the next. It
        must not be asked for one here: where it is being stopped, it waits for this tick.
        """
        self.woken = False
        self._hand_out()
        if self.woken:
            self.woken = False
            self._hand_out()

    def _hand_out(self) -> None:
        try:
            items = self.due()
        except StoreUnavailable as error:
            self.signs.failed(_now(), error)
            return
        with self._lock:
            idle = not items and not self._under_way
        self.signs.looked(_now(), idle=idle)
        for item in items:
            with self._lock:
                if item in self._under_way:
                    # It became due again while it was worked on: look when that is done.
                    self._look_again = True
                    continue
                self._under_way.add(item)
            self._executor.submit(self._do, item)

    def close(self) -> None:
        """Let the work that is under way finish."""
        self._executor.shutdown(wait=True)

    def _do(self, item: Hashable) -> None:
        try:
            self.work(item)
        except StoreUnavailable as error:
            self.signs.failed(_now(), error, item)
        except Exception as error:
            self.signs.failed(_now(), error, item)
            log.exception("work failed; it is tried again", loop=self.name, item=item)
        else:
            self.signs.succeeded(_now())
        finally:
            with self._lock:
                self._under_way.discard(item)
                wake = self._look_again and not self._under_way
                if wake:
                    self._look_again = False
            if wake:
                self.wake()


class Jobs:
    """The scheduler with all loops."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        for loop in loops:
            self._scheduler.add_job(
                loop.tick,
                "interval",
                seconds=TICK_SECONDS,
                id=loop.name,
                next_run_time=_now(),  # what was missed while we were down is due now
            )
            loop.wake = self._loop_waker(loop)

    def every(self, seconds: float, name: str, work: Callable[[], None]) -> Callable[[], None]:
        """Do something else at intervals. Returns what has it done now."""
        self._scheduler.add_job(work, "interval", seconds=seconds, id=name, next_run_time=_now())
        return self._waker(name)

    def start(self) -> None:
        """Start ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking, and let what is under way finish."""
        self._scheduler.shutdown(wait=True)
        for loop in self._loops:
            loop.close()

    def wake_all(self) -> None:
        """Let every loop look now: something was committed."""
        for loop in self._loops:
            loop.wake()

    def _waker(self, name: str, after: Callable[[], datetime] = _now) -> Callable[[], None]:
        def wake() -> None:
            try:
                self._scheduler.modify_job(name, next_run_time=after())
            except JobLookupError:
                return  # stopping

        return wake

    def _loop_waker(self, loop: Loop) -> Callable[[], None]:
        def after() -> datetime:
            loop.woken = True
            now = _now()
            last = loop.signs.last_look
            earliest = last + _BETWEEN_LOOKS if last is not None else now
            # A clock that was set back must not put the look off.
            return min(max(now, earliest), now + _BETWEEN_LOOKS)

        return self._waker(loop.name, after)
