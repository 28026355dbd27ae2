"""Break-glass: who may, what is stored at once, and what it leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, HOUR, LEADS, RESPONDERS, SECURITY, Desk, person

from bot.access import lockdown
from bot.core.errors import Conflict, DirectoryUnavailable, Refused
from bot.core.model import AccessRequest, GrantState, RequestState
from bot.core.oncall import OnCall
from bot.store import audit, entries, post_reviews

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
PAGERDUTY = ("pagerduty", ("PABC123",))
DAY = timedelta(hours=24)


@pytest.fixture(autouse=True)
def entry(desk: Desk) -> dict[str, Any]:
    """The policy's break-glass, to be changed."""
    entry: dict[str, Any] = {
        "clusters": ["prod-*"],
        "levels": ["edit", "view"],
        "responders": {"groups": [RESPONDERS]},
        "max_duration": "1h",
        "review": {"owners": {"groups": [SECURITY]}, "within": "24h"},
    }
    desk.document["break_glass"] = [entry]
    desk.document["security_channel"] = "C0SECURITY"
    return entry


@pytest.fixture
def on_call(desk: Desk, entry: dict[str, Any]) -> dict[str, Any]:
    """Dan alone, by PagerDuty; what the policy says of responders, to be changed."""
    responders: dict[str, Any] = {"pagerduty": {"schedules": ["PABC123"]}}
    entry["responders"] = responders
    desk.on_call[PAGERDUTY] = OnCall(frozenset({"dan@example.com"}), frozenset({"PDAN"}))
    return responders


def overdue(desk: Desk, **more: Any) -> AccessRequest:
    """A break-glass whose review nobody gave in time."""
    request = desk.break_glass("billing", **more)
    desk.gone(request.id)
    desk.clock.advance(DAY.total_seconds())
    return request


# What it gives, and what it leaves behind


@BOTH
def test_whoever_may_has_a_grant_at_once_with_the_review_it_owes(desk: Desk) -> None:
    request = desk.break_glass(duration=timedelta(minutes=30))
    assert (request.state, request.decided_by) == (RequestState.APPROVED, "bot")
    assert (request.break_glass, request.rules) == (True, ("break-glass",))
    assert request.shown_in == ("C0SECURITY", "C01PAY")
    grant = desk.grant(request.id)
    assert grant is not None
    assert (grant.state, grant.duration) == (GrantState.PROVISIONING, timedelta(minutes=30))
    owed = desk.owed(request.id)
    assert owed is not None
    assert owed.open
    assert (owed.begun_at, owed.due_at) == (desk.clock(), desk.clock() + DAY)
    assert desk.actions(request.id) == [
        (ANA, "request.submitted"),
        ("bot", "request.approved"),
        (ANA, "break_glass.begun"),
    ]
    with desk.database.reading() as tx:
        asked, _, begun = audit.of_request(tx, request.id)
        assert len(entries.due(tx, desk.clock(), 10)) == 1
    assert asked.details["break_glass"] is True
    assert asked.details["reason"] == "it is down"
    assert begun.details == {
        "review_due_at": (desk.clock() + DAY).isoformat(),
        "review_owners": [SECURITY],
        "told": ["C0SECURITY", "C01PAY"],
        "notes": [],
    }


def test_without_a_length_it_lasts_an_hour_or_what_the_policy_gives(
    desk: Desk, entry: dict[str, Any]
) -> None:
    entry["max_duration"] = "20m"
    assert desk.break_glass().duration == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"reason": ""}, "reason_missing"),
        ({"reason": " \u200b\n"}, "reason_missing"),
        ({"duration": 2 * HOUR}, "too_long"),
        ({"duration": timedelta()}, "bad_duration"),
        ({"level": "admin"}, "no_break_glass"),
    ],
)
def test_what_may_not_be_asked_for_is_refused_and_stores_nothing(
    desk: Desk, changed: dict[str, Any], code: str
) -> None:
    with desk.refuses(Refused, code):
        desk.break_glass(**changed)


