"""A backstop that could not do its work, or could do more than that, does not come into force."""

from __future__ import annotations

import pytest
import yaml

from bot.core.policy import Policy
from bot.core.review import moved
from bot.policy_file import check_policy

ROLE = "arn:aws:iam::{account}:role/eks-access-backstop"

FILE = """
deployment: acme
clusters:
  - {{name: lab, region: eu-west-1, account: "111122223333"}}
  - name: prod
    region: {region}
    account: "444455556666"
    standing: {standing}
    assume_role: "{assume}"
levels: {{view: {{policy: AmazonEKSViewPolicy}}}}
principals: {{users: {{U01ANA: "arn:{partition}:iam::{{account}}:role/eks-jit/ana"}}}}
rules:
  - name: all
    clusters: ["*"]
    levels: [view]
    namespaces: [a]
    approval: automatic
    max_duration: 1h
backstop: {backstop}
"""


def text_of(backstop: str, **more: str) -> str:
    words = {
        "region": "eu-central-1",
        "partition": "aws",
        "standing": "refuse",
        "assume": "arn:aws:iam::444455556666:role/eks-access-bot",
        **more,
    }
    return FILE.format(backstop=backstop, **words)


def checked(backstop: str, **more: str) -> tuple[Policy | None, list[str]]:
    """The policy and what is found in it, each as "line: message remedy"."""
    policy, findings = check_policy(text_of(backstop, **more), "eks-access.yaml")
    return policy, [f"{one.line}: {one.message} {one.remedy}" for one in findings]


def test_a_backstop_reaches_every_cluster_with_a_role_of_its_account() -> None:
    policy, found = checked(f'{{role: "{ROLE}", group: eks-access}}')
    assert found == []
    assert policy is not None
    terms = {name: one.backstop for name, one in policy.clusters_by_name.items()}
    roles = {name: one.role for name, one in terms.items() if one is not None}
    assert roles == {
        "lab": "arn:aws:iam::111122223333:role/eks-access-backstop",
        "prod": "arn:aws:iam::444455556666:role/eks-access-backstop",
    }
    assert {one.after.total_seconds() for one in terms.values() if one is not None} == {600}


def test_without_it_no_cluster_has_one() -> None:
    policy = Policy.model_validate(yaml.safe_load(text_of("{}")) | {"backstop": None})
    assert {one.backstop for one in policy.clusters_by_name.values()} == {None}


@pytest.mark.parametrize(
    ("backstop", "said"),
    [
        ("{group: eks-access}", "role"),
        (f'{{role: "{ROLE}"}}', "group"),
        ("{role: backstop, group: g}", "Write the ARN of a role"),
        ('{role: "arn:aws:iam::12:role/x", group: g}', "Write the ARN of a role"),
        ('{role: "arn:aws:sts::111122223333:assumed-role/x/y", group: g}', "can be assumed"),
        ('{role: "arn:aws:iam::{account}:user/ana", group: g}', "assumes a role, and this is a"),
        ('{role: "arn:aws:iam::{acount}:role/x", group: g}', "braces"),
        (f'{{role: "{ROLE}", group: default}}', "default schedule group is everybody's"),
        (f'{{role: "{ROLE}", group: "a b"}}', "no name of a schedule group"),
        (f'{{role: "{ROLE}", group: g, after: 1m}}', "2 min at least"),
        (f'{{role: "{ROLE}", group: g, after: 25h}}', "at most"),
        (f'{{role: "{ROLE}", group: g, after: soon}}', "soon"),
        (f'{{role: "{ROLE}", group: g, before: 10m}}', "before"),
    ],
)
def test_a_backstop_of_the_wrong_form_is_told(backstop: str, said: str) -> None:
    policy, found = checked(backstop)
    assert policy is None
    assert any(said in one for one in found), found
    assert not [one for one in found if "role or user" in one]


def test_a_role_of_another_account_than_a_clusters_is_told() -> None:
    role = "arn:aws:iam::111122223333:role/eks-access-backstop"
    policy, found = checked(f'{{role: "{role}", group: g}}')
    assert policy is None
    (one,) = found
    assert "This role is in account 111122223333, and cluster `prod` in 444455556666" in one
    assert "{account}" in one


def test_a_role_of_another_partition_than_a_clusters_is_told() -> None:
    role = ROLE.replace("arn:aws:", "arn:aws-cn:")
    _, found = checked(f'{{role: "{role}", group: g}}')
    assert len([one for one in found if "partition aws-cn" in one]) == 2


def test_the_bots_own_role_is_no_role_for_a_backstop() -> None:
    role = "arn:aws:iam::{account}:role/eks-access-bot"
    policy, found = checked(f'{{role: "{role}", group: g}}')
    assert policy is None
    assert "the role by which the bot reaches cluster `prod`" in found[0]


def test_clusters_whose_standing_access_is_added_to_are_warned_of() -> None:
    policy, found = checked(f'{{role: "{ROLE}", group: g}}', standing="augment")
    assert policy is not None
    (one,) = found
    assert "has no backstop" in one


def test_a_backstop_that_comes_or_goes_makes_no_other_cluster_of_it() -> None:
    with_it, _ = checked(f'{{role: "{ROLE}", group: g}}')
    assert with_it is not None
    without = Policy.model_validate(with_it.model_dump() | {"backstop": None})
    assert not moved(with_it, without.clusters_by_name["lab"])
    assert not moved(without, with_it.clusters_by_name["lab"])
