"""The review of a break-glass: by somebody else, once, when it is over; and if nobody gives it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from desk import ANA, BEN, DAN, EVE, PLATFORM, RESPONDERS, SECURITY, Desk, person

from bot.core.errors import Conflict, DirectoryUnavailable, InvalidInput, NotFound, Refused
from bot.core.model import AccessRequest
from bot.core.post_review import ReviewStep, next_step, steps_due
from bot.store import audit, post_reviews

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
HOURS = 3600
REMINDED, OVERDUE, ESCALATED = ReviewStep.REMINDED, ReviewStep.OVERDUE, ReviewStep.ESCALATED


@pytest.fixture(autouse=True)
def review(desk: Desk) -> dict[str, Any]:
    """What the policy says of the review, to be changed."""
    review: dict[str, Any] = {"owners": {"groups": [SECURITY]}, "within": "24h"}
    desk.document["break_glass"] = [
        {
            "clusters": ["prod-*"],
            "levels": ["edit"],
            "responders": {"groups": [RESPONDERS]},
            "max_duration": "1h",
            "review": review,
        }
    ]
    desk.document["security_channel"] = "C0SECURITY"
    return review


@pytest.fixture
def glass(desk: Desk) -> AccessRequest:
    """Ana's break-glass, which is over."""
    request = desk.break_glass()
    desk.gone(request.id)
    return request


# What it says


@BOTH
@pytest.mark.parametrize("justified", [True, False])
def test_an_owner_says_what_was_done_and_whether_it_was_justified(
    desk: Desk, glass: AccessRequest, *, justified: bool
) -> None:
    desk.clock.advance(60)
    desk.post_review(glass.id, EVE, "  Restarted the API server. ", justified=justified)
    owed = desk.owed(glass.id)
    assert owed is not None
    assert not owed.open
    assert (owed.reviewer, owed.reviewed_at) == (EVE, desk.clock())
    assert (owed.justified, owed.findings) == (justified, "Restarted the API server.")
    assert desk.actions(glass.id)[-1] == (EVE, "break_glass.reviewed")
    with desk.database.reading() as tx:
        assert audit.of_request(tx, glass.id)[-1].details == {
            "justified": justified,
            "findings": "Restarted the API server.",
            "late": False,
            "policy_digest": "digest",
        }
        assert post_reviews.open_ones(tx, 10) == []


@pytest.mark.parametrize("findings", ["", " \n\t", "x" * 3001])
def test_without_findings_nothing_is_reviewed(
    desk: Desk, glass: AccessRequest, findings: str
) -> None:
    with desk.refuses(InvalidInput, "bad_findings"):
        desk.post_review(glass.id, findings=findings)


@BOTH
def test_it_is_given_once(desk: Desk, glass: AccessRequest) -> None:
    desk.membership[SECURITY] |= {DAN}
    desk.post_review(glass.id)
    for again in (EVE, DAN):
        with desk.refuses(Conflict, "already_reviewed"):
            desk.post_review(glass.id, again, "not so", justified=False)


def test_it_is_given_once_the_access_is_over_and_not_before(desk: Desk) -> None:
    request = desk.break_glass()
    with desk.refuses(Conflict, "not_over"):
        desk.post_review(request.id)
    desk.confirm(request.id)
    with desk.refuses(Conflict, "not_over"):
        desk.post_review(request.id)
    desk.take_away(request.id, EVE)
    with desk.refuses(Conflict, "not_over"):  # removed, and not yet read back
        desk.post_review(request.id)
    desk.gone(request.id)
    assert desk.post_review(request.id).reviewer == EVE


def test_what_is_no_break_glass_owes_none(desk: Desk) -> None:
    request = desk.ask()
    with desk.refuses(Conflict, "no_review_owed"):
        desk.post_review(request.id)
    with desk.refuses(NotFound, "unknown_request"):
        desk.post_review("000-000")


# Who gives it


