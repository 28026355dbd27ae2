"""Asking: what is stored, what is granted at once, and what is refused without a trace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from desk import ACCOUNT, ANA, BEN, DAN, ENGINEERS, EVE, HOUR, LEADS, Desk, person

from bot.core.errors import Conflict, DirectoryUnavailable, Refused
from bot.core.lifecycle import PROVISION_WITHIN
from bot.core.model import GrantState, RequestState
from bot.store import entries, messages

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
FRANK = "U06FRANK"


@BOTH
def test_a_request_waits_for_its_owners_and_gives_nothing(desk: Desk) -> None:
    request = desk.ask("payments", ticket="PAY-1", reason="settlement hangs")
    assert desk.request(request.id) == request
    assert request.state is RequestState.PENDING
    assert request.requester == ANA
    assert request.lapses_at == desk.clock() + HOUR
    assert [one.rule for one in request.requirements] == ["payments"]
    assert request.principal.arn == f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
    assert desk.grant(request.id) is None
    assert desk.count("entries") == 0
    assert desk.actions(request.id) == [(ANA, "request.submitted")]
    with desk.database.reading() as tx:
        assert messages.due(tx, desk.clock(), 10) == [request.id], "Slack is to be told"


@BOTH
def test_what_a_rule_gives_at_once_is_granted_in_the_same_transaction(desk: Desk) -> None:
    request = desk.ask("anything", cluster="lab", level="view")
    assert desk.state(request.id) is RequestState.APPROVED
    assert request.lapses_at is None
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.state is GrantState.PROVISIONING
    assert grant.ends_at == desk.clock() + PROVISION_WITHIN + 2 * HOUR
    assert desk.actions(request.id) == [(ANA, "request.submitted"), ("bot", "request.approved")]
    with desk.database.reading() as tx:
        assert len(entries.due(tx, desk.clock(), 10)) == 1, "EKS is to be looked at"


NOT_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"deleted": True}, "deactivated"),
    ({"is_bot": True}, "is_bot"),
    ({"is_guest": True}, "is_guest"),
    ({"is_stranger": True}, "other_organisation"),
    ({"team_id": "T09OTHER"}, "other_organisation"),
]


@pytest.mark.parametrize(("change", "code"), NOT_MEMBERS)
def test_only_full_members_of_this_workspace_may_ask(
    desk: Desk, change: dict[str, Any], code: str
) -> None:
    desk.become(ANA, **change)
    with desk.refuses(Refused, code):
        desk.ask()
    with desk.refuses(Refused, code):
        desk.ask("a", cluster="lab", level="view")


def test_somebody_whom_slack_did_not_describe_gets_nothing(desk: Desk) -> None:
    del desk.people[ANA]
    with desk.refuses(Conflict, "try_again"):
        desk.ask("a", cluster="lab", level="view")


def test_a_group_for_which_slack_did_not_answer_decides_nothing(desk: Desk) -> None:
    del desk.membership[ENGINEERS]
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        desk.ask()


def test_somebody_who_is_in_no_group_of_requesters_is_refused(desk: Desk) -> None:
    desk.leave(ENGINEERS, ANA)
    with desk.refuses(Refused, "no_rule"):
        desk.ask()


@pytest.mark.parametrize(
    ("namespaces", "ask", "code"),
    [
        ([], {"cluster": "prod-xx"}, "unknown_cluster"),
        ([], {"level": "root"}, "unknown_level"),
        (["kube-system"], {}, "no_rule"),
        (["payments", "elsewhere"], {}, "no_rule"),
        (["*"], {}, "bad_namespace"),
        ([], {"duration": 5 * HOUR}, "too_long"),
        ([], {"duration": -HOUR}, "bad_duration"),
        ([], {"reason": " "}, "reason_missing"),
    ],
)
def test_what_the_policy_does_not_allow_leaves_no_trace(
    desk: Desk, namespaces: list[str], ask: dict[str, Any], code: str
) -> None:
    with desk.refuses(Refused, code):
        desk.ask(*namespaces, **ask)


def test_a_rule_that_nobody_else_could_approve_refuses_at_once(desk: Desk) -> None:
    desk.membership[LEADS] = frozenset({BEN})
    with desk.refuses(Refused, "nobody_to_approve"):
        desk.ask("payments", who=BEN)


# The same again


def test_a_double_click_makes_no_second_request(desk: Desk) -> None:
    first = desk.ask("payments")
    with desk.refuses(Conflict, "already_waiting") as raised:
        desk.ask("payments", reason="another reason", duration=HOUR)
    assert first.id in raised.value.sentence


def test_the_order_of_namespaces_makes_no_other_request(desk: Desk) -> None:
    desk.ask("payments", "billing")
    with desk.refuses(Conflict, "already_waiting"):
        desk.ask("billing", "payments", "billing")


def test_something_else_may_be_asked_for_meanwhile_and_the_same_once_it_is_decided(
    desk: Desk,
) -> None:
    first = desk.ask("payments")
    desk.ask("billing")
    desk.ask("payments", level="view")
    desk.ask("payments", who=DAN)
    desk.cancel(first.id)
    second = desk.ask("payments")
    desk.approve(second.id)
    assert desk.ask("payments").id > second.id > first.id


# One person per principal


@pytest.mark.parametrize("state", ["waiting", "approved"])
def test_a_principal_of_somebody_else_is_refused(desk: Desk, state: str) -> None:
    """Two addresses with the same first part, which no check of the file can foresee."""
    request = desk.ask(who=DAN)
    if state == "approved":
        desk.approve(request.id)
    desk.people[FRANK] = person(FRANK, email="dan@example.org")
    desk.membership[ENGINEERS] |= {FRANK}
    with desk.refuses(Refused, "principal_of_another"):
        desk.ask(who=FRANK)
    with desk.refuses(Refused, "principal_of_another"):
        desk.ask("billing", who=FRANK)


def test_a_principal_stays_with_whoever_had_access_by_it(desk: Desk) -> None:
    request = desk.ask(who=DAN)
    desk.approve(request.id)
    desk.give_back(request.id, DAN)
    desk.clock.advance(timedelta(days=90))
    desk.people[FRANK] = person(FRANK, email="dan@example.com")
    desk.membership[ENGINEERS] |= {FRANK}
    with desk.refuses(Refused, "principal_of_another"):
        desk.ask(who=FRANK)


def test_a_request_that_came_to_nothing_reserves_no_principal(desk: Desk) -> None:
    denied = desk.ask("payments", who=DAN)
    desk.deny(denied.id)
    cancelled = desk.ask("payments", who=DAN)
    desk.cancel(cancelled.id, DAN)
    lapsed = desk.ask("payments", who=DAN)
    desk.clock.advance(HOUR)
    desk.lapse(lapsed.id)
    desk.people[FRANK] = person(FRANK, email="dan@example.com")
    desk.membership[ENGINEERS] |= {FRANK}
    assert desk.ask(who=FRANK).principal.arn.endswith("/dan")


def test_two_people_on_one_principal_are_refused_unless_it_is_declared_shared(
    desk: Desk,
) -> None:
    shared = "arn:aws:iam::{account}:role/team"
    desk.document["principals"]["users"] |= {ANA: shared, EVE: shared}
    with desk.refuses(Refused, "principal_taken"):
        desk.ask(who=ANA)
    desk.document["principals"]["shared"] = [shared]
    assert desk.ask(who=ANA).principal.shared_with == (EVE,)
    assert desk.ask(who=EVE).principal.shared_with == (ANA,)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": None}, "no_email"),
        ({"email_confirmed": False}, "email_unconfirmed"),
        ({"email": "dan@evil.example"}, "foreign_domain"),
        ({"email": "ana+dan@example.com"}, "email_not_plain"),
        ({"email": "Dan@example.com"}, "email_not_plain"),
        ({"email": "d\u0430n@example.com"}, "foreign_domain"),
    ],
)
def test_an_email_address_that_proves_nothing_is_nobody(
    desk: Desk, change: dict[str, Any], code: str
) -> None:
    desk.become(DAN, **change)
    with desk.refuses(Refused, code):
        desk.ask(who=DAN)
