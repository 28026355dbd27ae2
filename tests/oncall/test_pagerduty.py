"""Who is on call by PagerDuty: the first level of the named schedules, and nobody else."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.core.oncall import OnCall
from bot.oncall import MOST_PAGES, PagerDuty


@pytest.fixture
def people(local):
    """Ana on call first by PAAAA, Ben behind her, Cleo first by PBBBB."""
    for user, email in (("PANA", "ana@example.com"), ("PBEN", "ben@example.com")):
        local.pagerduty.put_user(user, email)
    local.pagerduty.put_user("PCLEO", "cleo@example.com")
    local.pagerduty.put_on_call("PANA", "PAAAA")
    local.pagerduty.put_on_call("PBEN", "PAAAA", level=2)
    local.pagerduty.put_on_call("PCLEO", "PBBBB")
    return local.pagerduty


def page(*entries: dict, more: bool = False) -> bytes:
    return json.dumps({"oncalls": entries, "more": more}).encode()


def entry(user: str = "PANA", schedule: str | None = "PAAAA", level: object = 1) -> dict:
    return {
        "user": {"id": user, "type": "user", "email": f"{user}@example.com"},
        "schedule": schedule and {"id": schedule},
        "escalation_level": level,
    }


@pytest.mark.usefixtures("people")
def test_the_first_level_of_a_named_schedule_is_on_call_and_the_second_is_not(pagerduty):
    assert pagerduty.on_call(["PAAAA"]) == OnCall(
        frozenset({"ana@example.com"}), frozenset({"PANA"})
    )


def test_several_schedules_are_asked_about_at_once(people, pagerduty):
    found = pagerduty.on_call(["PBBBB", "PAAAA"])
    assert found.ids == {"PANA", "PCLEO"}
    (call,) = people.calls
    assert [value for name, value in call.query if name == "schedule_ids[]"] == ["PAAAA", "PBBBB"]


def test_it_asks_as_pagerduty_documents_it(people, pagerduty):
    pagerduty.on_call(["PAAAA"])
    (call,) = people.calls
    assert call.path == "/oncalls"
    assert dict(call.query) == {
        "schedule_ids[]": "PAAAA",
        "include[]": "users",
        "earliest": "true",
        "limit": "100",
        "offset": "0",
    }
    assert call.headers["authorization"] == f"Token token={people.key}"
    assert call.headers["accept"] == "application/vnd.pagerduty+json;version=2"


def test_another_level_of_another_policy_takes_nothing_away(people, pagerduty):
    people.put_on_call("PANA", "PAAAA", level=3, policy="POTHER")
    people.put_on_call("PBEN", "PAAAA", level=1, policy="POTHER")
    assert pagerduty.on_call(["PAAAA"]).ids == {"PANA", "PBEN"}


@pytest.mark.parametrize(
    "foreign",
    [
        entry(schedule="PBBBB"),
        entry(schedule=None),
        entry(schedule="PAAAA ", level=1),
        entry(level=0),
        entry(level=2),
        entry(level=-1),
    ],
)
def test_what_was_not_asked_for_never_counts_even_where_it_is_answered(people, pagerduty, foreign):
    people.fail(body=page(foreign, entry("PDAN")))
    assert pagerduty.on_call(["PAAAA"]).ids == {"PDAN"}


def test_somebody_in_the_escalation_policy_without_a_schedule_is_not_on_call(people, pagerduty):
    people.put_on_call("PBEN", None)
    assert pagerduty.on_call(["PAAAA"]).ids == {"PANA"}


def test_upper_case_in_an_address_is_no_difference(people, pagerduty):
    people.put_user("PANA", "Ana@Example.COM")
    assert pagerduty.on_call(["PAAAA"]).emails == {"ana@example.com"}


@pytest.mark.parametrize(
    "email",
    ["\N{KELVIN SIGN}ate@example.com", "an\N{CYRILLIC SMALL LETTER A}@example.com", "ana", "@", ""],
)
def test_what_only_looks_like_an_address_is_none(people, pagerduty, email):
    people.put_user("PANA", email)
    found = pagerduty.on_call(["PAAAA"])
    assert (found.emails, found.ids) == (frozenset(), {"PANA"})


def test_a_user_without_an_address_is_known_by_id_alone(people, pagerduty):
    nobody = entry()
    del nobody["user"]["email"]
    people.fail(body=page(nobody))
    found = pagerduty.on_call(["PAAAA"])
    assert (found.emails, found.ids) == (frozenset(), {"PANA"})


def test_a_shift_counts_while_it_lasts(people, pagerduty, clock):
    start = clock() + timedelta(hours=1)
    people.put_on_call("PBEN", "PCCCC", start=start, end=start + timedelta(hours=1))
    assert pagerduty.on_call(["PCCCC"]) == OnCall()
    clock.advance(timedelta(hours=1))
    assert pagerduty.on_call(["PCCCC"]).ids == {"PBEN"}
    clock.advance(timedelta(hours=1))
    assert pagerduty.on_call(["PCCCC"]) == OnCall()


@pytest.mark.parametrize(("number", "pages"), [(99, 1), (100, 1), (101, 2), (250, 3)])
def test_every_page_is_read(local, pagerduty, number, pages):
    for one in range(number):
        local.pagerduty.put_user(f"P{one}", f"{one}@example.com")
        local.pagerduty.put_on_call(f"P{one}", "PAAAA")
    found = pagerduty.on_call(["PAAAA"])
    assert len(found.emails) == len(found.ids) == number
    assert [dict(call.query)["offset"] for call in local.pagerduty.calls] == [
        str(100 * one) for one in range(pages)
    ]


def test_a_page_that_is_shorter_than_asked_for_loses_nobody(people, pagerduty):
    people.fail(times=1, body=page(entry("P1"), entry("P2"), more=True))
    people.fail(times=1, body=page(entry("P3")))
    assert pagerduty.on_call(["PAAAA"]).ids == {"P1", "P2", "P3"}
    assert [dict(call.query)["offset"] for call in people.calls] == ["0", "2"]


def test_pages_without_end_are_not_read_without_end(people, pagerduty):
    people.fail(body=page(entry(), more=True))
    found = pagerduty.on_call(["PAAAA"])
    assert (found.available, found.ids) == (False, frozenset())
    assert len(people.calls) == MOST_PAGES


def test_an_empty_page_with_more_to_come_is_no_answer(people, pagerduty):
    people.fail(body=page(more=True))
    assert not pagerduty.on_call(["PAAAA"]).available
    assert len(people.calls) == 1


def test_a_page_that_fails_takes_the_whole_answer_with_it(people, pagerduty):
    people.fail(times=1, body=page(entry(), more=True))
    people.fail(times=1, status=500)
    found = pagerduty.on_call(["PAAAA"])
    assert (found.available, found.emails, found.ids) == (False, frozenset(), frozenset())


def test_without_a_schedule_nobody_is_on_call_and_nothing_is_asked(people, pagerduty):
    assert pagerduty.on_call([]) == OnCall()
    assert not people.calls


@pytest.mark.parametrize("schedule", ["null", "", "PAAAA&limit=1", "paaaa", "P" * 65, "PÄ"])
def test_what_is_no_id_of_a_schedule_is_not_asked_about(people, pagerduty, schedule):
    people.put_on_call("PBEN", None)
    found = pagerduty.on_call(["PAAAA", schedule])
    assert not found.available
    assert "is no id of a schedule" in found.problem
    assert not people.calls


@pytest.mark.parametrize(
    "body",
    [
        page(entry(level="1")),
        page(entry(level=True)),
        page(entry(level=None)),
        page({**entry(), "schedule": "PAAAA"}),
        page({**entry(), "user": None}),
        page({**entry(), "user": {"id": 7}}),
        page({"user": {"id": "PANA"}, "escalation_level": 1}),
        b'{"oncalls": []}',
        b'{"oncalls": [], "more": "false"}',
        b'{"oncalls": {}, "more": false}',
        b'{"more": false}',
    ],
)
def test_an_answer_of_another_shape_is_no_answer(people, pagerduty, body):
    people.fail(body=body)
    found = pagerduty.on_call(["PAAAA"])
    assert (found.available, found.ids) == (False, frozenset())
    assert "cannot be read" in found.problem


def test_without_a_token_it_says_what_to_set(clock):
    found = PagerDuty("https://api.pagerduty.com", None, clock=clock).on_call(["PAAAA"])
    assert (found.available, found.ids) == (False, frozenset())
    assert "PAGERDUTY_TOKEN is not set" in found.problem
