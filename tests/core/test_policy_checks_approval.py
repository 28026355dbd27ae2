"""What the check finds in approvals: parts, escalation, deputies, caps, tickets, names."""

from __future__ import annotations

import pytest

from bot.core.policy import Policy
from bot.core.policy_checks import errors, warnings

BOB, CARO, DAN, EVE = "U02BOB", "U03CARO", "U04DAN", "U05EVE"
ROLE = "arn:aws:iam::{account}:role/eks-jit/"


def users(*names):
    return {"users": list(names)}


def by(*owners, **changes):
    return {"channel": "C01PAY", "owners": users(*owners), **changes}


def rule(approval, name="payments", **changes):
    return {
        "name": name,
        "clusters": ["prod"],
        "levels": ["view"],
        "namespaces": [name.split()[-1]],
        "approval": approval,
        "max_duration": "4h",
        **changes,
    }


def policy(*rules, mapped=("alice",), **changes):
    principals = {
        "template": ROLE + "{email_name}",
        "email_domains": ["example.com"],
        "users": {f"U01{name.upper()}": ROLE + name for name in mapped},
    }
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [{"name": "prod", "region": "eu-west-1", "account": "111122223333"}],
            "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
            "principals": principals,
            "rules": list(rules),
            **changes,
        }
    )


def part(*owners, name="security", **changes):
    return {"name": name, "owners": users(*owners), **changes}


def escalate(*owners, after="30m"):
    return {"after": after, "channel": "C02", "owners": users(*owners)}


JIRA = {"url": "https://acme.example/{ticket}", "check": "jira"}
AT = ("rules", 0, "approval")


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (
            policy(rule(by(BOB), name="break-glass")),
            ("rules", 0, "name"),
            "cannot be called `break-glass`",
        ),
        (
            policy(rule(by(BOB, also=[part(CARO)])), rule(by(DAN), name="payments / security")),
            ("rules", 1, "name"),
            "also how a part of another rule is called",
        ),
        (
            policy(rule(by(BOB, also=[part(CARO), part(DAN)]))),
            (*AT, "also", 1, "name"),
            "two parts called `security`",
        ),
        (
            policy(rule(by(BOB, CARO, required=3))),
            (*AT, "required"),
            "3 owners must approve, and the rule names 2.",
        ),
        (
            policy(rule(by(BOB, required=3, escalate=escalate(CARO)))),
            (*AT, "required"),
            "3 owners must approve, and the rule names 2.",
        ),
        (
            policy(rule(by(BOB, also=[part(CARO, DAN, required=3)]))),
            (*AT, "also", 0, "required"),
            "3 owners must approve, and the rule names 2.",
        ),
        (
            policy(rule(by(BOB, CARO, required=2, also=[part(BOB, CARO)]))),
            (*AT, "also"),
            "3 people must approve, each for one part, and rule payments names 2",
        ),
        (
            policy(rule(by(BOB, also=[part(BOB), part(BOB, CARO, DAN, name="legal")]))),
            (*AT, "also"),
            "3 people must approve, each for one part",
        ),
        (
            policy(rule(by(BOB, remind_after="1h"))),
            (*AT, "remind_after"),
            "when the request has lapsed",
        ),
        (
            policy(rule(by(BOB, escalate=escalate(CARO, after="1h")))),
            (*AT, "escalate"),
            "when the request has lapsed",
        ),
        (
            policy(rule(by(BOB), ends_with_ticket=True), tickets=JIRA),
            ("rules", 0, "ends_with_ticket"),
            "and the rule asks for none",
        ),
        (
            policy(
                rule(by(BOB), ticket="[A-Z]+-[0-9]+", ends_with_ticket=True),
                tickets={"url": "https://acme.example/{ticket}"},
            ),
            ("rules", 0, "ends_with_ticket"),
            "nothing says where tickets are looked up",
        ),
    ],
)
def test_what_could_never_be_decided_is_an_error(made, at, says):
    (problem,) = errors(made)
    assert problem.at == at
    assert says in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    "approval",
    [
        by(BOB, also=[part(CARO)]),
        by(BOB, CARO, required=2, also=[part(CARO, DAN)]),
        by(BOB, also=[{"name": "security", "owners": {"groups": ["S01SEC"]}, "required": 9}]),
        {"channel": "C01", "owners": {"channels": ["C01"]}, "required": 9},
        by(BOB, CARO, escalate=escalate(DAN)),
        by(BOB, delegation={"longest": "7d", "to": users(CARO)}),
        by(BOB, delegation={"longest": "7d", "to": {"groups": ["S01ENG"]}}),
        by(BOB, delegation={"longest": "7d"}),
        by(BOB, also=[part(CARO)], delegation={"longest": "7d", "to": users(BOB, CARO)}),
        {"automatic": {"time_per_day": "1h"}},
        {"automatic": {"per_day": 1}},
    ],
)
def test_an_approval_that_can_be_met_has_no_problems(approval):
    made = policy(rule(approval))
    assert errors(made) == ()
    assert warnings(made) == ()


@pytest.mark.parametrize(
    ("made", "at", "says"),
    [
        (
            policy(rule(by(BOB, required=2, escalate=escalate(CARO)))),
            (*AT, "escalate"),
            "every request waits for 30 min",
        ),
        (
            policy(rule(by(BOB, CARO, escalate=escalate(CARO)))),
            (*AT, "escalate", "owners"),
            "is an owner already",
        ),
        (
            policy(rule(by(BOB, also=[part(CARO)]), requesters=users(BOB, DAN))),
            (*AT, "owners"),
            "Nobody could approve what U02BOB may ask for",
        ),
        (
            policy(rule(by(BOB, CARO, delegation={"longest": "7d", "to": users(CARO)}))),
            (*AT, "delegation", "to"),
            "is an owner already",
        ),
        (
            policy(rule({"automatic": {"time_per_day": "30m"}})),
            (*AT, "automatic", "time_per_day"),
            "a request that says no length is for 1 h",
        ),
        (
            policy(
                rule(by(BOB), requesters=users(EVE)),
                principals={"users": {"U01ALICE": ROLE + "alice"}},
            ),
            ("rules", 0, "requesters", "users", 0),
            "U05EVE is mapped to no IAM principal",
        ),
        (policy(rule(by(BOB)), tickets=JIRA), ("tickets", "check"), "no ticket is ever looked up"),
    ],
)
def test_what_can_have_no_effect_is_a_warning(made, at, says):
    assert errors(made) == ()
    (problem,) = warnings(made)
    assert problem.at == at
    assert says in problem.message
    assert problem.remedy


def test_an_owner_on_the_principal_of_the_requester_does_not_count():
    shared = ROLE + "on-call"
    made = policy(
        rule(by(BOB), requesters=users(EVE)),
        principals={"users": {EVE: shared, BOB: shared}, "shared": [shared]},
    )
    (problem,) = warnings(made)
    assert "Nobody could approve what U05EVE may ask for" in problem.message
