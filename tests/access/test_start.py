"""Access approved for later: decided anew when its time comes, by what is so by then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, HOUR, LEADS, Desk
from slack_sdk import WebClient

from bot.access.start import begin
from bot.core.audit_access import held_at
from bot.core.errors import (
    Conflict,
    DirectoryUnavailable,
    DomainError,
    PolicyUnavailable,
    Refused,
)
from bot.core.model import AccessRequest, EndReason, Grant, GrantState
from bot.core.tickets import TicketStatus
from bot.policy_file import LoadedPolicy
from bot.slack.fact_finder import FactFinder
from bot.slack.people import Directory
from bot.slack.starts import Starts
from bot.store import audit, entries, grants
from bot.store.claims import Claims

MINUTE = timedelta(minutes=1)
BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


def start(desk: Desk, request_id: str) -> Grant:
    with desk.database.transaction() as tx:
        return begin(tx, desk.facts(), request_id)


def approved(desk: Desk, *namespaces: str, by: tuple[str, ...] = (BEN,)) -> AccessRequest:
    """Access that was approved for an hour later."""
    request = desk.ask(*namespaces, start_at=desk.clock() + HOUR)
    for who in by:
        desk.approve(request.id, who)
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.state is GrantState.SCHEDULED
    return request


@BOTH
def test_it_begins_at_its_time_and_not_before(desk: Desk) -> None:
    request = approved(desk)
    desk.clock.advance(HOUR - MINUTE)
    with desk.database.reading() as tx:
        assert grants.starting(tx, desk.clock(), 10) == []
    with desk.refuses(Conflict, "not_due"):
        start(desk, request.id)
    desk.clock.advance(MINUTE)
    with desk.database.reading() as tx:
        assert grants.starting(tx, desk.clock(), 10) == [request.id]
    assert start(desk, request.id).state is GrantState.PROVISIONING
    assert desk.actions(request.id)[-1] == ("bot", "grant.started")
    with desk.database.reading() as tx:
        details = audit.of_request(tx, request.id)[-1].details
        assert (details["rules"], details["policy_digest"]) == (["payments"], "digest")
        assert grants.starting(tx, desk.clock(), 10) == []
        assert entries.due(tx, desk.clock(), 10)
    with desk.refuses(Conflict, "not_scheduled"):
        start(desk, request.id)


def test_the_trail_names_the_rules_that_let_it_begin_and_not_those_of_the_approval(
    desk: Desk,
) -> None:
    request = approved(desk)
    desk.rules["payments"]["name"] = "money"
    desk.clock.advance(HOUR)
    start(desk, request.id)
    with desk.database.reading() as tx:
        events = audit.of_request(tx, request.id)
    by_action = {one.action: one.details["rules"] for one in events if "rules" in one.details}
    assert by_action["request.approved"] == ["payments"]
    assert by_action["grant.started"] == ["money"]
    held = held_at(events, desk.clock())
    assert held is not None
    assert held.rules == ("money",)


def test_it_never_begins_after_its_time_to_be_set_up_is_over(desk: Desk) -> None:
    request = approved(desk)
    desk.clock.advance(HOUR + 15 * MINUTE)
    with desk.refuses(Conflict, "not_due"):
        start(desk, request.id)


def remove_rule(desk: Desk) -> None:
    desk.document["rules"] = [one for one in desk.document["rules"] if one["name"] != "payments"]


def shorten(desk: Desk) -> None:
    desk.rules["payments"]["max_duration"] = "1h"


def another_level(desk: Desk) -> None:
    desk.document["levels"]["edit"] = {"policy": "AmazonEKSAdminPolicy"}


def another_principal(desk: Desk) -> None:
    desk.document["principals"]["users"][ANA] = "arn:aws:iam::{account}:role/other/ana"


def another_account(desk: Desk) -> None:
    desk.document["clusters"][0]["account"] = "999988887777"


def need_two(desk: Desk) -> None:
    desk.rules["payments"]["approval"]["required"] = 2


def need_security_too(desk: Desk) -> None:
    also = {"name": "security", "owners": {"users": [EVE]}}
    desk.rules["payments"]["approval"]["also"] = [also]


def close_window(desk: Desk) -> None:
    desk.rules["payments"]["when"] = {"days": ["sat", "sun"], "time_zone": "UTC"}


CHANGES: dict[str, tuple[Callable[[Desk], object], str]] = {
    "the rule is gone": (remove_rule, "No rule lets you ask"),
    "the rule is tighter": (shorten, "gives at most 1 h"),
    "the rule is closed then": (close_window, "holds only sat or sun"),
    "the level gives something else": (another_level, "the level edit"),
    "the cluster is another": (another_account, "the cluster"),
    "the requester has another principal": (another_principal, "the requester's principal"),
    "the requester is deactivated": (
        lambda desk: desk.become(ANA, deleted=True),
        "account is deactivated",
    ),
    "the requester is a guest now": (lambda desk: desk.become(ANA, is_guest=True), "guest"),
    "the requester left the team": (lambda desk: desk.leave("S01ENG", ANA), "No rule lets you ask"),
    "more must approve": (need_two, "rule payments needs 2 and has 1"),
    "others must approve too": (need_security_too, "rule payments / security needs 1 and has 0"),
    "who approved is deactivated": (
        lambda desk: desk.become(CLEO, deleted=True),
        "rule payments needs 1 and has 0",
    ),
    "who approved is no owner any more": (
        lambda desk: desk.leave(LEADS, CLEO),
        "rule payments needs 1 and has 0",
    ),
}


@pytest.mark.parametrize(("change", "why"), CHANGES.values(), ids=CHANGES.keys())
def test_what_changed_since_it_was_approved_keeps_it_from_beginning(
    desk: Desk, change: Callable[[Desk], object], why: str
) -> None:
    request = approved(desk, by=(CLEO,))
    change(desk)
    desk.clock.advance(HOUR)
    ended = start(desk, request.id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.NOT_BEGUN)
    assert ended.problem is not None
    assert why in ended.problem
    assert desk.actions(request.id)[-2:] == [("bot", "grant.revoking"), ("bot", "grant.ended")]


def test_more_owners_and_a_longer_maximum_change_nothing(desk: Desk) -> None:
    request = approved(desk)
    desk.rules["payments"]["max_duration"] = "8h"
    desk.rules["payments"]["approval"]["owners"]["users"].append(DAN)
    desk.clock.advance(HOUR)
    assert start(desk, request.id).state is GrantState.PROVISIONING


def test_automatic_access_for_later_begins_only_while_it_would_be_automatic(desk: Desk) -> None:
    later = {"cluster": "lab", "level": "view", "start_at": desk.clock() + HOUR}
    first, second = desk.ask("a", **later), desk.ask("b", **later)
    desk.clock.advance(HOUR)
    assert start(desk, first.id).state is GrantState.PROVISIONING
    desk.rules["lab"]["approval"] = {"channel": "C01PAY", "owners": {"users": [BEN]}}
    ended = start(desk, second.id)
    assert ended.end_reason is EndReason.NOT_BEGUN
    assert "rule lab needs 1 and has 0" in str(ended.problem)


def test_a_directory_that_does_not_answer_leaves_it_waiting(desk: Desk) -> None:
    request = approved(desk, by=(CLEO,))
    desk.clock.advance(HOUR)
    members = desk.membership.pop(LEADS)
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        start(desk, request.id)
    desk.membership[LEADS] = members
    assert start(desk, request.id).state is GrantState.PROVISIONING


@BOTH
def test_two_replicas_that_begin_it_at_once_begin_it_once(desk: Desk) -> None:
    request = approved(desk)
    desk.clock.advance(HOUR)
    together = Barrier(3)

    def run(_: int) -> str:
        together.wait(10)
        try:
            return start(desk, request.id).state.value
        except DomainError as error:
            return error.code

    with ThreadPoolExecutor(3) as threads:
        outcomes = sorted(threads.map(run, range(3)))
    assert outcomes == ["PROVISIONING", "not_scheduled", "not_scheduled"]
    assert [one for _, one in desk.actions(request.id)].count("grant.started") == 1


@pytest.mark.parametrize("act", ["return", "cancel"])
def test_the_requester_takes_it_back_before_it_begins(desk: Desk, act: str) -> None:
    request = approved(desk)
    with desk.refuses((Refused if act == "return" else Conflict), "not_yours"):
        (desk.give_back if act == "return" else desk.cancel)(request.id, BEN)
    (desk.give_back if act == "return" else desk.cancel)(request.id)
    grant = desk.grant(request.id)
    assert grant is not None
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.RETURNED)
    desk.clock.advance(HOUR)
    with desk.refuses(Conflict, "not_scheduled"):
        start(desk, request.id)


@pytest.mark.parametrize(
    "changed", [{"standing": "refuse"}, {"assume_role": "arn:aws:iam::444455556666:role/other"}]
)
def test_a_cluster_that_is_reached_or_treated_otherwise_by_then_does_not_begin(
    desk: Desk, changed: dict[str, str]
) -> None:
    desk.document["clusters"][0] |= {"standing": "augment"}
    request = approved(desk)
    desk.document["clusters"][0] |= changed
    desk.clock.advance(HOUR)
    ended = start(desk, request.id)
    assert ended.state is GrantState.ENDED
    assert "the cluster" in (ended.problem or "")


def test_a_clock_that_was_ahead_puts_no_start_off(desk: Desk) -> None:
    def no_policy() -> LoadedPolicy:
        raise PolicyUnavailable("no_policy", "There is no policy.")

    facts = FactFinder(
        desk.database,
        Directory(WebClient("xoxb-1", base_url="http://127.0.0.1:1/")),
        no_policy,
        ticket=lambda *_: TicketStatus.unavailable("Jira does not answer."),
        on_call=lambda _: {},
        clock=desk.clock,
    )
    claims = Claims(desk.database)
    loop = Starts(desk.database, claims, facts, no_policy, changed=lambda: None, clock=desk.clock)
    request = approved(desk)
    desk.clock.advance(3 * HOUR)
    loop.work(request.id)
    assert loop.due() == [], "it is put off"
    desk.clock.advance(-HOUR)
    assert loop.due() == [request.id]
