"""What drives the loops: recurring ticks of APScheduler in memory, woken early after a commit.

A tick asks its loop what is due and hands each item to a worker thread. Nothing is kept here that
matters: a missed or doubled tick changes nothing but latency, and the truth stays in the store.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from bot.core.errors import StoreUnavailable
from bot.loop_health import LoopHealth
from bot.reconcile.backoff import pause, worth_telling

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
"""How often each loop looks for due work by itself; an expiry is noticed within this time."""

SLOW_SECONDS = 60.0
"""After so long at one item a worker may hang, and another one takes its place."""

_BETWEEN_LOOKS = timedelta(seconds=0.05)
"""How soon a loop that is woken again and again looks again: a thousand ends wake it as often."""

_STORE_PAUSE = timedelta(seconds=2)
"""The longest pause after a store that did not answer: it may be back at any moment."""

_FORGOTTEN_SECONDS = 600.0
"""How long after its next try an item that failed is known; it is due no more then."""


def _now() -> datetime:
    return datetime.now(UTC)


class _Repeated:
    """What is done again and again, whatever it raises.

    It is told the first time, and then ever more seldom: what nobody expected with its traceback.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._failures = 0

    def __call__(self) -> None:
        try:
            self._work()
        except StoreUnavailable as error:
            if self._tells():
                log.warning("the store does not answer", job=self._name, cause=str(error.__cause__))
        except BaseException:
            if self._tells():
                log.exception(
                    "a job failed; it is repeated", job=self._name, failures=self._failures
                )
        else:
            self._failures = 0

    def _tells(self) -> bool:
        self._failures += 1
        return worth_telling(self._failures)


@dataclass(frozen=True, slots=True)
class _Failed:
    """How often the work on an item has failed, and when it is tried again (monotonic)."""

    tries: int
    again_at: float


