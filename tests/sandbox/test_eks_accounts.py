"""Clusters, their authentication modes, accounts, regions and resets on the local EKS."""

from __future__ import annotations

import http.client
import subprocess
import sys

import boto3
import pytest
from botocore.exceptions import ClientError

from bot.sandbox.eks import EksStandIn

ACCOUNT = "123456789012"
LAB = "111122223333"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
CLUSTER = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/eks", "resourcesVpcConfig": {}}


@pytest.fixture(scope="module")
def server():
    with EksStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def eks(server):
    yield server
    server.reset()


def stranger(eks, service, region="eu-west-1", **keys):
    keys = keys or {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, region_name=region, endpoint_url=eks.endpoint_url, **keys)


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def test_a_cluster_is_created_in_config_map_mode_unless_it_says_otherwise(eks):
    client = stranger(eks, "eks")
    created = client.create_cluster(name="plain", **CLUSTER)["cluster"]
    assert created["accessConfig"] == {
        "authenticationMode": "CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
    }
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    client.create_cluster(name="modern", accessConfig=access, **CLUSTER)
    assert client.describe_cluster(name="modern")["cluster"]["accessConfig"] == access
    assert client.list_access_entries(clusterName="modern")["accessEntries"] == []


def test_the_creator_of_a_cluster_becomes_its_admin_through_an_entry(eks):
    client = eks.client("eks", account=LAB)
    client.create_cluster(name="modern", accessConfig={"authenticationMode": "API"}, **CLUSTER)
    creator = f"arn:aws:iam::{LAB}:role/sandbox"
    assert client.list_access_entries(clusterName="modern")["accessEntries"] == [creator]
    (association,) = client.list_associated_access_policies(
        clusterName="modern", principalArn=creator
    )["associatedAccessPolicies"]
    assert association["policyArn"] == ADMIN
    assert association["accessScope"] == {"type": "cluster", "namespaces": []}


