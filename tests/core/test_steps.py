"""Reminders and escalations: each once, in time, and for what still lacks approvals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.core.model import (
    Access,
    AccessRequest,
    AccessScope,
    Cluster,
    EscalationStep,
    Owners,
    Principal,
    Requirement,
    Review,
    Step,
    StepKind,
    Verdict,
)
from bot.core.steps import due_steps, next_step_at, stepped

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REMINDED, ESCALATED = StepKind.REMINDED, StepKind.ESCALATED
FURTHER = EscalationStep(30 * MINUTE, "C01PLATFORM", Owners(groups=frozenset({"S03PLATFORM"})))
PAYMENTS = Requirement(
    "payments",
    "C02PAY",
    Owners(frozenset({"U02BEN"})),
    remind_after=15 * MINUTE,
    escalation=FURTHER,
)
SECURITY = Requirement(
    "payments", "C03SEC", Owners(frozenset({"U03CLEO"})), part="security", remind_after=15 * MINUTE
)


def request(*requirements: Requirement, **changes: object) -> AccessRequest:
    plain = AccessRequest(
        id="7K3-QMX",
        requester="U01ANA",
        requester_name="Ana",
        cluster=Cluster("prod-eu", "eu-west-1", "111122223333"),
        level="edit",
        namespaces=("payments",),
        duration=timedelta(hours=1),
        reason="A stuck job",
        ticket=None,
        start_at=None,
        principal=Principal("arn:aws:iam::111122223333:role/ana"),
        access=Access(None, AccessScope.of(["payments"])),
        rules=("payments",),
        requirements=requirements or (PAYMENTS,),
        created_at=NOW,
        lapses_at=NOW + timedelta(hours=1),
    )
    return replace(plain, **changes)


def kinds(asked: AccessRequest, minutes: float, *reviews: Review) -> list[tuple[StepKind, str]]:
    due = due_steps(asked, reviews, NOW + minutes * MINUTE)
    return [(step.kind, step.requirement) for step in due]


def test_a_reminder_is_due_then_an_escalation() -> None:
    assert kinds(request(), 14.9) == []
    assert kinds(request(), 15) == [(REMINDED, "payments")]
    reminded = request(steps=(Step(REMINDED, "payments", NOW + 15 * MINUTE),))
    assert kinds(reminded, 29.9) == []
    assert kinds(reminded, 30) == [(ESCALATED, "payments")]
    both = (*reminded.steps, Step(ESCALATED, "payments", NOW + 30 * MINUTE))
    assert kinds(request(steps=both), 59) == []


def test_who_was_away_when_the_reminder_was_due_is_not_told_the_same_twice() -> None:
    assert kinds(request(), 40) == [(ESCALATED, "payments")]
    escalated = request(steps=(Step(ESCALATED, "payments", NOW + 40 * MINUTE),))
    assert kinds(escalated, 41) == []


def test_only_what_lacks_approvals_is_reminded_of() -> None:
    asked = request(PAYMENTS, SECURITY)
    assert kinds(asked, 15) == [(REMINDED, "payments"), (REMINDED, "payments / security")]
    ben = Review("7K3-QMX", "U02BEN", Verdict.APPROVE, NOW, rules=("payments",))
    assert kinds(asked, 15, ben) == [(REMINDED, "payments / security")]
    assert kinds(asked, 30, ben) == [(REMINDED, "payments / security")]


def test_a_deputy_of_two_owners_is_no_second_word_for_one_of_them() -> None:
    """Who is asked next hangs on the seats that each approval had for each part."""
    two = replace(PAYMENTS, required=2, remind_after=None)
    asked = request(two, replace(SECURITY, remind_after=None))
    dan = Review(
        "7K3-QMX",
        "U04DAN",
        Verdict.APPROVE,
        NOW,
        rules=("payments",),
        deputy_of=("U02BEN",),
        seats={"payments": ("U02BEN",)},
    )
    eve = replace(
        dan,
        reviewer="U05EVE",
        rules=("payments", "payments / security"),
        deputy_of=("U02BEN", "U03CLEO"),
        seats={"payments": ("U02BEN",), "payments / security": ("U03CLEO",)},
    )
    fay = replace(dan, reviewer="U06FAY", rules=("payments / security",), deputy_of=(), seats={})
    assert kinds(asked, 30, dan, eve, fay) == [(ESCALATED, "payments")]


def test_nothing_is_planned_for_when_the_time_to_decide_is_over() -> None:
    short = request(lapses_at=NOW + 20 * MINUTE)
    assert kinds(short, 40) == [(REMINDED, "payments")]
    assert next_step_at(short, NOW) == NOW + 15 * MINUTE
    assert next_step_at(short, NOW + 15 * MINUTE) is None


def test_time_is_looked_at_when_the_next_step_is_due() -> None:
    asked = request()
    assert next_step_at(asked, NOW) == NOW + 15 * MINUTE
    assert next_step_at(asked, NOW + 15 * MINUTE) == NOW + 30 * MINUTE
    assert next_step_at(asked, NOW + 30 * MINUTE) is None
    assert next_step_at(request(replace(PAYMENTS, remind_after=None, escalation=None)), NOW) is None


def test_a_step_is_on_record_with_where_it_was_taken() -> None:
    event = stepped(request(), Step(ESCALATED, "payments", NOW))
    assert (event.actor, event.action) == ("bot", "request.escalated")
    assert event.details == {"requirement": "payments", "channel": "C01PLATFORM"}
    event = stepped(request(PAYMENTS, SECURITY), Step(REMINDED, "payments / security", NOW))
    assert (event.action, event.details["channel"]) == ("request.reminded", "C03SEC")


@given(st.lists(st.integers(0, 70), max_size=8))
def test_whenever_the_loop_looks_each_step_is_taken_once_and_never_too_early(
    looks: list[int],
) -> None:
    """The clock may also go back."""
    asked = request(PAYMENTS, SECURITY)
    for minute in looks:
        steps = due_steps(asked, (), NOW + minute * MINUTE)
        asked = replace(asked, steps=asked.steps + steps)
    taken = [(step.kind, step.requirement) for step in asked.steps]
    assert len(taken) == len(set(taken))
    for step in asked.steps:
        wait = 15 if step.kind is REMINDED else 30
        assert step.at - NOW >= wait * MINUTE
    if any(minute >= 30 for minute in looks):
        assert asked.escalated(PAYMENTS)
        assert asked.asked_of(PAYMENTS).groups == {"S03PLATFORM"}
