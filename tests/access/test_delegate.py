"""Deputies: who may name one, what a deputy decides, and what ends with the delegation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, HOUR, LEADS, PLATFORM, Desk

from bot.access import delegate, review
from bot.access.start import begin as begin_access
from bot.core.errors import Conflict, DirectoryUnavailable, NotFound, Refused
from bot.core.model import Delegation, GrantState, RequestState
from bot.store import audit, delegations

DAY = timedelta(days=1)
BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture(autouse=True)
def _delegable(desk: Desk) -> None:
    """Owners of payments and of the vault may name a deputy for a week."""
    for name in ("payments", "vault"):
        desk.rules[name]["approval"]["delegation"] = {"longest": "7d"}


def name(desk: Desk, deputy: str = DAN, *, owner: str = BEN, length: timedelta = DAY) -> Delegation:
    with desk.database.transaction() as tx:
        return delegate.begin(tx, desk.facts(), owner, deputy, desk.clock() + length)[0]


def take_back(desk: Desk, owner: str = BEN, deputy: str | None = None) -> int:
    with desk.database.transaction() as tx:
        return len(delegate.end(tx, owner, deputy, desk.clock()))


def held(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.reading() as tx:
        return [(one.owner, one.deputy) for one in delegations.holding(tx, desk.clock())]


def recorded(desk: Desk) -> list[tuple[str, str, Any]]:
    with desk.database.reading() as tx:
        events = reversed(audit.latest(tx, 20))
    return [
        (one.actor, one.action, one.details["deputy"])
        for one in events
        if one.action.startswith("delegation.")
    ]


@BOTH
def test_a_deputy_decides_in_the_place_of_an_owner_until_the_time_is_over(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask(level="view")
    with desk.refuses(Refused, "not_owner"):
        desk.approve(first.id, DAN)
    name(desk, length=30 * timedelta(minutes=1))
    assert desk.approve(first.id, DAN).state is RequestState.APPROVED
    [review] = desk.reviews(first.id)
    assert (review.reviewer, review.deputy_of, review.rules) == (DAN, (BEN,), ("payments",))
    assert review.seats == {"payments": (BEN,)}
    desk.clock.advance(30 * timedelta(minutes=1))
    with desk.refuses(Refused, "not_owner"):
        desk.approve(second.id, DAN)
    assert held(desk) == []
    assert recorded(desk) == [(BEN, "delegation.begun", DAN)]


def test_a_deputy_denies_too(desk: Desk) -> None:
    request = desk.ask()
    name(desk)
    assert desk.deny(request.id, DAN).state is RequestState.DENIED
    assert desk.reviews(request.id)[0].deputy_of == (BEN,)


def test_what_is_taken_back_holds_no_longer_at_the_next_click(desk: Desk) -> None:
    request = desk.ask()
    name(desk)
    facts = desk.facts()  # asked of Slack before it was taken back
    assert take_back(desk) == 1
    with desk.refuses(Refused, "not_owner"), desk.database.transaction() as tx:
        review.approve(tx, facts, request.id, DAN)
    with pytest.raises(NotFound):
        take_back(desk)
    assert [action for _, action, _ in recorded(desk)] == ["delegation.begun", "delegation.ended"]


def test_an_owner_of_something_else_and_a_deputy_of_theirs_decide_nothing_here(desk: Desk) -> None:
    desk.rules["billing"]["approval"]["delegation"] = {"longest": "7d"}
    request = desk.ask()
    name(desk, owner=EVE, deputy=DAN)
    with desk.refuses(Refused, "not_owner"):
        desk.approve(request.id, DAN)


def test_a_rule_without_delegation_has_no_deputies(desk: Desk) -> None:
    request = desk.ask()
    name(desk)
    del desk.rules["payments"]["approval"]["delegation"]
    with desk.refuses(Refused, "not_owner"):
        desk.approve(request.id, DAN)


def test_nobody_decides_on_the_request_of_the_owner_they_stand_in_for(desk: Desk) -> None:
    request = desk.ask(who=BEN)
    name(desk)
    with desk.refuses(Refused, "not_owner"):
        desk.approve(request.id, DAN)


def test_a_deputy_does_not_decide_on_their_own_request(desk: Desk) -> None:
    request = desk.ask(who=DAN)
    name(desk)
    with desk.refuses(Refused, "own_request"):
        desk.approve(request.id, DAN)


def shared_principal(desk: Desk) -> None:
    role = "arn:aws:iam::{account}:role/eks-jit/ana"
    desk.document["principals"] |= {"shared": [role]}
    desk.document["principals"]["users"][DAN] = role


CHANGES: dict[str, Callable[[Desk], object]] = {
    "the deputy is deactivated": lambda desk: desk.become(DAN, deleted=True),
    "the deputy is a guest now": lambda desk: desk.become(DAN, is_guest=True),
    "the owner is deactivated": lambda desk: desk.become(CLEO, deleted=True),
    "the owner is no owner any more": lambda desk: desk.leave(LEADS, CLEO),
    "the deputy has the requester's principal": shared_principal,
    "the rule allows less": lambda desk: desk.rules["payments"]["approval"].update(
        {"delegation": {"longest": "1h"}}
    ),
    "the rule allows others": lambda desk: desk.rules["payments"]["approval"].update(
        {"delegation": {"longest": "7d", "to": {"users": [EVE]}}}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_so_at_the_click_decides(desk: Desk, change: Callable[[Desk], object]) -> None:
    request = desk.ask()
    name(desk, owner=CLEO)
    change(desk)
    with pytest.raises(Refused):
        desk.approve(request.id, DAN)
    assert desk.state(request.id) is RequestState.PENDING


def test_an_owner_and_their_deputy_are_one_word_where_two_are_needed(desk: Desk) -> None:
    request = desk.ask("vault")
    name(desk, deputy=ANA, owner=BEN)
    desk.become(EVE)
    request = desk.ask("vault", who=EVE)
    assert desk.approve(request.id, BEN).state is RequestState.PENDING
    assert desk.approve(request.id, ANA).state is RequestState.PENDING
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_two_deputies_of_one_owner_are_one_word_too(desk: Desk) -> None:
    desk.membership[PLATFORM] = frozenset({DAN})
    name(desk, deputy=ANA)
    name(desk, deputy=EVE)
    request = desk.ask("vault", who=DAN)
    desk.approve(request.id, ANA)
    assert desk.approve(request.id, EVE).state is RequestState.PENDING
    assert desk.approve(request.id, CLEO).state is RequestState.APPROVED


@BOTH
def test_an_owner_who_was_too_early_for_an_escalation_is_not_in_the_way_of_their_deputy(
    desk: Desk,
) -> None:
    desk.rules["payments"]["approval"] |= {
        "owners": {"users": [BEN]},
        "escalate": {"after": "30m", "channel": "C01PLAT", "owners": {"users": [CLEO]}},
        "also": [{"name": "security", "owners": {"users": [CLEO, DAN]}}],
    }
    name(desk, deputy=EVE, owner=CLEO)
    request = desk.ask()
    for who in (DAN, CLEO):
        assert desk.approve(request.id, who).state is RequestState.PENDING
    desk.clock.advance(40 * timedelta(minutes=1))
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED
    assert [one.seats for one in desk.reviews(request.id)] == [
        {"payments / security": (CLEO,)},
        {"payments / security": (DAN,)},
        {"payments": (CLEO,), "payments / security": (CLEO,)},
    ]


def test_a_word_given_as_a_deputy_stands_after_the_delegation(desk: Desk) -> None:
    request = desk.ask("vault")
    name(desk, deputy=EVE, owner=CLEO, length=10 * timedelta(minutes=1))
    desk.membership[PLATFORM] = frozenset({DAN})
    assert desk.approve(request.id, EVE).state is RequestState.PENDING
    desk.clock.advance(10 * timedelta(minutes=1))
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_access_for_later_that_a_deputy_approved_begins_though_the_owner_is_back(
    desk: Desk,
) -> None:
    request = desk.ask(start_at=desk.clock() + HOUR)
    name(desk, length=10 * timedelta(minutes=1))
    desk.approve(request.id, DAN)
    desk.clock.advance(HOUR)
    with desk.database.transaction() as tx:
        assert begin_access(tx, desk.facts(), request.id).state is GrantState.PROVISIONING


@pytest.mark.parametrize(
    ("owner", "deputy", "length", "code"),
    [
        (BEN, BEN, DAY, "own_deputy"),
        (ANA, DAN, DAY, "nothing_to_delegate"),
        (DAN, ANA, 8 * DAY, "too_long"),
        (BEN, DAN, 7 * DAY + HOUR, "too_long"),
    ],
)
def test_what_may_not_be_handed_over_is_refused(
    desk: Desk, owner: str, deputy: str, length: timedelta, code: str
) -> None:
    with desk.refuses(Refused, code):
        name(desk, deputy, owner=owner, length=length)


def test_outsiders_are_no_deputies_and_name_none(desk: Desk) -> None:
    desk.become(DAN, is_guest=True)
    with desk.refuses(Refused, "no_deputy"):
        name(desk)
    desk.become(BEN, deleted=True)
    with desk.refuses(Refused, "deactivated"):
        name(desk, CLEO)


def test_only_those_whom_the_rule_allows_stand_in(desk: Desk) -> None:
    desk.rules["payments"]["approval"]["delegation"] = {"longest": "7d", "to": {"users": [EVE]}}
    del desk.rules["vault"]["approval"]["delegation"]
    with desk.refuses(Refused, "not_among"):
        name(desk, DAN)
    assert name(desk, EVE).deputy == EVE


def test_without_slack_it_is_not_guessed_who_owns_what(desk: Desk) -> None:
    del desk.membership[LEADS]
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        name(desk, owner=CLEO)
    assert name(desk, owner=BEN).owner == BEN  # who is named by id


def test_the_same_deputy_named_again_takes_the_place_of_the_first_time(desk: Desk) -> None:
    name(desk, length=DAY)
    name(desk, length=2 * DAY)
    with desk.database.reading() as tx:
        [one] = delegations.holding(tx, desk.clock())
    assert one.until - one.since == 2 * DAY
    desk.people |= {f"U1{number}": desk.people[DAN] for number in range(3)}
    name(desk, "U10")
    name(desk, "U11")
    with desk.refuses(Conflict, "too_many_deputies"):
        name(desk, "U12")
    assert take_back(desk, deputy="U10") == 1
    assert take_back(desk) == 2


def test_an_owner_who_was_not_looked_up_makes_the_click_be_tried_again(desk: Desk) -> None:
    request = desk.ask()
    name(desk)
    del desk.people[BEN]
    with desk.refuses(Conflict, "try_again"):
        desk.approve(request.id, DAN)


@BOTH
def test_those_that_held_since_then_are_found_and_no_others(desk: Desk) -> None:
    start: datetime = desk.clock()
    name(desk, DAN, length=HOUR)
    name(desk, ANA, length=3 * HOUR)
    desk.clock.advance(2 * HOUR)
    take_back(desk)
    with desk.database.reading() as tx:
        found = delegations.of_deputies(tx, [DAN, ANA], start)
        later = delegations.of_deputies(tx, [DAN, ANA], start + HOUR)
        none = delegations.of_deputies(tx, [DAN, ANA], start + 2 * HOUR)
    assert [one.deputy for one in found] == [DAN, ANA]
    assert [one.deputy for one in later] == [ANA]
    assert none == ()
