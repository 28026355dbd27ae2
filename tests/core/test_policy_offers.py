from __future__ import annotations

import re
from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.core.model import Ask, Person
from bot.core.offers import (
    clusters_for,
    levels_on,
    near_miss,
    paste,
    requester_groups,
    rules_for,
)
from bot.core.policy import Level, Policy

ANY = Person("U07ZOE", "T1", "Zoe")
ENGINEER = Person("U01ALICE", "T1", "Alice")
MEMBERS = {"S01ENG": {"U01ALICE"}, "S03PLATFORM": set()}


def rule(name, clusters, levels, requesters=None, **where):
    return {
        "name": name,
        "clusters": clusters,
        "levels": levels,
        "approval": "automatic",
        "max_duration": "4h",
        **(where or {"namespaces": ["default", "dev-*"]}),
        **({"requesters": requesters} if requesters else {}),
    }


POLICY = Policy.model_validate(
    {
        "deployment": "acme",
        "clusters": [
            {"name": name, "region": "eu-west-1", "account": "111122223333"}
            for name in ("prod", "lab", "idle")
        ],
        "levels": {
            "view": {"policy": "AmazonEKSViewPolicy"},
            "edit": {"policy": "AmazonEKSEditPolicy"},
            "root": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
        },
        "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/alice"}},
        "rules": [
            rule("engineers", ["pro*", "lab"], ["edit"], {"groups": ["S01ENG"]}),
            rule("platform", ["lab"], ["root"], {"groups": ["S03PLATFORM"]}, scope="cluster"),
            rule("everybody", ["lab"], ["view"]),
            rule("globs", ["prod"], ["view"], {"users": ["U09EVE"]}, namespaces=["dev-*"]),
            rule("whole", ["prod"], ["view"], {"users": ["U08SAM"]}, scope="cluster"),
        ],
    }
)


@pytest.mark.parametrize(
    ("person", "expected"),
    [(ANY, {"lab": ("view",)}), (ENGINEER, {"prod": ("edit",), "lab": ("view", "edit")})],
)
def test_a_person_sees_the_clusters_and_levels_of_their_rules(person, expected):
    seen = {
        cluster.name: levels_on(POLICY, cluster.name, person, MEMBERS)
        for cluster in clusters_for(POLICY, person, MEMBERS)
    }
    assert seen == expected


def test_rules_are_given_in_the_order_of_the_file():
    names = [one.name for one in rules_for(POLICY, "lab", ENGINEER, MEMBERS)]
    assert names == ["engineers", "everybody"]


def test_an_unknown_group_offers_nothing_and_stops_nothing():
    assert levels_on(POLICY, "lab", ENGINEER, {}) == ("view",)


def test_an_unknown_cluster_offers_nothing():
    assert levels_on(POLICY, "nowhere", ENGINEER, MEMBERS) == ()


def test_the_groups_of_requesters_are_named_for_one_cluster_or_all():
    assert requester_groups(POLICY) == {"S01ENG", "S03PLATFORM"}
    assert requester_groups(POLICY, "prod") == {"S01ENG"}
    assert requester_groups(POLICY, "nowhere") == frozenset()


@pytest.mark.parametrize(
    ("asked", "level", "rule_name", "command"),
    [
        (
            Ask("lab", "view", ("default", "x"), timedelta(hours=9)),
            "edit",
            "engineers",
            "`/eks-access request lab edit --namespace default --for 4h …`",
        ),
        (
            Ask("prod", "view", ()),
            "view",
            "globs",
            "`/eks-access request prod view --namespace NAMESPACE --for 1h …`",
        ),
        (
            Ask("prod", "view", ("dev-`rm",)),
            "view",
            "globs",
            "`/eks-access request prod view --namespace NAMESPACE --for 1h …`",
        ),
        (
            Ask("lab", "root", ("default",)),
            "root",
            "platform",
            "`/eks-access request lab root --for 1h …`",
        ),
        (
            Ask("prod", "view", ("a", "b")),
            "view",
            "whole",
            "`/eks-access request prod view --namespace a,b --for 1h …`",
        ),
    ],
)
def test_the_command_to_paste_is_what_the_rule_allows(asked, level, rule_name, command):
    (chosen,) = (one for one in POLICY.rules if one.name == rule_name)
    assert paste(POLICY, asked, level, chosen) == command


def test_clusters_are_found_by_name_glob_and_labels_whatever_the_number_of_rules():
    policy = Policy.model_validate(
        {
            **POLICY.model_dump(mode="json", exclude_none=True, exclude={"clusters", "rules"}),
            "clusters": [
                {
                    "name": f"{team}-{number}",
                    "region": "eu-west-1",
                    "account": "111122223333",
                    "labels": {"tier": "lab" if number % 2 else "prod"},
                }
                for team in ("web", "pay", "ops")
                for number in range(4)
            ],
            "rules": [
                rule("literal", ["web-0"], ["view"]),
                rule("glob", ["pay-*"], ["view"]),
                rule("labels", [{"labels": {"tier": "lab"}}], ["view"]),
                rule("others", ["ops-*"], ["view"], {"users": ["U09EVE"]}),
            ],
        }
    )
    for person in (ANY, Person("U09EVE", "T1", "Eve")):
        found = [one.name for one in clusters_for(policy, person, {})]
        assert found == [
            name for name in policy.clusters_by_name if rules_for(policy, name, person, {})
        ]
    assert len(found) == 11


@pytest.mark.parametrize(
    ("asked", "there", "proposed"),
    [
        ("view", ["edit", "admin"], None),
        ("edit", ["cluster-admin", "view"], "view"),
        ("edit", ["admin", "edit"], "edit"),
        ("edti", ["admin", "edit", "view"], "edit"),
        ("cluster-edit", ["cluster-admin", "edit"], "edit"),
        ("cluster-vew", ["cluster-admin", "view"], "view"),
        ("clusteradmn", ["view", "cluster-admin"], "cluster-admin"),
        ("anything", ["cluster-admin", "edit"], "edit"),
        ("anything", ["secrets", "edit"], None),
        ("view", ["view-all"], None),
    ],
)
def test_what_is_proposed_gives_no_more_than_was_meant(asked, there, proposed):
    policies = {"view": "View", "edit": "Edit", "admin": "Admin", "secrets": "SecretReader"}
    levels = {name: {"policy": f"AmazonEKS{one}Policy"} for name, one in policies.items()}
    levels["view-all"] = levels["view"] | {"scope": "cluster"}
    levels["cluster-admin"] = {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"}
    given = POLICY.model_dump(mode="json", exclude_none=True, exclude={"levels", "rules"})
    policy = Policy.model_validate(
        {**given, "levels": levels, "rules": [rule("all", ["lab"], there, scope="cluster")]}
    )
    said = near_miss(policy, Ask("lab", asked, ("a",)), "U01ALICE", {})
    commands = re.findall(r"/eks-access request lab (\S+)", said)
    assert commands == ([proposed] if proposed else [])


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("AmazonEKSClusterViewPolicy", "AmazonEKSViewPolicy"),
        ("AmazonEKSClusterAdmnPolicy", "AmazonEKSClusterAdminPolicy"),
        ("AmazonEKSEdtPolicy", "AmazonEKSEditPolicy"),
    ],
)
def test_the_access_policy_proposed_for_another_name_gives_least(typed, near):
    with pytest.raises(ValidationError, match=f"Did you mean `{near}`"):
        Level.model_validate({"policy": typed})
