"""What drives the loops: nothing that is due is forgotten, and nothing is done twice at a time."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
import structlog
from apscheduler.schedulers import SchedulerNotRunningError
from sqlalchemy import text

from bot.core.errors import StoreUnavailable
from bot.jobs import SLOW_SECONDS, TICK_SECONDS, Jobs, Loop
from bot.loop_health import STALE, LoopHealth
from bot.store.database import Database

PATIENCE = 10


class Work:
    """Items that are due until they are done, and a record of what was begun and is going on."""

    def __init__(self, *items: str) -> None:
        self.waiting = list(items)
        self.looks: Queue[int] = Queue()
        self.begun: Queue[str] = Queue()
        self.hold: dict[str, threading.Event] = {}
        self.going_on: list[str] = []
        self.most_at_once: dict[str, int] = {}
        self._lock = threading.Lock()

    def due(self) -> list[str]:
        self.looks.put(1)
        return list(self.waiting)

    def do(self, item: str) -> None:
        with self._lock:
            self.going_on.append(item)
            count = self.going_on.count(item)
            self.most_at_once[item] = max(count, self.most_at_once.get(item, 0))
        self.begun.put(item)
        if item in self.hold:
            assert self.hold[item].wait(PATIENCE)
        with self._lock:
            self.going_on.remove(item)

    def began(self, count: int) -> list[str]:
        return sorted(self.begun.get(timeout=PATIENCE) for _ in range(count))

    def nothing_more_begun(self) -> None:
        with pytest.raises(Empty):
            self.begun.get_nowait()


@pytest.fixture
def make_loop() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def make(
        due: Callable[..., Any], work: Callable[[Any], None], workers: int = 4, **more: Any
    ) -> Loop:
        loops.append(Loop("test", due, work, workers=workers, **more))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


# One loop


def test_a_loop_that_is_woken_while_it_looks_looks_once_more(
    make_loop: Callable[..., Loop],
) -> None:
    loop: Loop
    looks: list[str] = []

    def due() -> list[str]:
        looks.append("look")
        loop.woken = True
        return []

    loop = make_loop(due, lambda _: None)
    loop.tick()
    assert looks == ["look"] * 2


def test_a_tick_hands_out_what_is_due_once(make_loop: Callable[..., Loop]) -> None:
    work = Work("a", "b", "c")
    loop = make_loop(work.due, work.do)
    assert loop.health.last_look is None
    loop.tick()
    assert work.began(3) == ["a", "b", "c"]
    assert loop.health.last_look is not None
    work.nothing_more_begun()


def test_different_items_are_done_beside_each_other(make_loop: Callable[..., Loop]) -> None:
    together = threading.Barrier(3)
    loop = make_loop(lambda: ["a", "b"], lambda _: together.wait(PATIENCE), workers=2)
    loop.tick()
    together.wait(PATIENCE)


def test_an_item_under_way_is_not_begun_again_however_often_it_is_due(
    make_loop: Callable[..., Loop],
) -> None:
    work = Work("slow")
    work.hold["slow"] = threading.Event()
    loop = make_loop(work.due, work.do)
    loop.tick()
    assert work.began(1) == ["slow"]
    work.waiting.append("quick")
    for _ in range(5):
        loop.tick()
    assert "slow" not in work.began(1)
    work.hold["slow"].set()
    loop.close()
    assert work.most_at_once["slow"] == 1


def test_what_became_due_again_while_it_was_under_way_is_looked_at_when_that_is_done(
    make_loop: Callable[..., Loop],
) -> None:
    work = Work("slow")
    work.hold["slow"] = threading.Event()
    loop = make_loop(work.due, work.do)
    woken = threading.Event()
    loop.wake = woken.set
    loop.tick()
    work.began(1)
    loop.tick()
    assert not woken.is_set()
    work.hold["slow"].set()
    assert woken.wait(PATIENCE)


def test_what_did_not_become_due_again_wakes_nobody(make_loop: Callable[..., Loop]) -> None:
    work = Work("a")
    loop = make_loop(work.due, work.do)
    woken = threading.Event()
    loop.wake = woken.set
    loop.tick()
    work.began(1)
    loop.close()
    assert not woken.is_set()


# Work that fails, or hangs


class Hand:
    """Seconds of a monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Batch:
    """A store in small: what is due stays due until it is done, in batches of `size`, by age."""

    def __init__(self, size: int, *items: str) -> None:
        self.size = size
        self.waiting = list(items)
        self.tried: Queue[str] = Queue()
        self.done: Queue[str] = Queue()

    def due(self, beside: int) -> list[str]:
        return self.waiting[: self.size + beside]

    def work(self, item: str) -> None:
        self.tried.put(item)
        if item.startswith("poisoned"):
            raise ValueError(item)
        self.waiting.remove(item)
        self.done.put(item)


