"""Approving and denying: who counts, at the moment of the click."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, HOUR, LEADS, PLATFORM, TEAM, Desk, person

from bot.access import review
from bot.core.errors import Conflict, DirectoryUnavailable, InvalidInput, NotFound, Refused
from bot.core.model import EndReason, GrantState, RequestState, Verdict
from bot.core.tickets import OPEN
from bot.store import audit, entries, requests

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
VERDICTS = pytest.mark.parametrize("verdict", ["approve", "deny"])
OUTSIDER = "U09OTTO"


def click(desk: Desk, verdict: str, request_id: str, who: str) -> None:
    (desk.approve if verdict == "approve" else desk.deny)(request_id, who)


# What an owner's word does


@BOTH
@pytest.mark.parametrize("owner", [BEN, CLEO], ids=["by name", "by user group"])
def test_an_owner_approves_and_the_grant_is_made_in_the_same_transaction(
    desk: Desk, owner: str
) -> None:
    request = desk.ask(duration=HOUR)
    desk.clock.advance(60)
    desk.approve(request.id, owner)
    approved = desk.request(request.id)
    assert (approved.state, approved.decided_by) == (RequestState.APPROVED, owner)
    assert approved.decided_at == desk.clock()
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.state is GrantState.PROVISIONING
    assert (grant.requester, grant.principal_arn) == (ANA, request.principal.arn)
    assert (grant.access, grant.duration) == (request.access, HOUR)
    assert desk.actions(request.id)[1:] == [
        (owner, "request.reviewed"),
        (owner, "request.approved"),
    ]
    with desk.database.reading() as tx:
        details = dict(audit.of_request(tx, request.id)[-1].details)
        assert len(entries.due(tx, desk.clock(), 10)) == 1
    given = details.pop("gives")
    assert details == {"approvers": [owner], "rules": ["payments"], "policy_digest": "digest"}
    assert (given["requester"], given["principal"]) == (ANA, request.principal.arn)


@BOTH
def test_an_owner_denies_and_the_reason_is_kept(desk: Desk) -> None:
    request = desk.ask()
    desk.deny(request.id, CLEO, "  Not during the freeze. ")
    denied = desk.request(request.id)
    assert (denied.state, denied.decided_by) == (RequestState.DENIED, CLEO)
    assert denied.decision_reason == "Not during the freeze."
    assert desk.grant(request.id) is None
    assert desk.actions(request.id)[1:] == [(CLEO, "request.reviewed"), (CLEO, "request.denied")]
    [review] = desk.reviews(request.id)
    assert (review.verdict, review.reviewer) == (Verdict.DENY, CLEO)


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_a_denial_needs_a_reason(desk: Desk, reason: str) -> None:
    request = desk.ask()
    with desk.refuses(InvalidInput, "no_reason"):
        desk.deny(request.id, BEN, reason)


def test_nobody_reviews_what_does_not_exist(desk: Desk) -> None:
    with desk.refuses(NotFound, "unknown_request"):
        desk.approve("000-000")


# Who may not


@VERDICTS
def test_the_requester_reviews_nothing_of_their_own_not_even_as_an_owner(
    desk: Desk, verdict: str
) -> None:
    desk.membership[LEADS] |= {ANA}
    request = desk.ask()
    with desk.refuses(Refused, "own_request") as raised:
        click(desk, verdict, request.id, ANA)
    assert f"/eks-access cancel {request.id}" in raised.value.sentence


@VERDICTS
@pytest.mark.parametrize("declared", [True, False], ids=["declared shared", "not declared"])
def test_a_second_account_on_the_same_principal_reviews_nothing(
    desk: Desk, verdict: str, *, declared: bool
) -> None:
    """Cleo owns the rule, and the file comes to put her on the role that Ana asked for."""
    request = desk.ask()
    shared = desk.document["principals"]["users"][ANA]
    desk.document["principals"]["users"][CLEO] = shared
    if declared:
        desk.document["principals"]["shared"] = [shared]
    with desk.refuses(Refused, "same_principal"):
        click(desk, verdict, request.id, CLEO)


@VERDICTS
def test_a_second_account_that_the_template_puts_on_the_same_principal_reviews_nothing(
    desk: Desk, verdict: str
) -> None:
    """Another Slack account with the same first part of the address, on another domain."""
    request = desk.ask(who=DAN)
    second = "U10DANTOO"
    desk.people[second] = person(second, email="dan@example.org")
    desk.membership[LEADS] |= {second}
    with desk.refuses(Refused, "same_principal"):
        click(desk, verdict, request.id, second)


@VERDICTS
def test_somebody_who_is_no_owner_reviews_nothing(desk: Desk, verdict: str) -> None:
    request = desk.ask()
    with desk.refuses(Refused, "not_owner"):
        click(desk, verdict, request.id, DAN)


@VERDICTS
def test_somebody_who_was_an_owner_until_a_minute_ago_reviews_nothing(
    desk: Desk, verdict: str
) -> None:
    request = desk.ask()
    desk.leave(LEADS, CLEO)
    with desk.refuses(Refused, "not_owner"):
        click(desk, verdict, request.id, CLEO)


def test_somebody_who_became_an_owner_a_minute_ago_approves(desk: Desk) -> None:
    request = desk.ask()
    desk.membership[LEADS] |= {DAN}
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


@VERDICTS
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
def test_an_owner_who_is_no_full_member_reviews_nothing(
    desk: Desk, verdict: str, change: dict[str, Any], code: str
) -> None:
    request = desk.ask()
    desk.become(BEN, **change)
    with desk.refuses(Refused, code):
        click(desk, verdict, request.id, BEN)


@VERDICTS
def test_an_outsider_in_an_owners_group_reviews_nothing(desk: Desk, verdict: str) -> None:
    request = desk.ask()
    desk.people[OUTSIDER] = person(OUTSIDER, is_stranger=True, team_id="T09OTHER")
    desk.membership[LEADS] |= {OUTSIDER}
    with desk.refuses(Refused, "other_organisation"):
        click(desk, verdict, request.id, OUTSIDER)
    assert desk.people[BEN].team_id == TEAM


@VERDICTS
def test_somebody_whom_slack_does_not_describe_reviews_nothing(desk: Desk, verdict: str) -> None:
    request = desk.ask()
    del desk.people[BEN]
    with desk.refuses(Conflict, "try_again"):
        click(desk, verdict, request.id, BEN)


@VERDICTS
def test_an_owners_group_that_slack_does_not_tell_decides_nothing(desk: Desk, verdict: str) -> None:
    request = desk.ask()
    del desk.membership[LEADS]
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        click(desk, verdict, request.id, CLEO)


def test_an_approval_needs_to_know_who_the_requester_is_now(desk: Desk) -> None:
    request = desk.ask()
    del desk.people[ANA]
    with desk.refuses(Conflict, "try_again"):
        desk.approve(request.id)


# When it is too late


@VERDICTS
@pytest.mark.parametrize("decided", ["approved", "denied", "cancelled", "lapsed"])
def test_a_click_after_the_decision_changes_nothing(desk: Desk, verdict: str, decided: str) -> None:
    request = desk.ask()
    if decided == "approved":
        desk.approve(request.id)
    elif decided == "denied":
        desk.deny(request.id)
    elif decided == "cancelled":
        desk.cancel(request.id)
    else:
        desk.clock.advance(HOUR)
        desk.lapse(request.id)
    for who in (BEN, CLEO):
        with desk.refuses(Conflict, "already_decided") as raised:
            click(desk, verdict, request.id, who)
        assert f"already {decided}" in raised.value.sentence or decided == "lapsed"


@VERDICTS
def test_a_click_after_its_time_changes_nothing_though_nobody_marked_it_lapsed(
    desk: Desk, verdict: str
) -> None:
    request = desk.ask()
    desk.clock.advance(HOUR)
    with desk.refuses(Conflict, "lapsed"):
        click(desk, verdict, request.id, BEN)


def test_a_click_in_the_last_second_counts(desk: Desk) -> None:
    request = desk.ask()
    desk.clock.advance(HOUR.total_seconds() - 1)
    assert desk.approve(request.id).state is RequestState.APPROVED


def test_a_click_after_the_end_of_the_access_gives_none(desk: Desk) -> None:
    request = desk.ask()
    desk.approve(request.id)
    desk.give_back(request.id)
    with desk.refuses(Conflict, "already_decided"):
        desk.approve(request.id, CLEO)
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.end_reason is EndReason.RETURNED


# Several approvals


def test_a_rule_that_needs_two_has_them_from_two_people(desk: Desk) -> None:
    request = desk.ask("vault")
    assert desk.approve(request.id, BEN).state is RequestState.PENDING
    assert desk.grant(request.id) is None
    with desk.refuses(Conflict, "already_reviewed"):
        desk.approve(request.id, BEN)
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED
    assert desk.actions(request.id)[1:] == [
        (BEN, "request.reviewed"),
        (DAN, "request.reviewed"),
        (DAN, "request.approved"),
    ]
    with desk.database.reading() as tx:
        assert audit.of_request(tx, request.id)[-1].details["approvers"] == [BEN, DAN]


def test_one_no_is_enough_after_a_yes(desk: Desk) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, BEN)
    with desk.refuses(Conflict, "already_reviewed"):
        desk.deny(request.id, BEN)
    assert desk.deny(request.id, DAN).state is RequestState.DENIED
    with desk.refuses(Conflict, "already_decided"):
        desk.approve(request.id, EVE)


@pytest.mark.parametrize(
    "change",
    [
        {"deleted": True},
        {"is_guest": True},
        {"team_id": "T09OTHER"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_approval_by_somebody_who_is_no_member_any_more_counts_no_more(
    desk: Desk, change: dict[str, Any]
) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, BEN)
    desk.become(BEN, **change)
    assert desk.approve(request.id, DAN).state is RequestState.PENDING
    assert desk.grant(request.id) is None
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED
    with desk.database.reading() as tx:
        assert audit.of_request(tx, request.id)[-1].details["approvers"] == [DAN, EVE]


def test_an_approval_by_somebody_who_is_no_owner_any_more_counts_no_more(desk: Desk) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, CLEO)
    desk.leave(LEADS, CLEO)
    assert desk.approve(request.id, DAN).state is RequestState.PENDING
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_an_approval_by_somebody_with_the_requesters_principal_counts_no_more(desk: Desk) -> None:
    """The approver's address came to be that of the requester, on the other domain."""
    second = "U10DANTOO"
    desk.people[second] = person(second, email="danny@example.com")
    desk.membership[LEADS] |= {second}
    request = desk.ask("vault", who=DAN)
    desk.approve(request.id, second)
    desk.become(second, email="dan@example.org")
    assert desk.approve(request.id, BEN).state is RequestState.PENDING
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_a_principal_that_came_to_be_shared_is_not_what_the_card_showed(
    desk: Desk,
) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, CLEO)
    shared = desk.document["principals"]["users"][ANA]
    desk.document["principals"]["users"][CLEO] = shared
    desk.document["principals"]["shared"] = [shared]
    with desk.refuses(Refused, "policy_changed"):
        desk.approve(request.id, DAN)