def test_whoever_broke_glass_does_not_review_it_not_even_as_an_owner(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.membership[SECURITY] |= {ANA}
    with desk.refuses(Refused, "own_request"):
        desk.post_review(glass.id, ANA)


def test_a_second_account_on_the_same_principal_does_not_review_it(
    desk: Desk, glass: AccessRequest
) -> None:
    second = "U09ANATOO"
    desk.people[second] = person(second, email="ana@example.org")
    desk.membership[SECURITY] |= {second}
    with desk.refuses(Refused, "same_principal"):
        desk.post_review(glass.id, second)


def test_somebody_whom_the_file_puts_on_the_same_principal_does_not_review_it(
    desk: Desk, glass: AccessRequest
) -> None:
    users = desk.document["principals"]["users"]
    users[EVE] = users[ANA]
    desk.document["principals"]["shared"] = [users[ANA]]
    with desk.refuses(Refused, "same_principal"):
        desk.post_review(glass.id, EVE)


@pytest.mark.parametrize("stranger", [BEN, DAN])
def test_an_owner_of_the_place_does_not_review_it(
    desk: Desk, glass: AccessRequest, stranger: str
) -> None:
    with desk.refuses(Refused, "not_owner"):
        desk.post_review(glass.id, stranger)


def test_somebody_who_was_an_owner_until_a_minute_ago_does_not_review_it(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.leave(SECURITY, EVE)
    with desk.refuses(Refused, "not_owner"):
        desk.post_review(glass.id, EVE)


def test_the_policy_in_force_says_who_reviews_and_not_that_of_the_beginning(
    desk: Desk, glass: AccessRequest, review: dict[str, Any]
) -> None:
    review["owners"] = {"users": [DAN]}
    with desk.refuses(Refused, "not_owner"):
        desk.post_review(glass.id, EVE)
    assert desk.post_review(glass.id, DAN).reviewer == DAN


def test_a_review_is_still_given_by_those_who_were_to_once_the_entry_is_gone(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.document["break_glass"] = []
    with desk.refuses(Refused, "not_owner"):
        desk.post_review(glass.id, BEN)
    assert desk.post_review(glass.id, EVE).reviewer == EVE


@pytest.mark.parametrize("change", [{"deleted": True}, {"is_guest": True}, {"is_stranger": True}])
def test_an_owner_who_is_no_full_member_does_not_review_it(
    desk: Desk, glass: AccessRequest, change: dict[str, Any]
) -> None:
    desk.become(EVE, **change)
    with pytest.raises(Refused):
        desk.post_review(glass.id, EVE)
    assert desk.owed(glass.id).open


def test_a_group_that_slack_does_not_tell_reviews_nothing(desk: Desk, glass: AccessRequest) -> None:
    del desk.membership[SECURITY]
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        desk.post_review(glass.id, EVE)


# What time makes of it


@BOTH
def test_its_owners_are_reminded_then_it_is_overdue_and_each_is_done_once(
    desk: Desk, glass: AccessRequest
) -> None:
    assert desk.take_steps(glass.id) == ()
    desk.clock.advance(12 * HOURS)
    assert due(desk) == [glass.id]
    assert desk.take_steps(glass.id) == (REMINDED,)
    assert desk.take_steps(glass.id) == ()
    desk.clock.advance(12 * HOURS)
    assert desk.take_steps(glass.id) == (OVERDUE,)
    assert desk.take_steps(glass.id) == ()
    assert due(desk) == []
    assert desk.actions(glass.id)[-2:] == [
        ("bot", "break_glass.review_reminded"),
        ("bot", "break_glass.review_overdue"),
    ]


def test_nobody_is_reminded_of_what_is_overdue_already(desk: Desk, glass: AccessRequest) -> None:
    desk.clock.advance(30 * HOURS)
    assert desk.take_steps(glass.id) == (OVERDUE,)
    assert due(desk) == []


def test_what_was_reviewed_is_neither_reminded_of_nor_overdue(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.post_review(glass.id)
    desk.clock.advance(30 * HOURS)
    assert due(desk) == []
    assert desk.take_steps(glass.id) == ()


@BOTH
def test_those_to_whom_it_escalates_review_it_after_their_time_and_not_before(
    desk: Desk, review: dict[str, Any]
) -> None:
    review["escalate"] = {
        "after": "26h",
        "channel": "C01PLATFORM",
        "owners": {"groups": [PLATFORM]},
    }
    glass = desk.break_glass()
    desk.gone(glass.id)
    desk.clock.advance(24 * HOURS)
    assert desk.take_steps(glass.id) == (OVERDUE,)
    with desk.refuses(Refused, "not_owner"):
        desk.post_review(glass.id, DAN)
    desk.clock.advance(2 * HOURS)
    assert due(desk) == [glass.id]
    assert desk.take_steps(glass.id) == (ESCALATED,)
    assert due(desk) == []
    desk.post_review(glass.id, DAN)
    with desk.database.reading() as tx:
        assert audit.of_request(tx, glass.id)[-1].details["late"] is True


def test_a_reminder_comes_when_the_policy_says(desk: Desk, review: dict[str, Any]) -> None:
    review["remind_after"] = "1h"
    glass = desk.break_glass()
    owed = desk.owed(glass.id)
    assert next_step(owed) == (REMINDED, desk.clock() + timedelta(hours=1))
    assert steps_due(owed, desk.clock() + timedelta(hours=1)) == (REMINDED,)
    assert steps_due(owed, desk.clock() + timedelta(minutes=59)) == ()


def due(desk: Desk) -> list[str]:
    with desk.database.reading() as tx:
        return post_reviews.due(tx, desk.clock(), 10)
