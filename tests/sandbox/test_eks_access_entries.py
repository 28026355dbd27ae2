"""Access entries on the local EKS, through boto3 over HTTP."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from bot.sandbox.eks import EksStandIn

ACCOUNT = "111122223333"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

names = (f"lab-{number}" for number in itertools.count())


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def eks(clock):
    with EksStandIn(account=ACCOUNT, clock=clock) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def client(eks):
    return eks.client("eks", REGION)


@pytest.fixture
def cluster(eks, clock):
    clock.now = START
    name = next(names)
    eks.create_cluster(name)
    return name


def role(name):
    return f"arn:aws:iam::{ACCOUNT}:role/eks-jit/{name}"


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def test_a_created_entry_is_described_as_it_was_created(client, cluster):
    created = client.create_access_entry(
        clusterName=cluster,
        principalArn=ROLE,
        kubernetesGroups=["deployers"],
        tags={"eks-access/grant": "7K3QMX", "with=sign": "a=b&c"},
        type="STANDARD",
    )["accessEntry"]
    described = client.describe_access_entry(clusterName=cluster, principalArn=ROLE)["accessEntry"]
    assert described == created
    arn = described.pop("accessEntryArn")
    place = re.escape(f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/{cluster}/role/{ACCOUNT}/ana/")
    assert re.fullmatch(place + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", arn)
    assert described == {
        "clusterName": cluster,
        "principalArn": ROLE,
        "kubernetesGroups": ["deployers"],
        "tags": {"eks-access/grant": "7K3QMX", "with=sign": "a=b&c"},
        "type": "STANDARD",
        "username": f"arn:aws:sts::{ACCOUNT}:assumed-role/ana/{{{{SessionName}}}}",
        "createdAt": START,
        "modifiedAt": START,
    }


@pytest.mark.parametrize(
    ("principal", "entry_type", "expected"),
    [
        (
            "role/team/ana",
            "STANDARD",
            f"arn:aws:sts::{ACCOUNT}:assumed-role/ana/{{{{SessionName}}}}",
        ),
        ("user/team/bo", "STANDARD", f"arn:aws:iam::{ACCOUNT}:user/team/bo"),
        ("role/node", "EC2_LINUX", "system:node:{{EC2PrivateDNSName}}"),
        ("role/node", "EC2_WINDOWS", "system:node:{{EC2PrivateDNSName}}"),
        ("role/node", "FARGATE_LINUX", "system:node:{{SessionName}}"),
        ("role/node", "HYBRID_LINUX", "system:node:{{SessionName}}"),
    ],
)
def test_an_entry_without_a_username_gets_the_one_of_its_principal_and_type(
    client, cluster, principal, entry_type, expected
):
    entry = client.create_access_entry(
        clusterName=cluster, principalArn=f"arn:aws:iam::{ACCOUNT}:{principal}", type=entry_type
    )["accessEntry"]
    assert entry["username"] == expected
    assert entry["kubernetesGroups"] == ([] if entry_type == "STANDARD" else ["system:nodes"])


def test_a_second_entry_for_a_principal_is_refused_as_in_use(client, cluster):
    client.create_access_entry(clusterName=cluster, principalArn=ROLE)
    assert refusal(client.create_access_entry, clusterName=cluster, principalArn=ROLE) == (
        409,
        "ResourceInUseException",
        "The specified access entry resource is already in use on this cluster.",
    )


def test_a_create_repeated_with_its_token_answers_with_the_entry_it_made(client, cluster):
    request = {"clusterName": cluster, "principalArn": ROLE, "clientRequestToken": "once"}
    first = client.create_access_entry(**request)["accessEntry"]
    assert client.create_access_entry(**request)["accessEntry"] == first


def test_a_stand_in_that_ignores_tokens_answers_a_repeated_create_with_409():
    with EksStandIn(account=ACCOUNT, honour_client_tokens=False) as eks:
        eks.create_cluster("lab")
        client = eks.client("eks", REGION)
        request = {"clusterName": "lab", "principalArn": ROLE, "clientRequestToken": "once"}
        client.create_access_entry(**request)
        assert refusal(client.create_access_entry, **request)[0] == 409


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_access_entry", {}),
        ("update_access_entry", {"kubernetesGroups": ["deployers"]}),
        ("delete_access_entry", {}),
        ("list_associated_access_policies", {}),
        ("associate_access_policy", {"policyArn": VIEW, "accessScope": {"type": "cluster"}}),
        ("disassociate_access_policy", {"policyArn": VIEW}),
    ],
)
def test_what_needs_an_entry_answers_404_where_there_is_none(client, cluster, operation, arguments):
    call = getattr(client, operation)
    assert refusal(call, clusterName=cluster, principalArn=ROLE, **arguments) == (
        404,
        "ResourceNotFoundException",
        "The specified principalArn could not be found. "
        "You can view your available access entries with 'list-access-entries'.",
    )


ON_A_CLUSTER = [
    ("create_access_entry", {"principalArn": ROLE}),
    ("describe_access_entry", {"principalArn": ROLE}),
    ("update_access_entry", {"principalArn": ROLE}),
    ("delete_access_entry", {"principalArn": ROLE}),
    ("list_access_entries", {}),
    ("list_associated_access_policies", {"principalArn": ROLE}),
    (
        "associate_access_policy",
        {"principalArn": ROLE, "policyArn": VIEW, "accessScope": {"type": "cluster"}},
    ),
    ("disassociate_access_policy", {"principalArn": ROLE, "policyArn": VIEW}),
]


@pytest.mark.parametrize(("operation", "arguments"), ON_A_CLUSTER)
def test_an_unknown_cluster_is_named_in_a_404(client, operation, arguments):
    assert refusal(getattr(client, operation), clusterName="nowhere", **arguments) == (
        404,
        "ResourceNotFoundException",
        "No cluster found for name: nowhere.",
    )


@pytest.mark.parametrize(("operation", "arguments"), ON_A_CLUSTER)
def test_a_cluster_in_config_map_mode_takes_no_access_entry_call(eks, client, operation, arguments):
    name = next(names)
    eks.create_cluster(name, authentication_mode="CONFIG_MAP")
    assert refusal(getattr(client, operation), clusterName=name, **arguments) == (
        400,
        "InvalidRequestException",
        "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] "
        "to perform this operation.",
    )
    assert eks.entries(name) == ()


def test_update_replaces_the_groups_and_leaves_what_it_does_not_name(client, cluster, clock):
    client.create_access_entry(
        clusterName=cluster, principalArn=ROLE, kubernetesGroups=["deployers", "viewers"]
    )
    clock.now = START + timedelta(minutes=5)
    updated = client.update_access_entry(
        clusterName=cluster, principalArn=ROLE, kubernetesGroups=["viewers"]
    )["accessEntry"]
    assert updated["kubernetesGroups"] == ["viewers"]
    assert updated["username"].endswith("/ana/{{SessionName}}")
    assert (updated["createdAt"], updated["modifiedAt"]) == (START, clock.now)
    client.update_access_entry(clusterName=cluster, principalArn=ROLE, username="ana")
    client.update_access_entry(clusterName=cluster, principalArn=ROLE, kubernetesGroups=[])
    entry = client.describe_access_entry(clusterName=cluster, principalArn=ROLE)["accessEntry"]
    assert (entry["kubernetesGroups"], entry["username"]) == ([], "ana")


def test_associating_a_policy_again_replaces_its_scope_and_keeps_it_once(client, cluster, clock):
    client.create_access_entry(clusterName=cluster, principalArn=ROLE)
    target = {"clusterName": cluster, "principalArn": ROLE}
    first = client.associate_access_policy(
        **target,
        policyArn=VIEW,
        accessScope={"type": "namespace", "namespaces": ["default", "dev-*"]},
    )
    assert first["clusterName"] == cluster
    assert first["principalArn"] == ROLE
    clock.now = START + timedelta(minutes=1)
    client.associate_access_policy(**target, policyArn=VIEW, accessScope={"type": "cluster"})
    client.associate_access_policy(
        **target, policyArn=EDIT, accessScope={"type": "namespace", "namespaces": ["payments"]}
    )
    listed = client.list_associated_access_policies(**target)
    assert listed["associatedAccessPolicies"] == [
        {
            "policyArn": EDIT,
            "accessScope": {"type": "namespace", "namespaces": ["payments"]},
            "associatedAt": clock.now,
            "modifiedAt": clock.now,
        },
        {
            "policyArn": VIEW,
            "accessScope": {"type": "cluster", "namespaces": []},
            "associatedAt": START,
            "modifiedAt": clock.now,
        },
    ]


def test_disassociating_takes_one_policy_and_is_404_the_second_time(client, cluster):
    target = {"clusterName": cluster, "principalArn": ROLE}
    client.create_access_entry(**target)
    for policy in (VIEW, EDIT):
        client.associate_access_policy(**target, policyArn=policy, accessScope={"type": "cluster"})
    client.disassociate_access_policy(**target, policyArn=VIEW)
    left = client.list_associated_access_policies(**target)["associatedAccessPolicies"]
    assert [association["policyArn"] for association in left] == [EDIT]
    status, code, _ = refusal(client.disassociate_access_policy, **target, policyArn=VIEW)
    assert (status, code) == (404, "ResourceNotFoundException")


def test_deleting_an_entry_takes_its_associations_with_it(client, cluster):
    target = {"clusterName": cluster, "principalArn": ROLE}
    client.create_access_entry(**target)
    client.associate_access_policy(**target, policyArn=VIEW, accessScope={"type": "cluster"})
    client.delete_access_entry(**target)
    client.create_access_entry(**target)
    assert client.list_associated_access_policies(**target)["associatedAccessPolicies"] == []


def test_only_a_standard_entry_takes_policies_and_auto_mode_nodes_their_own(client, cluster):
    auto_node = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"
    everywhere = {"type": "cluster"}
    for entry_type in ("EC2_LINUX", "EC2_WINDOWS", "EC2", "FARGATE_LINUX", "HYBRID_LINUX"):
        target = {"clusterName": cluster, "principalArn": role(entry_type)}
        client.create_access_entry(**target, type=entry_type)
        assert refusal(
            client.associate_access_policy, **target, policyArn=VIEW, accessScope=everywhere
        ) == (
            400,
            "InvalidParameterException",
            'This operation can only be performed on Access Entries with a type of "STANDARD".',
        )
    client.associate_access_policy(
        clusterName=cluster, principalArn=role("EC2"), policyArn=auto_node, accessScope=everywhere
    )


def test_an_unknown_access_policy_cannot_be_found(client, cluster):
    target = {"clusterName": cluster, "principalArn": ROLE}
    client.create_access_entry(**target)
    unknown = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSVeiwPolicy"
    assert refusal(
        client.associate_access_policy,
        **target,
        policyArn=unknown,
        accessScope={"type": "cluster"},
    ) == (
        404,
        "ResourceNotFoundException",
        "The specified policyArn could not be found. "
        "You can view your available access policies with 'list-access-policies'.",
    )


def test_entries_are_listed_by_pages_of_at_most_100(eks, client, cluster):
    expected = sorted(role(f"person-{number:03}") for number in range(205))
    for principal in expected:
        eks.put_entry(cluster, principal)
    pages = list(client.get_paginator("list_access_entries").paginate(clusterName=cluster))
    assert [len(page["accessEntries"]) for page in pages] == [100, 100, 5]
    assert [arn for page in pages for arn in page["accessEntries"]] == expected
    assert "nextToken" not in pages[-1]


def test_a_next_token_holds_when_entries_come_and_go_between_pages(eks, client, cluster):
    for name in "abcdef":
        eks.put_entry(cluster, role(name))
    page = client.list_access_entries(clusterName=cluster, maxResults=3)
    assert page["accessEntries"] == [role(name) for name in "abc"]
    client.delete_access_entry(clusterName=cluster, principalArn=role("c"))
    client.delete_access_entry(clusterName=cluster, principalArn=role("d"))
    rest = client.list_access_entries(clusterName=cluster, nextToken=page["nextToken"])
    assert rest["accessEntries"] == [role("e"), role("f")]


def test_a_last_page_that_is_full_has_no_next_token(eks, client, cluster):
    for name in "abc":
        eks.put_entry(cluster, role(name))
    page = client.list_access_entries(clusterName=cluster, maxResults=3)
    assert len(page["accessEntries"]) == 3
    assert "nextToken" not in page


def test_a_list_can_be_narrowed_to_the_entries_with_one_policy(eks, client, cluster):
    eks.put_entry(cluster, role("ana"), policies={"AmazonEKSViewPolicy": ["default"]})
    eks.put_entry(cluster, role("ben"), policies={"AmazonEKSEditPolicy": []})
    listed = client.list_access_entries(clusterName=cluster, associatedPolicyArn=VIEW)
    assert listed["accessEntries"] == [role("ana")]


def test_access_policies_are_listed_with_the_arns_of_the_partition(eks, client):
    pages = list(
        client.get_paginator("list_access_policies").paginate(PaginationConfig={"PageSize": 10})
    )
    policies = {
        policy["name"]: policy["arn"] for page in pages for policy in page["accessPolicies"]
    }
    assert len(pages) == 4
    assert policies["AmazonEKSViewPolicy"] == VIEW
    assert {"AmazonEKSClusterAdminPolicy", "AmazonEKSAdminViewPolicy"} < set(policies)
    china = eks.client("eks", "cn-north-1").list_access_policies()["accessPolicies"]
    assert china[0]["arn"].startswith("arn:aws-cn:eks::aws:cluster-access-policy/")


def test_the_associations_of_an_entry_are_listed_by_pages(eks, client, cluster):
    policies = ("AmazonEKSAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy")
    eks.put_entry(cluster, ROLE, policies=dict.fromkeys(policies, ()))
    pages = client.get_paginator("list_associated_access_policies").paginate(
        clusterName=cluster, principalArn=ROLE, PaginationConfig={"PageSize": 2}
    )
    sizes = [len(page["associatedAccessPolicies"]) for page in pages]
    assert sizes == [2, 1]


def test_a_cluster_takes_3000_entries_and_no_more(eks, client, cluster):
    for number in range(3000):
        eks.put_entry(cluster, role(f"person-{number}"))
    status, code, _ = refusal(client.create_access_entry, clusterName=cluster, principalArn=ROLE)
    assert (status, code) == (400, "ResourceLimitExceededException")
    client.delete_access_entry(clusterName=cluster, principalArn=role("person-7"))
    client.create_access_entry(clusterName=cluster, principalArn=ROLE)


def test_tags_of_an_entry_are_read_added_and_removed_by_its_arn(client, cluster):
    arn = client.create_access_entry(
        clusterName=cluster, principalArn=ROLE, tags={"grant": "A", "deployment": "acme"}
    )["accessEntry"]["accessEntryArn"]
    client.tag_resource(resourceArn=arn, tags={"grant": "B", "owner": "ana"})
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {
        "grant": "B",
        "deployment": "acme",
        "owner": "ana",
    }
    client.untag_resource(resourceArn=arn, tagKeys=["owner", "deployment", "absent"])
    entry = client.describe_access_entry(clusterName=cluster, principalArn=ROLE)["accessEntry"]
    assert entry["tags"] == {"grant": "B"}
    client.delete_access_entry(clusterName=cluster, principalArn=ROLE)
    assert refusal(client.list_tags_for_resource, resourceArn=arn)[:2] == (404, "NotFoundException")


def test_tags_of_a_cluster_still_work_as_in_moto(client, cluster):
    arn = client.describe_cluster(name=cluster)["cluster"]["arn"]
    client.tag_resource(resourceArn=arn, tags={"env": "lab", "team": "a"})
    client.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"env": "lab"}


def test_an_identity_center_role_is_one_principal_however_its_arn_looks(eks, client, cluster):
    principal = (
        f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/us-east-2/"
        "AWSReservedSSO_Developer_0123456789abcdef"
    )
    target = {"clusterName": cluster, "principalArn": principal}
    client.create_access_entry(**target)
    client.associate_access_policy(**target, policyArn=VIEW, accessScope={"type": "cluster"})
    client.update_access_entry(**target, kubernetesGroups=["developers"])
    entry = client.describe_access_entry(**target)["accessEntry"]
    assert entry["principalArn"] == principal
    assert entry["accessEntryArn"].startswith(f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/")
    assert entry["username"] == (
        f"arn:aws:sts::{ACCOUNT}:assumed-role/"
        "AWSReservedSSO_Developer_0123456789abcdef/{{SessionName}}"
    )
    client.disassociate_access_policy(**target, policyArn=VIEW)
    client.delete_access_entry(**target)
    assert eks.entries(cluster) == ()


def test_the_snapshot_shows_what_the_cluster_holds(eks, client, cluster):
    client.create_access_entry(
        clusterName=cluster, principalArn=ROLE, kubernetesGroups=["a"], tags={"grant": "A"}
    )
    client.associate_access_policy(
        clusterName=cluster,
        principalArn=ROLE,
        policyArn=VIEW,
        accessScope={"type": "namespace", "namespaces": ["default", "dev-*"]},
    )
    (entry,) = eks.entries(cluster)
    assert entry == eks.entry(cluster, ROLE)
    assert entry in list(eks.all_entries())
    assert (entry.cluster, entry.region, entry.account) == (cluster, REGION, ACCOUNT)
    assert (entry.kubernetes_groups, entry.tags) == (("a",), {"grant": "A"})
    assert (entry.type, entry.created_at, entry.dead) == ("STANDARD", START, False)
    (association,) = entry.associations
    assert (association.policy, association.scope) == ("AmazonEKSViewPolicy", "namespace")
    assert association.namespaces == ("default", "dev-*")
