"""The shipped IAM policy allows what the bot calls, and nothing on entries that are not people's.

The bot's own calls are made for real against the local EKS, and what it was asked is evaluated with
IAM's condition keys, as the Service Authorization Reference lists them for Amazon EKS.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.core.model import AccessScope, Cluster
from bot.core.planner import (
    DEPLOYMENT_TAG,
    Action,
    Associate,
    CreateEntry,
    DeleteEntry,
    Disassociate,
    Owner,
    SetGroups,
)
from bot.sandbox.eks import EksStandIn
from bot.sandbox.eks_faults import Call
from tests.aws.iam_evaluation import Request, allows

POLICY = json.loads(Path("deploy/iam-policy.json").read_text(encoding="utf-8"))
ACCOUNT, DEPLOYMENT = "111122223333", "acme-prod"
OWNER = Owner(DEPLOYMENT, "0a1b2c3d4e5f6a7b")
PERSON = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
FOREIGN = (
    f"arn:aws:iam::{ACCOUNT}:role/platform-admins",
    f"arn:aws:iam::{ACCOUNT}:role/eks-jit",
    f"arn:aws:iam::{ACCOUNT}:user/eks-jit/ana",
    f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123",
    "arn:aws:iam::444455556666:role/eks-jit/ana",
)
VIEW, EDIT = (
    f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{one}Policy" for one in ("View", "Edit")
)
GROUPS = frozenset({"deployers"})
EVERYTHING: Sequence[Action] = (
    CreateEntry(frozenset()),
    SetGroups(GROUPS, GROUPS),
    Associate(VIEW, AccessScope.of(["default"])),
    Associate(EDIT, AccessScope.of([])),
    Disassociate(VIEW),
    DeleteEntry(),
    CreateEntry(GROUPS),
)
WRITES = {
    "eks:CreateAccessEntry",
    "eks:TagResource",
    "eks:UpdateAccessEntry",
    "eks:AssociateAccessPolicy",
    "eks:DisassociateAccessPolicy",
    "eks:DeleteAccessEntry",
}


@pytest.fixture
def requests(eks: EksStandIn, clients: EksClients, lab: Cluster) -> list[Request]:
    """What IAM is asked about all that the bot does to an entry of its own."""
    client = clients.for_cluster(lab)
    for action in EVERYTHING:
        access_entries.observe(client, lab, PERSON)
        access_entries.apply(client, lab, PERSON, action, owner=OWNER, grant_id="7K3-QMX")
    access_entries.principals(client, lab)
    return [one for call in eks.calls if call.cluster == lab.name for one in asked(call)]


def asked(call: Call) -> Iterator[Request]:
    """What IAM is asked before EKS carries the call out."""
    place = f"arn:aws:eks:{call.region}:{call.account}"
    params, action = call.params, f"eks:{call.operation}"
    if call.principal is None:
        yield Request(action, f"{place}:cluster/{call.cluster}")
        return
    kind, _, name = call.principal.rpartition(":")[2].partition("/")
    entry = f"{place}:access-entry/{call.cluster}/{kind}/{call.account}/{name}/0a1b"
    context = {
        "eks:principalArn": [call.principal],
        "eks:accessEntryType": ["STANDARD"],
        **({"eks:policyArn": [params["policyArn"]]} if "policyArn" in params else {}),
        **({"eks:username": [params["username"]]} if "username" in params else {}),
        **({"eks:kubernetesGroups": groups} if (groups := params.get("kubernetesGroups")) else {}),
    }
    if call.operation != "CreateAccessEntry":
        tags = {f"aws:ResourceTag/{DEPLOYMENT_TAG}": [DEPLOYMENT]}
        yield Request(action, entry, {**context, **tags})
        return
    tagged = {f"aws:RequestTag/{key}": [value] for key, value in params["tags"].items()}
    tagged["aws:TagKeys"] = list(params["tags"])
    yield Request(action, f"{place}:cluster/{call.cluster}", {**context, **tagged})
    # Whether the principal is known to a TagResource within a creation is not documented. [?]
    yield Request("eks:TagResource", entry, tagged)
    yield Request("eks:TagResource", entry, {"eks:principalArn": [call.principal], **tagged})


def for_principal(request: Request, arn: str) -> Request:
    return Request(request.action, request.resource, {**request.context, "eks:principalArn": [arn]})


def test_it_allows_everything_that_the_bot_does(requests: list[Request]) -> None:
    refused = [one for one in requests if not allows(POLICY, one)]
    assert refused == []
    assert {one.action for one in requests} > WRITES


@pytest.mark.parametrize("arn", FOREIGN)
def test_it_allows_no_write_for_a_principal_outside_the_peoples_path(
    requests: list[Request], arn: str
) -> None:
    writes = [for_principal(one, arn) for one in requests if one.action in WRITES]
    assert [one for one in writes if allows(POLICY, one)] == []


def reaches(policy: Any, requests: list[Request]) -> bool:
    """Whether it lets somebody write to an entry of another principal, tag or content."""
    writes = [one for one in requests if one.action in WRITES]
    strange = {
        "eks:principalArn": [FOREIGN[0]],
        f"aws:ResourceTag/{DEPLOYMENT_TAG}": ["somebody-elses"],
        f"aws:RequestTag/{DEPLOYMENT_TAG}": ["somebody-elses"],
        "aws:TagKeys": ["managed-by"],
        "eks:accessEntryType": ["EC2_LINUX"],
        "eks:username": ["admin"],
        "eks:kubernetesGroups": ["system:masters"],
        "eks:policyArn": ["arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminViewPolicy"],
    }
    return any(
        allows(policy, Request(one.action, one.resource, {**one.context, key: value}))
        for one in writes
        for key, value in strange.items()
        if _is_guarded(one, key)
    )


def _is_guarded(request: Request, key: str) -> bool:
    """Whether the policy has to look at the key for that action."""
    match key:
        case "eks:username":
            return request.action in {"eks:CreateAccessEntry", "eks:UpdateAccessEntry"}
        case "eks:accessEntryType":
            # Only entries of people's own path are within reach, and the bot made those.
            return request.action == "eks:CreateAccessEntry"
        case "eks:policyArn":
            # A level that was taken out of the policy file must never stop a removal.
            return request.action == "eks:AssociateAccessPolicy"
        case _:
            return key in request.context


def _conditions() -> Iterator[tuple[str, str, str]]:
    for statement in POLICY["Statement"]:
        if not statement["Sid"].startswith("Optional"):
            for operator, keys in statement.get("Condition", {}).items():
                for key in keys:
                    yield statement["Sid"], operator, key


@pytest.mark.parametrize(("sid", "operator", "key"), [*_conditions()])
def test_no_condition_can_be_left_out(
    requests: list[Request], sid: str, operator: str, key: str
) -> None:
    narrower = copy.deepcopy(POLICY)
    (statement,) = (one for one in narrower["Statement"] if one["Sid"] == sid)
    del statement["Condition"][operator][key]
    assert not reaches(POLICY, requests)
    assert reaches(narrower, requests)
