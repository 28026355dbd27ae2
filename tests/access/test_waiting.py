"""What time does to a request that waits: reminded, escalated, lapsed; each once, whoever looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from desk import ANA, BEN, DAN, EVE, HOUR, PLATFORM, Desk

from bot.access.waiting import WaitingRequests
from bot.core.errors import Conflict, Refused
from bot.core.model import RequestState, StepKind
from bot.store.database import Database

MINUTE = timedelta(minutes=1)
BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def waiting(desk: Desk) -> WaitingRequests:
    """The loop; the payments rule reminds after 15 minutes and asks the platform after 30."""
    desk.rules["payments"]["approval"] |= {
        "remind_after": "15m",
        "escalate": {"after": "30m", "channel": "C01PLAT", "owners": {"groups": [PLATFORM]}},
    }
    return loop(desk)


def loop(desk: Desk, database: Database | None = None) -> WaitingRequests:
    return WaitingRequests(database or desk.database, changed=lambda: None, clock=desk.clock)


def look(waiting: WaitingRequests) -> list[str]:
    due = waiting.due()
    for request_id in due:
        waiting.work(request_id)
    return due


def steps(desk: Desk, request_id: str) -> list[StepKind]:
    return [step.kind for step in desk.request(request_id).steps]


@BOTH
def test_a_request_that_waits_is_reminded_of_then_escalated_then_lapses(
    desk: Desk, waiting: WaitingRequests
) -> None:
    request = desk.ask()
    desk.clock.advance(14 * MINUTE)
    assert look(waiting) == []
    desk.clock.advance(MINUTE)
    assert look(waiting) == [request.id]
    assert steps(desk, request.id) == [StepKind.REMINDED]
    assert look(waiting) == []
    desk.clock.advance(15 * MINUTE)
    look(waiting)
    assert steps(desk, request.id) == [StepKind.REMINDED, StepKind.ESCALATED]
    desk.clock.advance(30 * MINUTE)
    look(waiting)
    assert desk.state(request.id) is RequestState.LAPSED
    assert desk.actions(request.id) == [
        (ANA, "request.submitted"),
        ("bot", "request.reminded"),
        ("bot", "request.escalated"),
        ("bot", "request.lapsed"),
    ]
    assert look(waiting) == []


def test_further_owners_decide_from_their_escalation_on_and_not_before(
    desk: Desk, waiting: WaitingRequests
) -> None:
    del waiting  # it may be late: what counts is the time that has passed
    request = desk.ask()
    with desk.refuses(Refused, "not_owner") as refused:
        desk.approve(request.id, DAN)
    assert "from 09:30 UTC on" in refused.value.sentence
    desk.clock.advance(30 * MINUTE)
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_a_decided_request_is_left_alone(desk: Desk, waiting: WaitingRequests) -> None:
    request = desk.ask()
    desk.approve(request.id, BEN)
    desk.clock.advance(HOUR)
    assert look(waiting) == []
    assert steps(desk, request.id) == []


def test_after_a_restart_and_a_clock_that_jumped_what_was_missed_is_done_once(
    desk: Desk, waiting: WaitingRequests
) -> None:
    request = desk.ask()
    desk.clock.advance(45 * MINUTE)
    look(waiting)
    assert steps(desk, request.id) == [StepKind.ESCALATED]
    desk.clock.advance(-20 * MINUTE)
    assert look(loop(desk)) == []
    desk.clock.advance(20 * MINUTE)
    assert look(loop(desk)) == []
    assert steps(desk, request.id) == [StepKind.ESCALATED]


@BOTH
def test_two_replicas_that_look_at_once_take_each_step_once(
    desk: Desk, waiting: WaitingRequests
) -> None:
    ids = [desk.ask("payments", who=who).id for who in (ANA, DAN, EVE)]
    desk.clock.advance(15 * MINUTE)
    start = Barrier(3)

    def run(_: int) -> None:
        start.wait(10)
        for request_id in ids:
            waiting.work(request_id)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, range(3)))
    for request_id in ids:
        assert steps(desk, request_id) == [StepKind.REMINDED]
        assert [one for _, one in desk.actions(request_id)].count("request.reminded") == 1


def test_an_approval_at_the_last_moment_is_not_undone(desk: Desk, waiting: WaitingRequests) -> None:
    request = desk.ask()
    desk.clock.advance(HOUR - MINUTE)
    due = waiting.due()
    desk.approve(request.id, BEN)
    desk.clock.advance(MINUTE)
    for one in due:
        waiting.work(one)
    assert desk.state(request.id) is RequestState.APPROVED
    with pytest.raises(Conflict):
        desk.lapse(request.id)