@pytest.mark.parametrize("namespace", ["*", "Payments", "x" * 64, "a b"])
def test_what_is_no_namespace_is_refused(desk: Desk, namespace: str) -> None:
    with desk.refuses(Refused, "bad_namespace"):
        desk.break_glass(namespace)


def test_an_entry_that_is_taken_out_of_the_policy_gives_nothing(desk: Desk) -> None:
    desk.document["break_glass"] = []
    with desk.refuses(Refused, "no_break_glass"):
        desk.break_glass()


def test_a_review_that_only_the_person_could_give_would_never_come(
    desk: Desk, entry: dict[str, Any]
) -> None:
    entry["review"]["owners"] = {"users": [ANA]}
    with desk.refuses(Refused, "nobody_to_review"):
        desk.break_glass()


def test_whoever_has_no_principal_of_their_own_gets_nothing(desk: Desk) -> None:
    desk.membership[RESPONDERS] |= {DAN}
    desk.become(DAN, email="dan+x@example.com")
    with desk.refuses(Refused, "email_not_plain"):
        desk.break_glass(who=DAN)


# Who may


def test_somebody_who_is_not_among_the_responders_is_refused(desk: Desk) -> None:
    with desk.refuses(Refused, "not_on_call") as raised:
        desk.break_glass(who=BEN)
    assert "/eks-access request prod-eu edit" in raised.value.sentence


def test_somebody_who_left_the_responders_a_minute_ago_is_refused(desk: Desk) -> None:
    desk.leave(RESPONDERS, ANA)
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "is_bot"),
        ({"is_guest": True}, "is_guest"),
        ({"is_stranger": True}, "other_organisation"),
        ({"team_id": "T09OTHER"}, "other_organisation"),
    ],
)
def test_a_responder_who_is_no_full_member_is_refused(
    desk: Desk, change: dict[str, Any], code: str
) -> None:
    desk.become(ANA, **change)
    with desk.refuses(Refused, code):
        desk.break_glass()


@pytest.mark.usefixtures("on_call")
def test_whoever_is_on_call_by_a_confirmed_address_may(desk: Desk) -> None:
    assert desk.break_glass(who=DAN).state is RequestState.APPROVED


@pytest.mark.usefixtures("on_call")
@pytest.mark.parametrize(
    "change",
    [
        {"email_confirmed": False},
        {"email": "dan@elsewhere.com"},
        {"email": "dan@example.com.evil.org"},
        {"email": "d\u0430n@example.com"},
        {"email": None},
    ],
)
def test_an_address_that_proves_nothing_puts_nobody_on_call(
    desk: Desk, change: dict[str, Any]
) -> None:
    answer = OnCall(frozenset({"dan@example.com", "dan@elsewhere.com", "dan@example.com.evil.org"}))
    desk.on_call[PAGERDUTY] = answer
    desk.become(DAN, **change)
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass(who=DAN)


def test_the_policys_own_map_says_who_a_user_of_the_service_is(
    desk: Desk, on_call: dict[str, Any]
) -> None:
    """Whoever is in the map is known by it alone, whatever their address is."""
    on_call["pagerduty"]["users"] = {"PDAN": CLEO, "POTHER": DAN}
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass(who=DAN)
    assert desk.break_glass(who=CLEO).state is RequestState.APPROVED


@pytest.mark.usefixtures("on_call")
def test_an_on_call_service_that_is_down_lets_nobody_in_without_a_fallback(desk: Desk) -> None:
    desk.on_call[PAGERDUTY] = OnCall(available=False, problem="PagerDuty is down.")
    with desk.refuses(Refused, "not_on_call") as raised:
        desk.break_glass(who=DAN)
    assert "PagerDuty is down." in raised.value.sentence


@pytest.mark.usefixtures("on_call")
def test_an_on_call_service_that_was_not_asked_lets_nobody_in(desk: Desk) -> None:
    desk.on_call.clear()
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass(who=DAN)


