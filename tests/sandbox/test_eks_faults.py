"""Faults, propagation delay, and the record of calls on the local EKS."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from bot.sandbox.eks import EksStandIn

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ana"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-jit/ben"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=5)
TWICE = Config(retries={"mode": "standard", "total_max_attempts": 2})
IMPATIENT = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=0.2)

names = (f"lab-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server():
    with EksStandIn(account=ACCOUNT) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def client(server):
    return server.client("eks", config=ONCE)


@pytest.fixture
def eks(server):
    yield server
    server.reset()


@pytest.fixture
def cluster(eks):
    name = next(names)
    eks.create_cluster(name)
    return name


@pytest.fixture
def target(cluster):
    return {"clusterName": cluster, "principalArn": ROLE}


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def test_a_throttled_call_does_nothing_and_the_next_one_goes_through(eks, client, target):
    fault = eks.faults.throttle("CreateAccessEntry")
    refused = refusal(client.create_access_entry, **target)
    assert refused == (429, "ThrottlingException", "Rate exceeded")
    assert eks.entries(target["clusterName"]) == ()
    client.create_access_entry(**target)
    assert (fault.hits, eks.faults.laid()) == (1, ())


def test_botocore_repeats_a_throttled_call_by_itself(eks, target):
    eks.faults.throttle("CreateAccessEntry")
    eks.client("eks", config=TWICE).create_access_entry(**target)
    assert [call.status for call in eks.calls_of("CreateAccessEntry")] == [429, 200]


@pytest.mark.parametrize(
    ("lay", "expected"),
    [
        (lambda faults: faults.server_error(), (500, "ServerException", "Internal server error")),
        (
            lambda faults: faults.throttle(code="TooManyRequestsException"),
            (429, "TooManyRequestsException", "Rate exceeded"),
        ),
        (
            lambda faults: faults.answer(403, "ExpiredTokenException", "The token is expired"),
            (403, "ExpiredTokenException", "The token is expired"),
        ),
    ],
)
def test_any_operation_can_be_made_to_fail(eks, client, target, lay, expected):
    lay(eks.faults)
    assert refusal(client.describe_cluster, name=target["clusterName"]) == expected
    assert client.describe_cluster(name=target["clusterName"])["cluster"]["status"] == "ACTIVE"


def test_a_denied_call_names_who_may_not_do_what_on_which_resource(eks, client, target):
    client.create_access_entry(**target)
    arn = eks.entry(target["clusterName"], ROLE).arn
    eks.faults.deny("DeleteAccessEntry")
    eks.faults.deny("ListAccessEntries")
    caller = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/sandbox/sandbox is not authorized"
    assert refusal(client.delete_access_entry, **target) == (
        403,
        "AccessDeniedException",
        f"{caller} to perform: eks:DeleteAccessEntry on resource: {arn}",
    )
    name = target["clusterName"]
    assert refusal(client.list_access_entries, clusterName=name)[2] == (
        f"{caller} to perform: eks:ListAccessEntries "
        f"on resource: arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/{name}"
    )
    eks.faults.clear()
    client.delete_access_entry(**target)


def test_a_fault_meets_only_its_operation_cluster_and_principal(eks, client, cluster):
    eks.create_cluster("spared")
    eks.faults.server_error("CreateAccessEntry", cluster=cluster, principal=ROLE, times=None)
    client.create_access_entry(clusterName="spared", principalArn=ROLE)
    client.create_access_entry(clusterName=cluster, principalArn=OTHER_ROLE)
    client.list_access_entries(clusterName=cluster)
    for _ in range(3):
        assert refusal(client.create_access_entry, clusterName=cluster, principalArn=ROLE)[0] == 500


def test_a_write_whose_answer_is_lost_took_effect(eks, client, target):
    eks.faults.lose_answer("CreateAccessEntry")
    with pytest.raises(ConnectionClosedError):
        client.create_access_entry(**target)
    assert eks.entry(target["clusterName"], ROLE) is not None
    (call,) = eks.calls_of("CreateAccessEntry")
    assert (call.status, call.answered, call.fault) == (200, False, "Drop")


def test_a_write_may_take_effect_and_then_time_out(eks, target):
    eks.put_entry(target["clusterName"], ROLE)
    eks.faults.lose_answer("DeleteAccessEntry", hold=30)
    client = eks.client("eks", config=IMPATIENT)
    with pytest.raises(ReadTimeoutError):
        client.delete_access_entry(**target)
    assert eks.entries(target["clusterName"]) == ()


def test_a_dropped_call_did_nothing(eks, client, target):
    eks.faults.drop("CreateAccessEntry")
    with pytest.raises(ConnectionClosedError):
        client.create_access_entry(**target)
    assert eks.entries(target["clusterName"]) == ()
    (call,) = eks.calls_of("CreateAccessEntry")
    assert call.status is None


def test_a_delay_adds_to_the_time_of_a_call_that_succeeds(eks, client, target):
    eks.faults.delay(0.1, "CreateAccessEntry")
    began = time.monotonic()
    client.create_access_entry(**target)
    assert time.monotonic() - began >= 0.1


def test_clearing_the_faults_ends_the_wait_of_a_delayed_call(eks, client, target):
    eks.faults.delay(60, "CreateAccessEntry")
    caller = threading.Thread(target=client.create_access_entry, kwargs=target)
    caller.start()
    assert eks.wait_for(lambda: bool(eks.calls_of("CreateAccessEntry")), timeout=5)
    eks.faults.clear()
    caller.join(timeout=5)
    assert not caller.is_alive()
    assert eks.entry(target["clusterName"], ROLE) is not None


def test_after_create_the_next_reads_answer_as_if_there_were_no_entry(eks, client, target):
    eks.faults.propagation_delay("CreateAccessEntry", reads=4)
    client.create_access_entry(**target)
    scope = {"type": "cluster"}
    missing = (
        404,
        "ResourceNotFoundException",
        "The specified principalArn could not be found. "
        "You can view your available access entries with 'list-access-entries'.",
    )
    listed = client.list_access_entries(clusterName=target["clusterName"])
    assert listed["accessEntries"] == []
    assert refusal(client.describe_access_entry, **target) == missing
    assert refusal(client.list_associated_access_policies, **target) == missing
    policy = {"policyArn": VIEW, "accessScope": scope}
    assert refusal(client.associate_access_policy, **target, **policy) == missing
    client.associate_access_policy(**target, **policy)
    listed = client.list_access_entries(clusterName=target["clusterName"])
    assert listed["accessEntries"] == [ROLE]


def test_after_create_a_second_create_and_a_delete_see_the_truth(eks, client, target):
    eks.faults.propagation_delay("CreateAccessEntry", reads=1)
    client.create_access_entry(**target)
    assert refusal(client.create_access_entry, **target)[0] == 409
    client.delete_access_entry(**target)
    assert eks.entries(target["clusterName"]) == ()


def test_after_delete_the_entry_still_shows_for_some_reads(eks, client, target):
    client.create_access_entry(**target, tags={"grant": "A"})
    client.associate_access_policy(**target, policyArn=VIEW, accessScope={"type": "cluster"})
    eks.faults.propagation_delay("DeleteAccessEntry", reads=3)
    client.delete_access_entry(**target)
    assert eks.entries(target["clusterName"]) == ()
    name = target["clusterName"]
    assert client.list_access_entries(clusterName=name)["accessEntries"] == [ROLE]
    assert client.describe_access_entry(**target)["accessEntry"]["tags"] == {"grant": "A"}
    listed = client.list_associated_access_policies(**target)
    assert [association["policyArn"] for association in listed["associatedAccessPolicies"]] == [
        VIEW
    ]
    assert refusal(client.delete_access_entry, **target)[0] == 404
    assert refusal(client.describe_access_entry, **target)[0] == 404
    assert client.list_access_entries(clusterName=name)["accessEntries"] == []


def test_after_associate_the_next_read_sees_the_old_scope(eks, client, target):
    client.create_access_entry(**target)
    policy = {"policyArn": VIEW, "accessScope": {"type": "cluster"}}
    client.associate_access_policy(**target, **policy)
    eks.faults.propagation_delay("AssociateAccessPolicy", reads=1)
    policy["accessScope"] = {"type": "namespace", "namespaces": ["default"]}
    client.associate_access_policy(**target, **policy)

    def scope():
        listed = client.list_associated_access_policies(**target)
        return listed["associatedAccessPolicies"][0]["accessScope"]["type"]

    assert [scope(), scope()] == ["cluster", "namespace"]


def test_a_write_that_fails_does_not_use_up_a_propagation_delay(eks, client, target):
    eks.faults.propagation_delay("CreateAccessEntry", reads=1)
    eks.faults.throttle("CreateAccessEntry")
    assert refusal(client.create_access_entry, **target)[0] == 429
    client.create_access_entry(**target)
    assert refusal(client.describe_access_entry, **target)[0] == 404
    client.describe_access_entry(**target)


def test_a_cluster_made_again_shows_nothing_of_the_old_one(eks, client, target):
    name = target["clusterName"]
    client.create_access_entry(**target)
    eks.faults.propagation_delay("DeleteAccessEntry", reads=5)
    client.delete_access_entry(**target)
    eks.delete_cluster(name)
    eks.create_cluster(name)
    assert client.list_access_entries(clusterName=name)["accessEntries"] == []


def test_a_delete_of_nothing_delays_no_later_read(eks, client, target):
    eks.faults.propagation_delay("DeleteAccessEntry", reads=1)
    assert refusal(client.delete_access_entry, **target)[0] == 404
    client.create_access_entry(**target)
    client.describe_access_entry(**target)
    client.delete_access_entry(**target)
    client.describe_access_entry(**target)
    assert refusal(client.describe_access_entry, **target)[0] == 404


def test_a_listing_of_many_pages_counts_as_one_read(eks, client, target):
    name = target["clusterName"]
    for number in range(101):
        eks.put_entry(name, f"{ROLE}-{number:03}")
    eks.faults.propagation_delay("CreateAccessEntry", reads=2)
    client.create_access_entry(**target)
    paginator = client.get_paginator("list_access_entries")

    def seen():
        pages = paginator.paginate(clusterName=name)
        return ROLE in [arn for page in pages for arn in page["accessEntries"]]

    assert [seen(), seen(), seen()] == [False, False, True]


def test_every_call_is_recorded_with_who_made_it_and_what_was_asked(eks, target):
    config = Config(user_agent_extra="eks-access/test")
    client = eks.client("eks", config=config)
    client.create_access_entry(**target, tags={"grant": "A"})
    refusal(client.create_access_entry, **target)
    created, refused = eks.calls_of("CreateAccessEntry", principal=ROLE)
    assert (created.account, created.region) == (ACCOUNT, "eu-west-1")
    assert (created.cluster, created.principal) == (target["clusterName"], ROLE)
    assert created.params["tags"] == {"grant": "A"}
    assert created.params["clientRequestToken"]
    assert created.session_name == "sandbox"
    assert created.access_key.startswith("ASIA")
    assert "eks-access/test" in created.user_agent
    assert (created.status, created.error, created.answered) == (200, None, True)
    assert (refused.status, refused.error) == (409, "ResourceInUseException")


def test_writes_are_told_from_reads(eks, client, target):
    client.list_access_entries(clusterName=target["clusterName"])
    client.create_access_entry(**target)
    client.describe_access_entry(**target)
    assert [call.operation for call in eks.writes()] == ["CreateAccessEntry"]


def test_a_waiter_wakes_when_the_cluster_changes(eks, client, target):
    caller = threading.Thread(target=client.create_access_entry, kwargs=target)
    caller.start()
    assert eks.wait_for(lambda: bool(eks.entries(target["clusterName"])), timeout=5)
    caller.join(timeout=5)
    assert not eks.wait_for(lambda: False, timeout=0.01)


def test_a_subscriber_is_told_of_each_call_until_it_leaves(eks, client, target):
    told = []
    unsubscribe = eks.subscribe(told.append)
    client.create_access_entry(**target)
    refusal(client.create_access_entry, **target)
    unsubscribe()
    client.delete_access_entry(**target)
    assert [(call.operation, call.status) for call in told] == [
        ("CreateAccessEntry", 200),
        ("CreateAccessEntry", 409),
    ]


def test_parallel_calls_for_one_principal_make_one_entry(eks, target):
    clients = [eks.client("eks", config=ONCE) for _ in range(8)]
    outcomes = []

    def create(client):
        try:
            client.create_access_entry(**target)
            outcomes.append(200)
        except ClientError as error:
            outcomes.append(error.response["ResponseMetadata"]["HTTPStatusCode"])

    threads = [threading.Thread(target=create, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(outcomes) == [200] + [409] * 7


def test_stopping_lets_go_of_calls_that_are_held_open():
    stand_in = EksStandIn(account=ACCOUNT)
    stand_in.start()
    stand_in.create_cluster("lab")
    stand_in.faults.lose_answer("ListAccessEntries", hold=60)
    client = stand_in.client("eks", config=ONCE)
    ended = []

    def call():
        with pytest.raises(ConnectionClosedError):
            client.list_access_entries(clusterName="lab")
        ended.append(True)

    caller = threading.Thread(target=call)
    caller.start()
    assert stand_in.wait_for(lambda: any(c.status for c in stand_in.calls), timeout=5)
    stand_in.stop()
    caller.join(timeout=5)
    assert ended == [True]