class Loop:
    """One loop: `due` lists the items to work on, `work` does one of them.

    Where it is `batched`, `due` lists a batch at a time, and is told how many more to list: as many
    are under way or failed, and must not fill the batch for ever.

    Work that raises what nobody expected is tried again for ever, because what takes access away is
    never given up: after pauses that grow to a minute, by at most half of the workers, and by turns
    with what is new. So it never stands before other items, nor do they before it.
    """

    def __init__(
        self,
        name: str,
        due: Callable[..., Sequence[Any]],
        work: Callable[[Any], None],
        *,
        workers: int,
        batched: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.due = due
        self.work = work
        self._workers = workers
        self._batched = batched
        self._monotonic = monotonic
        # As many again take the place of those that hang.
        self._executor = ThreadPoolExecutor(2 * workers, name)
        self._look = _Repeated(name, self._hand_out)
        self._lock = threading.Lock()
        self._new: deque[Any] = deque()
        self._again: deque[Any] = deque()
        self._was_new = False
        self._busy = 0
        self._under_way: dict[Hashable, float] = {}  # and since when
        self._failed: dict[Hashable, _Failed] = {}
        self._slow: set[Hashable] = set()
        self._look_again = False
        self.wake: Callable[[], None] = lambda: None
        self.clock: Callable[[], datetime] = _now  # that of the jobs, once it is one of them
        self.woken = False
        self.health = LoopHealth(name, one_by_one=workers == 1)

    def tick(self) -> None:
        """Hand out what is due, and once more if somebody woke the loop meanwhile.

        The scheduler begins no second tick beside this one, so they would wait for the next. It
        must not be asked for one here: where it is being stopped, it waits for this tick.
        """
        self.woken = False
        self._look()
        if self.woken:
            self.woken = False
            self._look()

    @property
    def failing(self) -> int:
        """How many items failed when they were last tried."""
        return len(self._failed)

    @property
    def slow(self) -> int:
        """How many items a worker has been at for longer than SLOW_SECONDS."""
        return len(self._slow)

    def close(self) -> None:
        """Let the work that is under way finish, and begin none."""
        with self._lock:
            self._new.clear()
            self._again.clear()
        self._executor.shutdown(wait=True)

    def _hand_out(self) -> None:
        with self._lock:
            beside = len(self._failed) + len(self._under_way)
        try:
            items = self.due(beside) if self._batched else self.due()
        except StoreUnavailable as error:
            self.health.failed(self.clock(), error)
            return
        with self._lock:
            idle = not items and not self._under_way
        self.health.looked(self.clock(), idle=idle)
        now = self._monotonic()
        with self._lock:
            self._forget(now)
            # What became due again while it is worked on: look when that is done.
            self._look_again |= any(item in self._under_way for item in items)
            tries = {item: self._failed.get(item) for item in items if item not in self._under_way}
            self._new = deque(item for item, failed in tries.items() if failed is None)
            self._again = deque(
                item for item, failed in tries.items() if failed and failed.again_at <= now
            )
            places = self._workers + min(self._count_slow(now), self._workers)
            begun = max(0, min(places - self._busy, len(self._new) + len(self._again)))
            self._busy += begun
        for _ in range(begun):
            self._executor.submit(self._work_on)

    def _forget(self, now: float) -> None:
        self._failed = {
            item: failed
            for item, failed in self._failed.items()
            if now < failed.again_at + _FORGOTTEN_SECONDS or item in self._under_way
        }

    def _count_slow(self, now: float) -> int:
        slow = {item for item, since in self._under_way.items() if now - since >= SLOW_SECONDS}
        for item in slow - self._slow:
            log.warning("work takes long; others do not wait for it", loop=self.name, item=item)
        self._slow = slow
        return len(slow)

    def _work_on(self) -> None:
        """Do what waits, one item after the other, until nothing does."""
        while (item := self._take()) is not None:
            self._do(item)

    def _take(self) -> Any:
        with self._lock:
            trying = sum(item in self._failed for item in self._under_way)
            may_try = bool(self._again) and trying < max(1, self._workers // 2)
            if self._new and not (may_try and self._was_new):
                item, self._was_new = self._new.popleft(), True
            elif may_try:
                item, self._was_new = self._again.popleft(), False
            else:
                self._busy -= 1
                return None
            self._under_way[item] = self._monotonic()
            return item

    def _do(self, item: Hashable) -> None:
        try:
            self.work(item)
        except BaseException as error:  # noqa: BLE001 - what is no Exception must not be lost either
            self.health.failed(self.clock(), error, item)
            self._put_off(item, error)
        else:
            self.health.succeeded(self.clock())
            with self._lock:
                self._failed.pop(item, None)
        finally:
            with self._lock:
                del self._under_way[item]
                wake = self._look_again and not self._under_way
                if wake:
                    self._look_again = False
            if wake:
                self.wake()

    def _put_off(self, item: Hashable, error: BaseException) -> None:
        with self._lock:
            before = self._failed.get(item)
            tries = before.tries + 1 if before is not None else 1
            away = isinstance(error, StoreUnavailable)
            wait = min(pause(tries), _STORE_PAUSE) if away else pause(tries)
            self._failed[item] = _Failed(tries, self._monotonic() + wait.total_seconds())
        if not away and worth_telling(tries):  # of the store its health tells
            log.error(
                "work failed; it is tried again",
                loop=self.name,
                item=item,
                tries=tries,
                exc_info=error,
            )


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler has no hints
    """APScheduler, whose jobs are due by the wall clock, for a clock that somebody sets.

    What is due later than its interval from now was put off by a clock that was ahead. What was due
    long ago is due once: APScheduler would count each missed run, one by one. It looks after the
    shortest interval at the latest, because it waits for that by the monotonic clock.
    """

    def __init__(self, clock: Callable[[], datetime], **options: Any) -> None:
        self._clock = clock
        super().__init__(**options)

    def _process_jobs(self) -> Any:
        now = self._clock()
        for job in self.get_jobs():
            if abs(job.next_run_time - now) > job.trigger.interval:
                job.modify(next_run_time=now)
        return super()._process_jobs()


class Jobs:
    """The scheduler with all loops. Each job has a thread, so that one that hangs holds none up.

    `clock` is the wall clock, by which APScheduler has jobs due.
    """

    def __init__(self, loops: Sequence[Loop], *, clock: Callable[[], datetime] = _now) -> None:
        self._loops = loops
        self._clock = clock
        self._scheduler = _Scheduler(
            clock,
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        for loop in loops:
            self._add(loop.name, loop.tick, TICK_SECONDS)
            loop.clock, loop.wake = clock, self._loop_waker(loop)

    def every(self, seconds: float, name: str, work: Callable[[], None]) -> Callable[[], None]:
        """Do something else at intervals, whatever it raises. Returns what has it done now."""
        self._add(name, _Repeated(name, work), seconds)
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

    def _add(self, name: str, work: Callable[[], None], seconds: float) -> None:
        self._scheduler.add_executor("threadpool", name, max_workers=1)
        self._scheduler.add_job(
            work,
            "interval",
            seconds=seconds,
            id=name,
            executor=name,
            next_run_time=self._clock(),  # what was missed while we were down is due now
        )

    def _waker(self, name: str, after: Callable[[], datetime] | None = None) -> Callable[[], None]:
        at = after or self._clock

        def wake() -> None:
            try:
                self._scheduler.modify_job(name, next_run_time=at())
            except JobLookupError:
                return  # stopping

        return wake

    def _loop_waker(self, loop: Loop) -> Callable[[], None]:
        def after() -> datetime:
            loop.woken = True
            now = self._clock()
            last = loop.health.last_look
            earliest = last + _BETWEEN_LOOKS if last is not None else now
            # A clock that was set back must not put the look off.
            return min(max(now, earliest), now + _BETWEEN_LOOKS)

        return self._waker(loop.name, after)