def test_an_iam_user_who_creates_a_cluster_is_its_creator(eks):
    iam = stranger(eks, "iam")
    iam.create_user(UserName="carla")
    key = iam.create_access_key(UserName="carla")["AccessKey"]
    client = stranger(
        eks,
        "eks",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    access = {"authenticationMode": "API_AND_CONFIG_MAP"}
    client.create_cluster(name="modern", accessConfig=access, **CLUSTER)
    iam.delete_access_key(UserName="carla", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="carla")
    assert [entry.principal_arn for entry in eks.entries("modern")] == [
        f"arn:aws:iam::{ACCOUNT}:user/carla"
    ]


def test_config_map_mode_insists_on_the_creators_permissions(eks):
    access = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    refused = refusal(
        stranger(eks, "eks").create_cluster, name="plain", accessConfig=access, **CLUSTER
    )
    assert refused == (
        400,
        "InvalidParameterException",
        "bootstrapClusterCreatorAdminPermissions must be true "
        "if cluster authentication mode is set to CONFIG_MAP",
    )


def test_the_authentication_mode_moves_one_step_at_a_time_and_never_back(eks):
    client = stranger(eks, "eks")
    client.create_cluster(name="plain", **CLUSTER)

    def move(mode):
        return client.update_cluster_config(name="plain", accessConfig={"authenticationMode": mode})

    def refused(mode):
        return refusal(
            client.update_cluster_config, name="plain", accessConfig={"authenticationMode": mode}
        )

    unsupported = "Unsupported authentication mode update from {} to {}"
    assert refused("API") == (
        400,
        "InvalidParameterException",
        unsupported.format("CONFIG_MAP", "API"),
    )
    update = move("API_AND_CONFIG_MAP")["update"]
    assert (update["type"], update["params"]) == (
        "AccessConfigUpdate",
        [{"type": "AuthenticationMode", "value": '"API_AND_CONFIG_MAP"'}],
    )
    creator = f"arn:aws:iam::{ACCOUNT}:user/moto"
    assert client.list_access_entries(clusterName="plain")["accessEntries"] == [creator]
    assert refused("API_AND_CONFIG_MAP")[2] == unsupported.format(*["API_AND_CONFIG_MAP"] * 2)
    move("API")
    assert refused("API_AND_CONFIG_MAP")[2] == unsupported.format("API", "API_AND_CONFIG_MAP")
    described = client.describe_cluster(name="plain")["cluster"]
    assert described["accessConfig"]["authenticationMode"] == "API"


def test_a_deleted_cluster_takes_its_entries_with_it(eks):
    eks.create_cluster("lab", creator=f"arn:aws:iam::{ACCOUNT}:role/founder")
    (entry,) = eks.entries("lab")
    client = stranger(eks, "eks")
    client.delete_cluster(name="lab")
    assert eks.entries("lab") == ()
    assert refusal(client.list_tags_for_resource, resourceArn=entry.arn)[0] == 404
    eks.create_cluster("lab")
    assert eks.entries("lab") == ()


def test_unknown_keys_belong_to_the_account_the_stand_in_was_given():
    with EksStandIn(account=LAB) as eks:
        eks.create_cluster("lab")
        assert stranger(eks, "eks").list_clusters()["clusters"] == ["lab"]
        assert stranger(eks, "sts").get_caller_identity()["Account"] == LAB


def test_an_assumed_role_acts_in_the_account_of_the_role(eks):
    eks.create_cluster("modern-access-lab", account=LAB)
    assert stranger(eks, "eks").list_clusters()["clusters"] == []
    keys = stranger(eks, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{LAB}:role/eks-access-bot", RoleSessionName="eks-access"
    )["Credentials"]
    client = stranger(
        eks,
        "eks",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    client.create_access_entry(
        clusterName="modern-access-lab", principalArn=f"arn:aws:iam::{LAB}:role/EKS-Modern-Reader"
    )
    (entry,) = eks.entries("modern-access-lab", account=LAB)
    assert entry.arn.startswith(
        f"arn:aws:eks:eu-west-1:{LAB}:access-entry/modern-access-lab/role/{LAB}/EKS-Modern-Reader/"
    )
    (call,) = eks.calls_of("CreateAccessEntry")
    assert (call.account, call.session_name) == (LAB, "eks-access")


def test_clusters_of_one_name_in_two_regions_are_two(eks):
    eks.create_cluster("lab", region="eu-west-1")
    eks.create_cluster("lab", region="us-east-2")
    principal = f"arn:aws:iam::{ACCOUNT}:role/ana"
    stranger(eks, "eks", "us-east-2").create_access_entry(clusterName="lab", principalArn=principal)
    assert eks.entries("lab", region="eu-west-1") == ()
    (entry,) = eks.entries("lab", region="us-east-2")
    assert entry.arn.startswith("arn:aws:eks:us-east-2:")


def test_two_stand_ins_share_no_cluster(eks):
    eks.create_cluster("lab")
    with EksStandIn() as other:
        assert stranger(other, "eks").list_clusters()["clusters"] == []
        other.create_cluster("lab")
        other.put_entry("lab", f"arn:aws:iam::{ACCOUNT}:role/ana")
        other.faults.server_error()
        assert stranger(eks, "eks").list_access_entries(clusterName="lab")["accessEntries"] == []


def test_reset_forgets_clusters_faults_and_calls_and_keeps_keys(eks):
    client = eks.client("eks", account=LAB)
    eks.create_cluster("lab", account=LAB)
    eks.faults.server_error(times=None)
    eks.reset()
    assert client.list_clusters()["clusters"] == []
    assert [call.account for call in eks.calls] == [LAB]


def test_a_role_deleted_and_made_again_leaves_a_dead_entry(eks):
    iam = stranger(eks, "iam")
    principal = iam.create_role(RoleName="ana", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    eks.create_cluster("lab")
    eks.put_entry("lab", principal)
    assert not eks.entry("lab", principal).dead
    iam.delete_role(RoleName="ana")
    assert eks.entry("lab", principal).dead
    iam.create_role(RoleName="ana", AssumeRolePolicyDocument="{}")
    assert eks.entry("lab", principal).dead
    iam.delete_role(RoleName="ana")


def test_what_this_eks_does_not_have_says_so(eks):
    eks.create_cluster("lab")
    client = stranger(eks, "eks")
    refused = refusal(client.list_addons, clusterName="lab")
    assert refused == (501, "NotImplemented", "There is no GET /clusters/lab/addons here.")


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("POST", b"{not json", (400, "SerializationException")),
        ("POST", b'{"username": "ana"}', (400, "InvalidParameterException")),
        ("PUT", b"{}", (404, "UnknownOperationException")),
    ],
)
def test_a_request_of_no_known_form_is_refused(eks, method, body, expected):
    scope = "testing/20260302/eu-west-1/eks/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection(eks.endpoint_url.removeprefix("http://"), timeout=5)
    try:
        connection.request(method, "/clusters/lab/access-entries", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == expected
    finally:
        connection.close()


MOTO_RESET = """
from urllib.request import Request, urlopen
from bot.sandbox.eks import EksStandIn

with EksStandIn() as eks:
    client = eks.client("eks")
    eks.create_cluster("lab", creator="arn:aws:iam::123456789012:role/founder")
    print(client.list_clusters()["clusters"], len(eks.entries("lab")))
    urlopen(Request(f"{eks.endpoint_url}/moto-api/reset", method="POST")).close()
    print(client.list_clusters()["clusters"], len(eks.entries("lab")))
    eks.create_cluster("lab")
    print(client.list_clusters()["clusters"], len(eks.entries("lab")))
"""


def test_motos_own_reset_clears_clusters_and_entries():
    # In a process of its own: it also takes the keys that other stand-ins here rely on.
    run = subprocess.run(  # noqa: S603 (our own script)
        [sys.executable, "-c", MOTO_RESET], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout.splitlines(), run.stderr) == (["['lab'] 1", "[] 0", "['lab'] 0"], "")
