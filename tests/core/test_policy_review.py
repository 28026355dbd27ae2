from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decide import evaluate
from bot.core.errors import DirectoryUnavailable
from bot.core.model import AccessRequest, Ask, Person, Principal, Standing
from bot.core.policy import Policy
from bot.core.review import asked_again, may_review

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEAM = "T01HOME"
ALICE = Person("U01ALICE", TEAM, "Alice")
BOB = Person("U02BOB", TEAM, "Bob")
ALICES_ROLE = "arn:aws:iam::111122223333:role/eks-jit/alice"
BOBS_ROLE = "arn:aws:iam::111122223333:role/eks-jit/bob"
MEMBERS = {"S02PAYLEADS": {"U02BOB", "U04DAN"}}
PAYMENTS = {
    "name": "payments",
    "clusters": ["prod-eu"],
    "levels": ["edit"],
    "namespaces": ["payments"],
    "requesters": {"users": ["U01ALICE"]},
    "approval": {"channel": "C01PAY", "owners": {"groups": ["S02PAYLEADS"]}},
    "max_duration": "4h",
}
BILLING = PAYMENTS | {
    "name": "billing",
    "namespaces": ["billing"],
    "approval": {"channel": "C02BILL", "owners": {"users": ["U02BOB", "U05FAY"]}},
}


def policy(*rules, **changes):
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [{"name": "prod-eu", "region": "eu-west-1", "account": "111122223333"}],
            "levels": {"edit": {"policy": "AmazonEKSEditPolicy"}},
            "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/eks-jit/alice"}},
            "rules": list(rules) or [PAYMENTS, BILLING],
            **changes,
        }
    )


def request(*namespaces, in_policy=None, **changes):
    """A request of Alice's as it is stored when she asks under the policy given."""
    given_policy = in_policy or policy()
    asked = Ask(
        "prod-eu", "edit", namespaces or ("payments",), timedelta(hours=2), reason="a stuck job"
    )
    decision = evaluate(given_policy, asked, ALICE, MEMBERS, NOW, team_id=TEAM)
    assert decision.allowed, decision.reasons
    stored = AccessRequest(
        id="7K3-QMX",
        requester=ALICE.id,
        requester_name=ALICE.name,
        cluster=given_policy.clusters_by_name["prod-eu"],
        level="edit",
        namespaces=asked.namespaces,
        duration=decision.duration,
        reason=asked.reason,
        ticket=None,
        start_at=None,
        principal=Principal(ALICES_ROLE),
        access=decision.access,
        rules=decision.rules,
        requirements=decision.requirements,
        created_at=NOW,
        lapses_at=NOW + decision.lapse_after,
    )
    return replace(stored, **changes)


def review(clicker=BOB, arn=BOBS_ROLE, *, of=None, in_policy=None, members=MEMBERS, now=NOW):
    return may_review(
        in_policy or policy(), of or request(), clicker, arn, members, now, team_id=TEAM
    )


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_an_owner_may_review_for_the_rules_they_own():
    assert review().rules == ("payments",)
    assert review(of=request("payments", "billing")).rules == ("payments", "billing")
    dan = Person("U04DAN", TEAM, "Dan")
    assert review(dan, None, of=request("payments", "billing")).rules == ("payments",)


def test_nobody_reviews_their_own_request_not_even_as_an_owner():
    members = {"S02PAYLEADS": {"U01ALICE", "U02BOB"}}
    decision = review(ALICE, ALICES_ROLE, members=members)
    assert codes(decision) == ["own_request"]
    assert "/eks-access cancel 7K3-QMX" in decision.reasons[0].sentence


@pytest.mark.parametrize(
    "arn",
    [ALICES_ROLE, "arn:aws:iam::111122223333:role/eks-jit/ALICE", "arn:aws:iam::111122223333:x"],
)
def test_nobody_reviews_a_request_for_their_own_principal(arn):
    assert codes(review(BOB, arn)) == ["same_principal"]


def test_a_shared_principal_makes_no_difference_to_that():
    role = "arn:aws:iam::{account}:role/eks-jit/alice"
    shared = policy(principals={"users": {"U01ALICE": role, "U02BOB": role}, "shared": [role]})
    of = request(in_policy=shared)
    assert codes(review(BOB, ALICES_ROLE, of=of, in_policy=shared)) == ["same_principal"]
    assert codes(review(BOB, None, of=of, in_policy=shared)) == ["same_principal"]


def test_an_owner_without_any_principal_may_review():
    assert review(BOB, None).allowed


