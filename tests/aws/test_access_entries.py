"""One access entry observed, and one planned change applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.aws import access_entries
from bot.aws.clients import EksClients
from bot.core.errors import PermanentAwsProblem, TemporaryAwsProblem
from bot.core.model import AccessScope, Cluster
from bot.core.planner import (
    DEPLOYMENT_TAG,
    GRANT_TAG,
    STORE_TAG,
    Action,
    Associate,
    CreateEntry,
    DeleteEntry,
    Disassociate,
    Owner,
    SetGroups,
)
from bot.sandbox.eks import EksStandIn
from bot.sandbox.eks_rules import ACCESS_POLICIES

OWNER = Owner("acme", "0a1b")
ROLE = "arn:aws:iam::111122223333:role/eks-jit/ana"
SSO = (
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Team_0123456789abcdef"
)
ARN = "arn:aws:eks::aws:cluster-access-policy/"
VIEW = f"{ARN}AmazonEKSViewPolicy"
GROUPS = frozenset({"deployers", "operators"})

Apply = Callable[[Action], None]


@pytest.fixture
def client(clients: EksClients, lab: Cluster) -> Any:
    return clients.for_cluster(lab)


@pytest.fixture
def apply(client: Any, lab: Cluster) -> Apply:
    def change(action: Action) -> None:
        access_entries.apply(client, lab, ROLE, action, owner=OWNER, grant_id="7K3-QMX")

    return change


# Observing


def test_an_entry_is_seen_as_it_is(eks: EksStandIn, client: Any, lab: Cluster) -> None:
    policies = {"AmazonEKSViewPolicy": ["b", "a", "dev-*"], "AmazonEKSEditPolicy": []}
    eks.put_entry("lab", ROLE, tags={"a": "b"}, policies=policies, kubernetes_groups=["x", "y"])
    seen = access_entries.observe(client, lab, ROLE)
    held = eks.entry("lab", ROLE)
    assert seen is not None
    assert held is not None
    assert (seen.arn, seen.type, seen.tags) == (held.arn, "STANDARD", {"a": "b"})
    assert seen.kubernetes_groups == {"x", "y"}
    assert seen.policies == {
        VIEW: AccessScope.of(["a", "b", "dev-*"]),
        f"{ARN}AmazonEKSEditPolicy": AccessScope.cluster(),
    }


@pytest.mark.parametrize("arn", [ROLE, SSO])
def test_an_arn_with_slashes_and_dots_reaches_its_own_entry(
    eks: EksStandIn, client: Any, lab: Cluster, arn: str
) -> None:
    eks.put_entry("lab", arn)
    assert access_entries.observe(client, lab, arn) is not None
    assert access_entries.observe(client, lab, f"{arn}x") is None


def test_no_entry_is_none(client: Any, lab: Cluster) -> None:
    assert access_entries.observe(client, lab, ROLE) is None


def test_an_entry_that_goes_between_the_two_reads_is_none(
    eks: EksStandIn, client: Any, lab: Cluster
) -> None:
    eks.put_entry("lab", ROLE)

    def delete(call: Any) -> None:
        if call.operation == "DescribeAccessEntry":
            eks.client("eks").delete_access_entry(clusterName="lab", principalArn=ROLE)

    stop = eks.subscribe(delete)
    assert access_entries.observe(client, lab, ROLE) is None
    stop()


def test_no_cluster_is_not_no_entry(client: Any) -> None:
    ghost = Cluster("ghost", "eu-west-1", "111122223333")
    with pytest.raises(PermanentAwsProblem, match="AWS knows no cluster ghost"):
        access_entries.observe(client, ghost, ROLE)


@pytest.mark.parametrize("operation", ["DescribeAccessEntry", "ListAssociatedAccessPolicies"])
def test_what_may_not_be_read_is_not_taken_for_nothing(
    eks: EksStandIn, client: Any, lab: Cluster, operation: str
) -> None:
    eks.put_entry("lab", ROLE, policies={"AmazonEKSViewPolicy": []})
    eks.faults.deny(operation)
    with pytest.raises(PermanentAwsProblem):
        access_entries.observe(client, lab, ROLE)


# Pages


def test_the_principals_of_a_cluster_are_read_to_the_last_page(
    eks: EksStandIn, client: Any, lab: Cluster
) -> None:
    arns = [f"{ROLE}{number:03}" for number in range(250)]
    for arn in arns:
        eks.put_entry("lab", arn)
    assert sorted(access_entries.principals(client, lab)) == arns
    assert len(eks.calls_of("ListAccessEntries")) == 3


def test_associations_are_read_to_the_last_page(eks: EksStandIn, client: Any, lab: Cluster) -> None:
    """Nobody knows how many EKS puts on a page unasked. Here it is two."""
    policies = {name: ["a"] for name in ACCESS_POLICIES if "EKS" in name}
    eks.put_entry("lab", ROLE, policies=policies)

    def two_a_page(params: dict[str, Any], **_: object) -> None:
        params["maxResults"] = 2

    event = "provide-client-params.eks.ListAssociatedAccessPolicies"
    client.meta.events.register(event, two_a_page)
    seen = access_entries.observe(client, lab, ROLE)
    assert seen is not None
    assert len(seen.policies) == len(policies) > 10
    assert len(eks.calls_of("ListAssociatedAccessPolicies")) == (len(policies) + 1) // 2


# Changing


def test_an_entry_is_created_with_its_tags_and_its_groups(eks: EksStandIn, apply: Apply) -> None:
    apply(CreateEntry(GROUPS))
    entry = eks.entry("lab", ROLE)
    assert entry is not None
    assert entry.tags == {DEPLOYMENT_TAG: "acme", GRANT_TAG: "7K3-QMX", STORE_TAG: "0a1b"}
    assert set(entry.kubernetes_groups) == GROUPS
    assert entry.username.endswith("{{SessionName}}"), "EKS's default, as AWS advises"


def test_a_creation_never_takes_over_what_is_there(eks: EksStandIn, apply: Apply) -> None:
    eks.put_entry("lab", ROLE, tags={"owner": "terraform"})
    with pytest.raises(TemporaryAwsProblem) as raised:
        apply(CreateEntry(frozenset()))
    assert raised.value.code == "entry_appeared"
    entry = eks.entry("lab", ROLE)
    assert entry is not None
    assert entry.tags == {"owner": "terraform"}


@pytest.mark.parametrize("namespaces", [(), ("a",), ("a", "b", "dev-*")])
def test_a_policy_is_associated_with_exactly_the_scope(
    eks: EksStandIn, apply: Apply, namespaces: tuple[str, ...]
) -> None:
    eks.put_entry("lab", ROLE, policies={"AmazonEKSViewPolicy": ["x"]})
    apply(Associate(VIEW, AccessScope.of(namespaces)))
    entry = eks.entry("lab", ROLE)
    assert entry is not None
    [association] = entry.associations
    assert association.policy_arn == VIEW
    assert tuple(sorted(association.namespaces)) == namespaces
    assert association.scope == ("namespace" if namespaces else "cluster")


def test_groups_are_set_and_nothing_else(eks: EksStandIn, apply: Apply) -> None:
    eks.put_entry("lab", ROLE, tags={"a": "b"}, policies={"AmazonEKSViewPolicy": []})
    before = eks.entry("lab", ROLE)
    apply(SetGroups(GROUPS, own=GROUPS))
    after = eks.entry("lab", ROLE)
    assert before is not None
    assert after is not None
    assert set(after.kubernetes_groups) == GROUPS
    assert (after.username, after.tags, after.associations) == (
        before.username,
        before.tags,
        before.associations,
    )
    apply(SetGroups(frozenset(), own=frozenset()))
    emptied = eks.entry("lab", ROLE)
    assert emptied is not None
    assert emptied.kubernetes_groups == ()


def test_one_policy_is_taken_away_and_no_other(eks: EksStandIn, apply: Apply) -> None:
    eks.put_entry("lab", ROLE, policies={"AmazonEKSViewPolicy": [], "AmazonEKSEditPolicy": ["a"]})
    apply(Disassociate(VIEW))
    entry = eks.entry("lab", ROLE)
    assert entry is not None
    assert [one.policy for one in entry.associations] == ["AmazonEKSEditPolicy"]


REMOVALS = [Disassociate(VIEW), DeleteEntry()]


@pytest.mark.parametrize("action", REMOVALS, ids=lambda action: type(action).__name__)
def test_what_is_gone_already_is_removed(apply: Apply, action: Action) -> None:
    apply(action)


def test_an_association_that_is_gone_already_is_removed(eks: EksStandIn, apply: Apply) -> None:
    eks.put_entry("lab", ROLE)
    apply(Disassociate(VIEW))


@pytest.mark.parametrize("action", REMOVALS, ids=lambda action: type(action).__name__)
def test_no_other_error_says_that_it_is_gone(
    eks: EksStandIn, client: Any, apply: Apply, action: Action
) -> None:
    eks.faults.deny()
    with pytest.raises(PermanentAwsProblem):
        apply(action)
    eks.faults.clear()
    ghost = Cluster("ghost", "eu-west-1", "111122223333")
    with pytest.raises(PermanentAwsProblem, match="no cluster"):
        access_entries.apply(client, ghost, ROLE, action, owner=OWNER, grant_id="7K3-QMX")


@pytest.mark.parametrize(
    "action",
    [Associate(VIEW, AccessScope.cluster()), SetGroups(GROUPS, own=GROUPS)],
    ids=lambda action: type(action).__name__,
)
def test_a_change_of_what_eks_does_not_show_yet_is_worth_trying_again(
    apply: Apply, action: Action
) -> None:
    with pytest.raises(TemporaryAwsProblem) as raised:
        apply(action)
    assert raised.value.code == "not_yet_there"