def test_an_earlier_approver_whom_slack_does_not_describe_now_holds_the_decision_up(
    desk: Desk,
) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, BEN)
    del desk.people[BEN]
    with desk.refuses(Conflict, "try_again"):
        desk.approve(request.id, DAN)


def test_several_namespaces_need_the_owners_of_every_rule(desk: Desk) -> None:
    request = desk.ask("payments", "billing")
    assert desk.approve(request.id, BEN).state is RequestState.PENDING
    assert desk.approve(request.id, CLEO).state is RequestState.PENDING
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_an_owner_of_both_rules_speaks_for_both(desk: Desk) -> None:
    desk.membership[PLATFORM] |= {CLEO}
    request = desk.ask("payments", "billing")
    assert desk.approve(request.id, CLEO).state is RequestState.APPROVED


def test_an_owner_of_one_rule_denies_the_whole(desk: Desk) -> None:
    request = desk.ask("payments", "billing")
    desk.approve(request.id, BEN)
    assert desk.deny(request.id, EVE).state is RequestState.DENIED


def test_two_accounts_that_may_be_one_person_are_one_approver(desk: Desk) -> None:
    """Both addresses lead to the role of one name; each account is in the owners' groups."""
    for account, domain in ((DAN, "example.com"), (EVE, "example.org")):
        desk.become(account, email=f"zed@{domain}")
    waiting = desk.ask("vault")
    assert desk.approve(waiting.id, DAN).state is RequestState.PENDING
    assert desk.approve(waiting.id, EVE).state is RequestState.PENDING
    assert desk.approve(waiting.id, BEN).state is RequestState.APPROVED