def test_while_the_service_is_down_the_fallback_counts_and_that_is_on_record(
    desk: Desk, on_call: dict[str, Any]
) -> None:
    on_call["fallback"] = {"groups": [LEADS]}
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass(who=CLEO)  # the service answers, so the fallback counts for nothing
    desk.on_call[PAGERDUTY] = OnCall(available=False, problem="PagerDuty is down.")
    request = desk.break_glass(who=CLEO)
    assert request.state is RequestState.APPROVED
    assert request.notes[0] == "PagerDuty is down."
    assert "fallback" in request.notes[1]
    with desk.database.reading() as tx:
        assert audit.of_request(tx, request.id)[-1].details["notes"] == list(request.notes)


def test_with_the_service_down_a_fallback_that_slack_does_not_tell_lets_nobody_in(
    desk: Desk, on_call: dict[str, Any]
) -> None:
    on_call["fallback"] = {"groups": [LEADS]}
    desk.on_call[PAGERDUTY] = OnCall(available=False)
    del desk.membership[LEADS]
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        desk.break_glass(who=CLEO)


def test_whoever_is_on_call_may_though_slack_tells_no_group(
    desk: Desk, on_call: dict[str, Any]
) -> None:
    on_call["groups"] = [RESPONDERS]
    on_call["fallback"] = {"groups": [LEADS]}
    desk.membership.clear()
    assert desk.break_glass(who=DAN).state is RequestState.APPROVED


# How often


@BOTH
def test_the_same_is_not_given_twice_at_the_same_time(desk: Desk) -> None:
    first = desk.break_glass("payments", "billing")
    with desk.refuses(Conflict, "already_broken") as raised:
        desk.break_glass("billing", "payments", "billing", duration=timedelta(minutes=5))
    assert f"`/eks-access status {first.id}`" in raised.value.sentence
    assert f"`/eks-access return {first.id}`" in raised.value.sentence
    other = desk.break_glass("payments")
    assert other.state is RequestState.APPROVED


def test_it_is_given_again_once_it_is_over(desk: Desk) -> None:
    first = desk.break_glass()
    desk.gone(first.id)
    assert desk.break_glass().state is RequestState.APPROVED


def test_it_cannot_be_extended(desk: Desk) -> None:
    request = desk.break_glass()
    desk.confirm(request.id)
    with desk.refuses(Refused, "break_glass") as raised:
        desk.extend(request.id)
    assert "/eks-access request prod-eu" in raised.value.sentence


# In place of a request that waits


@BOTH
def test_it_takes_the_place_of_a_waiting_request_in_one_transaction(desk: Desk) -> None:
    waiting = desk.ask("billing")
    request = desk.break_glass("payments", instead_of=waiting.id)
    assert request.replaces == waiting.id
    assert desk.state(waiting.id) is RequestState.CANCELLED
    assert desk.actions(waiting.id)[-1] == (ANA, "request.cancelled")
    with desk.database.reading() as tx:
        assert audit.of_request(tx, request.id)[0].details["replaces"] == waiting.id


def test_it_takes_the_place_of_one_that_waits_for_the_same_by_itself(desk: Desk) -> None:
    waiting = desk.ask("payments")
    request = desk.break_glass("payments")
    assert request.replaces == waiting.id
    assert desk.state(waiting.id) is RequestState.CANCELLED


def test_one_that_has_lapsed_without_being_marked_so_is_in_nobodys_way(desk: Desk) -> None:
    waiting = desk.ask("payments")
    desk.clock.advance(HOUR.total_seconds())
    request = desk.break_glass("payments")
    assert (request.state, request.replaces) == (RequestState.APPROVED, None)
    assert desk.state(waiting.id) is RequestState.LAPSED


def test_it_takes_the_place_of_ones_own_request_alone(desk: Desk) -> None:
    waiting = desk.ask("payments", who=CLEO)
    with desk.refuses(Refused, "not_yours"):
        desk.break_glass(instead_of=waiting.id)


