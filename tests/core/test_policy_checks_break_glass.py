"""What the check finds in break-glass and lockdown."""

from __future__ import annotations

import pytest

from bot.core.policy import Policy
from bot.core.policy_checks import errors, warnings

PAGERDUTY = {"schedules": ["PABC123"]}
SECURITY = {"owners": {"groups": ["S05SEC"]}, "within": "24h"}
AT = ("break_glass", 0)
RULE = {
    "name": "all",
    "clusters": ["*"],
    "levels": ["view"],
    "namespaces": ["default"],
    "approval": "automatic",
    "max_duration": "1h",
}


def entry(responders=None, review=SECURITY, **changes):
    return {
        "clusters": ["*"],
        "levels": ["view"],
        "responders": responders or {"groups": ["S04ONCALL"]},
        "max_duration": "1h",
        "review": review,
        **changes,
    }


def policy(*entries, **changes):
    made = {
        "deployment": "acme",
        "security_channel": "C0SEC",
        "clusters": [
            {"name": name, "region": "eu-west-1", "account": "111122223333"}
            for name in ("prod", "lab")
        ],
        "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
        "principals": {
            "template": "arn:aws:iam::{account}:role/{email_name}",
            "email_domains": ["example.com"],
        },
        "rules": [RULE],
        "break_glass": list(entries),
        **changes,
    }
    return Policy.model_validate({key: value for key, value in made.items() if value is not None})


MAPPED = {"users": {"U01ALICE": "arn:aws:iam::{account}:role/alice"}}


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (policy(entry(), security_channel=None), ("break_glass",), "raises its alarm"),
        (
            policy(entry({"pagerduty": PAGERDUTY, "users": ["U01ALICE"]}), principals=MAPPED),
            (*AT, "responders", "pagerduty"),
            "Nobody on call at pagerduty could be recognised",
        ),
        (
            policy(entry(review=SECURITY | {"remind_after": "24h"})),
            (*AT, "review", "remind_after"),
            "when the review is overdue",
        ),
    ],
)
def test_what_would_let_a_break_glass_go_unseen_is_an_error(made, at, says):
    (problem,) = errors(made)
    assert problem.at == at
    assert says in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    "made",
    [
        policy(entry()),
        policy(),
        policy(entry({"pagerduty": PAGERDUTY, "groups": ["S04ONCALL"]})),
        policy(entry({"pagerduty": PAGERDUTY, "fallback": {"groups": ["S04ONCALL"]}})),
        policy(
            entry(
                {"pagerduty": PAGERDUTY | {"users": {"PX1": "U01ALICE"}}, "users": ["U01ALICE"]},
                {"owners": {"users": ["U05SEC"]}, "within": "24h", "remind_after": "1h"},
            ),
            principals=MAPPED,
        ),
        policy(entry(clusters=["prod"]), entry()),
        policy(entry(), lockdown={"owners": {"groups": ["S05SEC"]}}),
    ],
)
def test_a_break_glass_that_works_has_no_problems(made):
    assert errors(made) == ()
    assert warnings(made) == ()


LATER = {"after": "20h", "channel": "C0SEC", "owners": {"groups": ["S06CISO"]}}


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (
            policy(entry({"pagerduty": PAGERDUTY})),
            (*AT, "responders", "pagerduty"),
            "While pagerduty does not answer nobody can break glass",
        ),
        (
            policy(entry({"groups": ["S04ONCALL"], "fallback": {"groups": ["S06OPS"]}})),
            (*AT, "responders", "fallback"),
            "and none is asked",
        ),
        (
            policy(
                entry(
                    {"users": ["U01A", "U02B"]}, {"owners": {"users": ["U02B"]}} | {"within": "24h"}
                )
            ),
            (*AT, "review", "owners"),
            "Nobody could review a break-glass of U02B",
        ),
        (
            policy(
                entry(
                    {"pagerduty": PAGERDUTY | {"users": {"PX1": "U02B"}}, "groups": ["S04ONCALL"]},
                    {"owners": {"users": ["U02B"]}, "within": "24h"},
                )
            ),
            (*AT, "review", "owners"),
            "Nobody could review a break-glass of U02B",
        ),
        (
            policy(entry(review=SECURITY | {"within": "30m"})),
            (*AT, "review", "within"),
            "due after 30 min, while access may still last up to 1 h",
        ),
        (
            policy(entry(review=SECURITY | {"escalate": LATER | {"after": "1h"}})),
            (*AT, "review", "escalate"),
            "before the owners are reminded after 12 h",
        ),
        (
            policy(entry(review=SECURITY | {"escalate": LATER | {"owners": SECURITY["owners"]}})),
            (*AT, "review", "escalate", "owners"),
            "may do so already",
        ),
        (policy(entry(), entry(clusters=["prod"])), ("break_glass", 1), "never used"),
        (
            policy(security_channel=None, lockdown={"owners": {"groups": ["S05SEC"]}}),
            ("lockdown",),
            "announced in the security channel",
        ),
        (
            policy(lockdown={"owners": {"groups": ["S05S"]}, "break_glass": {"groups": ["S0G"]}}),
            ("lockdown", "break_glass"),
            "the file has no `break_glass`",
        ),
    ],
)
def test_what_leaves_nobody_at_a_bad_moment_is_a_warning(made, at, says):
    assert errors(made) == ()
    (problem,) = warnings(made)
    assert problem.at == at
    assert says in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    "later",
    [
        entry({"users": ["U01A"]}),
        entry({"pagerduty": PAGERDUTY, "groups": ["S04ONCALL"]}),
        entry({"groups": ["S04ONCALL"]}, levels=["view", "edit"]),
    ],
)
def test_an_entry_that_lets_others_in_is_used(later):
    levels = {"view": {"policy": "AmazonEKSViewPolicy"}, "edit": {"policy": "AmazonEKSEditPolicy"}}
    made = policy(entry(), later, levels=levels)
    assert not [problem for problem in warnings(made) if "never used" in problem.message]
