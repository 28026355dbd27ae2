"""What the local EKS refuses, and in which words, through boto3 over HTTP."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from bot.sandbox.eks import EksStandIn

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
SET = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/set"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
FORMAT = "The principalArn parameter format is not valid"
INVALID = "The specified principalArn is invalid: invalid principal."
LINKED = (
    "The caller is not allowed to modify access entries with a principalArn value "
    "of a Service Linked Role"
)
NODES = "[EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]"


@pytest.fixture(scope="module")
def eks():
    with EksStandIn(account=ACCOUNT) as stand_in:
        stand_in.create_cluster("lab")
        stand_in.put_entry("lab", SET)
        stand_in.put_entry("lab", f"{SET}-node", type="EC2_LINUX")
        yield stand_in


@pytest.fixture(scope="module")
def client(eks):
    return eks.client("eks")


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def invalid(message):
    return 400, "InvalidParameterException", message


@pytest.mark.parametrize(
    ("principal", "message"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/ana/session", FORMAT),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/ana", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:root", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:group/ops", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:role/", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:role/eks-jit/", FORMAT),
        ("arn:aws:iam::11112222:role/ana", FORMAT),
        (f"arn:aws:iam:eu-west-1:{ACCOUNT}:role/ana", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:role/ana bo", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:role/{'a' * 65}", FORMAT),
        (f"arn:aws:iam::{ACCOUNT}:role/ana\n", FORMAT),
        ("ana", FORMAT),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/ana", INVALID),
        (f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Dev_0123456789abcdef", INVALID),
        (
            f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForX",
            LINKED,
        ),
        (f"arn:aws:iam::{OTHER}:role/aws-service-role/eks.amazonaws.com/X", LINKED),
    ],
)
def test_a_principal_that_no_entry_can_be_for_is_refused(client, principal, message):
    assert refusal(
        client.create_access_entry, clusterName="lab", principalArn=principal
    ) == invalid(message)


@pytest.mark.parametrize(
    "principal",
    [
        f"arn:aws:iam::{OTHER}:role/ana",
        f"arn:aws:iam::{OTHER}:user/team/bo",
        f"arn:aws:iam::{ACCOUNT}:role/a/b/c/ana+x=y,z.@-_",
        f"arn:aws:iam::{ACCOUNT}:role/{'b' * 64}",
    ],
)
def test_a_role_or_user_of_any_account_with_its_full_path_is_taken(eks, client, principal):
    client.create_access_entry(clusterName="lab", principalArn=principal)
    assert eks.entry("lab", principal) is not None


@pytest.mark.parametrize(
    "operation",
    [
        "describe_access_entry",
        "update_access_entry",
        "delete_access_entry",
        "list_associated_access_policies",
    ],
)
def test_an_ill_formed_principal_is_refused_wherever_it_is_named(client, operation):
    principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/ana/session"
    call = getattr(client, operation)
    assert refusal(call, clusterName="lab", principalArn=principal) == invalid(FORMAT)


@pytest.mark.parametrize(
    ("username", "message"),
    [
        ("system:ana", "The username must not begin with system:"),
        ("eks:ana", "The username must not begin with eks:"),
        ("aws:ana", "The username must not begin with aws:"),
        ("amazon:ana", "The username must not begin with amazon:"),
        ("iam:ana", "The username must not begin with iam:"),
        ("ana{{SessionName}}", "The username must include a colon before {{SessionName}}"),
        ("{{SessionName}}:ana", "The username must include a colon before {{SessionName}}"),
        ("ana{{SessionNameRaw}}", "The username must include a colon before {{SessionNameRaw}}"),
    ],
)
def test_a_reserved_or_ambiguous_username_is_refused_on_create_and_update(
    client, username, message
):
    arguments = {"clusterName": "lab", "username": username}
    assert refusal(client.create_access_entry, principalArn=ROLE, **arguments) == invalid(message)
    assert refusal(client.update_access_entry, principalArn=SET, **arguments) == invalid(message)


@pytest.mark.parametrize(
    "username", ["ana", "sts:ana", "systemic", ":ana{{SessionName}}", "a:{{SessionNameRaw}}"]
)
def test_any_other_username_is_kept_as_given(client, username):
    updated = client.update_access_entry(clusterName="lab", principalArn=SET, username=username)
    assert updated["accessEntry"]["username"] == username


@pytest.mark.parametrize("prefix", ["system:", "eks:", "aws:", "amazon:", "iam:"])
def test_a_reserved_group_is_refused_on_create_and_update(client, prefix):
    group = f"{prefix}masters"
    arguments = {"clusterName": "lab", "kubernetesGroups": ["ok", group]}
    expected = invalid(
        f"The kubernetes group name {group} is invalid, it cannot start with {prefix}"
    )
    assert refusal(client.create_access_entry, principalArn=ROLE, **arguments) == expected
    assert refusal(client.update_access_entry, principalArn=SET, **arguments) == expected


@pytest.mark.parametrize(
    ("principal", "extra", "message"),
    [
        (
            ROLE,
            {"kubernetesGroups": ["deployers"]},
            "The specified kubernetesGroups is invalid: "
            'setting kubernetesGroups is not allowed when the type is "EC2_LINUX"',
        ),
        (
            ROLE,
            {"username": "node"},
            "The specified username is invalid: "
            'setting username is not allowed when the type is "EC2_LINUX"',
        ),
        (
            f"arn:aws:iam::{ACCOUNT}:user/ana",
            {},
            f"AccessEntry principalArn must be IAM role when using types {NODES}",
        ),
        (
            f"arn:aws:iam::{OTHER}:role/node",
            {},
            "AccessEntry principalArn must be from the same account as the cluster "
            f"when using types {NODES}",
        ),
    ],
)
def test_a_node_entry_is_for_a_role_of_the_clusters_account_and_takes_no_words(
    client, principal, extra, message
):
    assert refusal(
        client.create_access_entry,
        clusterName="lab",
        principalArn=principal,
        type="EC2_LINUX",
        **extra,
    ) == invalid(message)


def test_a_node_entry_takes_no_groups_later_either(client):
    status, code, message = refusal(
        client.update_access_entry,
        clusterName="lab",
        principalArn=f"{SET}-node",
        kubernetesGroups=["deployers"],
    )
    assert (status, code) == (400, "InvalidParameterException")
    assert "setting kubernetesGroups is not allowed" in message


def test_an_unknown_type_is_refused_with_the_valid_ones(client):
    status, code, message = refusal(
        client.create_access_entry, clusterName="lab", principalArn=ROLE, type="HUMAN"
    )
    assert (status, code) == (400, "InvalidParameterException")
    assert "STANDARD" in message


def test_what_is_wrong_with_a_new_entry_comes_before_the_missing_cluster(client):
    refused = refusal(
        client.create_access_entry, clusterName="nowhere", principalArn=ROLE, username="aws:x"
    )
    assert refused == invalid("The username must not begin with aws:")


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (
            {"type": "namespace"},
            "At least 1 namespace must be provided if the type is set as namespace",
        ),
        (
            {"type": "namespace", "namespaces": []},
            "At least 1 namespace must be provided if the type is set as namespace",
        ),
        (
            {"type": "cluster", "namespaces": ["default"]},
            "accessScope should not include namespaces if the type is not set as namespace",
        ),
        ({"type": "everything"}, "The specified accessScope type is invalid: [cluster, namespace]"),
        ({}, "The specified accessScope type is invalid: [cluster, namespace]"),
        *(
            (
                {"type": "namespace", "namespaces": ["default", bad]},
                f"The specified namespace is invalid: {bad}",
            )
            for bad in ("Default", "a_b", "-a", "a-", "a.b", "", "a" * 64, "a b", "dev?")
        ),
    ],
)
def test_an_access_scope_is_the_cluster_or_namespaces_that_can_exist(client, scope, message):
    assert refusal(
        client.associate_access_policy,
        clusterName="lab",
        principalArn=SET,
        policyArn=VIEW,
        accessScope=scope,
    ) == invalid(message)


@pytest.mark.parametrize("namespace", ["a", "dev-*", "*", "*-prod", "team-*-x", "a" * 63, "0"])
def test_a_namespace_may_have_wildcards_and_need_not_exist(client, namespace):
    answer = client.associate_access_policy(
        clusterName="lab",
        principalArn=SET,
        policyArn=VIEW,
        accessScope={"type": "namespace", "namespaces": [namespace]},
    )
    assert answer["associatedAccessPolicy"]["accessScope"]["namespaces"] == [namespace]


@pytest.mark.parametrize("policy", ["AmazonEKSViewPolicy", "arn:aws:iam::aws:policy/ReadOnly"])
def test_what_is_no_access_policy_arn_is_refused_for_its_form(client, policy):
    arguments = {"clusterName": "lab", "principalArn": SET, "policyArn": policy}
    expected = invalid("The policyArn parameter format is not valid")
    scope = {"type": "cluster"}
    assert refusal(client.associate_access_policy, accessScope=scope, **arguments) == expected
    assert refusal(client.disassociate_access_policy, **arguments) == expected


@pytest.mark.parametrize(
    "tags",
    [
        {f"key-{number}": "x" for number in range(51)},
        {"k" * 129: "x"},
        {"key": "x" * 257},
        {"aws:owner": "x"},
    ],
)
def test_tags_keep_to_their_limits_on_create_and_on_tagging(eks, client, tags):
    assert refusal(client.create_access_entry, clusterName="lab", principalArn=ROLE, tags=tags)[
        :2
    ] == (400, "InvalidParameterException")
    arn = eks.entry("lab", SET).arn
    refused = refusal(client.tag_resource, resourceArn=arn, tags=tags)
    assert refused[:2] == (400, "BadRequestException")
    assert eks.entry("lab", SET).tags == {}


def test_the_most_tags_there_can_be_are_taken(eks, client):
    tags = {f"{number:02}{'k' * 126}": "v" * 256 for number in range(50)}
    principal = f"{ROLE}-tagged"
    client.create_access_entry(clusterName="lab", principalArn=principal, tags=tags)
    assert eks.entry("lab", principal).tags == tags
    arn = eks.entry("lab", principal).arn
    assert refusal(client.tag_resource, resourceArn=arn, tags={"one": "more"})[0] == 400


@pytest.mark.parametrize("arguments", [{"maxResults": 101}, {"nextToken": "never issued"}])
def test_a_list_refuses_more_than_100_a_page_and_tokens_it_did_not_issue(client, arguments):
    for call, target in [
        (client.list_access_entries, {"clusterName": "lab"}),
        (client.list_associated_access_policies, {"clusterName": "lab", "principalArn": SET}),
        (client.list_access_policies, {}),
    ]:
        refused = refusal(call, **target, **arguments)
        assert refused[:2] == (400, "InvalidParameterException")


def test_with_that_option_a_principal_must_exist_in_iam():
    with EksStandIn(account=ACCOUNT, require_existing_principals=True) as eks:
        eks.create_cluster("lab")
        client, iam = eks.client("eks"), eks.client("iam")
        arguments = {"clusterName": "lab", "principalArn": f"arn:aws:iam::{ACCOUNT}:role/jit/new"}
        assert refusal(client.create_access_entry, **arguments) == invalid(INVALID)
        iam.create_role(RoleName="new", Path="/jit/", AssumeRolePolicyDocument="{}")
        iam.create_user(UserName="bo", Path="/team/")
        try:
            client.create_access_entry(**arguments)
            arguments["principalArn"] = f"arn:aws:iam::{ACCOUNT}:user/team/bo"
            client.create_access_entry(**arguments)
            arguments["principalArn"] = f"arn:aws:iam::{ACCOUNT}:user/bo"
            assert refusal(client.create_access_entry, **arguments) == invalid(INVALID)
            assert len(eks.entries("lab")) == 2
        finally:
            iam.delete_role(RoleName="new")
            iam.delete_user(UserName="bo")