@pytest.mark.parametrize(
    ("clicker", "code"),
    [
        (replace(BOB, deleted=True), "deactivated"),
        (replace(BOB, is_bot=True), "is_bot"),
        (replace(BOB, is_guest=True), "is_guest"),
        (replace(BOB, is_stranger=True), "other_organisation"),
        (replace(BOB, team_id="T99ELSE"), "other_organisation"),
    ],
)
def test_only_a_full_member_of_the_installed_workspace_may_review(clicker, code):
    assert codes(review(clicker)) == [code]


def test_somebody_who_is_no_owner_is_told_whose_it_is():
    decision = review(Person("U09EVE", TEAM, "Eve"), None, of=request("payments", "billing"))
    assert codes(decision) == ["not_owner"]
    assert "payments and billing" in decision.reasons[0].sentence


def test_who_left_the_group_a_minute_ago_is_no_owner_any_more():
    assert codes(review(members={"S02PAYLEADS": {"U04DAN"}})) == ["not_owner"]


def test_a_group_that_nobody_answered_for_stops_the_review():
    with pytest.raises(DirectoryUnavailable):
        review(members={})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"requesters": {"users": ["U09EVE"]}}, "No rule lets you ask for"),
        ({"namespaces": ["payments-eu"]}, "No rule lets you ask for edit"),
        ({"max_duration": "1h"}, "at most 1 h"),
        ({"ticket": "^PAY-[0-9]+$"}, "There is no ticket"),
    ],
)
def test_what_the_policy_in_force_no_longer_allows_cannot_be_approved(change, says):
    decision = review(in_policy=policy(PAYMENTS | change))
    assert codes(decision)[0] == "no_longer_allowed"
    assert says in " ".join(reason.sentence for reason in decision.reasons)


def test_owners_are_those_of_the_policy_in_force():
    approval = {"channel": "C01PAY", "owners": {"users": ["U05FAY"]}}
    moved = policy(PAYMENTS | {"approval": approval})
    assert codes(review(in_policy=moved)) == ["not_owner"]
    assert review(Person("U05FAY", TEAM, "Fay"), None, in_policy=moved).allowed


def test_what_became_automatic_needs_no_review():
    automatic = policy(PAYMENTS | {"approval": "automatic"})
    assert codes(review(in_policy=automatic)) == ["needs_no_review"]


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": {"edit": {"policy": "AmazonEKSClusterAdminPolicy"}}},
        {"clusters": [{"name": "prod-eu", "region": "eu-west-1", "account": "444455556666"}]},
        {"clusters": [{"name": "prod-eu", "region": "eu-west-2", "account": "111122223333"}]},
        {
            "clusters": [
                {
                    "name": "prod-eu",
                    "region": "eu-west-1",
                    "account": "111122223333",
                    "standing": Standing.AUGMENT,
                }
            ]
        },
    ],
)
def test_a_request_whose_words_mean_something_else_now_cannot_be_approved(changes):
    assert codes(review(in_policy=policy(**changes))) == ["policy_changed"]


def test_other_labels_on_the_cluster_change_nothing():
    cluster = {"name": "prod-eu", "region": "eu-west-1", "account": "111122223333"}
    labelled = policy(clusters=[cluster | {"labels": {"env": "prod"}}])
    assert review(in_policy=labelled).allowed


def test_a_start_that_passed_while_the_request_waited_does_not_stop_the_review():
    waiting = request(start_at=NOW + timedelta(minutes=10))
    assert review(of=waiting, now=NOW + timedelta(minutes=20)).allowed
    assert asked_again(waiting, NOW).start_at == waiting.start_at
    assert asked_again(waiting, waiting.start_at).start_at is None


IDS = st.sampled_from(["U01ALICE", "U02BOB", "U04DAN", "U05FAY", "U09EVE"])


@given(st.lists(IDS, min_size=1), st.sets(IDS), IDS, IDS)
@settings(max_examples=20)
def test_only_owners_review_and_adding_one_takes_no_right_away(users, members, clicker, added):
    groups = {"S02PAYLEADS": members}
    person = Person(clicker, TEAM, clicker)
    owners = {"users": users, "groups": ["S02PAYLEADS"]}
    more = {"users": [*users, added], "groups": ["S02PAYLEADS"]}
    before, after = (
        review(
            person,
            None,
            in_policy=policy(PAYMENTS | {"approval": {"channel": "C01PAY", "owners": who}}),
            members=groups,
        )
        for who in (owners, more)
    )
    assert before.allowed is (clicker != ALICE.id and clicker in {*users, *members})
    assert after.allowed or not before.allowed
