"""Who is on call by Opsgenie: those whom the named schedules tell at once, and nobody else."""

from __future__ import annotations

import json

import pytest

from bot.core.oncall import OnCall
from bot.oncall import Opsgenie
from bot.sandbox.local_opsgenie import escalation, team, user

PLATFORM = "d875a1b4-9b4e-4219-a1b3-0c26936d18de"
PAYMENTS = "5b2b0e01-1b3a-4566-83f4-e25e0c26936d"
ANA, BEN, CLEO, DAN = (f"{name}@example.com" for name in ("ana", "ben", "cleo", "dan"))


@pytest.fixture
def schedules(local):
    local.opsgenie.put_schedule(PLATFORM, "platform")
    local.opsgenie.put_schedule(PAYMENTS, "payments")
    local.opsgenie.put_on_call(PLATFORM, user(ANA))
    local.opsgenie.put_on_call(PAYMENTS, user(BEN))
    return local.opsgenie


@pytest.mark.usefixtures("schedules")
def test_who_stands_in_the_named_schedule_is_on_call_and_nobody_of_another(opsgenie):
    assert opsgenie.on_call([PLATFORM]) == OnCall(frozenset({ANA}), frozenset({f"user-{ANA}"}))
    assert opsgenie.on_call([PLATFORM, PAYMENTS]).emails == {ANA, BEN}


def test_it_asks_as_opsgenie_documents_it(schedules, opsgenie):
    opsgenie.on_call([PLATFORM])
    (call,) = schedules.calls
    assert call.path == f"/v2/schedules/{PLATFORM}/on-calls"
    assert dict(call.query) == {"scheduleIdentifierType": "id", "flat": "false"}
    assert call.headers["authorization"] == f"GenieKey {schedules.key}"


def test_of_an_escalation_only_those_count_who_are_told_at_once(schedules, opsgenie):
    steps = (
        user(BEN, escalationTime=0, notifyType="default"),
        user(CLEO, escalationTime=5, notifyType="default"),
        user(DAN, notifyType="default"),
    )
    schedules.put_on_call(PLATFORM, escalation("platform", *steps))
    assert opsgenie.on_call([PLATFORM]).emails == {ANA, BEN}


def test_a_team_counts_for_nobody(schedules, opsgenie):
    schedules.put_on_call(
        PLATFORM,
        team("everybody", user(BEN), user(CLEO, escalationTime=0)),
        escalation("platform", team("everybody", user(DAN), escalationTime=0)),
    )
    assert opsgenie.on_call([PLATFORM]) == OnCall(frozenset({ANA}), frozenset({f"user-{ANA}"}))


def test_a_schedule_and_an_escalation_inside_an_escalation_count_for_nobody(schedules, opsgenie):
    inner = {**escalation("inner", user(BEN, escalationTime=0)), "escalationTime": 0}
    other = {"id": PAYMENTS, "name": "payments", "type": "schedule", "escalationTime": 0}
    schedules.put_on_call(PLATFORM, escalation("outer", inner, other))
    assert opsgenie.on_call([PLATFORM]).emails == {ANA}


def test_a_schedule_that_is_off_has_nobody_on_call(schedules, opsgenie):
    schedules.put_schedule(PLATFORM, "platform", enabled=False)
    schedules.put_on_call(PLATFORM, user(ANA))
    assert opsgenie.on_call([PLATFORM]) == OnCall()


def test_upper_case_in_an_address_is_no_difference(schedules, opsgenie):
    schedules.put_on_call(PLATFORM, user("Ben@Example.COM"))
    assert opsgenie.on_call([PLATFORM]).emails == {ANA, BEN}


@pytest.mark.usefixtures("schedules")
def test_a_schedule_is_named_by_id_and_not_by_name(opsgenie):
    found = opsgenie.on_call(["platform"])
    assert not found.available
    assert "it has no schedule `platform`" in found.problem


def test_one_schedule_that_is_not_answered_for_takes_the_whole_answer_with_it(schedules, opsgenie):
    schedules.hidden.add(PAYMENTS)
    found = opsgenie.on_call([PLATFORM, PAYMENTS])
    assert (found.available, found.emails) == (False, frozenset())
    assert "OPSGENIE_API_KEY" in found.problem


@pytest.mark.parametrize("schedule", ["../teams", "a/b", "a?flat=true", "", "x" * 65, "plåt"])
def test_what_is_no_id_of_a_schedule_is_not_asked_about(schedules, opsgenie, schedule):
    found = opsgenie.on_call([schedule])
    assert not found.available
    assert "is no id of a schedule" in found.problem
    assert not schedules.calls


def test_an_answer_for_another_schedule_is_no_answer(schedules, opsgenie):
    schedules.fail(body=json.dumps({"data": schedules.schedules[PAYMENTS]}).encode())
    found = opsgenie.on_call([PLATFORM])
    assert (found.available, found.emails) == (False, frozenset())


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"_parent": {"id": PLATFORM}, "onCallParticipants": []},
        {"_parent": {"id": PLATFORM, "enabled": "true"}, "onCallParticipants": []},
        {"_parent": {"id": PLATFORM, "enabled": True}, "onCallParticipants": [ANA]},
        {"_parent": {"id": PLATFORM, "enabled": True}, "onCallParticipants": [{"name": ANA}]},
        {
            "_parent": {"id": PLATFORM, "enabled": True},
            "onCallParticipants": [escalation("a", user(ANA, escalationTime="0"))],
        },
    ],
)
def test_an_answer_of_another_shape_is_no_answer(schedules, opsgenie, data):
    schedules.fail(body=json.dumps({"data": data}).encode())
    found = opsgenie.on_call([PLATFORM])
    assert (found.available, found.emails) == (False, frozenset())
    assert "cannot be read" in found.problem


def test_without_a_schedule_nobody_is_on_call_and_nothing_is_asked(schedules, opsgenie):
    assert opsgenie.on_call([]) == OnCall()
    assert not schedules.calls


def test_without_a_key_it_says_what_to_set(clock):
    found = Opsgenie("https://api.opsgenie.com", None, clock=clock).on_call([PLATFORM])
    assert (found.available, found.emails) == (False, frozenset())
    assert "OPSGENIE_API_KEY is not set" in found.problem