def test_what_is_granted_hangs_on_the_rules_that_hold_at_the_approval(desk: Desk) -> None:
    desk.document["tickets"] = {"url": "https://jira.example.com/{ticket}", "check": "jira"}
    waiting = desk.ask("payments", ticket="PAY-1")
    day = desk.rules["payments"] | {"name": "day", "ticket": "^PAY-[0-9]+$"}
    desk.document["rules"].insert(0, day | {"ends_with_ticket": True})
    with desk.database.transaction() as tx:
        given = review.approve(tx, replace(desk.facts(), ticket=OPEN), waiting.id, BEN)
    assert (given.rules, given.ends_with_ticket) == (("day",), True)
    stored = desk.request(waiting.id)
    assert (stored.rules, stored.ends_with_ticket) == (("day",), True)
    with desk.database.reading() as tx:
        assert requests.hanging_on_tickets(tx) == [waiting.id]
        approved = audit.of_request(tx, waiting.id)[-1]
    assert approved.details["rules"] == ["day"]


def test_no_extension_is_approved_from_an_end_that_the_clock_had_wrong(desk: Desk) -> None:
    ahead = timedelta(days=1).total_seconds()
    desk.clock.advance(ahead)
    first = desk.ask()
    desk.approve(first.id)
    desk.confirm(first.id)
    longer = desk.extend(first.id)
    desk.clock.advance(-ahead)
    with desk.refuses(Conflict, "clock_was_ahead"):
        desk.approve(longer.id)
    assert desk.request(longer.id).state is RequestState.PENDING
