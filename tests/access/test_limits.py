"""Automatic within limits: so often and so long in 24 hours; beyond that, owners are asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from desk import ANA, BEN, CLEO, HOUR, Desk

from bot.core.errors import Refused
from bot.core.model import AccessRequest, RequestState

APPROVED, PENDING = RequestState.APPROVED, RequestState.PENDING


@pytest.fixture(autouse=True)
def _capped(desk: Desk) -> None:
    """The lab gives twice, and five hours, in 24 hours; beyond that Ben decides."""
    limits = {"automatic": {"per_day": 2, "time_per_day": "5h"}, "channel": "C0LAB"}
    asked = {"channel": "C01PAY", "owners": {"users": [BEN]}}
    desk.document["rules"].append(desk.rules["lab"] | {"name": "lab asked", "approval": asked})
    desk.rules["lab"]["approval"] = limits


def ask(desk: Desk, namespace: str, who: str = ANA, hours: int = 1) -> AccessRequest:
    return desk.ask(namespace, who=who, cluster="lab", level="view", duration=hours * HOUR)


def test_beyond_the_cap_owners_are_asked_and_everybody_reads_why(desk: Desk) -> None:
    first, second = ask(desk, "a"), ask(desk, "b")
    assert (first.state, second.state) == (APPROVED, APPROVED)
    assert first.shown_in == ("C0LAB",)
    third = ask(desk, "c")
    assert third.state is PENDING
    assert third.rules == ("lab asked",)
    assert third.notes == (
        "Rule lab gives at most 2 times in 24 hours without a review, and this would be more.",
    )
    assert desk.request(third.id).notes == third.notes
    assert ask(desk, "a", CLEO).state is APPROVED  # caps are each person's own


def test_the_time_given_counts_too_and_all_of_it_becomes_free_again(desk: Desk) -> None:
    assert ask(desk, "a", hours=4).state is APPROVED
    assert ask(desk, "b", hours=2).state is PENDING
    assert ask(desk, "c", hours=1).state is APPROVED
    desk.clock.advance(timedelta(hours=24))
    assert ask(desk, "d", hours=4).state is APPROVED


def test_what_owners_approved_and_what_was_refused_uses_nothing_up(desk: Desk) -> None:
    ask(desk, "a")
    asked = ask(desk, "b", hours=6)
    assert asked.state is PENDING
    desk.approve(asked.id)
    assert ask(desk, "c").state is APPROVED


def test_without_another_rule_it_is_refused_with_the_reason(desk: Desk) -> None:
    desk.document["rules"] = [one for one in desk.document["rules"] if one["name"] != "lab asked"]
    ask(desk, "a")
    ask(desk, "b")
    with desk.refuses(Refused, "no_rule") as refused:
        ask(desk, "c")
    assert "at most 2 times in 24 hours" in refused.value.sentence


def test_giving_access_back_does_not_give_the_cap_back(desk: Desk) -> None:
    for namespace in ("a", "b"):
        desk.give_back(ask(desk, namespace).id)
    assert ask(desk, "c").state is PENDING


def test_a_window_that_is_closed_passes_to_the_next_rule(desk: Desk) -> None:
    desk.rules["lab"]["when"] = {"days": ["sat", "sun"], "time_zone": "UTC"}
    request = ask(desk, "a")
    assert request.state is PENDING
    assert request.notes == ("Rule lab holds only sat or sun all day (UTC).",)
    saturday = desk.clock() + timedelta(days=5)
    later = desk.ask("b", cluster="lab", level="view", start_at=saturday)
    assert later.state is APPROVED
