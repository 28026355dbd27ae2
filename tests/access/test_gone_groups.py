"""Groups that are gone from Slack: nobody counts through them, and whoever is named still does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from desk import (
    ANA,
    BEN,
    CLEO,
    DAN,
    ENGINEERS,
    EVE,
    LEADS,
    PLATFORM,
    RESPONDERS,
    SECURITY,
    Desk,
    rule,
)

from bot.core.errors import Refused
from bot.core.model import RequestState
from bot.core.people import Gone

GONE = Gone("is disabled or deleted in Slack")


@contextmanager
def refused(desk: Desk, code: str, says: str = "") -> Iterator[None]:
    with desk.refuses(Refused, code) as raised:
        yield
    assert says in raised.value.sentence


def test_an_owner_who_is_named_decides_and_a_member_of_what_is_gone_does_not(desk: Desk) -> None:
    desk.membership[LEADS] = GONE
    request = desk.ask()
    why = f"User group {LEADS} is disabled or deleted in Slack, so nobody counts through it in rule"
    with refused(desk, "not_owner", why):
        desk.approve(request.id, CLEO)
    assert desk.approve(request.id, BEN).state is RequestState.APPROVED


def test_where_too_few_are_left_to_approve_the_sentence_says_why(desk: Desk) -> None:
    desk.membership[LEADS] = GONE
    desk.rules["payments"]["approval"]["owners"]["users"] = []
    with refused(desk, "nobody_to_approve", f"{LEADS} is disabled"):
        desk.ask()


def test_those_who_are_left_are_counted_as_often_as_the_rule_requires(desk: Desk) -> None:
    request = desk.ask("vault")  # two of the leads and the platform group
    desk.membership[LEADS] = GONE
    assert desk.approve(request.id, DAN).state is RequestState.PENDING
    with refused(desk, "not_owner", f"{LEADS} is disabled"):
        desk.approve(request.id, CLEO)
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_an_approval_by_who_was_in_it_counts_no_more(desk: Desk) -> None:
    request = desk.ask("vault")
    assert desk.approve(request.id, CLEO).state is RequestState.PENDING
    desk.membership[LEADS] = GONE
    assert desk.approve(request.id, DAN).state is RequestState.PENDING
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_an_escalation_still_brings_in_those_who_are_there(desk: Desk) -> None:
    desk.rules["payments"]["approval"] |= {
        "escalate": {"after": "30m", "channel": "C09LATER", "owners": {"groups": [PLATFORM]}}
    }
    desk.membership[LEADS] = GONE
    request = desk.ask()
    with refused(desk, "not_owner"):
        desk.approve(request.id, DAN)
    desk.clock.advance(31 * 60)
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_who_asks_by_a_rule_only_as_a_member_of_what_is_gone_asks_in_vain(desk: Desk) -> None:
    desk.membership[ENGINEERS] = GONE
    with refused(desk, "no_rule", f"User group {ENGINEERS} is disabled"):
        desk.ask()
    desk.rules["payments"]["requesters"] = {"users": [ANA], "groups": [ENGINEERS]}
    assert desk.ask().state is RequestState.PENDING


def test_a_rule_behind_one_whose_requesters_are_gone_gives_nothing_without_a_review(
    desk: Desk,
) -> None:
    """Contractors needed an approval; whether somebody is one, nobody can tell any more."""
    first = rule("contractors", "payments", owners={"users": [BEN]})
    first["requesters"] = {"groups": [ENGINEERS]}
    automatic = {key: first[key] for key in first if key != "requesters"}
    automatic |= {"name": "everybody", "approval": "automatic"}
    by_owners = rule("by owners", "payments", owners={"users": [EVE]}) | {"name": "by owners"}
    by_owners.pop("requesters", None)
    desk.document["rules"] = [first, automatic]
    desk.membership[ENGINEERS] = frozenset()
    assert desk.ask().state is RequestState.APPROVED
    desk.membership[ENGINEERS] = GONE
    with refused(desk, "no_rule", "rule everybody gives nothing without a review"):
        desk.ask(who=DAN)
    desk.document["rules"].append(by_owners)
    request = desk.ask(who=DAN)
    assert (request.state, request.rules) == (RequestState.PENDING, ("by owners",))


def test_whoever_is_named_breaks_glass_and_takes_it_away(desk: Desk) -> None:
    review = {"owners": {"users": [BEN], "groups": [SECURITY]}, "within": "24h"}
    desk.document["break_glass"] = [
        {
            "clusters": ["*"],
            "levels": ["edit"],
            "responders": {"users": [DAN], "groups": [RESPONDERS]},
            "max_duration": "1h",
            "review": review,
        }
    ]
    desk.membership |= {RESPONDERS: GONE, SECURITY: GONE}
    with refused(desk, "not_on_call", f"{RESPONDERS} is disabled"):
        desk.break_glass(who=ANA)
    glass = desk.break_glass(who=DAN)
    desk.confirm(glass.id)
    desk.membership[LEADS] = GONE
    with refused(desk, "not_owner", f"{SECURITY} is disabled"):
        desk.take_away(glass.id, CLEO)
    desk.take_away(glass.id, BEN)
    desk.gone(glass.id)
    with refused(desk, "not_owner", f"{SECURITY} is disabled"):
        desk.post_review(glass.id, EVE)
    desk.post_review(glass.id, BEN)
