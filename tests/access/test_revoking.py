"""Taking somebody else's access away: owners of the place and security, decided at the click."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, EVE, HOUR, LEADS, RESPONDERS, SECURITY, Desk, person
from sqlalchemy import select, update

from bot.access import end, lockdown
from bot.access.start import begin
from bot.core.errors import Conflict, DirectoryUnavailable, NotFound, Refused
from bot.core.model import AccessRequest, EndReason, Grant, GrantState, RequestState
from bot.store import audit, tables

BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def glass(desk: Desk) -> AccessRequest:
    """Ana's break-glass, which is live."""
    desk.document["break_glass"] = [
        {
            "clusters": ["prod-*"],
            "levels": ["edit"],
            "responders": {"groups": [RESPONDERS]},
            "max_duration": "1h",
            "review": {"owners": {"groups": [SECURITY]}, "within": "24h"},
        }
    ]
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    request = desk.break_glass()
    desk.confirm(request.id)
    return request


@BOTH
@pytest.mark.parametrize(
    "who", [BEN, CLEO, EVE, DAN], ids=["owner", "by group", "reviewer", "lockdown"]
)
def test_owners_of_the_place_and_security_take_it_away(
    desk: Desk, glass: AccessRequest, who: str
) -> None:
    revoking = desk.take_away(glass.id, who, "The incident is over")
    assert (revoking.state, revoking.end_reason) == (GrantState.REVOKING, EndReason.REVOKED)
    assert revoking.ended_by == who
    assert desk.grant(glass.id) == revoking
    with desk.database.reading() as tx:
        event = audit.of_request(tx, glass.id)[-1]
    assert (event.actor, event.action) == (who, "grant.revoking")
    assert event.details["reason"] == "revoked"
    assert event.details["why"] == "The incident is over"


def test_whoever_has_it_gives_it_back_by_the_same_click(desk: Desk, glass: AccessRequest) -> None:
    assert desk.take_away(glass.id, ANA).end_reason is EndReason.RETURNED


def test_a_stranger_takes_nothing_away(desk: Desk, glass: AccessRequest) -> None:
    desk.document["lockdown"] = {"owners": {"users": [BEN]}}
    with desk.refuses(Refused, "not_owner"):
        desk.take_away(glass.id, DAN)


