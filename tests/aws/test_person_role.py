"""The shipped trust policy of a person's role lets that person in, under names nobody chooses."""

from __future__ import annotations

import copy
import inspect
import json
import re
from pathlib import Path

import pytest
from awscli.customizations.eks import get_token, update_kubeconfig

from tests.aws.iam_evaluation import trusts

TRUST = json.loads(Path("deploy/person-role-trust.json").read_text(encoding="utf-8"))
SHARED = (
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Engineers_0123456789abcdef"
)
ALICE = {
    "aws:PrincipalArn": {SHARED},
    "aws:userid": {"AROAEXAMPLE:alice@example.com"},
    "sts:RoleSessionName": {"alice@example.com"},
}


def test_the_person_is_let_in_under_the_own_name_and_those_that_the_aws_cli_gives():
    assert trusts(TRUST, ALICE)
    for module in (get_token, update_kubeconfig):
        [name] = re.findall(r"RoleSessionName='(\w+)'", inspect.getsource(module))
        assert trusts(TRUST, {**ALICE, "sts:RoleSessionName": {name}})


@pytest.mark.parametrize(
    "other",
    [
        {"sts:RoleSessionName": {"bob@example.com"}},
        {"sts:RoleSessionName": {"botocore-session-1767603600"}},
        {"sts:RoleSessionName": {"alice@example.com.evil"}},
        {"aws:userid": {"AROAEXAMPLE:bob@example.com"}},
        {"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/eks-jit/bob"}},
        {"aws:PrincipalArn": {SHARED.replace("Engineers", "Admins")}},
    ],
    ids=lambda other: next(iter(next(iter(other.values())))),
)
def test_nobody_else_is_let_in_and_nobody_under_another_name(other):
    assert not trusts(TRUST, ALICE | other)


@pytest.mark.parametrize(
    ("operator", "key"),
    [
        ("ArnLike", "aws:PrincipalArn"),
        ("StringLike", "aws:userid"),
        ("StringEquals", "sts:RoleSessionName"),
    ],
)
def test_each_condition_keeps_somebody_out(operator, key):
    weaker = copy.deepcopy(TRUST)
    del weaker["Statement"][0]["Condition"][operator][key]
    assert trusts(weaker, ALICE | {key: {"somebody-else"}})
    assert not trusts(TRUST, ALICE | {key: {"somebody-else"}})