@pytest.fixture
def hand() -> Iterator[Hand]:
    """Nothing is printed meanwhile: to print hundreds of tracebacks takes many seconds."""
    with structlog.testing.capture_logs():
        yield Hand()


def settled(loop: Loop) -> None:
    """Tick once, and wait until what that handed out is done. For a loop with one worker.

    It has two threads, and both of them meet once neither works on anything.
    """
    loop.tick()
    meeting = threading.Barrier(2)
    for met in [loop._executor.submit(meeting.wait, PATIENCE) for _ in range(2)]:
        met.result(PATIENCE)


@pytest.mark.parametrize(
    "error", [ValueError("odd"), SystemExit(1), StoreUnavailable("store_unavailable", "")]
)
def test_work_that_fails_is_handed_out_again_and_holds_nothing_else_up(
    make_loop: Callable[..., Loop], hand: Hand, error: BaseException
) -> None:
    done: Queue[str] = Queue()

    def fail_for_a(item: str) -> None:
        done.put(item)
        if item == "a":
            raise error

    loop = make_loop(lambda: ["a", "b"], fail_for_a, workers=1, monotonic=hand)
    counted = {"a": 0, "b": 0}
    for _ in range(PATIENCE * 20):
        loop.tick()
        hand.seconds += 1
        with contextlib.suppress(Empty):
            counted[done.get(timeout=0.05)] += 1
        if min(counted.values()) >= 3:
            return
    raise AssertionError(counted)


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(1)])
def test_work_that_fails_is_put_off_whatever_it_raises(
    make_loop: Callable[..., Loop], hand: Hand, error: BaseException
) -> None:
    tried: Queue[str] = Queue()

    def fail(item: str) -> None:
        tried.put(item)
        raise error

    loop = make_loop(lambda: ["a"], fail, workers=1, monotonic=hand)
    for _ in range(3):
        settled(loop)
    assert tried.qsize() == 1
    assert loop.failing == 1