def test_somebody_who_was_an_owner_until_a_minute_ago_takes_nothing_away(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.leave(LEADS, CLEO)
    with desk.refuses(Refused, "not_owner"):
        desk.take_away(glass.id, CLEO)


@pytest.mark.parametrize("change", [{"deleted": True}, {"is_guest": True}, {"is_stranger": True}])
def test_an_owner_who_is_no_full_member_takes_nothing_away(
    desk: Desk, glass: AccessRequest, change: dict[str, Any]
) -> None:
    desk.become(BEN, **change)
    before = desk.snapshot()
    with pytest.raises(Refused):
        desk.take_away(glass.id, BEN)
    assert desk.snapshot() == before


def test_an_owner_by_name_does_so_though_slack_tells_no_group(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.membership.clear()
    with desk.refuses(DirectoryUnavailable, "group_unknown"):
        desk.take_away(glass.id, CLEO)
    assert desk.take_away(glass.id, BEN).state is GrantState.REVOKING


def test_an_entry_that_is_taken_out_of_the_policy_stops_nobody(
    desk: Desk, glass: AccessRequest
) -> None:
    desk.document["break_glass"] = []
    assert desk.take_away(glass.id, EVE).state is GrantState.REVOKING


# Asking again


@pytest.fixture
def lab(desk: Desk) -> Desk:
    """The lab is automatic; behind that rule Ben decides. Dan may lock down."""
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    asked = {"channel": "C01PAY", "owners": {"users": [BEN]}}
    desk.document["rules"].append(desk.rules["lab"] | {"name": "lab asked", "approval": asked})
    return desk


def ask_lab(desk: Desk, namespace: str, who: str = ANA, **more: Any) -> AccessRequest:
    return desk.ask(namespace, who=who, cluster="lab", level="view", **more)


@BOTH
def test_what_was_revoked_is_not_given_again_without_an_owner(lab: Desk) -> None:
    first = ask_lab(lab, "a")
    lab.take_away(first.id, BEN)
    again, other = ask_lab(lab, "a"), ask_lab(lab, "b")
    assert (again.state, other.state) == (RequestState.PENDING, RequestState.PENDING)
    assert again.rules == ("lab asked",)
    said = f"{first.id} on this cluster was revoked less than 24 hours before, so rule lab gives"
    assert again.notes[0].startswith(said)
    assert lab.approve(again.id).state is RequestState.APPROVED
    assert ask_lab(lab, "a", CLEO).state is RequestState.APPROVED  # nobody else's is concerned
    lab.rules["payments"]["approval"] = "automatic"
    assert lab.ask("payments").state is RequestState.APPROVED  # nor another cluster
    lab.clock.advance(timedelta(hours=24))
    assert ask_lab(lab, "c").state is RequestState.APPROVED


def test_nor_is_it_extended_or_begun_without_an_owner(lab: Desk) -> None:
    revoked, live = ask_lab(lab, "a"), ask_lab(lab, "b")
    lab.confirm(live.id)
    booked = ask_lab(lab, "c", start_at=lab.clock() + HOUR)
    assert booked.state is RequestState.APPROVED
    lab.take_away(revoked.id, DAN)
    assert lab.extend(live.id).state is RequestState.PENDING
    assert ask_lab(lab, "d", start_at=lab.clock() + HOUR).state is RequestState.PENDING
    lab.clock.advance(HOUR)
    with lab.database.transaction() as tx:
        begun = begin(tx, lab.facts(), booked.id)
    assert begun.end_reason is EndReason.NOT_BEGUN
    assert begun.problem is not None
    assert "rule lab asked needs 1 and has 0" in begun.problem


def test_without_a_rule_with_owners_it_is_refused_and_the_reason_said(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    desk.take_away(ask_lab(desk, "a").id, DAN)
    with desk.refuses(Refused, "no_rule") as refused:
        ask_lab(desk, "a")
    assert "was revoked less than 24 hours before" in refused.value.sentence


def test_access_given_back_or_ended_is_given_again(lab: Desk) -> None:
    lab.give_back(ask_lab(lab, "a").id)
    lab.gone(ask_lab(lab, "b").id)
    lab.take_away(ask_lab(lab, "c").id, ANA)
    assert ask_lab(lab, "d").state is RequestState.APPROVED


@BOTH
def test_what_the_command_line_revoked_counts_and_what_a_lockdown_did_does_not(lab: Desk) -> None:
    first, second = ask_lab(lab, "a"), ask_lab(lab, "a", CLEO)
    with lab.database.transaction() as tx:
        end.revoke(tx, second.id, EndReason.REVOKED, "operator", lab.clock())
    lab.clock.advance(1)
    with lab.database.transaction() as tx:
        lockdown.begin(tx, by=DAN, reason="INC-7", revoking=True, now=lab.clock())
    assert lab.grant(first.id).state is GrantState.REVOKING
    lab.clock.advance(60)
    with lab.database.transaction() as tx:
        lockdown.end(tx, by=DAN, now=lab.clock())
    assert ask_lab(lab, "a").state is RequestState.APPROVED
    assert ask_lab(lab, "a", CLEO).state is RequestState.PENDING


# While something does not answer


def take_away(desk: Desk, request_id: str, who: str, **untold: None) -> Grant:
    facts = replace(desk.facts().revoking(who), **untold)
    with desk.database.transaction() as tx:
        return end.take_away(tx, facts, request_id)


OWNERS = pytest.mark.parametrize(
    "who", [BEN, CLEO, EVE, DAN], ids=["owner", "by group", "reviewer", "lockdown"]
)


@BOTH
@OWNERS
def test_without_a_policy_those_take_it_away_who_might_when_it_was_given(
    desk: Desk, glass: AccessRequest, who: str
) -> None:
    assert take_away(desk, glass.id, who, policy=None).ended_by == who


@BOTH
def test_without_a_policy_owners_take_away_what_was_automatic_or_approved(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    desk.rules["payments"]["approval"] = "automatic"
    automatic = desk.ask("payments")
    approved = desk.ask("billing", who=CLEO)
    desk.approve(approved.id, EVE)
    assert take_away(desk, automatic.id, DAN, policy=None).state is GrantState.REVOKING
    with desk.refuses(Refused, "not_owner"):
        take_away(desk, approved.id, BEN, policy=None)
    assert take_away(desk, approved.id, EVE, policy=None).state is GrantState.REVOKING


def test_a_grant_from_before_is_taken_away_by_the_owners_of_its_request(desk: Desk) -> None:
    request = desk.ask()
    desk.approve(request.id)
    kept = tables.grants.c.document
    with desk.database.transaction() as tx:
        document = dict(tx.scalars(select(kept)).one())
        del document["revokers"]
        tx.execute(update(tables.grants).values(document=document))
    with desk.refuses(Refused, "not_owner"):
        take_away(desk, request.id, EVE, policy=None)
    assert take_away(desk, request.id, CLEO, policy=None).state is GrantState.REVOKING


@OWNERS
@pytest.mark.parametrize(
    "untold",
    [{"person": None}, {"person": None, "team_id": None}, {"team_id": None}],
    ids=["users.info", "all", "auth.test"],
)
def test_an_owner_takes_it_away_though_slack_describes_nobody(
    desk: Desk, glass: AccessRequest, who: str, untold: dict[str, None]
) -> None:
    assert take_away(desk, glass.id, who, **untold).ended_by == who


def test_a_stranger_takes_nothing_away_though_nothing_answers(
    desk: Desk, glass: AccessRequest
) -> None:
    stranger = "U09OTTO"
    desk.people[stranger] = person(stranger)
    for untold in ({"person": None}, {"policy": None}, {"policy": None, "person": None}):
        with desk.refuses(Refused, "not_owner"):
            take_away(desk, glass.id, stranger, **untold)
    desk.become(BEN, is_guest=True)
    with desk.refuses(Refused, "is_guest"):
        take_away(desk, glass.id, BEN, policy=None, team_id=None)


@BOTH
def test_it_is_taken_away_once(desk: Desk, glass: AccessRequest) -> None:
    desk.take_away(glass.id, BEN)
    with desk.refuses(Conflict, "already_revoking"):
        desk.take_away(glass.id, CLEO)
    desk.gone(glass.id)
    with desk.refuses(Conflict, "already_ended"):
        desk.take_away(glass.id, CLEO)


def test_what_gives_no_access_is_not_taken_away(desk: Desk) -> None:
    request = desk.ask()
    with desk.refuses(Conflict, "nothing_to_revoke"):
        desk.take_away(request.id, BEN)
    with desk.refuses(NotFound, "unknown_request"):
        desk.take_away("000-000", BEN)


def test_access_that_an_owner_approved_is_taken_away_by_owners_of_its_place_alone(
    desk: Desk,
) -> None:
    request = desk.ask()
    desk.approve(request.id)
    with desk.refuses(Refused, "not_owner"):
        desk.take_away(request.id, EVE)  # she owns billing
    assert desk.take_away(request.id, CLEO).end_reason is EndReason.REVOKED


def extended_automatically(desk: Desk) -> tuple[str, str]:
    """Access of Ana's that a rule extended by itself; EKS has not confirmed the longer one."""
    desk.rules["payments"]["approval"] = "automatic"
    first = desk.ask("payments", duration=HOUR)
    desk.confirm(first.id)
    return first.id, desk.extend(first.id).id


@BOTH
def test_what_takes_over_from_it_is_taken_away_with_it(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    first, later = extended_automatically(desk)
    desk.take_away(first, DAN)
    states = {one: grant.state for one in (first, later) if (grant := desk.grant(one))}
    assert states == {first: GrantState.REVOKING, later: GrantState.REVOKING}


@BOTH
def test_a_longer_one_that_eks_has_not_confirmed_is_not_taken_away_alone(desk: Desk) -> None:
    """The shorter one would go on to its end, though the card says that it is revoked."""
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    first, later = extended_automatically(desk)
    sibling = desk.extend(first, more=2 * HOUR).id
    desk.take_away(later, DAN)
    for one in (first, later, sibling):
        grant = desk.grant(one)
        assert grant is not None
        assert (grant.state, grant.ended_by) == (GrantState.REVOKING, DAN)


def superseded(desk: Desk, request_id: str, by: str) -> None:
    """EKS has confirmed the longer one."""
    desk.confirm(by)
    with desk.database.transaction() as tx:
        end.revoke(tx, request_id, EndReason.SUPERSEDED, "bot", desk.clock())
    desk.gone(request_id)


def test_the_oldest_card_takes_away_what_took_over_twice(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    first, second = extended_automatically(desk)
    superseded(desk, first, second)
    third = desk.extend(second).id
    superseded(desk, second, third)
    assert desk.take_away(first, DAN).id == third


def test_access_of_its_own_on_the_same_entry_is_left(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    first, _ = extended_automatically(desk)
    other = desk.ask("payments", level="view")
    desk.take_away(first, DAN)
    grant = desk.grant(other.id)
    assert grant is not None
    assert grant.gives_access


def test_an_old_card_takes_away_what_took_over_long_ago(desk: Desk) -> None:
    desk.document["lockdown"] = {"owners": {"users": [DAN]}}
    first, later = extended_automatically(desk)
    desk.confirm(later)
    with desk.database.transaction() as tx:
        end.revoke(tx, first, EndReason.SUPERSEDED, "bot", desk.clock())
    desk.gone(first)
    assert desk.take_away(first, DAN).id == later


def test_giving_back_gives_back_what_takes_over_too(desk: Desk) -> None:
    first, later = extended_automatically(desk)
    desk.give_back(first)
    grant = desk.grant(later)
    assert grant is not None
    assert grant.end_reason is EndReason.RETURNED
