"""One client per role and region, made once, that lands in the right account."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from bot.aws import access_entries, scheduler
from bot.aws.clients import EksClients
from bot.core.errors import TemporaryAwsProblem
from bot.core.model import AccessScope, Cluster
from bot.core.planner import Associate, CreateEntry, Owner
from bot.sandbox.eks import EksStandIn

ROLE = "arn:aws:iam::111122223333:role/eks-jit/ana"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
CREATE = CreateEntry(frozenset())
OWNER = Owner("acme", "0a1b")


def test_clusters_of_one_role_and_region_share_a_client(clients: EksClients, lab: Cluster) -> None:
    first = clients.for_cluster(lab)
    assert clients.for_cluster(replace(lab, name="other", labels={"env": "lab"})) is first
    assert clients.for_cluster(replace(lab, region="eu-central-1")) is not first
    role = "arn:aws:iam::111122223333:role/eks-access-bot"
    assumed = clients.for_cluster(replace(lab, assume_role=role))
    assert assumed is not first
    assert clients.for_cluster(replace(lab, assume_role=role)) is assumed
    assert clients.for_cluster(replace(lab, assume_role=f"{role}-2")) is not assumed


def test_a_cluster_without_a_role_is_reached_with_the_bots_own_credentials(
    eks: EksStandIn, clients: EksClients, lab: Cluster
) -> None:
    assert access_entries.observe(clients.for_cluster(lab), lab, ROLE) is None
    [call] = eks.calls
    assert (call.account, call.region) == ("111122223333", "eu-west-1")
    assert call.session_name == "sandbox"
    assert "eks-access" in call.user_agent


def test_a_cluster_with_a_role_is_reached_in_the_roles_account(
    eks: EksStandIn, clients: EksClients, prod: Cluster
) -> None:
    """The environment names a region for the bot itself at most; the cluster's is enough."""
    client = clients.for_cluster(prod)
    access_entries.apply(client, prod, ROLE, CREATE, owner=OWNER, grant_id="7K3-QMX")
    [call] = eks.calls
    assert (call.account, call.region) == ("444455556666", "eu-central-1")
    assert call.session_name == "eks-access", "CloudTrail names the bot"
    assert eks.entry("prod", ROLE, "eu-central-1", "444455556666") is not None


def test_a_role_is_assumed_once_for_all_calls_and_regions(
    eks: EksStandIn, clients: EksClients, prod: Cluster
) -> None:
    for region in ("eu-central-1", "eu-central-1", "eu-west-1"):
        cluster = replace(prod, region=region)
        eks.create_cluster(f"c{len(eks.calls)}", region, "444455556666")
        access_entries.principals(
            clients.for_cluster(cluster), replace(cluster, name=f"c{len(eks.calls)}")
        )
    assert len({call.access_key for call in eks.calls}) == 1