def test_a_batch_of_items_that_fail_for_ever_keeps_nothing_from_being_done(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    poisoned = [f"poisoned {number}" for number in range(250)]
    batch = Batch(100, *poisoned, "good")
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    for _ in range(4):
        settled(loop)
    assert batch.done.get(timeout=PATIENCE) == "good"
    assert loop.failing == 250, "none is forgotten"
    batch.waiting.append("new")
    hand.seconds += 3600
    loop.tick()
    assert batch.done.get(timeout=PATIENCE) == "new"


def test_what_is_new_is_not_behind_all_that_is_tried_again(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    poisoned = [f"poisoned {number}" for number in range(50)]
    batch = Batch(100, *poisoned)
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    settled(loop)
    while not batch.tried.empty():
        batch.tried.get()
    batch.waiting.append("new")
    hand.seconds += 1
    settled(loop)
    order = [batch.tried.get(timeout=PATIENCE) for _ in range(51)]
    assert order.index("new") <= 1
    assert sorted(order) == sorted([*poisoned, "new"]), "and these are tried all the same"


def test_what_is_tried_again_is_not_behind_all_that_is_new(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    batch = Batch(100, "poisoned")
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    settled(loop)
    assert batch.tried.get(timeout=PATIENCE) == "poisoned"
    batch.waiting += [f"new {number}" for number in range(50)]
    hand.seconds += 1
    settled(loop)
    order = [batch.tried.get(timeout=PATIENCE) for _ in range(51)]
    assert order.index("poisoned") <= 1


def test_pauses_between_tries_grow_to_a_minute_and_go_on_for_ever(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    batch = Batch(100, "poisoned")
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    tried: list[float] = []
    for _ in range(4 * 600):
        settled(loop)
        with contextlib.suppress(Empty):
            batch.tried.get_nowait()
            tried.append(hand.seconds)
        hand.seconds += 0.25
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert pauses[:9] == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[8:]) == {60}


def test_what_fails_for_ever_is_told_ever_more_seldom(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    batch = Batch(100, "poisoned")
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    with structlog.testing.capture_logs() as logs:
        for _ in range(100):
            settled(loop)
            hand.seconds += 60
    assert [one["tries"] for one in logs] == [1, 2, 4, 8, 16, 32, 64]
    assert all(one["item"] == "poisoned" and one["exc_info"] for one in logs)


def test_what_works_again_is_no_longer_counted(make_loop: Callable[..., Loop], hand: Hand) -> None:
    batch = Batch(100, "poisoned")
    loop = make_loop(batch.due, batch.work, workers=1, batched=True, monotonic=hand)
    settled(loop)
    assert loop.failing == 1
    batch.waiting.clear()  # somebody else did it
    hand.seconds += 3600
    settled(loop)
    assert loop.failing == 0


def test_items_that_hang_keep_no_other_from_being_done(
    make_loop: Callable[..., Loop], hand: Hand
) -> None:
    release = threading.Event()
    begun: Queue[str] = Queue()
    items = ["a", "b"]

    def hang(item: str) -> None:
        begun.put(item)
        if item != "c":
            release.wait(3 * PATIENCE)

    loop = make_loop(lambda: items, hang, workers=2, monotonic=hand)
    try:
        loop.tick()
        assert {begun.get(timeout=PATIENCE) for _ in items} == {"a", "b"}
        items.append("c")
        loop.tick()
        assert begun.empty()
        hand.seconds += SLOW_SECONDS
        loop.tick()
        assert begun.get(timeout=PATIENCE) == "c"
        assert loop.slow == 2
    finally:
        release.set()


def test_a_loop_whose_look_fails_for_ever_tells_it_ever_more_seldom(
    make_loop: Callable[..., Loop],
) -> None:
    def due() -> list[str]:
        raise ValueError("odd")

    loop = make_loop(due, lambda _: None)
    with structlog.testing.capture_logs() as logs:
        for _ in range(100):
            loop.tick()
    assert [one["failures"] for one in logs] == [1, 2, 4, 8, 16, 32, 64]


def test_a_loop_goes_on_once_the_store_is_back(
    make_loop: Callable[..., Loop], tmp_path: Path
) -> None:
    folder = tmp_path / "away"
    work = Work()

    with closing(Database(f"sqlite:///{folder}/eks-access.db")) as database:

        def due() -> list[str]:
            with database.reading() as tx:
                return [str(tx.scalar(text("SELECT 'found'")))]

        loop = make_loop(due, work.do)
        for _ in range(3):
            loop.tick()
        assert loop.health.last_look is None, "readiness sees that the loop does not look"
        folder.mkdir()
        loop.tick()
        assert work.began(1) == ["found"]
        assert loop.health.last_look is not None


# What a loop tells of itself


NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
AWAY = StoreUnavailable("store_unavailable", "")


def health(*, one_by_one: bool = False) -> LoopHealth:
    """Those of a loop that has just looked."""
    made = LoopHealth("test", one_by_one=one_by_one)
    made.looked(NOW, idle=True)
    return made


def looking(made: LoopHealth) -> datetime:
    """It goes on looking until nothing but its work can make it unwell. Returns the time then."""
    now = NOW + STALE
    made.looked(now, idle=False)
    return now


def test_a_loop_that_looks_and_whose_work_fails_is_not_well() -> None:
    made = health()
    made.failed(NOW, AWAY, "a")
    assert made.failing_since == NOW
    assert made.problem(NOW) is None, "it may be over in a moment"
    assert made.problem(looking(made)) is not None


def test_a_loop_is_well_again_once_its_work_succeeds() -> None:
    made = health()
    made.failed(NOW, AWAY, "a")
    now = looking(made)
    made.succeeded(now)
    assert made.problem(now) is None
    assert (made.failing_since, made.last_success) == (None, now)


def test_a_loop_is_well_again_once_there_is_nothing_to_do() -> None:
    """Another replica did it."""
    made = health()
    made.failed(NOW, AWAY, "a")
    made.looked(NOW + STALE, idle=True)
    assert made.problem(NOW + STALE) is None


def test_a_clock_that_was_set_back_makes_no_loop_well() -> None:
    made, ahead = LoopHealth("test", one_by_one=False), timedelta(hours=1)
    made.looked(NOW + ahead, idle=False)
    assert made.problem(NOW) is not None, "it has not looked since"
    made.failed(NOW + ahead, StoreUnavailable("store_unavailable", ""))
    made.looked(NOW, idle=False)
    assert made.problem(NOW) is not None, "it failed before"


def test_a_loop_that_no_longer_looks_is_not_well() -> None:
    made = health()
    assert made.problem(NOW + STALE) is not None
    assert LoopHealth("test", one_by_one=False).problem(NOW) is not None


def test_a_loop_that_is_not_well_says_why() -> None:
    made = LoopHealth("test", one_by_one=True)
    assert made.problem(NOW) == "It has not read the database since the bot started."
    made.looked(NOW, idle=True)
    since = "since 2026-01-05 09:00:00 UTC"
    assert made.problem(NOW + STALE) == f"It has not read the database {since}."
    made.failed(NOW, ValueError("xoxb-secret"), "a")
    unknown = "The bot does not know this error (ValueError). The log has it."
    assert made.problem(looking(made)) == f"Its work has failed {since}. {unknown}"
    made.failed(NOW + STALE, StoreUnavailable("store_full", "The database is full."))
    full = f"Its work has failed {since}. The database is full. (store_full)"
    assert made.problem(NOW + STALE) == full


def test_one_item_that_fails_for_ever_does_not_make_the_bot_unready_and_two_do() -> None:
    made = health()
    for _ in range(3):
        made.failed(NOW, ValueError("odd"), "a")
    assert made.problem(looking(made)) is None
    made.failed(NOW, ValueError("odd"), "b")
    assert made.problem(looking(made)) is not None


def test_the_only_item_of_a_loop_that_has_one_at_a_time_counts() -> None:
    made = health(one_by_one=True)
    made.failed(NOW, ValueError("odd"), "a")
    assert made.problem(looking(made)) is not None


def test_a_loop_tells_what_came_of_its_work(make_loop: Callable[..., Loop]) -> None:
    outcomes: Queue[Exception | None] = Queue()

    def work(_: str) -> None:
        outcome = outcomes.get(timeout=PATIENCE)
        if outcome is not None:
            raise outcome

    def due() -> list[str]:
        return [] if outcomes.empty() else ["a"]

    loop = make_loop(due, work, 1)
    outcomes.put(AWAY)
    loop.tick()
    wait_until(lambda: loop.health.failing_since is not None)
    outcomes.put(None)
    wait_until(lambda: loop.tick() or loop.health.last_success is not None)
    assert loop.health.failing_since is None


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The scheduler


@pytest.fixture
def run_jobs() -> Iterator[Callable[..., Jobs]]:
    running: list[Jobs] = []

    def run(*loops: Loop, **options: Any) -> Jobs:
        jobs = Jobs(loops, **options)
        jobs.start()
        running.append(jobs)
        return jobs

    yield run
    for jobs in running:
        with contextlib.suppress(SchedulerNotRunningError):
            jobs.stop()


def test_what_is_due_at_the_start_is_done_at_the_start_and_again_by_itself(
    run_jobs: Callable[..., Jobs],
) -> None:
    work = Work("a")
    began = time.monotonic()
    run_jobs(Loop("test", work.due, work.do, workers=1))
    assert work.began(2) == ["a", "a"]
    assert time.monotonic() - began >= TICK_SECONDS / 2, "it does not spin"


def test_a_loop_is_woken_early(run_jobs: Callable[..., Jobs]) -> None:
    """Twenty looks, each after a whole tick, would take ten seconds."""
    work = Work()
    jobs = run_jobs(Loop("test", work.due, work.do, workers=1))
    began = time.monotonic()
    for number in range(20):
        work.waiting.append(str(number))
        jobs.wake_all()
        while work.begun.get(timeout=PATIENCE) != str(number):
            pass  # a look at the same moment had found the one before too
        work.waiting.clear()
    assert time.monotonic() - began < 20 * TICK_SECONDS / 2


def test_a_look_that_fails_is_made_again(run_jobs: Callable[..., Jobs]) -> None:
    looked: Queue[int] = Queue()
    looks = itertools.count(1)

    def due() -> list[str]:
        look = next(looks)
        looked.put(look)
        if look < 3:
            raise ValueError("odd")
        return ["a"]

    work = Work()
    jobs = run_jobs(Loop("test", due, work.do, workers=1))
    for _ in range(3):
        looked.get(timeout=PATIENCE)
        jobs.wake_all()
    assert work.began(1) == ["a"]


def test_one_loop_that_hangs_holds_no_other_up(run_jobs: Callable[..., Jobs]) -> None:
    release = threading.Event()
    slow = Work("slow")
    slow.hold["slow"] = release
    quick = Work("quick")
    run_jobs(
        Loop("slow", slow.due, slow.do, workers=1), Loop("quick", quick.due, quick.do, workers=1)
    )
    assert slow.began(1) == ["slow"]
    assert quick.began(2) == ["quick", "quick"]
    release.set()


def test_other_work_is_done_at_intervals(run_jobs: Callable[..., Jobs]) -> None:
    jobs = run_jobs()
    done: Queue[int] = Queue()
    jobs.every(0.01, "other", lambda: done.put(1))
    for _ in range(3):
        done.get(timeout=PATIENCE)


def test_other_work_that_fails_is_repeated_and_told_ever_more_seldom(
    run_jobs: Callable[..., Jobs],
) -> None:
    done: Queue[int] = Queue()

    def fail() -> None:
        done.put(1)
        raise ValueError("odd")

    with structlog.testing.capture_logs() as logs:
        jobs = run_jobs()
        jobs.every(0.01, "other", fail)
        for _ in range(9):
            done.get(timeout=PATIENCE)
        jobs.stop()
        told = [one["failures"] for one in logs]
    assert told[:4] == [1, 2, 4, 8]
    assert all(one & (one - 1) == 0 for one in told)


def test_jobs_that_hang_hold_no_other_up_however_many_they_are(
    run_jobs: Callable[..., Jobs],
) -> None:
    release = threading.Event()
    hanging: Queue[int] = Queue()
    jobs = run_jobs()

    def hang() -> None:
        hanging.put(1)
        release.wait(3 * PATIENCE)

    for number in range(20):
        jobs.every(60, f"hanging {number}", hang)
    try:
        for _ in range(20):
            hanging.get(timeout=PATIENCE)
        done: Queue[int] = Queue()
        jobs.every(60, "other", lambda: done.put(1))
        done.get(timeout=PATIENCE)
    finally:
        release.set()


class SetClock(datetime):
    """The wall clock, which somebody sets. The monotonic clock goes on."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + cls.ahead


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(days=365 * 5)], ids=str)
def test_loops_go_on_though_the_clock_is_set(
    run_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    monkeypatch.setattr(SetClock, "ahead", timedelta())
    # APScheduler takes no clock.
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", SetClock)
    work = Work("a")
    loop = Loop("test", work.due, work.do, workers=1)
    jobs = run_jobs(loop, clock=lambda: SetClock.now(UTC))
    done: Queue[int] = Queue()
    jobs.every(1, "other", lambda: done.put(1))
    work.began(2)
    done.get(timeout=PATIENCE)
    SetClock.ahead = ahead
    for _ in range(3):
        work.began(1)
    for _ in range(2):
        done.get(timeout=PATIENCE)
    began = time.monotonic()
    work.began(2)
    assert time.monotonic() - began >= TICK_SECONDS / 2, "it does not spin"
    assert loop.health.last_look is not None
    assert abs(loop.health.last_look - SetClock.now(UTC)) < timedelta(minutes=5)


def test_stopping_lets_what_is_under_way_finish_and_begins_nothing_new() -> None:
    work = Work("a")
    work.hold["a"] = threading.Event()
    jobs = Jobs([Loop("test", work.due, work.do, workers=1)])
    jobs.start()
    work.began(1)
    stopped = threading.Thread(target=jobs.stop)
    stopped.start()
    assert stopped.is_alive()
    assert work.going_on == ["a"]
    work.hold["a"].set()
    stopped.join(PATIENCE)
    assert not stopped.is_alive()
    assert work.going_on == []
    jobs.wake_all()
    work.nothing_more_begun()


def test_waking_before_the_start_does_no_harm() -> None:
    work = Work("a")
    jobs = Jobs([Loop("test", work.due, work.do, workers=1)])
    jobs.wake_all()
    jobs.start()
    assert work.began(1) == ["a"]
    jobs.stop()
