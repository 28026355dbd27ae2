"""What drives the loops: nothing that is due is forgotten, and nothing is done twice at a time."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from sqlalchemy import text

from bot.core.errors import StoreUnavailable
from bot.jobs import TICK_SECONDS, Jobs, Loop
from bot.loop_signs import STALE, LoopSigns
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

    def make(due: Callable[[], Any], work: Callable[[Any], None], workers: int = 4) -> Loop:
        loops.append(Loop("test", due, work, workers=workers))
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
    assert loop.signs.last_look is None
    loop.tick()
    assert work.began(3) == ["a", "b", "c"]
    assert loop.signs.last_look is not None
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


@pytest.mark.parametrize("error", [ValueError("odd"), StoreUnavailable("store_unavailable", "")])
def test_work_that_fails_is_handed_out_again_and_holds_nothing_else_up(
    make_loop: Callable[..., Loop], error: Exception
) -> None:
    done: Queue[str] = Queue()

    def fail_for_a(item: str) -> None:
        done.put(item)
        if item == "a":
            raise error

    loop = make_loop(lambda: ["a", "b"], fail_for_a, workers=1)
    counted = {"a": 0, "b": 0}
    for _ in range(PATIENCE * 20):
        loop.tick()
        with contextlib.suppress(Empty):
            counted[done.get(timeout=0.05)] += 1
        if min(counted.values()) >= 3:
            return
    raise AssertionError(counted)


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
        assert loop.signs.last_look is None, "readiness sees that the loop does not look"
        folder.mkdir()
        loop.tick()
        assert work.began(1) == ["found"]
        assert loop.signs.last_look is not None


# What a loop tells of itself


NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
AWAY = StoreUnavailable("store_unavailable", "")


def signs(*, one_by_one: bool = False) -> LoopSigns:
    """Those of a loop that has just looked."""
    made = LoopSigns("test", one_by_one=one_by_one)
    made.looked(NOW, idle=True)
    return made


def looking(made: LoopSigns) -> datetime:
    """It goes on looking until nothing but its work can make it unwell. Returns the time then."""
    now = NOW + STALE
    made.looked(now, idle=False)
    return now


def test_a_loop_that_looks_and_whose_work_fails_is_not_well() -> None:
    made = signs()
    made.failed(NOW, AWAY, "a")
    assert made.failing_since == NOW
    assert made.well(NOW), "it may be over in a moment"
    assert not made.well(looking(made))


def test_a_loop_is_well_again_once_its_work_succeeds() -> None:
    made = signs()
    made.failed(NOW, AWAY, "a")
    now = looking(made)
    made.succeeded(now)
    assert made.well(now)
    assert (made.failing_since, made.last_success) == (None, now)


def test_a_loop_is_well_again_once_there_is_nothing_to_do() -> None:
    """Another replica did it."""
    made = signs()
    made.failed(NOW, AWAY, "a")
    made.looked(NOW + STALE, idle=True)
    assert made.well(NOW + STALE)


def test_a_loop_that_no_longer_looks_is_not_well() -> None:
    made = signs()
    assert not made.well(NOW + STALE)
    assert not LoopSigns("test", one_by_one=False).well(NOW)


def test_one_item_that_fails_for_ever_does_not_make_the_bot_unready_and_two_do() -> None:
    made = signs()
    for _ in range(3):
        made.failed(NOW, ValueError("odd"), "a")
    assert made.well(looking(made))
    made.failed(NOW, ValueError("odd"), "b")
    assert not made.well(looking(made))


def test_the_only_item_of_a_loop_that_has_one_at_a_time_counts() -> None:
    made = signs(one_by_one=True)
    made.failed(NOW, ValueError("odd"), "a")
    assert not made.well(looking(made))


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
    wait_until(lambda: loop.signs.failing_since is not None)
    outcomes.put(None)
    wait_until(lambda: loop.tick() or loop.signs.last_success is not None)
    assert loop.signs.failing_since is None


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The scheduler


@pytest.fixture
def run_jobs() -> Iterator[Callable[..., Jobs]]:
    running: list[Jobs] = []

    def run(*loops: Loop) -> Jobs:
        jobs = Jobs(loops)
        jobs.start()
        running.append(jobs)
        return jobs

    yield run
    for jobs in running:
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