def test_a_client_is_made_without_asking_aws(
    clients: EksClients, prod: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So others who need a client do not wait; that AWS is away is a problem of the call."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody answers there
    assert clients.for_cluster(prod) is clients.for_cluster(prod)
    with pytest.raises(TemporaryAwsProblem, match="did not answer for prod"):
        access_entries.observe(clients.for_cluster(prod), prod, ROLE)


@pytest.mark.usefixtures("eks")
@pytest.mark.parametrize(
    "lacking", [{"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, {"AWS_PROFILE": "gone"}]
)
@pytest.mark.parametrize("assume_role", [None, "arn:aws:iam::111122223333:role/eks-access-bot"])
def test_without_credentials_the_problem_is_said_whether_or_not_a_role_is_to_be_assumed(
    lab: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    lacking: dict[str, str | None],
    assume_role: str | None,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    for name, value in lacking.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    clients, cluster = EksClients(), replace(lab, assume_role=assume_role)
    with pytest.raises(TemporaryAwsProblem, match="has no AWS credentials"):
        access_entries.principals(clients.for_cluster(cluster), cluster)
    with pytest.raises(TemporaryAwsProblem, match="has no AWS credentials"):
        scheduler.names(clients.scheduler_for(cluster), cluster, "eks-access", "acme-")


# Whose credentials they are


def test_the_bots_own_credentials_reach_no_cluster_of_another_account(
    eks: EksStandIn, clients: EksClients, lab: Cluster
) -> None:
    """There is one of the same name in the account that they are of."""
    foreign = replace(lab, account="444455556666")
    asked = eks.faults.delay(0, "GetCallerIdentity", times=None)
    for made in (clients.for_cluster, clients.scheduler_for):
        with pytest.raises(TemporaryAwsProblem) as raised:
            made(foreign)
        assert raised.value.code == "wrong_account"
        assert "lab is in account 444455556666" in raised.value.sentence
        assert "credentials are of account 111122223333" in raised.value.sentence
        assert "`assume_role`" in raised.value.sentence
    assert asked.hits == 2, "asked anew, as they may be others by now"
    assert clients.for_cluster(lab)
    with pytest.raises(TemporaryAwsProblem, match="lab is in account 444455556666"):
        clients.for_cluster(foreign)
    assert not eks.calls


def test_sts_is_asked_once_for_all_clusters_and_calls(
    eks: EksStandIn, clients: EksClients, lab: Cluster, prod: Cluster
) -> None:
    asked = eks.faults.delay(0, "GetCallerIdentity", times=None)
    eks.create_cluster("lab", "eu-central-1")
    for cluster in (lab, lab, replace(lab, region="eu-central-1"), prod):
        access_entries.principals(clients.for_cluster(cluster), cluster)
        assert clients.scheduler_for(cluster)
    assert asked.hits == 1


@pytest.mark.parametrize("mute", [True, False], ids=["mute", "faulty"])
def test_while_sts_does_not_say_whose_they_are_nothing_is_asked_of_eks(
    eks: EksStandIn, clients: EksClients, lab: Cluster, prod: Cluster, *, mute: bool
) -> None:
    lay = eks.faults.drop if mute else eks.faults.server_error
    fault = lay("GetCallerIdentity", times=None)
    for made in (clients.for_cluster, clients.scheduler_for):
        with pytest.raises(TemporaryAwsProblem, match="for lab"):
            made(lab)
    assert fault.hits == 2 * 3
    assert not eks.calls
    assert access_entries.principals(clients.for_cluster(prod), prod) == []
    eks.faults.clear()
    assert access_entries.principals(clients.for_cluster(lab), lab) == []


def test_credentials_that_sts_does_not_know_are_a_problem_that_is_said(
    eks: EksStandIn, clients: EksClients, lab: Cluster
) -> None:
    told = {"code": "ExpiredToken", "message": "The security token has expired"}
    eks.faults.answer(403, **told, operation="GetCallerIdentity")
    with pytest.raises(TemporaryAwsProblem, match="ExpiredToken"):
        clients.for_cluster(lab)
    assert clients.for_cluster(lab)


def test_where_asking_sts_is_denied_it_says_who_denies_it_and_asks_again(
    eks: EksStandIn, clients: EksClients, lab: Cluster
) -> None:
    told = {"code": "AccessDenied", "message": "denied by an endpoint policy"}
    eks.faults.answer(403, **told, operation="GetCallerIdentity")
    with pytest.raises(TemporaryAwsProblem, match="VPC endpoint") as refused:
        clients.for_cluster(lab)
    assert refused.value.code == "account_unknown"
    assert clients.for_cluster(lab)


def test_clients_asked_for_at_the_same_moment_are_made_once(
    clients: EksClients, lab: Cluster, prod: Cluster
) -> None:
    start = Barrier(12)

    def get(number: int) -> int:
        start.wait()
        return id(clients.for_cluster(prod if number % 2 else lab))

    with ThreadPoolExecutor(12) as threads:
        made = list(threads.map(get, range(12)))
    assert len(set(made[::2])) == 1
    assert len(set(made[1::2])) == 1


def test_one_client_serves_many_threads(eks: EksStandIn, clients: EksClients, lab: Cluster) -> None:
    people = [f"{ROLE}{number}" for number in range(12)]

    def give(arn: str) -> None:
        client = clients.for_cluster(lab)
        for action in (CREATE, Associate(VIEW, AccessScope.of(["a"]))):
            access_entries.apply(client, lab, arn, action, owner=OWNER, grant_id="7K3-QMX")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(give, people))
    assert {entry.principal_arn for entry in eks.entries("lab")} == set(people)


def test_no_call_can_take_longer_than_a_minute(clients: EksClients, lab: Cluster) -> None:
    """botocore's own time-outs are 60 s each, and a worker that hangs removes nothing."""
    config = clients.for_cluster(lab).meta.config
    attempts = config.retries["total_max_attempts"]  # type: ignore[attr-defined] # botocore's options
    longest = attempts * (config.connect_timeout + config.read_timeout)  # type: ignore[attr-defined] # the same
    assert longest <= 60
    assert config.max_pool_connections >= 16  # type: ignore[attr-defined] # the same


# What botocore does by itself


@pytest.mark.parametrize("operation", ["DescribeAccessEntry", "CreateAccessEntry"])
def test_a_call_that_met_a_fault_of_aws_is_repeated_at_once(
    eks: EksStandIn, clients: EksClients, lab: Cluster, operation: str
) -> None:
    eks.faults.server_error(operation, times=2)
    client = clients.for_cluster(lab)
    if operation == "DescribeAccessEntry":
        assert access_entries.observe(client, lab, ROLE) is None
    else:
        access_entries.apply(client, lab, ROLE, CREATE, owner=OWNER, grant_id="7K3-QMX")
    assert len(eks.calls_of(operation)) == 3


def test_a_throttled_call_is_repeated(eks: EksStandIn, clients: EksClients, lab: Cluster) -> None:
    eks.faults.throttle("DescribeAccessEntry")
    assert access_entries.observe(clients.for_cluster(lab), lab, ROLE) is None
    assert len(eks.calls) == 2


def test_it_is_not_repeated_for_ever(eks: EksStandIn, clients: EksClients, lab: Cluster) -> None:
    eks.faults.server_error("DescribeAccessEntry", times=None)
    with pytest.raises(TemporaryAwsProblem):
        access_entries.observe(clients.for_cluster(lab), lab, ROLE)
    assert len(eks.calls) == 3


def test_sts_that_is_mute_holds_the_calls_of_a_role_for_seconds_alone(
    eks: EksStandIn, clients: EksClients, prod: Cluster
) -> None:
    """All calls of a role wait for the one that asks for it anew: botocore gives it 60 s a try."""
    eks.faults.lose_answer("AssumeRole", hold=60)
    began = time.monotonic()
    assert access_entries.observe(clients.for_cluster(prod), prod, ROLE) is None
    assert time.monotonic() - began < 30


def test_sts_that_goes_away_is_a_problem_for_a_while_and_not_asked_for_ever(
    eks: EksStandIn, clients: EksClients, prod: Cluster
) -> None:
    fault = eks.faults.drop("AssumeRole", times=None)
    with pytest.raises(TemporaryAwsProblem, match="did not answer for prod"):
        access_entries.observe(clients.for_cluster(prod), prod, ROLE)
    assert fault.hits == 3
    assert not eks.calls
    eks.faults.clear()
    assert access_entries.observe(clients.for_cluster(prod), prod, ROLE) is None


def test_a_creation_whose_answer_is_lost_is_not_made_twice(
    eks: EksStandIn, clients: EksClients, lab: Cluster
) -> None:
    """botocore repeats it with the same token."""
    eks.faults.lose_answer("CreateAccessEntry")
    access_entries.apply(
        clients.for_cluster(lab), lab, ROLE, CREATE, owner=OWNER, grant_id="7K3-QMX"
    )
    tokens = [call.params["clientRequestToken"] for call in eks.calls]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_where_eks_takes_the_repetition_for_another_creation_it_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What EKS answers then is undocumented: a 409 is as good, it only takes another look."""
    with EksStandIn(account="111122223333", honour_client_tokens=False) as strict:
        strict.create_cluster("lab", "eu-west-1")
        for name, value in strict.environment().items():
            monkeypatch.setenv(name, value)
        cluster = Cluster("lab", "eu-west-1", "111122223333")
        client = EksClients().for_cluster(cluster)
        strict.faults.lose_answer("CreateAccessEntry")
        with pytest.raises(TemporaryAwsProblem) as raised:
            access_entries.apply(client, cluster, ROLE, CREATE, owner=OWNER, grant_id="7K3-QMX")
        assert raised.value.code == "entry_appeared"
        assert access_entries.observe(client, cluster, ROLE) is not None
