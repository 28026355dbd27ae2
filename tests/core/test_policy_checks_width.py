"""`policy check` says what gives much: without anybody looking, for long, or as the bot itself."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.policy import Policy
from bot.core.policy_checks import errors, warnings
from bot.core.policy_checks_width import width_warnings
from bot.core.policy_problems import Location

ASKED = {"channel": "C01PAY", "owners": {"groups": ["S01PAY"]}}
LIMITED = {"automatic": {"per_day": 3}}
BOT = "arn:aws:iam::111122223333:role/eks-access-bot"
BACKSTOP = "arn:aws:iam::{account}:role/jobs/eks-access-backstop"
PROD = {"name": "prod", "region": "eu-west-1", "account": "111122223333"}
LEVELS: dict[str, Any] = {
    "view": {"policy": "AmazonEKSViewPolicy"},
    "edit": {"policy": "AmazonEKSEditPolicy"},
    "admin": {"policy": "AmazonEKSAdminPolicy"},
    "secrets": {"policy": "AmazonEKSSecretReaderPolicy"},
    "everything": {"policy": "AmazonEKSAdminViewPolicy"},
}


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "name": "all",
        "clusters": ["prod"],
        "levels": list(LEVELS),
        "namespaces": ["payments"],
        "approval": "automatic",
        "max_duration": "1h",
        **changes,
    }


def policy(*rules: dict[str, Any], **changes: Any) -> Policy:
    return Policy.model_validate(
        {
            "deployment": "acme",
            "security_channel": "C01SEC",
            "clusters": [PROD],
            "levels": LEVELS,
            "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/eks-jit/alice"}},
            "rules": [*rules, rule(name="rest", approval=ASKED)],
            **changes,
        }
    )


def told(given: Policy) -> list[tuple[Location, str]]:
    found = list(width_warnings(given))
    assert set(found) <= set(warnings(given))
    return [(one.at, one.message) for one in found]


@pytest.mark.parametrize("level", ["edit", "admin", "secrets", "everything"])
@pytest.mark.parametrize("approval", ["automatic", LIMITED])
def test_what_is_above_view_on_every_cluster_without_approval_is_told(
    level: str, approval: object
) -> None:
    given = policy(
        rule(clusters=["prod", "*"], levels=["view", level], approval=approval, namespaces=["a"])
    )
    ((at, says),) = told(given)
    assert at == ("rules", 0, "clusters", 1)
    assert says.startswith(f"Rule all gives `{level}` without approval on every cluster")


@pytest.mark.parametrize(
    "changes",
    [
        {"clusters": ["*"], "levels": ["view"]},
        {"clusters": ["*"], "approval": ASKED},
        {"clusters": ["pro*"]},
        {"namespaces": ["*"]},
        {"namespaces": ["*"], "max_duration": "1d"},
        {"namespaces": ["*"], "levels": ["view"], "max_duration": "30d"},
        {"max_duration": "7d"},
        {"levels": ["view"], "max_duration": "30d"},
    ],
)
def test_what_is_narrow_or_short_or_looked_at_or_only_view_is_not_told(
    changes: dict[str, Any],
) -> None:
    assert told(policy(rule(**{"namespaces": ["a"]} | changes))) == []


def test_what_is_above_view_in_every_namespace_for_days_without_approval_is_told() -> None:
    given = policy(rule(levels=["view", "edit"], namespaces=["a", "*"], max_duration="2d"))
    ((at, says),) = told(given)
    assert at == ("rules", 0, "namespaces", 1)
    assert says == "Rule all gives `edit` without approval in every namespace for 2 days."


def test_more_than_view_for_a_month_is_told_with_every_such_level() -> None:
    ((at, says),) = told(policy(rule(approval=ASKED, max_duration="30d", namespaces=["a"])))
    assert at == ("rules", 0, "max_duration")
    assert "`edit`, `admin`, `secrets` and `everything` here for 30 days at a time" in says


def test_a_month_of_break_glass_is_told_too() -> None:
    glass = {
        "clusters": ["prod"],
        "levels": ["edit"],
        "responders": {"users": ["U01ALICE"]},
        "max_duration": "8d",
        "review": {"owners": {"groups": ["S05SEC"]}, "within": "9d"},
    }
    assert [at for at, _ in told(policy(break_glass=[glass]))] == [
        ("break_glass", 0, "max_duration")
    ]


@pytest.mark.parametrize(
    "group", ["cluster-admin", "acme:cluster-admins", "ClusterAdmin", "eks_cluster_admin"]
)
def test_a_group_that_is_cluster_admin_by_name_is_told(group: str) -> None:
    level = {"kubernetes_groups": ["deployers", group], "scope": "cluster"}
    root = rule(name="root", levels=["root"], scope="cluster", approval=ASKED)
    del root["namespaces"]
    ((at, says),) = told(policy(root, levels=LEVELS | {"root": level}))
    assert at == ("levels", "root", "kubernetes_groups", 1)
    assert says.startswith(f"Level `root` puts people in the group `{group}`")


def test_what_a_group_may_do_is_not_known_so_it_counts_as_more_than_view() -> None:
    level = {"policy": "AmazonEKSViewPolicy", "kubernetes_groups": ["devs"], "scope": "cluster"}
    group = rule(name="devs", clusters=["*"], levels=["devs"], scope="cluster")
    del group["namespaces"]
    ((at, _),) = told(policy(group, levels=LEVELS | {"devs": level}))
    assert at == ("rules", 0, "clusters", 0)


@pytest.mark.parametrize(
    ("mapped", "stands"),
    [
        (BOT, ("clusters", 0, "assume_role")),
        ("arn:aws:iam::{account}:role/other/path/EKS-Access-Bot", ("clusters", 0, "assume_role")),
        ("arn:aws:iam::{account}:role/eks-access-backstop", ("backstop", "role")),
        ("arn:aws:iam::111122223333:role/jobs/eks-access-backstop", ("backstop", "role")),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_a_person_mapped_to_a_role_of_the_bot_is_an_error(
    mapped: str, stands: Location, *, shared: bool
) -> None:
    given = policy(
        clusters=[PROD | {"assume_role": BOT}],
        backstop={"role": BACKSTOP, "group": "eks-access"},
        principals={"users": {"U01ALICE": mapped}, "shared": [mapped] if shared else []},
    )
    (problem,) = errors(given)
    assert problem.at == ("principals", "users", "U01ALICE")
    assert problem.message.startswith("U01ALICE is mapped to a role of the bot itself")
    assert problem.other == stands


def test_a_role_of_that_name_in_an_account_where_the_bot_has_none_is_no_error() -> None:
    given = policy(
        clusters=[PROD | {"assume_role": BOT}],
        principals={"users": {"U01ALICE": "arn:aws:iam::444455556666:role/eks-access-bot"}},
    )
    assert errors(given) == ()
