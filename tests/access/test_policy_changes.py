"""What changes between the request and the click: nothing is granted that was not shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk import ANA, BEN, CLEO, DAN, ENGINEERS, EVE, HOUR, Desk, person, rule

from bot.core.errors import Refused
from bot.core.model import RequestState
from bot.store import requests

Change = Callable[[Desk], None]


def level_means_more(desk: Desk) -> None:
    desk.document["levels"]["edit"] = {"policy": "AmazonEKSAdminPolicy"}


def level_brings_groups(desk: Desk) -> None:
    groups = {"policy": "AmazonEKSEditPolicy", "kubernetes_groups": ["x"], "scope": "cluster"}
    desk.document["levels"]["edit"] = groups


def principal_remapped(desk: Desk) -> None:
    desk.document["principals"]["users"][ANA] = "arn:aws:iam::{account}:role/eks-jit/anna"


def principal_no_longer_hers(desk: Desk) -> None:
    shared = desk.document["principals"]["users"][ANA]
    desk.document["principals"]["users"][EVE] = shared


def principal_declared_shared(desk: Desk) -> None:
    principal_no_longer_hers(desk)
    desk.document["principals"]["shared"] = [desk.document["principals"]["users"][ANA]]


def cluster_changed(**changes: str) -> Change:
    def change(desk: Desk) -> None:
        desk.document["clusters"][0] |= changes

    change.__name__ = f"cluster_with_another_{next(iter(changes))}"
    return change


def cluster_taken_out(desk: Desk) -> None:
    desk.document["clusters"][0]["name"] = "prod-us"


def longest_narrowed(desk: Desk) -> None:
    desk.rules["payments"]["max_duration"] = "1h"


def namespace_taken_out(desk: Desk) -> None:
    desk.rules["payments"]["namespaces"] = ["payments-test"]


def level_taken_out(desk: Desk) -> None:
    desk.rules["payments"]["levels"] = ["view"]


def rule_taken_out(desk: Desk) -> None:
    desk.document["rules"] = [one for one in desk.document["rules"] if one["name"] != "payments"]


def ticket_required(desk: Desk) -> None:
    desk.rules["payments"]["ticket"] = "^PAY-[0-9]+$"


def requester_left_the_group(desk: Desk) -> None:
    desk.leave(ENGINEERS, ANA)


def requester_is(**changes: Any) -> Change:
    def change(desk: Desk) -> None:
        desk.become(ANA, **changes)

    change.__name__ = f"requester_{next(iter(changes))}"
    return change


def needs_no_review_now(desk: Desk) -> None:
    desk.rules["payments"]["approval"] = "automatic"


REFUSED: list[tuple[Change, str]] = [
    (level_means_more, "policy_changed"),
    (level_brings_groups, "no_longer_allowed"),
    (principal_remapped, "policy_changed"),
    (principal_no_longer_hers, "principal_taken"),
    (cluster_changed(account="111122223333"), "policy_changed"),
    (cluster_changed(region="eu-west-3"), "policy_changed"),
    (cluster_changed(assume_role="arn:aws:iam::444455556666:role/other"), "policy_changed"),
    (cluster_changed(standing="augment"), "policy_changed"),
    (cluster_taken_out, "no_longer_allowed"),
    (longest_narrowed, "no_longer_allowed"),
    (namespace_taken_out, "no_longer_allowed"),
    (level_taken_out, "no_longer_allowed"),
    (rule_taken_out, "no_longer_allowed"),
    (ticket_required, "no_longer_allowed"),
    (requester_left_the_group, "no_longer_allowed"),
    (requester_is(deleted=True), "deactivated"),
    (requester_is(is_guest=True), "is_guest"),
    (requester_is(is_stranger=True), "other_organisation"),
    (requester_is(team_id="T09OTHER"), "other_organisation"),
    (needs_no_review_now, "needs_no_review"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_click_after_the_change_grants_nothing(desk: Desk, change: Change, code: str) -> None:
    request = desk.ask("payments")
    change(desk)
    for who in (BEN, CLEO):
        with desk.refuses(Refused, code):
            desk.approve(request.id, who)
    desk.cancel(request.id)


@pytest.mark.parametrize(
    "change",
    [
        cluster_changed(account="111122223333"),
        cluster_changed(region="eu-west-3"),
        cluster_changed(assume_role="arn:aws:iam::444455556666:role/other"),
    ],
    ids=lambda change: change.__name__,
)
def test_no_automatic_extension_is_given_on_a_cluster_that_has_moved(
    desk: Desk, change: Change
) -> None:
    """Its name is in the file, and the access is where the name pointed before."""
    needs_no_review_now(desk)
    live = desk.ask()
    desk.confirm(live.id)
    change(desk)
    with desk.refuses(Refused, "policy_changed"):
        desk.extend(live.id)


def test_what_was_asked_for_can_be_approved_once_the_file_says_so_again(desk: Desk) -> None:
    request = desk.ask("payments")
    longest_narrowed(desk)
    with desk.refuses(Refused, "no_longer_allowed"):
        desk.approve(request.id)
    desk.rules["payments"]["max_duration"] = "2h"
    assert desk.approve(request.id).state is RequestState.APPROVED


def test_the_refusal_tells_the_owner_what_the_requester_would_be_told(desk: Desk) -> None:
    request = desk.ask("payments")
    longest_narrowed(desk)
    with desk.refuses(Refused, "no_longer_allowed") as raised:
        desk.approve(request.id)
    assert "gives at most 1h" in raised.value.sentence.replace("1 h", "1h")


@pytest.mark.parametrize("first", ["the new owner", "the old owner"])
def test_the_owners_of_now_decide_and_those_of_then_do_not(desk: Desk, first: str) -> None:
    request = desk.ask("payments")
    desk.rules["payments"]["approval"]["owners"] = {"users": [DAN]}
    if first == "the old owner":
        with desk.refuses(Refused, "not_owner"):
            desk.approve(request.id, BEN)
    assert desk.approve(request.id, DAN).state is RequestState.APPROVED


def test_a_rule_that_came_to_need_two_has_two(desk: Desk) -> None:
    request = desk.ask("payments")
    desk.rules["payments"]["approval"]["required"] = 2
    assert desk.approve(request.id, BEN).state is RequestState.PENDING
    assert desk.approve(request.id, CLEO).state is RequestState.APPROVED


def test_a_rule_that_came_first_meanwhile_asks_its_own_owners(desk: Desk) -> None:
    request = desk.ask("payments")
    stricter = rule("freeze", "payments", owners={"users": [EVE]})
    desk.document["rules"].insert(0, stricter)
    with desk.refuses(Refused, "not_owner"):
        desk.approve(request.id, BEN)
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


def test_approvals_for_a_rule_that_is_no_longer_the_one_do_not_count(desk: Desk) -> None:
    request = desk.ask("vault")
    desk.approve(request.id, BEN)
    stricter = rule("freeze", "vault", owners={"users": [DAN, EVE]}, approval={"required": 2})
    desk.document["rules"].insert(0, stricter)
    assert desk.approve(request.id, DAN).state is RequestState.PENDING
    assert desk.approve(request.id, EVE).state is RequestState.APPROVED


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: desk.document["clusters"][0].update(labels={"env": "prod"}),
        lambda desk: desk.rules["payments"]["approval"].update(lapse_after="2h"),
        lambda desk: desk.rules["payments"]["approval"].update(channel="C09NEW"),
        lambda desk: desk.document.update(deployment="renamed"),
        lambda desk: desk.become(ANA, name="Ana Maria"),
    ],
    ids=["labels", "lapse_after", "channel", "deployment", "name"],
)
def test_what_makes_no_difference_to_the_access_makes_none_to_the_approval(
    desk: Desk, change: Change
) -> None:
    request = desk.ask("payments")
    change(desk)
    assert desk.approve(request.id).state is RequestState.APPROVED


def test_a_principal_that_came_to_be_somebody_elses_is_not_given_access(desk: Desk) -> None:
    """By the template: Slack let somebody else have the address while the request waited."""
    request = desk.ask("payments", who=DAN)
    desk.become(DAN, email="daniel@example.com")
    second = "U10DANTOO"
    desk.people[second] = person(second, email="dan@example.com")
    with desk.refuses(Refused, "policy_changed"):
        desk.approve(request.id)


def test_two_people_who_came_to_wait_for_one_principal_both_wait_in_vain(desk: Desk) -> None:
    """As two who ask at the same moment can, each before the other is to be seen."""
    hers = desk.ask("payments", who=DAN)
    second = "U10DANTOO"
    desk.people[second] = person(second, email="dan@example.org")
    desk.membership[ENGINEERS] |= {second}
    with desk.database.transaction() as tx:
        new_id = requests.new_id(tx, desk.clock())
        requests.add(tx, replace(hers, id=new_id, requester=second))
    for request_id in (hers.id, new_id):
        with desk.refuses(Refused, "principal_of_another"):
            desk.approve(request_id)


def test_the_approval_of_a_grant_is_for_what_was_shown(desk: Desk) -> None:
    """The length is the one asked for, also where the rule would give more by now."""
    request = desk.ask("payments", duration=HOUR)
    desk.rules["payments"]["max_duration"] = "8h"
    desk.approve(request.id)
    grant = desk.grant(request.id)
    assert grant is not None
    assert grant.duration == HOUR
    assert grant.access == request.access
