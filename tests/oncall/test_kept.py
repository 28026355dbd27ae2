"""Answers are kept for their time, and one question is under way at a time about one thing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from bot.kept import MOST_KEPT, Kept
from bot.sandbox.hand_clock import HandClock

LASTS = timedelta(seconds=60)


class Oracle:
    """Answers with how often it was asked; holds answers back while `held`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reached = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, key: str) -> str:
        self.asked.append(key)
        number = len(self.asked)
        self.reached.release()
        self.go.wait(10)
        if key == "bad":
            raise LookupError(key)
        return f"{key} {number}"


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def kept(oracle, clock) -> Kept[str, str]:
    return Kept(oracle, lasts=lambda _: LASTS, clock=clock)


def test_an_answer_is_kept_until_its_time_is_over(kept, clock):
    assert kept.get("a") == "a 1"
    clock.advance(LASTS - timedelta(microseconds=1))
    assert kept.get("a") == "a 1"
    clock.advance(timedelta(microseconds=1))
    assert kept.get("a") == "a 2"


def test_its_age_counts_from_when_it_was_asked_for(oracle, kept, clock):
    oracle.go.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(kept.get, "a")
        assert oracle.reached.acquire(timeout=10)
        clock.advance(LASTS)
        oracle.go.set()
        assert asking.result() == "a 1"
    assert kept.get("a") == "a 2"


def test_a_clock_that_goes_back_makes_what_is_kept_void(oracle):
    now = [HandClock()()]
    kept = Kept(oracle, lasts=lambda _: LASTS, clock=lambda: now[0])
    assert kept.get("a") == "a 1"
    now[0] -= timedelta(hours=1)
    assert kept.get("a") == "a 2"


def test_different_things_are_different_questions(kept):
    assert (kept.get("a"), kept.get("b"), kept.get("a")) == ("a 1", "b 2", "a 1")


def test_many_who_ask_the_same_at_once_make_one_question(oracle, kept):
    oracle.go.clear()
    with ThreadPoolExecutor(20) as pool:
        started = threading.Barrier(21)

        def ask() -> str:
            started.wait(10)
            return kept.get("a")

        answers = [pool.submit(ask) for _ in range(20)]
        started.wait(10)
        assert oracle.reached.acquire(timeout=10)
        oracle.go.set()
        assert {one.result(10) for one in answers} == {"a 1"}
    assert oracle.asked == ["a"]


def test_one_question_does_not_hold_up_another(oracle, kept):
    oracle.go.clear()
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(kept.get, key) for key in ("a", "b")]
        assert oracle.reached.acquire(timeout=10)
        assert oracle.reached.acquire(timeout=10)
        oracle.go.set()
        assert {one.result(10)[0] for one in answers} == {"a", "b"}


def test_what_is_raised_reaches_everybody_who_waits_and_is_not_kept(oracle, kept):
    oracle.go.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "bad")
        assert oracle.reached.acquire(timeout=10)
        second = pool.submit(kept.get, "bad")
        oracle.go.set()
        for one in (first, second):
            with pytest.raises(LookupError):
                one.result(10)
    count = len(oracle.asked)
    with pytest.raises(LookupError):
        kept.get("bad")
    assert len(oracle.asked) == count + 1


def test_what_is_kept_does_not_grow_without_end(kept, clock):
    for number in range(MOST_KEPT):
        kept.get(f"old {number}")
    clock.advance(LASTS)
    kept.get("new")
    assert kept.get("new") == f"new {MOST_KEPT + 1}"
    for number in range(MOST_KEPT + 5):
        kept.get(f"more {number}")
    assert kept.size <= MOST_KEPT


def test_over_http_many_who_ask_at_once_make_one_request(local, pagerduty):
    local.pagerduty.put_user("PANA", "ana@example.com")
    local.pagerduty.put_on_call("PANA", "PAAAA")
    held = local.pagerduty.fail(times=1, hold=True)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(pagerduty.on_call, ["PAAAA"]) for _ in range(16)]
        assert held.reached.wait(10)
        held.release()
        assert {one.result(10).ids for one in answers} == {frozenset({"PANA"})}
    assert len(local.pagerduty.calls) == 1