def test_a_request_that_was_decided_meanwhile_is_not_replaced(desk: Desk) -> None:
    waiting = desk.ask()
    desk.deny(waiting.id)
    with desk.refuses(Conflict, "already_decided"):
        desk.break_glass(instead_of=waiting.id)


def test_a_refused_break_glass_leaves_the_waiting_request_as_it_is(desk: Desk) -> None:
    waiting = desk.ask(who=BEN)
    with desk.refuses(Refused, "not_on_call"):
        desk.break_glass(who=BEN, instead_of=waiting.id)


# While a review is overdue


@BOTH
def test_while_a_review_is_overdue_the_next_one_waits_for_an_owner_of_it(desk: Desk) -> None:
    earlier = overdue(desk)
    request = desk.break_glass()
    assert request.state is RequestState.PENDING
    assert desk.grant(request.id) is None
    assert desk.owed(request.id) is None
    [needed] = request.requirements
    assert (needed.rule, needed.channel) == ("break-glass", "C0SECURITY")
    for nobody in (BEN, DAN):
        with desk.refuses(Refused, "not_owner"):
            desk.approve(request.id, nobody)
    with desk.refuses(Refused, "own_request"):
        desk.approve(request.id, ANA)
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED
    assert desk.owed(request.id) is not None
    assert desk.actions(request.id) == [
        (ANA, "request.submitted"),
        (EVE, "request.reviewed"),
        (EVE, "request.approved"),
        (ANA, "break_glass.begun"),
    ]
    assert desk.owed(earlier.id) is not None


@BOTH
def test_who_has_as_many_as_may_be_waits_for_an_owner_with_the_next(
    desk: Desk, entry: dict[str, Any]
) -> None:
    entry["max_live"] = 2
    first, second = desk.break_glass("a"), desk.break_glass("b")
    third = desk.break_glass("c")
    assert third.state is RequestState.PENDING
    assert third.notes == (
        f"{first.id} and {second.id} are live already, so this break-glass needs an approval.",
    )
    desk.membership[RESPONDERS] |= {CLEO}
    assert desk.break_glass("c", who=CLEO).state is RequestState.APPROVED
    assert desk.approve(third.id, EVE).state is RequestState.APPROVED
    desk.give_back(first.id)
    assert desk.break_glass("d").state is RequestState.PENDING
    desk.gone(second.id)
    assert desk.break_glass("e").state is RequestState.APPROVED


def test_three_at_once_are_the_most_where_the_file_does_not_say(desk: Desk) -> None:
    asked = [desk.break_glass(name).state for name in ("a", "b", "c", "d")]
    assert asked == [RequestState.APPROVED] * 3 + [RequestState.PENDING]


def test_what_an_owner_approved_is_no_break_glass_and_does_not_count(
    desk: Desk, entry: dict[str, Any]
) -> None:
    entry["max_live"] = 1
    desk.approve(desk.ask("billing").id, EVE)
    assert desk.break_glass("a").state is RequestState.APPROVED


def test_a_review_of_somebody_else_being_overdue_is_in_nobodys_way(desk: Desk) -> None:
    desk.membership[RESPONDERS] |= {CLEO}
    overdue(desk, who=CLEO)
    assert desk.break_glass().state is RequestState.APPROVED


def test_once_the_review_is_given_the_next_one_is_given_at_once(desk: Desk) -> None:
    earlier = overdue(desk)
    desk.post_review(earlier.id)
    assert desk.break_glass().state is RequestState.APPROVED


