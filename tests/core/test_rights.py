"""Which commands help shows to whom: what is surely theirs, and what nobody knows not to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.model import Delegation, Person
from bot.core.oncall import OnCall
from bot.core.policy import Policy
from bot.core.rights import (
    EVERY_RIGHT,
    Right,
    groups_of_insight,
    groups_of_rights,
    rights_of,
    schedules_of_insight,
    schedules_of_rights,
    sees_principals,
)

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SCHEDULES = ("pagerduty", ("PABC123",))
ON_CALL = {SCHEDULES: OnCall(ids=frozenset({"PCALL"}))}
MEMBERS = {
    "C0PAY": {"U0PAY"},
    "S0SEC": {"U0SEC"},
    "S0LOCK": {"U0LOCK"},
    "S0LATER": {"U0LATER"},
    "S0BACK": {"U0BACK"},
}

POLICY = Policy.model_validate(
    {
        "deployment": "acme",
        "security_channel": "C0SECURITY",
        "clusters": [
            {"name": "prod", "region": "eu-west-1", "account": "111122223333"},
            {"name": "shared", "region": "eu-west-1", "account": "111122223333"},
        ],
        "levels": {"edit": {"policy": "AmazonEKSEditPolicy"}},
        "principals": {"users": {"U0ANA": "arn:aws:iam::{account}:role/ana"}},
        "rules": [
            {
                "name": "payments",
                "clusters": ["prod"],
                "levels": ["edit"],
                "namespaces": ["payments"],
                "approval": {
                    "channel": "C01PAY",
                    "owners": {"channels": ["C0PAY"]},
                    "also": [{"name": "data", "owners": {"users": ["U0DATA"]}}],
                    "escalate": {
                        "after": "30m",
                        "channel": "C01PLATFORM",
                        "owners": {"users": ["U0PLATFORM"]},
                    },
                    "delegation": {"longest": "7d"},
                },
                "max_duration": "4h",
            },
            {
                "name": "shop",
                "clusters": ["prod"],
                "levels": ["edit"],
                "namespaces": ["shop"],
                "approval": {"channel": "C01PAY", "owners": {"users": ["U0SHOP"]}},
                "max_duration": "4h",
            },
            {
                "name": "lab",
                "clusters": ["prod"],
                "levels": ["edit"],
                "namespaces": ["lab"],
                "approval": "automatic",
                "max_duration": "4h",
            },
        ],
        "break_glass": [
            {
                "clusters": ["prod"],
                "levels": ["edit"],
                "responders": {
                    "users": ["U0FIRST"],
                    "pagerduty": {"schedules": ["PABC123"], "users": {"PCALL": "U0CALL"}},
                    "fallback": {"groups": ["S0BACK"]},
                },
                "max_duration": "1h",
                "review": {
                    "owners": {"groups": ["S0SEC"]},
                    "within": "24h",
                    "escalate": {
                        "after": "30h",
                        "channel": "C0SECURITY",
                        "owners": {"groups": ["S0LATER"]},
                    },
                },
            }
        ],
        "lockdown": {"owners": {"groups": ["S0LOCK"]}},
    }
)


def person(user: str) -> Person:
    return Person(user, "T1", user)


DECIDE, REVOKE, DELEGATE = Right.DECIDE, Right.REVOKE, Right.DELEGATE


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("U0ANA", set()),
        ("U0PAY", {DECIDE, REVOKE, DELEGATE}),
        ("U0DATA", {DECIDE, REVOKE, DELEGATE}),
        ("U0PLATFORM", {DECIDE, DELEGATE}),
        ("U0SHOP", {DECIDE, REVOKE}),
        ("U0SEC", {DECIDE, REVOKE, Right.REVIEW}),
        ("U0LATER", {DECIDE, REVOKE, Right.REVIEW}),
        ("U0LOCK", {REVOKE, Right.LOCKDOWN}),
        ("U0FIRST", {Right.BREAK_GLASS}),
        ("U0CALL", {Right.BREAK_GLASS}),
        ("U0BACK", set()),
    ],
)
def test_each_right_is_theirs_whom_the_policy_names(user, expected):
    assert rights_of(POLICY, person(user), MEMBERS, ON_CALL) == expected


def test_a_deputy_decides():
    held = Delegation(1, "U0PAY", "U0ANA", NOW, NOW + timedelta(days=1))
    assert rights_of(POLICY, person("U0ANA"), MEMBERS, ON_CALL, [held]) == {DECIDE}
    assert rights_of(POLICY, person("U0BACK"), MEMBERS, ON_CALL, [held]) == set()


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("C0PAY", {DECIDE, REVOKE, DELEGATE}),
        ("S0SEC", {DECIDE, REVOKE, Right.REVIEW}),
        ("S0LOCK", {REVOKE, Right.LOCKDOWN}),
        ("S0BACK", {Right.BREAK_GLASS}),
    ],
)
def test_a_right_that_hangs_on_an_unknown_group_is_shown(group, expected):
    known = {name: members for name, members in MEMBERS.items() if name != group}
    assert rights_of(POLICY, person("U0ANA"), known, ON_CALL) == expected


@pytest.mark.parametrize("answer", [{}, {SCHEDULES: OnCall(available=False)}])
def test_break_glass_is_shown_while_nobody_says_who_is_on_call(answer):
    assert rights_of(POLICY, person("U0ANA"), MEMBERS, answer) == {Right.BREAK_GLASS}


def test_where_nothing_is_known_everything_is_shown():
    assert rights_of(POLICY, person("U0ANA"), {}, {}) == EVERY_RIGHT


def test_what_has_to_be_asked_for_is_named():
    assert groups_of_rights(POLICY) == MEMBERS.keys()
    assert schedules_of_rights(POLICY) == {SCHEDULES}


def test_a_policy_without_break_glass_and_lockdown_gives_neither_right():
    bare = POLICY.model_copy(update={"break_glass": (), "lockdown": None})
    assert rights_of(bare, person("U0SEC"), MEMBERS, {}) == set()
    assert rights_of(bare, person("U0LOCK"), {}, {}) == {DECIDE, REVOKE, DELEGATE}


def sees(user, cluster="prod", membership=MEMBERS, on_call=ON_CALL, held=()):
    where = POLICY.clusters_by_name[cluster]
    return sees_principals(POLICY, where, person(user), membership, on_call, delegations=held)


def test_principals_are_shown_to_who_may_ask_or_owns_something_there_or_is_security():
    concerned = ["ANA", "PAY", "DATA", "PLATFORM", "SHOP", "SEC", "LATER", "LOCK", "FIRST", "CALL"]
    for name in concerned:
        assert sees(f"U0{name}"), name
    assert not sees("U0BACK"), "only while PagerDuty is silent"
    assert not sees("U0STRANGER"), "could ask, and is no principal"
    for name in (*concerned, "BACK", "STRANGER"):
        assert sees(f"U0{name}", "shared") == (name == "LOCK"), "no rule covers it"


def test_a_deputy_is_shown_what_the_owner_is():
    held = [Delegation(1, "U0PAY", "U0BACK", NOW, NOW + timedelta(days=1))]
    assert sees("U0BACK", held=held)
    assert not sees("U0BACK", "shared", held=held)
    assert not sees("U0STRANGER", held=held)


def test_what_nobody_answers_for_shows_no_principal():
    for user, group in (("U0PAY", "C0PAY"), ("U0SEC", "S0SEC"), ("U0LOCK", "S0LOCK")):
        assert not sees(user, membership={g: m for g, m in MEMBERS.items() if g != group})
    assert not sees("U0CALL", on_call={})
    prod, shared = POLICY.clusters_by_name.values()
    assert groups_of_insight(POLICY, prod) == MEMBERS.keys()
    assert groups_of_insight(POLICY, shared) == {"S0LOCK"}
    assert (schedules_of_insight(POLICY, prod), schedules_of_insight(POLICY, shared)) == (
        {SCHEDULES},
        set(),
    )