def test_what_waits_for_an_approval_still_needs_it_when_the_review_came_meanwhile(
    desk: Desk,
) -> None:
    earlier = overdue(desk)
    request = desk.break_glass()
    desk.post_review(earlier.id)
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_an_approval_is_worth_nothing_once_the_person_is_off_call(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    desk.leave(RESPONDERS, ANA)
    with desk.refuses(Refused, "no_longer_allowed"):
        desk.approve(request.id, EVE)


def test_an_approval_is_worth_nothing_once_the_entry_is_gone(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    desk.document["break_glass"] = []
    with desk.refuses(Refused, "no_longer_allowed"):
        desk.approve(request.id, EVE)


def test_an_owner_of_the_review_denies_it_with_a_reason(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    desk.deny(request.id, EVE, "Review the other one first")
    assert desk.state(request.id) is RequestState.DENIED


def test_a_second_account_on_the_same_principal_approves_none(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    second = "U09ANATOO"
    desk.people[second] = person(second, email="ana@example.org")
    desk.document["principals"]["users"].pop(ANA)
    desk.membership[SECURITY] |= {second}
    with desk.refuses(Refused, "same_principal"):
        desk.approve(request.id, second)


@BOTH
def test_the_same_is_not_waited_for_twice(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    with desk.refuses(Conflict, "already_waiting") as raised:
        desk.break_glass()
    assert request.id in raised.value.sentence
    with desk.refuses(Conflict, "already_break_glass"):
        desk.break_glass("billing", instead_of=request.id)


def test_reviews_that_are_not_due_yet_are_in_nobodys_way(desk: Desk) -> None:
    request = desk.break_glass("billing")
    desk.gone(request.id)
    desk.clock.advance(DAY.total_seconds() - 1)
    with desk.database.reading() as tx:
        assert post_reviews.overdue(tx, ANA, desk.clock()) == []
    assert desk.break_glass().state is RequestState.APPROVED


# While lockdown is on


def lock_down(desk: Desk) -> None:
    with desk.database.transaction() as tx:
        lockdown.begin(tx, by="operator", reason="stolen laptop", revoking=False, now=desk.clock())


@BOTH
def test_in_a_lockdown_nobody_breaks_glass_but_those_whom_the_policy_names(desk: Desk) -> None:
    lock_down(desk)
    with desk.refuses(Refused, "lockdown"):
        desk.break_glass()
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    with desk.refuses(Refused, "lockdown"):
        desk.break_glass()
    desk.document["lockdown"]["break_glass"] = {"users": [ANA]}
    assert desk.break_glass().state is RequestState.APPROVED


def test_in_a_lockdown_an_approval_is_for_those_who_may_break_glass_then(desk: Desk) -> None:
    overdue(desk)
    request = desk.break_glass()
    lock_down(desk)
    with desk.refuses(Refused, "lockdown"):
        desk.approve(request.id, EVE)
    desk.document["lockdown"] = {"owners": {"users": [DAN]}, "break_glass": {"users": [ANA]}}
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_after_a_revocation_the_next_one_waits_until_it_is_reviewed(desk: Desk) -> None:
    first = desk.break_glass()
    desk.confirm(first.id)
    desk.take_away(first.id, BEN)
    desk.gone(first.id)
    again = desk.break_glass()
    assert again.state is RequestState.PENDING
    desk.cancel(again.id)
    desk.post_review(first.id)
    assert desk.break_glass().state is RequestState.APPROVED


def test_a_group_that_slack_does_not_tell_stops_only_whom_nothing_else_lets_in(
    desk: Desk, entry: dict[str, Any]
) -> None:
    other = entry | {"responders": {"users": [ANA]}}
    desk.document["break_glass"] = [entry, other]
    del desk.membership[RESPONDERS]
    assert desk.break_glass().state is RequestState.APPROVED
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        desk.break_glass(who=BEN)


def test_a_review_that_only_ones_other_account_could_give_would_never_come(
    desk: Desk, entry: dict[str, Any]
) -> None:
    desk.document["principals"]["users"][DAN] = desk.document["principals"]["users"][ANA]
    desk.document["principals"]["shared"] = [desk.document["principals"]["users"][ANA]]
    entry["review"]["owners"] = {"users": [ANA, DAN]}
    with desk.refuses(Refused, "nobody_to_review"):
        desk.break_glass()
